//! A point on the monotonic clock, passed in by whoever owns a clock.

use core::fmt;
use core::num::NonZeroU64;
use core::time::Duration;

/// Nanoseconds on `CLOCK_MONOTONIC`, which starts with the kernel
/// (clock_gettime(2)). The core compares and adds; it never asks for "now".
///
/// It is kept one higher than it is, so that an `Option` of it takes no more
/// room: PID 1 holds several of each service. The last nanosecond of 584 years
/// cannot be told from the one before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(NonZeroU64);

impl Timestamp {
    /// The start of the clock.
    pub const ZERO: Self = Self(NonZeroU64::MIN);

    /// The point `nanoseconds` after the start of the clock.
    #[must_use]
    pub const fn from_nanos(nanoseconds: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(nanoseconds))
    }

    /// The point `milliseconds` after the start of the clock.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self::from_nanos(milliseconds.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the start of the clock.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0.get() - 1
    }

    /// This point moved later by `duration`; saturates at the end of time (584 years).
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Time passed since `earlier`; zero if `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

/// Seconds with microseconds, as the kernel prints them: `12.345678`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanoseconds = self.as_nanos();
        write!(f, "{}.{:06}", nanoseconds / 1_000_000_000, nanoseconds / 1_000 % 1_000_000)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_compared_added_and_shown() {
        let at = Timestamp::from_millis(12_345);
        assert_eq!(at.as_nanos(), 12_345_000_000);
        assert_eq!(at.to_string(), "12.345000");
        assert_eq!(at.after(Duration::from_millis(5)), Timestamp::from_nanos(12_350_000_000));
        assert_eq!(at.since(Timestamp::ZERO), Duration::from_millis(12_345));
        assert_eq!(Timestamp::ZERO.since(at), Duration::ZERO);
        assert_eq!(Timestamp::default().as_nanos(), 0);
        let end = at.after(Duration::MAX);
        assert_eq!(end, Timestamp::from_nanos(u64::MAX));
        assert_eq!(size_of::<Option<Timestamp>>(), size_of::<u64>());
    }
}
