//! Device nodes and links in `/dev` that programs cannot do without.
//!
//! On a devtmpfs the nodes are there and only the links are missing. Otherwise
//! the customary few are made, so that shells, pipes and random numbers work.

use rustix::fs::{CWD, FileType, Mode, chmod, makedev, mknodat, symlink};
use rustix::io::Errno;

use crate::errno::explain;
use crate::log;

/// Name, mode, major and minor number (Documentation/admin-guide/devices.txt).
const NODES: [(&str, u32, u32, u32); 9] = [
    ("/dev/null", 0o666, 1, 3),
    ("/dev/zero", 0o666, 1, 5),
    ("/dev/full", 0o666, 1, 7),
    ("/dev/random", 0o666, 1, 8),
    ("/dev/urandom", 0o666, 1, 9),
    ("/dev/kmsg", 0o644, 1, 11),
    ("/dev/tty", 0o666, 5, 0),
    ("/dev/console", 0o600, 5, 1),
    ("/dev/ptmx", 0o666, 5, 2),
];

/// Name and target.
const LINKS: [(&str, &str); 4] = [
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

/// Makes what is missing; what exists is left alone.
pub(crate) fn complete() {
    for (path, mode, major, minor) in NODES {
        let mode = Mode::from_raw_mode(mode);
        let made = mknodat(CWD, path, FileType::CharacterDevice, mode, makedev(major, minor));
        match made {
            // The umask has been at the mode.
            Ok(()) => report(path, chmod(path, mode)),
            Err(Errno::EXIST) => {}
            Err(errno) => report(path, Err(errno)),
        }
    }
    for (path, target) in LINKS {
        match symlink(target, path) {
            Err(Errno::EXIST) => {}
            other => report(path, other),
        }
    }
}

fn report(path: &str, result: Result<(), Errno>) {
    if let Err(errno) = result {
        log::warning(format_args!("cannot make {path}: {}", explain(errno)));
    }
}
