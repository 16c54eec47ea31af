//! What a file has besides its content: mode, owner and time.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Gid, Mode as FileMode, Timespec, Timestamps, Uid, chownat, fchmod, fchown, fstat,
    futimens,
};

/// Every bit of a mode.
const ALL_BITS: u32 = 0o7777;

/// The bits beyond reading, writing and executing: set-user-ID, set-group-ID, sticky.
const SPECIAL_BITS: u32 = 0o7000;

/// The umask that leaves a file to its owner alone.
const PRIVATE: FileMode = FileMode::from_raw_mode(0o077);

/// What an entry says of its file, as far as it is taken over.
#[derive(Clone, Copy)]
pub(super) struct Attributes {
    pub(super) mode: u32,
    /// Seconds since 1970; `None` leaves the time of now.
    pub(super) mtime: Option<u64>,
    pub(super) owner: Option<(u32, u32)>,
}

/// The bits of modes that are taken over: all, or those that the umask lets through.
pub(super) fn kept_bits(same_modes: bool) -> u32 {
    if same_modes { ALL_BITS } else { 0o777 & !umask() }
}

/// The umask, which is only to be had by setting another. No other thread makes files
/// meanwhile, and if one did, they would be private.
fn umask() -> u32 {
    let mask = rustix::process::umask(PRIVATE);
    rustix::process::umask(mask);
    mask.as_raw_mode()
}

/// Makes files that nobody but their owner may open until they are given their modes.
pub(super) fn in_private<T>(make: impl FnOnce() -> T) -> T {
    let mask = rustix::process::umask(PRIVATE);
    let made = make();
    rustix::process::umask(mask);
    made
}

/// Gives the owner to what a path names; a symbolic link gets it itself.
pub(super) fn give(path: &Path, owner: Option<(u32, u32)>) -> io::Result<()> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    Ok(chownat(CWD, path, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Gives the owner to an open file.
pub(super) fn give_open(file: impl AsFd, owner: Option<(u32, u32)>) -> io::Result<()> {
    let Some((uid, gid)) = owner else { return Ok(()) };
    Ok(fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?)
}

pub(super) fn set_mode(file: impl AsFd, mode: u32) -> io::Result<()> {
    Ok(fchmod(file, FileMode::from_raw_mode(mode & ALL_BITS))?)
}

/// Sets the mode but for set-user-ID and the like, which stay: a directory has its
/// set-group-ID from the one above (mkdir(2)).
pub(super) fn set_permissions(file: impl AsFd, mode: u32) -> io::Result<()> {
    let special = fstat(&file)?.st_mode & SPECIAL_BITS;
    set_mode(file, special | (mode & !SPECIAL_BITS))
}

pub(super) fn set_time(file: impl AsFd, mtime: Option<u64>) -> io::Result<()> {
    let Some(mtime) = mtime else { return Ok(()) };
    let time = Timespec { tv_sec: i64::try_from(mtime).unwrap_or(i64::MAX), tv_nsec: 0 };
    Ok(futimens(file, &Timestamps { last_access: time, last_modification: time })?)
}
