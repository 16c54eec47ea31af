//! When a guest's kernel started, by the host's clock.
//!
//! It is not read off the console but calculated: the guest is asked for its monotonic clock,
//! which began with the kernel, and the host knows when it let the machine go.

use crate::error::{Error, Result};
use crate::ops::guest::Guest;

/// How often the clock is asked for. An answer's way to the host makes the start
/// seem later, never earlier, so the earliest is the nearest.
const QUESTIONS: u32 = 5;

/// How a guest is asked for its `CLOCK_MONOTONIC`.
#[derive(Debug)]
pub(super) struct Question {
    command: &'static str,
    /// What stands before the number in the answer.
    before: &'static str,
    /// How many of its units are a microsecond.
    in_a_microsecond: u128,
}

impl Question {
    /// In an image with the programs that measure.
    pub(super) const MEASURE: Self =
        Self { command: "measure clock", before: "monotonic_us=", in_a_microsecond: 1 };
    /// In one with a shell: the kernel's list of timers says `now at N nsecs` above them. The
    /// shell reads it by itself, for a program's start would be on the answer's way.
    pub(super) const TIMER_LIST: Self = Self {
        command: "while read -r line; do case $line in now*) echo \"$line\"; break;; esac; \
                  done < /proc/timer_list",
        before: "now at ",
        in_a_microsecond: 1000,
    };

    /// When the kernel's clock began, from an answer that was there at most `answered_us` after
    /// power-on.
    fn start_us(&self, text: &str, answered_us: u128) -> Result<u64, String> {
        let before = self.before;
        let number = text.lines().find_map(|line| line.strip_prefix(before)?.split(' ').next());
        let clock: u128 = number
            .and_then(|number| number.parse().ok())
            .ok_or_else(|| format!("no {before:?} in {text:?}"))?;
        let clock_us = clock / self.in_a_microsecond;
        let start = answered_us.checked_sub(clock_us).and_then(|start| u64::try_from(start).ok());
        start.ok_or_else(|| format!("its clock of {clock_us} us began before power-on"))
    }
}

/// Microseconds from power-on until the kernel sets up its clock.
///
/// # Errors
/// If the guest does not answer, or says what cannot be.
pub(super) fn kernel_start_us(guest: &mut Guest, question: &Question) -> Result<u64> {
    let mut earliest = None;
    for _ in 0..QUESTIONS {
        let text = guest.read(question.command)?;
        let answered_us = guest.elapsed().as_micros();
        let start = question
            .start_us(&text, answered_us)
            .map_err(|why| Error::failure(format!("`{}` in the guest: {why}", question.command)))?;
        earliest = Some(earliest.map_or(start, |earliest: u64| earliest.min(start)));
    }
    earliest.ok_or_else(|| Error::internal("the clock was not asked for"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_the_answer_less_the_clock() {
        let measure = |text: &str| Question::MEASURE.start_us(text, 4_000_000);
        assert_eq!(measure("monotonic_us=1500000\n"), Ok(2_500_000));
        let list = |text: &str| Question::TIMER_LIST.start_us(text, 4_000_000);
        assert_eq!(list("now at 1500000999 nsecs\n"), Ok(2_500_000));
        for (found, complaint) in [
            (measure("monotonic_us=4000001\n"), "began before power-on"),
            (measure("monotonic_us=soon\n"), "no \"monotonic_us=\" in"),
            (measure(""), "no \"monotonic_us=\" in"),
            (list("now at 4000001000 nsecs\n"), "began before power-on"),
            (list("now at\n"), "no \"now at \" in"),
        ] {
            let why = found.unwrap_err();
            assert!(why.contains(complaint), "{why}");
        }
    }
}
