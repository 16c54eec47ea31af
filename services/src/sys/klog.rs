//! The kernel's log, for what `/dev/kmsg` has no call for.

use std::io;
use std::ptr;

/// `SYSLOG_ACTION_CLEAR` of syslog(2).
const CLEAR: libc::c_int = 5;

/// Marks the kernel's messages so far as seen: readers of `/dev/kmsg` who begin with
/// `SEEK_DATA` begin behind them. Nothing is lost (syslog(2)).
///
/// # Errors
/// `EPERM` without `CAP_SYSLOG`.
pub fn clear_kernel_log() -> io::Result<()> {
    // SAFETY: this action reads and writes no memory of ours; the pointer is not used.
    match unsafe { libc::klogctl(CLEAR, ptr::null_mut(), 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
