//! One service's output pipe: copied with tee(2), logged, and only then consumed.
//!
//! A collector that is killed leaves in the pipe whatever is not in the log yet;
//! its successor finds it there. What it had logged but not consumed comes
//! twice then: at least once after a kill, exactly once otherwise.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, read};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, pipe_with, tee};
use services::log_record::{RECORD_LENGTH_MAX, first_record, format_timestamp};

use crate::directory::LogDirectory;
use crate::log_file::LogFile;

/// How long the start of a line may wait in the pipe for its end.
const PARTIAL_LINE_WAIT: Duration = Duration::from_secs(1);

/// Bytes taken in one turn, so that one service cannot keep the others waiting.
const TURN_BYTES: usize = 64 * 1024;

/// Where pipes are copied to for reading. Empty between turns.
#[derive(Debug)]
pub(crate) struct Scratch {
    reader: OwnedFd,
    writer: OwnedFd,
    buffer: Vec<u8>,
}

impl Scratch {
    /// Creates the pipe.
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self { reader, writer, buffer: vec![0; TURN_BYTES] })
    }

    /// The first bytes in `pipe`, which keeps them; empty at the end of the pipe.
    fn peek(&mut self, pipe: BorrowedFd<'_>) -> Result<&[u8], Errno> {
        let copied = tee(pipe, &self.writer, TURN_BYTES, SpliceFlags::NONBLOCK)?;
        let filled = fill(self.reader.as_fd(), &mut self.buffer, copied)?;
        Ok(self.buffer.get(..filled).unwrap_or_default())
    }

    /// Takes `count` bytes, which were peeked at, out of `pipe`.
    fn consume(&mut self, pipe: BorrowedFd<'_>, count: usize) -> Result<(), Errno> {
        fill(pipe, &mut self.buffer, count).map(|_| ())
    }
}

/// Reads `count` bytes into the front of `buffer`: all of them, if they are there.
fn fill(pipe: BorrowedFd<'_>, buffer: &mut [u8], count: usize) -> Result<usize, Errno> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..count).filter(|room| !room.is_empty()) {
        match read(pipe, room) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// What a turn found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// There may be more to take at once.
    More,
    /// Nothing more until the pipe becomes readable or the source's deadline comes.
    Idle,
    /// Every writer is gone and everything has been logged.
    Ended,
}

/// A service's pipe and its log.
#[derive(Debug)]
pub(crate) struct Source {
    pipe: OwnedFd,
    log: LogFile,
    /// Longest part of a line that is left waiting in the pipe.
    record_length_max: usize,
    /// When the start of a line that waits in the pipe is logged without its end.
    deadline: Option<Instant>,
}

impl Source {
    /// A source for a pipe's read end.
    pub(crate) fn new(pipe: OwnedFd, log: LogFile) -> io::Result<Self> {
        // Consuming never takes more than was peeked at, so it should not block; this
        // makes sure that a second reader by mistake could not make it.
        fcntl_setfl(&pipe, fcntl_getfl(&pipe)? | OFlags::NONBLOCK)?;
        // A line must not wait for its end in a pipe that has no room for it.
        let record_length_max = RECORD_LENGTH_MAX.min(fcntl_getpipe_size(&pipe)? / 2);
        Ok(Self { pipe, log, record_length_max, deadline: None })
    }

    /// When [`Source::turn`] is due even if the pipe does not become readable.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Logs what is in the pipe, up to a bound. The start of a line is left there until
    /// its deadline, or not at all if `flush` is set.
    pub(crate) fn turn(
        &mut self,
        scratch: &mut Scratch,
        directory: &LogDirectory,
        flush: bool,
    ) -> io::Result<Turn> {
        let output = match scratch.peek(self.pipe.as_fd()) {
            Ok([]) => return Ok(Turn::Ended),
            Ok(output) => output,
            Err(Errno::AGAIN | Errno::INTR) => {
                self.deadline = None;
                return Ok(Turn::Idle);
            }
            Err(error) => return Err(error.into()),
        };
        // Once in a turn: a log that cannot be opened is not tried for each line.
        self.log.retry(directory);
        let now = Instant::now();
        let flush = flush || self.deadline.is_some_and(|deadline| deadline <= now);
        // Only what stands at the head of the pipe has waited for its end.
        let timestamp = format_timestamp(SystemTime::now());
        let mut taken = 0;
        while let Some(rest) = output.get(taken..)
            && let Some(cut) = first_record(rest, self.record_length_max, flush && taken == 0)
        {
            self.log.add(directory, &timestamp, rest.get(..cut.text).unwrap_or_default());
            taken += cut.taken;
        }
        let rests = taken < output.len();
        self.log.flush(directory);
        scratch.consume(self.pipe.as_fd(), taken)?;
        if taken > 0 {
            self.deadline = rests.then(|| now + PARTIAL_LINE_WAIT);
            return Ok(Turn::More);
        }
        self.deadline.get_or_insert(now + PARTIAL_LINE_WAIT);
        Ok(Turn::Idle)
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}
