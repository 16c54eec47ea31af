//! What the kernel's error numbers mean.
//!
//! The C library knows the same, but not the same way in every C library, and
//! this crate has none: PID 1, `svcctl` and the builder say the same words.

use core::fmt;

/// An error number of Linux (errno(3)), in words and as a number:
/// `No such file or directory (os error 2)`, as the standard library has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OsError(
    /// The number, positive.
    pub i32,
);

impl fmt::Display for OsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = usize::try_from(self.0).ok().and_then(|number| TEXTS.split('\n').nth(number));
        match known.filter(|text| !text.is_empty()) {
            Some(text) => write!(f, "{text} (os error {})", self.0),
            None => write!(f, "Unknown error {0} (os error {0})", self.0),
        }
    }
}

/// A line per number, from 0 (include/uapi/asm-generic/errno.h, which x86_64
/// and aarch64 share); the unused ones are empty. One text, not an array of
/// texts: an array is pointers, which take memory and are relocated at start.
const TEXTS: &str = "\
Success
Operation not permitted
No such file or directory
No such process
Interrupted system call
Input/output error
No such device or address
Argument list too long
Exec format error
Bad file descriptor
No child processes
Resource temporarily unavailable
Cannot allocate memory
Permission denied
Bad address
Block device required
Device or resource busy
File exists
Invalid cross-device link
No such device
Not a directory
Is a directory
Invalid argument
Too many open files in system
Too many open files
Inappropriate ioctl for device
Text file busy
File too large
No space left on device
Illegal seek
Read-only file system
Too many links
Broken pipe
Numerical argument out of domain
Numerical result out of range
Resource deadlock avoided
File name too long
No locks available
Function not implemented
Directory not empty
Too many levels of symbolic links

No message of desired type
Identifier removed
Channel number out of range
Level 2 not synchronized
Level 3 halted
Level 3 reset
Link number out of range
Protocol driver not attached
No CSI structure available
Level 2 halted
Invalid exchange
Invalid request descriptor
Exchange full
No anode
Invalid request code
Invalid slot

Bad font file format
Device not a stream
No data available
Timer expired
Out of streams resources
Machine is not on the network
Package not installed
Object is remote
Link has been severed
Advertise error
Srmount error
Communication error on send
Protocol error
Multihop attempted
RFS specific error
Bad message
Value too large for defined data type
Name not unique on network
File descriptor in bad state
Remote address changed
Can not access a needed shared library
Accessing a corrupted shared library
.lib section in a.out corrupted
Attempting to link in too many shared libraries
Cannot exec a shared library directly
Invalid or incomplete multibyte or wide character
Interrupted system call should be restarted
Streams pipe error
Too many users
Socket operation on non-socket
Destination address required
Message too long
Protocol wrong type for socket
Protocol not available
Protocol not supported
Socket type not supported
Operation not supported
Protocol family not supported
Address family not supported by protocol
Address already in use
Cannot assign requested address
Network is down
Network is unreachable
Network dropped connection on reset
Software caused connection abort
Connection reset by peer
No buffer space available
Transport endpoint is already connected
Transport endpoint is not connected
Cannot send after transport endpoint shutdown
Too many references: cannot splice
Connection timed out
Connection refused
Host is down
No route to host
Operation already in progress
Operation now in progress
Stale file handle
Structure needs cleaning
Not a XENIX named type file
No XENIX semaphores available
Is a named type file
Remote I/O error
Disk quota exceeded
No medium found
Wrong medium type
Operation canceled
Required key not available
Key has expired
Key has been revoked
Key was rejected by service
Owner died
State not recoverable
Operation not possible due to RF-kill
Memory page has hardware error";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_the_c_library() {
        for number in 0..=140 {
            let expected = std::io::Error::from_raw_os_error(number).to_string();
            if cfg!(target_env = "gnu") {
                assert_eq!(OsError(number).to_string(), expected);
            }
        }
        assert_eq!(OsError(2).to_string(), "No such file or directory (os error 2)");
        assert_eq!(OsError(-1).to_string(), "Unknown error -1 (os error -1)");
    }
}
