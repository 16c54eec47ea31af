//! The invariants. The checker believes no state of the supervisor that the
//! actions have not told it, and no death that the kernel has not seen.

use std::collections::BTreeMap;
use std::time::Duration;

use init_core::event::{Action, ClientId, InstanceId, Operation, ServiceId, ShutdownKind};
use init_core::graph::Graph;
use init_core::state::{Reason, State};
use init_core::supervisor::{KILL_TIMEOUT, Loaded, Supervisor};
use init_core::time::Timestamp;

use crate::kernel::Kernel;

/// Every change of state that the table at `State` allows.
const TRANSITIONS: &[(State, &[State])] = &[
    (State::Stopped, &[State::Waiting, State::Failed]),
    (State::Failed, &[State::Waiting, State::Failed]),
    (State::Waiting, &[State::Starting, State::Stopped, State::Failed]),
    (
        State::Starting,
        &[
            State::Running,
            State::Ready,
            State::Stopping,
            State::Backoff,
            State::Failed,
            // A process that could not be created while it was to go down again.
            State::Stopped,
            State::Waiting,
        ],
    ),
    (State::Running, &[State::Ready, State::Stopping]),
    (State::Ready, &[State::Stopping]),
    (State::Completed, &[State::Stopping]),
    (
        State::Stopping,
        &[
            // What went wrong on the way down.
            State::Stopping,
            State::Stopped,
            State::Failed,
            State::Waiting,
            State::Backoff,
            State::Completed,
        ],
    ),
    (State::Backoff, &[State::Waiting, State::Stopped, State::Failed]),
];

struct Expected {
    service: ServiceId,
    operation: Operation,
    since_ms: u64,
    gone: bool,
    answers: u32,
}

pub(crate) struct Checker {
    /// Of the services as they are, whatever the supervisor was told.
    graph: Graph,
    states: Vec<State>,
    starts: Vec<u64>,
    /// Instances from `Spawn` to `RemoveTree`.
    instances: BTreeMap<InstanceId, ServiceId>,
    /// The last instance that was asked to end or killed, of each service.
    ended: Vec<Option<InstanceId>>,
    removed: Option<InstanceId>,
    clients: BTreeMap<ClientId, Expected>,
    shutdown: Option<(ShutdownKind, u64)>,
    finished: bool,
    changes: u64,
    /// Starts in this step of one service before another one in a soft order,
    /// which may have stopped being wanted in this step.
    overtaken: Vec<(ServiceId, ServiceId)>,
    /// Longest time that stopping everything can take.
    bound_ms: u64,
}

