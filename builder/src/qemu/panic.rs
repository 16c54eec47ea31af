//! Why a guest's kernel panicked, as it wrote to its console.
//!
//! Pure, and only for the message to a person: that the kernel panicked is told
//! by QEMU, never by this.

/// What `panic()` of the kernel writes before its reason.
const MARK: &str = "Kernel panic - not syncing: ";

/// What a reason has in it, and what helps then.
const REMEDIES: [(&[&str], &str); 3] = [
    (
        &["deadlocked on memory", "Out of memory"],
        "what the initramfs unpacks and the guest's programs need more memory than it has: \
         `--memory-mib` gives it more",
    ),
    (
        &["Unable to mount root fs", "No working init found", "Requested init "],
        "the kernel was told of a root or an init that is not there: docs/boot.md says what \
         `root=`, `init=` and `rdinit=` take",
    ),
    (
        &["Attempted to kill init"],
        "PID 1 ended; `--console-log FILE` keeps all that was written to the console before",
    ),
];

/// A panic as the console shows it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Panic<'a> {
    /// The kernel's own words.
    pub(super) reason: &'a str,
    /// The console up to and with the line that says so. What follows is how the
    /// kernel got to its `panic()`, not what led to it.
    pub(super) console: &'a str,
}

impl<'a> Panic<'a> {
    /// Finds the first panic in what a console showed.
    pub(super) fn find(console: &'a str) -> Option<Self> {
        let (before, rest) = console.split_once(MARK)?;
        let reason = rest.lines().next().unwrap_or_default();
        let length = before.len() + MARK.len() + reason.len();
        Some(Self { reason: reason.trim(), console: &console[..length] })
    }

    /// What a person can do about it, if that is known.
    pub(super) fn remedy(&self) -> Option<&'static str> {
        let has = |part: &&str| self.reason.contains(part);
        REMEDIES.iter().find(|(parts, _)| parts.iter().any(has)).map(|(_, remedy)| *remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_first_panics_and_the_trace_after_it_is_left_out() {
        let before = "[    3.7] Out of memory and no killable processes...\r\n\
             [    3.8] Kernel panic - not syncing: System is deadlocked on memory";
        let console = format!(
            "{before}\r\n[    3.9] Call Trace:\r\n[    3.9]  ? 0xffffffffaa10ebcd\r\n\
             [    4.0] ---[ end Kernel panic - not syncing: System is deadlocked on memory ]---\r\n"
        );
        let panic = Panic::find(&console).unwrap();
        assert_eq!(panic.reason, "System is deadlocked on memory");
        assert_eq!(panic.console.trim_end(), before);
    }

    #[test]
    fn a_console_without_a_panic_has_none() {
        for console in ["", "Kernel panic", "[    0.1] Run /init as init process\r\n"] {
            assert_eq!(Panic::find(console), None, "{console}");
        }
        assert_eq!(Panic::find(MARK), Some(Panic { reason: "", console: MARK }));
    }

    #[test]
    fn what_can_be_helped_has_its_remedy() {
        let table = [
            ("System is deadlocked on memory", Some("--memory-mib")),
            ("Out of memory: compulsory panic_on_oom is enabled", Some("--memory-mib")),
            ("VFS: Unable to mount root fs on unknown-block(0,0)", Some("`root=`")),
            ("No working init found.  Try passing init= option to kernel.", Some("`init=`")),
            ("Requested init /usr/bin/none failed (error -2).", Some("`init=`")),
            ("Attempted to kill init! exitcode=0x00000100", Some("--console-log")),
            ("sysrq triggered crash", None),
            ("Fatal exception in interrupt", None),
        ];
        for (reason, expected) in table {
            let console = format!("[    1.0] {MARK}{reason}\r\n");
            let remedy = Panic::find(&console).unwrap().remedy();
            let is_expected = match (remedy, expected) {
                (Some(remedy), Some(part)) => remedy.contains(part),
                (remedy, expected) => remedy.is_none() && expected.is_none(),
            };
            assert!(is_expected, "{reason}: {remedy:?}");
        }
    }
}
