//! How a guest ended, from what QEMU said about it, and the exit code for it.
//!
//! Pure: events in, an [`Ending`] out. A panic, a hang and a death are told
//! apart by events alone; what the console showed is only shown again.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::Signal;

use super::panic::Panic;
use super::qmp::Event;
use crate::error::Error;
use crate::host::last_lines;

/// The signals of a program that did what none may (signal(7)).
const FAULTS: [Signal; 5] = [Signal::SEGV, Signal::BUS, Signal::ILL, Signal::FPE, Signal::ABORT];

/// Exit code when QEMU could not be started or failed by itself.
pub const EXIT_EMULATOR: u8 = 123;
/// Exit code when the guest had not finished in time, as timeout(1) has it.
pub const EXIT_TIMEOUT: u8 = 124;
/// Exit code when the guest's kernel panicked.
pub const EXIT_PANIC: u8 = 125;
/// Exit code when the guest went down before it had finished.
pub const EXIT_DIED: u8 = 126;

/// How a guest ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ending {
    /// It powered itself off.
    PoweredOff,
    /// It asked for a reset, or its processor shut down (a triple fault).
    Reset,
    /// Its kernel panicked.
    Panicked,
    /// It stands still for a reason of QEMU's, such as `internal-error` or `io-error`.
    Stuck(String),
    /// It had not finished after this long.
    TimedOut(Duration),
    /// QEMU ended without the guest's doing; how, and what it said.
    EmulatorFailed(String),
    /// QEMU ended by a fault in itself; how, and what it said.
    EmulatorCrashed(String),
    /// The person interrupted the builder, with this signal.
    Interrupted(i32),
    /// The person quit, or QEMU was told to quit.
    Quit,
}

/// How QEMU's process ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exit {
    /// For people: its status, and what it said.
    pub text: String,
    /// Whether it was by a fault in the program.
    pub is_crash: bool,
}

/// Collects what QEMU says of one guest.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    panicked: bool,
    shutdown_reason: Option<String>,
}

impl Exit {
    /// Of a process with this status that said this.
    #[must_use]
    pub fn new(status: ExitStatus, said: &str) -> Self {
        let text = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
        let is_fault = |signal| FAULTS.iter().any(|fault| fault.as_raw() == signal);
        Self { text, is_crash: status.signal().is_some_and(is_fault) }
    }
}

impl Observer {
    /// Takes note of an event.
    pub fn see(&mut self, event: &Event) {
        match event {
            Event::Panicked => self.panicked = true,
            Event::Shutdown { reason } => self.shutdown_reason = Some(reason.clone()),
            Event::Reset | Event::Stopped | Event::Other(_) => {}
        }
    }

    /// The ending, now that QEMU's process has ended.
    #[must_use]
    pub fn ending(&self, emulator: &Exit) -> Ending {
        let text = &emulator.text;
        if self.panicked {
            return Ending::Panicked;
        }
        match self.shutdown_reason.as_deref() {
            Some("guest-shutdown") => Ending::PoweredOff,
            Some("guest-reset" | "subsystem-reset") => Ending::Reset,
            Some("guest-panic") => Ending::Panicked,
            Some("host-qmp-quit" | "host-ui") => Ending::Quit,
            Some(reason) => Ending::EmulatorFailed(format!("{text} ({reason})")),
            None if emulator.is_crash => Ending::EmulatorCrashed(text.clone()),
            None => Ending::EmulatorFailed(text.clone()),
        }
    }
}

impl Ending {
    /// The exit code when the guest had something left to do.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::PoweredOff | Self::Reset | Self::Stuck(_) | Self::Quit => EXIT_DIED,
            Self::Panicked => EXIT_PANIC,
            Self::TimedOut(_) => EXIT_TIMEOUT,
            Self::EmulatorFailed(_) | Self::EmulatorCrashed(_) => EXIT_EMULATOR,
            Self::Interrupted(signal) => u8::try_from(128 + signal).unwrap_or(EXIT_DIED),
        }
    }

    /// The error for a guest that had something left to do, with the last lines
    /// of its console; before a panic, since a trace of the kernel's is longer
    /// than they are.
    #[must_use]
    pub fn into_error(self, console: &str) -> Error {
        let panic = matches!(self, Self::Panicked).then(|| Panic::find(console)).flatten();
        let mut message = self.to_string();
        if let Some(panic) = panic {
            message.push_str(": ");
            message.push_str(&printable(panic.reason));
        }
        if !matches!(self, Self::Interrupted(_) | Self::Quit) {
            show_console(&mut message, panic.map_or(console, |panic| panic.console));
        }
        let error = Error::failure(message).exit_with(self.exit_code());
        match self {
            Self::Panicked => match panic.and_then(|panic| panic.remedy()) {
                Some(remedy) => error.hint(remedy),
                None => error,
            },
            Self::TimedOut(_) => error.hint("a longer limit is set with `--timeout SECONDS`"),
            Self::EmulatorCrashed(_) => error.transient().hint(
                "the fault is QEMU's, not the guest's: try again, or with another version of QEMU",
            ),
            Self::Stuck(status) if status == "internal-error" => {
                error.hint("KVM cannot run this guest here: use `--accel tcg`")
            }
            Self::Stuck(status) if status == "io-error" => {
                error.hint("is there space left for the disk's changes in /var/tmp (TMPDIR)?")
            }
            _ => error,
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PoweredOff => write!(f, "the guest powered off before it had finished"),
            Self::Reset => write!(f, "the guest died: it reset itself before it had finished"),
            Self::Panicked => write!(f, "the guest's kernel panicked"),
            Self::Stuck(status) => write!(f, "the guest died: qemu stopped it with {status}"),
            Self::TimedOut(after) => {
                write!(f, "the guest hangs: it had not finished after {} s", after.as_secs())
            }
            Self::EmulatorFailed(how) => write!(f, "qemu failed: {how}"),
            Self::EmulatorCrashed(how) => write!(f, "qemu crashed: {how}"),
            Self::Interrupted(signal) => write!(f, "interrupted by signal {signal}"),
            Self::Quit => write!(f, "qemu was told to quit"),
        }
    }
}