impl Checker {
    pub(crate) fn new(services: &[Loaded]) -> Self {
        let stop_time = |one: &Loaded| {
            let own = one.description().map_or(Duration::ZERO, |d| d.stop_timeout);
            own + KILL_TIMEOUT + KILL_TIMEOUT
        };
        let bound: Duration = services.iter().map(stop_time).sum();
        Self {
            graph: Graph::new(services),
            states: vec![State::Stopped; services.len()],
            starts: vec![0; services.len()],
            instances: BTreeMap::new(),
            ended: vec![None; services.len()],
            removed: None,
            clients: BTreeMap::new(),
            shutdown: None,
            finished: false,
            changes: 0,
            overtaken: Vec::new(),
            bound_ms: u64::try_from(bound.as_millis()).expect("minutes"),
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    pub(crate) fn removed_instance(&self) -> Option<InstanceId> {
        self.removed
    }

    pub(crate) fn starts_of(&self, service: ServiceId) -> u64 {
        self.starts[service.0 as usize]
    }

    pub(crate) fn jumped(&mut self, ms: u64) {
        self.bound_ms += ms;
    }

    pub(crate) fn shutdown(&mut self, kind: ShutdownKind, now_ms: u64) {
        if !self.finished {
            let since = self.shutdown.map_or(now_ms, |(_, since)| since);
            self.shutdown = Some((kind, since));
        }
    }

    pub(crate) fn expect_reply(
        &mut self,
        client: ClientId,
        service: ServiceId,
        operation: Operation,
        since_ms: u64,
    ) {
        let expected = Expected { service, operation, since_ms, gone: false, answers: 0 };
        self.clients.insert(client, expected);
    }

    pub(crate) fn client_gone(&mut self, client: ClientId) {
        if let Some(expected) = self.clients.get_mut(&client) {
            expected.gone = true;
        }
    }

    fn state(&self, id: ServiceId) -> State {
        self.states[id.0 as usize]
    }

    /// Has processes, or is up without.
    fn must_end(&self, id: ServiceId) -> bool {
        self.state(id).has_processes() || self.state(id) == State::Completed
    }

    pub(crate) fn check_action(&mut self, action: &Action, kernel: &Kernel) -> Result<(), String> {
        match action {
            Action::Spawn { service, instance } => self.check_spawn(*service, *instance),
            Action::Terminate { instance, .. } => self.check_terminate(*instance),
            Action::KillTree { instance } => {
                let service = self.live(*instance, "killed")?;
                self.ended[service.0 as usize] = Some(*instance);
                Ok(())
            }
            Action::RemoveTree { instance } => {
                self.live(*instance, "removed")?;
                if !kernel.is_over(*instance) {
                    return Err(format!("{instance:?} removed before its end"));
                }
                self.instances.remove(instance);
                self.removed = Some(*instance);
                Ok(())
            }
            Action::Record { service, from, to, reason } => {
                self.check_record(*service, *from, *to, reason, kernel)
            }
            Action::Reply { client, service, succeeded } => {
                self.check_reply(*client, *service, *succeeded)
            }
            Action::Finish { kind } => self.check_finish(*kind),
        }
    }

    fn live(&self, instance: InstanceId, what: &str) -> Result<ServiceId, String> {
        self.instances.get(&instance).copied().ok_or(format!("dead {instance:?} {what}"))
    }

    fn check_spawn(&mut self, service: ServiceId, instance: InstanceId) -> Result<(), String> {
        if self.instances.values().any(|other| *other == service) {
            return Err(format!("two instances of {service:?}"));
        }
        if self.instances.insert(instance, service).is_some() || Some(instance) <= self.removed {
            return Err(format!("{instance:?} used twice"));
        }
        if self.shutdown.is_some() {
            return Err(format!("{service:?} started during shutdown"));
        }
        for other in self.graph.follows(service) {
            if matches!(self.state(*other), State::Starting | State::Running) {
                self.overtaken.push((service, *other));
            }
        }
        self.starts[service.0 as usize] += 1;
        Ok(())
    }

    fn check_terminate(&mut self, instance: InstanceId) -> Result<(), String> {
        let service = self.live(instance, "terminated")?;
        for other in self.graph.required_by(service) {
            if self.must_end(*other) {
                return Err(format!("{service:?} stopped before {other:?}, which requires it"));
            }
        }
        for other in self.graph.followed_by(service) {
            if self.shutdown.is_some() && self.must_end(*other) {
                return Err(format!("{service:?} stopped before {other:?}, which follows it"));
            }
        }
        self.ended[service.0 as usize] = Some(instance);
        Ok(())
    }

    fn check_record(
        &mut self,
        service: ServiceId,
        from: State,
        to: State,
        reason: &Reason,
        kernel: &Kernel,
    ) -> Result<(), String> {
        self.changes += 1;
        if self.state(service) != from {
            return Err(format!("{service:?} left {from}, but was {}", self.state(service)));
        }
        let allowed = TRANSITIONS.iter().find(|(state, _)| *state == from).map(|(_, next)| *next);
        if !allowed.unwrap_or_default().contains(&to) {
            return Err(format!("{service:?} went from {from} to {to}"));
        }
        if *reason == Reason::Unkillable && to == State::Failed && from == State::Stopping {
            let mut own = self.instances.iter().filter(|(_, of)| **of == service);
            if !own.any(|(instance, _)| kernel.hangs(*instance)) {
                return Err(format!("{service:?} was given up, and nothing of it hangs"));
            }
        }
        self.states[service.0 as usize] = to;
        Ok(())
    }

    fn check_reply(
        &mut self,
        client: ClientId,
        service: ServiceId,
        ok: bool,
    ) -> Result<(), String> {
        let state = self.state(service);
        let Some(expected) = self.clients.get_mut(&client) else {
            return Err(format!("{client:?} was answered and never asked"));
        };
        expected.answers += 1;
        let right = match (expected.operation, ok) {
            (Operation::Start | Operation::Restart, ok) => state.is_up() == ok,
            (Operation::Stop, true) => !state.has_processes() || state == State::Starting,
            (Operation::Stop, false) => state == State::Failed,
        };
        if expected.gone || expected.answers != 1 || expected.service != service || !right {
            return Err(format!("wrong answer to {client:?}: {ok} in {state}"));
        }
        Ok(())
    }

    fn check_finish(&mut self, kind: ShutdownKind) -> Result<(), String> {
        let early =
            self.states.iter().any(|state| !matches!(state, State::Stopped | State::Failed));
        let asked = self.shutdown.map(|(kind, _)| kind);
        if self.finished || early || asked != Some(kind) {
            return Err(format!("finished wrongly: {kind:?}, asked {asked:?}, {:?}", self.states));
        }
        self.finished = true;
        Ok(())
    }

    pub(crate) fn check_step(
        &mut self,
        supervisor: &Supervisor,
        kernel: &Kernel,
        ticked: bool,
    ) -> Result<(), String> {
        for (service, other) in std::mem::take(&mut self.overtaken) {
            if matches!(self.state(other), State::Starting | State::Running) {
                return Err(format!("{service:?} started before {other:?} has settled"));
            }
        }
        for id in self.graph.ids() {
            let state = self.state(id);
            if supervisor.state(id) != Some(state) {
                return Err(format!("{id:?} changed its state without a record"));
            }
            if !matches!(state, State::Starting | State::Running | State::Ready | State::Completed)
            {
                continue;
            }
            if let Some(down) = self.graph.requires(id).iter().find(|on| !self.state(**on).is_up())
            {
                return Err(format!("{id:?} is {state} and requires {down:?}, which is not up"));
            }
            if let Some(rival) = self.graph.conflicts(id).iter().find(|on| self.must_end(**on)) {
                return Err(format!("{id:?} and {rival:?} conflict, and both are there"));
            }
        }
        self.check_time(supervisor, kernel, ticked)
    }

    fn check_time(
        &self,
        supervisor: &Supervisor,
        kernel: &Kernel,
        ticked: bool,
    ) -> Result<(), String> {
        let timed = |state: &State| {
            use State::{Backoff, Running, Starting, Stopping};
            matches!(state, Backoff | Running | Starting | Stopping)
        };
        if let Some(deadline) = supervisor.next_deadline() {
            if ticked && deadline < Timestamp::from_millis(kernel.now_ms) {
                return Err("a deadline was left behind".to_owned());
            }
            if !self.states.iter().any(timed) {
                return Err("a deadline of nobody".to_owned());
            }
        }
        let late = |since_ms: u64| kernel.now_ms.saturating_sub(since_ms) > self.bound_ms;
        if let Some((_, since_ms)) = self.shutdown
            && !self.finished
            && late(since_ms)
        {
            return Err("shutdown does not end".to_owned());
        }
        let stuck = |one: &&Expected| {
            let waits = one.operation == Operation::Stop && one.answers == 0 && !one.gone;
            waits && late(one.since_ms)
        };
        match self.clients.values().find(stuck) {
            Some(one) => Err(format!("stopping {:?} does not end", one.service)),
            None => Ok(()),
        }
    }

    /// Nothing more will happen.
    pub(crate) fn check_end(&self, supervisor: &Supervisor, kernel: &Kernel) -> Result<(), String> {
        if !self.finished {
            return Err("the system never went down".to_owned());
        }
        if supervisor.next_deadline().is_some() {
            return Err("a deadline after the end".to_owned());
        }
        if let Some((client, _)) =
            self.clients.iter().find(|(_, one)| one.answers == 0 && !one.gone)
        {
            return Err(format!("{client:?} was never answered"));
        }
        match self.instances.keys().find(|instance| kernel.is_over(**instance)) {
            Some(instance) => Err(format!("{instance:?} has ended and was not removed")),
            None => Ok(()),
        }
    }
}
