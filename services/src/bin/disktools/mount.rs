//! `mount`.

use std::ffi::{CString, OsString};
use std::io;
use std::path::Path;

use init_core::mount::Source;
use lexopt::{Arg, ValueExt as _};
use rustix::io::Errno;
use services::problem::{Problem, Result};
use services::storage::block::find::find;
use services::storage::block::probe;
use services::storage::block::sysfs::Sysfs;
use services::storage::mounting::options::Options;
use services::storage::mounting::remount::{self, Scope, remount};
use services::storage::mounting::table;

use crate::{Outcome, fs_type, mounts_json, show};

const MOUNT_HELP: &str = "\
Mounts a file system, or without arguments shows what is mounted.

Usage: mount [--json] [-t TYPE]
       mount [-t TYPE] [-o OPTIONS] SOURCE DIRECTORY
       mount --bind [-o OPTIONS] SOURCE DIRECTORY
       mount -o remount[,bind],OPTIONS DIRECTORY

SOURCE is a device, LABEL=, UUID=, PARTLABEL= or PARTUUID=, for --bind a file or directory,
and for a file system without a device any word. Without -t it is looked at.
`remount` changes the options that are named and leaves the others as they are; with `bind`,
only those of this mount, not of the file system.

Options:
      --bind      show a file or directory at a further place
      --json      for programs
  -o OPTIONS      separated by commas: ro, nosuid, nodev, noexec, size=64M, ...
  -r              read-only, as -o ro
  -t TYPE         ext4, vfat, tmpfs, proc, ...; to show, also `ext4,vfat`, `noproc,sysfs`
  -h, --help      this text

What is to be mounted at each boot is described in /etc/mounts.d.
Exit status: 0 done, 1 failed, 2 usage, 4 no such SOURCE.
";

/// What to do instead where the image of a disk is to be mounted.
const NO_LOOP: &str = "a file takes a loop device, which this tool does not set up: \
                       give a machine the image as a disk, or write it to a partition by `dd`";

/// What the command line of `mount` says.
#[derive(Default)]
struct Asked {
    kind: Option<String>,
    options: Vec<String>,
    bind: bool,
    json: bool,
    help: bool,
    operands: Vec<String>,
}

impl Asked {
    fn parse(words: Vec<OsString>) -> std::result::Result<Self, lexopt::Error> {
        let mut asked = Self::default();
        let mut parser = lexopt::Parser::from_args(words);
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Short('t') | Arg::Long("types") => {
                    asked.kind = Some(parser.value()?.string()?)
                }
                Arg::Short('o') | Arg::Long("options") => {
                    asked.options.extend(parser.value()?.string()?.split(',').map(str::to_owned));
                }
                Arg::Short('r') | Arg::Long("read-only") => asked.options.push("ro".to_owned()),
                Arg::Short('B') | Arg::Long("bind") => asked.bind = true,
                Arg::Long("json") => asked.json = true,
                Arg::Short('h') | Arg::Long("help") => asked.help = true,
                Arg::Value(word) => asked.operands.push(word.string()?),
                other => return Err(other.unexpected()),
            }
        }
        asked.bind |= asked.take_option("bind");
        Ok(asked)
    }

    /// Whether the option was given; it is gone then.
    fn take_option(&mut self, name: &str) -> bool {
        let before = self.options.len();
        self.options.retain(|option| option != name);
        self.options.len() < before
    }
}

