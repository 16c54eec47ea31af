//! Changing the options of what is mounted.
//!
//! mount(2) has no change of one flag: those that it is given replace all that were set. So
//! the present ones are taken from the table first, and the words applied to them.

use std::ffi::CString;
use std::io;

use rustix::mount::{MountFlags, UnmountFlags};

use super::options::{ACCESS_TIME, Options};
use super::table::{self, Mounted};

/// Flags of a file system that the table shows among the options of the file system itself.
const SUPERBLOCK_WORDS: [&str; 4] = ["ro", "sync", "dirsync", "lazytime"];

/// What the words are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// This mount: where else the file system can be seen, it stays as it is.
    Mount,
    /// The file system, and this mount of it.
    Filesystem,
}

/// Changes the options that the words name of what is mounted at `target`; all others stay.
///
/// # Errors
/// If nothing is mounted there, and what mount(2) says.
pub fn remount(target: &str, scope: Scope, words: &[impl AsRef<str>]) -> io::Result<()> {
    let there = table::at(target)?
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "nothing is mounted there"))?;
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    for step in steps(&there, scope, &words) {
        let data = CString::new(step.data)?;
        rustix::mount::mount_remount(&*there.target, step.flags, data.as_c_str())?;
    }
    Ok(())
}

/// Shows `source` at `target` too. The new mount has the options of the one that `source` lies
/// on, and what the words change of them.
///
/// # Errors
/// What mount(2) says; nothing is mounted then.
pub fn bind(source: &str, target: &str, words: &[impl AsRef<str>]) -> io::Result<()> {
    rustix::mount::mount_bind(source, target)?;
    if words.is_empty() {
        return Ok(());
    }
    remount(target, Scope::Mount, words).inspect_err(|_| {
        // One without its options would be taken for the one that was asked for.
        let _ = rustix::mount::unmount(target, UnmountFlags::DETACH);
    })
}

/// The calls of mount(2) that change what the words name: flags and data of each.
fn steps(there: &Mounted, scope: Scope, words: &[&str]) -> Vec<Options> {
    let words = || words.iter().copied();
    let of_mount = explicit(Options::changed(mount_flags(there), words()));
    let alone = Options { flags: of_mount.flags | MountFlags::BIND, data: String::new() };
    if scope == Scope::Mount {
        return vec![alone];
    }
    let present = mount_flags(there).difference(MountFlags::RDONLY) | superblock_flags(there);
    let whole = explicit(Options::changed(present, words()));
    // One flag makes both read-only or neither. A mount that differed from its file system, as
    // a read-only bind mount does, needs a second call to be what it was.
    let read_only = |options: &Options| options.flags.contains(MountFlags::RDONLY);
    if read_only(&whole) == read_only(&alone) { vec![whole] } else { vec![whole, alone] }
}

/// The flags of the mount. For want of a word about the time of an access it is always written.
fn mount_flags(there: &Mounted) -> MountFlags {
    let flags = Options::of(there.options.split(',')).flags;
    if flags.intersects(ACCESS_TIME) { flags } else { flags | MountFlags::STRICTATIME }
}

/// The flags of the file system.
fn superblock_flags(there: &Mounted) -> MountFlags {
    let words = there.super_options.split(',').filter(|word| SUPERBLOCK_WORDS.contains(word));
    Options::of(words).flags
}

