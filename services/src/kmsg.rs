//! Records of `/dev/kmsg` (Documentation/ABI/testing/dev-kmsg): the kernel's own
//! messages and those that programs wrote into its ring.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

/// Longest record that /dev/kmsg gives out, with room to spare (`PRINTK_MESSAGE_MAX`).
pub const RECORD_BYTES_MAX: usize = 8 * 1024;

/// Longest record that is written to it, in bytes: the kernel refuses those above
/// `PRINTKRB_RECORD_MAX`, 1024, and older ones above 976.
const WRITTEN_BYTES_MAX: usize = 960;

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

/// Leaves `PROGRAM: TEXT` in the kernel's log, for programs that have no other output that
/// anybody keeps. `priority` is facility times 8 and severity, as syslog(3) packs them. Without
/// the log nothing happens: there is nowhere to report that it is gone.
pub fn write(priority: u8, program: &str, text: &str) {
    let record = written(priority, program, text);
    // In one piece: each write(2) is a record of its own, and only its start has a priority.
    let _ = File::options()
        .write(true)
        .open("/dev/kmsg")
        .and_then(|mut kmsg| kmsg.write_all(record.as_bytes()));
}

/// The record as /dev/kmsg takes it: one line, cut where it would be refused for its length.
fn written(priority: u8, program: &str, text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut record = format!("<{priority}>{program}: {}", lines.join("; "));
    record.truncate(record.floor_char_boundary(WRITTEN_BYTES_MAX));
    record.push('\n');
    record
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

    #[test]
    fn what_is_written_is_one_line_that_the_kernel_takes() {
        let record = written(12, "fwctl", "the rules stay: no table\n  hint: make one\n");
        assert_eq!(record, "<12>fwctl: the rules stay: no table; hint: make one\n");
        let record = written(12, "fwctl", &"ü".repeat(1000));
        assert!(record.ends_with("ü\n") && (950..=961).contains(&record.len()), "{record}");
    }
}
