//! The states of a service.

use std::fmt;

use crate::event::{ExitStatus, SpawnError};
use crate::name::ServiceName;

/// Where a service is in its life. `docs/service-description.md` shows it to people.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum State {
    /// Down, and nobody wants it up.
    Stopped,
    /// Wanted up, and something must happen first; the reason says what.
    Waiting,
    /// Process created, program not yet executed.
    Starting,
    /// Program executed, not yet ready. A oneshot at work is here.
    Running,
    /// Up: a daemon that is ready.
    Ready,
    /// On its way down: asked to end, or its remaining processes are being killed.
    Stopping,
    /// Ended; an automatic restart is due.
    Backoff,
    /// Down for a reason that needs a person.
    Failed,
    /// Up: a oneshot that exited with status 0.
    Completed,
}

impl State {
    /// Every state, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::Stopped,
        Self::Waiting,
        Self::Starting,
        Self::Running,
        Self::Ready,
        Self::Stopping,
        Self::Backoff,
        Self::Failed,
        Self::Completed,
    ];

    /// Whether a service that requires this one may run.
    #[must_use]
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Ready | Self::Completed)
    }

    /// Whether processes of the service exist or may exist.
    #[must_use]
    pub const fn has_processes(self) -> bool {
        matches!(self, Self::Starting | Self::Running | Self::Ready | Self::Stopping)
    }

    /// The word that `svcctl` shows and the protocol's documentation uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::Backoff => "backoff",
            Self::Failed => "failed",
            Self::Completed => "completed",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a service is in its state: the answer of `svcctl why`.
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
    /// It requires, wants or follows itself by way of these services, in order.
    Cycle(Vec<ServiceName>),
    /// Its description could not be read; the text names file, line and cause.
    BadDescription(String),
    /// Its process could not be created or its program not executed.
    SpawnFailed(SpawnError),
    /// It ended by itself.
    Exited(ExitStatus),
    /// It was not ready within its start timeout.
    StartTimeout,
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
