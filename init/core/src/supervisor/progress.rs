//! The worklist: each service on it takes the next step towards its goal, if
//! its neighbours allow that now.

use alloc::boxed::Box;

use super::Supervisor;
use super::service::{Cause, Ending, Goal, Instance, Phase};
use crate::event::{Action, InstanceId, ServiceId};
use crate::state::State;

/// What keeps a waiting service from starting: somebody must get somewhere first.
struct Obstacle {
    cause: Cause,
    /// As in `Service::held`.
    held: bool,
}

impl Supervisor {
    pub(super) fn enqueue(&mut self, id: ServiceId) {
        if let Some(service) = self.services.get_mut(id.0 as usize)
            && !service.queued
        {
            service.queued = true;
            self.worklist.push_back(id);
        }
    }

    /// Everybody whom a change of this service's state may concern.
    pub(super) fn enqueue_neighbours(&mut self, id: ServiceId) {
        let above = self.graph.required_by(id).iter().chain(self.graph.followed_by(id));
        let below = self.graph.requires(id).iter().chain(self.graph.follows(id));
        for other in above.chain(below).chain(self.graph.conflicts(id)) {
            if let Some(service) = self.services.get_mut(other.0 as usize)
                && !service.queued
                && service.state != State::Stopped
                && service.state != State::Failed
            {
                service.queued = true;
                self.worklist.push_back(*other);
            }
        }
    }

    /// Ends because each service moves along the table of transitions, and no
    /// way round in it is without an event from outside.
    pub(super) fn work_off(&mut self) {
        while let Some(id) = self.worklist.pop_front() {
            if let Some(service) = self.service_mut(id) {
                service.queued = false;
            }
            self.advance(id);
        }
    }

    fn advance(&mut self, id: ServiceId) {
        let Some(service) = self.service(id) else { return };
        match (service.state, service.goal) {
            (State::Waiting | State::Backoff, Goal::Down { .. }) => self.go_down(id),
            (State::Waiting, Goal::Up) => self.try_start(id),
            (State::Starting | State::Running | State::Ready | State::Completed, goal) => {
                if goal != Goal::Up {
                    let cause = service.goal_cause;
                    self.begin_stop(id, cause);
                } else if let Some(requirement) = self.missing_requirement(id) {
                    self.begin_stop(id, Cause::RequirementDown(requirement));
                }
            }
            (State::Stopping, _) if service.phase == Phase::Pending => self.try_stop(id),
            _ => {}
        }
    }

    /// Ends in `stopped` or `failed`, as the goal says.
    pub(super) fn go_down(&mut self, id: ServiceId) {
        let Some(service) = self.service(id) else { return };
        let state = match service.goal {
            Goal::Down { failed: true } => State::Failed,
            _ => State::Stopped,
        };
        let cause = service.goal_cause;
        self.set_state(id, state, cause);
    }

    fn try_start(&mut self, id: ServiceId) {
        let Some(Obstacle { cause, held }) = self.obstacle(id) else {
            return self.spawn(id);
        };
        let Some(service) = self.service_mut(id) else { return };
        service.cause = cause;
        if core::mem::replace(&mut service.held, held) != held {
            self.enqueue_neighbours(id);
        }
    }

    fn obstacle(&self, id: ServiceId) -> Option<Obstacle> {
        if let Some(requirement) = self.missing_requirement(id) {
            let service = self.service(requirement)?;
            let held = service.state == State::Backoff || service.held;
            return Some(Obstacle { cause: Cause::WaitsFor(requirement), held });
        }
        for other in self.graph.conflicts(id) {
            if self.service(*other)?.must_end() {
                return Some(Obstacle { cause: Cause::WaitsForConflict(*other), held: false });
            }
        }
        for other in self.graph.follows(id) {
            let service = self.service(*other)?;
            if service.wants_up() && !service.is_settled() {
                return Some(Obstacle { cause: Cause::WaitsFor(*other), held: false });
            }
        }
        None
    }

    /// A service it requires that is not up.
    fn missing_requirement(&self, id: ServiceId) -> Option<ServiceId> {
        let up = |id: ServiceId| self.service(id).is_some_and(|service| service.state.is_up());
        self.graph.requires(id).iter().copied().find(|other| !up(*other))
    }

    fn spawn(&mut self, id: ServiceId) {
        let Some(policy) = self.policy(id).copied() else { return };
        let instance = InstanceId(self.next_instance);
        self.next_instance += 1;
        let now = self.now;
        let Some(service) = self.service_mut(id) else { return };
        if core::mem::replace(&mut service.started_before, true) {
            service.restarts = service.restarts.saturating_add(1);
        }
        service.note_start(now, policy.start_limit_count);
        service.ready = None;
        service.status_text = Box::default();
        service.phase = Phase::Steady;
        service.instance = Some(Instance::new(instance));
        let cause = service.goal_cause;
        self.instances.push((instance, id));
        self.set_state(id, State::Starting, cause);
        self.set_timer(id, policy.start_timeout());
        self.actions.push(Action::Spawn { service: id, instance });
    }

    /// Takes a service that runs, or is up without running, on its way down.
    /// What depends on it comes first.
    pub(super) fn begin_stop(&mut self, id: ServiceId, cause: Cause) {
        if let Some(service) = self.service_mut(id) {
            service.ending = Ending::Asked;
            service.phase = Phase::Pending;
            self.set_state(id, State::Stopping, cause);
        }
    }

    fn try_stop(&mut self, id: ServiceId) {
        let above = self.graph.required_by(id);
        let requires_it =
            |other: &ServiceId| self.service(*other).is_some_and(|one| one.must_end());
        if above.iter().any(requires_it) {
            return;
        }
        // A soft neighbour counts while it is meant to end. One that crashes
        // and comes back does not: it might do so for ever.
        let goes_down_first = |other: &ServiceId| {
            self.service(*other).is_some_and(|one| {
                let asked = one.state == State::Stopping && one.ending == Ending::Asked;
                one.must_end() && (asked || !one.wants_up())
            })
        };
        if self.graph.followed_by(id).iter().any(goes_down_first) {
            return;
        }
        let Some(policy) = self.policy(id).copied() else { return };
        let Some(service) = self.service_mut(id) else { return };
        service.phase = Phase::Terminating;
        match service.instance.as_ref().map(|instance| instance.id) {
            None => self.conclude(id),
            Some(instance) => {
                let signal = policy.stop_signal;
                self.actions.push(Action::Terminate { instance, signal });
                self.set_timer(id, policy.stop_timeout());
            }
        }
    }
}
