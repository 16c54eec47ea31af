//! The kernel's messages from `/dev/kmsg`, and PID 1's among them.
//!
//! The kernel keeps its messages in a ring and numbers them. The number of the
//! last one that was logged stands in a file, so that a new collector goes on
//! there. Records of PID 1 go to `init.log`, all others to `kernel.log`.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use services::kmsg::{self, Record};
use services::log_record::format_timestamp;

use crate::directory::LogDirectory;
use crate::log_file::LogFile;

/// What PID 1 writes before its own messages.
const INIT_PREFIX: &str = "init: ";

/// The kernel's messages and where they go.
#[derive(Debug)]
pub(crate) struct KernelLog {
    device: File,
    kernel: LogFile,
    init: LogFile,
    /// Holds the number of the last message that was logged, as text.
    position: File,
    /// The number of the message that is expected next.
    next: Option<u64>,
}

impl KernelLog {
    /// Opens the device and the logs; goes on where an earlier collector left off.
    pub(crate) fn open(device: &Path, directory: &LogDirectory, size_max: u64) -> io::Result<Self> {
        let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
        let device = OpenOptions::new().read(true).custom_flags(nonblocking).open(device)?;
        let position = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(directory.private("kernel.position"))?;
        directory.give_to_readers(&position)?;
        let mut text = String::new();
        (&position).read_to_string(&mut text)?;
        let last: Option<u64> = text.trim().parse().ok();
        Ok(Self {
            device,
            kernel: LogFile::open(directory, "kernel", size_max)?,
            init: LogFile::open(directory, "init", size_max)?,
            position,
            next: last.map(|last| last + 1),
        })
    }

    /// Logs every message that is there.
    pub(crate) fn collect(&mut self, directory: &LogDirectory) -> io::Result<()> {
        let boot = SystemTime::now().checked_sub(monotonic_now());
        let boot = boot.unwrap_or(SystemTime::UNIX_EPOCH);
        let mut buffer = [0; kmsg::RECORD_BYTES_MAX];
        let mut last = None;
        loop {
            match self.device.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => {
                    let text = buffer.get(..length).map(String::from_utf8_lossy);
                    let text = text.unwrap_or_default();
                    if let Some(message) = kmsg::parse(&text) {
                        self.log(directory, boot, &message);
                        last = self.next.and_then(|next| next.checked_sub(1));
                    }
                }
                Err(error) => match Errno::from_io_error(&error) {
                    Some(Errno::AGAIN) => break,
                    // The ring went on and overwrote what was to be read next; the next
                    // read continues with the oldest message, and its number shows the gap.
                    Some(Errno::PIPE | Errno::INTR) => {}
                    _ => return Err(error),
                },
            }
        }
        self.kernel.flush(directory);
        self.init.flush(directory);
        match last {
            // Padded, so that a shorter number cannot leave digits of a longer one behind.
            Some(last) => self.position.write_all_at(format!("{last:<20}\n").as_bytes(), 0),
            None => Ok(()),
        }
    }

    fn log(&mut self, directory: &LogDirectory, boot: SystemTime, message: &Record<'_>) {
        let expected = self.next.unwrap_or(0);
        if message.sequence < expected {
            return;
        }
        let time = boot.checked_add(message.since_boot).unwrap_or(boot);
        let timestamp = format_timestamp(time);
        // Before the first message that was ever logged, the ring may rightly start late.
        if self.next.is_some() && message.sequence > expected {
            let lost = message.sequence - expected;
            let notice = format!("-- {lost} messages lost: the kernel's ring was overwritten");
            self.kernel.add(directory, &timestamp, notice.as_bytes());
        }
        self.next = Some(message.sequence + 1);
        // The log has an escape of its own, for control characters alone.
        let text = kmsg::unescape(message.text);
        match text.strip_prefix(INIT_PREFIX).filter(|_| message.is_from_user_space()) {
            Some(text) => self.init.add(directory, &timestamp, text.as_bytes()),
            None => {
                let line = format!("{}: {text}", message.level());
                self.kernel.add(directory, &timestamp, line.as_bytes());
            }
        }
    }
}

impl AsFd for KernelLog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// What the kernel's timestamps count from, in its own terms.
fn monotonic_now() -> Duration {
    clock_gettime(ClockId::Monotonic).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Stands in for /dev/kmsg: a regular file gives all records in one read, so one
    /// file is used for each.
    fn collect(directory: &LogDirectory, place: &Path, records: &[&str]) {
        for record in records {
            let device = place.join("kmsg");
            fs::write(&device, record).unwrap();
            let mut log = KernelLog::open(&device, directory, 65_536).unwrap();
            log.collect(directory).unwrap();
        }
    }

    fn texts(directory: &LogDirectory, name: &str) -> Vec<String> {
        let log = fs::read_to_string(directory.current(name)).unwrap();
        log.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    }

    #[test]
    fn a_new_collector_goes_on_where_the_last_one_ended_and_names_gaps() {
        let place = tempfile::tempdir().unwrap();
        let directory = LogDirectory::open(&place.path().join("log")).unwrap();
        collect(
            &directory,
            place.path(),
            &["6,7,1,-;first", "30,8,2,-;init: started", "6,8,2,-;seen", "6,7,1,-;seen"],
        );
        collect(&directory, place.path(), &["3,12,9,-;after the gap", "6,13,9,-;init: forged"]);
        assert_eq!(
            texts(&directory, "kernel"),
            [
                "info: first",
                "-- 3 messages lost: the kernel's ring was overwritten",
                "err: after the gap",
                "info: init: forged"
            ]
        );
        assert_eq!(texts(&directory, "init"), ["started"]);
    }

    #[test]
    fn the_kernels_escapes_do_not_reach_the_log() {
        let place = tempfile::tempdir().unwrap();
        let directory = LogDirectory::open(&place.path().join("log")).unwrap();
        collect(
            &directory,
            place.path(),
            &[
                "6,1,1,-;usb 1-1: Product: Caf\\xc3\\xa9 \\x5c",
                "30,2,2,-;init: web: caf\\xc3\\xa9\\x09\\x5cx41",
                "12,3,3,-;no \\x1b[2J and no \\xff",
            ],
        );
        assert_eq!(
            texts(&directory, "kernel"),
            ["info: usb 1-1: Product: Café \\", "warn: no \\x1b[2J and no \u{fffd}"]
        );
        assert_eq!(texts(&directory, "init"), ["web: café\t\\x41"]);
    }
}