pub(crate) fn run(words: Vec<OsString>) -> Outcome {
    let mut asked = match Asked::parse(words) {
        Ok(asked) => asked,
        Err(error) => return Outcome::usage("mount", error),
    };
    if asked.help {
        return Outcome::print(MOUNT_HELP);
    }
    if asked.options.iter().any(|option| option == "loop" || option.starts_with("loop=")) {
        return Outcome::Usage(Problem::new("there are no loop mounts here").with_hint(NO_LOOP));
    }
    let is_remount = asked.take_option("remount");
    match asked.operands.as_slice() {
        [] => list(&asked),
        [target] | [_, target] if is_remount => again(target, &asked).into(),
        [source, target] if asked.bind => bind(source, target, &asked.options),
        [source, target] => match named(source) {
            Ok(source) => mount(&source, target, &asked),
            Err(problem) => Outcome::NoSuch(problem),
        },
        [_] => Outcome::usage("mount", "the directory is missing"),
        [_, _, extra, ..] => Outcome::usage("mount", format!("unexpected argument {extra:?}")),
    }
}

fn list(asked: &Asked) -> Outcome {
    let mut mounts = match table::mounted() {
        Ok(mounts) => mounts,
        Err(error) => {
            return Outcome::Failed(Problem::new(format!("cannot read the table: {error}")));
        }
    };
    if let Some(kinds) = &asked.kind {
        mounts.retain(|mount| fs_type::is_of(kinds, &mount.kind));
    }
    match asked.json {
        true => Outcome::print(&format!("{:#}\n", mounts_json::document(&mounts))),
        false => Outcome::print(&show::lines(&mounts)),
    }
}

/// The device that LABEL=… and its like name; other words stand for themselves.
fn named(source: &str) -> Result<String> {
    match Source::parse(source) {
        None | Some(Source::Path(_)) => Ok(source.to_owned()),
        Some(wanted) => find(&Sysfs::default(), &wanted).ok_or_else(|| {
            Problem::new(format!("there is no {source}")).with_hint("`lsblk` shows what there is")
        }),
    }
}

fn mount(source: &str, target: &str, asked: &Asked) -> Outcome {
    let kind = match asked.kind.as_deref() {
        Some(kind) => fs_type::kernel_name(kind).to_owned(),
        None => match kind_on(source) {
            Ok(kind) => kind,
            Err(outcome) => return outcome,
        },
    };
    match mount_as(&kind, source, target, &asked.options) {
        Ok(()) => Outcome::Done,
        Err(error) => {
            let path = Some(source).filter(|source| source.contains('/'));
            failed(&format!("mount {source} on {target} as {kind}"), path, target, error)
        }
    }
}

/// What the file system on the device calls itself.
fn kind_on(source: &str) -> std::result::Result<String, Outcome> {
    match probe::read_filesystem(source) {
        Ok(Some(found)) => Ok(found.kind.to_owned()),
        Ok(None) => Err(Outcome::Failed(
            Problem::new(format!("`{source}` holds no file system that is known"))
                .with_hint("-t TYPE says what it is"),
        )),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(Outcome::NoSuch(unreadable(source, &error)))
        }
        Err(error) => Err(Outcome::Failed(unreadable(source, &error))),
    }
}

fn unreadable(source: &str, error: &io::Error) -> Problem {
    let problem = Problem::new(format!("cannot read `{source}`: {error}"));
    match error.kind() {
        io::ErrorKind::NotFound => problem
            .with_hint("`lsblk` shows what there is; what has no device, as tmpfs, takes -t TYPE"),
        io::ErrorKind::PermissionDenied => problem.with_hint("this takes root"),
        io::ErrorKind::IsADirectory => problem.with_hint("--bind shows a directory elsewhere"),
        _ => problem,
    }
}

fn mount_as(kind: &str, source: &str, target: &str, options: &[String]) -> io::Result<()> {
    let options = Options::of(options.iter().map(String::as_str));
    let data = CString::new(options.data)?;
    Ok(rustix::mount::mount(source, target, kind, options.flags, data.as_c_str())?)
}

fn bind(source: &str, target: &str, options: &[String]) -> Outcome {
    match remount::bind(source, target, options) {
        Ok(()) => Outcome::Done,
        Err(error) => failed(&format!("mount {source} on {target}"), Some(source), target, error),
    }
}

