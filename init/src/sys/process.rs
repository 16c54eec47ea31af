//! New processes: clone3(2) straight into a cgroup, with a pidfd.
//!
//! Everything the child needs is laid out in a [`Plan`] before the clone; the
//! child makes system calls and nothing else (see the argument in `mod.rs`).
//! If one fails it writes stage and error number to the status pipe and ends;
//! if all succeed the pipe closes by `execve`, which is how PID 1 knows.

use std::ffi::{CStr, CString, c_char};
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::ptr;

use init_core::event::{SpawnError, SpawnStage};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Gid, Resource, Rlimit, Uid};

use super::signal;

/// The descriptor number under which [`Plan::passed`] arrives.
pub(crate) const PASSED_FD: i32 = 3;

/// A list of strings in the shape execve(2) wants.
pub(crate) struct CStrings {
    // Owns what `pointers` points to.
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl CStrings {
    /// Lays the strings out; the bytes of a string end at its first NUL.
    pub(crate) fn new<Text: AsRef<[u8]>>(texts: impl IntoIterator<Item = Text>) -> Self {
        let strings: Vec<CString> = texts
            .into_iter()
            .map(|text| {
                let bytes: Vec<u8> =
                    text.as_ref().iter().copied().take_while(|byte| *byte != 0).collect();
                CString::new(bytes).unwrap_or_default()
            })
            .collect();
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect();
        Self { _strings: strings, pointers }
    }

    fn first(&self) -> *const c_char {
        self.pointers.first().copied().unwrap_or(ptr::null())
    }
}

/// Who a process runs as.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Credentials {
    /// Real, effective and saved user.
    pub(crate) uid: Uid,
    /// Real, effective and saved group.
    pub(crate) gid: Gid,
    /// Supplementary groups.
    pub(crate) groups: Vec<Gid>,
}

/// What becomes of standard input, output and error.
#[derive(Clone, Copy)]
pub(crate) enum Standard<'a> {
    /// Input from the first descriptor; output and error to the second.
    Descriptors(BorrowedFd<'a>, BorrowedFd<'a>),
    /// All three are this terminal, which becomes the controlling one.
    Terminal(&'a CStr),
}

/// Everything about a process that is to be.
pub(crate) struct Plan<'a> {
    /// Program, an absolute path, and arguments; the first is the program.
    pub(crate) argv: &'a CStrings,
    /// `NAME=value` strings.
    pub(crate) environment: &'a CStrings,
    /// Where it starts.
    pub(crate) working_directory: &'a CStr,
    /// Its first three descriptors.
    pub(crate) standard: Standard<'a>,
    /// A descriptor that it gets as [`PASSED_FD`].
    pub(crate) passed: Option<BorrowedFd<'a>>,
    /// Who it runs as; `None` is root as PID 1 is.
    pub(crate) credentials: Option<&'a Credentials>,
    /// Resource limits.
    pub(crate) limits: &'a [(Resource, Rlimit)],
    /// The cgroup directory that it is born in.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
    /// Write end of the status pipe, close-on-exec.
    pub(crate) status: BorrowedFd<'a>,
}

/// A process that has just been created.
pub(crate) struct Child {
    /// Its id; only for lookup and display, signals go by `pidfd`.
    pub(crate) pid: u32,
    /// Its pidfd, close-on-exec.
    pub(crate) pidfd: OwnedFd,
}

/// Length of what the child writes to the status pipe when it fails.
pub(crate) const FAILURE_LENGTH_BYTES: usize = 5;

/// Reads what the child wrote to the status pipe.
pub(crate) fn decode_failure(record: [u8; FAILURE_LENGTH_BYTES]) -> SpawnError {
    let [stage, errno @ ..] = record;
    let stage = STAGES.get(usize::from(stage)).copied().unwrap_or(SpawnStage::Exec);
    SpawnError { stage, errno: i32::from_le_bytes(errno) }
}

/// The stages that can fail in the child; a stage is its index.
const STAGES: [SpawnStage; 6] = [
    SpawnStage::Output,
    SpawnStage::Credentials,
    SpawnStage::Limits,
    SpawnStage::WorkingDirectory,
    SpawnStage::Exec,
    SpawnStage::Clone,
];

