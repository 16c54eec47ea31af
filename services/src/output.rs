//! What a tool writes to standard output, which is data; problems go to standard error.

use std::io::{self, Write};

use init_core::diagnostic::Finding;
use rustix::termios::{isatty, tcgetwinsize};
use serde_json::{Value, json};

/// Writes text and makes sure that it is out, so that a failure is noticed.
///
/// # Errors
/// It cannot be written.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes one JSON document and a newline.
///
/// # Errors
/// It cannot be written.
pub fn print_json(value: &Value) -> io::Result<()> {
    print(&format!("{value:#}\n"))
}

/// A text that is safe to show: control characters, which would steer the terminal,
/// become `?`. Names of processes, files and sockets are anybody's.
#[must_use]
pub fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// A mistake in a file, as JSON.
#[must_use]
pub fn finding(finding: &Finding) -> Value {
    json!({
        "file": finding.place.file,
        "line": finding.place.line,
        "column": finding.place.column,
        "message": finding.message,
        "hint": finding.hint,
    })
}

/// Rows and columns of the terminal that shows the output; `None` if that is a file
/// or a pipe. A serial line that does not know its size counts as 24 by 80.
#[must_use]
pub fn size() -> Option<(usize, usize)> {
    let out = io::stdout();
    if !isatty(&out) {
        return None;
    }
    let known = |number: u16, usual: usize| if number == 0 { usual } else { number.into() };
    let size = tcgetwinsize(&out).map(|size| (known(size.ws_row, 24), known(size.ws_col, 80)));
    Some(size.unwrap_or((24, 80)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(tame("a\x1b[2Jb\nc\u{9b}"), "a?[2Jb?c?");
    }
}
