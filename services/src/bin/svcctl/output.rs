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

/// Columns of the terminal that shows the output; `None` if that is a file or a pipe.
pub(crate) fn width() -> Option<usize> {
    let out = io::stdout();
    if !isatty(&out) {
        return None;
    }
    // A serial console does not know its size and says 0.
    let columns = tcgetwinsize(&out).map_or(0, |size| usize::from(size.ws_col));
    Some(if columns == 0 { 80 } else { columns })
}
