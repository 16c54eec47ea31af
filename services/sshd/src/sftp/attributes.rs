//! Files' attributes as the protocol has them (section 5), and how a client sets them.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use russh_sftp::protocol::{File, FileAttributes};
use rustix::fs::{Mode, OFlags};

/// The attributes of a file. Times before 1970 are 1970, times after 2106 are the last second.
pub(super) fn attributes_of(metadata: &Metadata) -> FileAttributes {
    let time = |seconds: i64| u32::try_from(seconds.max(0)).unwrap_or(u32::MAX);
    FileAttributes {
        size: Some(metadata.len()),
        uid: Some(metadata.uid()),
        user: None,
        gid: Some(metadata.gid()),
        group: None,
        permissions: Some(metadata.mode()),
        atime: Some(time(metadata.atime())),
        mtime: Some(time(metadata.mtime())),
    }
}

/// An entry of a directory, with the line that `ls -l` shows for it.
pub(super) fn listed(name: &str, metadata: &Metadata) -> File {
    File::new(name, attributes_of(metadata))
}

/// Sets what `wanted` has, in the order in which that works: a new owner takes away the
/// set-user-ID bit, and a changed file changes its time.
///
/// # Errors
/// The first thing that cannot be set; those before it are.
pub(super) fn set(path: &Path, wanted: &FileAttributes) -> io::Result<()> {
    if let Some(size) = wanted.size {
        // A pipe that nobody reads does not keep the client waiting.
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        std::fs::File::from(rustix::fs::open(path, flags, Mode::empty())?).set_len(size)?;
    }
    if wanted.uid.is_some() || wanted.gid.is_some() {
        std::os::unix::fs::chown(path, wanted.uid, wanted.gid)?;
    }
    if let Some(mode) = wanted.permissions {
        fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))?;
    }
    if let (Some(accessed), Some(modified)) = (wanted.atime, wanted.mtime) {
        let time = |seconds: u32| {
            let past = Duration::from_secs(seconds.into());
            (UNIX_EPOCH + past).duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs())
        };
        let stamp = |seconds: u64| rustix::fs::Timespec {
            tv_sec: i64::try_from(seconds).unwrap_or(i64::MAX),
            tv_nsec: 0,
        };
        let times = rustix::fs::Timestamps {
            last_access: stamp(time(accessed)),
            last_modification: stamp(time(modified)),
        };
        rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::empty())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, FileType, mknodat};
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn a_file_gets_its_size_and_a_pipe_is_not_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let [file, pipe] = ["file", "pipe"].map(|name| directory.path().join(name));
        fs::write(&file, "four").unwrap();
        mknodat(CWD, &pipe, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let wanted = FileAttributes { size: Some(2), ..FileAttributes::empty() };
        set(&file, &wanted).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "fo");
        let error = set(&pipe, &wanted).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::NXIO.raw_os_error()));
    }
}
