//! The states of a service.

use std::fmt;

pub use crate::reason::Reason;

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
