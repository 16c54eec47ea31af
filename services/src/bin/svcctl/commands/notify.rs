//! `svcctl notify`: what a script of a service tells PID 1 about the service.

use std::io;
use std::time::Duration;

use services::notify::notify_and_wait;
use services::problem::Problem;

use crate::Result;

/// Longest time PID 1 may take: as long as sd_notify_barrier(3) waits by default.
const LIMIT: Duration = Duration::from_secs(5);

/// Sends what was given, and ends when PID 1 knows whose it is.
pub(super) fn run(is_ready: bool, status: Option<&str>) -> Result<()> {
    let mut state = String::new();
    if is_ready {
        state.push_str("READY=1\n");
    }
    if let Some(status) = status {
        // A message is lines: what follows a line's end would be another assignment.
        let one_line = status.replace(['\n', '\r'], " ");
        state.push_str(&format!("STATUS={one_line}\n"));
    }
    match notify_and_wait(&state, LIMIT) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Problem::new("nobody asked: NOTIFY_SOCKET is not set")
            .with_hint("this is for scripts that are, or belong to, a service of PID 1's")
            .into()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            let seconds = LIMIT.as_secs();
            Err(Problem::new(format!("PID 1 has not taken it within {seconds} s")).into())
        }
        Err(error) => Err(Problem::new(format!("cannot tell PID 1: {error}"))
            .with_hint("NOTIFY_SOCKET names the socket; PID 1's is /run/init/notify")
            .into()),
    }
}
