//! The switch itself: leave the initramfs behind and become the new root's init.

use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use core::ffi::CStr;

use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, fstatfs, openat, openat2, stat,
    statat, unlinkat,
};
use rustix::io::Errno;
use rustix::mount::{UnmountFlags, mount_move, unmount};

use super::is_in_memory;
use crate::errno::explain;
use crate::sys::process::{self, CStrings};
use crate::sys::signal;
use crate::{environment, log, mounts};

/// Makes what is mounted at `new_root` the root, with `program` in it, and frees
/// the initramfs.
///
/// # Errors
/// What prevents it. Nothing is touched before the program has been seen.
pub(super) fn switch(new_root: &str, program: &str) -> Result<(), String> {
    see(new_root, program)?;
    let old_root =
        open_directory(CWD, c"/").map_err(|errno| format!("cannot open /: {}", explain(errno)))?;
    for mount in mounts::MOVED {
        let target = format!("{new_root}{mount}");
        if let Err(errno) = move_mount(mount, &target) {
            log::warning(format_args!("cannot move {mount} to the new root: {}", explain(errno)));
        }
    }
    become_root(new_root)
        .map_err(|errno| format!("cannot make {new_root} the root: {}", explain(errno)))?;
    if let Err(errno) = empty(&old_root) {
        log::warning(format_args!("the initramfs keeps its memory: {}", explain(errno)));
    }
    Ok(())
}

/// Becomes `program` of the root. Returns only on failure, with the cause. One that
/// `is_foreign` gets no blocked signal, as it would from the kernel.
pub(super) fn execute(program: &str, is_foreign: bool) -> String {
    let path = CString::new(program).unwrap_or_default();
    let argv = CStrings::new([program]);
    if is_foreign {
        signal::unblock_all();
    }
    let errno = process::exec(&path, &argv, &CStrings::new(environment::BASE));
    // PID 1 goes on, and hears of nothing but by its signalfd.
    signal::block_all();
    format!("cannot execute {program} in the new root: {}", explain(errno))
}

/// Whether `program` is there and can be executed, its links resolved inside the new root.
fn see(new_root: &str, program: &str) -> Result<(), String> {
    let path_only = OFlags::PATH | OFlags::CLOEXEC;
    let seen = openat(CWD, new_root, path_only | OFlags::DIRECTORY, Mode::empty())
        .and_then(|root| openat2(root, program, path_only, Mode::empty(), ResolveFlags::IN_ROOT))
        .and_then(fstat);
    let cause = match seen {
        Ok(found) if is_executable(found.st_mode) => return Ok(()),
        Ok(_) => format!("{program} of the root is no file that can be executed"),
        Err(errno) => format!("the root has no {program}: {}", explain(errno)),
    };
    // The next try starts from the beginning.
    if let Err(errno) = unmount(new_root, UnmountFlags::empty()) {
        log::warning(format_args!("cannot unmount {new_root}: {}", explain(errno)));
    }
    Err(cause)
}

fn is_executable(raw_mode: u32) -> bool {
    FileType::from_raw_mode(raw_mode) == FileType::RegularFile && raw_mode & 0o111 != 0
}

fn move_mount(from: &str, to: &str) -> Result<(), Errno> {
    if !mounts::is_mount_point(from) {
        return Ok(());
    }
    match rustix::fs::mkdir(to, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST | Errno::ROFS) => {}
        Err(errno) => return Err(errno),
    }
    mount_move(from, to)
}

/// Frees the memory of the initramfs that was the root. What is no initramfs, or
/// is the root still, is somebody's data.
fn empty(old_root: &OwnedFd) -> Result<(), Errno> {
    let device = fstat(old_root)?.st_dev;
    if !is_in_memory(&fstatfs(old_root)?) || stat("/")?.st_dev == device {
        return Err(Errno::INVAL);
    }
    remove_contents(old_root.as_fd(), device);
    Ok(())
}

/// Removes what is in `directory`. Stays on the file system `device`, so the
/// new root and whatever could not be moved are safe.
fn remove_contents(directory: BorrowedFd<'_>, device: u64) {
    let Ok(entries) = Dir::read_from(directory) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
        let Some(found) = found.ok().filter(|found| found.st_dev == device) else { continue };
        let mut flags = AtFlags::empty();
        if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            if let Ok(child) = open_directory(directory, name) {
                remove_contents(child.as_fd(), device);
            }
            flags = AtFlags::REMOVEDIR;
        }
        // A directory that holds a mount stays, and that is right.
        let _ = unlinkat(directory, name, flags);
    }
}

fn open_directory(at: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(at, name, flags, Mode::empty())
}

fn become_root(new_root: &str) -> Result<(), Errno> {
    rustix::process::chdir(new_root)?;
    mount_move(".", "/")?;
    rustix::process::chroot(".")?;
    rustix::process::chdir("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_an_initramfs_that_was_left_is_emptied() {
        let root = open_directory(CWD, c"/").unwrap();
        assert_eq!(empty(&root), Err(Errno::INVAL));
        // In memory on no host, and another device than the root's.
        let other = open_directory(CWD, c"/sys").unwrap();
        assert_eq!(empty(&other), Err(Errno::INVAL));
    }

    #[test]
    fn only_files_with_an_execute_bit_are_programs() {
        for (mode, wanted) in
            [(0o100_755, true), (0o100_100, true), (0o100_644, false), (0o040_755, false)]
        {
            assert_eq!(is_executable(mode), wanted, "{mode:o}");
        }
    }
}
