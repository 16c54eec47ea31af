//! The switch itself: leave the initramfs behind and become the new root's init.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;
use rustix::mount::mount_move;

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
            log::warning(format_args!("cannot move {mount} to the new root: {errno}"));
        }
    }
    let old_device = fs::metadata("/").map_err(|error| format!("cannot stat /: {error}"))?.dev();
    remove_contents(Path::new("/"), old_device);
    become_root(new_root).map_err(|errno| format!("cannot make {new_root} the root: {errno}"))?;
    let path = CString::new(program).unwrap_or_default();
    let argv = CStrings::new([program]);
    let errno = process::exec(&path, &argv, &CStrings::new(environment::BASE));
    Err(format!("cannot execute {program} in the new root: {errno}"))
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
                log::warning(format_args!("cannot unmount {new_root}: {errno}"));
            }
            Err(format!("the root has no {program}: {errno}"))
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

/// Frees the initramfs' memory. Stays on the file system `device`, so the new
/// root and whatever could not be moved are safe.
fn remove_contents(directory: &Path, device: u64) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if found.dev() != device {
            continue;
        }
        // A directory that holds a mount stays, and that is right.
        let _ = if found.is_dir() {
            remove_contents(&path, device);
            fs::remove_dir(&path)
        } else {
            fs::remove_file(&path)
        };
    }
}

fn become_root(new_root: &str) -> Result<(), Errno> {
    rustix::process::chdir(new_root)?;
    mount_move(".", "/")?;
    rustix::process::chroot(".")?;
    rustix::process::chdir("/")
}
