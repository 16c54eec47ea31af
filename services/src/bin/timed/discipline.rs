//! What is done about the clock: an offset comes in, an action goes out. No clock, no I/O.

use std::time::Duration;

use crate::packet::Sample;
use crate::settings::Settings;

/// An offset within this is as good as none: then it is asked less often.
const STEADY_NS: u64 = 10_000_000;
/// Pauses after rounds without a result: the network may be on its way.
const RETRY_FIRST: Duration = Duration::from_secs(2);

/// What is to be done now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    /// Set the clock by this many nanoseconds, at once.
    Step(i64),
    /// Let the kernel take this many nanoseconds away by and by.
    Slew(i64),
    /// Wait for another answer that says the same.
    Doubt,
}

/// What has been seen so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Discipline {
    poll_min: Duration,
    poll_max: Duration,
    step_threshold_ns: u64,
    poll: Duration,
    retry: Duration,
    is_set: bool,
    doubts: bool,
}

impl Discipline {
    pub(crate) fn new(settings: &Settings) -> Self {
        let threshold = u64::try_from(settings.step_threshold.as_nanos()).unwrap_or(u64::MAX);
        Self {
            poll_min: settings.poll_min,
            poll_max: settings.poll_max,
            step_threshold_ns: threshold,
            poll: settings.poll_min,
            retry: RETRY_FIRST,
            is_set: false,
            doubts: false,
        }
    }

    /// The servers agree on a time. Returns what to do, and when to ask again.
    pub(crate) fn agreed(&mut self, sample: &Sample) -> (Action, Duration) {
        self.retry = RETRY_FIRST;
        let offset_ns = sample.offset_ns.unsigned_abs();
        let is_far = offset_ns > self.step_threshold_ns;
        let action = if !self.is_set {
            // Programs have hardly begun: nobody has taken the former time for granted.
            Action::Step(sample.offset_ns)
        } else if !is_far {
            Action::Slew(sample.offset_ns)
        } else if self.doubts {
            Action::Step(sample.offset_ns)
        } else {
            Action::Doubt
        };
        self.doubts = action == Action::Doubt;
        self.is_set |= matches!(action, Action::Step(_));
        self.poll = match action {
            Action::Slew(_) if offset_ns <= STEADY_NS => (self.poll * 2).min(self.poll_max),
            _ => self.poll_min,
        };
        let pause = if action == Action::Doubt { RETRY_FIRST } else { self.poll };
        (action, pause)
    }

    /// Nobody answered, or the servers do not agree. Returns when to ask again.
    pub(crate) fn failed(&mut self) -> Duration {
        let pause = self.retry;
        self.retry = (self.retry * 2).min(self.poll_min);
        self.doubts = false;
        pause
    }

    /// A server wants to be asked less often.
    pub(crate) fn slow_down(&mut self) {
        self.poll_min = (self.poll_min * 2).min(self.poll_max);
        self.poll = self.poll.max(self.poll_min);
        self.retry = self.retry.max(self.poll_min);
    }

    /// The pause between questions as a power of two, in seconds, rounded down.
    pub(crate) fn poll_log2(&self) -> u8 {
        u8::try_from(self.poll.as_secs().max(1).ilog2()).unwrap_or(10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn discipline() -> Discipline {
        Discipline::new(&Settings {
            servers: Vec::new(),
            poll_min: Duration::from_secs(64),
            poll_max: Duration::from_secs(200),
            step_threshold: Duration::from_millis(500),
        })
    }

    fn sample(offset_ns: i64) -> Sample {
        Sample { offset_ns, delay_ns: 0, distance_ns: 0, stratum: 1 }
    }

    #[test]
    fn the_clock_is_set_at_first_and_led_after() {
        let mut discipline = discipline();
        let seconds = Duration::from_secs;
        let far = -3_600_000_000_000;
        for (offset_ns, action, pause) in [
            (5, Action::Step(5), seconds(64)),
            (400_000_000, Action::Slew(400_000_000), seconds(64)),
            (1000, Action::Slew(1000), seconds(128)),
            (-1000, Action::Slew(-1000), seconds(200)),
            (far, Action::Doubt, seconds(2)),
            (1000, Action::Slew(1000), seconds(128)),
            (far, Action::Doubt, seconds(2)),
            (far, Action::Step(far), seconds(64)),
            (0, Action::Slew(0), seconds(128)),
        ] {
            assert_eq!(discipline.agreed(&sample(offset_ns)), (action, pause));
        }
    }

    #[test]
    fn silence_is_met_with_patience() {
        let mut discipline = discipline();
        let pauses: Vec<u64> = (0..7).map(|_| discipline.failed().as_secs()).collect();
        assert_eq!(pauses, [2, 4, 8, 16, 32, 64, 64]);
        discipline.agreed(&sample(0));
        assert_eq!(discipline.failed().as_secs(), 2);
        discipline.slow_down();
        assert_eq!(discipline.agreed(&sample(0)).1.as_secs(), 200);
        assert_eq!(discipline.failed().as_secs(), 2, "an answer makes up for it");
    }

    #[test]
    fn an_hour_at_the_start_is_no_matter_of_doubt() {
        let hour = 3_600_000_000_000;
        assert_eq!(discipline().agreed(&sample(hour)).0, Action::Step(hour));
        assert_eq!(discipline().poll_log2(), 6);
    }
}
