//! A fake kernel: processes that start, become ready, exit, ignore signals,
//! leave children behind and hang, each fate from the schedule's seed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use init_core::description::Signal;
use init_core::event::{Event, ExitStatus, InstanceId, SpawnError, SpawnStage};

use crate::random::Random;

/// One instance's main process and its children.
#[derive(Debug)]
struct Tree {
    main_alive: bool,
    children: u64,
    executed: bool,
    /// `Exited`, or `SpawnFailed` in its stead, has been reported.
    waited_for: bool,
    fate: Fate,
    /// Cannot be killed before this time, in milliseconds.
    hangs_until_ms: u64,
}

/// What is to become of an instance; delays in milliseconds.
#[derive(Debug)]
struct Fate {
    spawn_fails: bool,
    exec_after: Option<u64>,
    exec_fails: bool,
    ready_after: Option<u64>,
    exits_after: Option<(u64, ExitStatus)>,
    child_exits_after: Option<u64>,
    /// How long after `SIGTERM`, unless it ignores it.
    ends_on_term_after: Option<u64>,
    dies_after: u64,
    reported_after: u64,
    empty_first: bool,
}

impl Fate {
    fn new(random: &mut Random) -> Self {
        let code = random.pick(&[0, 0, 1, 3]);
        let status = match random.chance(20) {
            true => ExitStatus::Signal { signal: Signal(11), core_dumped: false },
            false => ExitStatus::Code(code),
        };
        let lives = random.pick(&[5, 60, 700, 4_000, 90_000]);
        Self {
            spawn_fails: random.chance(4),
            exec_after: (!random.chance(1)).then(|| random.pick(&[0, 1, 30])),
            exec_fails: random.chance(4),
            ready_after: (!random.chance(6)).then(|| random.pick(&[0, 10, 400, 2_000])),
            exits_after: random.chance(60).then_some((lives, status)),
            child_exits_after: random.chance(50).then(|| random.pick(&[1, 500, 20_000])),
            ends_on_term_after: random.chance(85).then(|| random.pick(&[0, 5, 500, 3_000])),
            dies_after: random.pick(&[0, 1, 20]),
            reported_after: random.pick(&[0, 0, 2]),
            empty_first: random.chance(30),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Step {
    SpawnFails,
    Spawned,
    Exec,
    Ready,
    Exit,
    ChildExit,
    TermExit,
    Killed,
    /// The main process is waited for.
    Report(u16),
    Empty,
}

/// The kernel and the clock.
pub(crate) struct Kernel {
    seed: u64,
    pub(crate) now_ms: u64,
    order: u64,
    queue: BinaryHeap<Reverse<(u64, u64, InstanceId, Step)>>,
    trees: BTreeMap<InstanceId, Tree>,
    no_descriptors_until_ms: u64,
}

impl Kernel {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            now_ms: 0,
            order: 0,
            queue: BinaryHeap::new(),
            trees: BTreeMap::new(),
            no_descriptors_until_ms: 0,
        }
    }

    pub(crate) fn no_descriptors_for(&mut self, ms: u64) {
        self.no_descriptors_until_ms = self.now_ms + ms;
    }

    fn plan(&mut self, after_ms: u64, instance: InstanceId, step: Step) {
        self.order += 1;
        self.queue.push(Reverse((self.now_ms + after_ms, self.order, instance, step)));
    }

    /// `start` says which start of which service this is: the fate hangs on it
    /// alone, so that leaving out an input changes little else.
    pub(crate) fn spawn(&mut self, instance: InstanceId, start: u64) {
        let mut random = Random::derived(self.seed, start);
        let fate = Fate::new(&mut random);
        let children = if random.chance(30) { 1 + random.below(3) } else { 0 };
        let hangs_until_ms = match random.chance(4) {
            true => self.now_ms + random.pick(&[2_000, 9_000, 300_000, u64::MAX >> 20]),
            false => 0,
        };
        let spawned_after = u64::from(random.chance(10));
        if fate.spawn_fails || self.now_ms < self.no_descriptors_until_ms {
            return self.plan(spawned_after, instance, Step::SpawnFails);
        }
        self.plan(spawned_after, instance, Step::Spawned);
        let tree = Tree {
            main_alive: true,
            children,
            executed: false,
            waited_for: false,
            fate,
            hangs_until_ms,
        };
        self.trees.insert(instance, tree);
    }

    pub(crate) fn terminate(&mut self, instance: InstanceId) {
        let after = self.trees.get(&instance).and_then(|tree| tree.fate.ends_on_term_after);
        if let Some(after) = after {
            self.plan(after, instance, Step::TermExit);
        }
    }

    pub(crate) fn kill_tree(&mut self, instance: InstanceId) {
        if let Some(tree) = self.trees.get(&instance) {
            let at = tree.hangs_until_ms.max(self.now_ms + tree.fate.dies_after);
            self.plan(at - self.now_ms, instance, Step::Killed);
        }
    }

    /// The instance's cgroup is removed.
    pub(crate) fn remove(&mut self, instance: InstanceId) {
        self.trees.remove(&instance);
    }

    /// Whether nothing of the instance is left and its end has been reported.
    pub(crate) fn is_over(&self, instance: InstanceId) -> bool {
        let over = |tree: &Tree| !tree.main_alive && tree.children == 0 && tree.waited_for;
        self.trees.get(&instance).is_none_or(over)
    }

    /// Whether some process of the instance could not be killed up to now.
    pub(crate) fn hangs(&self, instance: InstanceId) -> bool {
        self.trees.get(&instance).is_some_and(|tree| tree.hangs_until_ms >= self.now_ms)
    }

    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.queue.peek().map(|Reverse((at, ..))| *at)
    }

