//! Errors of system calls, in words.

use init_core::errno::OsError;
use rustix::io::Errno;

/// `No such file or directory (os error 2)`, for messages: what [`Errno`] says
/// of itself depends on the standard library being there.
pub(crate) fn explain(errno: Errno) -> OsError {
    OsError(errno.raw_os_error())
}
