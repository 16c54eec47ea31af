//! Asking a terminal for its size: a serial line does not know it, and where nothing
//! answers there is nobody, or something that understands no control sequences.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};

/// Saves the cursor, moves it further than any screen reaches, asks where it is
/// (ECMA-48 CPR, which every terminal since the VT100 answers), moves it back.
const ASK_SIZE: &[u8] = b"\x1b7\x1b[999;999H\x1b[6n\x1b8";

/// A good longest wait for the answer: a slow line and an emulated machine need their time.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// Longest answer that makes sense, in bytes.
const ANSWER_BYTES_MAX: usize = 64;

/// Asks the terminal on standard input and output for its size, in rows and columns.
/// What is typed in that moment is lost. `None` if nothing answers within `wait_max`.
///
/// # Errors
/// If standard input is no terminal, or standard output cannot be written.
pub fn ask_size(wait_max: Duration) -> io::Result<Option<(u16, u16)>> {
    let stdin = io::stdin();
    let sane = tcgetattr(&stdin)?;
    let mut raw = sane.clone();
    raw.make_raw();
    tcsetattr(&stdin, OptionalActions::Drain, &raw)?;
    let answer = io::stdout().write_all(ASK_SIZE).and_then(|()| io::stdout().flush());
    let answer = answer.and_then(|()| read_answer(Instant::now() + wait_max));
    tcsetattr(&stdin, OptionalActions::Flush, &sane)?;
    answer
}

fn read_answer(deadline: Instant) -> io::Result<Option<(u16, u16)>> {
    let stdin = io::stdin();
    let mut seen = Vec::new();
    while seen.len() < ANSWER_BYTES_MAX {
        let rest = deadline.saturating_duration_since(Instant::now());
        let rest = rest.try_into().unwrap_or_default();
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&rest)) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let mut byte = [0];
        // Not by way of std's buffer, which poll(2) knows nothing of.
        if read(&stdin, &mut byte)? == 0 {
            return Ok(None);
        }
        seen.extend(byte);
        if let Some(size) = parse_answer(&seen) {
            return Ok(Some(size));
        }
    }
    Ok(None)
}

/// The size in `ESC [ ROWS ; COLUMNS R` at the end of what was read.
fn parse_answer(seen: &[u8]) -> Option<(u16, u16)> {
    let start = seen.windows(2).rposition(|pair| pair == b"\x1b[")? + 2;
    let body = std::str::from_utf8(seen.get(start..)?).ok()?;
    let (rows, columns) = body.strip_suffix('R')?.split_once(';')?;
    let size = (rows.parse().ok()?, columns.parse().ok()?);
    (size.0 > 0 && size.1 > 0).then_some(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_found_behind_what_was_typed() {
        for (seen, size) in [
            (&b"\x1b[24;80R"[..], Some((24, 80))),
            (b"ls\r\x1b[A\x1b[50;132R", Some((50, 132))),
            (b"\x1b[24;80", None),
            (b"\x1b[;R", None),
            (b"\x1b[0;0R", None),
            (b"\x1b[70000;1R", None),
            (b"R", None),
            (b"", None),
        ] {
            assert_eq!(parse_answer(seen), size, "{seen:?}");
        }
    }
}
