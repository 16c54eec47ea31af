//! The one clock PID 1 looks at.

use init_core::time::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Now, on `CLOCK_MONOTONIC`: it starts with the kernel and stands still while
/// the system is suspended, so a suspended start does not time out.
pub(crate) fn now() -> Timestamp {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
    Timestamp::from_nanos(seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds))
}
