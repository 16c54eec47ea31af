//! The command line of `tar`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use lexopt::Arg;
use rustix::process::geteuid;
use services::failure::Failure;

use crate::Result;

/// Options with a value that have a letter.
const LETTERS_WITH_VALUE: [char; 3] = ['f', 'C', 'T'];

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    Create,
    Extract,
    List,
}

/// What is archived or taken out, and from where, in the order of the command line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Operand {
    /// Go there, from the directory before; what follows is there.
    Directory(PathBuf),
    /// A file, or a member of the archive.
    Name(PathBuf),
}

/// What was typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Arguments {
    pub(super) mode: Mode,
    pub(super) file: Option<PathBuf>,
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
    pub(super) operands: Vec<Operand>,
}

/// Reads the words behind the name; `None` is a wish for help.
pub(super) fn parse(words: Vec<OsString>) -> Result<Option<Arguments>> {
    let is_root = geteuid().is_root();
    let mut mode = None;
    let mut arguments = Arguments {
        mode: Mode::List,
        file: None,
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
        operands: Vec::new(),
    };
    let mut parser = lexopt::Parser::from_args(with_dashes(words)?);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('c') | Arg::Long("create") => set(&mut mode, Mode::Create)?,
            Arg::Short('x') | Arg::Long("extract" | "get") => set(&mut mode, Mode::Extract)?,
            Arg::Short('t') | Arg::Long("list") => set(&mut mode, Mode::List)?,
            Arg::Long("help") => return Ok(None),
            Arg::Value(name) => arguments.operands.push(Operand::Name(name.into())),
            Arg::Short('f') | Arg::Long("file") => arguments.file = Some(parser.value()?.into()),
            Arg::Short('C') | Arg::Long("directory") => {
                arguments.operands.push(Operand::Directory(parser.value()?.into()));
            }
            Arg::Short('T') | Arg::Long("files-from") => {
                let file: PathBuf = parser.value()?.into();
                let names = super::names_in(&file)?;
                arguments.operands.extend(names.into_iter().map(Operand::Name));
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
    arguments.check_operands()?;
    Ok(Some(arguments))
}

/// The words with the first one as options, if it has no dash: each letter is one, and those
/// with a value take the words behind in turn. `cfz a.tar.gz x` means `-c -f a.tar.gz -z x`.
fn with_dashes(words: Vec<OsString>) -> Result<Vec<OsString>> {
    let mut rest = words.into_iter();
    let first = match rest.next() {
        Some(first) if !first.is_empty() && !first.as_bytes().starts_with(b"-") => first,
        first => return Ok(first.into_iter().chain(rest).collect()),
    };
    let mut words = Vec::new();
    for letter in first.to_string_lossy().chars() {
        if letter == '-' {
            // Two of them would end the options.
            return Err(Arg::Short(letter).unexpected().into());
        }
        words.push(format!("-{letter}").into());
        if LETTERS_WITH_VALUE.contains(&letter) {
            words.push(rest.next().ok_or_else(|| {
                let hint = "`f`, `C` and `T` in the first word take the words behind it in turn";
                Failure::usage(format!("nothing is left for `{letter}`"), hint)
            })?);
        }
    }
    Ok(words.into_iter().chain(rest).collect())
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
    /// The files or members.
    pub(super) fn names(&self) -> impl Iterator<Item = &Path> {
        self.operands.iter().filter_map(|operand| match operand {
            Operand::Name(name) => Some(name.as_path()),
            Operand::Directory(_) => None,
        })
    }

    /// A `-C` counts for what follows it: one that would do nothing, or not all that somebody
    /// meant, is refused.
    fn check_operands(&self) -> Result<()> {
        if self.mode != Mode::Create {
            let is_late =
                |pair: &[Operand]| matches!(pair, [Operand::Name(_), Operand::Directory(_)]);
            return match self.operands.windows(2).any(is_late) {
                true => {
                    let hint = "all members go to one directory: `tar -xf a.tar -C DIR MEMBER`";
                    Err(Failure::usage("a `-C` stands behind a member's name", hint))
                }
                false => Ok(()),
            };
        }
        if self.names().next().is_none() {
            let hint = "`tar -cf archive.tar DIRECTORY` would take a directory";
            return Err(Failure::usage("an archive of nothing is refused", hint));
        }
        match self.operands.last() {
            Some(Operand::Directory(directory)) => {
                let problem = format!("nothing follows `-C {}`", directory.display());
                Err(Failure::usage(problem, "it is for the names behind it"))
            }
            _ => Ok(()),
        }
    }

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
