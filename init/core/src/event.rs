//! The vocabulary between the supervisor and the system-call edge.
//!
//! The edge turns what the kernel says into an [`Event`], hands it to
//! `Supervisor::step`, and performs each [`Action`] in order. An action that
//! cannot be performed comes back as an event; it is never dropped.

use crate::description::Signal;
use crate::state::{Reason, State};

pub use crate::process::{ExitStatus, SpawnError, SpawnStage};

/// A service's place in the supervisor's table; valid for the supervisor's whole life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServiceId(pub u32);

/// One start of one service. Never used twice, so that news of an instance
/// that is gone can be told from news of the present one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InstanceId(pub u64);

/// A control client that waits for the end of an operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClientId(pub u64);

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// The system is ready for services: start those that start at boot.
    Boot,
    /// `Spawn` worked: the process exists and has this process id.
    Spawned {
        /// Which instance.
        instance: InstanceId,
        /// Its main process.
        pid: u32,
    },
    /// `Spawn` did not work, in PID 1 or in the new process before its program
    /// ran. No process of this instance is left to wait for, and neither `Exited`
    /// nor `TreeEmpty` follows; `RemoveTree` is the answer in every case, also
    /// when there is no cgroup yet.
    SpawnFailed {
        /// Which instance.
        instance: InstanceId,
        /// At which stage and why.
        error: SpawnError,
    },
    /// The instance's program was executed.
    Executed {
        /// Which instance.
        instance: InstanceId,
    },
    /// The instance sent `READY=1`.
    Notified {
        /// Which instance.
        instance: InstanceId,
    },
    /// The kernel has killed processes of the instance for want of memory, since it began.
    /// Comes before the `Exited` of a main process that was killed, by the kernel or whomever.
    OutOfMemory {
        /// Which instance.
        instance: InstanceId,
    },
    /// The instance's main process has been waited for.
    Exited {
        /// Which instance.
        instance: InstanceId,
        /// How it ended.
        status: ExitStatus,
    },
    /// No process of the instance is left. May come before or after `Exited`, and
    /// more than once; `RemoveTree` follows when both have come.
    TreeEmpty {
        /// Which instance.
        instance: InstanceId,
    },
    /// Time has passed: a deadline of `Supervisor::next_deadline` may have been
    /// reached. Of several events that are there at once this is the last, and its
    /// time is that at which the edge looked for news: a process that ended in time
    /// is not taken for late, however long the events before it took.
    Tick,
    /// A person wants something done with one service.
    Command {
        /// Who waits for the answer, if anyone does.
        client: Option<ClientId>,
        /// What to do.
        operation: Operation,
        /// To which service.
        service: ServiceId,
    },
    /// A waiting client is gone; its operations go on unanswered.
    ClientGone {
        /// Which client.
        client: ClientId,
    },
    /// The system goes down. A later one may change the kind, never undo it.
    Shutdown {
        /// How it ends.
        kind: ShutdownKind,
    },
}

/// What a person can want done with one service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Up, with all it requires; done when it is up.
    Start,
    /// Down, with all that require it; done when its processes are gone.
    Stop,
    /// Down and up again, and those that require it too; done when it is up.
    Restart,
}

/// How the system ends (reboot(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ShutdownKind {
    /// Power off.
    PowerOff,
    /// Start again.
    Reboot,
    /// Stop the processor and stay.
    Halt,
}

/// What the edge must do now, in the order given.
#[derive(Clone, PartialEq, Debug)]
pub enum Action {
    /// Create the cgroup and the main process of a new instance. Answered by
    /// `Spawned` or `SpawnFailed`.
    Spawn {
        /// Which service.
        service: ServiceId,
        /// The new instance.
        instance: InstanceId,
    },
    /// Send the signal to the instance's main process. It can come between `Spawn` and `Spawned`; for
    /// an instance that could not be spawned it is nothing.
    Terminate {
        /// Which instance.
        instance: InstanceId,
        /// Which signal.
        signal: Signal,
    },
    /// Kill every process of the instance (`cgroup.kill`). Answered by `TreeEmpty`
    /// once none is left, at once if none was; by `Exited` as well while the main
    /// process lives. It too can come before `Spawned`.
    KillTree {
        /// Which instance.
        instance: InstanceId,
    },
    /// Remove the instance's empty cgroup and forget the instance.
    RemoveTree {
        /// Which instance.
        instance: InstanceId,
    },
    /// Write this change to the log.
    Record {
        /// Which service.
        service: ServiceId,
        /// Its state before.
        from: State,
        /// Its state now.
        to: State,
        /// Why.
        reason: Reason,
    },
    /// Tell a client that its operation has ended.
    Reply {
        /// Whom.
        client: ClientId,
        /// About which service.
        service: ServiceId,
        /// Whether it did what was asked; if not, the service's state and reason say why.
        succeeded: bool,
    },
    /// All services are down: kill what is left, sync, unmount and call reboot(2).
    Finish {
        /// How the system ends.
        kind: ShutdownKind,
    },
}
