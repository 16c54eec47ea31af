//! PID 1's own log: records in the kernel's ring buffer.
//!
//! `/dev/kmsg` takes one record per write and never makes the writer wait for
//! a reader; the console shows what its log level lets through, so a `quiet`
//! kernel stays quiet. Where `/dev/kmsg` cannot be had the records go to the
//! console. Writing one neither allocates, blocks nor fails, for a panic is logged too.

use core::fmt::{self, Write as _};
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags, open};

use crate::sys::once::Once;
use crate::sys::stdio;

/// Longest record, in bytes: the kernel refuses more than about 1000.
const RECORD_LENGTH_MAX_BYTES: usize = 512;

/// The kernel's rate limit is lifted before this many records, for most boots
/// write fewer and lifting it takes time.
const RECORDS_UNLIMITED: u32 = 8;

static KMSG: Once<OwnedFd> = Once::new();
static IS_VERBOSE: AtomicBool = AtomicBool::new(false);
static RECORDS: AtomicU32 = AtomicU32::new(0);

/// How grave a record is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Level {
    /// The system is not what it should be.
    Error,
    /// Something will be tried again, or was left out.
    Warning,
    /// A landmark in an ordinary life.
    Info,
    /// Ordinary, and as frequent as services are many. A kernel with its usual
    /// log level keeps it off the console: a line on a serial port takes longer
    /// than starting a service, and interrupts whoever works there.
    Routine,
    /// Steps on the way; written only with `debug` on the command line.
    Step,
}

impl Level {
    /// The kernel's number for it (syslog(3)).
    const fn priority(self) -> u8 {
        match self {
            Self::Error => 3,
            Self::Warning => 4,
            Self::Info => 6,
            Self::Routine | Self::Step => 7,
        }
    }
}

/// Opens the log. Before that, and if it fails, records go to standard error.
pub(crate) fn open_kmsg() {
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if let Ok(fd) = open("/dev/kmsg", flags, Mode::empty()) {
        KMSG.set(fd);
    }
}

/// Lets [`Level::Step`] through: the command line says `debug`.
pub(crate) fn set_verbose() {
    IS_VERBOSE.store(true, Ordering::Relaxed);
}

/// Lifts the kernel's rate limit on `/dev/kmsg`: 10 records in 5 seconds.
fn lift_rate_limit() {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    // Fails where the command line has fixed printk.devkmsg: then that is wanted.
    let _ = open("/proc/sys/kernel/printk_devkmsg", flags, Mode::empty())
        .and_then(|file| rustix::io::write(file, b"on\n"));
}

/// Writes a record of `level`, one per line of `text`.
pub(crate) fn record(level: Level, text: fmt::Arguments<'_>) {
    if level == Level::Step && !IS_VERBOSE.load(Ordering::Relaxed) {
        return;
    }
    let mut line = Line::start(level);
    // Line never refuses text.
    let _ = line.write_fmt(text);
    line.send();
}

/// [`Level::Error`].
pub(crate) fn error(text: fmt::Arguments<'_>) {
    record(Level::Error, text);
}

/// [`Level::Warning`].
pub(crate) fn warning(text: fmt::Arguments<'_>) {
    record(Level::Warning, text);
}

/// [`Level::Info`].
pub(crate) fn info(text: fmt::Arguments<'_>) {
    record(Level::Info, text);
}

/// A record under construction. What does not fit is cut off.
struct Line {
    level: Level,
    bytes: [u8; RECORD_LENGTH_MAX_BYTES],
    length: usize,
    prefix_length: usize,
}

impl Line {
    fn start(level: Level) -> Self {
        let mut line =
            Self { level, bytes: [0; RECORD_LENGTH_MAX_BYTES], length: 0, prefix_length: 0 };
        // Facility 3 is LOG_DAEMON: the kernel marks records of user space by it.
        let _ = write!(line, "<{}>init: ", (3 << 3) | level.priority());
        line.prefix_length = line.length;
        line
    }

    fn send(&mut self) {
        if self.length == self.prefix_length {
            return;
        }
        if RECORDS.fetch_add(1, Ordering::Relaxed) == RECORDS_UNLIMITED {
            lift_rate_limit();
        }
        self.push(b'\n');
        let bytes = self.bytes.get(..self.length).unwrap_or_default();
        let failed = match KMSG.get() {
            Some(kmsg) => rustix::io::write(kmsg.as_fd(), bytes).is_err(),
            None => true,
        };
        if failed && self.level != Level::Step {
            let start = bytes.iter().position(|byte| *byte == b'>').map_or(0, |at| at + 1);
            write_console(bytes.get(start..).unwrap_or_default());
        }
        self.length = self.prefix_length;
    }

    fn push(&mut self, byte: u8) {
        // The last place is for the newline.
        let full = self.length + usize::from(byte != b'\n') >= RECORD_LENGTH_MAX_BYTES;
        if let (false, Some(slot)) = (full, self.bytes.get_mut(self.length)) {
            *slot = byte;
            self.length += 1;
        }
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            match byte {
                b'\n' => self.send(),
                byte if byte.is_ascii_control() => self.push(b'?'),
                byte => self.push(byte),
            }
        }
        Ok(())
    }
}

/// Writes to standard error, which is the console, past the log: for a person
/// who must see it now. A failure has nowhere to be told.
pub(crate) fn write_console(bytes: &[u8]) {
    let _ = rustix::io::write(stdio::stderr(), bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_one_line_and_bounded() {
        let mut line = Line::start(Level::Error);
        write!(line, "a\x1b[2Jb{}", "x".repeat(2000)).unwrap();
        line.push(b'\n');
        let text = core::str::from_utf8(&line.bytes[..line.length]).unwrap();
        assert!(text.starts_with("<27>init: a?[2Jbxxx"), "{text}");
        assert!(text.ends_with("x\n"));
        assert_eq!(text.len(), RECORD_LENGTH_MAX_BYTES);
    }
}
