//! Bytes that nobody can guess, from the kernel (getrandom(2)).

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// Waits, early after boot, until the kernel has collected enough chance. `N` is at most 256.
///
/// # Errors
/// What getrandom(2) says.
pub fn bytes<const N: usize>() -> io::Result<[u8; N]> {
    ask(GetRandomFlags::empty())
}

/// The same for who cannot wait.
///
/// # Errors
/// What getrandom(2) says: `EAGAIN` before the kernel has collected enough chance.
pub fn bytes_now<const N: usize>() -> io::Result<[u8; N]> {
    ask(GetRandomFlags::NONBLOCK)
}

/// A random identifier (RFC 9562, version 4).
///
/// # Errors
/// What getrandom(2) says.
pub fn uuid() -> io::Result<[u8; 16]> {
    let mut uuid: [u8; 16] = bytes()?;
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    Ok(uuid)
}

fn ask<const N: usize>(flags: GetRandomFlags) -> io::Result<[u8; N]> {
    // What is longer may come cut short (getrandom(2)).
    const { assert!(N <= 256) };
    let mut bytes = [0; N];
    let length = getrandom(&mut bytes, flags)?;
    if length == N { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        assert_ne!(bytes::<16>().unwrap(), bytes().unwrap());
        assert_ne!(bytes_now::<16>().unwrap(), bytes().unwrap());
    }

    #[test]
    fn identifiers_are_random_and_of_version_4() {
        let (one, other) = (uuid().unwrap(), uuid().unwrap());
        assert_ne!(one, other);
        assert_eq!((one[6] >> 4, one[8] >> 6), (4, 2));
    }
}
