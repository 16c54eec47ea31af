//! Who is at the other end of a UNIX socket (unix(7)).
//!
//! A peer in another process namespace has the process id 0 here, a value that
//! rustix' type for credentials cannot hold; hence these are our own.

use alloc::vec::Vec;
use core::mem::{self, MaybeUninit};
use core::ptr;

use rustix::fd::{AsRawFd as _, BorrowedFd};
use rustix::io::Errno;

use super::signal::last_error;

/// Most groups that are looked at; the kernel answers ERANGE beyond it.
const GROUPS_MAX: usize = 64;

/// User and group that the peer had when it connected (`SO_PEERCRED`).
pub(crate) fn peer_user_and_group(socket: BorrowedFd<'_>) -> Result<(u32, u32), Errno> {
    let mut peer = [0_u32; 3];
    match option(socket, libc::SO_PEERCRED, &mut peer)? {
        12 => Ok((peer[1], peer[2])),
        _ => Err(Errno::PROTO),
    }
}

/// The supplementary groups the peer had when it connected (`SO_PEERGROUPS`).
pub(crate) fn peer_groups(socket: BorrowedFd<'_>) -> Result<Vec<u32>, Errno> {
    let mut groups = [0_u32; GROUPS_MAX];
    let length = option(socket, libc::SO_PEERGROUPS, &mut groups)?;
    Ok(groups.iter().take(length / size_of::<u32>()).copied().collect())
}

/// Reads a socket option made of 32-bit numbers; returns its length in bytes.
fn option(socket: BorrowedFd<'_>, name: i32, value: &mut [u32]) -> Result<usize, Errno> {
    let mut length = libc::socklen_t::try_from(size_of_val(value)).unwrap_or_default();
    // SAFETY: the kernel writes at most `length` bytes into `value`, whose size
    // that is, and stores how many it wrote. Every bit pattern is a number.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            value.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result < 0 {
        return Err(last_error());
    }
    Ok(usize::try_from(length).unwrap_or_default())
}

/// A header of 16 bytes and the credentials, padded.
const CONTROL_LENGTH_BYTES: u32 = 32;

/// Room for one `SCM_CREDENTIALS`, aligned as a control message must be. There
/// is none for `SCM_RIGHTS`: descriptors that are sent along are closed by the kernel.
#[repr(align(8))]
struct ControlBuffer([u8; CONTROL_LENGTH_BYTES as usize]);

/// Receives a datagram without waiting: its length and, with `SO_PASSCRED`, its
/// sender's process id as the kernel knows it; 0 is a process out of our sight.
pub(crate) fn receive_from(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
) -> Result<(usize, u32), Errno> {
    let mut control = ControlBuffer([0; CONTROL_LENGTH_BYTES as usize]);
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: all-zero bytes are a valid `msghdr`: numbers and null pointers.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_LENGTH_BYTES as _;
    // SAFETY: every pointer in `header` is to a live value of the length stated.
    let length = unsafe {
        libc::recvmsg(
            socket.as_raw_fd(),
            &raw mut header,
            libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC,
        )
    };
    let length = usize::try_from(length).map_err(|_| last_error())?;
    // SAFETY: recvmsg has left `header` describing what it wrote to `control`;
    // CMSG_FIRSTHDR answers null if that is less than a header.
    let message = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    Ok((length, if message.is_null() { 0 } else { sender(message) }))
}

/// Length of `struct ucred`: three 32-bit numbers.
const UCRED_LENGTH_BYTES: u32 = 12;
const _: () = assert!(size_of::<libc::ucred>() == 12);

fn sender(message: *const libc::cmsghdr) -> u32 {
    let mut credentials = MaybeUninit::<libc::ucred>::zeroed();
    // SAFETY: `message` is a whole header inside the control buffer, and its
    // data, which `cmsg_len` counts, is copied only if there is enough of it.
    unsafe {
        let found = ptr::read_unaligned(message);
        let needed = libc::CMSG_LEN(UCRED_LENGTH_BYTES) as usize;
        if found.cmsg_level == libc::SOL_SOCKET
            && found.cmsg_type == libc::SCM_CREDENTIALS
            && found.cmsg_len as usize >= needed
        {
            let data = libc::CMSG_DATA(message);
            ptr::copy_nonoverlapping(
                data,
                credentials.as_mut_ptr().cast(),
                size_of::<libc::ucred>(),
            );
        }
        credentials.assume_init().pid.unsigned_abs()
    }
}
