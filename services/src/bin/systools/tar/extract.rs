//! Files out of an archive, or their names. The archive is anybody's: nothing in it
//! leads out of the directory, by name or through a link.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode as FileMode, Timespec, Timestamps, Uid, chownat, makedev,
    mknodat, utimensat,
};
use services::failure::{Code, Failure};
use services::log_record::format_timestamp;
use services::people::accounts;
use services::problem::{Context, Problem};
use tar::{Archive, Entry, EntryType};

use super::arguments::{Arguments, Mode};
use super::{complain, fits};
use crate::Result;
use crate::output::{print, tame};

type Source = Box<dyn Read>;

/// Lists the archive, or extracts it.
pub(super) fn read(arguments: &Arguments, input: Source) -> Result<()> {
    let mut reader = Reader::new(arguments);
    let mut archive = Archive::new(input);
    archive.set_preserve_mtime(!arguments.touch);
    archive.set_preserve_permissions(arguments.same_modes);
    // Owners are set here, by name where the names are known.
    archive.set_preserve_ownerships(false);
    archive.set_overwrite(!arguments.keep_old);
    let broken = || "cannot read the archive".to_owned();
    for entry in archive.entries().context(broken)? {
        let entry = entry.map_err(|error| {
            Problem::new(format!("cannot read the archive: {error}"))
                .with_hint("it is damaged, truncated, or no tar archive")
        })?;
        reader.entry(entry)?;
    }
    reader.finish()
}

struct Reader<'a> {
    arguments: &'a Arguments,
    users: HashMap<String, u32>,
    groups: HashMap<String, u32>,
    /// Which of the wanted names have been found.
    found: Vec<bool>,
    /// Directories whose mode, owner and time wait until all is in them.
    directories: Vec<Waiting>,
    well: bool,
}

/// A directory that is not finished.
struct Waiting {
    path: PathBuf,
    mode: u32,
    /// Seconds since 1970.
    mtime: u64,
    owner: Option<(u32, u32)>,
}

impl<'a> Reader<'a> {
    fn new(arguments: &'a Arguments) -> Self {
        let users = accounts::users().unwrap_or_default();
        let groups = accounts::groups().unwrap_or_default();
        Self {
            arguments,
            users: users.into_iter().rev().map(|user| (user.name, user.uid)).collect(),
            groups: groups.into_iter().rev().map(|group| (group.name, group.gid)).collect(),
            found: vec![false; arguments.names.len()],
            directories: Vec::new(),
            well: true,
        }
    }

    fn entry(&mut self, mut entry: Entry<'_, Source>) -> Result<()> {
        let broken = || "cannot read the archive".to_owned();
        let name = entry.path().context(broken)?.into_owned();
        if !self.wants(&name) {
            return Ok(());
        }
        match self.arguments.mode {
            Mode::List => Ok(print(&self.line(&entry, &name)?)?),
            _ if self.arguments.to_stdout => {
                if entry.header().entry_type().is_file() {
                    let mut out = io::stdout().lock();
                    io::copy(&mut entry, &mut out)?;
                    out.flush()?;
                }
                Ok(())
            }
            _ => {
                if let Some(target) = target(&name, self.arguments.strip) {
                    if self.arguments.verbose {
                        print(&format!("{}\n", tame(&name.to_string_lossy())))?;
                    }
                    let done = target.and_then(|target| self.extract(&mut entry, &target));
                    if let Err(error) = done {
                        complain(&name, "extract", &error);
                        self.well = false;
                    }
                }
                Ok(())
            }
        }
    }

    /// Whether the entry was asked for: by its name, or by that of a directory above it.
    fn wants(&mut self, name: &Path) -> bool {
        let bytes = name.as_os_str().as_bytes();
        let excluded = &self.arguments.excluded;
        if excluded.iter().any(|pattern: &OsString| fits(pattern.as_bytes(), bytes)) {
            return false;
        }
        let plain = |path: &Path| -> PathBuf {
            path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
        };
        let name = plain(name);
        let mut is_wanted = self.arguments.names.is_empty();
        for (wanted, found) in self.arguments.names.iter().zip(&mut self.found) {
            if name.starts_with(plain(wanted)) {
                *found = true;
                is_wanted = true;
            }
        }
        is_wanted
    }

