//! `gzip`, `gunzip` and `zcat` (RFC 1952), on `flate2`.
//!
//! [`arguments`] is the command line, [`draft`] a result that is not whole yet. Absent: `-r`, `-S`, `--rsyncable`, the original
//! name inside the file as the name of the result (`-N`), and compress(1)'s format.

mod arguments;
mod draft;
mod members;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use flate2::{Compression, GzBuilder};
use rustix::io::Errno;
use rustix::termios::isatty;
use services::failure::{Code, Failure};
use services::problem::{Context, Problem};

use crate::Result;
use crate::output::{print, tame, tamed};

use arguments::{Arguments, Mode, suffix};
use draft::{Draft, Ending};
pub(crate) use members::Members;

const HELP: &str = "\
Compresses files, or expands what was compressed.

Usage: gzip [OPTIONS] [FILE…]     FILE becomes FILE.gz
       gunzip [OPTIONS] [FILE…]   FILE.gz becomes FILE
       zcat [FILE…]               expands to standard output

Options:
  -c, --stdout      to standard output; files stay as they are
  -d, --decompress  expand
  -f, --force       replace results that are there, links, and files with more names;
                    compressed data to a terminal
  -k, --keep        keep the files
  -l, --list        sizes and ratio of compressed files
  -n, --no-name     leave name and time out of the result
  -q, --quiet       no warnings
  -t, --test        only look whether the files are whole
  -v, --verbose     say what each file comes to
  -1 … -9           fast to small [default: 6]; --fast, --best
  -h, --help        this text

Without a file, and for `-`, it is standard input to standard output.
";

/// What helps where a file is not replaced.
const AS_IT_IS: &str = "`-f` does it all the same, `gzip -c` leaves the file as it is";

/// Bytes taken at once.
const CHUNK_BYTES: usize = 64 * 1024;

pub(crate) fn run(name: &str, words: Vec<OsString>) -> Result<()> {
    let Some(arguments) = arguments::parse(name, words)? else { return Ok(print(HELP)?) };
    if arguments.mode == Mode::List {
        print("compressed  uncompressed  ratio  uncompressed_name\n")?;
    }
    let ending = Ending::catch().context(|| "cannot watch for signals".to_owned())?;
    let mut is_well = true;
    for file in &arguments.files {
        let done = match file.to_str() {
            Some("-") => stream(&arguments),
            _ => one(&arguments, file, &ending),
        };
        match done {
            Err(Failure::Problem(_, problem)) => {
                tamed(&problem).print(name);
                is_well = false;
            }
            other => other?,
        }
    }
    if is_well { Ok(()) } else { Err(Failure::Reported(Code::Failed)) }
}

/// Standard input to standard output.
fn stream(arguments: &Arguments) -> Result<()> {
    let input = io::stdin().lock();
    let named = Path::new("standard input");
    match arguments.mode {
        Mode::Compress => {
            refuse_terminal(arguments)?;
            compress(input, io::stdout().lock(), GzBuilder::new(), arguments.level, named).map(drop)
        }
        Mode::Expand => expand(input, io::stdout().lock(), named).map(drop),
        Mode::Test => expand(input, io::sink(), named).map(drop),
        Mode::List => Err(Problem::new("standard input has no size to list").into()),
    }
}

/// Compressed bytes on a screen are of use to nobody.
fn refuse_terminal(arguments: &Arguments) -> Result<()> {
    if isatty(io::stdout()) && !arguments.force {
        return Err(Problem::new("compressed data is not written to a terminal")
            .with_hint("`-f` does it all the same")
            .into());
    }
    Ok(())
}

