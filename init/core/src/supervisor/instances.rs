//! News of instances and of time: from the first process to the removed tree.

use core::num::NonZeroU32;

use super::service::{Cause, End, Ending, Phase};
use super::{KILL_TIMEOUT, Supervisor};
use crate::description::{Policy, Readiness, RestartPolicy, ServiceKind};
use crate::event::{Action, ExitStatus, InstanceId, ServiceId, SpawnError};
use crate::state::State;
use crate::time::Timestamp;

impl Supervisor {
    pub(super) fn on_spawned(&mut self, instance: InstanceId, pid: u32) {
        let Some(id) = self.service_of(instance) else { return };
        let start_timeout = self.policy(id).map(Policy::start_timeout);
        let Some(service) = self.service_mut(id) else { return };
        if let Some(present) = &mut service.instance
            && !present.exited
        {
            present.pid = NonZeroU32::new(pid);
        }
        if let (State::Starting, Some(timeout)) = (service.state, start_timeout) {
            self.set_timer(id, timeout);
        }
    }

    pub(super) fn on_spawn_failed(&mut self, instance: InstanceId, error: SpawnError) {
        let Some(id) = self.service_of(instance) else { return };
        let Some(service) = self.service_mut(id) else { return };
        if service.phase == Phase::Steady {
            service.ending = Ending::Failure(End::SpawnFailed(error));
        }
        self.remove_instance(id);
    }

    pub(super) fn on_executed(&mut self, instance: InstanceId) {
        let Some(id) = self.service_of(instance) else { return };
        let Some(service) = self.service(id) else { return };
        if service.state != State::Starting {
            return;
        }
        if self.policy(id).is_some_and(|one| one.readiness == Readiness::Started) {
            return self.become_ready(id);
        }
        // The start timeout covers both states.
        let deadline = service.deadline;
        let cause = service.goal_cause;
        self.set_state(id, State::Running, cause);
        self.set_deadline(id, deadline);
    }

    pub(super) fn on_notified(&mut self, instance: InstanceId) {
        let Some(id) = self.service_of(instance) else { return };
        let starting = matches!(self.state(id), Some(State::Starting | State::Running));
        let notifies = |id| self.policy(id).is_some_and(|one| one.readiness == Readiness::Notify);
        if starting && notifies(id) {
            self.become_ready(id);
        }
    }

    fn become_ready(&mut self, id: ServiceId) {
        let now = self.now;
        if let Some(service) = self.service_mut(id) {
            service.ready = Some(now);
            self.set_state(id, State::Ready, Cause::BecameReady);
        }
    }

    pub(super) fn on_out_of_memory(&mut self, instance: InstanceId) {
        let Some(id) = self.service_of(instance) else { return };
        if let Some(present) = self.service_mut(id).and_then(|service| service.instance.as_mut()) {
            present.out_of_memory = true;
        }
    }

    pub(super) fn on_exited(&mut self, instance: InstanceId, status: ExitStatus) {
        let Some(id) = self.service_of(instance) else { return };
        let oneshot = self.policy(id).is_some_and(|one| one.kind == ServiceKind::Oneshot);
        let stop_signal = self.policy(id).map(|one| one.stop_signal);
        let Some(service) = self.service_mut(id) else { return };
        let mut end = End::Exited(status);
        if let Some(present) = &mut service.instance {
            present.exited = true;
            present.pid = None;
            if present.out_of_memory && !status.is_success() {
                end = End::OutOfMemory;
            }
        }
        let asked = matches!(service.phase, Phase::Pending | Phase::Terminating);
        if service.phase == Phase::Steady {
            service.ending = match (status.is_success(), oneshot) {
                (false, _) => Ending::Failure(end),
                (true, true) => Ending::Complete,
                (true, false) => Ending::Success(end),
            };
            self.set_state(id, State::Stopping, Cause::Ended(end));
        } else if asked && !stop_signal.is_some_and(|signal| status.answers(signal)) {
            // Known, and nothing more: what asked it to end stays the reason afterwards.
            self.set_state(id, State::Stopping, Cause::Ended(end));
        }
        self.end_instance(id);
    }

    pub(super) fn on_tree_empty(&mut self, instance: InstanceId) {
        let Some(id) = self.service_of(instance) else { return };
        let Some(service) = self.service_mut(id) else { return };
        if let Some(present) = &mut service.instance {
            present.empty = true;
            if present.exited {
                self.end_instance(id);
            }
        }
    }

    /// The main process has been waited for: kill what it left, or be done.
    fn end_instance(&mut self, id: ServiceId) {
        let Some(service) = self.service(id) else { return };
        match (service.phase, service.instance.as_ref().is_some_and(|one| one.empty)) {
            (_, true) => self.remove_instance(id),
            (Phase::Steady | Phase::Pending | Phase::Terminating, false) => self.kill_tree(id),
            (Phase::Killing | Phase::Abandoned, false) => {}
        }
    }

