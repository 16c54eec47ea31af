//! The output of a program, whose end is that of the program.

use std::io::{self, ErrorKind, PipeReader, Read};
use std::os::fd::OwnedFd;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Reads a pipe that a program writes, until the program has ended and all it
/// wrote is read, or until a time has come.
///
/// The end of the pipe alone would not do: whatever the program left running may hold it
/// open for ever.
pub(super) struct Watched {
    pipe: PipeReader,
    program: OwnedFd,
    deadline: Option<Instant>,
    is_too_late: bool,
}

impl Watched {
    /// Watches `child`, which writes to `pipe`, for as long as `limit`.
    ///
    /// # Errors
    /// What pidfd_open(2) says.
    pub(super) fn new(
        pipe: PipeReader,
        child: &Child,
        limit: Option<Duration>,
    ) -> io::Result<Self> {
        let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let program = pidfd_open(id.ok_or(ErrorKind::InvalidInput)?, PidfdFlags::empty())?;
        let deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        Ok(Self { pipe, program, deadline, is_too_late: false })
    }

    /// Whether the time came before the end.
    pub(super) fn is_too_late(&self) -> bool {
        self.is_too_late
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        let mut ready =
            [PollFd::new(&self.pipe, PollFlags::IN), PollFd::new(&self.program, PollFlags::IN)];
        if poll(&mut ready, left.as_ref())? == 0 {
            self.is_too_late = true;
            return Ok(0);
        }
        // What it wrote first: it was written before the program ended.
        let [pipe, _] = ready.map(|one| !one.revents().is_empty());
        if pipe { self.pipe.read(buffer) } else { Ok(0) }
    }
}
