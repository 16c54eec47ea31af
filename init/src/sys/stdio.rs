//! The standard descriptors of PID 1 itself.
//!
//! They are its own for its whole life and nobody closes them. Before
//! `console::attach` one may not be open: then a call answers `EBADF`.

use rustix::fd::{BorrowedFd, RawFd};

/// Standard input.
pub(crate) fn stdin() -> BorrowedFd<'static> {
    standard(0)
}

/// Standard output.
pub(crate) fn stdout() -> BorrowedFd<'static> {
    standard(1)
}

/// Standard error.
pub(crate) fn stderr() -> BorrowedFd<'static> {
    standard(2)
}

fn standard(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: not -1, and never closed, see above.
    unsafe { BorrowedFd::borrow_raw(number) }
}