    fn kill_tree(&mut self, id: ServiceId) {
        let Some(service) = self.service_mut(id) else { return };
        service.phase = Phase::Killing;
        if let Some(instance) = service.instance.as_ref().map(|one| one.id) {
            self.actions.push(Action::KillTree { instance });
            self.set_timer(id, KILL_TIMEOUT);
        }
    }

    /// Nothing of the instance is left.
    fn remove_instance(&mut self, id: ServiceId) {
        let Some(service) = self.service_mut(id) else { return };
        let abandoned = service.phase == Phase::Abandoned;
        service.phase = Phase::Steady;
        if let Some(instance) = service.instance.take().map(|one| one.id) {
            self.instances.retain(|(known, _)| *known != instance);
            self.actions.push(Action::RemoveTree { instance });
        }
        if !abandoned {
            self.conclude(id);
        }
    }

    /// A service has ended; no process of it is left. What next?
    pub(super) fn conclude(&mut self, id: ServiceId) {
        let Some(service) = self.service_mut(id) else { return };
        service.phase = Phase::Steady;
        if !service.wants_up() {
            return self.go_down(id);
        }
        let cause = service.goal_cause;
        let ending = core::mem::replace(&mut service.ending, Ending::Asked);
        let policy = self.policy(id).map(|one| one.restart);
        match (ending, policy) {
            (Ending::Asked, _) => self.set_state(id, State::Waiting, cause),
            (Ending::Complete, _) => self.complete(id),
            (Ending::Success(end), Some(RestartPolicy::Always))
            | (Ending::Failure(end), Some(RestartPolicy::Always | RestartPolicy::OnFailure)) => {
                self.schedule_restart(id, end);
            }
            (Ending::Success(end), _) => {
                self.drop_goals(id, Cause::Ended(end), false);
                self.go_down(id);
            }
            (Ending::Failure(end), _) => self.fail(id, Cause::Ended(end)),
        }
    }

    fn complete(&mut self, id: ServiceId) {
        let now = self.now;
        if let Some(service) = self.service_mut(id) {
            service.ready = Some(now);
            self.set_state(id, State::Completed, Cause::Ended(End::Exited(ExitStatus::Code(0))));
        }
    }

    fn fail(&mut self, id: ServiceId, cause: Cause) {
        self.drop_goals(id, cause, true);
        self.go_down(id);
    }

    fn schedule_restart(&mut self, id: ServiceId, end: End) {
        let Some(policy) = self.policy(id).copied() else { return };
        let now = self.now;
        let Some(service) = self.service_mut(id) else { return };
        let next = now.after(service.next_delay(&policy, end));
        let starts = service.starts_within(policy.start_limit_within(), next);
        if starts >= policy.start_limit_count as usize {
            return self.fail(id, Cause::StartLimit(end));
        }
        self.set_state(id, State::Backoff, Cause::Ended(end));
        self.set_deadline(id, Some(next));
    }

    /// Handles every deadline that had been reached at `looked`, when the edge last looked for
    /// news: since then a process may have been in time, and nobody knows yet.
    pub(super) fn on_tick(&mut self, looked: Timestamp) {
        while let Some((at, id)) = self.deadlines.first().copied() {
            if at > looked {
                break;
            }
            self.set_deadline(id, None);
            self.on_deadline(id);
        }
    }

    fn on_deadline(&mut self, id: ServiceId) {
        let Some(service) = self.service_mut(id) else { return };
        match (service.state, service.phase) {
            (State::Backoff, _) => {
                service.goal_cause = Cause::Restarted;
                self.set_state(id, State::Waiting, Cause::Restarted);
            }
            (State::Starting | State::Running, _) => {
                service.ending = Ending::Failure(End::StartTimeout);
                self.set_state(id, State::Stopping, Cause::Ended(End::StartTimeout));
                self.kill_tree(id);
            }
            (State::Stopping, Phase::Terminating) => self.end_stop_timeout(id),
            (State::Stopping, Phase::Killing) => {
                service.phase = Phase::Abandoned;
                self.abandon(id);
            }
            _ => {}
        }
    }

    /// Its time is over, and it is still there.
    fn end_stop_timeout(&mut self, id: ServiceId) {
        // Without such a time it was not asked to be quick.
        if self.policy(id).is_some_and(|one| !one.stop_timeout().is_zero()) {
            self.set_state(id, State::Stopping, Cause::StopTimeout);
        }
        self.kill_tree(id);
    }

    /// The service is given up: it has failed, whatever was meant to follow.
    fn abandon(&mut self, id: ServiceId) {
        self.drop_goals(id, Cause::Unkillable, true);
        self.set_state(id, State::Failed, Cause::Unkillable);
    }
}
