//! The loopback interface (netdevice(7)), without netlink.

use std::io;
use std::mem;

use rustix::ioctl::{Opcode, Setter, ioctl};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// `include/uapi/linux/sockios.h`
const SIOCSIFFLAGS: Opcode = 0x8914;

/// Brings `lo` up; the kernel then gives it 127.0.0.1/8 and ::1/128 itself.
///
/// # Errors
/// What socket(2) and ioctl(2) say.
pub fn loopback_up() -> io::Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: all-zero bytes are a valid `ifreq`: integers and arrays of them.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed() as libc::c_char;
    }
    #[expect(clippy::cast_possible_truncation, reason = "IFF_UP is 1")]
    let flags = libc::IFF_UP as libc::c_short;
    request.ifr_ifru.ifru_flags = flags;
    // SAFETY: SIOCSIFFLAGS reads the `ifreq` it is given, which lives until the call returns.
    unsafe { ioctl(socket, Setter::<SIOCSIFFLAGS, libc::ifreq>::new(request))? };
    Ok(())
}
