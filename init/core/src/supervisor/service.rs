//! What the supervisor remembers of one service.
//!
//! PID 1 keeps one record per service: other services are ids here, never
//! names, and everything that is rarely there is a list without capacity.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::NonZeroU32;
use core::time::Duration;

use crate::description::Policy;
use crate::event::{ExitStatus, InstanceId, ServiceId, SpawnError};
use crate::state::State;
use crate::time::Timestamp;

/// Most changes of state that are remembered of one service.
pub(super) const HISTORY_LENGTH_MAX: usize = 16;

/// How an instance came to an end that nobody asked for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum End {
    SpawnFailed(SpawnError),
    Exited(ExitStatus),
    OutOfMemory,
    StartTimeout,
}

/// [`crate::state::Reason`] without names.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Cause {
    NotStarted,
    Autostart,
    Requested,
    NeededBy(ServiceId),
    Restarted,
    WaitsFor(ServiceId),
    WaitsForConflict(ServiceId),
    RequirementDown(ServiceId),
    RequirementFailed(ServiceId),
    Conflict(ServiceId),
    /// What the graph says of the service.
    Fault,
    Ended(End),
    /// The last end; count and span are those of the description.
    StartLimit(End),
    StopTimeout,
    Unkillable,
    BecameReady,
    Shutdown,
}

/// What is to become of a service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Goal {
    Up,
    /// Down, and in the state `failed` then if `failed` is set.
    Down {
        failed: bool,
    },
}

/// How far the end of an instance is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    /// No instance, or one that is meant to live.
    Steady,
    /// To be asked to end once those that depend on the service are down.
    Pending,
    /// Asked to end: `Terminate` was sent.
    Terminating,
    /// `KillTree` was sent.
    Killing,
    /// Given up on: the service has failed, and whatever still comes of the
    /// instance is accounted for.
    Abandoned,
}

/// What brought an instance to its end.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Ending {
    /// The supervisor: what follows is for the goal to say.
    Asked,
    /// A oneshot has done its work.
    Complete,
    /// A daemon exited with status 0.
    Success(End),
    /// Whatever counts as failure.
    Failure(End),
}

/// One start of the service.
#[derive(Clone, Debug)]
pub(super) struct Instance {
    pub(super) id: InstanceId,
    /// Its main process, from `Spawned` to `Exited`.
    pub(super) pid: Option<NonZeroU32>,
    /// `OutOfMemory` has come.
    pub(super) out_of_memory: bool,
    /// `Exited` has come.
    pub(super) exited: bool,
    /// `TreeEmpty` has come.
    pub(super) empty: bool,
}

impl Instance {
    /// One that has just been asked for.
    pub(super) const fn new(id: InstanceId) -> Self {
        Self { id, pid: None, out_of_memory: false, exited: false, empty: false }
    }
}

/// One change of state.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) at: Timestamp,
    pub(super) to: State,
    pub(super) cause: Cause,
}

/// One service.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) state: State,
    pub(super) phase: Phase,
    pub(super) goal: Goal,
    /// On the worklist.
    pub(super) queued: bool,
    /// Waiting for a requirement that is itself not about to come up: those
    /// with a soft order after this service need not wait for it.
    pub(super) held: bool,
    /// Started since a person last asked, so that the next start is a restart.
    pub(super) started_before: bool,
    /// The last start counts for the start limit.
    pub(super) last_start_counts: bool,
    /// How often the restart delay has doubled.
    pub(super) doublings: u8,
    pub(super) restarts: u32,
    /// Why it is in its state.
    pub(super) cause: Cause,
    /// Why it has its goal.
    pub(super) goal_cause: Cause,
    pub(super) ending: Ending,
    pub(super) since: Timestamp,
    pub(super) started: Option<Timestamp>,
    pub(super) ready: Option<Timestamp>,
    /// The one deadline it has: of its start, its stop or its restart delay.
    pub(super) deadline: Option<Timestamp>,
    pub(super) instance: Option<Instance>,
    /// Starts before the last one, oldest first, as far as the start limit can
    /// count them: nothing for a service that never failed.
    pub(super) starts: Vec<Timestamp>,
    pub(super) history: Vec<Past>,
    pub(super) status_text: Box<str>,
}

