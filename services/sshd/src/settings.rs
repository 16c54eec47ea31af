//! `/etc/ssh/sshd.toml`: every key, its default and its checks (`docs/ssh.md`).
//!
//! Read strictly: an unknown key, a wrong type and a value out of range are findings
//! with their places, all of them at once.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use init_core::diagnostic::{Finding, suggest};
use services::config_file::{self, Reader, Section};
use services::people::accounts::Group;
use services::problem::Result;

use crate::source::Source;

/// What lists the keys.
const PAGE: &str = "docs/ssh.md";
/// Most of whatever is counted.
const COUNT_MAX: u64 = 10_000;

const KEYS: [&str; 15] = [
    "listen",
    "host-key",
    "authorized-keys-directory",
    "home-keys",
    "allow-groups",
    "max-auth-tries",
    "login-grace-time",
    "max-connections",
    "max-connections-per-address",
    "max-failures",
    "failure-window",
    "keepalive-interval",
    "accept-env",
    "sftp",
    "tcp-forwarding",
];

/// What the server is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Settings {
    /// Addresses to listen on.
    pub(crate) listen: Vec<SocketAddr>,
    /// The private host key, an OpenSSH file.
    pub(crate) host_key: PathBuf,
    /// Directory with a file of public keys per user.
    pub(crate) authorized_keys_directory: PathBuf,
    /// Whether users other than root may name keys of their own in `~/.ssh/authorized_keys`.
    pub(crate) home_keys: bool,
    /// Groups whose members may log in; empty lets everybody.
    pub(crate) allow_groups: Vec<String>,
    /// Keys that one connection may offer in vain.
    pub(crate) max_auth_tries: usize,
    /// Longest time until somebody has logged in.
    pub(crate) login_grace_time: Duration,
    /// Connections at a time.
    pub(crate) max_connections: usize,
    /// Connections at a time from one address (IPv6: from one /64).
    pub(crate) max_connections_per_address: usize,
    /// Connections without a login that an address may make within `failure_window`.
    pub(crate) max_failures: usize,
    /// See `max_failures`.
    pub(crate) failure_window: Duration,
    /// Silence after which the peer is asked whether it is there; three unanswered end it.
    pub(crate) keepalive_interval: Duration,
    /// Variables a client may set; a trailing `*` stands for any rest.
    pub(crate) accept_env: Vec<String>,
    /// Whether files can be transferred.
    pub(crate) sftp: bool,
    /// Whether clients may connect on from here (`ssh -L`, `ssh -J`).
    pub(crate) tcp_forwarding: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: vec![([0, 0, 0, 0], 22).into(), ([0_u16; 8], 22).into()],
            host_key: "/var/lib/sshd/host_ed25519".into(),
            authorized_keys_directory: "/etc/ssh/authorized_keys.d".into(),
            home_keys: true,
            allow_groups: Vec::new(),
            max_auth_tries: 6,
            login_grace_time: Duration::from_secs(30),
            max_connections: 64,
            max_connections_per_address: 16,
            max_failures: 10,
            failure_window: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(60),
            accept_env: ["LANG", "LC_*", "COLORTERM"].map(str::to_owned).into(),
            sftp: true,
            tcp_forwarding: false,
        }
    }
}

/// Reads settings from `text`, which comes from `source`.
///
/// # Errors
/// All findings as one problem.
pub(crate) fn read(source: &Source, text: &str) -> Result<Settings> {
    let file = source.path().display().to_string();
    parse(&file, text, None).map_err(|found| config_file::problem(&found))
}

/// Reads settings as [`read`] does, and looks for groups that are not among `groups`. The
/// server itself takes them: who is in a group that is to be made yet may log in then.
///
/// # Errors
/// All findings as one problem.
pub(crate) fn check(source: &Source, text: &str, groups: &[Group]) -> Result<Settings> {
    let file = source.path().display().to_string();
    parse(&file, text, Some(groups)).map_err(|found| config_file::problem(&found))
}

