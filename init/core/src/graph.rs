//! Who waits for whom: names resolved, impossible services found, and the
//! order of start and stop.
//!
//! The graph is built once from what was loaded and never changes. It knows
//! nothing of states: the supervisor asks it for neighbours. Whatever makes a
//! service impossible from the start is a [`Fault`] here; all others still start.

mod check;
mod cycle;
mod relation;

use alloc::boxed::Box;
use alloc::collections::BinaryHeap;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Reverse;

use crate::description::{PackedDescription, Policy, ServiceDescription};
use crate::diagnostic::Finding;
use crate::event::ServiceId;
use crate::name::ServiceName;

pub use check::{Problem, Severity, check, check_loaded};
use relation::Relation;

/// What became of one description file.
#[derive(Clone, PartialEq, Debug)]
pub enum Loaded {
    /// It was read.
    Good(PackedDescription),
    /// It was not: the service exists and has failed.
    Broken {
        /// The file's name without `.toml`.
        name: ServiceName,
        /// What was found, for people.
        text: Box<str>,
    },
}

impl From<ServiceDescription> for Loaded {
    fn from(description: ServiceDescription) -> Self {
        Self::Good(PackedDescription::from(&description))
    }
}

impl Loaded {
    /// A service whose file has these findings.
    #[must_use]
    pub fn broken(name: ServiceName, findings: &[Finding]) -> Self {
        let text: Vec<String> = findings.iter().map(ToString::to_string).collect();
        Self::Broken { name, text: text.join("\n").into() }
    }

    /// The service's name.
    #[must_use]
    pub const fn name(&self) -> &ServiceName {
        match self {
            Self::Good(description) => description.name(),
            Self::Broken { name, .. } => name,
        }
    }

    /// The description, if it was read.
    #[must_use]
    pub fn description(&self) -> Option<ServiceDescription> {
        match self {
            Self::Good(description) => Some(description.unpack()),
            Self::Broken { .. } => None,
        }
    }

    /// What decides about starts and stops, if the description was read.
    pub(crate) const fn policy(&self) -> Option<&Policy> {
        match self {
            Self::Good(description) => Some(description.policy()),
            Self::Broken { .. } => None,
        }
    }
}

/// Why a service can never be up, whatever happens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// Its description could not be read.
    BadDescription,
    /// It needs itself, by way of these services.
    Cycle(Box<[ServiceId]>),
    /// It requires a service that is not described.
    RequirementUnknown(ServiceName),
    /// It conflicts with a service that it requires, or that conflicts with another
    /// one it requires.
    Excluded(ServiceId),
    /// It would collect the log, which this service does.
    SecondCollector(ServiceId),
    /// It requires a service that has a fault.
    RequirementFailed(ServiceId),
}

/// The relations between services. A [`ServiceId`] is the place of the service
/// in the list that it was built from.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Graph {
    count: usize,
    requires: Relation,
    required_by: Relation,
    wants: Relation,
    /// Soft order: `wants`, `after` and the order after the log collector.
    follows: Relation,
    followed_by: Relation,
    conflicts: Relation,
    /// In order of the service.
    faults: Vec<(ServiceId, Fault)>,
    log_collector: Option<ServiceId>,
}

impl Graph {
    /// Builds the graph of `services`, which are sorted by name, each name once.
    #[must_use]
    pub fn new(services: &[Loaded]) -> Self {
        let count = services.len();
        let names = Names::of(services);
        let requires = Relation::new(count, names.requires);
        let wants = Relation::new(count, names.wants);
        let after = Relation::new(count, names.after);
        let conflicts = Relation::new(count, names.conflicts);
        let both_ways = conflicts.pairs().chain(conflicts.reversed().pairs().collect::<Vec<_>>());
        let conflicts = Relation::new(count, both_ways.filter(|(a, b)| a != b).collect());
        let mut graph = Self {
            count,
            required_by: requires.reversed(),
            requires,
            conflicts,
            follows: Relation::new(count, wants.pairs().chain(after.pairs()).collect()),
            wants,
            ..Self::default()
        };
        graph.find_faults(services, names.unknown);
        graph.order_after_log_collector(services);
        graph.followed_by = graph.follows.reversed();
        graph
    }

    /// Services that `service` requires.
    #[must_use]
    pub fn requires(&self, service: ServiceId) -> &[ServiceId] {
        self.requires.of(service)
    }

    /// Services that require `service`.
    #[must_use]
    pub fn required_by(&self, service: ServiceId) -> &[ServiceId] {
        self.required_by.of(service)
    }

