//! Descriptors that were open when the program started.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};

use rustix::io::{FdFlags, fcntl_setfd};

/// Descriptors that were given out and therefore have an owner.
static TAKEN: Mutex<BTreeSet<RawFd>> = Mutex::new(BTreeSet::new());

/// Takes over the descriptor `number`, which whoever started this program left
/// open, and closes it on exec. Call it at the start of `main`, before the
/// program opens anything itself. Each number is given out once.
///
/// # Errors
/// `EBADF` if it is not open, if it is one of the standard three or if it was
/// given out before.
pub fn inherited_fd(number: RawFd) -> io::Result<OwnedFd> {
    let bad = || io::Error::from(rustix::io::Errno::BADF);
    if number <= 2 || !TAKEN.lock().unwrap_or_else(PoisonError::into_inner).insert(number) {
        return Err(bad());
    }
    // SAFETY: the number is not negative; fcntl(2) on it answers EBADF, and
    // touches nothing, if no descriptor has it.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    fcntl_setfd(borrowed, FdFlags::CLOEXEC)?;
    // SAFETY: the line above showed that it is open. It was open before this
    // program opened anything (the caller's duty, stated above), so no other
    // `OwnedFd` has it, and TAKEN keeps it from being given out twice.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_standard_and_taken_descriptors_are_refused() {
        for number in [-1, 0, 1, 2, 9999] {
            assert_eq!(inherited_fd(number).unwrap_err().raw_os_error(), Some(9), "{number}");
        }
    }
}
