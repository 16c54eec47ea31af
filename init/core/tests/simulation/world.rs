//! One run: the supervisor against the fake kernel, checked at every step.

use std::time::Duration;

use init_core::event::{Action, ClientId, Event, InstanceId, ServiceId, ShutdownKind};
use init_core::supervisor::Supervisor;
use init_core::time::Timestamp;

use crate::checker::Checker;
use crate::kernel::Kernel;
use crate::sabotage::Sabotage;
use crate::schedule::{Input, InputKind, Schedule};

/// Most steps of a run: a supervisor that goes round in circles is found by this.
const STEPS_MAX: usize = 20_000;

/// What a run did, to show that runs are not empty.
#[derive(Default, Debug, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) steps: u64,
    pub(crate) spawns: u64,
    pub(crate) kills: u64,
    pub(crate) replies: u64,
    pub(crate) abandoned: u64,
}

pub(crate) struct World<'a> {
    schedule: &'a Schedule,
    supervisor: Supervisor,
    kernel: Kernel,
    checker: Checker,
    sabotage: Sabotage,
    inputs: std::iter::Peekable<std::slice::Iter<'a, Input>>,
    shut_down: bool,
    pub(crate) tally: Tally,
    /// What happened, if anybody will read it.
    pub(crate) trace: Option<Vec<String>>,
}

impl<'a> World<'a> {
    pub(crate) fn new(schedule: &'a Schedule, sabotage: Sabotage) -> Self {
        let supervised = sabotage.services(&schedule.services);
        Self {
            schedule,
            supervisor: Supervisor::new(supervised),
            kernel: Kernel::new(schedule.seed),
            checker: Checker::new(&schedule.services),
            sabotage,
            inputs: schedule.inputs.iter().peekable(),
            shut_down: false,
            tally: Tally::default(),
            trace: None,
        }
    }

    /// Runs to the end of all things.
    ///
    /// # Errors
    /// The first broken invariant.
    pub(crate) fn run(&mut self) -> Result<(), String> {
        // A signal in the first millisecond comes before boot.
        if self.schedule.end_ms == 0 && self.schedule.seed.is_multiple_of(2) {
            self.deliver(Event::Shutdown { kind: ShutdownKind::PowerOff })?;
        }
        self.deliver(Event::Boot)?;
        for _ in 0..STEPS_MAX {
            // After a jump much is due at once. News comes before time, as the edge
            // delivers them: a process that ended in time is not late.
            let now_ms = self.kernel.now_ms;
            let due = |at_ms: u64| at_ms.max(now_ms);
            let kernel = self.kernel.next_ms().map(due);
            let input = self.inputs.peek().map(|input| due(input.at_ms));
            let tick = self.supervisor.next_deadline().map(ceil_ms).map(due);
            let end = (!self.shut_down).then_some(due(self.schedule.end_ms));
            let next = [kernel, input, tick, end].into_iter().flatten().min();
            let Some(next) = next.filter(|_| !self.is_over()) else {
                return self.checker.check_end(&self.supervisor, &self.kernel);
            };
            if kernel == Some(next) {
                if let Some(event) = self.kernel.advance() {
                    self.deliver(event)?;
                }
            } else if input == Some(next) {
                self.kernel.now_ms = self.kernel.now_ms.max(next);
                self.input()?;
            } else if tick == Some(next) {
                self.kernel.now_ms = self.kernel.now_ms.max(next);
                self.deliver(Event::Tick)?;
            } else {
                self.kernel.now_ms = self.kernel.now_ms.max(next);
                self.deliver(Event::Shutdown { kind: ShutdownKind::PowerOff })?;
            }
        }
        Err(format!("no end after {STEPS_MAX} steps"))
    }

    /// Finished, and nothing comes any more but the end of what hangs for ever.
    fn is_over(&mut self) -> bool {
        let hangs_for_ever = self.kernel.next_ms().is_none_or(|at| at > 1 << 32);
        self.checker.is_finished() && hangs_for_ever && self.inputs.peek().is_none()
    }