fn one(arguments: &Arguments, path: &Path, ending: &Ending) -> Result<()> {
    let input = open(arguments, path)?;
    let metadata = input.metadata().map_err(|error| reading(path, &error))?;
    if !metadata.is_file() && !arguments.to_stdout {
        return Err(Problem::new(format!("`{}` is no regular file", path.display())).into());
    }
    match arguments.mode {
        Mode::List => list(path, metadata.len(), input),
        Mode::Test => expand(input, io::sink(), path).map(drop),
        Mode::Compress if arguments.to_stdout => {
            refuse_terminal(arguments)?;
            let header = header(arguments, path, &metadata);
            compress(input, io::stdout().lock(), header, arguments.level, path).map(drop)
        }
        Mode::Expand if arguments.to_stdout => expand(input, io::stdout().lock(), path).map(drop),
        Mode::Compress | Mode::Expand => replace(arguments, path, input, &metadata, ending),
    }
}

/// Opens the file. A symbolic link is not followed where the result takes its place: the
/// file that it leads to would stay as it is.
fn open(arguments: &Arguments, path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true);
    if arguments.replaces() && !arguments.force {
        options.custom_flags(libc::O_NOFOLLOW);
    }
    options.open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) if path.is_symlink() => {
            let problem = Problem::new(format!("`{}` is a symbolic link", path.display()));
            problem.with_hint(AS_IT_IS).into()
        }
        _ => reading(path, &error),
    })
}

/// Name and time of the file, unless they are to be left out.
fn header(arguments: &Arguments, path: &Path, metadata: &fs::Metadata) -> GzBuilder {
    if arguments.no_name {
        return GzBuilder::new();
    }
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let modified = modified.and_then(|since| u32::try_from(since.as_secs()).ok());
    GzBuilder::new().filename(name).mtime(modified.unwrap_or(0))
}

/// Puts the result in the place of the file: with its mode, owner and time, and whole
/// before the file goes, and what had the result's name.
fn replace(
    arguments: &Arguments,
    path: &Path,
    input: File,
    metadata: &fs::Metadata,
    ending: &Ending,
) -> Result<()> {
    let target = target(arguments.mode, path)?;
    refuse(arguments, path, metadata, &target)?;
    let draft = Draft::begin(&target, ending).map_err(|error| creating(&target, &error))?;
    let (input, output) = (draft.watched(input), draft.file());
    let (from, to) = match arguments.mode {
        Mode::Expand => expand(input, output, path)?,
        _ => {
            let header = header(arguments, path, metadata);
            compress(input, output, header, arguments.level, path)?
        }
    };
    finish(output, metadata, &target)?;
    draft.publish(&target, arguments.force).map_err(|error| creating(&target, &error))?;
    if !arguments.keep {
        fs::remove_file(path).map_err(|error| {
            Problem::new(format!("cannot remove `{}`: {error}", path.display()))
        })?;
    }
    if arguments.verbose {
        let (small, large) = if arguments.mode == Mode::Compress { (to, from) } else { (from, to) };
        let line = format!("{}: {} -> {}", path.display(), ratio(small, large), target.display());
        let _ = writeln!(io::stderr(), "{}", tame(&line));
    }
    Ok(())
}

/// Refuses, before any work, what would be lost: other names of the file, and what has the
/// result's name.
fn refuse(
    arguments: &Arguments,
    path: &Path,
    metadata: &fs::Metadata,
    target: &Path,
) -> Result<()> {
    if arguments.force {
        return Ok(());
    }
    if metadata.nlink() > 1 && !arguments.keep {
        let problem = Problem::new(format!("`{}` has other hard links", path.display()));
        return Err(problem.with_hint(AS_IT_IS).into());
    }
    if fs::symlink_metadata(target).is_ok() {
        return Err(creating(target, &Errno::EXIST.into()));
    }
    Ok(())
}

/// Where the result goes.
fn target(mode: Mode, path: &Path) -> Result<PathBuf> {
    let bytes = path.as_os_str().as_encoded_bytes();
    let known = suffix(bytes);
    if mode == Mode::Compress {
        if known.is_some() {
            let message = format!("`{}` has a suffix of compressed files", path.display());
            return Err(Problem::new(message).with_hint("`gzip -c < FILE` does it").into());
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".gz");
        return Ok(PathBuf::from(name));
    }
    let Some((length, replacement)) = known else {
        let message = format!("`{}` has no suffix of compressed files", path.display());
        return Err(Problem::new(message).with_hint("`gunzip -c < FILE` does it").into());
    };
    let stem = bytes.get(..bytes.len() - length).unwrap_or_default();
    let name = [stem, replacement].concat();
    Ok(PathBuf::from(OsString::from_vec(name)))
}

