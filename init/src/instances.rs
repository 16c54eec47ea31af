//! The instances that exist: what PID 1 holds of each running service.

use alloc::vec::Vec;

use init_core::description::Signal;
use init_core::event::{InstanceId, SpawnError};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};

use crate::cgroup::{self, Cgroup};
use crate::errno::explain;
use crate::log;
use crate::sys::process::{Child, Pending, Start};
use crate::sys::signal;

/// All instances, in ascending order of their numbers. There are few, and the
/// places of those that are gone are used again: a list is smaller than a tree.
#[derive(Default)]
pub(crate) struct Instances(Vec<Instance>);

/// One start of one service.
pub(crate) struct Instance {
    id: InstanceId,
    child: Child,
    /// Its process id is nobody's now.
    pub(crate) is_waited_for: bool,
    /// Its cgroup; without one the process group that its main process leads.
    pub(crate) cgroup: Option<Cgroup>,
    /// What failed before its program was executed.
    pub(crate) failure: Option<SpawnError>,
    /// Its `cgroup.events` while its tree is being killed.
    events: Option<OwnedFd>,
    /// Its process group has been killed and is not gone yet.
    is_group_dying: bool,
}

impl Instances {
    /// Takes up an instance whose process has just been created. Its number is
    /// higher than all before.
    pub(crate) fn insert(&mut self, id: InstanceId, child: Child, cgroup: Option<Cgroup>) {
        self.0.push(Instance {
            id,
            child,
            is_waited_for: false,
            cgroup,
            failure: None,
            events: None,
            is_group_dying: false,
        });
    }

    fn find(&self, id: InstanceId) -> Option<usize> {
        self.0.binary_search_by_key(&id, |instance| instance.id).ok()
    }

    /// The instance of this number; one that is gone has none.
    pub(crate) fn get_mut(&mut self, id: InstanceId) -> Option<&mut Instance> {
        let index = self.find(id)?;
        self.0.get_mut(index)
    }

    /// The instance whose main process is `pid` and has not been waited for.
    pub(crate) fn by_pid(&self, pid: u32) -> Option<InstanceId> {
        let is_main = |instance: &&Instance| instance.child.pid == pid && !instance.is_waited_for;
        self.0.iter().find(is_main).map(|instance| instance.id)
    }

    /// The instance that process `pid` belongs to, by its cgroup.
    pub(crate) fn by_member(&self, pid: u32) -> Option<InstanceId> {
        let name = cgroup::name_of_process(pid)?;
        let holds = |instance: &&Instance| {
            instance.cgroup.as_ref().is_some_and(|cgroup| cgroup.name() == name)
        };
        self.0.iter().find(holds).map(|instance| instance.id)
    }

    /// Drops the instance and gives back what is left of it.
    pub(crate) fn remove(&mut self, id: InstanceId) -> Option<Instance> {
        self.find(id).map(|index| self.0.remove(index))
    }

    /// The instances whose killed process group is gone now, once each.
    pub(crate) fn take_dead_groups(&mut self) -> Vec<InstanceId> {
        let mut dead = Vec::new();
        for instance in &mut self.0 {
            if instance.is_group_dying && !cgroup::group_exists(instance.child.pid) {
                instance.is_group_dying = false;
                dead.push(instance.id);
            }
        }
        dead
    }
}

/// What became of the order to kill a tree.
pub(crate) enum Killing<'a> {
    /// No process is left.
    Done,
    /// This descriptor, a `cgroup.events`, must be watched.
    Watch(BorrowedFd<'a>),
    /// The process group must be asked after whenever a child has died.
    Group,
}

impl Instance {
    /// Takes what the child says of its start. True, once, if its program has
    /// been executed; a failure is kept until it has been waited for.
    pub(crate) fn take_executed(&mut self) -> bool {
        let start = self.child.pending.as_mut().and_then(Pending::read);
        self.settle(start)
    }

    /// The same, after a short time for the child to get on.
    pub(crate) fn wait_executed(&mut self) -> bool {
        let start = self.child.pending.as_mut().and_then(Pending::wait);
        self.settle(start)
    }

    fn settle(&mut self, start: Option<Start>) -> bool {
        let Some(start) = start else { return false };
        self.child.pending = None;
        match start {
            Start::Executed => true,
            Start::Failed(error) => {
                self.failure = Some(error);
                false
            }
        }
    }

    /// Asks the main process to end. What it does until then, it may do with new processes:
    /// a script cleans up by commands, a runtime by threads.
    pub(crate) fn terminate(&self, number: Signal) {
        // Fails when the process is dead already, and that is seen elsewhere.
        let _ = signal::send(self.child.pidfd.as_fd(), number.0);
        // A stopped process takes the signal only once it goes on.
        let _ = signal::send(self.child.pidfd.as_fd(), CONTINUE);
    }

    /// Kills every process of the instance.
    pub(crate) fn kill_tree(&mut self) -> Killing<'_> {
        let Some(cgroup) = &self.cgroup else { return self.kill_group() };
        if let Err(errno) = cgroup.kill() {
            log::error(format_args!(
                "cannot kill the cgroup {}: {}",
                cgroup.name(),
                explain(errno)
            ));
            let _ = signal::send(self.child.pidfd.as_fd(), Signal::KILL.0);
        }
        match cgroup.open_events() {
            // Whatever happens after the look wakes the loop: the look is second.
            Ok(events) if cgroup::has_processes(events.as_fd()) => {
                let events: &OwnedFd = self.events.insert(events);
                Killing::Watch(events.as_fd())
            }
            _ => Killing::Done,
        }
    }

    fn kill_group(&mut self) -> Killing<'_> {
        // The leader may not have called setsid yet, and then it is in nobody's group.
        let _ = signal::send(self.child.pidfd.as_fd(), Signal::KILL.0);
        cgroup::kill_group(self.child.pid);
        self.is_group_dying = true;
        Killing::Group
    }

    /// Whether the watched tree has become empty; then the watch is over.
    pub(crate) fn take_empty_tree(&mut self) -> bool {
        let is_empty =
            self.events.as_ref().is_some_and(|events| !cgroup::has_processes(events.as_fd()));
        if is_empty {
            self.events = None;
        }
        is_empty
    }
}

/// `SIGCONT`
const CONTINUE: u8 = 18;