    fn input(&mut self) -> Result<(), String> {
        let Some(input) = self.inputs.next() else { return Ok(()) };
        match &input.kind {
            InputKind::Command { client, operation, service } => {
                let service = ServiceId(u32::try_from(*service).unwrap_or(u32::MAX));
                if let Some(client) = client {
                    self.checker.expect_reply(*client, service, *operation, self.kernel.now_ms);
                }
                let (client, operation) = (*client, *operation);
                self.deliver(Event::Command { client, operation, service })
            }
            InputKind::ClientGone(client) => {
                self.checker.client_gone(*client);
                self.deliver(Event::ClientGone { client: *client })
            }
            InputKind::Jump(ms) => {
                self.kernel.now_ms += ms;
                self.checker.jumped(*ms);
                Ok(())
            }
            InputKind::NoDescriptors(ms) => {
                self.kernel.no_descriptors_for(*ms);
                Ok(())
            }
            InputKind::Stray => self.strays(),
            InputKind::Shutdown(kind) => self.deliver(Event::Shutdown { kind: *kind }),
        }
    }

    /// News that must change nothing, of an instance that is gone and of one that never was.
    fn strays(&mut self) -> Result<(), String> {
        let gone = self.checker.removed_instance();
        for instance in
            [gone, Some(InstanceId(u64::MAX)), Some(InstanceId(0))].into_iter().flatten()
        {
            let status = init_core::event::ExitStatus::Code(1);
            for event in [
                Event::Spawned { instance, pid: 1 },
                Event::Executed { instance },
                Event::Notified { instance },
                Event::OutOfMemory { instance },
                Event::Exited { instance, status },
                Event::TreeEmpty { instance },
                Event::ClientGone { client: ClientId(u64::MAX) },
            ] {
                let before = self.checker.changes();
                self.deliver(event)?;
                if self.checker.changes() != before {
                    return Err(format!("news of dead {instance:?} changed a state"));
                }
            }
        }
        Ok(())
    }

    fn deliver(&mut self, event: Event) -> Result<(), String> {
        let now_ms = self.kernel.now_ms;
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{now_ms:>8} ms  {event:?}"));
        }
        self.tally.steps += 1;
        if let Event::Shutdown { kind } = event {
            self.shut_down = true;
            self.checker.shutdown(kind, now_ms);
        }
        let ticked = event == Event::Tick;
        let Some(event) = self.sabotage.event(event) else { return Ok(()) };
        let mut actions = self.supervisor.step(event, Timestamp::from_millis(now_ms));
        self.sabotage.actions(&mut actions);
        for action in &actions {
            if let Some(trace) = &mut self.trace {
                trace.push(format!("             -> {action:?}"));
            }
            self.checker.check_action(action, &self.kernel)?;
            self.perform(action);
        }
        self.checker.check_step(&self.supervisor, &self.kernel, ticked)
    }

    fn perform(&mut self, action: &Action) {
        match action {
            Action::Spawn { service, instance } => {
                self.tally.spawns += 1;
                let start = self.checker.starts_of(*service) << 16 | u64::from(service.0);
                self.kernel.spawn(*instance, start);
            }
            Action::Terminate { instance, .. } => self.kernel.terminate(*instance),
            Action::KillTree { instance } => {
                self.tally.kills += 1;
                self.kernel.kill_tree(*instance);
            }
            Action::RemoveTree { instance } => self.kernel.remove(*instance),
            Action::Reply { .. } => self.tally.replies += 1,
            Action::Record { reason, .. } => {
                let abandoned = *reason == init_core::state::Reason::Unkillable;
                self.tally.abandoned += u64::from(abandoned);
            }
            Action::Finish { .. } => {}
        }
    }
}

/// The edge's timer never fires early.
fn ceil_ms(at: Timestamp) -> u64 {
    let ms = at.since(Timestamp::ZERO).as_nanos().div_ceil(Duration::from_millis(1).as_nanos());
    u64::try_from(ms).unwrap_or(u64::MAX)
}
