//! New processes: clone3(2) straight into a cgroup, with a pidfd.
//!
//! The child shares PID 1's memory until it executes its program, so that
//! nothing is copied (but for some: `memory_flag`); it only reads what was laid
//! out for it in a [`Program`].
//! If a step fails it writes stage and error number to a pipe and ends; if all
//! succeed the pipe closes by `execve`, which is how PID 1 knows. Until then the
//! child keeps its memory as [`Pending`]. PID 1 may wait for it, but not for
//! long: a program on a disk that hangs, or a terminal that does, must not stop it.

use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_void};
use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};

use init_core::event::{SpawnError, SpawnStage};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Gid, Resource, Rlimit, Uid};

use super::clone::{
    CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP, CLONE_PIDFD, CLONE_VM, Stack, clone3, raw,
};
use super::signal;

/// The descriptor number under which [`Descriptors::passed`] arrives.
pub(crate) const PASSED_FD: i32 = 3;

/// Longest time PID 1 waits for a program to be executed before it goes on.
const EXEC_WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

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

/// What a process is to become.
pub(crate) struct Program {
    /// Program, an absolute path, and arguments; the first is the program.
    pub(crate) argv: CStrings,
    /// `NAME=value` strings.
    pub(crate) environment: CStrings,
    /// Where it starts.
    pub(crate) working_directory: CString,
    /// The terminal that becomes its controlling one, and its first three descriptors.
    pub(crate) terminal: Option<CString>,
    /// Who it runs as; `None` is root as PID 1 is.
    pub(crate) credentials: Option<Credentials>,
    /// Resource limits.
    pub(crate) limits: Vec<(Resource, Rlimit)>,
    /// What it hands on besides.
    pub(crate) attributes: Attributes,
}

/// What a process hands on to those that it makes.
#[derive(Clone)]
pub(crate) struct Attributes {
    /// The permissions that new files do not get.
    pub(crate) umask: Mode,
    /// The nice value, where it is not PID 1's.
    pub(crate) nice: Option<i32>,
    /// The text for /proc/self/oom_score_adj, where it is not PID 1's.
    pub(crate) oom_score_adjust: Option<Vec<u8>>,
}

/// The descriptors that a process is made with.
#[derive(Clone, Copy)]
pub(crate) struct Descriptors<'a> {
    /// Standard input, unless there is a terminal.
    pub(crate) input: BorrowedFd<'a>,
    /// Standard output and error, unless there is a terminal.
    pub(crate) output: BorrowedFd<'a>,
    /// What it gets as [`PASSED_FD`].
    pub(crate) passed: Option<BorrowedFd<'a>>,
    /// The cgroup directory that it is born in.
    pub(crate) cgroup: Option<BorrowedFd<'a>>,
}

/// A process that has just been created.
pub(crate) struct Child {
    /// Its id; only for lookup and display, signals go by `pidfd`.
    pub(crate) pid: u32,
    /// Its pidfd, close-on-exec.
    pub(crate) pidfd: OwnedFd,
    /// Its way to its program, until it is known how that ended.
    pub(crate) pending: Option<Pending>,
}

/// What became of a new process.
pub(crate) enum Start {
    /// Its program has been executed, or it was killed before that.
    Executed,
    /// It failed, and is gone or about to be: it can be waited for.
    Failed(SpawnError),
}

/// A child that still uses PID 1's memory.
pub(crate) struct Pending {
    status: OwnedFd,
    failure: Option<SpawnError>,
    // Given back only when the child has no use for them. Where the value is
    // dropped before that they are lost, which is safe.
    memory: Option<Memory>,
}

/// What a child uses of PID 1's memory.
#[derive(Clone, Copy)]
struct Memory {
    launch: NonNull<Launch>,
    stack: NonNull<Stack>,
}

/// What the child reads. Descriptors are numbers: the child has its own table.
struct Launch {
    program: Program,
    input: i32,
    output: i32,
    passed: Option<i32>,
    status: i32,
}