impl Service {
    pub(super) fn new() -> Self {
        Self {
            state: State::Stopped,
            phase: Phase::Steady,
            goal: Goal::Down { failed: false },
            queued: false,
            held: false,
            started_before: false,
            last_start_counts: false,
            doublings: 0,
            restarts: 0,
            cause: Cause::NotStarted,
            goal_cause: Cause::NotStarted,
            ending: Ending::Asked,
            since: Timestamp::ZERO,
            started: None,
            ready: None,
            deadline: None,
            instance: None,
            starts: Vec::new(),
            history: Vec::new(),
            status_text: Box::default(),
        }
    }

    pub(super) fn wants_up(&self) -> bool {
        self.goal == Goal::Up
    }

    /// Whether it is neither `stopped` nor `failed`: shutdown waits for it.
    pub(super) const fn is_active(state: State) -> bool {
        !matches!(state, State::Stopped | State::Failed)
    }

    /// Whether something of it must end before a service below it may: it has
    /// processes, or is up without any.
    pub(super) fn must_end(&self) -> bool {
        self.state.has_processes() || self.state == State::Completed
    }

    /// Whether it is not about to change by itself, so that a soft order after
    /// it is satisfied, or a client's wait for its start is over.
    pub(super) fn is_settled(&self) -> bool {
        match self.state {
            State::Waiting => self.held,
            State::Starting | State::Running | State::Stopping => false,
            State::Stopped | State::Ready | State::Backoff | State::Failed | State::Completed => {
                true
            }
        }
    }

    /// Forgets earlier starts and failures: a person asked.
    pub(super) fn forget_failures(&mut self) {
        self.forget_starts();
        self.restarts = 0;
        self.started_before = self.instance.is_some() && self.phase == Phase::Steady;
    }

    /// The pause after `end`. Failures in a row double it; a success, like somebody who leaves a
    /// shell, has done nothing to be kept waiting for.
    pub(super) fn next_delay(&mut self, policy: &Policy, end: End) -> Duration {
        if end == End::Exited(ExitStatus::Code(0)) {
            self.doublings = 0;
            return policy.restart_delay();
        }
        let factor = 1_u32.checked_shl(self.doublings.into()).unwrap_or(u32::MAX);
        self.doublings = self.doublings.saturating_add(1);
        policy.restart_delay().saturating_mul(factor).min(policy.restart_delay_max())
    }

    /// Begins a new count for the start limit and the delay.
    pub(super) fn forget_starts(&mut self) {
        self.starts = Vec::new();
        self.last_start_counts = false;
        self.doublings = 0;
    }

    /// Notes a start now; `limit` is how many the start limit allows.
    pub(super) fn note_start(&mut self, now: Timestamp, limit: u32) {
        let last = self.started.replace(now).filter(|_| self.last_start_counts);
        self.last_start_counts = true;
        if let Some(last) = last {
            if self.starts.len() >= limit as usize {
                self.starts.remove(0);
            }
            self.starts.push(last);
        }
    }

    /// How many starts count that are less than `within` before `next`.
    pub(super) fn starts_within(&self, within: Duration, next: Timestamp) -> usize {
        let last = self.started.iter().filter(|_| self.last_start_counts);
        self.starts.iter().chain(last).filter(|at| next.since(**at) < within).count()
    }

    pub(super) fn remember(&mut self, at: Timestamp, to: State, cause: Cause) {
        if self.history.len() >= HISTORY_LENGTH_MAX {
            self.history.remove(0);
        }
        self.history.push(Past { at, to, cause });
    }
}
