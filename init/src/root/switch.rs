//! The switch itself: leave the initramfs behind and become the new root's init.

use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use core::convert::Infallible;
use core::ffi::CStr;

use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, statat,
    unlinkat,
};
use rustix::io::Errno;
use rustix::mount::mount_move;

use crate::errno::explain;
use crate::sys::process::{self, CStrings};
use crate::{environment, log, mounts};

/// Makes what is mounted at `new_root` the root and executes `program` in it.
///
/// # Errors
/// What prevents it. Before anything is touched the program must be seen, so
/// an error after that point means the new root changed under our hands.
pub(super) fn switch(new_root: &str, program: &str) -> Result<Infallible, String> {
    see(new_root, program)?;
    for mount in mounts::MOVED {
        let target = format!("{new_root}{mount}");
        if let Err(errno) = move_mount(mount, &target) {
            log::warning(format_args!("cannot move {mount} to the new root: {}", explain(errno)));
        }
    }
    empty_initramfs().map_err(|errno| format!("cannot open /: {}", explain(errno)))?;
    become_root(new_root)
        .map_err(|errno| format!("cannot make {new_root} the root: {}", explain(errno)))?;
    let path = CString::new(program).unwrap_or_default();
    let argv = CStrings::new([program]);
    let errno = process::exec(&path, &argv, &CStrings::new(environment::BASE));
    Err(format!("cannot execute {program} in the new root: {}", explain(errno)))
}

/// Whether `program` is there, its links resolved inside the new root.
fn see(new_root: &str, program: &str) -> Result<(), String> {
    let path_only = OFlags::PATH | OFlags::CLOEXEC;
    let seen = openat(CWD, new_root, path_only | OFlags::DIRECTORY, Mode::empty())
        .and_then(|root| openat2(root, program, path_only, Mode::empty(), ResolveFlags::IN_ROOT));
    match seen {
        Ok(_) => Ok(()),
        Err(errno) => {
            // The next try starts from the beginning.
            if let Err(errno) =
                rustix::mount::unmount(new_root, rustix::mount::UnmountFlags::empty())
            {
                log::warning(format_args!("cannot unmount {new_root}: {}", explain(errno)));
            }
            Err(format!("the root has no {program}: {}", explain(errno)))
        }
    }
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

/// Frees the initramfs' memory.
fn empty_initramfs() -> Result<(), Errno> {
    let root = open_directory(CWD, c"/")?;
    let device = fstat(&root)?.st_dev;
    remove_contents(root.as_fd(), device);
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
