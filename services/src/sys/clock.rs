//! The system clock as adjtimex(2) disciplines it, and the hardware clock of rtc(4).

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd};
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::Offset;
use libc::c_int;

/// `_IOW('p', 0x0a, struct rtc_time)`, the same number on x86_64 and aarch64.
const RTC_SET_TIME: libc::Ioctl = 0x4024_700a;

/// Longest offset that the kernel takes away by itself, in nanoseconds (`MAXPHASE`).
pub const SLEW_NS_MAX: i64 = 500_000_000;

/// Sets the clock of the open device `rtc` to `time`, to the second.
///
/// # Errors
/// What ioctl(2) says, or that the calendar does not go so far.
pub fn set_hardware_clock(rtc: impl AsFd, time: SystemTime) -> io::Result<()> {
    let time = rtc_time(time)?;
    // SAFETY: the descriptor is open while it is borrowed; the kernel reads nine ints, which
    // are there, and writes nothing.
    let result = unsafe { libc::ioctl(rtc.as_fd().as_raw_fd(), RTC_SET_TIME, &raw const time) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// `struct rtc_time` of `linux/rtc.h`, in UTC: second to year, and what the kernel works out.
fn rtc_time(time: SystemTime) -> io::Result<[c_int; 9]> {
    let time = Timestamp::try_from(time).map_err(io::Error::other)?;
    let time = Offset::UTC.to_datetime(time);
    let [second, minute, hour] = [time.second(), time.minute(), time.hour()].map(c_int::from);
    let [day, month] = [time.day(), time.month() - 1].map(c_int::from);
    Ok([second, minute, hour, day, month, c_int::from(time.year()) - 1900, 0, 0, 0])
}

fn adjust(change: &mut libc::timex) -> io::Result<()> {
    // SAFETY: `change` is a valid `timex` that the kernel reads and writes, nothing beyond it.
    let state = unsafe { libc::adjtimex(change) };
    if state < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn nothing() -> libc::timex {
    // SAFETY: `timex` consists of integers, for which zero is a value.
    unsafe { mem::zeroed() }
}

/// Moves the clock by `seconds` and `nanoseconds` (0 to 999999999, added) at once.
///
/// # Errors
/// What adjtimex(2) says.
pub fn step_clock(seconds: i64, nanoseconds: u32) -> io::Result<()> {
    let mut change = nothing();
    change.modes = libc::ADJ_SETOFFSET | libc::ADJ_NANO | libc::ADJ_STATUS;
    change.time.tv_sec = seconds;
    change.time.tv_usec = nanoseconds.into();
    // It is not known to be right until the next answer says so.
    change.status = libc::STA_UNSYNC;
    adjust(&mut change)
}

/// Has the kernel take `offset_ns` away by and by (RFC 5905, the PLL of section 11.3), within
/// [`SLEW_NS_MAX`], and says that the clock is right but for `error_us` microseconds: from then
/// on the kernel keeps the hardware clock right too. `poll_log2` is the pause between answers
/// as a power of two, in seconds.
///
/// # Errors
/// What adjtimex(2) says.
pub fn slew_clock(offset_ns: i64, error_us: u32, poll_log2: u8) -> io::Result<()> {
    let mut change = nothing();
    change.modes = libc::ADJ_OFFSET
        | libc::ADJ_NANO
        | libc::ADJ_STATUS
        | libc::ADJ_TIMECONST
        | libc::ADJ_MAXERROR
        | libc::ADJ_ESTERROR;
    change.offset = offset_ns.clamp(-SLEW_NS_MAX, SLEW_NS_MAX);
    // In each second the kernel takes the part 2^-(2 + constant) of what is left away: with an
    // answer every 64 s a sixteenth, so that little is left when the next one comes.
    change.constant = poll_log2.saturating_sub(4).into();
    change.status = libc::STA_PLL;
    change.maxerror = error_us.into();
    change.esterror = error_us.into();
    adjust(&mut change)
}

/// Whether the kernel takes the clock for right.
///
/// # Errors
/// What adjtimex(2) says.
pub fn is_clock_synchronised() -> io::Result<bool> {
    let mut state = nothing();
    adjust(&mut state)?;
    Ok(state.status & libc::STA_UNSYNC == 0)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    #[test]
    fn a_time_has_its_place_in_the_calendar() {
        let time = UNIX_EPOCH + Duration::from_secs(1_709_210_096);
        assert_eq!(rtc_time(time).unwrap(), [56, 34, 12, 29, 1, 124, 0, 0, 0], "29 Feb 2024");
    }

    #[test]
    fn the_kernel_says_whether_the_clock_is_right() {
        is_clock_synchronised().unwrap();
    }
}
