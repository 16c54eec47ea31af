//! The time since boot.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The time since boot, sleep included: no clock that somebody sets, and what ends after
/// a time ends during sleep as well (`CLOCK_BOOTTIME`, clock_gettime(2)).
#[must_use]
pub fn since_boot() -> Duration {
    // The kernel never answers with a negative time here.
    clock_gettime(ClockId::Boottime).try_into().unwrap_or_default()
}