/// What became of the attempt to do `what`. Of two names the kernel does not say which one is
/// that of nothing; `source` is `None` where it is a word and no path.
fn failed(what: &str, source: Option<&str>, target: &str, error: io::Error) -> Outcome {
    if error.kind() != io::ErrorKind::NotFound {
        return Outcome::Failed(refused(what, error));
    }
    if !Path::new(target).exists() {
        let problem = Problem::new(format!("cannot {what}: there is no `{target}`"));
        return Outcome::Failed(problem.with_hint(format!("`mkdir -p {target}` makes it")));
    }
    match source.filter(|source| !Path::new(source).exists()) {
        Some(source) => Outcome::NoSuch(
            Problem::new(format!("cannot {what}: there is no `{source}`"))
                .with_hint("`lsblk` shows what devices there are"),
        ),
        None => Outcome::Failed(refused(what, error)),
    }
}

fn again(target: &str, asked: &Asked) -> Result<()> {
    let scope = if asked.bind { Scope::Mount } else { Scope::Filesystem };
    remount(target, scope, &asked.options)
        .map_err(|error| refused(&format!("mount {target} anew"), error))
}

/// What the kernel refused, with what helps.
pub(crate) fn refused(what: &str, error: io::Error) -> Problem {
    let problem = Problem::new(format!("cannot {what}: {error}"));
    match Errno::from_io_error(&error) {
        Some(Errno::PERM) => problem.with_hint("this takes root"),
        Some(Errno::INVAL) => problem.with_hint("`dmesg` says what the kernel did not like"),
        Some(Errno::NODEV) => {
            problem.with_hint("`cat /proc/filesystems` lists what the kernel knows")
        }
        Some(Errno::NOTBLK) => problem.with_hint(NO_LOOP),
        Some(Errno::BUSY) => problem.with_hint("something still uses it"),
        _ => problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_cannot_be_read_is_said_to_be_so() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let Err(Outcome::NoSuch(problem)) = kind_on(&format!("{path}/nosuch")) else { panic!() };
        assert!(problem.message().contains("No such file or directory"), "{problem}");
        let Err(Outcome::Failed(problem)) = kind_on(path) else { panic!() };
        assert!(problem.message().contains("Is a directory"), "{problem}");
        assert!(problem.hint().is_some_and(|hint| hint.contains("--bind")), "{problem}");
    }

    #[test]
    fn of_source_and_directory_that_is_named_which_is_missing() {
        let directory = tempfile::tempdir().unwrap();
        let there = directory.path().to_str().unwrap();
        let gone = &format!("{there}/nosuch");
        let failed = |source, target| failed("mount it", source, target, Errno::NOENT.into());
        let missing = format!("cannot mount it: there is no `{gone}`");
        let Outcome::Failed(problem) = failed(Some(there), gone) else { panic!() };
        assert_eq!(problem.message(), missing);
        assert!(problem.hint().is_some_and(|hint| hint.starts_with("`mkdir")), "{problem}");
        let Outcome::NoSuch(problem) = failed(Some(gone), there) else { panic!() };
        assert_eq!(problem.message(), missing);
        // What is missing is named by an option, as for an overlay.
        let Outcome::Failed(problem) = failed(None, there) else { panic!() };
        assert!(problem.message().contains("No such file"), "{problem}");
    }

    #[test]
    fn an_image_file_is_said_to_take_a_loop_device_which_is_not_there() {
        for options in ["loop", "ro,loop=/dev/loop1"] {
            let words = ["-o", options, "disk.img", "/mnt"].map(OsString::from).to_vec();
            let Outcome::Usage(problem) = run(words) else { panic!("{options}") };
            assert_eq!(problem.hint(), Some(NO_LOOP));
        }
        let problem = refused("mount disk.img on /mnt as ext4", Errno::NOTBLK.into());
        assert_eq!(problem.hint(), Some(NO_LOOP));
    }
}