/// Adds a console's last lines to a message, unless it showed nothing.
fn show_console(message: &mut String, console: &str) {
    let lines = last_lines(console.trim_end());
    if lines.trim().is_empty() {
        return;
    }
    message.push_str("; the last it wrote to its console:");
    for line in lines.lines() {
        message.push_str("\n  ");
        message.push_str(&printable(line));
    }
}

/// A console line without what would move the cursor of the terminal it is shown on.
fn printable(line: &str) -> String {
    line.chars().filter(|c| !c.is_control() || *c == '\t').collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(events: &[Event]) -> Ending {
        let mut observer = Observer::default();
        for event in events {
            observer.see(event);
        }
        observer.ending(&Exit::new(ExitStatus::from_raw(0), ""))
    }

    fn shutdown(reason: &str) -> Event {
        Event::Shutdown { reason: reason.into() }
    }

    #[test]
    fn each_course_of_events_has_its_ending() {
        let emulator = |how: &str| Ending::EmulatorFailed(how.into());
        let table = [
            (vec![shutdown("guest-shutdown")], Ending::PoweredOff),
            (vec![shutdown("guest-reset")], Ending::Reset),
            (vec![Event::Panicked, Event::Stopped, shutdown("guest-panic")], Ending::Panicked),
            // A kernel that reboots after its panic is still one that panicked.
            (vec![Event::Panicked, shutdown("guest-reset")], Ending::Panicked),
            (vec![Event::Other("RESUME".into())], emulator("exit status: 0")),
            (vec![shutdown("host-signal")], emulator("exit status: 0 (host-signal)")),
            (vec![shutdown("host-qmp-quit")], Ending::Quit),
            (vec![Event::Reset, shutdown("guest-shutdown")], Ending::PoweredOff),
        ];
        for (events, expected) in table {
            assert_eq!(after(&events), expected, "{events:?}");
        }
    }

    #[test]
    fn a_crash_of_qemu_is_told_from_what_the_guest_did_before() {
        let crash = Exit::new(ExitStatus::from_raw(Signal::SEGV.as_raw()), "oh");
        let mut observer = Observer::default();
        let ending = observer.ending(&crash);
        assert_eq!(ending.to_string(), "qemu crashed: signal: 11 (SIGSEGV): oh");
        let killed = Exit::new(ExitStatus::from_raw(Signal::KILL.as_raw()), "");
        assert_eq!(observer.ending(&killed), Ending::EmulatorFailed("signal: 9 (SIGKILL)".into()));
        assert!(observer.ending(&crash).into_error("").is_transient());
        observer.see(&shutdown("guest-shutdown"));
        assert_eq!(observer.ending(&crash), Ending::PoweredOff);
        assert!(!Ending::PoweredOff.into_error("").is_transient());
    }

    #[test]
    fn panic_hang_and_death_differ_in_words_and_code() {
        let endings = [
            Ending::Panicked,
            Ending::TimedOut(Duration::from_secs(7)),
            Ending::Reset,
            Ending::EmulatorFailed("x".into()),
            Ending::Interrupted(2),
        ];
        let codes: std::collections::BTreeSet<u8> = endings.iter().map(Ending::exit_code).collect();
        assert_eq!(codes.len(), endings.len());
        let error = Ending::Panicked.into_error("one\n\x1b[2Jtwo\r\n");
        assert_eq!(
            error.to_string(),
            "the guest's kernel panicked; the last it wrote to its console:\n  one\n  [2Jtwo"
        );
        assert_eq!(error.exit_code(), std::process::ExitCode::from(EXIT_PANIC));
    }

    #[test]
    fn a_panic_has_its_reason_and_the_lines_before_it() {
        let trace = "\n[    4.0]  ? 0xffffffffaa10ebcd".repeat(100);
        let console = format!(
            "[    3.0] Unpacking initramfs...\n\
             [    4.0] Kernel panic - not syncing: System is deadlocked on memory{trace}\n"
        );
        let error = Ending::Panicked.into_error(&console).to_string();
        assert_eq!(
            error.split("\nhint:").next(),
            Some(
                "the guest's kernel panicked: System is deadlocked on memory; \
                 the last it wrote to its console:\n  \
                 [    3.0] Unpacking initramfs...\n  \
                 [    4.0] Kernel panic - not syncing: System is deadlocked on memory"
            )
        );
        assert!(error.contains("--memory-mib"), "{error}");
        // What a guest prints is no panic as long as QEMU tells of none.
        let error = Ending::Reset.into_error(&console).to_string();
        assert!(error.starts_with("the guest died: it reset itself"), "{error}");
        assert!(!error.contains("hint:"), "{error}");
    }
}
