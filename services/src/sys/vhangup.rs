//! vhangup(2), for which neither rustix nor nix has a name.

use std::io;

/// Hangs up the terminal of the calling process's session: every descriptor of it that is
/// open anywhere reads nothing and writes nothing from then on, but for those of
/// `/dev/console`. The session has no terminal then, and its leader gets `SIGHUP`.
///
/// # Errors
/// `EPERM` without `CAP_SYS_TTY_CONFIG`.
pub fn hang_up_terminal() -> io::Result<()> {
    // SAFETY: it takes nothing and touches no memory of this process. Descriptors of the
    // terminal stay open and stay whose they are; only what calls on them answer changes.
    match unsafe { libc::vhangup() } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
