//! `tar`: archives in the ustar format with GNU's and POSIX's long names, on `tar` and
//! `flate2`.
//!
//! [`arguments`] is the command line, [`create`] and [`extract`] are the two directions.
//! Absent: appending to and updating archives (`-r`, `-u`), compressors but gzip,
//! extended attributes, sparse files on writing, volumes, and a terminal's questions.

mod arguments;
mod create;
mod extract;

use std::error::Error;
use std::ffi::OsString;
use std::fs::{File, Metadata};
use std::io::{self, BufReader, Read, Write};
use std::iter::successors;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, fstat};
use services::problem::{Context, Problem};

use crate::Result;
use crate::gzip::Members;
use crate::output::{print, tamed};

use arguments::{Arguments, Mode, Operand};

const HELP: &str = "\
Puts files into an archive, and takes them out.

Usage: tar -c [OPTIONS] FILE…       create
       tar -x [OPTIONS] [MEMBER…]   extract
       tar -t [OPTIONS] [MEMBER…]   list

Options:
  -f, --file FILE           the archive; `-` is standard input or output [default]
  -C, --directory DIR       go there, from the -C before, for the names that follow
  -z, --gzip                compressed by gzip; found out by itself on reading
  -v, --verbose             name the files; -tv shows modes, owners, sizes and times
  -h, --dereference         put in what symbolic links point to
      --exclude PATTERN     leave out names that fit, with * and ? (on both ways)
  -k, --keep-old-files      do not replace files that are there
  -O, --to-stdout           files to standard output
  -m, --touch               times of now instead of those of the archive
  -p, --preserve-permissions  modes as they are, without the umask [root: default]
      --no-same-owner       files belong to who extracts them [default unless root]
      --strip-components N  without the first N parts of names
      --numeric-owner       owners by number
  -T, --files-from FILE     names from a file, one a line
      --help                this text

The first word may go without its dash: `tar xzf a.tar.gz`. Each letter of it is an
option, and `f`, `C` and `T` take the words behind it in turn: `tar cfz a.tar.gz DIR`.
The archive of -f and the file of -T are found without -C.

Names in an archive never lead out of the directory: a leading `/` is left off, and
what has a `..` is refused.
";

/// Device and inode, which no two files share.
type Identity = (u64, u64);

/// Most bytes of one decompressed read-ahead.
const BUFFER_BYTES: usize = 64 * 1024;

/// First bytes of what gzip wrote (RFC 1952, 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

pub(crate) fn run(_: &str, words: Vec<OsString>) -> Result<()> {
    let Some(arguments) = arguments::parse(words)? else { return Ok(print(HELP)?) };
    // Opened before the change of directory, which names of archives do not take part in.
    match arguments.mode {
        Mode::Create => {
            let (output, identity) = output(&arguments)?;
            create::create(&arguments, output, identity)
        }
        Mode::Extract | Mode::List => {
            let input = input(&arguments)?;
            for operand in &arguments.operands {
                if let Operand::Directory(directory) = operand {
                    enter(directory)?;
                }
            }
            extract::read(&arguments, input)
        }
    }
}

fn enter(directory: &Path) -> Result<()> {
    Ok(std::env::set_current_dir(directory)
        .context(|| format!("cannot enter `{}`", directory.display()))?)
}

/// Where the archive is written to, and which file that is.
fn output(arguments: &Arguments) -> Result<(Box<dyn Write>, Option<Identity>)> {
    match archive(arguments) {
        Some(path) => {
            let file = File::create(path);
            let file = file.context(|| format!("cannot create `{}`", path.display()))?;
            let identity = identity(&file);
            Ok((Box::new(file), identity))
        }
        None => {
            let out = io::stdout().lock();
            let identity = identity(&out);
            Ok((Box::new(out), identity))
        }
    }
}

/// Device and inode of an open file; `None` if it is no regular one.
fn identity(file: impl AsFd) -> Option<Identity> {
    let stat = fstat(file).ok()?;
    FileType::from_raw_mode(stat.st_mode).is_file().then_some((stat.st_dev, stat.st_ino))
}

fn identity_of(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

fn input(arguments: &Arguments) -> Result<Box<dyn Read>> {
    let source: Box<dyn Read> = match archive(arguments) {
        Some(path) => {
            let file = File::open(path);
            Box::new(file.context(|| format!("cannot open `{}`", path.display()))?)
        }
        None => Box::new(io::stdin().lock()),
    };
    let mut source = BufReader::with_capacity(BUFFER_BYTES, source);
    let mut start = Vec::new();
    source
        .by_ref()
        .take(GZIP_MAGIC.len() as u64)
        .read_to_end(&mut start)
        .context(|| "cannot read the archive".to_owned())?;
    let is_compressed = start == GZIP_MAGIC;
    let source = io::Cursor::new(start).chain(source);
    Ok(match is_compressed {
        true => Box::new(Members::new(source)),
        false => Box::new(source),
    })
}

/// The archive's file; `None` for standard input and output.
fn archive(arguments: &Arguments) -> Option<&Path> {
    arguments.file.as_deref().filter(|file| *file != Path::new("-"))
}

/// Whether `name` fits a pattern with `*` and `?`, wholly or from after some `/` on.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let starts = std::iter::once(0)
        .chain(name.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at + 1));
    starts.into_iter().any(|start| fits_here(pattern, name.get(start..).unwrap_or_default()))
}