/// Reads settings from `text`, the content of `file`; those of `groups` exist, if it is known.
///
/// # Errors
/// All findings, in the order of the file.
fn parse(
    file: &str,
    text: &str,
    groups: Option<&[Group]>,
) -> std::result::Result<Settings, Vec<Finding>> {
    config_file::parse(file, text, PAGE, |reader, root| {
        reader.check_keys(root, &KEYS);
        let given = Given { root, reader, groups };
        given.read()
    })
}

/// A file that is being read.
struct Given<'r, 't> {
    root: &'r Section<'t>,
    reader: &'r mut Reader<'t>,
    groups: Option<&'r [Group]>,
}

impl Given<'_, '_> {
    fn read(mut self) -> Settings {
        let mut to = Settings::default();
        if let Some(listen) = self.listen() {
            to.listen = listen;
        }
        self.path("host-key", &mut to.host_key);
        self.path("authorized-keys-directory", &mut to.authorized_keys_directory);
        self.flag("home-keys", &mut to.home_keys);
        self.groups(&mut to.allow_groups);
        self.count("max-auth-tries", &mut to.max_auth_tries);
        self.duration("login-grace-time", &mut to.login_grace_time);
        self.count("max-connections", &mut to.max_connections);
        self.count("max-connections-per-address", &mut to.max_connections_per_address);
        self.count("max-failures", &mut to.max_failures);
        self.duration("failure-window", &mut to.failure_window);
        self.duration("keepalive-interval", &mut to.keepalive_interval);
        self.words("accept-env", &mut to.accept_env);
        self.flag("sftp", &mut to.sftp);
        self.flag("tcp-forwarding", &mut to.tcp_forwarding);
        to
    }

    fn listen(&mut self) -> Option<Vec<SocketAddr>> {
        self.root.get("listen")?;
        let texts = self.reader.one_or_more(self.root, "listen");
        let mut addresses = Vec::new();
        for (text, span) in texts {
            match text.parse() {
                Ok(address) if addresses.contains(&address) => {
                    self.reader.report(span, format!("{text:?} is listed twice"));
                }
                Ok(address) => addresses.push(address),
                Err(_) => self.reader.report_hint(
                    span,
                    format!("{text:?} is no address with a port"),
                    "such as \"0.0.0.0:22\" or \"[::]:22\"",
                ),
            }
        }
        Some(addresses)
    }

    fn groups(&mut self, to: &mut Vec<String>) {
        if self.root.get("allow-groups").is_none() {
            return;
        }
        let texts = self.reader.one_or_more(self.root, "allow-groups");
        *to = texts.iter().map(|(text, _)| (*text).to_owned()).collect();
        let Some(groups) = self.groups else { return };
        let names = || groups.iter().map(|group| group.name.as_str());
        for (text, span) in texts {
            if !names().any(|name| name == text) {
                let hint = match suggest(text, names()) {
                    Some(near) => format!("did you mean {near:?}?"),
                    None => "/etc/group lists the groups".to_owned(),
                };
                self.reader.report_hint(span, format!("there is no group {text:?}"), hint);
            }
        }
    }

    fn path(&mut self, key: &str, to: &mut PathBuf) {
        let absolute = |text: &str| match text.starts_with('/') {
            true => Ok(PathBuf::from(text)),
            false => Err("the path must be absolute".to_owned()),
        };
        to.clone_from(&self.reader.parsed(self.root, key, absolute).unwrap_or_else(|| to.clone()));
    }

    fn flag(&mut self, key: &str, to: &mut bool) {
        *to = self.reader.boolean(self.root, key).unwrap_or(*to);
    }

    fn count(&mut self, key: &str, to: &mut usize) {
        let number = self.reader.number(self.root, key, 1, COUNT_MAX);
        *to = number.and_then(|number| usize::try_from(number).ok()).unwrap_or(*to);
    }

    fn duration(&mut self, key: &str, to: &mut Duration) {
        let (least, most) = (Duration::from_secs(1), Duration::from_secs(24 * 60 * 60));
        *to = self.reader.duration_within(self.root, key, least, most).unwrap_or(*to);
    }

