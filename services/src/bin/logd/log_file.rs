//! The log of one service: `NAME.log`, which is appended to, and `NAME.log.1`,
//! which it becomes at its greatest size. A record is in a file whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::time::SystemTime;

use rustix::io::Errno;
use services::log_record::{append_record, format_timestamp};
use services::problem::warn;

use crate::PROGRAM;
use crate::directory::LogDirectory;

/// Bytes that are formatted before they are written, so that a burst of short
/// lines costs few system calls.
const CHUNK_BYTES: usize = 32 * 1024;

/// Longest notice about dropped records, in bytes.
const NOTICE_BYTES_MAX: u64 = 128;

/// The log of one service, for appending.
#[derive(Debug)]
pub(crate) struct LogFile {
    name: String,
    /// The file, or why it could not be opened when that was last tried.
    file: io::Result<File>,
    /// Size in bytes, always at the end of a record.
    size: u64,
    size_max: u64,
    /// Formatted records that were not written yet.
    chunk: String,
    chunk_records: u64,
    /// Records that could not be written since the last one that could.
    dropped: u64,
}

impl LogFile {
    /// Opens the log of `name`.
    pub(crate) fn open(directory: &LogDirectory, name: &str, size_max: u64) -> io::Result<Self> {
        let log = Self::new(directory, name, size_max);
        match log.file {
            Ok(_) => Ok(log),
            Err(error) => Err(error),
        }
    }

    /// The log of `name`, open or not: what it cannot take is dropped and counted.
    pub(crate) fn new(directory: &LogDirectory, name: &str, size_max: u64) -> Self {
        let mut log = Self {
            name: name.to_owned(),
            file: Err(io::ErrorKind::NotFound.into()),
            size: 0,
            size_max,
            chunk: String::new(),
            chunk_records: 0,
            dropped: 0,
        };
        log.retry(directory);
        log
    }

    /// Opens the file if that has not worked so far. A record that a killed predecessor wrote
    /// in part is removed: its text is still in the pipe.
    pub(crate) fn retry(&mut self, directory: &LogDirectory) {
        if self.file.is_ok() {
            return;
        }
        self.file = open_whole(directory, &self.name).map(|(file, size)| {
            self.size = size;
            file
        });
    }

    /// Why the file is not open.
    pub(crate) fn error(&self) -> Option<&io::Error> {
        self.file.as_ref().err()
    }

    /// Adds a record. It is in the file after the next [`LogFile::flush`].
    pub(crate) fn add(&mut self, directory: &LogDirectory, timestamp: &str, text: &[u8]) {
        if let Err(error) = &self.file {
            return drop_records(&self.name, &mut self.dropped, 1, error);
        }
        let before = self.chunk.len();
        append_record(&mut self.chunk, timestamp, text);
        self.chunk_records += 1;
        let notice = if self.dropped > 0 { NOTICE_BYTES_MAX } else { 0 };
        let size = self.size + notice + self.chunk.len() as u64;
        if size > self.size_max && size > notice + (self.chunk.len() - before) as u64 {
            let record = self.chunk.split_off(before);
            self.chunk_records -= 1;
            self.flush(directory);
            match self.rotate(directory) {
                Ok(()) => {
                    self.chunk = record;
                    self.chunk_records = 1;
                }
                Err(error) => drop_records(&self.name, &mut self.dropped, 1, &error),
            }
        }
        if self.chunk.len() >= CHUNK_BYTES {
            self.flush(directory);
        }
    }

    /// Writes what was added. Where there is no room, the oldest rotated files of all
    /// services give way. What still cannot be written is dropped, and the next
    /// record that can be written is preceded by the number of those that could not.
    pub(crate) fn flush(&mut self, directory: &LogDirectory) {
        if self.chunk.is_empty() {
            return;
        }
        let mut text = String::new();
        if self.dropped > 0 {
            let notice = format!("-- {} lines dropped: the log could not be written", self.dropped);
            append_record(&mut text, &format_timestamp(SystemTime::now()), notice.as_bytes());
        }
        text.push_str(&self.chunk);
        self.chunk.clear();
        let records = std::mem::take(&mut self.chunk_records);
        match self.write_whole(directory, text.as_bytes()) {
            Ok(()) => {
                self.size += text.len() as u64;
                self.dropped = 0;
            }
            Err(error) => drop_records(&self.name, &mut self.dropped, records, &error),
        }
    }

    /// Writes all of `bytes`, or none of them.
    fn write_whole(&mut self, directory: &LogDirectory, bytes: &[u8]) -> io::Result<()> {
        // Nothing is formatted for a file that is not open.
        let Ok(file) = &mut self.file else { return Ok(()) };
        loop {
            let error = match file.write_all(bytes) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            file.set_len(self.size)?;
            if !is_full(&error) || !directory.remove_oldest_rotated()? {
                return Err(error);
            }
        }
    }

