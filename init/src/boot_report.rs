//! When PID 1 started and when its services had settled, for the log and for
//! `/run/init/boot`.

use init_core::state::State;
use init_core::supervisor::Supervisor;
use init_core::time::Timestamp;

use crate::{clock, log};

/// `key=value` lines: `started_us` (PID 1's first instruction), `complete_us`
/// (every service that starts at boot is up, down or failed), both in
/// microseconds of `CLOCK_MONOTONIC`, and `services_up` at that time.
const FILE: &str = "/run/init/boot";

/// What is known so far.
pub(crate) struct BootReport {
    started: Timestamp,
    is_complete: bool,
}

impl BootReport {
    /// A boot that began at `started`. Behind an initramfs it began there.
    pub(crate) fn new(started: Timestamp) -> Self {
        let started = earlier_start().unwrap_or(started);
        let report = Self { started, is_complete: false };
        log::info(format_args!("started at {started}"));
        report.write("");
        report
    }

    /// The system ends before its boot was complete: that is not to be reported.
    pub(crate) fn give_up(&mut self) {
        self.is_complete = true;
    }

    /// Sees whether the boot is complete now.
    pub(crate) fn look(&mut self, supervisor: &Supervisor) {
        if self.is_complete || !supervisor.is_settled() {
            return;
        }
        self.is_complete = true;
        let now = clock::now();
        let is_up = |id: &_| supervisor.state(*id).is_some_and(State::is_up);
        let up = supervisor.ids().filter(is_up).count();
        let took = now.since(self.started);
        log::info(format_args!(
            "boot complete: {up} services up in {}.{:03} ms",
            took.as_millis(),
            took.subsec_micros() % 1000
        ));
        self.write(&format!("complete_us={}\nservices_up={up}\n", now.as_nanos() / 1000));
    }

    fn write(&self, more: &str) {
        let text = format!("started_us={}\n{more}", self.started.as_nanos() / 1000);
        if let Err(error) = std::fs::write(FILE, text) {
            log::warning(format_args!("cannot write {FILE}: {error}"));
        }
    }
}

/// What the initramfs' PID 1 wrote before it switched root.
fn earlier_start() -> Option<Timestamp> {
    let text = std::fs::read_to_string(FILE).ok()?;
    let microseconds: u64 =
        text.lines().find_map(|line| line.strip_prefix("started_us="))?.parse().ok()?;
    Some(Timestamp::from_nanos(microseconds.saturating_mul(1000)))
}
