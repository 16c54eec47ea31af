//! What PID 1 must know of a service to create its processes: the part of its
//! description that had to be looked up.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use init_core::accounts::User;
use init_core::description::{Attributes, Resource, ServiceDescription};
use init_core::supervisor::Supervisor;
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::process::{Gid, Rlimit, Uid, getrlimit, setrlimit};

use crate::accounts;
use crate::sys::process::{self, Credentials};
use crate::{environment, files};

/// How many descriptors PID 1 may have open; a service takes up to seven. The
/// upper limit is for services to pass on.
const OWN_OPEN_FILES: Rlimit = Rlimit { current: Some(65_536), maximum: Some(524_288) };

/// How many a service may have open: what the kernel gives to its first
/// process, and room for a program that asks for more itself.
const OPEN_FILES: Rlimit = Rlimit { current: Some(1024), maximum: Some(524_288) };

/// Users and groups, read once for all services.
pub(crate) struct Accounts {
    passwd: String,
    group: String,
}

/// Who a service runs as, looked up.
pub(crate) enum Identity {
    /// As PID 1: root.
    Root,
    /// As somebody.
    User(Box<(Credentials, Home)>),
    /// There is no such user or group: it cannot start.
    Unknown,
}

/// What the environment says of a user.
pub(crate) struct Home {
    name: String,
    directory: String,
}

impl Accounts {
    /// Reads `/etc/passwd` and `/etc/group`; one that is missing has nobody in it.
    pub(crate) fn read() -> Self {
        let read = |path| files::read_text(path).unwrap_or_default();
        Self { passwd: read("/etc/passwd"), group: read("/etc/group") }
    }

    /// Looks up who every service runs as, in the order of their ids.
    pub(crate) fn identities(&self, supervisor: &Supervisor) -> Vec<Identity> {
        supervisor.ids().map(|id| self.identify(supervisor.description(id).as_ref())).collect()
    }

    fn identify(&self, description: Option<&ServiceDescription>) -> Identity {
        let user = description.and_then(|one| one.user.as_deref());
        let group = description.and_then(|one| one.group.as_deref());
        if user.is_none() && group.is_none() {
            return Identity::Root;
        }
        self.look_up(user, group).map_or(Identity::Unknown, |found| Identity::User(Box::new(found)))
    }

    fn look_up(&self, user: Option<&str>, group: Option<&str>) -> Option<(Credentials, Home)> {
        let user = match user {
            Some(name) => accounts::find_user(&self.passwd, name)?,
            None => User {
                name: "root".into(),
                uid: 0,
                gid: 0,
                home: "/root".into(),
                shell: "/bin/sh".into(),
            },
        };
        let gid = match group {
            Some(name) => accounts::find_group(&self.group, name)?,
            None => user.gid,
        };
        let groups = accounts::groups_of(&self.group, &user.name);
        let credentials = Credentials {
            uid: Uid::from_raw(user.uid),
            gid: Gid::from_raw(gid),
            groups: groups.into_iter().map(Gid::from_raw).collect(),
        };
        Some((credentials, Home { name: user.name, directory: user.home }))
    }
}

impl Identity {
    /// What the process runs as; `Ok(None)` is root as PID 1 is.
    pub(crate) fn credentials(&self) -> Result<Option<&Credentials>, Errno> {
        match self {
            Self::Root => Ok(None),
            Self::User(found) => Ok(Some(&found.0)),
            Self::Unknown => Err(Errno::NOENT),
        }
    }

    /// The user it runs as, unless that is root as PID 1 is or nobody knows.
    pub(crate) fn user(&self) -> Option<Uid> {
        match self {
            Self::User(found) => Some(found.0.uid),
            Self::Root | Self::Unknown => None,
        }
    }

    /// The environment of the service: PID 1's base, the user's own values, and
    /// then `extra`; a later variable replaces an earlier one.
    pub(crate) fn environment(&self, extra: &[(&str, &str)]) -> Vec<String> {
        let mut variables: Vec<String> = environment::BASE.map(str::to_owned).into();
        if let Self::User(found) = self {
            let home = &found.1;
            set(&mut variables, "HOME", &home.directory);
            set(&mut variables, "USER", &home.name);
            set(&mut variables, "LOGNAME", &home.name);
        }
        for (name, value) in extra {
            set(&mut variables, name, value);
        }
        variables
    }
}

