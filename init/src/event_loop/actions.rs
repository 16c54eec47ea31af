//! What the supervisor decided, done.

use init_core::event::{Action, Event, InstanceId, ServiceId};
use init_core::state::{Reason, State};
use init_core::time::Timestamp;
use rustix::event::epoll::EventFlags;

use super::{EventLoop, Token};
use crate::errno::explain;
use crate::instances::Killing;
use crate::log::{self, Level};

impl EventLoop<'_> {
    pub(super) fn perform(&mut self, action: Action, now: Timestamp) {
        match action {
            Action::Spawn { service, instance } => self.spawn(service, instance),
            Action::Terminate { instance, signal } => {
                if let Some(found) = self.instances.get_mut(instance) {
                    found.terminate(signal);
                }
            }
            Action::KillTree { instance } => self.kill_tree(instance),
            Action::RemoveTree { instance } => self.remove_tree(instance),
            Action::Record { service, from, to, reason } => self.record(service, from, to, &reason),
            Action::Reply { client, service, succeeded } => {
                self.reply_to_operation(client, service, succeeded, now);
            }
            Action::Finish { kind } => self.finish = Some(kind),
        }
    }

    fn kill_tree(&mut self, instance: InstanceId) {
        let Some(found) = self.instances.get_mut(instance) else { return };
        match found.kill_tree() {
            Killing::Done => self.queue.push_back(Event::TreeEmpty { instance }),
            Killing::Watch(events) => {
                let token =
                    rustix::event::epoll::EventData::new_u64(Token::Tree(instance).encode());
                let added = rustix::event::epoll::add(&self.epoll, events, token, EventFlags::PRI);
                if let Err(errno) = added {
                    log::error(format_args!("cannot watch a cgroup: {}", explain(errno)));
                }
            }
            // Makes the next turn look; the group may be empty already.
            Killing::Group => self.may_have_dead = true,
        }
    }

    fn remove_tree(&mut self, instance: InstanceId) {
        let Some(found) = self.instances.remove(instance) else { return };
        if let (Some(cgroups), Some(cgroup)) = (&self.cgroups, &found.cgroup) {
            cgroups.remove(cgroup);
        }
    }

    fn record(&self, service: ServiceId, from: State, to: State, reason: &Reason) {
        let level = match to {
            State::Failed => Level::Error,
            State::Backoff => Level::Warning,
            State::Stopping if from == to => Level::Warning,
            State::Waiting | State::Starting | State::Running | State::Stopping => Level::Step,
            State::Ready | State::Completed | State::Stopped => Level::Routine,
        };
        if let Some(name) = self.supervisor.name(service) {
            log::record(level, format_args!("{name}: {from} -> {to} ({reason})"));
        }
    }
}