/// Creates a process for `program`, which gets on by itself: whatever fails in
/// it is told by [`Pending`], later.
pub(crate) fn spawn(program: Program, descriptors: Descriptors<'_>) -> Result<Child, Errno> {
    let (status, theirs) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    let memory_flag = memory_flag(&program.attributes);
    let launch = Box::new(Launch {
        program,
        input: descriptors.input.as_raw_fd(),
        output: descriptors.output.as_raw_fd(),
        passed: descriptors.passed.map(|fd| fd.as_raw_fd()),
        status: theirs.as_raw_fd(),
    });
    let launch = NonNull::from(Box::leak(launch));
    let memory = Memory { launch, stack: Stack::allocate() };
    let mut pending = Pending { status, failure: None, memory: Some(memory) };
    match memory.clone_child(descriptors.cgroup, memory_flag) {
        Ok((pid, pidfd)) => {
            // From here on only the child has the end that its exec closes.
            drop(theirs);
            Ok(Child { pid, pidfd, pending: Some(pending) })
        }
        Err(errno) => {
            pending.release();
            Err(errno)
        }
    }
}

/// `CLONE_VM`, but for a child that changes its `oom_score_adj`: the kernel changes that of all
/// processes that share its memory (fs/proc/base.c), of which there may be another child on its
/// way. That one works in a copy of PID 1's memory.
fn memory_flag(attributes: &Attributes) -> u64 {
    if attributes.oom_score_adjust.is_some() { 0 } else { CLONE_VM }
}

impl Memory {
    /// Makes the child that uses it, or with a `memory_flag` of 0 a copy of it.
    fn clone_child(
        self,
        cgroup: Option<BorrowedFd<'_>>,
        memory_flag: u64,
    ) -> Result<(u32, OwnedFd), Errno> {
        let mut pidfd: libc::c_int = -1;
        // SAFETY: all-zero bytes are a valid `clone_args`: integers only.
        let mut arguments: libc::clone_args = unsafe { core::mem::zeroed() };
        arguments.flags = memory_flag | CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
        arguments.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
        arguments.pidfd = (&raw mut pidfd).addr() as u64;
        (arguments.stack, arguments.stack_size) = Stack::range(self.stack);
        if let Some(cgroup) = cgroup {
            arguments.flags |= CLONE_INTO_CGROUP;
            arguments.cgroup = u64::from(cgroup.as_raw_fd().unsigned_abs());
        }
        // SAFETY: stack and launch are given back by `Pending::release` alone,
        // when the pipe says that the child has no use for them; and
        // `become_program` keeps to reading and raw system calls.
        let result = unsafe { clone3(&arguments, become_program, self.launch.as_ptr().cast()) };
        if let Ok(pid @ 1..) = u32::try_from(result) {
            // SAFETY: CLONE_PIDFD stored a new descriptor that nobody else owns.
            return Ok((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }));
        }
        Err(Errno::from_raw_os_error(i32::try_from(-result).unwrap_or(libc::EINVAL)))
    }
}

impl Pending {
    /// Waits a short time for the child to get on; `None` if it has not.
    pub(crate) fn wait(&mut self) -> Option<Start> {
        // Twice: first for what it says, then for its end.
        for _ in 0..2 {
            let mut fds = [PollFd::new(&self.status, PollFlags::IN)];
            if let Ok(0) | Err(_) = poll(&mut fds, Some(&EXEC_WAIT)) {
                return None;
            }
            if let Some(start) = self.read() {
                return Some(start);
            }
        }
        None
    }

