//! Files that appear whole or not at all, also after a loss of power, and are changed by one
//! writer at a time.
//!
//! Not for directories that others may write to: a link of theirs would be followed. Absent:
//! access control lists and other extended attributes, which a file loses.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

/// Most symbolic links on the way to a file, as for the kernel (path_resolution(7)).
const LINKS_MAX: usize = 40;
/// How often the file beside may have been another writer's, who is done with it meanwhile.
const CLAIMS_MAX: usize = 1000;

/// The text of the file at `path`, if there is one.
///
/// # Errors
/// It is there and cannot be read, or is no UTF-8.
pub fn read(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes `bytes` beside the file at `path`, and puts that in its place once it is on the disk,
/// as [`Update::commit`] does.
///
/// # Errors
/// It cannot be written, or is something else than a file; what was there before is still
/// there then.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    Update::begin(path)?.commit(bytes, mode)
}

/// A change of a file, from before it is read to when it is written: another one of the same
/// file waits until this one is over. What is not committed leaves all as it was.
#[derive(Debug)]
pub struct Update {
    /// As the caller calls it.
    path: PathBuf,
    place: PathBuf,
    beside: PathBuf,
    /// The file beside, locked.
    file: File,
}

impl Update {
    /// Begins to change the file at `path`, or the one that a symbolic link there leads to,
    /// which need not exist. Waits for whoever changes it now.
    ///
    /// # Errors
    /// Nothing can be written beside it.
    pub fn begin(path: &Path) -> io::Result<Self> {
        let place = place_of(path)?;
        let mut beside = place.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        let file = claim(&beside).map_err(|error| at_place(error, path, &place))?;
        Ok(Self { path: path.to_owned(), place, beside, file })
    }

    /// Gives the file this content. One that is there keeps its permission bits, its owner and,
    /// as far as this process may give them away, its group. `mode` holds the permission bits
    /// of a new one; where it has none for others, a file that is there loses those that it has.
    ///
    /// # Errors
    /// It cannot be written, or is something else than a file; what was there before is still
    /// there then.
    pub fn commit(self, bytes: &[u8], mode: u32) -> io::Result<()> {
        self.fill(mode, |mut file| file.write_all(bytes))
            .map_err(|error| at_place(error, &self.path, &self.place))
    }

    fn fill(&self, mode: u32, fill: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
        let former = former(&self.place)?;
        fill(&self.file)?;
        match former {
            Some(former) => take_over(&self.file, &former, mode)?,
            None => self.file.set_permissions(Permissions::from_mode(mode))?,
        }
        self.file.sync_all()?;
        fs::rename(&self.beside, &self.place)?;
        match self.place.parent() {
            Some(directory) if directory.as_os_str().is_empty() => File::open(".")?.sync_all(),
            Some(directory) => File::open(directory)?.sync_all(),
            None => Ok(()),
        }
    }
}

impl Drop for Update {
    fn drop(&mut self) {
        // After a commit the name is the next writer's.
        if is_at(&self.file, &self.beside) {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// The error with the place where `path` leads, if it is a link.
fn at_place(error: io::Error, path: &Path, place: &Path) -> io::Error {
    match place == path {
        true => error,
        false => io::Error::new(
            error.kind(),
            format!("`{}`, where it leads to: {error}", place.display()),
        ),
    }
}

/// An empty file at `beside` that nobody else writes to or may open. One that is left by a loss
/// of power is used again, so that none stays.
fn claim(beside: &Path) -> io::Result<File> {
    for _ in 0..CLAIMS_MAX {
        let mut options = File::options();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
        let file = match options.open(beside) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(error),
            // A link, or another user's: it goes, if it may.
            Err(error) => {
                fs::remove_file(beside).map_err(|_| error)?;
                continue;
            }
        };
        flock(&file, FlockOperation::LockExclusive)?;
        if !is_at(&file, beside) {
            continue;
        }
        let found = file.metadata()?;
        if !found.is_file() || found.mode() & 0o077 != 0 || found.nlink() != 1 {
            fs::remove_file(beside)?;
            continue;
        }
        file.set_len(0)?;
        return Ok(file);
    }
    Err(rustix::io::Errno::BUSY.into())
}

/// Whether the open file is the one that `path` names now.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |found: Metadata| (found.dev(), found.ino());
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(own), Ok(there)) => identity(own) == identity(there),
        _ => false,
    }
}

/// Where the file is that `path` stands for: the end of its links, whether there is one or not.
fn place_of(path: &Path) -> io::Result<PathBuf> {
    let mut place = path.to_owned();
    for _ in 0..LINKS_MAX {
        match fs::read_link(&place) {
            Ok(target) => place = place.parent().unwrap_or(Path::new("")).join(target),
            // The kernel's word for what is no link.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(place),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(place),
            Err(error) => return Err(error),
        }
    }
    Err(rustix::io::Errno::LOOP.into())
}

