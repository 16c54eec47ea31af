//! Where the output goes. Standard output is data; problems go to standard error.

use std::io::{self, Write};

use rustix::termios::{isatty, tcgetwinsize};
use serde_json::Value;

/// Writes text and makes sure that it is out, so that a failure is noticed.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes one JSON document and a newline.
pub(crate) fn print_json(value: &Value) -> io::Result<()> {
    print(&format!("{value:#}\n"))
}

/// Rows and columns of the terminal that shows the output; `None` if that is a file
/// or a pipe. A serial line that does not know its size counts as 24 by 80.
pub(crate) fn size() -> Option<(usize, usize)> {
    let out = io::stdout();
    if !isatty(&out) {
        return None;
    }
    let known = |number: u16, usual: usize| if number == 0 { usual } else { number.into() };
    let size = tcgetwinsize(&out).map(|size| (known(size.ws_row, 24), known(size.ws_col, 80)));
    Some(size.unwrap_or((24, 80)))
}

/// The line cut to `columns`, by characters.
pub(crate) fn cut(line: &str, columns: usize) -> &str {
    line.char_indices().nth(columns).map_or(line, |(at, _)| line.get(..at).unwrap_or(line))
}

/// A text that is safe to show: control characters, which would steer the terminal,
/// become `?`. Names of processes and files are anybody's.
pub(crate) fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_by_characters_and_tamed() {
        assert_eq!(cut("grün", 3), "grü");
        assert_eq!(cut("grün", 4), "grün");
        assert_eq!(cut("", 0), "");
        assert_eq!(tame("a\x1b[2Jb\nc"), "a?[2Jb?c");
    }
}
