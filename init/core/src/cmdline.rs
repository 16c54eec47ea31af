//! The kernel command line, as PID 1 reads it from `/proc/cmdline`.
//!
//! Quoting follows the kernel's own parser (`lib/cmdline.c`, `next_arg`); the
//! `root*` keys mean what `Documentation/admin-guide/kernel-parameters.txt`
//! says; keys that start with `init.` are PID 1's own and a misspelt one is a
//! finding. Everything else belongs to somebody else and is passed over.
//! Absent: NFS roots, MTD and UBI roots, `PARTNROFF=`.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::diagnostic::suggest;

/// How long PID 1 looks for the root device when neither `rootwait` nor
/// `rootwait=` is given.
pub const ROOT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// PID 1's own keys.
const OWN_KEYS: [&str; 1] = ["init.rescue"];

/// What the command line asks of PID 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandLine {
    /// `root=`: what to switch to from an initramfs.
    pub root: Option<RootSource>,
    /// `rootfstype=`: file systems to try, in order; empty for whatever is found.
    pub root_types: Vec<String>,
    /// `rootflags=`: mount options for the root, passed to the file system as they are.
    pub root_flags: String,
    /// Whether the root stays read-only: `ro`. The default, and `rw`, is writable.
    pub read_only: bool,
    /// `rootdelay=`: pause before the first look, whole seconds.
    pub root_delay: Duration,
    /// `rootwait=`: how long to look, whole seconds; `None` (`rootwait` alone) is for ever.
    pub root_timeout: Option<Duration>,
    /// `init=`: what the new root's PID 1 is; `None` is `/sbin/init`.
    pub init: Option<String>,
    /// `debug`: PID 1 logs the steps on the way too.
    pub debug: bool,
    /// `init.rescue=`: what happens when boot cannot go on.
    pub rescue: RescuePolicy,
    /// What could not be understood, as lowercase fragments.
    pub findings: Vec<String>,
}

/// Where the root file system is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RootSource {
    /// `PARTUUID=`: the partition's GUID, or `SSSSSSSS-PP` on an MBR disk; lowercase.
    PartitionUuid(String),
    /// `PARTLABEL=`: the partition's name in the GPT.
    PartitionLabel(String),
    /// `UUID=`: the file system's UUID, or a FAT volume id `XXXX-XXXX`; lowercase.
    Uuid(String),
    /// `LABEL=`: the file system's label.
    Label(String),
    /// `/dev/NAME`.
    Path(String),
    /// `MAJOR:MINOR`, decimal.
    Number {
        /// Major device number.
        major: u32,
        /// Minor device number.
        minor: u32,
    },
}

/// What happens when boot cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RescuePolicy {
    /// A root shell on the console, without a password: for development images.
    Shell,
    /// Restart after a pause that lets a person read the reason. The default.
    #[default]
    Reboot,
    /// Power off after the same pause.
    PowerOff,
}

impl Default for CommandLine {
    fn default() -> Self {
        Self {
            root: None,
            root_types: Vec::new(),
            root_flags: String::new(),
            read_only: false,
            root_delay: Duration::ZERO,
            root_timeout: Some(ROOT_TIMEOUT_DEFAULT),
            init: None,
            debug: false,
            rescue: RescuePolicy::default(),
            findings: Vec::new(),
        }
    }
}

