//! `logd`, the log collector: keeps what the services write to their standard
//! output and error, what programs say to syslog(3) and what the kernel says, in `/run/log`.
//!
//! PID 1 hands it the read ends of the services' pipes and keeps them as well,
//! so that nothing is lost while `logd` is not running. `docs/logging.md` says
//! what is guaranteed. Absent: threads, network, files outside the log directory.

mod arguments;
mod collector;
mod directory;
mod kernel;
mod log_file;
mod message;
mod source;
mod syslog;

use std::env;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use services::problem::{Context, Problem, Result};
use services::program;
use services::sys::inherited_fd;

/// The name under which `logd` reports problems.
const PROGRAM: &str = "logd";

/// Variable that holds the number of the descriptor on which PID 1 hands over pipes.
const LOG_SOCKET: &str = "LOG_SOCKET";

fn main() -> ExitCode {
    // First of all, before anything is opened: see `inherited_fd`.
    let socket = log_socket();
    program::run(PROGRAM, arguments::HELP, arguments::parse, |settings| {
        collector::run(socket?, &settings)
    })
}

/// The socket on which PID 1 hands over pipes.
fn log_socket() -> Result<OwnedFd> {
    let socket = || {
        let number =
            env::var(LOG_SOCKET).map_err(|_| Problem::new(format!("{LOG_SOCKET} is not set")))?;
        let number = number
            .parse()
            .context(|| format!("{LOG_SOCKET} is no descriptor number: {number:?}"))?;
        inherited_fd(number)
            .context(|| format!("cannot take over descriptor {number} ({LOG_SOCKET})"))
    };
    socket().map_err(|problem: Problem| {
        problem.with_hint("logd is started by PID 1, for the service with `log-collector = true`")
    })
}
