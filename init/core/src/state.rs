//! The states of a service.

use core::fmt;

pub use crate::reason::Reason;

/// Where a service is in its life. `docs/service-description.md` shows it to people.
///
/// Every transition there is. "Up" and "down" are the service's goal: up from
/// boot, a request or a service that needs it; down from a request, a service
/// in conflict, a requirement that is down for good, or shutdown. An event that
/// a state does not list changes nothing in that state.
///
/// | State | What happens | Next state | Action |
/// |---|---|---|---|
/// | any down | boot finds that it can never be up | failed | |
/// | stopped, failed | goal becomes up | waiting | |
/// | stopped, failed | goal cannot become up: conflict, leftover of an earlier instance | failed | |
/// | waiting | requirements up, conflicts down, soft order settled | starting | `Spawn` |
/// | waiting, backoff | goal becomes down | stopped or failed, as the goal says | |
/// | starting | `Spawned` | starting; the start timeout runs | |
/// | starting | `SpawnFailed` | backoff or failed, as for a failure below | `RemoveTree` |
/// | starting | `Executed`, readiness "started" | ready | |
/// | starting | `Executed`, another readiness | running | |
/// | starting, running | `Notified`, readiness "notify" | ready | |
/// | starting, running | start timeout | stopping: a failure | `KillTree` |
/// | starting, running, ready | `Exited` | stopping: done, success or failure | `KillTree`, if `TreeEmpty` has not come |
/// | starting, running, ready, completed | goal down, requirement not up, restart asked for | stopping: asked | |
/// | stopping: asked | all that depends on it has ended; has an instance | stopping | `Terminate` |
/// | stopping: asked | all that depends on it has ended; has no instance | as at its end below | |
/// | stopping | stop timeout | stopping (recorded, unless it is 0) | `KillTree` |
/// | stopping | `Exited` before `TreeEmpty` | stopping (recorded, if asked and it failed) | `KillTree`, unless it was sent |
/// | stopping | `SpawnFailed`, or both `Exited` and `TreeEmpty` | its end, see below | `RemoveTree` |
/// | stopping | 5 s after `KillTree` | failed (unkillable) | |
/// | failed (unkillable) | `SpawnFailed`, or both `Exited` and `TreeEmpty` | failed | `RemoveTree` |
/// | backoff | restart delay over, or start asked for | waiting | |
/// | its end | goal down | stopped or failed, as the goal says | |
/// | its end: asked | goal up | waiting | |
/// | its end: done (oneshot, status 0) | goal up | completed | |
/// | its end: success (daemon, status 0) | goal up, restart "always" | backoff, or failed at the start limit | |
/// | its end: success | goal up, another policy | stopped | |
/// | its end: failure | goal up, restart "always" or "on-failure" | backoff, or failed at the start limit | |
/// | its end: failure | goal up, restart "never" | failed | |
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