    fn extract(&mut self, entry: &mut Entry<'_, Source>, target: &Path) -> io::Result<()> {
        if self.arguments.keep_old && fs::symlink_metadata(target).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let header = entry.header();
        let (kind, mode, mtime) = (header.entry_type(), header.mode()?, header.mtime()?);
        let owner = self.arguments.same_owner.then(|| self.owner(header));
        if kind.is_dir() {
            refuse_links(target)?;
            fs::create_dir_all(target)?;
            let path = target.to_owned();
            self.directories.push(Waiting { path, mode, mtime, owner });
            return Ok(());
        }
        refuse_links(target)?;
        if let Some(parent) = target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent)?;
        }
        match kind {
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                node(header, target, kind, mode)?;
            }
            EntryType::Link => {
                let link = entry.link_name()?.ok_or(io::ErrorKind::InvalidData)?;
                let source = self::target(&link, self.arguments.strip)
                    .unwrap_or_else(|| Err(io::ErrorKind::InvalidData.into()))?;
                refuse_links(&source)?;
                replace(target)?;
                return fs::hard_link(source, target);
            }
            _ => {
                if !fs::symlink_metadata(target).is_ok_and(|found| found.is_dir()) {
                    replace(target)?;
                }
                entry.unpack(target)?;
            }
        }
        if let Some((uid, gid)) = owner {
            give(target, uid, gid)?;
            // A change of owner takes setuid bits away (chown(2)).
            if kind.is_file() && mode & 0o6000 != 0 && self.arguments.same_modes {
                set_mode(target, mode)?;
            }
        }
        Ok(())
    }

    /// Owner and group, by their names on this system if it has them.
    fn owner(&self, header: &tar::Header) -> (u32, u32) {
        let number = |number: io::Result<u64>| {
            number.ok().and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
        };
        let (uid, gid) = (number(header.uid()), number(header.gid()));
        if self.arguments.numeric_owner {
            return (uid, gid);
        }
        let user = header.username().ok().flatten().and_then(|name| self.users.get(name));
        let group = header.groupname().ok().flatten().and_then(|name| self.groups.get(name));
        (user.copied().unwrap_or(uid), group.copied().unwrap_or(gid))
    }

    /// Directories get their modes and times last, the deepest first; and what was asked
    /// for and is not there is named.
    fn finish(mut self) -> Result<()> {
        while let Some(Waiting { path, mode, mtime, owner }) = self.directories.pop() {
            let done = owner
                .map_or(Ok(()), |(uid, gid)| give(&path, uid, gid))
                .and_then(
                    |()| if self.arguments.same_modes { set_mode(&path, mode) } else { Ok(()) },
                )
                .and_then(|()| if self.arguments.touch { Ok(()) } else { set_time(&path, mtime) });
            if let Err(error) = done {
                complain(&path, "finish", &error);
                self.well = false;
            }
        }
        for (name, found) in self.arguments.names.iter().zip(&self.found) {
            if !found {
                Problem::new(format!("`{}` is not in the archive", name.display())).print("tar");
                self.well = false;
            }
        }
        if self.well { Ok(()) } else { Err(Failure::Reported(Code::Failed)) }
    }

    fn line(&self, entry: &Entry<'_, Source>, name: &Path) -> Result<String> {
        let broken = || "cannot read the archive".to_owned();
        let name = tame(&name.to_string_lossy());
        if !self.arguments.verbose {
            return Ok(format!("{name}\n"));
        }
        let header = entry.header();
        let owner = |name: Option<&str>, number: io::Result<u64>| match name {
            Some(name) if !name.is_empty() && !self.arguments.numeric_owner => tame(name),
            _ => number.map_or_else(|_| "?".to_owned(), |number| number.to_string()),
        };
        let user = owner(header.username().ok().flatten(), header.uid());
        let group = owner(header.groupname().ok().flatten(), header.gid());
        let time = Duration::from_secs(header.mtime().context(broken)?);
        let time = format_timestamp(UNIX_EPOCH.checked_add(time).unwrap_or(UNIX_EPOCH));
        let link = match entry.link_name().context(broken)? {
            Some(target) if header.entry_type() == EntryType::Symlink => {
                format!(" -> {}", tame(&target.to_string_lossy()))
            }
            Some(target) => format!(" link to {}", tame(&target.to_string_lossy())),
            None => String::new(),
        };
        let mode = letters(header.entry_type(), header.mode().context(broken)?);
        let time = time.get(..16).unwrap_or_default().replace('T', " ");
        let size = entry.size();
        Ok(format!("{mode} {user}/{group} {size:>9} {time} {name}{link}\n"))
    }
}

