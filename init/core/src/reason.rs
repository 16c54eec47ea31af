//! Why a service is in its state: the answer of `svcctl why`.
//!
//! Each reason is a word for programs ([`Reason::code`]) and a lowercase
//! fragment for people (`Display`). `docs/control-protocol.md` lists the words.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::name::ServiceName;
use crate::process::{ExitStatus, SpawnError};

/// Why a service is in its state.
#[derive(Clone, PartialEq, Debug)]
pub enum Reason {
    /// It has not been wanted since boot.
    NotStarted,
    /// It starts at boot.
    Autostart,
    /// A person asked.
    Requested,
    /// A service that requires or wants it starts.
    NeededBy(ServiceName),
    /// Its restart policy started it again.
    Restarted,
    /// It waits until this service is up, or for a soft order has settled.
    WaitsFor(ServiceName),
    /// It waits until this service, which conflicts, is down.
    WaitsForConflict(ServiceName),
    /// A service it requires went down.
    RequirementDown(ServiceName),
    /// A service it requires has failed.
    RequirementFailed(ServiceName),
    /// A service it requires is not described anywhere.
    RequirementUnknown(ServiceName),
    /// It conflicts with this service, which is up or starts.
    Conflict(ServiceName),
    /// It requires this service, and excludes it: itself, or by another that it requires.
    Excluded(ServiceName),
    /// It would collect the log, which this service does.
    SecondCollector(ServiceName),
    /// It requires, wants or follows itself by way of these services, in order.
    Cycle(Vec<ServiceName>),
    /// Its description could not be read; the text names file, line and cause.
    BadDescription(String),
    /// Its process could not be created or its program not executed.
    SpawnFailed(SpawnError),
    /// It ended by itself.
    Exited(ExitStatus),
    /// Its main process was killed after the kernel had killed processes of it for want of
    /// memory, that one or others.
    OutOfMemory,
    /// It was not ready within its start timeout.
    StartTimeout,
    /// It did not end within its stop timeout and is killed.
    StopTimeout,
    /// It was started more often than its start limit allows; the last end is kept.
    StartLimit {
        /// How many starts.
        count: u32,
        /// Within how many milliseconds.
        within_ms: u64,
        /// What ended the last one.
        last: Box<Reason>,
    },
    /// It or its children could not be killed; they are left behind.
    Unkillable,
    /// It told PID 1 that it is ready, or its kind of readiness was reached.
    BecameReady,
    /// The system goes down.
    Shutdown,
}

/// Every word that [`Reason::code`] gives.
pub const CODES: &[&str] = &[
    "not-started",
    "autostart",
    "requested",
    "needed-by",
    "restarted",
    "waits-for",
    "waits-for-conflict",
    "requirement-down",
    "requirement-failed",
    "requirement-unknown",
    "conflict",
    "excluded",
    "second-collector",
    "cycle",
    "bad-description",
    "spawn-failed",
    "exited",
    "killed",
    "out-of-memory",
    "start-timeout",
    "stop-timeout",
    "start-limit",
    "unkillable",
    "became-ready",
    "shutdown",
];

impl Reason {
    /// The word for programs, one of [`CODES`].
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotStarted => "not-started",
            Self::Autostart => "autostart",
            Self::Requested => "requested",
            Self::NeededBy(_) => "needed-by",
            Self::Restarted => "restarted",
            Self::WaitsFor(_) => "waits-for",
            Self::WaitsForConflict(_) => "waits-for-conflict",
            Self::RequirementDown(_) => "requirement-down",
            Self::RequirementFailed(_) => "requirement-failed",
            Self::RequirementUnknown(_) => "requirement-unknown",
            Self::Conflict(_) => "conflict",
            Self::Excluded(_) => "excluded",
            Self::SecondCollector(_) => "second-collector",
            Self::Cycle(_) => "cycle",
            Self::BadDescription(_) => "bad-description",
            Self::SpawnFailed(_) => "spawn-failed",
            Self::Exited(ExitStatus::Code(_)) => "exited",
            Self::Exited(ExitStatus::Signal { .. }) => "killed",
            Self::OutOfMemory => "out-of-memory",
            Self::StartTimeout => "start-timeout",
            Self::StopTimeout => "stop-timeout",
            Self::StartLimit { .. } => "start-limit",
            Self::Unkillable => "unkillable",
            Self::BecameReady => "became-ready",
            Self::Shutdown => "shutdown",
        }
    }

    /// The other service that the reason is about, if it is about one.
    #[must_use]
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::NeededBy(name)
            | Self::WaitsFor(name)
            | Self::WaitsForConflict(name)
            | Self::RequirementDown(name)
            | Self::RequirementFailed(name)
            | Self::RequirementUnknown(name)
            | Self::Conflict(name)
            | Self::Excluded(name)
            | Self::SecondCollector(name) => Some(name),
            Self::StartLimit { last, .. } => last.service(),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotStarted => write!(f, "not started since boot"),
            Self::Autostart => write!(f, "starts at boot"),
            Self::Requested => write!(f, "by request"),
            Self::NeededBy(name) => write!(f, "needed by {name}"),
            Self::Restarted => write!(f, "by its restart policy"),
            Self::WaitsFor(name) => write!(f, "waits for {name}"),
            Self::WaitsForConflict(name) => {
                write!(f, "waits until {name}, which it conflicts with, is down")
            }
            Self::RequirementDown(name) => write!(f, "{name}, which it requires, went down"),
            Self::RequirementFailed(name) => write!(f, "{name}, which it requires, failed"),
            Self::RequirementUnknown(name) => {
                write!(f, "{name}, which it requires, is not described")
            }
            Self::Conflict(name) => write!(f, "conflicts with {name}"),
            Self::Excluded(name) => write!(f, "requires and excludes {name}"),
            Self::SecondCollector(name) => write!(f, "{name} collects the log already"),
            Self::Cycle(names) => {
                write!(f, "needs itself: ")?;
                for name in names {
                    write!(f, "{name} -> ")?;
                }
                names.first().map_or(Ok(()), |first| write!(f, "{first}"))
            }
            Self::BadDescription(text) => write!(f, "its description is wrong: {text}"),
            Self::SpawnFailed(error) => write!(f, "{error}"),
            Self::Exited(status) => write!(f, "{status}"),
            // The kernel counts whom it killed since the instance began: somebody else may have
            // killed the main process, later.
            Self::OutOfMemory => {
                write!(f, "killed; processes of it were killed by the kernel: out of memory")
            }
            Self::StartTimeout => write!(f, "not ready within its start timeout"),
            Self::StopTimeout => write!(f, "did not end within its stop timeout: killed"),
            Self::StartLimit { count, within_ms, last } => {
                let within = Span(Duration::from_millis(*within_ms));
                write!(f, "start limit of {count} within {within} reached, last: {last}")
            }
            Self::Unkillable => write!(f, "left behind processes that could not be killed"),
            Self::BecameReady => write!(f, "ready"),
            Self::Shutdown => write!(f, "the system goes down"),
        }
    }
}

