//! Small files and directories, read with as few system calls as that takes:
//! every path through the kernel that boot does not take shortens it.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
use rustix::io::Errno;

/// How much is read at a time; the files PID 1 reads fit into one or two.
const CHUNK_BYTES: usize = 2048;

/// The content of a file, but at most `limit_bytes` of it.
pub(crate) fn read(path: &str, limit_bytes: usize) -> Result<Vec<u8>, Errno> {
    // Not waited for where it is a pipe, and no terminal of PID 1's: one reads as empty or is an
    // error, and boot goes on.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::empty())?;
    let mut content = Vec::new();
    let mut chunk = [0; CHUNK_BYTES];
    while content.len() < limit_bytes {
        let length = rustix::io::read(&file, &mut chunk)?;
        let part = chunk.get(..length.min(limit_bytes - content.len())).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        content.extend_from_slice(part);
    }
    Ok(content)
}

/// The text of a file that the kernel or the image's author wrote: at most
/// 1 MiB of it, and what is no UTF-8 replaced.
pub(crate) fn read_text(path: &str) -> Result<String, Errno> {
    let bytes = read(path, 1024 * 1024)?;
    Ok(match String::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}

/// Makes `text` the content of the file.
pub(crate) fn write(path: &str, text: &str) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::from_raw_mode(0o666))?;
    let mut left = text.as_bytes();
    while !left.is_empty() {
        let length = rustix::io::write(&file, left)?;
        left = left.get(length..).unwrap_or_default();
    }
    Ok(())
}

/// The names in a directory, in the kernel's order, without `.` and `..`.
pub(crate) fn list(path: &str) -> Result<Vec<String>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, path, flags, Mode::empty())?;
    let mut space = [MaybeUninit::uninit(); CHUNK_BYTES];
    let mut entries = RawDir::new(directory, &mut space);
    let mut names = Vec::new();
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if name != "." && name != ".." {
            names.push(name.into_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_directories_are_read_whole_and_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().to_str().unwrap();
        let file = format!("{base}/f");
        std::fs::write(&file, "x".repeat(5000)).unwrap();
        assert_eq!(read(&file, usize::MAX).unwrap().len(), 5000);
        assert_eq!(read(&file, 3000).unwrap().len(), 3000);
        std::fs::write(&file, b"a\xff").unwrap();
        assert_eq!(read_text(&file).unwrap(), "a\u{fffd}");
        for number in 0..200 {
            std::fs::write(format!("{base}/name-{number}"), "").unwrap();
        }
        assert_eq!(list(base).unwrap().len(), 201);
        assert_eq!(read(&format!("{base}/absent"), 1), Err(Errno::NOENT));
        assert_eq!(list(&file), Err(Errno::NOTDIR));
        let pipe = format!("{base}/pipe");
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(read(&pipe, 100).unwrap(), b"");
    }
}
