//! `resize` asks the terminal for its size and tells the kernel, which a serial line
//! cannot do by itself. Absent: setting another size (`stty rows 50 columns 132`).

use std::ffi::OsString;
use std::io;

use lexopt::Arg;
use rustix::termios::{Winsize, isatty, tcsetwinsize};
use services::problem::{Context, Problem};
use services::terminal::{ANSWER_WAIT_MAX, ask_size};

use crate::Result;
use crate::output::print;

const HELP: &str = "\
Finds out the size of the terminal and tells the kernel.

Usage: resize

A serial line does not know the size of the terminal at its end. `resize` asks, sets
the size, and prints it. Call it again when the window has another size.
";

pub(crate) fn run(_: &str, words: Vec<OsString>) -> Result<()> {
    let mut parser = lexopt::Parser::from_args(words);
    match parser.next()? {
        None => {}
        Some(Arg::Short('h') | Arg::Long("help")) => return Ok(print(HELP)?),
        Some(other) => return Err(other.unexpected().into()),
    }
    if !isatty(io::stdin()) || !isatty(io::stdout()) {
        return Err(Problem::new("standard input and output are no terminal").into());
    }
    let size = ask_size(ANSWER_WAIT_MAX).context(|| "cannot ask the terminal".to_owned())?;
    let Some((rows, columns)) = size else {
        return Err(Problem::new("the terminal does not answer")
            .with_hint("`stty rows 50 columns 132` sets a size that you know")
            .into());
    };
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(io::stdin(), size).context(|| "cannot set the size".to_owned())?;
    Ok(print(&format!("{rows} rows, {columns} columns\n"))?)
}
