//! The end of the system: reboot(2), and freezing what cannot be unmounted.

use init_core::event::ShutdownKind;
use rustix::fd::{AsRawFd as _, BorrowedFd};
use rustix::io::Errno;
use rustix::system::{RebootCommand, reboot};

use super::signal::last_error;

/// `FIFREEZE` of linux/fs.h: `_IOWR('X', 119, int)`, the same on x86_64 and aarch64.
const FIFREEZE: u32 = 0xc004_5877;

/// Turns Ctrl-Alt-Del from an immediate restart into a `SIGINT` for PID 1.
pub(crate) fn take_ctrl_alt_del() -> Result<(), Errno> {
    reboot(RebootCommand::CadOff)
}

/// Ends the system. Returns only if the kernel refuses.
pub(crate) fn end(kind: ShutdownKind) -> Errno {
    let command = match kind {
        ShutdownKind::PowerOff => RebootCommand::PowerOff,
        ShutdownKind::Reboot => RebootCommand::Restart,
        ShutdownKind::Halt => RebootCommand::Halt,
    };
    match reboot(command) {
        Ok(()) => Errno::CANCELED,
        Err(errno) => errno,
    }
}

/// Freezes the file system that `directory` is on: everything is written, the
/// journal is emptied, and no write follows. The last resort for a root that
/// cannot be made read-only: it is clean on disk afterwards.
pub(crate) fn freeze(directory: BorrowedFd<'_>) -> Result<(), Errno> {
    // SAFETY: FIFREEZE ignores its argument, and the descriptor is borrowed for the call.
    let result = unsafe { libc::ioctl(directory.as_raw_fd(), FIFREEZE as libc::Ioctl, 0) };
    if result < 0 { Err(last_error()) } else { Ok(()) }
}
