//! Goals: what is to be up and what down, and who decides that.
//!
//! Two rules hold after every step: what a service with the goal "up" requires
//! has that goal too, and of two services in conflict at most one has it.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::service::{Cause, Ending, Goal, Phase};
use super::{Supervisor, WaitingClient};
use crate::event::{Action, ClientId, Operation, ServiceId, ShutdownKind};
use crate::state::State;

/// A service to bring up.
struct Pull {
    service: ServiceId,
    cause: Cause,
    /// A person asked for this very service: earlier failures are forgotten and
    /// services in conflict make way.
    asked: bool,
}

impl Supervisor {
    pub(super) fn boot(&mut self) {
        if self.booted || self.shutdown.is_some() {
            return;
        }
        self.booted = true;
        let faulty: Vec<ServiceId> = self.graph.faults().iter().map(|(id, _)| *id).collect();
        for id in faulty {
            self.set_state(id, State::Failed, Cause::Fault);
        }
        let pull = |service| Pull { service, cause: Cause::Autostart, asked: false };
        let queue = self.ids().filter(|id| self.starts_at_boot(*id)).map(pull).collect();
        self.pull_all(queue);
    }

    fn starts_at_boot(&self, id: ServiceId) -> bool {
        self.policy(id).is_some_and(|one| one.autostart)
    }

    pub(super) fn on_command(
        &mut self,
        client: Option<ClientId>,
        operation: Operation,
        id: ServiceId,
    ) {
        let answer = match operation {
            _ if self.service(id).is_none() => Some(false),
            Operation::Stop => self.stop(id),
            Operation::Start | Operation::Restart if self.shutdown.is_some() => Some(false),
            Operation::Start => self.start(id),
            Operation::Restart => self.restart(id),
        };
        match (client, answer) {
            (None, _) => {}
            (Some(client), Some(succeeded)) => {
                self.actions.push(Action::Reply { client, service: id, succeeded });
            }
            (Some(client), None) => self.waiting_clients.push(WaitingClient {
                client,
                service: id,
                operation,
                stopped: None,
            }),
        }
    }

    /// Each command gives its answer if that is known at once.
    fn start(&mut self, id: ServiceId) -> Option<bool> {
        if self.service(id).is_some_and(|service| service.state.is_up()) {
            return Some(true);
        }
        self.pull_all(VecDeque::from([Pull { service: id, cause: Cause::Requested, asked: true }]));
        self.refused(id)
    }

    fn restart(&mut self, id: ServiceId) -> Option<bool> {
        self.pull_all(VecDeque::from([Pull { service: id, cause: Cause::Requested, asked: true }]));
        let service = self.service_mut(id)?;
        if service.state == State::Stopping {
            service.ending = Ending::Asked;
        } else if service.wants_up() && service.must_end() {
            service.goal_cause = Cause::Requested;
            service.started_before = false;
            self.begin_stop(id, Cause::Requested);
        }
        self.refused(id)
    }

    /// Whether bringing the service up was refused outright.
    fn refused(&self, id: ServiceId) -> Option<bool> {
        let service = self.service(id)?;
        (service.state == State::Failed).then_some(false)
    }

    fn stop(&mut self, id: ServiceId) -> Option<bool> {
        let service = self.service(id)?;
        if matches!(service.state, State::Stopped | State::Failed) {
            return Some(service.phase != Phase::Abandoned);
        }
        self.drop_goals(id, Cause::Requested, false);
        None
    }

    pub(super) fn on_shutdown(&mut self, kind: ShutdownKind) {
        if self.finished {
            return;
        }
        if self.shutdown.replace(kind).is_some() {
            return;
        }
        for id in self.ids() {
            if let Some(service) = self.service_mut(id)
                && service.wants_up()
            {
                service.goal = Goal::Down { failed: false };
                service.goal_cause = Cause::Shutdown;
                self.enqueue(id);
            }
        }
    }

    pub(super) fn finish_shutdown(&mut self) {
        if let Some(kind) = self.shutdown
            && !self.finished
            && self.active == 0
        {
            self.finished = true;
            self.actions.push(Action::Finish { kind });
        }
    }

    /// Answers every client whose operation has ended.
    pub(super) fn answer_clients(&mut self) {
        let mut waiting = core::mem::take(&mut self.waiting_clients);
        waiting.retain(|one| match self.outcome(one) {
            Some(succeeded) => {
                let (client, service) = (one.client, one.service);
                self.actions.push(Action::Reply { client, service, succeeded });
                false
            }
            None => true,
        });
        self.waiting_clients = waiting;
    }