impl CommandLine {
    /// Reads `line`. A later key overrides an earlier one, as in the kernel;
    /// what follows `--` is for the init program and not read.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let mut parsed = Self::default();
        for word in words(line) {
            if word.key == "--" && word.value.is_none() {
                break;
            }
            parsed.take(&word.key, word.value.as_deref());
        }
        parsed
    }

    fn take(&mut self, key: &str, value: Option<&str>) {
        match (key, value) {
            ("root", Some(value)) => match RootSource::parse(value) {
                Some(root) => self.root = Some(root),
                None => self.findings.push(format!(
                    "root={value}: neither /dev/…, PARTUUID=, PARTLABEL=, UUID=, LABEL= nor MAJOR:MINOR"
                )),
            },
            ("rootfstype", Some(value)) => {
                self.root_types =
                    value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            }
            ("rootflags", Some(value)) => value.clone_into(&mut self.root_flags),
            ("debug", None) => self.debug = true,
            ("ro", None) => self.read_only = true,
            ("rw", None) => self.read_only = false,
            ("rootwait", None) => self.root_timeout = None,
            ("rootwait", Some(value)) => {
                if let Some(timeout) = self.seconds(key, value) {
                    self.root_timeout = Some(timeout);
                }
            }
            ("rootdelay", Some(value)) => {
                if let Some(delay) = self.seconds(key, value) {
                    self.root_delay = delay;
                }
            }
            ("init", Some(value)) => self.init = Some(value.to_owned()),
            ("init.rescue", value) => match value {
                Some("shell") => self.rescue = RescuePolicy::Shell,
                Some("reboot") => self.rescue = RescuePolicy::Reboot,
                Some("poweroff") => self.rescue = RescuePolicy::PowerOff,
                other => self.findings.push(format!(
                    "init.rescue={}: neither shell, reboot nor poweroff",
                    other.unwrap_or_default()
                )),
            },
            (key, _) if key.starts_with("init.") => {
                let meant = suggest(key, OWN_KEYS).map(|own| format!(" (did you mean {own}?)"));
                self.findings.push(format!("{key}: no such key{}", meant.unwrap_or_default()));
            }
            _ => {}
        }
    }

    fn seconds(&mut self, key: &str, value: &str) -> Option<Duration> {
        match value.parse::<u32>() {
            Ok(seconds) => Some(Duration::from_secs(u64::from(seconds))),
            Err(_) => {
                self.findings.push(format!("{key}={value}: not a number of seconds"));
                None
            }
        }
    }
}

impl RootSource {
    /// Reads the value of `root=`; `None` if it has no known form.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        if let Some((tag, content)) = value.split_once('=') {
            if content.is_empty() {
                return None;
            }
            return match tag {
                "PARTUUID" => Some(Self::PartitionUuid(content.to_ascii_lowercase())),
                "PARTLABEL" => Some(Self::PartitionLabel(content.to_owned())),
                "UUID" => Some(Self::Uuid(content.to_ascii_lowercase())),
                "LABEL" => Some(Self::Label(content.to_owned())),
                _ => None,
            };
        }
        if let Some(name) = value.strip_prefix("/dev/") {
            return (!name.is_empty()).then(|| Self::Path(value.to_owned()));
        }
        let (major, minor) = value.split_once(':')?;
        Some(Self::Number { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

/// As a person wrote it behind `root=`.
impl core::fmt::Display for RootSource {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::PartitionUuid(text) => write!(f, "PARTUUID={text}"),
            Self::PartitionLabel(text) => write!(f, "PARTLABEL={text}"),
            Self::Uuid(text) => write!(f, "UUID={text}"),
            Self::Label(text) => write!(f, "LABEL={text}"),
            Self::Path(text) => f.write_str(text),
            Self::Number { major, minor } => write!(f, "{major}:{minor}"),
        }
    }
}

/// One word of the command line: `key` or `key=value`, without its quotes.
#[derive(PartialEq, Eq, Debug)]
pub struct Word {
    /// What stands before the first `=`, or all of it.
    pub key: String,
    /// What stands behind it.
    pub value: Option<String>,
}

/// Splits as `next_arg` does: white space separates unless a `"` is open; a
/// quote that opens the word or its value is dropped, and so is the one that
/// closes it; any other quote stays.
#[must_use]
pub fn words(line: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let mut quoted = false;
        let end = rest
            .find(|c: char| {
                quoted ^= c == '"';
                c.is_ascii_whitespace() && !quoted
            })
            .unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        words.push(Word::of(word));
        rest = tail.trim_start();
    }
    words
}

