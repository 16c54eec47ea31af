//! PID 1's standard descriptors, and which terminal the console is.

use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, fcntl_dupfd_cloexec};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

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
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let first = open("/dev/console", flags | OFlags::NONBLOCK, Mode::empty())
            .or_else(|_| open("/dev/null", flags, Mode::empty()))?;
        // The kernel may have left any of the numbers closed, and then `first` is one of them.
        let high = fcntl_dupfd_cloexec(&first, 10)?;
        rustix::fs::fcntl_setfl(&high, OFlags::RDWR)?;
        dup2_stdin(&high)?;
        dup2_stdout(&high)?;
        dup2_stderr(&high)?;
        keep_if_standard(first);
        let null = fcntl_dupfd_cloexec(open("/dev/null", flags, Mode::empty())?, 10)?;
        let reserved = fcntl_dupfd_cloexec(&null, crate::sys::process::PASSED_FD)?;
        Ok(Self { output: high, null, _reserved: reserved })
    }
}

/// Closes `fd` unless it is one of 0, 1 and 2, which must stay open.
fn keep_if_standard(fd: OwnedFd) {
    use std::os::fd::{AsRawFd as _, IntoRawFd as _};
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
                std::fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
            match active.split_whitespace().next_back() {
                Some(device) => format!("/dev/{device}"),
                None => String::from("/dev/console"),
            }
        }
        path if path.starts_with('/') => path.to_owned(),
        name => format!("/dev/{name}"),
    }
}