    /// Takes the next step of the machine; what PID 1 sees of it. Where PID 1
    /// comes late, the machine has gone on at its own pace.
    pub(crate) fn advance(&mut self) -> Option<Event> {
        let Reverse((at, _, instance, step)) = self.queue.pop()?;
        let now_ms = self.now_ms.max(at);
        self.now_ms = at;
        let event = self.take(instance, step);
        self.now_ms = now_ms;
        event
    }

    fn take(&mut self, instance: InstanceId, step: Step) -> Option<Event> {
        if step == Step::SpawnFails {
            let error = SpawnError { stage: SpawnStage::Clone, errno: 24 };
            return Some(Event::SpawnFailed { instance, error });
        }
        let tree = self.trees.get_mut(&instance)?;
        match step {
            Step::SpawnFails => None,
            Step::Spawned => self.spawned(instance),
            Step::Exec if !tree.main_alive => None,
            Step::Exec if tree.fate.exec_fails => {
                self.trees.remove(&instance);
                let error = SpawnError { stage: SpawnStage::Exec, errno: 2 };
                Some(Event::SpawnFailed { instance, error })
            }
            Step::Exec => {
                tree.executed = true;
                let (ready, exit) = (tree.fate.ready_after, tree.fate.exits_after);
                if let Some(after) = ready {
                    self.plan(after, instance, Step::Ready);
                }
                if let Some((after, _)) = exit {
                    self.plan(after, instance, Step::Exit);
                }
                Some(Event::Executed { instance })
            }
            // What was written before the end is still read after it.
            Step::Ready => Some(Event::Notified { instance }),
            Step::Exit => {
                let (_, status) = tree.fate.exits_after?;
                self.main_ends(instance, status)
            }
            Step::TermExit if tree.hangs_until_ms > self.now_ms => None,
            Step::TermExit => {
                let signal = Signal::TERM;
                self.main_ends(instance, ExitStatus::Signal { signal, core_dumped: false })
            }
            Step::Killed => {
                tree.children = 0;
                let signal = Signal::KILL;
                let killed = ExitStatus::Signal { signal, core_dumped: false };
                let event = self.main_ends(instance, killed);
                // An answer comes also where there was nothing to kill.
                self.plan(0, instance, Step::Empty);
                event
            }
            Step::ChildExit => {
                tree.children = tree.children.saturating_sub(1);
                self.plan(0, instance, Step::Empty);
                None
            }
            Step::Report(status) => {
                tree.waited_for = true;
                let status = match status {
                    0x100.. => ExitStatus::Signal {
                        signal: Signal(status.to_le_bytes()[0]),
                        core_dumped: false,
                    },
                    code => ExitStatus::Code(code.to_le_bytes()[0]),
                };
                Some(Event::Exited { instance, status })
            }
            Step::Empty => {
                let empty = !tree.main_alive && tree.children == 0;
                empty.then_some(Event::TreeEmpty { instance })
            }
        }
    }

    fn spawned(&mut self, instance: InstanceId) -> Option<Event> {
        let tree = self.trees.get(&instance)?;
        let (exec_after, child) = (tree.fate.exec_after, tree.fate.child_exits_after);
        if let Some(after) = exec_after {
            self.plan(after, instance, Step::Exec);
        }
        if let Some(after) = child {
            self.plan(after, instance, Step::ChildExit);
        }
        let pid = u32::try_from(instance.0).unwrap_or(u32::MAX);
        Some(Event::Spawned { instance, pid })
    }

    fn main_ends(&mut self, instance: InstanceId, status: ExitStatus) -> Option<Event> {
        let tree = self.trees.get_mut(&instance)?;
        if !std::mem::replace(&mut tree.main_alive, false) {
            return None;
        }
        if !tree.executed {
            tree.children = 0;
        }
        let (after, empty_first) = (tree.fate.reported_after, tree.fate.empty_first);
        let encoded = match status {
            ExitStatus::Code(code) => u16::from(code),
            ExitStatus::Signal { signal, .. } => 0x100 + u16::from(signal.0),
        };
        if empty_first {
            self.plan(0, instance, Step::Empty);
            self.plan(after, instance, Step::Report(encoded));
        } else {
            self.plan(after, instance, Step::Report(encoded));
            self.plan(after, instance, Step::Empty);
        }
        None
    }
}
