//! Who is at the other end of a UNIX socket.

use std::os::fd::{AsRawFd as _, BorrowedFd};

use rustix::io::Errno;

use super::signal::last_error;

/// Most groups that are looked at; the kernel answers ERANGE beyond it.
const GROUPS_MAX: usize = 64;

/// The supplementary groups the peer had when it connected (`SO_PEERGROUPS`, unix(7)).
pub(crate) fn peer_groups(socket: BorrowedFd<'_>) -> Result<Vec<u32>, Errno> {
    let mut groups = [0_u32; GROUPS_MAX];
    let mut length = libc::socklen_t::try_from(size_of_val(&groups)).unwrap_or_default();
    // SAFETY: the kernel writes at most `length` bytes into the array, whose
    // size that is, and stores how many it wrote.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERGROUPS,
            groups.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result < 0 {
        return Err(last_error());
    }
    let count = usize::try_from(length).unwrap_or_default() / size_of::<u32>();
    Ok(groups.iter().take(count).copied().collect())
}