/// Where an entry goes. `None` if nothing is left of its name, an error if the name has
/// a `..`.
fn target(name: &Path, strip: usize) -> Option<io::Result<PathBuf>> {
    let mut parts = Vec::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::ParentDir => {
                return Some(Err(io::Error::other("its name leads out of the directory")));
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let target: PathBuf = parts.into_iter().skip(strip).collect();
    (!target.as_os_str().is_empty()).then_some(Ok(target))
}

/// Refuses to go through a symbolic link: an archive could have brought it.
fn refuse_links(target: &Path) -> io::Result<()> {
    let mut path = PathBuf::new();
    let Some(parent) = target.parent() else { return Ok(()) };
    for part in parent.components() {
        path.push(part);
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink()) {
            let message = format!("`{}` is a symbolic link", path.display());
            return Err(io::Error::other(message));
        }
    }
    Ok(())
}

/// Removes what is in the way, but no directory.
fn replace(target: &Path) -> io::Result<()> {
    match fs::remove_file(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn node(header: &tar::Header, target: &Path, kind: EntryType, mode: u32) -> io::Result<()> {
    let kind = match kind {
        EntryType::Char => FileType::CharacterDevice,
        EntryType::Block => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    let number = |number: io::Result<Option<u32>>| number.map(Option::unwrap_or_default);
    let device = match kind {
        FileType::Fifo => 0,
        _ => makedev(number(header.device_major())?, number(header.device_minor())?),
    };
    replace(target)?;
    mknodat(CWD, target, kind, FileMode::from_raw_mode(mode & 0o7777), device)?;
    set_mode(target, mode)
}

fn give(path: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    Ok(chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    Ok(rustix::fs::chmod(path, FileMode::from_raw_mode(mode & 0o7777))?)
}

fn set_time(path: &Path, mtime: u64) -> io::Result<()> {
    let time = Timespec { tv_sec: i64::try_from(mtime).unwrap_or(i64::MAX), tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Type and mode as `ls -l` shows them.
fn letters(kind: EntryType, mode: u32) -> String {
    let first = match kind {
        EntryType::Directory => 'd',
        EntryType::Symlink => 'l',
        EntryType::Link => 'h',
        EntryType::Char => 'c',
        EntryType::Block => 'b',
        EntryType::Fifo => 'p',
        _ => '-',
    };
    let mut text = String::from(first);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_lead_out_of_the_directory() {
        for (name, strip, expected) in [
            ("a/b", 0, Some(Some("a/b"))),
            ("/etc/passwd", 0, Some(Some("etc/passwd"))),
            ("./a", 0, Some(Some("a"))),
            ("a/b/c", 1, Some(Some("b/c"))),
            ("a", 1, None),
            (".", 0, None),
            ("../a", 0, Some(None)),
            ("a/../../b", 0, Some(None)),
            ("a/../b", 2, Some(None)),
        ] {
            let found = target(Path::new(name), strip).map(|target| target.ok());
            assert_eq!(found, expected.map(|path| path.map(PathBuf::from)), "{name}");
        }
    }

    #[test]
    fn modes_are_shown_as_ls_does() {
        assert_eq!(letters(EntryType::Regular, 0o755), "-rwxr-xr-x");
        assert_eq!(letters(EntryType::Directory, 0o1777), "drwxrwxrwt");
        assert_eq!(letters(EntryType::Regular, 0o4700), "-rws------");
        assert_eq!(letters(EntryType::Symlink, 0o2644), "lrw-r-Sr--");
    }
}
