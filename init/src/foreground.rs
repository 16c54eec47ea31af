//! One program at a time, waited for: what PID 1 runs before there is an event
//! loop, or when there will be none (`e2fsck`, the rescue shell).

use alloc::borrow::ToOwned as _;
use alloc::vec;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::time::Duration;

use init_core::description::Attributes;
use init_core::event::{ShutdownKind, SpawnError, SpawnStage};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::AsFd as _;
use rustix::process::WaitStatus;

use crate::console::Console;
use crate::environment;
use crate::service;
use crate::signals;
use crate::sys::process::{self, CStrings, Descriptors, Pending, Program, Start};
use crate::sys::reap::{self, Reap};
use crate::sys::signal::SignalFd;

/// How a wait ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waited {
    /// What was waited for has happened.
    Done,
    /// The time is over.
    TimedOut,
    /// A signal asks for the end of the system.
    Interrupted(ShutdownKind),
}

/// How a program ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ended {
    /// By itself, with this status.
    Status(WaitStatus),
    /// It could not be started.
    NotStarted(SpawnError),
    /// A signal asked for the end of the system before it ended; it still runs.
    Interrupted(ShutdownKind),
}

/// Runs `argv` on the console until it ends. With `terminal` it gets that
/// terminal as its controlling one, as a shell needs.
pub(crate) fn run(
    argv: &[&str],
    terminal: Option<&CStr>,
    console: &Console,
    signals: &SignalFd,
) -> Ended {
    let program = Program {
        argv: CStrings::new(argv),
        environment: CStrings::new(environment::BASE),
        working_directory: c"/".into(),
        terminal: terminal.map(CStr::to_owned),
        credentials: None,
        limits: Vec::new(),
        attributes: service::attributes(Attributes::default()),
    };
    let output = console.output.as_fd();
    let descriptors = Descriptors { input: output, output, passed: None, cgroup: None };
    match process::spawn(program, descriptors) {
        Err(errno) => {
            Ended::NotStarted(SpawnError { stage: SpawnStage::Clone, errno: errno.raw_os_error() })
        }
        Ok(mut child) => match child.pending.as_mut().and_then(Pending::wait) {
            // The failed child is reaped by the next wait, whoever makes it.
            Some(Start::Failed(error)) => Ended::NotStarted(error),
            // One that is slow to start shares our memory until its end at worst:
            // its start is not dropped before.
            _ => wait_for(child.pid, signals),
        },
    }
}

fn wait_for(pid: u32, signals: &SignalFd) -> Ended {
    loop {
        while let Reap::Child(reaped) = reap::next() {
            if reaped.pid == pid {
                return Ended::Status(reaped.status);
            }
        }
        if let Waited::Interrupted(kind) = pause(signals, None, None) {
            return Ended::Interrupted(kind);
        }
    }
}

/// Waits until `other` is readable, a child has died, or `timeout` is over
/// (`None`: for ever), whichever comes first.
pub(crate) fn pause(
    signals: &SignalFd,
    other: Option<rustix::fd::BorrowedFd<'_>>,
    timeout: Option<Duration>,
) -> Waited {
    let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
    fds.extend(other.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    if let Ok(0) = poll(&mut fds, timeout.as_ref()) {
        return Waited::TimedOut;
    }
    while let Some(number) = signals.read() {
        if let Some(kind) = signals::kind_of_signal(number) {
            return Waited::Interrupted(kind);
        }
    }
    Waited::Done
}