    /// Services that `service` wants.
    #[must_use]
    pub fn wants(&self, service: ServiceId) -> &[ServiceId] {
        self.wants.of(service)
    }

    /// Services that `service` starts after, in a soft order: those it wants,
    /// those it names in `after`, and the log collector.
    #[must_use]
    pub fn follows(&self, service: ServiceId) -> &[ServiceId] {
        self.follows.of(service)
    }

    /// Services that start after `service` in a soft order.
    #[must_use]
    pub fn followed_by(&self, service: ServiceId) -> &[ServiceId] {
        self.followed_by.of(service)
    }

    /// Services that cannot be up while `service` is, whichever of the two says so.
    #[must_use]
    pub fn conflicts(&self, service: ServiceId) -> &[ServiceId] {
        self.conflicts.of(service)
    }

    /// Why `service` can never be up, if that is so.
    #[must_use]
    pub fn fault(&self, service: ServiceId) -> Option<&Fault> {
        let index = self.faults.binary_search_by_key(&service, |(id, _)| *id).ok()?;
        self.faults.get(index).map(|(_, fault)| fault)
    }

    /// Every service that can never be up, and why.
    #[must_use]
    pub fn faults(&self) -> &[(ServiceId, Fault)] {
        &self.faults
    }

    /// The service that collects the output of the others.
    #[must_use]
    pub fn log_collector(&self) -> Option<ServiceId> {
        self.log_collector
    }

    /// An order in which every service comes after all it waits for; among
    /// those that need not wait for each other, by name. Services with a fault are left out.
    #[must_use]
    pub fn start_order(&self) -> Vec<ServiceId> {
        let startable = |id: &ServiceId| self.fault(*id).is_none();
        let mut missing = vec![0_usize; self.count];
        let mut free = BinaryHeap::new();
        for service in self.ids().filter(startable) {
            let before = self.requires(service).iter().chain(self.follows(service));
            let waits_for = before.filter(|other| startable(other)).count();
            if let Some(slot) = missing.get_mut(service.0 as usize) {
                *slot = waits_for;
            }
            if waits_for == 0 {
                free.push(Reverse(service));
            }
        }
        let mut order = Vec::with_capacity(self.count);
        while let Some(Reverse(service)) = free.pop() {
            order.push(service);
            for next in self.required_by(service).iter().chain(self.followed_by(service)) {
                if let Some(slot @ 1..) = missing.get_mut(next.0 as usize) {
                    *slot -= 1;
                    if *slot == 0 {
                        free.push(Reverse(*next));
                    }
                }
            }
        }
        order
    }

    /// The start order backwards.
    #[must_use]
    pub fn stop_order(&self) -> Vec<ServiceId> {
        let mut order = self.start_order();
        order.reverse();
        order
    }

    /// Every service, by name.
    pub fn ids(&self) -> impl Iterator<Item = ServiceId> + use<> {
        (0..u32::try_from(self.count).unwrap_or(u32::MAX)).map(ServiceId)
    }

    /// All that `service` reaches by way of `neighbours`, itself first; without recursion.
    fn closure<'a>(
        &'a self,
        service: ServiceId,
        neighbours: impl Fn(&'a Self, ServiceId) -> Vec<&'a [ServiceId]>,
    ) -> Vec<ServiceId> {
        let mut seen = vec![false; self.count];
        let mut found = vec![service];
        let mut next = 0;
        while let Some(at) = found.get(next).copied() {
            next += 1;
            for other in neighbours(self, at).into_iter().flatten() {
                if let Some(mark @ false) = seen.get_mut(other.0 as usize) {
                    *mark = true;
                    if *other != service {
                        found.push(*other);
                    }
                }
            }
        }
        found
    }

    /// `service` and all it requires, directly or not.
    #[must_use]
    pub fn required_closure(&self, service: ServiceId) -> Vec<ServiceId> {
        self.closure(service, |graph, at| vec![graph.requires(at)])
    }

