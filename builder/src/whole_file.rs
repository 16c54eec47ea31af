//! Files that are read as a whole, and those that have their name once they are whole, outside
//! of the cache and of output directories, which have ways of their own.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::NamedTempFile;

use crate::error::{Error, IoContext, Result};
use crate::sparse_file;

/// The content of the file at `path`, or of the one that a link there leads to.
///
/// # Errors
/// As [`open`].
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?.read_to_end(&mut content).at("read", path)?;
    Ok(content)
}

/// The file at `path`, or the one that a link there leads to, for reading.
///
/// # Errors
/// If it cannot be read, or is no regular file: somebody's pipe or socket among sources would
/// be waited for, and not for its content.
pub fn open(path: &Path) -> Result<File> {
    if !fs::metadata(path).at("read", path)?.is_file() {
        return Err(Error::failure(format!("{} is no regular file", path.display()))
            .hint("move it away: nothing else can be a source"));
    }
    File::open(path).at("read", path)
}

/// Puts a file with this content in the place of what is at `path`, which stays as it is if
/// the disk is full.
///
/// # Errors
/// If it cannot be written.
pub fn replace(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let file = made_beside(path, |mut beside| beside.write_all(content.as_ref()))?;
    file.persist(path).map(|_file| ()).map_err(|failed| Error::io("create", path, &failed.error))
}

/// Copies the file `from` with its mode to `to`, where nothing is. What is a hole in the one is
/// a hole in the other.
///
/// # Errors
/// If it cannot be written, or something is there by then.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let source = File::open(from).at("read", from)?;
    let permissions = source.metadata().at("read", from)?.permissions();
    let file = made_beside(to, |beside| {
        sparse_file::copy(&source, beside)?;
        beside.set_permissions(permissions)
    })?;
    file.persist_noclobber(to).map(|_file| ()).map_err(|failed| match failed.error.kind() {
        io::ErrorKind::AlreadyExists => {
            Error::failure(format!("somebody else has made {} meanwhile", to.display()))
                .hint("run it again to go on with that, or name another file")
        }
        _ => Error::io("create", to, &failed.error),
    })
}

/// A new file in the directory of `path`, filled by `fill` and on the disk. Its name is one
/// that nobody takes for a finished file's, and it is gone if it gets no other.
fn made_beside(path: &Path, fill: impl FnOnce(&File) -> io::Result<()>) -> Result<NamedTempFile> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let file = tempfile::Builder::new()
        .prefix(&format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy()))
        .suffix(".partial")
        // As for any other file that is made, the umask decides.
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory.unwrap_or(Path::new(".")))
        .at("create", path)?;
    // A full disk may show only when it is synced.
    fill(file.as_file()).and_then(|()| file.as_file().sync_all()).at("write", path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let (file, pipe) = (directory.path().join("file"), directory.path().join("pipe"));
        fs::write(&file, "x").unwrap();
        assert_eq!(read(&file).unwrap(), b"x");
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        for path in [&*pipe, directory.path()] {
            let error = read(path).unwrap_err().to_string();
            assert!(error.contains("is no regular file\nhint: move it away"), "{error}");
        }
        assert!(read(&directory.path().join("none")).unwrap_err().to_string().contains("read"));
    }

    #[test]
    fn a_copy_is_there_whole_or_not_at_all() {
        let directory = tempfile::tempdir().unwrap();
        let names = || fs::read_dir(directory.path()).unwrap().count();
        let kept = directory.path().join("kept.img");
        // A file that can be opened and whose beginning cannot be read (proc_pid_mem(5)).
        let error = copy(Path::new("/proc/self/mem"), &kept).unwrap_err().to_string();
        assert!(error.contains("cannot write ") && error.contains("kept.img"), "{error}");
        assert_eq!(names(), 0);

        let disk = directory.path().join("disk.img");
        fs::write(&disk, "disk").unwrap();
        fs::set_permissions(&disk, fs::Permissions::from_mode(0o640)).unwrap();
        copy(&disk, &kept).unwrap();
        assert_eq!(fs::read(&kept).unwrap(), b"disk");
        assert_eq!(fs::metadata(&kept).unwrap().permissions().mode() & 0o777, 0o640);

        fs::write(&disk, "other").unwrap();
        let error = copy(&disk, &kept).unwrap_err().to_string();
        assert!(error.contains("meanwhile") && error.contains("hint: "), "{error}");
        assert_eq!(fs::read(&kept).unwrap(), b"disk");
        assert_eq!(names(), 2);
    }

    #[test]
    fn a_large_disk_is_copied_as_small_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let (disk, kept) = (directory.path().join("disk.img"), directory.path().join("kept.img"));
        fs::write(&disk, "disk").unwrap();
        File::options().write(true).open(&disk).unwrap().set_len(1 << 30).unwrap();
        copy(&disk, &kept).unwrap();
        let (old, new) = (fs::metadata(&disk).unwrap(), fs::metadata(&kept).unwrap());
        assert_eq!(new.len(), old.len());
        assert!(new.blocks() <= old.blocks() + 64, "{} of {}", new.blocks(), old.blocks());
    }

    #[test]
    fn a_file_is_replaced_whole_or_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.lock");
        let names = || fs::read_dir(&directory).unwrap().count();
        fs::write(&path, "old").unwrap();
        let (mode, reader) = (fs::metadata(&path).unwrap().permissions(), fs::File::open(&path));
        replace(&path, "new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions(), mode);
        let kept = io::read_to_string(reader.unwrap()).unwrap();
        assert_eq!((kept.as_str(), names()), ("old", 1), "not written in place");

        let taken = directory.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(replace(&taken, "new").is_err());
        assert_eq!(names(), 2);
        assert!(replace(&directory.path().join("none/x.lock"), "new").is_err());
    }
}