/// With no flag about the time of an access, the kernel would keep that which `atime` cleared.
fn explicit(mut options: Options) -> Options {
    if !options.flags.intersects(ACCESS_TIME) {
        options.flags |= MountFlags::RELATIME;
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(options: &str, super_options: &str) -> Mounted {
        let line = format!("25 1 0:25 / /tmp {options} - tmpfs tmpfs {super_options}\n");
        table::parse(line.as_bytes()).remove(0)
    }

    /// The steps as text, each `FLAGS;DATA`.
    fn steps_of(options: &str, super_options: &str, scope: Scope, words: &str) -> Vec<String> {
        let words: Vec<&str> = words.split(',').collect();
        let steps = steps(&mounted(options, super_options), scope, &words);
        let name = |(name, _): (&str, MountFlags)| name.to_owned();
        let text = |step: Options| {
            let mut names: Vec<String> = step.flags.iter_names().map(name).collect();
            names.sort();
            format!("{};{}", names.join(" ").to_lowercase(), step.data)
        };
        steps.into_iter().map(text).collect()
    }

    #[test]
    fn a_remount_changes_only_what_is_named() {
        for (options, super_options, words, expected) in [
            (
                "rw,nosuid,nodev,noexec,relatime",
                "rw,size=1024k",
                "size=2G",
                "nodev noexec nosuid relatime;size=2G",
            ),
            ("rw,nosuid,nodev", "rw", "noexec", "nodev noexec nosuid strictatime;"),
            ("rw,nosuid,nodev,relatime", "rw", "suid,dev", "relatime;"),
            ("ro,nosuid,noexec,relatime", "ro", "exec", "nosuid rdonly relatime;"),
            ("ro,nosuid,relatime", "ro", "rw", "nosuid relatime;"),
            ("rw,relatime", "rw", "ro", "rdonly relatime;"),
            ("rw,nosymfollow,relatime", "rw", "nodev", "nodev nosymfollow relatime;"),
            ("rw,noatime", "rw,sync,lazytime", "nodev", "lazytime noatime nodev synchronous;"),
            ("rw,noatime", "rw,lazytime", "nolazytime", "noatime;"),
        ] {
            let made = steps_of(options, super_options, Scope::Filesystem, words);
            assert_eq!(made, [expected], "{options} {super_options} {words}");
        }
    }

    #[test]
    fn words_about_access_times_take_each_others_place() {
        for (options, words, expected) in [
            ("rw,noatime", "atime", "relatime;"),
            ("rw,noatime", "relatime", "relatime;"),
            ("rw,noatime", "strictatime", "strictatime;"),
            ("rw", "noatime", "noatime;"),
            ("rw,nodiratime,relatime", "diratime", "relatime;"),
            ("rw,nodiratime,relatime", "noatime", "noatime nodiratime;"),
        ] {
            let made = steps_of(options, "rw", Scope::Filesystem, words);
            assert_eq!(made, [expected], "{options} {words}");
        }
    }

    #[test]
    fn a_bind_mount_keeps_the_flags_of_its_source() {
        for (options, super_options, words, expected) in [
            ("rw,nosuid,nodev,relatime", "rw", "ro", "bind nodev nosuid rdonly relatime;"),
            ("ro,nosuid,relatime", "rw", "noexec", "bind noexec nosuid rdonly relatime;"),
            ("ro,nosuid,relatime", "rw", "rw,suid", "bind relatime;"),
            ("rw,relatime", "ro,sync", "nodev,size=1m", "bind nodev relatime;"),
        ] {
            let made = steps_of(options, super_options, Scope::Mount, words);
            assert_eq!(made, [expected], "{options} {super_options} {words}");
        }
    }

    #[test]
    fn a_mount_that_is_read_only_alone_stays_so_and_its_file_system_writable() {
        let made = |words| steps_of("ro,relatime", "rw", Scope::Filesystem, words);
        assert_eq!(made("nosuid"), ["nosuid relatime;", "bind nosuid rdonly relatime;"]);
        assert_eq!(made("ro"), ["rdonly relatime;"]);
        assert_eq!(made("rw"), ["relatime;"]);
        let made = steps_of("rw,relatime", "ro", Scope::Filesystem, "nodev");
        assert_eq!(made, ["nodev rdonly relatime;", "bind nodev relatime;"]);
    }

    #[test]
    fn what_is_not_mounted_is_said_to_be_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_str().unwrap();
        let error = remount(path, Scope::Filesystem, &["ro"]).unwrap_err();
        assert_eq!(error.to_string(), "nothing is mounted there");
    }
}
