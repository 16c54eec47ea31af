//! The command line of `gzip`, `gunzip` and `zcat`.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::Arg;

use crate::Result;

/// What is done with each file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    Compress,
    Expand,
    Test,
    List,
}

/// What was typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Arguments {
    pub(super) mode: Mode,
    pub(super) to_stdout: bool,
    pub(super) force: bool,
    pub(super) keep: bool,
    pub(super) no_name: bool,
    pub(super) verbose: bool,
    pub(super) level: u32,
    /// `-` alone if none were named.
    pub(super) files: Vec<PathBuf>,
}

impl Arguments {
    /// Whether results take the places of files.
    pub(super) fn replaces(&self) -> bool {
        !self.to_stdout && matches!(self.mode, Mode::Compress | Mode::Expand)
    }
}

/// Reads the words behind the name; `None` is a wish for help.
pub(super) fn parse(name: &str, words: Vec<OsString>) -> Result<Option<Arguments>> {
    let mut arguments = Arguments {
        mode: if name == "gzip" { Mode::Compress } else { Mode::Expand },
        to_stdout: name == "zcat",
        force: false,
        keep: false,
        no_name: false,
        verbose: false,
        level: 6,
        files: Vec::new(),
    };
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('c') | Arg::Long("stdout" | "to-stdout") => arguments.to_stdout = true,
            Arg::Short('d') | Arg::Long("decompress" | "uncompress") => {
                arguments.mode = Mode::Expand;
            }
            Arg::Short('f') | Arg::Long("force") => arguments.force = true,
            Arg::Short('k') | Arg::Long("keep") => arguments.keep = true,
            Arg::Short('l') | Arg::Long("list") => arguments.mode = Mode::List,
            Arg::Short('n') | Arg::Long("no-name") => arguments.no_name = true,
            Arg::Short('q') | Arg::Long("quiet") => arguments.verbose = false,
            Arg::Short('t') | Arg::Long("test") => arguments.mode = Mode::Test,
            Arg::Short('v') | Arg::Long("verbose") => arguments.verbose = true,
            Arg::Long("fast") => arguments.level = 1,
            Arg::Long("best") => arguments.level = 9,
            Arg::Short(digit @ '1'..='9') => arguments.level = digit.to_digit(10).unwrap_or(6),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(file) => arguments.files.push(file.into()),
            other => return Err(other.unexpected().into()),
        }
    }
    if arguments.files.is_empty() {
        arguments.files.push("-".into());
    }
    Ok(Some(arguments))
}

/// Length of the suffix of a compressed file's name, and what takes its place.
pub(super) fn suffix(name: &[u8]) -> Option<(usize, &'static [u8])> {
    let suffixes: [(&[u8], &[u8]); 4] =
        [(b".gz", b""), (b".tgz", b".tar"), (b"-gz", b""), (b".svgz", b".svg")];
    let file = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let fits = |(known, _): &&(&[u8], &[u8])| file.len() > known.len() && file.ends_with(known);
    suffixes.iter().find(fits).map(|(known, replacement)| (known.len(), *replacement))
}
