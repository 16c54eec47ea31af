//! The message of SNTP, and what an answer says about the clock (RFC 5905, sections 7.3, 8 and
//! 14). Times are 64 bits of seconds and fractions; differences of them are right across the
//! end of an era (2036) as long as both are within 68 years.

use std::time::{Duration, SystemTime};

use services::network::ntp::{PACKET_BYTES, timestamp};

/// An error of more than this makes an answer useless (`MAXDISP` of RFC 5905 is 16 s; a clock
/// that is to be set wants better).
const ROOT_DISTANCE_MAX: Duration = Duration::from_millis(1500);

/// What an answer says.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Sample {
    /// How much the clock is behind the server's, in nanoseconds.
    pub(crate) offset_ns: i64,
    /// How long the messages were under way, in nanoseconds.
    pub(crate) delay_ns: i64,
    /// How wrong it can be: the server's own error and half of the way.
    pub(crate) distance_ns: i64,
    pub(crate) stratum: u8,
}

/// Why an answer is none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rejected {
    /// It is not the answer to this question: anybody may have sent it.
    NotMine,
    /// The server does not know the time.
    Unsynchronised,
    /// The server says to ask less often (`RATE`).
    TooOften,
    /// The server says not to ask any more (`DENY`, `RSTR`).
    Denied,
    /// The times in it cannot be.
    Nonsense,
}

impl Rejected {
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::NotMine => "the answer is to another question",
            Self::Unsynchronised => "the server does not know the time",
            Self::TooOften => "the server wants to be asked less often",
            Self::Denied => "the server does not want to be asked",
            Self::Nonsense => "the answer cannot be right",
        }
    }
}

/// The question. What stands for the time of sending is a number that nobody can guess: the
/// server repeats it, and learns nothing about this clock.
pub(crate) fn question(nonce: u64) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    // Version 4, mode 3 (client).
    packet[0] = (4 << 3) | 3;
    packet[40..].copy_from_slice(&nonce.to_be_bytes());
    packet
}

fn u64_at(packet: &[u8], offset: usize) -> Option<u64> {
    Some(u64::from_be_bytes(packet.get(offset..offset + 8)?.try_into().ok()?))
}

/// A time of 16 bits of seconds and 16 of fractions, in nanoseconds.
fn short_at(packet: &[u8], offset: usize) -> Option<i64> {
    let value = u32::from_be_bytes(packet.get(offset..offset + 4)?.try_into().ok()?);
    Some((i64::from(value) * 1_000_000_000) >> 16)
}

/// A difference of two times in nanoseconds.
fn difference_ns(later: u64, earlier: u64) -> i64 {
    let difference = i128::from(later.wrapping_sub(earlier).cast_signed());
    i64::try_from((difference * 1_000_000_000) >> 32).unwrap_or(i64::MAX)
}

