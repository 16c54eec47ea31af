//! What the kernel reports, turned into events.

use alloc::vec::Vec;

use init_core::description::Signal;
use init_core::event::{Event, ExitStatus, InstanceId};
use rustix::event::epoll::EventFlags;

use super::{EventLoop, Token};
use crate::cgroup::Cgroup;
use crate::log;
use crate::output::Sent;
use crate::signals;
use crate::sys::reap::{self, Reap, Reaped};

/// Most children waited for in one turn: a storm of orphans must leave time
/// for control clients.
const REAPED_PER_TURN: usize = 128;

/// Most readiness messages read in one turn. The kernel lets no more than
/// `net.unix.max_dgram_qlen` (10) wait, so the socket is empty afterwards.
const NOTIFICATIONS_PER_TURN: usize = 64;

impl EventLoop<'_> {
    pub(super) fn take_signals(&mut self) {
        while let Some(number) = self.signals.read() {
            if let Some(kind) = signals::kind_of_signal(number) {
                log::info(format_args!("signal {number}: {kind:?}"));
                self.shut_down(kind);
            } else if number == libc::SIGCHLD {
                self.may_have_dead = true;
            }
        }
    }

    /// Waits for dead children, then reads what they said while they lived,
    /// then tells the supervisor of their end.
    pub(super) fn take_dead(&mut self) {
        let mut dead = Vec::new();
        let looks = core::mem::take(&mut self.may_have_dead);
        if looks {
            for count in 1..=REAPED_PER_TURN {
                let Reap::Child(reaped) = reap::next() else { break };
                if let Some(instance) = self.instances.by_pid(reaped.pid) {
                    dead.push((instance, reaped));
                }
                self.may_have_dead = count == REAPED_PER_TURN;
            }
        }
        self.take_notifications();
        for (instance, reaped) in dead {
            self.tell_end(instance, reaped);
        }
        // Not only when somebody has died: a group may have been empty when it was killed.
        if looks {
            for instance in self.instances.take_dead_groups() {
                self.queue.push_back(Event::TreeEmpty { instance });
            }
        }
    }

    fn tell_end(&mut self, instance: InstanceId, reaped: Reaped) {
        self.take_exec_status(instance);
        let Some(found) = self.instances.get_mut(instance) else { return };
        found.is_waited_for = true;
        let failure = found.failure;
        let status = exit_status(reaped.status.as_raw());
        let is_killed = matches!(status, ExitStatus::Signal { signal: Signal::KILL, .. });
        if is_killed && found.cgroup.as_ref().is_some_and(Cgroup::ran_out_of_memory) {
            self.queue.push_back(Event::OutOfMemory { instance });
        }
        self.queue.push_back(match failure {
            Some(error) => Event::SpawnFailed { instance, error },
            None => Event::Exited { instance, status },
        });
    }

    pub(super) fn take_exec_status(&mut self, instance: InstanceId) {
        let Some(found) = self.instances.get_mut(instance) else { return };
        if found.take_executed() {
            self.queue.push_back(Event::Executed { instance });
        }
    }

    fn take_notifications(&mut self) {
        for _ in 0..NOTIFICATIONS_PER_TURN {
            let Some(message) = self.notify.as_ref().and_then(|notify| notify.receive()) else {
                return;
            };
            let sender = self.instances.by_pid(message.pid);
            let Some(instance) = sender.or_else(|| self.instances.by_member(message.pid)) else {
                continue;
            };
            if let Some(status) = message.content.status {
                self.supervisor.set_status_text(instance, &status);
            }
            if message.content.ready {
                self.take_exec_status(instance);
                self.queue.push_back(Event::Notified { instance });
            }
        }
    }

    pub(super) fn take_empty_tree(&mut self, instance: InstanceId) {
        let Some(found) = self.instances.get_mut(instance) else { return };
        if found.take_empty_tree() {
            self.queue.push_back(Event::TreeEmpty { instance });
        }
    }

    pub(super) fn serve_collector(&mut self, flags: EventFlags) {
        if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
            self.disconnect_collector();
        } else {
            self.send_pipes();
        }
    }

    /// Sends new pipes to the collector; what does not fit waits for room.
    pub(super) fn send_pipes(&mut self) {
        let interest = match self.outputs.send_pending() {
            Sent::Gone => return self.disconnect_collector(),
            Sent::Full => EventFlags::OUT,
            Sent::All => EventFlags::empty(),
        };
        if let Some(socket) = self.outputs.socket() {
            self.modify(socket, Token::Collector, interest);
        }
    }

    pub(super) fn disconnect_collector(&mut self) {
        if let Some(socket) = self.outputs.socket() {
            self.unwatch(socket);
        }
        self.outputs.disconnect_collector();
    }
}

/// wait(2)'s status word in the supervisor's terms. Neither stopped nor
/// continued children are asked for, so it is an exit or a signal.
fn exit_status(raw: i32) -> ExitStatus {
    let byte = |number: i32| u8::try_from(number & 0xff).unwrap_or(u8::MAX);
    match raw & 0x7f {
        0 => ExitStatus::Code(byte(raw >> 8)),
        number => {
            ExitStatus::Signal { signal: Signal(byte(number)), core_dumped: raw & CORE_DUMPED != 0 }
        }
    }
}

/// `WCOREFLAG`
const CORE_DUMPED: i32 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_told_apart() {
        let table = [
            (0x0000, ExitStatus::Code(0)),
            (0x2a00, ExitStatus::Code(42)),
            (0x0009, ExitStatus::Signal { signal: Signal(9), core_dumped: false }),
            (0x008b, ExitStatus::Signal { signal: Signal(11), core_dumped: true }),
        ];
        for (raw, expected) in table {
            assert_eq!(exit_status(raw), expected, "{raw:#x}");
        }
    }
}
