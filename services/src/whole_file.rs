//! Files that appear whole or not at all, also after a loss of power.
//!
//! Not for directories that others may write to: a link of theirs would be followed. Absent:
//! access control lists and other extended attributes, which a file loses.

use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// Most symbolic links on the way to a file, as for the kernel (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Writes `bytes` beside the file at `path`, and puts that in its place once it is on the disk.
/// A symbolic link stays: the file that it leads to is the one that changes, or is made. A file
/// that is there keeps its permission bits, its owner and, as far as this process may give
/// them away, its group. `mode` holds the permission bits of a new one; where it has none for
/// others, a file that is there loses those that it has.
///
/// # Errors
/// It cannot be written, or is something else than a file; what was there before is still
/// there then.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let place = place_of(path)?;
    replace(&place, mode, |file| file.write_all(bytes)).map_err(|error| match place == path {
        true => error,
        false => io::Error::new(
            error.kind(),
            format!("`{}`, where it leads to: {error}", place.display()),
        ),
    })
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

fn replace(
    place: &Path,
    mode: u32,
    fill: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let former = former(place)?;
    let mut beside = place.as_os_str().to_owned();
    beside.push(".new");
    // Left by a loss of power, or somebody else's with another mode.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Nobody else reads it before it belongs to whom it is for.
    let first_mode = if former.is_some() { 0o600 } else { mode };
    let mut file = File::options().write(true).create_new(true).mode(first_mode).open(&beside)?;
    let written = fill(&mut file)
        .and_then(|()| former.map_or(Ok(()), |former| take_over(&file, &former, mode)))
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&beside, place));
    if written.is_err() {
        // The reason why not is what matters.
        let _ = fs::remove_file(&beside);
    }
    written?;
    match place.parent() {
        Some(directory) if directory.as_os_str().is_empty() => File::open(".")?.sync_all(),
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
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
        let full = |file: &mut File| {
            file.write_all(b"aft")?;
            Err(io::ErrorKind::StorageFull.into())
        };
        assert_eq!(replace(&path, 0o644, full).unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3);
    }
}