/// Greedy with one place to come back to, which is enough for `*`: linear in space,
/// and at worst the product of both lengths in time.
fn fits_here(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(p), name.get(n)) {
            (Some(b'*'), _) => {
                back = Some((p, n));
                p += 1;
            }
            (Some(b'?'), Some(_)) => (p, n) = (p + 1, n + 1),
            (Some(wanted), Some(found)) if wanted == found => (p, n) = (p + 1, n + 1),
            // A directory's name fits, and with it all that is below.
            (None, None | Some(b'/')) => return true,
            _ => match back {
                Some((star, at)) if at < name.len() => {
                    back = Some((star, at + 1));
                    (p, n) = (star + 1, at + 1);
                }
                _ => return false,
            },
        }
    }
}

/// Says that something went wrong with one file; the others still get their turn.
fn complain(path: &Path, what: &str, error: &dyn std::fmt::Display) {
    tamed(&Problem::new(format!("cannot {what} `{}`: {error}", path.display()))).print("tar");
}

/// What went wrong with a file, down to the cause: the library's error says what it was doing,
/// and has the kernel's as its source.
fn reason(error: &io::Error) -> String {
    let first: &dyn Error = error;
    let all = successors(Some(first), |&error| error.source());
    let mut parts: Vec<String> = all.map(ToString::to_string).collect();
    // That it was unpacking, and which file, has been said.
    if parts.len() > 1 {
        parts.retain(|part| !part.starts_with("failed to unpack "));
    }
    parts.join(": ")
}

/// The names in a file, one a line.
fn names_in(file: &Path) -> Result<Vec<PathBuf>> {
    let text = match file == Path::new("-") {
        true => io::read_to_string(io::stdin()),
        false => std::fs::read_to_string(file),
    };
    let text = text.context(|| format!("cannot read `{}`", file.display()))?;
    Ok(text.lines().filter(|line| !line.is_empty()).map(PathBuf::from).collect())
}

#[cfg(test)]
mod tests {
    use services::failure::{Code, Failure};

    use super::*;

    #[test]
    fn patterns_fit_names_wholly_or_from_a_slash_on() {
        for (pattern, name, expected) in [
            ("*.o", "a.o", true),
            ("*.o", "src/deep/a.o", true),
            ("*.o", "a.o.c", false),
            ("target", "target", true),
            ("target", "x/target/y", true),
            ("target", "targets", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b*c", "xxaxxbxxbxxc", true),
            ("*a*b*c", "xxaxxbxxbxx", false),
            ("", "a", false),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }

    fn parse(line: &str) -> Result<Option<Arguments>> {
        arguments::parse(line.split_whitespace().map(OsString::from).collect())
    }

    fn directory(path: &str) -> Operand {
        Operand::Directory(path.into())
    }

    fn name(path: &str) -> Operand {
        Operand::Name(path.into())
    }

    #[test]
    fn the_first_word_may_go_without_its_dash() {
        let read = parse("xzf a.tgz -C /x one").unwrap().unwrap();
        assert_eq!((read.mode, read.gzip), (Mode::Extract, true));
        assert_eq!(read.file.as_deref(), Some(Path::new("a.tgz")));
        assert_eq!(read.operands, [directory("/x"), name("one")]);
        for wrong in ["", "f a.tar", "cf a.tar", "xcf a.tar", "-x --nonsense", "xf", "f- x"] {
            assert!(parse(wrong).is_err(), "tar {wrong}");
        }
    }

    #[test]
    fn letters_without_a_dash_take_the_words_behind_in_turn() {
        let read = parse("cfz a.tgz one").unwrap().unwrap();
        assert_eq!((read.mode, read.gzip, read.file), (Mode::Create, true, Some("a.tgz".into())));
        assert_eq!(read.operands, [name("one")]);
        let read = parse("Cfc /x -v one").unwrap().unwrap();
        assert_eq!((read.file, read.verbose), (Some("-v".into()), false));
        assert_eq!(read.operands, [directory("/x"), name("one")]);
        let with_dash = parse("-cfz one").unwrap().unwrap();
        assert_eq!((with_dash.file, with_dash.gzip), (Some("z".into()), false));
        let Err(Failure::Problem(Code::Usage, problem)) = parse("cfC a.tar") else { panic!() };
        assert_eq!(problem.message(), "nothing is left for `C`");
    }

    #[test]
    fn a_directory_is_for_the_names_behind_it() {
        let read = parse("-cf o.tar -C /a x -C b -C c y").unwrap().unwrap();
        let expected = [directory("/a"), name("x"), directory("b"), directory("c"), name("y")];
        assert_eq!(read.operands, expected);
        assert_eq!(parse("-x -C a -C b one").unwrap().unwrap().operands.len(), 3);
        for wrong in ["-c -C a", "-c x -C a", "-x one -C a", "-t one -C a two"] {
            assert!(matches!(parse(wrong), Err(Failure::Problem(Code::Usage, _))), "tar {wrong}");
        }
    }
}
