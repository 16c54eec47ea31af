//! A question at the terminal that is standard input and output, and its one line of answer.

use std::io::{self, Write};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};

/// Longest answer, in bytes; a terminal gives out no longer line anyway (termios(3), MAX_CANON).
const ANSWER_BYTES_MAX: usize = 4096;

/// Asks `question` and returns the line that is typed, without its end; `None` at the end of
/// input, or where nothing is typed until `deadline`.
///
/// # Errors
/// What the terminal says.
pub fn line(question: &str, deadline: Option<Instant>) -> io::Result<Option<String>> {
    let mut out = io::stdout();
    out.write_all(question.as_bytes())?;
    out.flush()?;
    wait(deadline)?.then(read_line).transpose().map(Option::flatten)
}

/// As `line`, without showing what is typed. What was typed before the question is dropped.
///
/// # Errors
/// What the terminal says.
pub fn secret(question: &str, deadline: Option<Instant>) -> io::Result<Option<String>> {
    let stdin = io::stdin();
    let shown = tcgetattr(&stdin)?;
    let mut hidden = shown.clone();
    hidden.local_modes.remove(LocalModes::ECHO);
    hidden.local_modes.insert(LocalModes::ECHONL | LocalModes::ICANON);
    tcsetattr(&stdin, OptionalActions::Flush, &hidden)?;
    let answer = line(question, deadline);
    tcsetattr(&stdin, OptionalActions::Drain, &shown)?;
    answer
}

/// Waits until there is input. False if the deadline comes first.
fn wait(deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = deadline.map(|end| end.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left| Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        let stdin = io::stdin();
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], timeout.as_ref()) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn read_line() -> io::Result<Option<String>> {
    let mut bytes = [0; ANSWER_BYTES_MAX];
    let count = read(io::stdin(), &mut bytes)?;
    let bytes = bytes.get(..count).unwrap_or_default();
    if bytes.is_empty() {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(bytes);
    Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
}
