//! PID 1's standard descriptors, and which terminal the console is.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, fstat, makedev, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use crate::sys::stdio::{stderr, stdin, stdout};

/// Out of the way of the numbers that have a meaning.
const FIRST_KEPT_FD: i32 = 10;

/// The descriptors that stay open for PID 1's whole life.
pub(crate) struct Console {
    /// `/dev/console`, or `/dev/null` where there is none.
    pub(crate) output: OwnedFd,
    /// `/dev/null`: the standard input of services.
    pub(crate) null: OwnedFd,
    // Occupies number 3, see `sys::process::PASSED_FD`.
    _reserved: OwnedFd,
}

impl Console {
    /// Makes 0, 1 and 2 the console and reserves 3. Where there is no console
    /// they are `/dev/null`; an error means that not even that can be opened.
    pub(crate) fn attach() -> Result<Self, Errno> {
        let output = if is_attached() {
            // The kernel has opened the console already, or an earlier PID 1 has.
            fcntl_dupfd_cloexec(stderr(), FIRST_KEPT_FD)?
        } else {
            open_console()?
        };
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let null = fcntl_dupfd_cloexec(open("/dev/null", flags, Mode::empty())?, FIRST_KEPT_FD)?;
        let reserved = fcntl_dupfd_cloexec(&null, crate::sys::process::PASSED_FD)?;
        Ok(Self { output, null, _reserved: reserved })
    }
}

/// Whether 0, 1 and 2 are `/dev/console`: character device 5:1.
fn is_attached() -> bool {
    let is_console = |fd: &_| fstat(fd).is_ok_and(|found| found.st_rdev == makedev(5, 1));
    [stdin(), stdout(), stderr()].iter().all(is_console)
}

fn open_console() -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let first = open("/dev/console", flags | OFlags::NONBLOCK, Mode::empty())
        .or_else(|_| open("/dev/null", flags, Mode::empty()))?;
    // Any of the numbers may be closed, and then `first` is one of them.
    let output = fcntl_dupfd_cloexec(&first, FIRST_KEPT_FD)?;
    rustix::fs::fcntl_setfl(&output, OFlags::RDWR)?;
    dup2_stdin(&output)?;
    dup2_stdout(&output)?;
    dup2_stderr(&output)?;
    keep_if_standard(first);
    Ok(output)
}

/// Closes `fd` unless it is one of 0, 1 and 2, which must stay open.
fn keep_if_standard(fd: OwnedFd) {
    use rustix::fd::{AsRawFd as _, IntoRawFd as _};
    if fd.as_raw_fd() <= 2 {
        let _ = fd.into_raw_fd();
    }
}

/// The device behind a terminal's name in a service description: `console` is
/// the last of the active consoles, a name without `/` is below `/dev`.
pub(crate) fn terminal_path(name: &str) -> String {
    match name {
        "console" | "/dev/console" => {
            let active =
                crate::files::read_text("/sys/class/tty/console/active").unwrap_or_default();
            match active.split_whitespace().next_back() {
                Some(device) => format!("/dev/{device}"),
                None => String::from("/dev/console"),
            }
        }
        path if path.starts_with('/') => path.to_owned(),
        name => format!("/dev/{name}"),
    }
}