    fn find_faults(&mut self, services: &[Loaded], unknown: Vec<(ServiceId, ServiceName)>) {
        let mut faults: Vec<Option<Fault>> = vec![None; self.count];
        let mut set = |id: ServiceId, fault: Fault| {
            if let Some(slot @ None) = faults.get_mut(id.0 as usize) {
                *slot = Some(fault);
            }
        };
        let cycles = cycle::find_cycles(self.count, &[&self.requires, &self.follows]);
        for (id, service) in with_ids(services) {
            let Some(policy) = service.policy() else {
                set(id, Fault::BadDescription);
                continue;
            };
            let cycle = cycles.of_service.get(id.0 as usize).copied().flatten();
            if let Some(members) = cycle.and_then(|index| cycles.list.get(index)) {
                set(id, Fault::Cycle(members.clone()));
            }
            if policy.log_collector {
                match self.log_collector {
                    None => self.log_collector = Some(id),
                    Some(first) => set(id, Fault::SecondCollector(first)),
                }
            }
        }
        for (id, name) in unknown {
            set(id, Fault::RequirementUnknown(name));
        }
        if !self.conflicts.is_empty() {
            for id in self.ids() {
                if let Some(other) = self.own_conflict(id) {
                    set(id, Fault::Excluded(other));
                }
            }
        }
        self.spread_faults(&mut faults);
        self.faults = self.ids().zip(faults).filter_map(|(id, fault)| Some((id, fault?))).collect();
        if self.log_collector.is_some_and(|collector| self.fault(collector).is_some()) {
            self.log_collector = None;
        }
    }

    /// A service in conflict with another one, both among `id` and all it requires.
    fn own_conflict(&self, id: ServiceId) -> Option<ServiceId> {
        let closure = self.required_closure(id);
        let clash = |member: &ServiceId| {
            self.conflicts(*member).iter().find(|other| closure.contains(other)).copied()
        };
        closure.iter().find_map(clash)
    }

    /// What requires a service with a fault has a fault.
    fn spread_faults(&self, faults: &mut [Option<Fault>]) {
        let mut queue: Vec<ServiceId> =
            self.ids().filter(|id| matches!(faults.get(id.0 as usize), Some(Some(_)))).collect();
        while let Some(failed) = queue.pop() {
            for user in self.required_by(failed) {
                if let Some(slot @ None) = faults.get_mut(user.0 as usize) {
                    *slot = Some(Fault::RequirementFailed(failed));
                    queue.push(*user);
                }
            }
        }
    }

    /// What writes to the log starts after the collector, but for what the
    /// collector itself waits for: that would be a cycle nobody wrote.
    fn order_after_log_collector(&mut self, services: &[Loaded]) {
        let Some(collector) = self.log_collector else { return };
        let mut before =
            self.closure(collector, |graph, at| vec![graph.requires(at), graph.follows(at)]);
        before.sort_unstable();
        let writes_log = |service: &Loaded| service.policy().is_some_and(Policy::writes_log);
        let implied = with_ids(services)
            .filter(|(id, service)| before.binary_search(id).is_err() && writes_log(service))
            .map(|(id, _)| (id, collector));
        self.follows = Relation::new(self.count, self.follows.pairs().chain(implied).collect());
    }
}

/// The names that services give each other, as far as they can be resolved.
#[derive(Default)]
struct Names {
    requires: Vec<(ServiceId, ServiceId)>,
    wants: Vec<(ServiceId, ServiceId)>,
    after: Vec<(ServiceId, ServiceId)>,
    conflicts: Vec<(ServiceId, ServiceId)>,
    /// Of each service the first requirement that is not described.
    unknown: Vec<(ServiceId, ServiceName)>,
}

impl Names {
    /// Descriptions are unpacked one at a time: all at once they would be the
    /// largest thing that PID 1 ever holds.
    fn of(services: &[Loaded]) -> Self {
        let mut all = Self::default();
        for (from, service) in with_ids(services) {
            let Some(description) = service.description() else { continue };
            let resolve = |names: &[ServiceName]| {
                let found = names.iter().filter_map(|name| find(services, name.as_str()));
                found.map(|to| (from, to)).collect::<Vec<_>>()
            };
            all.requires.extend(resolve(&description.requires));
            all.wants.extend(resolve(&description.wants));
            all.after.extend(resolve(&description.after));
            all.conflicts.extend(resolve(&description.conflicts));
            let missing = |name: &&ServiceName| find(services, name.as_str()).is_none();
            let unknown = description.requires.iter().find(missing);
            all.unknown.extend(unknown.map(|name| (from, name.clone())));
        }
        all
    }
}

fn with_ids(services: &[Loaded]) -> impl Iterator<Item = (ServiceId, &Loaded)> {
    (0..).map(ServiceId).zip(services)
}

/// The service called `name`, among services sorted by name.
pub(crate) fn find(services: &[Loaded], name: &str) -> Option<ServiceId> {
    let index = services.binary_search_by(|service| service.name().as_str().cmp(name)).ok()?;
    u32::try_from(index).ok().map(ServiceId)
}

#[cfg(test)]
mod tests;
