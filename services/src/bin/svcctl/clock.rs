//! One reading of both clocks, so that PID 1's monotonic times can be shown as
//! times of day and as ages.

use std::time::{Duration, SystemTime};

use init_core::time::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use services::log_record::format_timestamp;

/// The same moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    pub(crate) monotonic: Timestamp,
    pub(crate) real: SystemTime,
}

impl Clock {
    /// Reads the clocks.
    pub(crate) fn now() -> Self {
        let monotonic: Duration = clock_gettime(ClockId::Monotonic).try_into().unwrap_or_default();
        Self { monotonic: Timestamp::ZERO.after(monotonic), real: SystemTime::now() }
    }

    /// How long ago `time` was; zero if it is yet to come.
    pub(crate) fn age(self, time: Timestamp) -> Duration {
        self.monotonic.since(time)
    }

    /// `time` as RFC 3339 in UTC, with microseconds.
    pub(crate) fn time_of_day(self, time: Timestamp) -> String {
        let real = self.real.checked_sub(self.age(time)).unwrap_or(SystemTime::UNIX_EPOCH);
        format_timestamp(real)
    }

    /// `time` as RFC 3339 in UTC, in whole seconds.
    pub(crate) fn second_of_day(self, time: Timestamp) -> String {
        let precise = self.time_of_day(time);
        precise.split_once('.').map_or(precise.clone(), |(seconds, _)| format!("{seconds}Z"))
    }
}

/// A duration in one unit, cut off: `0s`, `59s`, `3min`, `2h`, `9d`.
pub(crate) fn coarse(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}min", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A duration in two units, cut off: `12s`, `3min 4s`, `2h 0min`, `9d 1h`.
pub(crate) fn fine(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => coarse(duration),
        60..3_600 => format!("{}min {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// A short duration as a person would say it: `12ms`, `1.250s`.
pub(crate) fn precise(duration: Duration) -> String {
    match duration.as_millis() {
        0..1000 => format!("{}ms", duration.as_millis()),
        milliseconds => format!("{}.{:03}s", milliseconds / 1000, milliseconds % 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shown_in_one_unit_or_two() {
        for (seconds, one, two) in [
            (0, "0s", "0s"),
            (59, "59s", "59s"),
            (184, "3min", "3min 4s"),
            (7_200, "2h", "2h 0min"),
            (781_300, "9d", "9d 1h"),
        ] {
            let duration = Duration::from_secs(seconds);
            assert_eq!((coarse(duration).as_str(), fine(duration).as_str()), (one, two));
        }
        assert_eq!(precise(Duration::from_micros(12_900)), "12ms");
        assert_eq!(precise(Duration::from_millis(1_250)), "1.250s");
    }

    #[test]
    fn monotonic_times_become_times_of_day() {
        let real = SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_164_800);
        let clock = Clock { monotonic: Timestamp::from_millis(100_000), real };
        let time = Timestamp::from_millis(90_500);
        assert_eq!(clock.time_of_day(time), "2024-02-28T23:59:50.500000Z");
        assert_eq!(clock.second_of_day(time), "2024-02-28T23:59:50Z");
        assert_eq!(clock.age(time), Duration::from_millis(9_500));
        let future = Timestamp::from_millis(200_000);
        assert_eq!(clock.age(future), Duration::ZERO);
    }
}
