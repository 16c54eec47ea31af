//! A cgroup per running service (Documentation/admin-guide/cgroup-v2.rst).
//!
//! The cgroup is what makes "kill the service" mean the whole tree: no process
//! can leave it. Where there is no cgroup v2 the process group stands in,
//! which a daemon can leave; PID 1 says so once at boot.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};

use init_core::description::Limits;
use init_core::process::SpawnStage;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, mkdirat, openat, statfs, unlinkat};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

use crate::errno::{Failure, at, explain};
use crate::{files, log};

const ROOT: &str = "/sys/fs/cgroup";
const CGROUP2_MAGIC: i64 = 0x6367_7270;

/// The parent of all services' cgroups.
pub(crate) struct Cgroups {
    services: OwnedFd,
    /// A controller is enabled when a service first asks for its limit: that costs a grace
    /// period of the kernel.
    has_memory: bool,
    has_pids: bool,
}

/// The cgroup of one instance.
pub(crate) struct Cgroup {
    name: Box<str>,
    directory: OwnedFd,
}

impl Cgroups {
    /// Makes `/sys/fs/cgroup/services`; `None` where
    /// there is no usable cgroup v2, with a record of why.
    pub(crate) fn open() -> Option<Self> {
        match Self::try_open() {
            Ok(cgroups) => Some(cgroups),
            Err(errno) => {
                log::error(format_args!(
                    "no cgroup v2 at {ROOT}: {}; services are killed by process group, and limits are not applied",
                    explain(errno)
                ));
                None
            }
        }
    }

    fn try_open() -> Result<Self, Errno> {
        #[expect(clippy::useless_conversion, reason = "f_type is narrower on other targets")]
        if i64::from(statfs(ROOT)?.f_type) != CGROUP2_MAGIC {
            return Err(Errno::NODEV);
        }
        let root = open_directory(CWD, ROOT)?;
        make_directory(&root, "services")?;
        let services = open_directory(root.as_fd(), "services")?;
        Ok(Self { services, has_memory: false, has_pids: false })
    }

    /// Gives the services' cgroups a controller, top down as the kernel wants it.
    fn enable(&self, controller: &str) -> Result<(), Errno> {
        let root = open_directory(CWD, ROOT)?;
        write_control(root.as_fd(), "cgroup.subtree_control", controller)?;
        write_control(self.services.as_fd(), "cgroup.subtree_control", controller)
    }

    /// Makes the cgroup of a new instance of `service`, with its limits.
    /// `instance` names it where processes that could not be killed still hold
    /// the service's own name.
    pub(crate) fn create(
        &mut self,
        service: &str,
        instance: u64,
        limits: &Limits,
    ) -> Result<Cgroup, Failure> {
        let cgroup = self.open_free(service, instance).map_err(at(SpawnStage::Cgroup))?;
        match self.limit(&cgroup, limits) {
            Ok(()) => Ok(cgroup),
            Err(failure) => {
                self.remove(&cgroup);
                Err(failure)
            }
        }
    }

    /// A new cgroup under the service's own name or, where that is taken, the instance's.
    fn open_free(&self, service: &str, instance: u64) -> Result<Cgroup, Errno> {
        if let Some(cgroup) = self.open_new(service)? {
            return Ok(cgroup);
        }
        // A dot is no character of a service name, so this is nobody else's.
        self.open_new(&format!("{service}.{instance}"))?.ok_or(Errno::BUSY)
    }

    fn limit(&mut self, cgroup: &Cgroup, limits: &Limits) -> Result<(), Failure> {
        let write = |file, number: u64| {
            cgroup.write(file, &number.to_string()).map_err(at(SpawnStage::Cgroup))
        };
        if let Some(bytes) = limits.memory_max_bytes {
            if !self.has_memory {
                self.enable("+memory").map_err(at(SpawnStage::MemoryController))?;
                self.has_memory = true;
            }
            write("memory.max", bytes)?;
        }
        if let Some(tasks) = limits.tasks_max {
            if !self.has_pids {
                self.enable("+pids").map_err(at(SpawnStage::PidsController))?;
                self.has_pids = true;
            }
            write("pids.max", tasks.into())?;
        }
        Ok(())
    }

    /// `None` if a cgroup of this name has processes in it.
    fn open_new(&self, name: &str) -> Result<Option<Cgroup>, Errno> {
        let is_new = match mkdirat(&self.services, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => true,
            Err(Errno::EXIST) => false,
            Err(errno) => return Err(errno),
        };
        let directory = open_directory(self.services.as_fd(), name)?;
        let cgroup = Cgroup { name: name.into(), directory };
        if is_new {
            return Ok(Some(cgroup));
        }
        if cgroup.is_populated() {
            return Ok(None);
        }
        // Left by an instance whose cgroup could not be removed: its limits must go.
        self.remove(&cgroup);
        match mkdirat(&self.services, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(None),
            Err(errno) => return Err(errno),
        }
        let directory = open_directory(self.services.as_fd(), name)?;
        Ok(Some(Cgroup { name: name.into(), directory }))
    }

