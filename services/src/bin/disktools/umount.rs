//! `umount`.

use std::ffi::OsString;
use std::fs;

use lexopt::Arg;
use rustix::io::Errno;
use rustix::mount::UnmountFlags;
use services::problem::{Context, Problem, Result};
use services::storage::block;
use services::storage::mounting::table::{self, Mounted};

use crate::Outcome;
use crate::mount::refused;

const HELP: &str = "\
Unmounts what is mounted at a directory, or a device wherever it is mounted.

Usage: umount [-l] DIRECTORY|DEVICE...

Options:
  -l          now out of sight, and unmounted when nobody uses it any more
  -h, --help  this text

Exit status: 0 done, 1 failed, 2 usage.
";

pub(crate) fn run(words: Vec<OsString>) -> Outcome {
    let mut flags = UnmountFlags::NOFOLLOW;
    let mut targets = Vec::new();
    let mut parser = lexopt::Parser::from_args(words);
    loop {
        match parser.next() {
            Ok(None) => break,
            Ok(Some(Arg::Short('l') | Arg::Long("lazy"))) => flags |= UnmountFlags::DETACH,
            Ok(Some(Arg::Short('h') | Arg::Long("help"))) => return Outcome::print(HELP),
            Ok(Some(Arg::Value(word))) => targets.push(word.to_string_lossy().into_owned()),
            Ok(Some(other)) => return Outcome::usage("umount", other.unexpected()),
            Err(error) => return Outcome::usage("umount", error),
        }
    }
    if targets.is_empty() {
        return Outcome::usage("umount", "the directory is missing");
    }
    each(&targets, |target| unmount(target, flags))
}

/// Unmounts one after the other. One that fails is told, and keeps none of the others mounted.
fn each(targets: &[String], mut unmount: impl FnMut(&str) -> Result<()>) -> Outcome {
    let mut is_well = true;
    for target in targets {
        if let Err(problem) = unmount(target) {
            problem.print("umount");
            is_well = false;
        }
    }
    if is_well { Outcome::Done } else { Outcome::Reported }
}

/// Unmounts the directory, or the device from where it was mounted last.
fn unmount(target: &str, flags: UnmountFlags) -> Result<()> {
    let mounts = table::mounted().context(|| "cannot read the table of mounts".to_owned())?;
    let path = fs::canonicalize(target)
        .map_or_else(|_| target.to_owned(), |path| path.to_string_lossy().into_owned());
    let number = fs::metadata(target).ok().as_ref().and_then(block::number);
    let place = place(&mounts, target, &path, number)?;
    rustix::mount::unmount(place, flags).map_err(|errno| match errno {
        Errno::INVAL => Problem::new(format!("`{target}` is not mounted")),
        errno => refused(&format!("unmount {target}"), errno.into()),
    })
}

/// Where to unmount: `path`, which `target` leads to, if something is mounted there; else where
/// the device `number`, or what was mounted by the very name `target`, was mounted last. A device
/// has many names, so that by which it was mounted says little.
///
/// # Errors
/// It is the root, which the kernel would make read-only instead and report as unmounted.
fn place<'a>(
    mounts: &'a [Mounted],
    target: &str,
    path: &'a str,
    number: Option<(u32, u32)>,
) -> Result<&'a str> {
    let is_meant = |mount: &&Mounted| match number {
        Some(number) => mount.number == number,
        None => mount.source == target,
    };
    let is_place = mounts.iter().any(|mount| mount.target == path);
    let of_source = mounts.iter().rfind(is_meant).filter(|_| !is_place);
    match of_source.map_or(path, |mount| &mount.target) {
        "/" => Err(Problem::new("`/` cannot be unmounted")
            .with_hint("`mount -o remount,ro /` makes it read-only")),
        place => Ok(place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(number: (u32, u32), source: &str, target: &str) -> Mounted {
        let (major, minor) = number;
        let line = format!("25 1 {major}:{minor} / {target} rw - ext4 {source} rw\n");
        table::parse(line.as_bytes()).remove(0)
    }

    #[test]
    fn a_device_is_found_by_its_number_whatever_it_was_mounted_as() {
        let mounts = [
            mounted((254, 1), "/dev/root", "/"),
            mounted((254, 3), "/dev/disk/by-role/data", "/var"),
            mounted((0, 30), "scratch", "/mnt"),
            mounted((254, 3), "/dev/disk/by-role/data", "/srv"),
        ];
        for (target, path, number, expected) in [
            ("/dev/vda3", "/dev/vda3", Some((254, 3)), "/srv"),
            ("/dev/disk/by-role/data", "/dev/vda3", Some((254, 3)), "/srv"),
            ("/dev/vda2", "/dev/vda2", Some((254, 2)), "/dev/vda2"),
            ("/var", "/var", None, "/var"),
            ("scratch", "scratch", None, "/mnt"),
            ("/nope", "/nope", None, "/nope"),
        ] {
            assert_eq!(place(&mounts, target, path, number).unwrap(), expected, "{target}");
        }
    }

    #[test]
    fn the_root_is_not_made_read_only_by_the_way() {
        let mounts = [mounted((254, 1), "/dev/root", "/")];
        for (target, path, number) in
            [("/", "/", None), ("/..", "/", None), ("/dev/vda1", "/dev/vda1", Some((254, 1)))]
        {
            let problem = place(&mounts, target, path, number).unwrap_err();
            assert_eq!(problem.message(), "`/` cannot be unmounted", "{target}");
            assert!(problem.hint().is_some_and(|hint| hint.contains("remount,ro /")));
        }
    }

    #[test]
    fn what_cannot_be_unmounted_keeps_nothing_else_mounted() {
        let targets = ["/nope", "/mnt/a", "/mnt/b"].map(str::to_owned);
        let mut seen = Vec::new();
        let outcome = each(&targets, |target| {
            seen.push(target.to_owned());
            if target == "/nope" { Err(Problem::new("no")) } else { Ok(()) }
        });
        assert_eq!(seen, targets);
        assert!(matches!(outcome, Outcome::Reported));
        assert!(matches!(each(&targets, |_| Ok(())), Outcome::Done));
    }
}