    fn rotate(&mut self, directory: &LogDirectory) -> io::Result<()> {
        let current = directory.current(&self.name);
        match fs::rename(&current, directory.rotated(&self.name)) {
            // Somebody removed the file by hand, or the last try came only this far.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            result => result?,
        }
        self.file = Ok(directory.open_file(&current)?);
        self.size = 0;
        Ok(())
    }
}

/// Says once on standard error that records of `name` are lost, and counts them.
fn drop_records(name: &str, dropped: &mut u64, records: u64, error: &io::Error) {
    if *dropped == 0 {
        warn(PROGRAM, format_args!("output of `{name}` is lost: {error}"));
    }
    *dropped += records;
}

/// The newest file of the log `name` and its size, cut off after the last whole record.
fn open_whole(directory: &LogDirectory, name: &str) -> io::Result<(File, u64)> {
    let file = directory.open_file(&directory.current(name))?;
    let length = file.metadata()?.len();
    let size = end_of_last_record(&file, length)?;
    if size < length {
        file.set_len(size)?;
    }
    Ok((file, size))
}

fn is_full(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOSPC | Errno::DQUOT))
}

/// Where the last record within the first `length` bytes of `file` ends.
fn end_of_last_record(file: &File, length: u64) -> io::Result<u64> {
    let mut end = length;
    let mut block = [0; 4096];
    while end > 0 {
        let start = end.saturating_sub(block.len() as u64);
        let wanted = usize::try_from(end - start).unwrap_or(block.len());
        let Some(part) = block.get_mut(..wanted) else { break };
        file.read_exact_at(part, start)?;
        if let Some(newline) = part.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> (tempfile::TempDir, LogDirectory) {
        let place = tempfile::tempdir().unwrap();
        let directory = LogDirectory::open(&place.path().join("log")).unwrap();
        (place, directory)
    }

    #[test]
    fn a_log_takes_up_at_most_two_files_of_its_size() {
        let (_place, directory) = directory();
        let mut log = LogFile::open(&directory, "x", 65_536).unwrap();
        for number in 0..10_000 {
            log.add(&directory, "T", format!("record {number:05}").as_bytes());
        }
        log.flush(&directory);
        let current = fs::read_to_string(directory.current("x")).unwrap();
        let rotated = fs::read_to_string(directory.rotated("x")).unwrap();
        assert!(current.len() <= 65_536 && rotated.len() <= 65_536);
        assert!(rotated.len() > 65_536 - 16, "rotation comes when the file is full");
        let both = rotated + &current;
        let count = both.lines().count();
        for (line, number) in both.lines().zip(10_000 - count..) {
            assert_eq!(line, format!("T record {number:05}"), "the newest records, in order");
        }
    }

    #[test]
    fn a_torn_record_is_removed_when_the_log_is_opened() {
        let (_place, directory) = directory();
        for (found, kept) in [
            ("T one\nT tw".to_owned(), "T one\n".to_owned()),
            ("T on".to_owned(), String::new()),
            (String::new(), String::new()),
            ("T one\n".to_owned(), "T one\n".to_owned()),
            (format!("T one\nT {}", "x".repeat(9_000)), "T one\n".to_owned()),
        ] {
            fs::write(directory.current("x"), found).unwrap();
            let mut log = LogFile::open(&directory, "x", 65_536).unwrap();
            assert_eq!(fs::read_to_string(directory.current("x")).unwrap(), kept);
            log.add(&directory, "T", b"next");
            log.flush(&directory);
            let all = fs::read_to_string(directory.current("x")).unwrap();
            assert_eq!(all, kept + "T next\n");
        }
    }

    #[test]
    fn a_log_that_cannot_be_opened_counts_what_it_drops_until_it_can() {
        let (_place, directory) = directory();
        let path = directory.current("x");
        fs::create_dir(&path).unwrap();
        assert!(LogFile::open(&directory, "x", 65_536).is_err());
        let mut log = LogFile::new(&directory, "x", 65_536);
        for _ in 0..3 {
            log.retry(&directory);
            log.add(&directory, "T", b"in vain");
            log.flush(&directory);
        }
        assert!(log.error().is_some());
        // What another one left there is kept, and a torn record is none.
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "T earlier\nT to").unwrap();
        log.retry(&directory);
        log.add(&directory, "T", b"at last");
        log.flush(&directory);
        let all = fs::read_to_string(&path).unwrap();
        let (first, rest) = all.split_once('\n').unwrap();
        assert_eq!(first, "T earlier");
        assert!(rest.contains(" -- 3 lines dropped: the log could not be written\n"), "{rest}");
        assert!(rest.ends_with("T at last\n"), "{rest}");
    }

    #[test]
    fn the_longest_record_fits_into_the_smallest_file() {
        let (_place, directory) = directory();
        let mut log = LogFile::open(&directory, "x", 65_536).unwrap();
        for _ in 0..3 {
            log.add(&directory, "T", &[0xff; services::log_record::RECORD_LENGTH_MAX]);
        }
        log.flush(&directory);
        assert!(fs::metadata(directory.current("x")).unwrap().len() <= 65_536);
    }
}