// linux/sched.h; the libc crate's are too narrow.
const CLONE_PIDFD: u64 = 0x1000;
const CLONE_CLEAR_SIGHAND: u64 = 0x1_0000_0000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Creates the process. Its failures after this call come by the status pipe.
pub(crate) fn spawn(plan: &Plan<'_>) -> Result<Child, Errno> {
    let mut pidfd: libc::c_int = -1;
    // SAFETY: all-zero bytes are a valid `clone_args`: integers only.
    let mut arguments: libc::clone_args = unsafe { std::mem::zeroed() };
    arguments.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
    arguments.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    arguments.pidfd = (&raw mut pidfd).addr() as u64;
    if let Some(cgroup) = plan.cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
    }
    // SAFETY: `arguments` and `pidfd` outlive the call. Without CLONE_VM the
    // child has its own copy of this memory and returns here as fork's would.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, &raw const arguments, size_of::<libc::clone_args>())
    };
    match pid {
        0 => become_program(plan),
        pid if pid > 0 => {
            // SAFETY: CLONE_PIDFD stored a new descriptor that nobody else owns.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            Ok(Child { pid: u32::try_from(pid).unwrap_or_default(), pidfd })
        }
        _ => Err(signal::last_error()),
    }
}

/// Keeps every descriptor from 3 up out of the programs PID 1 starts: whoever
/// started PID 1 may have left some open.
pub(crate) fn keep_inherited_descriptors() {
    // SAFETY: takes integers and closes nothing now. It can only fail on a
    // kernel older than 5.11, and then nothing is lost but tidiness.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}

/// Replaces PID 1 itself by another program. Returns only on failure.
pub(crate) fn exec(program: &CStr, argv: &CStrings, environment: &CStrings) -> Errno {
    // SAFETY: the strings and the NULL-terminated arrays of pointers to them
    // are borrowed for the call.
    unsafe {
        libc::execve(program.as_ptr(), argv.pointers.as_ptr(), environment.pointers.as_ptr())
    };
    signal::last_error()
}

/// The child's whole life: system calls only, no allocation.
fn become_program(plan: &Plan<'_>) -> ! {
    let (stage, errno) = match prepare(plan) {
        Err(failure) => failure,
        Ok(()) => {
            signal::unblock_all();
            // SAFETY: as in `exec`; `first` is the array's first element, and
            // execve answers EFAULT if that is NULL.
            unsafe {
                libc::execve(
                    plan.argv.first(),
                    plan.argv.pointers.as_ptr(),
                    plan.environment.pointers.as_ptr(),
                )
            };
            (SpawnStage::Exec, signal::last_error())
        }
    };
    let index = STAGES.iter().position(|known| *known == stage).unwrap_or_default();
    let [a, b, c, d] = errno.raw_os_error().to_le_bytes();
    let record = [u8::try_from(index).unwrap_or_default(), a, b, c, d];
    // A pipe takes five bytes whole or not at all; if not, the parent sees an
    // early end instead of a reason.
    let _ = rustix::io::write(plan.status, &record);
    // SAFETY: ends the process without running anything of the parent's.
    unsafe { libc::_exit(127) }
}

fn prepare(plan: &Plan<'_>) -> Result<(), (SpawnStage, Errno)> {
    let at = |stage: SpawnStage| move |errno: Errno| (stage, errno);
    rustix::process::setsid().map_err(at(SpawnStage::Clone))?;
    standard(plan.standard).map_err(at(SpawnStage::Output))?;
    if let Some(passed) = plan.passed {
        // SAFETY: PID 1 keeps descriptor 3 reserved (console.rs), so nothing
        // in this process is reached under that number.
        if unsafe { libc::dup2(passed.as_raw_fd(), PASSED_FD) } < 0 {
            return Err((SpawnStage::Output, signal::last_error()));
        }
    }
    for (resource, limit) in plan.limits {
        rustix::process::setrlimit(*resource, *limit).map_err(at(SpawnStage::Limits))?;
    }
    if let Some(Credentials { uid, gid, groups }) = plan.credentials {
        // Groups first: afterwards the process may not change them.
        rustix::thread::set_thread_groups(groups)
            .and_then(|()| rustix::thread::set_thread_res_gid(*gid, *gid, *gid))
            .and_then(|()| rustix::thread::set_thread_res_uid(*uid, *uid, *uid))
            .map_err(at(SpawnStage::Credentials))?;
    }
    rustix::process::chdir(plan.working_directory).map_err(at(SpawnStage::WorkingDirectory))
}

fn standard(standard: Standard<'_>) -> Result<(), Errno> {
    let (input, output);
    let terminal;
    match standard {
        Standard::Descriptors(first, second) => (input, output) = (first, second),
        Standard::Terminal(path) => {
            // O_NONBLOCK: a serial line without carrier must not hold the open.
            let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            terminal = rustix::fs::open(path, flags, Mode::empty())?;
            rustix::process::ioctl_tiocsctty(&terminal)?;
            rustix::fs::fcntl_setfl(&terminal, OFlags::RDWR)?;
            (input, output) =
                (std::os::fd::AsFd::as_fd(&terminal), std::os::fd::AsFd::as_fd(&terminal));
        }
    }
    rustix::stdio::dup2_stdin(input)?;
    rustix::stdio::dup2_stdout(output)?;
    rustix::stdio::dup2_stderr(output)
}