    /// Takes what the child has said, without waiting; `None` while it still
    /// uses PID 1's memory.
    pub(crate) fn read(&mut self) -> Option<Start> {
        let mut record = [0; FAILURE_LENGTH_BYTES];
        loop {
            match rustix::io::read(&self.status, &mut record) {
                Ok(FAILURE_LENGTH_BYTES) => self.failure = Some(decode_failure(record)),
                // The pipe is closed by execve and by exit, in both cases after
                // the kernel has taken the child's memory from it.
                Ok(_) => {
                    self.release();
                    return Some(self.failure.map_or(Start::Executed, Start::Failed));
                }
                Err(Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }

    /// Gives back the memory that no child uses any more.
    fn release(&mut self) {
        let Some(memory) = self.memory.take() else { return };
        // SAFETY: `spawn` allocated both and this value held them alone. Every
        // caller knows that there is no child or that it has no use for them.
        unsafe {
            drop(Box::from_raw(memory.launch.as_ptr()));
            Stack::free(memory.stack);
        }
    }
}

impl AsFd for Pending {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.status.as_fd()
    }
}

/// Length of what the child writes to the status pipe when it fails.
const FAILURE_LENGTH_BYTES: usize = 5;

/// The stages that can fail in the child; a stage is its index.
const STAGES: [SpawnStage; 7] = [
    SpawnStage::Clone,
    SpawnStage::Output,
    SpawnStage::Credentials,
    SpawnStage::Limits,
    SpawnStage::Attributes,
    SpawnStage::WorkingDirectory,
    SpawnStage::Exec,
];

fn decode_failure(record: [u8; FAILURE_LENGTH_BYTES]) -> SpawnError {
    let [stage, errno @ ..] = record;
    let stage = STAGES.get(usize::from(stage)).copied().unwrap_or(SpawnStage::Exec);
    SpawnError { stage, errno: i32::from_le_bytes(errno) }
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

/// Keeps every descriptor from 3 up out of the programs PID 1 starts: whoever
/// started PID 1 may have left some open.
pub(crate) fn keep_inherited_descriptors() {
    // SAFETY: takes integers and closes nothing now. It can only fail on a
    // kernel older than 5.11, and then nothing is lost but tidiness.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
    }
}

/// The child's whole life.
extern "C" fn become_program(launch: *const c_void) -> ! {
    // SAFETY: what `clone_child` passed: a `Launch` that nobody changes.
    let launch = unsafe { &*launch.cast::<Launch>() };
    let (stage, errno) = match prepare(launch) {
        Err(failure) => failure,
        Ok(()) => (SpawnStage::Exec, execute(&launch.program)),
    };
    let index = STAGES.iter().position(|known| *known == stage).unwrap_or_default();
    let [a, b, c, d] = errno.raw_os_error().to_le_bytes();
    let record = [u8::try_from(index).unwrap_or_default(), a, b, c, d];
    // SAFETY: the descriptor is this process' own, open, copy. A pipe takes
    // five bytes whole; were it to fail, PID 1 would see an end without a reason.
    let _ = rustix::io::write(unsafe { BorrowedFd::borrow_raw(launch.status) }, &record);
    loop {
        // SAFETY: ends this process, which shares nothing but memory with another.
        unsafe { raw(libc::SYS_exit_group, [127, 0, 0, 0]) };
    }
}

/// Executes the program with every signal unblocked. Returns only on failure.
fn execute(program: &Program) -> Errno {
    let nothing_blocked = 0_u64;
    // SAFETY: the set is one word of the 8 bytes stated, and the old one is
    // not asked for. The strings and the NULL-terminated arrays of pointers to
    // them outlive the call; a NULL program is answered with EFAULT.
    let result = unsafe {
        let set = (&raw const nothing_blocked).addr();
        raw(libc::SYS_rt_sigprocmask, [SIG_SETMASK, set, 0, size_of::<u64>()]);
        let argv = &program.argv;
        let environment = program.environment.pointers.as_ptr().addr();
        raw(libc::SYS_execve, [argv.first().addr(), argv.pointers.as_ptr().addr(), environment, 0])
    };
    Errno::from_raw_os_error(i32::try_from(-result).unwrap_or(libc::EINVAL))
}

/// `SIG_SETMASK`
const SIG_SETMASK: usize = 2;

fn prepare(launch: &Launch) -> Result<(), (SpawnStage, Errno)> {
    let at = |stage: SpawnStage| move |errno: Errno| (stage, errno);
    let program = &launch.program;
    rustix::process::setsid().map_err(at(SpawnStage::Clone))?;
    if let Some(passed) = launch.passed {
        duplicate(passed, PASSED_FD).map_err(at(SpawnStage::Output))?;
    }
    if program.terminal.is_none() {
        standard(launch.input, launch.output).map_err(at(SpawnStage::Output))?;
    }
    // Before the first step that may hang.
    close_others(launch.status);
    if let Some(path) = &program.terminal {
        attach_terminal(path).map_err(at(SpawnStage::Output))?;
    }
    for (resource, limit) in &program.limits {
        rustix::process::setrlimit(*resource, *limit).map_err(at(SpawnStage::Limits))?;
    }
    set_attributes(&program.attributes).map_err(at(SpawnStage::Attributes))?;
    if let Some(Credentials { uid, gid, groups }) = &program.credentials {
        // Groups first: afterwards the process may not change them.
        rustix::thread::set_thread_groups(groups)
            .and_then(|()| rustix::thread::set_thread_res_gid(*gid, *gid, *gid))
            .and_then(|()| rustix::thread::set_thread_res_uid(*uid, *uid, *uid))
            .map_err(at(SpawnStage::Credentials))?;
    }
    let directory = program.working_directory.as_c_str();
    rustix::process::chdir(directory).map_err(at(SpawnStage::WorkingDirectory))
}

fn set_attributes(attributes: &Attributes) -> Result<(), Errno> {
    rustix::process::umask(attributes.umask);
    if let Some(nice) = attributes.nice {
        rustix::process::setpriority_process(None, nice)?;
    }
    if let Some(text) = &attributes.oom_score_adjust {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        // Closed by execve or exit, as below.
        let file = ManuallyDrop::new(rustix::fs::open(OOM_SCORE_ADJUST, flags, Mode::empty())?);
        rustix::io::write(&*file, text)?;
    }
    Ok(())
}

/// Where a process says how soon it is killed for want of memory (proc_pid_oom_score_adj(5)).
const OOM_SCORE_ADJUST: &CStr = c"/proc/self/oom_score_adj";

fn standard(input: i32, output: i32) -> Result<(), Errno> {
    duplicate(input, 0)?;
    duplicate(output, 1)?;
    duplicate(output, 2)
}

fn attach_terminal(path: &CStr) -> Result<(), Errno> {
    // Closed by execve or exit: dropping it would be a call of libc's.
    // O_NONBLOCK: a serial line without carrier must not hold the open.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let terminal = ManuallyDrop::new(rustix::fs::open(path, flags, Mode::empty())?);
    rustix::process::ioctl_tiocsctty(&*terminal)?;
    rustix::fs::fcntl_setfl(&*terminal, OFlags::RDWR)?;
    standard(terminal.as_raw_fd(), terminal.as_raw_fd())
}

/// Closes this process' copies of PID 1's descriptors but for the standard ones, what was
/// passed, and `status`. While they are open, what PID 1 closes is not closed: epoll(7) goes on
/// to report it, and the client at the other end sees no end.
fn close_others(status: i32) {
    const FIRST: usize = PASSED_FD.unsigned_abs() as usize + 1;
    let Ok(status) = usize::try_from(status) else { return };
    let last = u32::MAX as usize;
    for (from, to) in [(FIRST, status.saturating_sub(1)), (status.saturating_add(1), last)] {
        if from <= to {
            // SAFETY: numbers only. The descriptors are this process' own copies, and it uses
            // none of them from here on. A kernel older than 5.9 knows no such call; then
            // execve closes them.
            unsafe { raw(libc::SYS_close_range, [from, to, 0, 0]) };
        }
    }
}

/// dup3(2) without close-on-exec.
fn duplicate(from: i32, to: i32) -> Result<(), Errno> {
    let (Ok(source), Ok(target)) = (usize::try_from(from), usize::try_from(to)) else {
        return Err(Errno::BADF);
    };
    // SAFETY: numbers only. What is open as `to` in this process, which has a
    // table of its own, is one of the standard descriptors or the reserved
    // number 3 (console.rs), and nothing in it is reached by those.
    let result = unsafe { raw(libc::SYS_dup3, [source, target, 0, 0]) };
    match i32::try_from(-result) {
        Ok(errno @ 1..) => Err(Errno::from_raw_os_error(errno)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use init_core::description;

    use super::*;

    #[test]
    fn a_child_holds_nothing_open_that_is_not_its_own() {
        // Not close-on-exec: that would close it too, but later.
        let (ours, theirs) = rustix::pipe::pipe().unwrap();
        let null = rustix::fs::open("/dev/null", OFlags::RDWR, Mode::empty()).unwrap();
        let program = Program {
            argv: CStrings::new(["/bin/sleep", "1000"]),
            environment: CStrings::new([""; 0]),
            working_directory: c"/".into(),
            terminal: None,
            credentials: None,
            limits: Vec::new(),
            attributes: crate::service::attributes(description::Attributes::default()),
        };
        let null = null.as_fd();
        let descriptors = Descriptors { input: null, output: null, passed: None, cgroup: None };
        let mut child = spawn(program, descriptors).unwrap();
        drop(theirs);
        let start = child.pending.as_mut().and_then(Pending::wait);
        assert!(matches!(start, Some(Start::Executed)));
        let mut end = [PollFd::new(&ours, PollFlags::IN)];
        let reported = poll(&mut end, Some(&Timespec { tv_sec: 10, tv_nsec: 0 }));
        signal::send(child.pidfd.as_fd(), 9).unwrap();
        assert_eq!(reported, Ok(1), "the pipe has ended while the child runs");
    }
}
