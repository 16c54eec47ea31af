//! `less`: text, a screen at a time.
//!
//! Code map: this module is the command line and the text, [`pager`] what keys make of
//! it, [`layout`] how lines become rows, [`keys`] what bytes are keys, [`paint`] what is
//! written, [`terminal`] the edge. Absent: several files one after the other by keys,
//! `+COMMAND`, tags, marks, and reading a file that is larger than the memory.

mod keys;
mod layout;
mod pager;
mod paint;
mod terminal;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use lexopt::Arg;
use rustix::termios::isatty;
use services::problem::{Context, Problem};

use crate::Result;
use crate::output::{print, size, tame};

use layout::colour_length;
use pager::Pager;

const HELP: &str = "\
Shows text a screen at a time.

Usage: less [OPTIONS] [FILE…]

Options:
  -F, --quit-if-one-screen  just print what fits on one screen
  -i, --ignore-case         capitals matter only to a pattern that has some
  -N, --LINE-NUMBERS        number the lines
  -S, --chop-long-lines     do not wrap; left and right scroll
  -R                        pass colours on [other control characters are shown as ^X]
  -h, --help                this text

Keys: q ends; arrows, j and k go by a line, space, b, PageUp and PageDown by a
screen, d and u by half of one; g and G to the start and the end; / and ? search
forwards and backwards, n and N (or p) go to the next and the one before; r paints
anew. A number first says how many lines, or to g and G which one. A pattern is a
regular expression: `a|b`, `[0-9]+`.

Into a file or a pipe it is cat.
";

/// What was typed.
#[derive(Default)]
struct Settings {
    files: Vec<PathBuf>,
    quit_if_one_screen: bool,
    ignore_case: bool,
    numbers: bool,
    chop: bool,
    colours: bool,
}

pub(crate) fn run(_: &str, words: Vec<OsString>) -> Result<()> {
    let Some(settings) = parse(words)? else { return Ok(print(HELP)?) };
    if settings.files.is_empty() && isatty(io::stdin()) {
        return Err(Problem::new("there is no file to show")
            .with_hint("`less FILE`, or `COMMAND | less`")
            .into());
    }
    let bytes = read_all(&settings.files)?;
    if !isatty(io::stdout()) {
        let mut out = io::stdout().lock();
        out.write_all(&bytes)?;
        return Ok(out.flush()?);
    }
    let title = match &settings.files[..] {
        [] => "standard input".to_owned(),
        [file] => file.display().to_string(),
        [first, ..] => format!("{} and {} more", first.display(), settings.files.len() - 1),
    };
    let text = visible(&String::from_utf8_lossy(&bytes), settings.colours);
    page(&settings, &tame(&title), &text)
}

fn parse(words: Vec<OsString>) -> Result<Option<Settings>> {
    let mut settings = Settings::default();
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('F') | Arg::Long("quit-if-one-screen") => {
                settings.quit_if_one_screen = true;
            }
            Arg::Short('N') | Arg::Long("LINE-NUMBERS") => settings.numbers = true,
            Arg::Short('S') | Arg::Long("chop-long-lines") => settings.chop = true,
            Arg::Short('R' | 'r') | Arg::Long("RAW-CONTROL-CHARS") => settings.colours = true,
            Arg::Short('i') | Arg::Long("ignore-case") => settings.ignore_case = true,
            // What others set by habit, and this pager can do without.
            Arg::Short('X' | 'e' | 'E') => {}
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(file) => settings.files.push(file.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(settings))
}

fn read_all(files: &[PathBuf]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if files.is_empty() {
        io::stdin().read_to_end(&mut bytes).context(|| "cannot read standard input".to_owned())?;
    }
    for file in files {
        let read = match file.as_path() == Path::new("-") {
            true => io::stdin().read_to_end(&mut bytes),
            false => File::open(file).and_then(|mut file| file.read_to_end(&mut bytes)),
        };
        read.context(|| format!("cannot read `{}`", file.display()))?;
    }
    Ok(bytes)
}

fn page(settings: &Settings, title: &str, text: &str) -> Result<()> {
    let mut pager = Pager::new(title, text, settings.chop, settings.numbers);
    if settings.ignore_case {
        pager.ignore_case();
    }
    if settings.quit_if_one_screen {
        let (rows, columns) = size().unwrap_or((24, 80));
        pager.resize(rows, columns);
        if pager.fits() {
            let text: String = pager.rows().iter().map(|row| format!("{row}\n")).collect();
            return Ok(print(&text)?);
        }
    }
    terminal::page(&mut pager)
}

/// The text with control characters as `^X`, tabs as far as the next column of 8, and
/// line ends of any kind as one. Colours (ECMA-48 SGR) pass if they are to.
fn visible(text: &str, colours: bool) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut column = 0;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if colours && let Some(length) = colour_length(rest) {
            shown += rest.get(..length).unwrap_or_default();
            rest = rest.get(length..).unwrap_or_default();
            continue;
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '\n' => {
                shown.push('\n');
                column = 0;
                continue;
            }
            '\r' if rest.starts_with('\n') => continue,
            '\t' => {
                let width = 8 - column % 8;
                shown += &" ".repeat(width);
                column += width;
                continue;
            }
            '\0'..='\x1f' | '\x7f' => {
                shown.push('^');
                // `^A` is 1, and `^?` is 127 (ASCII turns bit 6 over).
                shown.push(char::from_u32(u32::from(c) ^ 0x40).unwrap_or('?'));
                column += 2;
                continue;
            }
            c if c.is_control() => shown.push('\u{fffd}'),
            c => shown.push(c),
        }
        column += 1;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_and_never_obeyed() {
        for (text, shown, coloured) in [
            ("plain\r\nnext", "plain\nnext", "plain\nnext"),
            ("a\tb\n\tc", "a       b\n        c", "a       b\n        c"),
            ("\x1b[31mred\x1b[0m", "^[[31mred^[[0m", "\x1b[31mred\x1b[0m"),
            ("\x1b[2J\x07\x7f", "^[[2J^G^?", "^[[2J^G^?"),
            ("\u{9b}31m", "\u{fffd}31m", "\u{fffd}31m"),
            ("\x1b[", "^[[", "^[["),
            ("grün", "grün", "grün"),
        ] {
            assert_eq!(visible(text, false), shown, "{text:?}");
            assert_eq!(visible(text, true), coloured, "{text:?}");
        }
    }

    #[test]
    fn files_are_read_one_after_the_other() {
        let place = tempfile::tempdir().unwrap();
        let file = |name: &str| place.path().join(name);
        std::fs::write(file("a"), "one\n").unwrap();
        std::fs::write(file("b"), b"two\xff\n").unwrap();
        assert_eq!(read_all(&[file("a"), file("b")]).unwrap(), b"one\ntwo\xff\n");
        assert!(read_all(&[file("a"), file("missing")]).is_err());
    }
}