/// Gives the result the mode, the owner and the time of the file.
fn finish(output: &File, metadata: &fs::Metadata, target: &Path) -> Result<()> {
    let writing = |error: io::Error| writing(target, &error);
    // Only root may give files away; the mode says less without that.
    let _ = fchown(output, Some(metadata.uid()), Some(metadata.gid()));
    let mode = fs::Permissions::from_mode(metadata.mode() & 0o777);
    output.set_permissions(mode).map_err(writing)?;
    let modified = metadata.modified().map_err(writing)?;
    output.set_modified(modified).map_err(writing)?;
    output.sync_all().map_err(writing)?;
    Ok(())
}

/// Copies through the compressor. Bytes read and written.
fn compress(
    mut input: impl Read,
    output: impl Write,
    header: GzBuilder,
    level: u32,
    path: &Path,
) -> Result<(u64, u64)> {
    let output = Counted { inner: output, bytes: 0 };
    let mut encoder = header.write(output, Compression::new(level));
    let read = copy(&mut input, &mut encoder, path)?;
    let mut output = encoder.finish()?;
    output.flush()?;
    Ok((read, output.bytes))
}

/// Copies through the decompressor. Bytes read and written.
fn expand(input: impl Read, output: impl Write, path: &Path) -> Result<(u64, u64)> {
    let mut input = CountedRead { inner: input, bytes: 0 };
    let mut output = output;
    let written = {
        let mut decoder = Members::new(BufReader::with_capacity(CHUNK_BYTES, &mut input));
        copy(&mut decoder, &mut output, path)?
    };
    output.flush()?;
    Ok((input.bytes, written))
}

/// Copies everything, and tells failures to read from failures to write.
fn copy(input: &mut impl Read, output: &mut impl Write, path: &Path) -> Result<u64> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut copied = 0;
    loop {
        let length = match input.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(reading(path, &error)),
        };
        output.write_all(buffer.get(..length).unwrap_or_default())?;
        copied += length as u64;
    }
}

fn reading(path: &Path, error: &io::Error) -> Failure {
    let problem = Problem::new(format!("cannot read `{}`: {error}", path.display()));
    match error.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            problem.with_hint("it is damaged, or not in gzip's format").into()
        }
        io::ErrorKind::UnexpectedEof => problem.with_hint("its end is missing").into(),
        _ => problem.into(),
    }
}

fn creating(target: &Path, error: &io::Error) -> Failure {
    let problem = Problem::new(format!("cannot create `{}`: {error}", target.display()));
    match error.kind() {
        io::ErrorKind::AlreadyExists => problem.with_hint("`-f` replaces it").into(),
        _ => problem.into(),
    }
}

fn writing(path: &Path, error: &io::Error) -> Failure {
    Problem::new(format!("cannot write `{}`: {error}", path.display())).into()
}

fn list(path: &Path, compressed: u64, input: File) -> Result<()> {
    let (_, size) = expand(input, io::sink(), path)?;
    let name = target(Mode::Expand, path).unwrap_or_else(|_| path.to_owned());
    let ratio = ratio(compressed, size);
    let name = tame(&name.display().to_string());
    Ok(print(&format!("{compressed:>10}  {size:>12}  {ratio:>5}  {name}\n"))?)
}

/// How much of the size is saved, in percent.
fn ratio(small: u64, large: u64) -> String {
    let saved = 100.0 - crate::process::percent(small, large);
    if large == 0 { "0.0%".to_owned() } else { format!("{saved:.1}%") }
}

/// Counts what is written.
struct Counted<W> {
    inner: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.inner.write(bytes)?;
        self.bytes += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Counts what is read.
struct CountedRead<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for CountedRead<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(bytes)?;
        self.bytes += length as u64;
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
