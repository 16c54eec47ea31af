//! Decides what is started, stopped and killed, and when.
//!
//! [`Supervisor::step`] takes one [`Event`] and the time, and gives the
//! [`Action`]s for the system-call edge. It makes no system call, reads no clock
//! and never panics. The table of transitions stands at [`State`].
//!
//! An event changes the service it is about; whoever that may concern goes on a
//! worklist, which is worked off within the step. So every step ends in a state
//! where no service runs while one it requires is not up.

mod goals;
mod instances;
mod progress;
mod report;
mod service;

use alloc::boxed::Box;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

pub use crate::graph::Loaded;

use crate::description::{Policy, ServiceDescription};
use crate::event::{Action, ClientId, Event, InstanceId, Operation, ServiceId, ShutdownKind};
use crate::graph::{Graph, find};
use crate::name::ServiceName;
use crate::state::State;
use crate::time::Timestamp;
use service::{Cause, Phase, Service};

/// Longest time from `KillTree` to the end of all processes of an instance. A
/// process that outlives it hangs in the kernel; waiting longer would hold up
/// whoever waits for the service, and shutdown.
pub const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// Time in `ready` after which earlier failures no longer count.
pub const HEALTHY_AFTER: Duration = Duration::from_secs(60);

/// Longest text of `STATUS=` that is kept, in bytes.
const STATUS_TEXT_BYTES_MAX: usize = 256;

/// Longest text about a broken description that is kept, in bytes.
const BROKEN_TEXT_BYTES_MAX: usize = 2048;

/// For how many actions of a step there is always room.
const ACTIONS_KEPT: usize = 32;

/// The services of one system and all that is known of them.
#[derive(Debug)]
pub struct Supervisor {
    /// Sorted by name; a [`ServiceId`] is the place in here.
    loaded: Box<[Loaded]>,
    services: Box<[Service]>,
    graph: Graph,
    /// Live and abandoned instances, in ascending order.
    instances: Vec<(InstanceId, ServiceId)>,
    next_instance: u64,
    deadlines: BTreeSet<(Timestamp, ServiceId)>,
    worklist: VecDeque<ServiceId>,
    waiting_clients: Vec<WaitingClient>,
    actions: Vec<Action>,
    now: Timestamp,
    booted: bool,
    shutdown: Option<ShutdownKind>,
    finished: bool,
    /// How many services are neither `stopped` nor `failed`.
    active: usize,
}

/// A client that has not been answered yet.
#[derive(Debug)]
struct WaitingClient {
    client: ClientId,
    service: ServiceId,
    operation: Operation,
    /// The answer to a stop, once the service has been down.
    stopped: Option<bool>,
}

impl Supervisor {
    /// Takes what was loaded. Of several entries with one name the last counts,
    /// as a file in `/etc` is loaded after the one it overrides.
    #[must_use]
    pub fn new(mut loaded: Vec<Loaded>) -> Self {
        loaded.reverse();
        loaded.sort_by(|a, b| a.name().cmp(b.name()));
        loaded.dedup_by(|a, b| a.name() == b.name());
        for entry in &mut loaded {
            if let Loaded::Broken { text, .. } = entry {
                *text = report::bounded(text, BROKEN_TEXT_BYTES_MAX);
            }
        }
        let graph = Graph::new(&loaded);
        let services = loaded.iter().map(|_| Service::new()).collect();
        Self {
            loaded: loaded.into(),
            services,
            graph,
            instances: Vec::new(),
            next_instance: 1,
            deadlines: BTreeSet::new(),
            worklist: VecDeque::new(),
            waiting_clients: Vec::new(),
            actions: Vec::new(),
            now: Timestamp::ZERO,
            booted: false,
            shutdown: None,
            finished: false,
            active: 0,
        }
    }

    /// Handles one event at the time `now`, which never runs backwards but for [`Event::Tick`]:
    /// deadlines later than its time are not looked at.
    #[must_use = "an action that is not performed is never asked for again"]
    pub fn step(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        self.step_into(event, now, &mut actions);
        actions
    }

    /// The same, appending to `actions`, so that a loop can use one buffer.
    pub fn step_into(&mut self, event: Event, now: Timestamp, actions: &mut Vec<Action>) {
        self.now = self.now.max(now);
        match event {
            Event::Boot => self.boot(),
            Event::Spawned { instance, pid } => self.on_spawned(instance, pid),
            Event::SpawnFailed { instance, error } => self.on_spawn_failed(instance, error),
            Event::Executed { instance } => self.on_executed(instance),
            Event::Notified { instance } => self.on_notified(instance),
            Event::OutOfMemory { instance } => self.on_out_of_memory(instance),
            Event::Exited { instance, status } => self.on_exited(instance, status),
            Event::TreeEmpty { instance } => self.on_tree_empty(instance),
            Event::Tick => self.on_tick(now),
            Event::Command { client, operation, service } => {
                self.on_command(client, operation, service);
            }
            Event::ClientGone { client } => {
                self.waiting_clients.retain(|waiting| waiting.client != client);
            }
            Event::Shutdown { kind } => self.on_shutdown(kind),
        }
        self.work_off();
        self.answer_clients();
        self.finish_shutdown();
        actions.append(&mut self.actions);
        // Boot and shutdown are about everybody; no other step needs that room again.
        self.actions.shrink_to(ACTIONS_KEPT);
        self.worklist.shrink_to(ACTIONS_KEPT);
    }

