//! The one owner of wait(2): nothing else in PID 1 may wait for a process,
//! for whoever waits first gets the status and everybody else gets nothing.

use rustix::io::Errno;
use rustix::process::{WaitOptions, WaitStatus, wait};

/// A process that has been waited for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reaped {
    /// Its id, which the kernel may now give to another process.
    pub(crate) pid: u32,
    /// How it ended.
    pub(crate) status: WaitStatus,
}

/// What a look for dead children found.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reap {
    /// This one was dead and is now gone.
    Child(Reaped),
    /// There are children, and all of them live.
    AllAlive,
    /// There are no children. As every orphan is a child of PID 1, no other
    /// process is left.
    NoChildren,
}

/// Waits for one dead child, service or orphan, without blocking.
pub(crate) fn next() -> Reap {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                return Reap::Child(Reaped { pid: pid.as_raw_pid().unsigned_abs(), status });
            }
            Ok(None) => return Reap::AllAlive,
            Err(Errno::INTR) => {}
            Err(_) => return Reap::NoChildren,
        }
    }
}
