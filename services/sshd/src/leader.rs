//! The process between a connection and a session's program: it makes itself the leader of
//! a session, takes its terminal, and becomes the program.
//!
//! A process of its own because these steps come after fork(2), where Rust runs no safe code.

use std::convert::Infallible;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use services::problem::{Context, Problem, Result};

/// What the process becomes.
pub(crate) struct Start {
    /// Whether standard input is a terminal to take.
    pub(crate) has_terminal: bool,
    /// The program, its name for itself (`argv[0]`), its arguments.
    pub(crate) words: Vec<OsString>,
}

/// Becomes the program. Returns only the reason why not.
pub(crate) fn run(start: Start) -> Result<Infallible> {
    let mut words = start.words.into_iter();
    let (Some(program), Some(name)) = (words.next(), words.next()) else {
        return Err(Problem::new("`leader` wants a program and its name"));
    };
    rustix::process::setsid().context(|| "cannot begin a session".to_owned())?;
    if start.has_terminal {
        rustix::process::ioctl_tiocsctty(io::stdin())
            .context(|| "cannot take the terminal".to_owned())?;
    }
    let error = Command::new(&program).arg0(name).args(words).exec();
    Err(Problem::new(format!("cannot execute `{}`: {error}", program.to_string_lossy())))
}
