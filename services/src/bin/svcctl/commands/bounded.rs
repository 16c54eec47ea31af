//! Reading a file that claims to be a description and may be anything: no device is opened,
//! no pipe waited for, and no more read than a description may have.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

use init_core::parse::DESCRIPTION_BYTES_MAX;
use rustix::fs::{CWD, Mode, OFlags, openat};

/// The content of the file at `path`; of one that is too large for a description so much that
/// the parser sees that.
///
/// # Errors
/// It cannot be opened or read, or is no regular file.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    // What has taken the file's place meanwhile holds nothing up either.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::from(openat(CWD, path, flags, Mode::empty())?);
    let mut bytes = Vec::new();
    file.take(DESCRIPTION_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What helps where [`read`] has failed with `error` at `path`.
pub(crate) fn remedy(path: &Path, error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::PermissionDenied => Some("root can read it"),
        ErrorKind::InvalidInput => Some("a description is a regular file or a link to one"),
        ErrorKind::NotFound if path.is_symlink() => Some("the symbolic link leads nowhere"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_are_read_and_not_more_of_them_than_a_description_has() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("large.toml");
        File::create(&file).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&file).unwrap().len(), DESCRIPTION_BYTES_MAX + 1);
        let pipe = directory.path().join("pipe.toml");
        rustix::fs::mkfifoat(CWD, &pipe, Mode::RUSR).unwrap();
        for path in [&pipe, Path::new("/dev/zero"), directory.path()] {
            let error = read(path).unwrap_err();
            assert_eq!(error.to_string(), "it is no regular file", "{}", path.display());
            assert!(remedy(path, &error).is_some());
        }
    }
}
