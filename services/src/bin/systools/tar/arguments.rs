//! The command line of `tar`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use lexopt::Arg;
use rustix::process::geteuid;
use services::failure::Failure;

use crate::Result;

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    Create,
    Extract,
    List,
}

/// What was typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Arguments {
    pub(super) mode: Mode,
    pub(super) file: Option<PathBuf>,
    pub(super) directory: Option<PathBuf>,
    pub(super) gzip: bool,
    pub(super) verbose: bool,
    pub(super) dereference: bool,
    pub(super) excluded: Vec<OsString>,
    pub(super) keep_old: bool,
    pub(super) to_stdout: bool,
    pub(super) touch: bool,
    pub(super) same_modes: bool,
    pub(super) same_owner: bool,
    pub(super) strip: usize,
    pub(super) numeric_owner: bool,
    pub(super) names: Vec<PathBuf>,
}

/// Reads the words behind the name; `None` is a wish for help.
pub(super) fn parse(mut words: Vec<OsString>) -> Result<Option<Arguments>> {
    let is_root = geteuid().is_root();
    add_dash(&mut words);
    let mut mode = None;
    let mut arguments = Arguments {
        mode: Mode::List,
        file: None,
        directory: None,
        gzip: false,
        verbose: false,
        dereference: false,
        excluded: Vec::new(),
        keep_old: false,
        to_stdout: false,
        touch: false,
        same_modes: is_root,
        same_owner: is_root,
        strip: 0,
        numeric_owner: false,
        names: Vec::new(),
    };
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('c') | Arg::Long("create") => set(&mut mode, Mode::Create)?,
            Arg::Short('x') | Arg::Long("extract" | "get") => set(&mut mode, Mode::Extract)?,
            Arg::Short('t') | Arg::Long("list") => set(&mut mode, Mode::List)?,
            Arg::Long("help") => return Ok(None),
            Arg::Value(name) => arguments.names.push(name.into()),
            Arg::Short('f') | Arg::Long("file") => arguments.file = Some(parser.value()?.into()),
            Arg::Short('C') | Arg::Long("directory") => {
                arguments.directory = Some(parser.value()?.into());
            }
            Arg::Short('T') | Arg::Long("files-from") => {
                let file: PathBuf = parser.value()?.into();
                arguments.names.extend(super::names_in(&file)?);
            }
            Arg::Long("exclude") => arguments.excluded.push(parser.value()?),
            Arg::Long("strip-components") => {
                arguments.strip = lexopt::ValueExt::parse(&parser.value()?)?;
            }
            other => {
                let known = match &other {
                    Arg::Short(letter) => arguments.flag(&letter.to_string()),
                    Arg::Long(name) => arguments.flag(name),
                    Arg::Value(_) => false,
                };
                if !known {
                    return Err(other.unexpected().into());
                }
            }
        }
    }
    arguments.mode = mode.ok_or_else(|| {
        Failure::usage("nothing says what to do", "`-c` creates, `-x` extracts, `-t` lists")
    })?;
    if arguments.mode == Mode::Create && arguments.names.is_empty() {
        let hint = "`tar -cf archive.tar DIRECTORY` would take a directory";
        return Err(Failure::usage("an archive of nothing is refused", hint));
    }
    Ok(Some(arguments))
}

/// `xzf a.tar.gz` means `-xzf a.tar.gz`.
fn add_dash(words: &mut [OsString]) {
    if let Some(first) = words.first_mut()
        && !first.as_bytes().starts_with(b"-")
        && !first.is_empty()
    {
        *first = OsString::from_vec([b"-", first.as_bytes()].concat());
    }
}

fn set(mode: &mut Option<Mode>, wanted: Mode) -> Result<()> {
    match mode.replace(wanted) {
        Some(earlier) if earlier != wanted => {
            Err(Failure::usage("two things at once are asked for", "one of `-c`, `-x`, `-t`"))
        }
        _ => Ok(()),
    }
}

impl Arguments {
    /// An option without a value; false if it is none of those.
    fn flag(&mut self, name: &str) -> bool {
        match name {
            "z" | "gzip" | "gunzip" => self.gzip = true,
            "v" | "verbose" => self.verbose = true,
            "h" | "dereference" => self.dereference = true,
            "k" | "keep-old-files" => self.keep_old = true,
            "O" | "to-stdout" => self.to_stdout = true,
            "m" | "touch" => self.touch = true,
            "p" | "preserve-permissions" | "same-permissions" => self.same_modes = true,
            "no-same-permissions" => self.same_modes = false,
            "same-owner" => self.same_owner = true,
            "o" | "no-same-owner" => self.same_owner = false,
            "numeric-owner" => self.numeric_owner = true,
            _ => return false,
        }
        true
    }
}