    /// A start has ended when the service is up, or down with nothing about to
    /// change that: a first failure is an answer, whatever the restart policy says.
    fn outcome(&self, waiting: &WaitingClient) -> Option<bool> {
        let service = self.service(waiting.service)?;
        match waiting.operation {
            Operation::Stop => waiting.stopped,
            Operation::Start | Operation::Restart => {
                service.is_settled().then(|| service.state.is_up())
            }
        }
    }

    /// Takes the goal "up" from a service and from all that require it, directly or not.
    pub(super) fn drop_goals(&mut self, id: ServiceId, cause: Cause, failed: bool) {
        let mut queue = VecDeque::from([(id, cause)]);
        while let Some((id, cause)) = queue.pop_front() {
            let Some(service) = self.service_mut(id) else { continue };
            if !service.wants_up() {
                continue;
            }
            service.goal = Goal::Down { failed };
            service.goal_cause = cause;
            self.enqueue(id);
            for user in self.graph.required_by(id) {
                let cause = match failed {
                    true => Cause::RequirementFailed(id),
                    false => Cause::RequirementDown(id),
                };
                queue.push_back((*user, cause));
            }
        }
    }

    /// Brings services up, with all they require and, where possible, want.
    /// What is wanted comes last, so that it gives way to what is needed.
    fn pull_all(&mut self, mut queue: VecDeque<Pull>) {
        while let Some(pull) = queue.pop_front() {
            let already = self.service(pull.service).is_none_or(|service| service.wants_up());
            if !already || pull.asked {
                self.pull(pull, &mut queue);
            }
        }
    }

    fn pull(&mut self, pull: Pull, queue: &mut VecDeque<Pull>) {
        if self.graph.fault(pull.service).is_some() {
            return;
        }
        let members = self.graph.required_closure(pull.service);
        let given_up =
            |id: &&ServiceId| self.service(**id).is_some_and(|one| one.phase == Phase::Abandoned);
        if let Some(stuck) = members.iter().find(given_up).copied() {
            let own = stuck == pull.service;
            let cause = if own { Cause::Unkillable } else { Cause::RequirementFailed(stuck) };
            return self.refuse(pull.service, cause);
        }
        let rivals = self.rivals(&members);
        match rivals.first() {
            Some((_, rival)) if !pull.asked => {
                return self.refuse(pull.service, Cause::Conflict(*rival));
            }
            _ => {}
        }
        for (member, rival) in rivals {
            self.drop_goals(rival, Cause::Conflict(member), false);
        }
        for member in members {
            let at_boot = pull.cause == Cause::Autostart && self.starts_at_boot(member);
            let cause = match member == pull.service || at_boot {
                true => pull.cause,
                false => Cause::NeededBy(pull.service),
            };
            self.raise_goal(member, cause, pull.asked, queue);
        }
    }

    /// Pairs of a member and a service in conflict with it that is to be up.
    fn rivals(&self, members: &[ServiceId]) -> Vec<(ServiceId, ServiceId)> {
        let mut rivals = Vec::new();
        for member in members {
            for other in self.graph.conflicts(*member) {
                if self.service(*other).is_some_and(|service| service.wants_up()) {
                    rivals.push((*member, *other));
                }
            }
        }
        rivals
    }

    fn raise_goal(&mut self, id: ServiceId, cause: Cause, asked: bool, queue: &mut VecDeque<Pull>) {
        let Some(service) = self.service_mut(id) else { return };
        let was_up = service.wants_up();
        if asked {
            service.forget_failures();
        }
        if !was_up {
            service.goal = Goal::Up;
            service.goal_cause = cause;
        }
        match service.state {
            State::Stopped | State::Failed => self.set_state(id, State::Waiting, cause),
            State::Backoff if asked => self.set_state(id, State::Waiting, cause),
            // It ends first, whatever for, and starts afterwards; but a oneshot
            // that has just done its work need not do it again.
            State::Stopping if !was_up || (asked && service.ending != Ending::Complete) => {
                service.ending = Ending::Asked;
            }
            _ => self.enqueue(id),
        }
        if !was_up || asked {
            let wanted = self.graph.wants(id).iter();
            queue.extend(wanted.map(|service| Pull {
                service: *service,
                cause: Cause::NeededBy(id),
                asked: false,
            }));
        }
    }

    /// A service that is down cannot be brought up now. One that is still on its
    /// way down goes on to where it was going.
    fn refuse(&mut self, id: ServiceId, cause: Cause) {
        let Some(service) = self.service(id) else { return };
        let down = matches!(service.state, State::Stopped | State::Failed);
        if down && (service.state != State::Failed || service.cause != cause) {
            self.set_state(id, State::Failed, cause);
        }
    }
}