    /// Removes an empty cgroup with the cgroups that the service made below it.
    pub(crate) fn remove(&self, cgroup: &Cgroup) {
        let name: &str = &cgroup.name;
        let mut result = unlinkat(&self.services, name, AtFlags::REMOVEDIR);
        if let Err(Errno::BUSY | Errno::NOTEMPTY) = result {
            remove_children(cgroup.directory.as_fd());
            result = unlinkat(&self.services, name, AtFlags::REMOVEDIR);
        }
        if let Err(errno) = result {
            log::warning(format_args!("cannot remove the cgroup {name}: {}", explain(errno)));
        }
    }
}

impl Cgroup {
    /// The directory, for clone3 to put a process into.
    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Its name below `/sys/fs/cgroup/services`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Kills every process in it and below it, also those it creates meanwhile.
    pub(crate) fn kill(&self) -> Result<(), Errno> {
        self.write("cgroup.kill", "1")
    }

    /// `cgroup.events`: it reports EPOLLPRI when the last process goes.
    pub(crate) fn open_events(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        openat(&self.directory, "cgroup.events", flags, Mode::empty())
    }

    /// Whether the kernel has killed a process in it or below it for want of memory, its own or
    /// the system's (`memory.events` of Documentation/admin-guide/cgroup-v2.rst). Nobody can tell
    /// while no service has a limit for memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let mut text = [0_u8; 256];
        let length = openat(&self.directory, "memory.events", flags, Mode::empty())
            .and_then(|events| rustix::io::read(events, &mut text));
        has_oom_kills(text.get(..length.unwrap_or(0)).unwrap_or_default())
    }

    fn is_populated(&self) -> bool {
        self.open_events().is_ok_and(|events| has_processes(events.as_fd()))
    }

    fn write(&self, file: &str, text: &str) -> Result<(), Errno> {
        write_control(self.directory.as_fd(), file, text)
    }
}

/// Reads an open `cgroup.events`. One that cannot be read belongs to a cgroup
/// that is gone, and so are its processes.
pub(crate) fn has_processes(events: BorrowedFd<'_>) -> bool {
    let mut text = [0_u8; 128];
    let length = rustix::io::pread(events, &mut text, 0).unwrap_or(0);
    let text = text.get(..length).unwrap_or_default();
    text.split(|byte| *byte == b'\n').any(|line| line == b"populated 1")
}

/// Whether a `memory.events` counts processes that were killed.
fn has_oom_kills(text: &[u8]) -> bool {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.any(|line| line.strip_prefix(b"oom_kill ").is_some_and(|count| count != b"0"))
}

/// Kills the process group that stands in for a cgroup.
pub(crate) fn kill_group(leader: u32) {
    if let Some(leader) = pid(leader) {
        // Fails when nobody is left, which `group_exists` will say.
        let _ = kill_process_group(leader, Signal::KILL);
    }
}

/// Whether a process of the group is left.
pub(crate) fn group_exists(leader: u32) -> bool {
    pid(leader).is_some_and(|leader| test_kill_process_group(leader) != Err(Errno::SRCH))
}

fn pid(raw: u32) -> Option<Pid> {
    i32::try_from(raw).ok().and_then(Pid::from_raw)
}

/// The service that process `pid` belongs to, by its line of `/proc/PID/cgroup`.
pub(crate) fn name_of_process(pid: u32) -> Option<String> {
    name_in(&files::read_text(&format!("/proc/{pid}/cgroup")).ok()?).map(str::to_owned)
}

/// The first name below `services`, out of the text of a `/proc/PID/cgroup`.
fn name_in(text: &str) -> Option<&str> {
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    path.strip_prefix("/services/")?.split('/').next()
}

fn open_directory(at: BorrowedFd<'_>, path: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(at, path, flags, Mode::empty())
}

fn make_directory(at: &OwnedFd, path: &str) -> Result<(), Errno> {
    match mkdirat(at, path, Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

fn write_control(at: BorrowedFd<'_>, file: &str, text: &str) -> Result<(), Errno> {
    let file = openat(at, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(file, text.as_bytes()).map(drop)
}

/// Removes the directories below `parent`, deepest first. The kernel's files
/// in them go with them.
fn remove_children(parent: BorrowedFd<'_>) {
    let Ok(entries) = Dir::read_from(parent) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if entry.file_type() != FileType::Directory || name == c"." || name == c".." {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let Ok(child) = openat(parent, name, flags, Mode::empty()) {
            remove_children(child.as_fd());
        }
        // Reported by whoever removes the top.
        let _ = unlinkat(parent, name, AtFlags::REMOVEDIR);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_of_a_process_is_the_first_name_below_services() {
        assert_eq!(name_in("0::/services/logd\n"), Some("logd"));
        assert_eq!(name_in("1:cpu:/x\n0::/services/web/worker/1\n"), Some("web"));
        assert_eq!(name_in("0::/\n"), None);
        assert_eq!(name_in("0::/services"), None);
        assert_eq!(name_in("3:pids:/services/logd\n"), None);
    }

    #[test]
    fn only_kills_for_want_of_memory_count() {
        let events =
            |kills| format!("low 0\nhigh 0\nmax 90\noom 3\noom_kill {kills}\noom_group_kill 0\n");
        assert!(has_oom_kills(events(1).as_bytes()) && has_oom_kills(events(20).as_bytes()));
        assert!(!has_oom_kills(events(0).as_bytes()) && !has_oom_kills(b""));
    }
}