impl Word {
    fn of(word: &str) -> Self {
        let (word, whole_quoted) = match word.strip_prefix('"') {
            Some(inner) => (inner.strip_suffix('"').unwrap_or(inner), true),
            None => (word, false),
        };
        match word.split_once('=') {
            None => Self { key: word.to_owned(), value: None },
            Some((key, value)) => {
                let value = match value.strip_prefix('"') {
                    Some(inner) if !whole_quoted => inner.strip_suffix('"').unwrap_or(inner),
                    _ => value,
                };
                Self { key: key.to_owned(), value: Some(value.to_owned()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_split_as_the_kernel_splits_them() {
        type Expected = &'static [(&'static str, Option<&'static str>)];
        let table: [(&str, Expected); 6] = [
            ("", &[]),
            ("  quiet\tro\n", &[("quiet", None), ("ro", None)]),
            (r#"a="b c" d"#, &[("a", Some("b c")), ("d", None)]),
            (r#""a=b c" d"#, &[("a", Some("b c")), ("d", None)]),
            (r#"a="unclosed b"#, &[("a", Some("unclosed b"))]),
            (r#"a=b"c d"e"#, &[("a", Some(r#"b"c d"e"#))]),
        ];
        for (line, expected) in table {
            let expected: Vec<Word> = expected
                .iter()
                .map(|(key, value)| Word {
                    key: (*key).to_owned(),
                    value: value.map(str::to_owned),
                })
                .collect();
            assert_eq!(words(line), expected, "{line:?}");
        }
    }

    #[test]
    fn the_root_keys_are_read() {
        let line = CommandLine::parse(
            "console=ttyS0 root=PARTUUID=ABCD-02 rootfstype=ext4,erofs \
             rootflags=noatime,data=ordered ro rootdelay=2 debug rootwait=30 init=/bin/x init.rescue=shell",
        );
        assert_eq!(line.root, Some(RootSource::PartitionUuid("abcd-02".into())));
        assert_eq!(line.root_types, ["ext4", "erofs"]);
        assert_eq!(line.root_flags, "noatime,data=ordered");
        assert!(line.read_only && line.debug);
        assert_eq!(line.root_delay, Duration::from_secs(2));
        assert_eq!(line.root_timeout, Some(Duration::from_secs(30)));
        assert_eq!(line.init.as_deref(), Some("/bin/x"));
        assert_eq!(line.rescue, RescuePolicy::Shell);
        assert_eq!(line.findings, [""; 0]);
    }

    #[test]
    fn the_last_word_wins_and_the_defaults_hold() {
        assert_eq!(CommandLine::parse("quiet panic=-1 foo.bar=1"), CommandLine::default());
        let line = CommandLine::parse("ro root=/dev/vda rw root=/dev/vdb rootwait");
        assert!(!line.read_only);
        assert_eq!(line.root, Some(RootSource::Path("/dev/vdb".into())));
        assert_eq!(line.root_timeout, None);
        let line = CommandLine::parse("rw -- ro root=/dev/vda");
        assert!(!line.read_only && line.root.is_none());
    }

    #[test]
    fn forms_of_root() {
        let table = [
            ("PARTLABEL=my root", Some(RootSource::PartitionLabel("my root".into()))),
            ("LABEL=Root", Some(RootSource::Label("Root".into()))),
            ("UUID=AB-12", Some(RootSource::Uuid("ab-12".into()))),
            ("254:2", Some(RootSource::Number { major: 254, minor: 2 })),
            ("/dev/", None),
            ("LABEL=", None),
            ("nfs", None),
            ("mtd:rootfs", None),
        ];
        for (text, expected) in table {
            assert_eq!(RootSource::parse(text), expected, "{text}");
        }
        let source = RootSource::parse("PARTLABEL=my root").unwrap();
        assert_eq!(source.to_string(), "PARTLABEL=my root");
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let line = CommandLine::parse(
            "root=nfs rootwait=soon init.rescue=never init.rescu=shell init.rescue",
        );
        assert_eq!(line.findings.len(), 5, "{:?}", line.findings);
        assert!(line.findings[3].contains("did you mean init.rescue?"), "{:?}", line.findings);
        assert_eq!(line.rescue, RescuePolicy::Reboot);
    }
}
