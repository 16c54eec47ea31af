//! When PID 1 started and when its services had settled, for the log and for
//! `/run/init/boot`.

use alloc::format;

use init_core::state::State;
use init_core::supervisor::Supervisor;
use init_core::time::Timestamp;

use crate::errno::explain;
use crate::{clock, files, log};

/// `key=value` lines: `started_us` (PID 1's first instruction), `complete_us`
/// (every service that starts at boot is up, down or failed), both in
/// microseconds of `CLOCK_MONOTONIC`, and `services_up` at that time.
const FILE: &str = "/run/init/boot";

/// What is known so far.
pub(crate) struct BootReport {
    started: Timestamp,
    progress: Progress,
}

enum Progress {
    /// Some service has not settled yet.
    Booting,
    /// All have, since then; nobody has been told.
    Settled(Timestamp),
    /// It has been told, or there is nothing to tell.
    Over,
}

impl BootReport {
    /// A boot that began at `started`. Behind an initramfs it began there.
    pub(crate) fn new(started: Timestamp) -> Self {
        Self { started: earlier_start().unwrap_or(started), progress: Progress::Booting }
    }

    /// Leaves the start to the PID 1 of the root that is switched to.
    pub(crate) fn hand_over(&self) {
        self.write("");
    }

    /// The system ends before its boot was complete: that is not to be reported.
    pub(crate) fn give_up(&mut self) {
        self.progress = Progress::Over;
    }

    /// Takes the time if all services have settled now.
    pub(crate) fn look(&mut self, supervisor: &Supervisor) {
        if matches!(self.progress, Progress::Booting) && supervisor.is_settled() {
            self.progress = Progress::Settled(clock::now());
        }
    }

    /// Tells, once, that the boot is complete.
    pub(crate) fn publish(&mut self, supervisor: &Supervisor) {
        let Progress::Settled(at) = self.progress else { return };
        self.progress = Progress::Over;
        let is_up = |id: &_| supervisor.state(*id).is_some_and(State::is_up);
        let up = supervisor.ids().filter(is_up).count();
        let took_us = at.since(self.started).as_micros();
        log::info(format_args!(
            "boot complete: {up} services up in {}.{:03} ms, started at {}",
            took_us / 1000,
            took_us % 1000,
            self.started
        ));
        self.write(&format!("complete_us={}\nservices_up={up}\n", at.as_nanos() / 1000));
    }

    fn write(&self, more: &str) {
        let text = format!("started_us={}\n{more}", self.started.as_nanos() / 1000);
        if let Err(errno) = files::write(FILE, &text) {
            log::warning(format_args!("cannot write {FILE}: {}", explain(errno)));
        }
    }
}

/// What the initramfs' PID 1 wrote before it switched root.
fn earlier_start() -> Option<Timestamp> {
    let text = files::read_text(FILE).ok()?;
    let microseconds: u64 =
        text.lines().find_map(|line| line.strip_prefix("started_us="))?.parse().ok()?;
    Some(Timestamp::from_nanos(microseconds.saturating_mul(1000)))
}
