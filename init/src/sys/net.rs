//! The loopback interface (netdevice(7)).

use rustix::fd::AsRawFd as _;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::signal::last_error;

/// linux/sockios.h; its type differs between C libraries.
const SIOCSIFFLAGS: u32 = 0x8914;

/// Brings `lo` up; the kernel then gives it 127.0.0.1/8 and ::1/128 itself.
pub(crate) fn loopback_up() -> Result<(), Errno> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: all-zero bytes are a valid `ifreq`: integers and arrays of them.
    let mut request: libc::ifreq = unsafe { core::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed() as libc::c_char;
    }
    #[expect(clippy::cast_possible_truncation, reason = "IFF_UP and IFF_RUNNING are 0x1 and 0x40")]
    let flags = (libc::IFF_UP | libc::IFF_RUNNING) as libc::c_short;
    request.ifr_ifru.ifru_flags = flags;
    // SAFETY: SIOCSIFFLAGS reads the `ifreq` it is given, which outlives the call.
    let result =
        unsafe { libc::ioctl(socket.as_raw_fd(), SIOCSIFFLAGS as libc::Ioctl, &raw mut request) };
    if result < 0 { Err(last_error()) } else { Ok(()) }
}