    /// When `Event::Tick` is due, if time alone can change anything.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// The service called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ServiceId> {
        find(&self.loaded, name)
    }

    /// The name of a service.
    #[must_use]
    pub fn name(&self, id: ServiceId) -> Option<&ServiceName> {
        self.loaded.get(id.0 as usize).map(Loaded::name)
    }

    /// The description of a service, unpacked for the caller; `None` if it could
    /// not be read.
    #[must_use]
    pub fn description(&self, id: ServiceId) -> Option<ServiceDescription> {
        self.loaded.get(id.0 as usize).and_then(Loaded::description)
    }

    fn policy(&self, id: ServiceId) -> Option<&Policy> {
        self.loaded.get(id.0 as usize).and_then(Loaded::policy)
    }

    /// The state of a service.
    #[must_use]
    pub fn state(&self, id: ServiceId) -> Option<State> {
        self.service(id).map(|service| service.state)
    }

    /// The service that an instance belongs to, until `RemoveTree` is asked for.
    #[must_use]
    pub fn service_of(&self, instance: InstanceId) -> Option<ServiceId> {
        let index = self.instances.binary_search_by_key(&instance, |(id, _)| *id).ok()?;
        self.instances.get(index).map(|(_, service)| *service)
    }

    /// The present instance of a service, abandoned ones included.
    #[must_use]
    pub fn instance_of(&self, id: ServiceId) -> Option<InstanceId> {
        self.service(id)?.instance.as_ref().map(|instance| instance.id)
    }

    /// Every service, in the order of names.
    pub fn ids(&self) -> impl Iterator<Item = ServiceId> + use<> {
        self.graph.ids()
    }

    /// The relations between the services.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The service that receives the output of the others. The description's key
    /// alone does not say so: there may be two that claim it.
    #[must_use]
    pub fn log_collector(&self) -> Option<ServiceId> {
        self.graph.log_collector()
    }

    /// Whether every service that starts at boot is up or has failed to come up
    /// so far: boot is over.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.booted && self.services.iter().all(Service::is_settled)
    }

    /// Keeps what an instance says of itself (`STATUS=` of sd_notify(3)): at most
    /// 256 bytes, control characters as spaces. An instance that is gone says nothing.
    pub fn set_status_text(&mut self, instance: InstanceId, text: &str) {
        let Some(id) = self.service_of(instance) else { return };
        if let Some(service) = self.service_mut(id)
            && service.phase != Phase::Abandoned
        {
            let shown: String =
                text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            service.status_text = report::bounded(&shown, STATUS_TEXT_BYTES_MAX);
        }
    }

    fn service(&self, id: ServiceId) -> Option<&Service> {
        self.services.get(id.0 as usize)
    }

    fn service_mut(&mut self, id: ServiceId) -> Option<&mut Service> {
        self.services.get_mut(id.0 as usize)
    }

    /// Changes a service's state: remembers and records it, and puts everybody
    /// it may concern on the worklist. The deadline of the old state ends with it.
    fn set_state(&mut self, id: ServiceId, to: State, cause: Cause) {
        self.set_deadline(id, None);
        let now = self.now;
        let Some(service) = self.service_mut(id) else { return };
        // However it ends: a requirement may take down what would have lived.
        if service.state == State::Ready && now.since(service.since) >= HEALTHY_AFTER {
            service.forget_starts();
        }
        let from = core::mem::replace(&mut service.state, to);
        service.cause = cause;
        service.since = now;
        service.held = false;
        service.remember(now, to, cause);
        match (Service::is_active(from), Service::is_active(to)) {
            (false, true) => self.active += 1,
            (true, false) => self.active = self.active.saturating_sub(1),
            _ => {}
        }
        if !to.has_processes() && to != State::Completed {
            let stopped = cause != Cause::Unkillable;
            for waiting in self.waiting_clients.iter_mut().filter(|one| one.service == id) {
                waiting.stopped.get_or_insert(stopped);
            }
        }
        let reason = self.reason(id, cause);
        self.actions.push(Action::Record { service: id, from, to, reason });
        self.enqueue(id);
        self.enqueue_neighbours(id);
    }

    fn set_deadline(&mut self, id: ServiceId, deadline: Option<Timestamp>) {
        let Some(service) = self.services.get_mut(id.0 as usize) else { return };
        if let Some(old) = core::mem::replace(&mut service.deadline, deadline) {
            self.deadlines.remove(&(old, id));
        }
        if let Some(new) = deadline {
            self.deadlines.insert((new, id));
        }
    }

    /// Sets a deadline `after` now; none if that is [`Duration::MAX`].
    fn set_timer(&mut self, id: ServiceId, after: Duration) {
        let at = (after != Duration::MAX).then(|| self.now.after(after));
        self.set_deadline(id, at);
    }
}
