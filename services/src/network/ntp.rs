//! What both ends of NTP have in common: the length of a message and how it writes a time
//! (RFC 5905, sections 6 and 7.3). Shared by `timed` and the tests' server.

use std::time::{SystemTime, UNIX_EPOCH};

/// The port that servers have unless another one is named.
pub const PORT: u16 = 123;

/// Length of a message without extensions, in bytes.
pub const PACKET_BYTES: usize = 48;

/// Seconds from 1900, where NTP's first era begins, to 1970.
const ERA_TO_UNIX_SECONDS: u64 = 2_208_988_800;

/// A time as NTP writes it: 32 bits of seconds since the era began and 32 of fractions. A time
/// before 1970 is 1970.
#[must_use]
pub fn timestamp(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = since.as_secs().wrapping_add(ERA_TO_UNIX_SECONDS);
    let fraction = (u64::from(since.subsec_nanos()) << 32) / 1_000_000_000;
    (seconds << 32) | fraction
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn times_are_of_1900_and_have_fractions() {
        assert_eq!(timestamp(UNIX_EPOCH), 2_208_988_800 << 32);
        let half = UNIX_EPOCH + Duration::from_millis(1500);
        assert_eq!(timestamp(half), (2_208_988_801 << 32) | (1 << 31));
        // 2036-02-07T06:28:16Z, with which the second era begins.
        let era = UNIX_EPOCH + Duration::from_secs((1 << 32) - ERA_TO_UNIX_SECONDS);
        assert_eq!(timestamp(era), 0);
    }
}