/// A duration in the largest unit that keeps it whole, as descriptions write it.
struct Span(Duration);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        for (unit, factor) in [("h", 3_600_000), ("min", 60_000), ("s", 1000)] {
            if milliseconds != 0 && milliseconds.is_multiple_of(factor) {
                return write!(f, "{}{unit}", milliseconds / factor);
            }
        }
        write!(f, "{milliseconds}ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::description::Signal;
    use crate::process::SpawnStage;

    #[test]
    fn people_read_fragments_and_programs_read_words() {
        let name = |text| ServiceName::new(text).unwrap();
        let segv = ExitStatus::Signal { signal: Signal(11), core_dumped: true };
        let limit = Reason::StartLimit {
            count: 5,
            within_ms: 10_000,
            last: Box::new(Reason::Exited(ExitStatus::Code(1))),
        };
        let spawn = SpawnError { stage: SpawnStage::Exec, errno: 2 };
        for (reason, code, text) in [
            (Reason::Exited(segv), "killed", "killed by SIGSEGV (core dumped)"),
            (
                limit,
                "start-limit",
                "start limit of 5 within 10s reached, last: exited with status 1",
            ),
            (Reason::Cycle(vec![name("a"), name("b")]), "cycle", "needs itself: a -> b -> a"),
            (Reason::WaitsFor(name("db")), "waits-for", "waits for db"),
            (
                Reason::SpawnFailed(spawn),
                "spawn-failed",
                "cannot execute its program: No such file or directory (os error 2)",
            ),
        ] {
            assert_eq!((reason.code(), reason.to_string().as_str()), (code, text));
        }
    }

    #[test]
    fn every_code_is_listed_and_every_listed_code_is_given() {
        let a = || ServiceName::new("a").unwrap();
        let error = SpawnError { stage: SpawnStage::Clone, errno: 11 };
        let killed = ExitStatus::Signal { signal: Signal::KILL, core_dumped: false };
        let last = Box::new(Reason::RequirementDown(a()));
        let all = [
            Reason::NotStarted,
            Reason::Autostart,
            Reason::Requested,
            Reason::NeededBy(a()),
            Reason::Restarted,
            Reason::WaitsFor(a()),
            Reason::WaitsForConflict(a()),
            Reason::RequirementDown(a()),
            Reason::RequirementFailed(a()),
            Reason::RequirementUnknown(a()),
            Reason::Conflict(a()),
            Reason::Excluded(a()),
            Reason::SecondCollector(a()),
            Reason::Cycle(vec![a()]),
            Reason::BadDescription("a.toml:1:1: wrong".to_owned()),
            Reason::SpawnFailed(error),
            Reason::Exited(ExitStatus::Code(1)),
            Reason::Exited(killed),
            Reason::OutOfMemory,
            Reason::StartTimeout,
            Reason::StopTimeout,
            Reason::StartLimit { count: 1, within_ms: 1, last },
            Reason::Unkillable,
            Reason::BecameReady,
            Reason::Shutdown,
        ];
        assert_eq!(all.iter().map(Reason::code).collect::<Vec<_>>(), CODES);
        for reason in all {
            let text = reason.to_string();
            assert!(!text.is_empty() && !text.ends_with('.'), "{text}");
            let named = text.split([' ', ',']).any(|word| word == "a");
            assert_eq!(reason.service().is_some() || reason.code() == "cycle", named, "{text}");
        }
    }

    #[test]
    fn spans_keep_their_value() {
        for (milliseconds, text) in [
            (0, "0ms"),
            (200, "200ms"),
            (1500, "1500ms"),
            (10_000, "10s"),
            (90_000, "90s"),
            (300_000, "5min"),
        ] {
            assert_eq!(Span(Duration::from_millis(milliseconds)).to_string(), text);
        }
    }
}
