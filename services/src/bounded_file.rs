//! Files that somebody wrote and that may be anything: no device is opened, no pipe waited for,
//! and no more read than the file may have.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// The content of the file at `path`; of one that is larger than `limit_bytes` one byte more than
/// that, so that whoever parses it sees it.
///
/// # Errors
/// It cannot be opened or read, or is no regular file.
pub fn read(path: &Path, limit_bytes: usize) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is no regular file"));
    }
    // What has taken the file's place meanwhile holds nothing up either.
    let flags = (OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path)?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(limit_bytes).unwrap_or(u64::MAX);
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What helps where [`read`] has failed with `error` at `path`.
#[must_use]
pub fn remedy(path: &Path, error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::PermissionDenied => Some("root can read it"),
        ErrorKind::InvalidInput => Some("it is to be a regular file or a link to one"),
        ErrorKind::NotFound if path.is_symlink() => Some("the symbolic link leads nowhere"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, Mode};

    use super::*;

    #[test]
    fn only_regular_files_are_read_and_not_more_of_them_than_they_may_have() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("large.toml");
        File::create(&file).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(read(&file, 1000).unwrap().len(), 1001);
        fs::write(&file, "x").unwrap();
        assert_eq!(read(&file, 1).unwrap(), b"x");
        let pipe = directory.path().join("pipe.toml");
        rustix::fs::mkfifoat(CWD, &pipe, Mode::RUSR).unwrap();
        for path in [&pipe, Path::new("/dev/zero"), directory.path()] {
            let error = read(path, 1000).unwrap_err();
            assert_eq!(error.to_string(), "it is no regular file", "{}", path.display());
            assert!(remedy(path, &error).is_some());
        }
    }
}
