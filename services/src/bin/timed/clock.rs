//! The clocks: the system's, the hardware's, and the time before which it cannot be.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use services::sys::{set_hardware_clock, slew_clock, step_clock};

/// A file that the builder writes with the image's time (`SOURCE_DATE_EPOCH`), and this program.
const OF_BUILD_TIME: [&str; 2] = ["/usr/lib/os-release", "/proc/self/exe"];

/// When the image was built, as far as its files tell: no clock is right that is before that.
pub(crate) fn build_time() -> SystemTime {
    let times = OF_BUILD_TIME.iter().filter_map(|path| fs::metadata(path).ok()?.modified().ok());
    times.max().unwrap_or(UNIX_EPOCH)
}

/// Both clocks, or neither when only looking.
pub(crate) struct Clocks {
    hardware: Option<File>,
    is_dry: bool,
}

impl Clocks {
    /// Opens the hardware clock; a machine without one has none to keep.
    pub(crate) fn open(rtc: &Path, is_dry: bool) -> Self {
        Self { hardware: File::open(rtc).ok().filter(|_| !is_dry), is_dry }
    }

    /// Moves the system clock at once.
    ///
    /// # Errors
    /// What adjtimex(2) says.
    pub(crate) fn step(&self, offset_ns: i64) -> io::Result<()> {
        let (seconds, nanoseconds) = parts(offset_ns);
        if self.is_dry { Ok(()) } else { step_clock(seconds, nanoseconds) }
    }

    /// Has the kernel lead the system clock.
    ///
    /// # Errors
    /// What adjtimex(2) says.
    pub(crate) fn slew(&self, offset_ns: i64, error_ns: i64, poll_log2: u8) -> io::Result<()> {
        let error_us = u32::try_from(error_ns / 1000).unwrap_or(u32::MAX);
        if self.is_dry { Ok(()) } else { slew_clock(offset_ns, error_us, poll_log2) }
    }

    /// Sets the hardware clock to the system's time.
    ///
    /// # Errors
    /// What ioctl(2) says.
    pub(crate) fn keep(&self) -> io::Result<()> {
        match &self.hardware {
            Some(rtc) => set_hardware_clock(rtc, SystemTime::now()),
            None => Ok(()),
        }
    }

    /// Sets the hardware clock for who found it in use, by this program or another one.
    ///
    /// # Errors
    /// What ioctl(2) says, or that it is not in use here.
    pub(crate) fn keep_on_request(&self) -> io::Result<()> {
        match &self.hardware {
            Some(_) => self.keep(),
            None => Err(io::Error::other("timed does not have it open, another program does")),
        }
    }

    /// Moves a clock that is before `least` to it. Returns by how much.
    ///
    /// # Errors
    /// What adjtimex(2) says.
    pub(crate) fn not_before(&self, least: SystemTime) -> io::Result<Option<Duration>> {
        let Ok(behind) = least.duration_since(SystemTime::now()) else { return Ok(None) };
        self.step(i64::try_from(behind.as_nanos()).unwrap_or(i64::MAX))?;
        Ok(Some(behind))
    }
}

/// Whole seconds, rounded down, and the nanoseconds that are to be added.
fn parts(offset_ns: i64) -> (i64, u32) {
    let nanoseconds = offset_ns.rem_euclid(1_000_000_000);
    (offset_ns.div_euclid(1_000_000_000), u32::try_from(nanoseconds).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Clocks {
        /// A hardware clock that cannot be set, beside a system clock that is left alone.
        pub(crate) fn with_broken_hardware() -> Self {
            Self { hardware: Some(File::open("/dev/null").unwrap()), is_dry: true }
        }
    }

    #[test]
    fn offsets_have_parts() {
        assert_eq!(parts(1_500_000_000), (1, 500_000_000));
        assert_eq!(parts(-1), (-1, 999_999_999));
        assert_eq!(parts(i64::MIN).0, -9_223_372_037);
    }

    #[test]
    fn that_the_hardware_clock_was_not_set_is_told_to_who_asked_for_it() {
        let none = Clocks { hardware: None, is_dry: false };
        assert!(none.keep().is_ok() && none.keep_on_request().is_err());
        assert!(Clocks::with_broken_hardware().keep_on_request().is_err());
    }

    #[test]
    fn a_clock_that_is_late_is_moved_and_another_is_not() {
        let clocks = Clocks::open(Path::new("/nonexistent"), true);
        let hour = Duration::from_secs(3600);
        assert_eq!(clocks.not_before(SystemTime::now() - hour).unwrap(), None);
        let moved = clocks.not_before(SystemTime::now() + hour).unwrap().unwrap();
        assert!(moved > hour / 2 && moved <= hour);
    }
}