/// What `packet` says as the answer to the question with `nonce`, which was sent at `sent` and
/// answered at `received` by this clock.
///
/// # Errors
/// Why it is no answer.
pub(crate) fn read(
    packet: &[u8],
    nonce: u64,
    sent: SystemTime,
    received: SystemTime,
) -> Result<Sample, Rejected> {
    let first = *packet.first().ok_or(Rejected::NotMine)?;
    let (leap, version, mode) = (first >> 6, (first >> 3) & 7, first & 7);
    if u64_at(packet, 24) != Some(nonce) || mode != 4 || !(3..=4).contains(&version) {
        return Err(Rejected::NotMine);
    }
    let stratum = *packet.get(1).ok_or(Rejected::NotMine)?;
    if stratum == 0 {
        return Err(match packet.get(12..16) {
            Some(b"RATE") => Rejected::TooOften,
            Some(b"DENY" | b"RSTR") => Rejected::Denied,
            _ => Rejected::Unsynchronised,
        });
    }
    if leap == 3 || stratum >= 16 {
        return Err(Rejected::Unsynchronised);
    }
    let field = |value: Option<u64>| value.filter(|value| *value != 0).ok_or(Rejected::Nonsense);
    let (arrived, left) = (field(u64_at(packet, 32))?, field(u64_at(packet, 40))?);
    let (root_delay, root_dispersion) = (short_at(packet, 4), short_at(packet, 8));
    let (Some(root_delay), Some(root_dispersion)) = (root_delay, root_dispersion) else {
        return Err(Rejected::Nonsense);
    };
    let (sent, received) = (timestamp(sent), timestamp(received));
    let there = i128::from(difference_ns(arrived, sent));
    let back = i128::from(difference_ns(left, received));
    let offset_ns = i64::try_from((there + back) / 2).map_err(|_| Rejected::Nonsense)?;
    let under_way = i128::from(difference_ns(received, sent));
    let at_server = i128::from(difference_ns(left, arrived));
    let delay_ns = i64::try_from(under_way - at_server).map_err(|_| Rejected::Nonsense)?;
    // The clocks' steps of a microsecond or so can make it a little negative.
    if at_server < 0 || delay_ns < -1_000_000 {
        return Err(Rejected::Nonsense);
    }
    let delay_ns = delay_ns.max(0);
    let distance_ns = root_delay / 2 + root_dispersion + delay_ns / 2;
    if u128::from(distance_ns.unsigned_abs()) > ROOT_DISTANCE_MAX.as_nanos() {
        return Err(Rejected::Nonsense);
    }
    Ok(Sample { offset_ns, delay_ns, distance_ns, stratum })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const NONCE: u64 = 0x0123_4567_89ab_cdef;

    fn at(milliseconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_750_000_000_000 + milliseconds)
    }

    /// An answer of a server whose clock is `ahead_ms` ahead, 20 ms away in each direction.
    fn answer(ahead_ms: u64) -> [u8; PACKET_BYTES] {
        let mut packet = question(0);
        packet[0] = (4 << 3) | 4;
        packet[1] = 2;
        packet[24..32].copy_from_slice(&NONCE.to_be_bytes());
        packet[32..40].copy_from_slice(&timestamp(at(20 + ahead_ms)).to_be_bytes());
        packet[40..48].copy_from_slice(&timestamp(at(30 + ahead_ms)).to_be_bytes());
        packet
    }

    fn judge(packet: &[u8]) -> Result<Sample, Rejected> {
        read(packet, NONCE, at(0), at(50))
    }

    #[test]
    fn offset_and_delay_come_from_four_times() {
        let sample = judge(&answer(7000)).unwrap();
        assert!((sample.offset_ns - 7_000_000_000).abs() < 10, "{sample:?}");
        assert!((sample.delay_ns - 40_000_000).abs() < 10, "{sample:?}");
        assert_eq!(sample.stratum, 2);
        assert!(judge(&answer(0)).unwrap().offset_ns.abs() < 10);
    }

    #[test]
    fn the_end_of_an_era_is_no_border() {
        let (before, after) = (u64::from(u32::MAX) << 32, 1 << 32);
        assert_eq!(difference_ns(after, before), 2_000_000_000);
        assert_eq!(difference_ns(before, after), -2_000_000_000);
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let changed = |index: usize, bytes: &[u8]| {
            let mut packet = answer(0);
            packet[index..index + bytes.len()].copy_from_slice(bytes);
            judge(&packet)
        };
        assert_eq!(changed(24, &[9]), Err(Rejected::NotMine), "forged");
        assert_eq!(changed(0, &[(4 << 3) | 3]), Err(Rejected::NotMine), "a question");
        assert_eq!(changed(0, &[(7 << 3) | 4]), Err(Rejected::NotMine), "a version to come");
        assert_eq!(changed(0, &[0xc0 | (4 << 3) | 4]), Err(Rejected::Unsynchronised));
        assert_eq!(changed(1, &[16]), Err(Rejected::Unsynchronised));
        let kiss = |code: &[u8; 4]| {
            let mut packet = answer(0);
            packet[1] = 0;
            packet[12..16].copy_from_slice(code);
            judge(&packet)
        };
        assert_eq!(kiss(b"RATE"), Err(Rejected::TooOften));
        assert_eq!(kiss(b"DENY"), Err(Rejected::Denied));
        assert_eq!(kiss(b"RSTR"), Err(Rejected::Denied));
        assert_eq!(kiss(b"INIT"), Err(Rejected::Unsynchronised));
        assert_eq!(changed(32, &[0; 8]), Err(Rejected::Nonsense));
        assert_eq!(changed(4, &[0, 9, 0, 0]), Err(Rejected::Nonsense), "far from the truth");
        for length in 0..PACKET_BYTES {
            assert!(judge(&answer(0)[..length]).is_err(), "{length}");
        }
    }
}
