//! Records of `/dev/kmsg` (Documentation/ABI/testing/dev-kmsg): the kernel's own
//! messages and those that programs wrote into its ring.

use std::time::Duration;

/// Longest record that /dev/kmsg gives out, with room to spare (`PRINTK_MESSAGE_MAX`).
pub const RECORD_BYTES_MAX: usize = 8 * 1024;

/// Names of the severities 0 to 7 (syslog(3)).
pub const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];

/// Names of the facilities 0 to 11 and 16 to 23 (syslog(3)); those between have none.
pub const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "12", "13", "14", "15", "local0", "local1", "local2", "local3", "local4", "local5",
    "local6", "local7",
];

/// One record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Record<'a> {
    /// Facility times 8 and severity, as syslog(3) packs them.
    pub priority: u32,
    /// Its number, counted since boot.
    pub sequence: u64,
    /// When, on the kernel's monotonic clock.
    pub since_boot: Duration,
    /// The message, without what the kernel says about devices behind it.
    pub text: &'a str,
}

impl Record<'_> {
    /// The name of its severity.
    #[must_use]
    pub fn level(&self) -> &'static str {
        LEVELS.get((self.priority & 7) as usize).copied().unwrap_or("debug")
    }

    /// The name of its facility; `?` for a number that has none.
    #[must_use]
    pub fn facility(&self) -> &'static str {
        let number = usize::try_from(self.priority >> 3).unwrap_or(usize::MAX);
        FACILITIES.get(number).copied().unwrap_or("?")
    }

    /// Whether a program wrote it: the facility is not `kern`.
    #[must_use]
    pub fn is_from_user_space(&self) -> bool {
        self.priority >> 3 != 0
    }
}

/// Reads `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,…];TEXT`, with lines of
/// ` KEY=value` behind it, which are left out. `None` for what is no record.
#[must_use]
pub fn parse(record: &str) -> Option<Record<'_>> {
    let (head, text) = record.split_once(';')?;
    let mut fields = head.split(',');
    let priority = fields.next()?.parse().ok()?;
    let sequence = fields.next()?.parse().ok()?;
    let since_boot = Duration::from_micros(fields.next()?.parse().ok()?);
    Some(Record { priority, sequence, since_boot, text: text.lines().next().unwrap_or_default() })
}

/// The text of a record with its escapes undone: the kernel writes every byte that
/// cannot be printed, and the backslash, as `\xHH`. What is no UTF-8 after that is
/// replaced.
#[must_use]
pub fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let escaped = rest.strip_prefix(b"\\x").and_then(|digits| digits.get(..2));
        let byte = escaped.and_then(|digits| std::str::from_utf8(digits).ok());
        match byte.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = rest.get(4..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = behind;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_as_the_kernel_documents_them() {
        let record = "4,339,5140900,-;Initializing cgroup subsys cpu\n SUBSYSTEM=pci\n";
        let message = parse(record).unwrap();
        assert_eq!(message.text, "Initializing cgroup subsys cpu");
        assert_eq!((message.level(), message.facility(), message.sequence), ("warn", "kern", 339));
        assert_eq!(message.since_boot, Duration::from_micros(5_140_900));
        assert!(!message.is_from_user_space());
        let message = parse("30,340,5690716,-,caller=T1;init: up; running\n").unwrap();
        assert_eq!((message.level(), message.text), ("info", "init: up; running"));
        assert_eq!(message.facility(), "daemon");
        assert!(message.is_from_user_space());
        assert_eq!(parse("4294967295,1,2,-;x").unwrap().facility(), "?");
        for bad in ["", ";", "x,1,2;t", "1,2;t", "no semicolon", "4294967296,1,2,-;x"] {
            assert_eq!(parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn escapes_become_bytes_again() {
        for (text, plain) in [
            ("plain", "plain"),
            ("a\\x09b", "a\tb"),
            ("caf\\xc3\\xa9", "café"),
            ("\\x5cx41", "\\x41"),
            ("\\x", "\\x"),
            ("\\x4", "\\x4"),
            ("\\xzz", "\\xzz"),
            ("\\xff", "\u{fffd}"),
        ] {
            assert_eq!(unescape(text), plain, "{text:?}");
        }
    }
}
