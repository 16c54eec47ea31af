//! Signals: all blocked, all read from a descriptor; sent by pidfd.

use core::mem::MaybeUninit;
use core::ptr;

use rustix::fd::{AsFd, BorrowedFd, FromRawFd as _, OwnedFd};
use rustix::io::Errno;

/// Blocks every signal that can be blocked. They stay pending until
/// [`SignalFd::read`] takes them, across `execve` too, so a `SIGTERM` that
/// arrives before PID 1 is ready for it is not lost.
pub(crate) fn block_all() {
    set_mask(true);
}

/// Unblocks every signal: what a new program expects to inherit.
pub(crate) fn unblock_all() {
    set_mask(false);
}

fn set_mask(full: bool) {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: both calls initialize the whole set they are given.
    let set = unsafe {
        if full {
            libc::sigfillset(set.as_mut_ptr());
        } else {
            libc::sigemptyset(set.as_mut_ptr());
        }
        set.assume_init()
    };
    // SAFETY: `set` is initialized and the old mask is not asked for. The call
    // fails only for an unknown first argument.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut()) };
}

/// A descriptor that delivers the blocked signals (signalfd(2)); does not block.
pub(crate) struct SignalFd(OwnedFd);

impl SignalFd {
    /// Opens it for every signal.
    pub(crate) fn open() -> Result<Self, Errno> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: the first call initializes the set the second one reads; a
        // result that is not negative is a new descriptor nobody else owns.
        unsafe {
            libc::sigfillset(set.as_mut_ptr());
            let fd = libc::signalfd(-1, set.as_ptr(), libc::SFD_NONBLOCK | libc::SFD_CLOEXEC);
            if fd < 0 { Err(last_error()) } else { Ok(Self(OwnedFd::from_raw_fd(fd))) }
        }
    }

    /// The next pending signal's number; `None` when there is none.
    pub(crate) fn read(&self) -> Option<i32> {
        let mut record = [0_u8; size_of::<libc::signalfd_siginfo>()];
        let length = rustix::io::read(&self.0, &mut record).ok()?;
        let number = record.first_chunk::<4>().filter(|_| length == record.len())?;
        #[expect(
            clippy::host_endian_bytes,
            reason = "the kernel writes ssi_signo in its own order"
        )]
        i32::try_from(u32::from_ne_bytes(*number)).ok()
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends signal `number`, 1 to 64, to the process behind `pidfd`.
pub(crate) fn send(pidfd: BorrowedFd<'_>, number: u8) -> Result<(), Errno> {
    use rustix::fd::AsRawFd as _;
    // SAFETY: the descriptor is borrowed for the call, there is no siginfo, and
    // the kernel checks the number.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            libc::c_int::from(number),
            ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result < 0 { Err(last_error()) } else { Ok(()) }
}

/// Sends signal `number` to every process but PID 1 and the kernel's threads
/// (kill(2) with pid -1).
pub(crate) fn send_to_all(number: i32) {
    // SAFETY: takes two integers. It fails only if there is nobody to signal,
    // which is what the caller wants to reach.
    unsafe { libc::kill(-1, number) };
}

/// What the last failed call of libc left in `errno`.
pub(super) fn last_error() -> Errno {
    // SAFETY: the address of a number that lives as long as the one thread.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}