    fn words(&mut self, key: &str, to: &mut Vec<String>) {
        if self.root.get(key).is_some() {
            let texts = self.reader.one_or_more(self.root, key);
            *to = texts.into_iter().map(|(text, _)| text.to_owned()).collect();
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn every_key_is_read() {
        let text = "listen = [\"127.0.0.1:2222\"]\nhost-key = \"/k\"\n\
            authorized-keys-directory = \"/a\"\nhome-keys = false\nallow-groups = [\"wheel\"]\n\
            max-auth-tries = 2\nlogin-grace-time = \"5s\"\nmax-connections = 3\n\
            max-connections-per-address = 4\nmax-failures = 5\nfailure-window = \"1min\"\n\
            keepalive-interval = \"15s\"\naccept-env = [\"A*\"]\nsftp = false\ntcp-forwarding = true\n";
        let settings = Settings {
            listen: vec!["127.0.0.1:2222".parse().unwrap()],
            host_key: "/k".into(),
            authorized_keys_directory: "/a".into(),
            home_keys: false,
            allow_groups: vec!["wheel".into()],
            max_auth_tries: 2,
            login_grace_time: Duration::from_secs(5),
            max_connections: 3,
            max_connections_per_address: 4,
            max_failures: 5,
            failure_window: Duration::from_secs(60),
            keepalive_interval: Duration::from_secs(15),
            accept_env: vec!["A*".into()],
            sftp: false,
            tcp_forwarding: true,
        };
        assert_eq!(parse("f", text, None).unwrap(), settings);
        assert_eq!(text.lines().count(), KEYS.len());
        assert!(KEYS.iter().all(|key| text.contains(key)));
        assert_eq!(parse("f", "", None).unwrap(), Settings::default());
    }

    #[test]
    fn every_mistake_is_found_with_its_place() {
        let text = "listen = [\"here\"]\nhost-key = \"k\"\nsfpt = true\nmax-failures = 0\n\
            login-grace-time = \"30\"\nhome-keys = 1\naccept-env = [1]\n";
        let findings = parse("sshd.toml", text, None).unwrap_err();
        let found: Vec<String> = findings.iter().map(ToString::to_string).collect();
        let expected = [
            "sshd.toml:1:11: \"here\" is no address with a port",
            "sshd.toml:2:12: \"host-key\": the path must be absolute",
            "sshd.toml:3:1: unknown key \"sfpt\"\n  hint: did you mean \"sftp\"?",
            "sshd.toml:4:16: \"max-failures\" is from 1 to 10000",
            "sshd.toml:5:20: ",
            "sshd.toml:6:13: \"home-keys\" wants true or false",
            "sshd.toml:7:15: \"accept-env\" wants",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
        assert!(parse("f", "listen = []", None).is_err());
        assert!(parse("f", "listen =", None).is_err());
    }

    #[test]
    fn an_address_is_listed_once() {
        let text = "listen = [\"[::]:22\", \"0.0.0.0:22\", \"[0::0]:22\"]\n";
        let [finding] = parse("f", text, None).unwrap_err().try_into().unwrap();
        assert_eq!(finding.to_string(), "f:1:36: \"[0::0]:22\" is listed twice");
    }

    #[test]
    fn a_check_tells_groups_that_do_not_exist() {
        let groups: Vec<Group> =
            init_core::accounts::groups("root:x:0:\nwheel:x:10:ann\n").collect();
        let text = "allow-groups = [\"whel\", \"wheel\", \"guests\"]\n";
        let findings = parse("f", text, Some(&groups)).unwrap_err();
        let found: Vec<String> = findings.iter().map(ToString::to_string).collect();
        let expected = [
            "f:1:17: there is no group \"whel\"\n  hint: did you mean \"wheel\"?",
            "f:1:34: there is no group \"guests\"\n  hint: /etc/group lists the groups",
        ];
        assert_eq!(found, expected);
        assert!(parse("f", text, None).is_ok(), "the server takes them");
        assert!(parse("f", "", Some(&groups)).is_ok());
        assert_eq!(parse("f", "allow-groups = []\n", Some(&groups)).unwrap_err().len(), 1);
    }
}