fn set(variables: &mut Vec<String>, name: &str, value: &str) {
    variables
        .retain(|variable| variable.split_once('=').is_none_or(|(existing, _)| existing != name));
    variables.push(format!("{name}={value}"));
}

/// Raises the limit on PID 1's own descriptors.
pub(crate) fn raise_open_files() -> Result<(), Errno> {
    setrlimit(rustix::process::Resource::Nofile, OWN_OPEN_FILES)
}

/// The limits of a service's processes. Where PID 1 could raise its own limit
/// on open files, services get theirs back.
pub(crate) fn limits(description: &ServiceDescription) -> Vec<(rustix::process::Resource, Rlimit)> {
    let own = getrlimit(rustix::process::Resource::Nofile);
    let mut limits = Vec::new();
    if own == OWN_OPEN_FILES {
        limits.push((rustix::process::Resource::Nofile, OPEN_FILES));
    }
    for (resource, value) in &description.limits.rlimits {
        let value = (*value != u64::MAX).then_some(*value);
        limits.push((kernel_resource(*resource), Rlimit { current: value, maximum: value }));
    }
    limits
}

/// What the processes of a service begin with.
pub(crate) fn attributes(of: Attributes) -> process::Attributes {
    let ordinary = Attributes::default();
    let is_chosen = of.oom_score_adjust != ordinary.oom_score_adjust;
    process::Attributes {
        umask: Mode::from_raw_mode(of.umask.into()),
        nice: (of.nice != ordinary.nice).then(|| of.nice.into()),
        oom_score_adjust: is_chosen.then(|| of.oom_score_adjust.to_string().into_bytes()),
    }
}

fn kernel_resource(resource: Resource) -> rustix::process::Resource {
    use rustix::process::Resource as Kernel;
    match resource {
        Resource::AddressSpace => Kernel::As,
        Resource::Core => Kernel::Core,
        Resource::Cpu => Kernel::Cpu,
        Resource::FileSize => Kernel::Fsize,
        Resource::LockedMemory => Kernel::Memlock,
        Resource::OpenFiles => Kernel::Nofile,
        Resource::Processes => Kernel::Nproc,
        Resource::Stack => Kernel::Stack,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts {
            passwd: "log:x:101:102::/var/log:/bin/false\n".into(),
            group: "log:x:102:\nadm:x:4:log\n".into(),
        }
    }

    fn identify(user: Option<&str>, group: Option<&str>) -> Option<(Credentials, Home)> {
        accounts().look_up(user, group)
    }

    #[test]
    fn users_and_groups_become_ids() {
        let (credentials, _) = identify(Some("log"), None).unwrap();
        assert_eq!((credentials.uid.as_raw(), credentials.gid.as_raw()), (101, 102));
        assert_eq!(credentials.groups, [Gid::from_raw(4)]);
        let (credentials, _) = identify(None, Some("adm")).unwrap();
        assert_eq!((credentials.uid.as_raw(), credentials.gid.as_raw()), (0, 4));
        assert!(identify(Some("nobody"), None).is_none());
        assert!(identify(Some("log"), Some("nobody")).is_none());
        assert!(Identity::Unknown.credentials().is_err());
        assert_eq!((Identity::Root.user(), Identity::Unknown.user()), (None, None));
    }

    #[test]
    fn the_environment_has_each_variable_once() {
        let identity = Identity::User(Box::new(identify(Some("log"), None).unwrap()));
        let variables = identity.environment(&[("TERM", "vt100"), ("A", "1"), ("A", "2")]);
        let expected = [
            "PATH=/bin:/sbin:/usr/bin:/usr/sbin",
            "HOME=/var/log",
            "USER=log",
            "LOGNAME=log",
            "TERM=vt100",
            "A=2",
        ];
        assert_eq!(variables, expected);
        assert_eq!(Identity::Root.environment(&[]), environment::BASE);
    }
}