/// What is at `place` now, which must be a file: a device would not be one any more.
fn former(place: &Path) -> io::Result<Option<Metadata>> {
    match fs::symlink_metadata(place) {
        Ok(found) if found.is_file() => Ok(Some(found)),
        Ok(_) => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Gives `file` the owner, the group and the permission bits of `former`, none for others if
/// `new_mode` has none. Who may not give files away keeps it; then its group, which is another,
/// has no more rights to it than all others.
fn take_over(file: &File, former: &Metadata, new_mode: u32) -> io::Result<()> {
    let mut mode = former.mode() & if new_mode & 0o007 == 0 { 0o770 } else { 0o777 };
    let may_not = |error: &io::Error| error.kind() == io::ErrorKind::PermissionDenied;
    match fchown(file, Some(former.uid()), Some(former.gid())) {
        Err(error) if may_not(&error) => match fchown(file, None, Some(former.gid())) {
            Err(error) if may_not(&error) => mode &= 0o707 | (mode & 0o007) << 3,
            other => other?,
        },
        other => other?,
    }
    file.set_permissions(Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn a_file_takes_anothers_place_and_leaves_nothing_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.toml");
        fs::write(directory.path().join("a.toml.new"), "cut o").unwrap();
        for text in ["first", "second"] {
            write(&path, text.as_bytes(), 0o600).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(mode(&path), 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(write(&directory.path().join("no/a"), b"", 0o600).is_err());
    }

    #[test]
    fn links_are_followed_and_stay() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("data")).unwrap();
        symlink("other", at("one")).unwrap();
        symlink(at("data/file"), at("other")).unwrap();
        // Without a file at its end at first.
        for text in ["first", "second"] {
            write(&at("one"), text.as_bytes(), 0o644).unwrap();
            assert_eq!(fs::read_to_string(at("data/file")).unwrap(), text);
            assert_eq!(fs::read_link(at("one")).unwrap(), Path::new("other"));
            assert_eq!(fs::read_link(at("other")).unwrap(), at("data/file"));
        }
        assert_eq!(fs::read_dir(at("data")).unwrap().count(), 1);
        symlink("../missing/file", at("data/nowhere")).unwrap();
        let error = write(&at("data/nowhere"), b"", 0o644).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().contains("data/../missing/file`, where it leads"), "{error}");
        symlink("round", at("round")).unwrap();
        let error = write(&at("round"), b"", 0o644).unwrap_err();
        assert_eq!(rustix::io::Errno::from_io_error(&error), Some(rustix::io::Errno::LOOP));
    }

    #[test]
    fn a_file_that_is_there_keeps_its_mode_and_its_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret.toml");
        let is_root = rustix::process::geteuid().is_root();
        for mode_before in [0o600, 0o640, 0o444] {
            fs::write(&path, "before").unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode_before)).unwrap();
            // Nobody else can make a file of somebody else's.
            if is_root {
                std::os::unix::fs::chown(&path, Some(1), Some(2)).unwrap();
            }
            let before = fs::metadata(&path).unwrap();
            write(&path, b"after", 0o644).unwrap();
            let after = fs::metadata(&path).unwrap();
            assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
            assert_eq!(mode(&path), mode_before);
            assert_ne!(after.ino(), before.ino());
            fs::remove_file(&path).unwrap();
        }
        // What is for nobody else is not left open by whoever did that.
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        write(&path, b"after", 0o600).unwrap();
        assert_eq!(mode(&path), 0o640);
    }

    #[test]
    fn one_writer_after_the_other_changes_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sum");
        fs::write(&path, "0").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let add_one = || {
            for _ in 0..25 {
                let update = Update::begin(&path).unwrap();
                let sum: u32 = fs::read_to_string(&path).unwrap().parse().unwrap();
                update.commit((sum + 1).to_string().as_bytes(), 0o644).unwrap();
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(add_one))));
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("100", 0o640));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_lies_beside_is_used_again_or_goes() {
        let directory = tempfile::tempdir().unwrap();
        let (path, beside) = (directory.path().join("a"), directory.path().join("a.new"));
        let victim = directory.path().join("victim");
        fs::write(&victim, "whole").unwrap();
        for make in [
            &|| fs::write(&beside, "open to all").unwrap(),
            &|| symlink(&victim, &beside).unwrap(),
            &|| fs::hard_link(&victim, &beside).unwrap(),
            &|| rustix::fs::mkfifoat(rustix::fs::CWD, &beside, 0o600.into()).unwrap(),
        ] as [&dyn Fn(); 4]
        {
            make();
            write(&path, b"new", 0o600).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "new");
            assert_eq!(fs::read_to_string(&victim).unwrap(), "whole");
            assert!(!beside.exists());
        }
    }

    #[test]
    fn what_fails_leaves_nothing_beside_and_all_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        for place in ["directory", "pipe"] {
            let path = directory.path().join(place);
            match place {
                "pipe" => rustix::fs::mkfifoat(rustix::fs::CWD, &path, 0o600.into()).unwrap(),
                _ => fs::create_dir(&path).unwrap(),
            }
            let error = write(&path, b"", 0o644).unwrap_err();
            assert_eq!(error.to_string(), "it is no regular file");
        }
        let path = directory.path().join("file");
        fs::write(&path, "before").unwrap();
        let full = |mut file: &File| {
            file.write_all(b"aft")?;
            Err(io::ErrorKind::StorageFull.into())
        };
        let update = Update::begin(&path).unwrap();
        assert_eq!(update.fill(0o644, full).unwrap_err().kind(), io::ErrorKind::StorageFull);
        drop(update);
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
    }
}
