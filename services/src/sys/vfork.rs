//! The cheapest ways to make a process: clone(2) with `CLONE_VM | CLONE_VFORK`,
//! and execve(2) or _exit(2). With the first one `builder bench boot` has a floor
//! to hold PID 1 against, with the second one `misbehave` makes orphans in masses.

use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::ptr;

use rustix::process::Pid;

/// Size of the child's stack in bytes. It only calls execve(2).
const STACK_BYTES: usize = 32 * 1024;

/// A program with its arguments and environment, laid out for execve(2) beforehand.
#[derive(Debug)]
pub struct Program {
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

/// What the child reads: pointers that stay valid while the parent is suspended.
struct Image {
    path: *const c_char,
    arguments: *const *const c_char,
    environment: *const *const c_char,
    /// Where the child leaves the error number if it could not execute.
    errno: c_int,
}

impl Program {
    /// A program with its arguments, of which the first is its path, and the
    /// environment as `KEY=value`. `None` without a path.
    #[must_use]
    pub fn new(arguments: Vec<CString>, environment: Vec<CString>) -> Option<Self> {
        (!arguments.is_empty()).then_some(Self { arguments, environment })
    }
}

extern "C" fn execute(image: *mut c_void) -> c_int {
    let image = image.cast::<Image>();
    // SAFETY: `image` is the parent's `Image`, alive because CLONE_VFORK suspends the
    // parent until this process has executed or exited. Only async-signal-safe
    // calls are made: execve(2) and _exit(2).
    unsafe {
        libc::execve((*image).path, (*image).arguments, (*image).environment);
        (*image).errno = *libc::__errno_location();
        libc::_exit(127)
    }
}

/// Starts `program` and returns once it has been executed.
///
/// # Errors
/// What clone(2) or execve(2) say.
pub fn vfork_exec(program: &Program) -> io::Result<Pid> {
    let terminated = |strings: &[CString]| -> Vec<*const c_char> {
        strings.iter().map(|string| string.as_ptr()).chain([ptr::null()]).collect()
    };
    let arguments = terminated(&program.arguments);
    let environment = terminated(&program.environment);
    let path = arguments.first().copied().unwrap_or(ptr::null());
    let mut image =
        Image { path, arguments: arguments.as_ptr(), environment: environment.as_ptr(), errno: 0 };
    // SAFETY: `image` and what it points to outlive the child's use of this memory, as
    // `vfork` promises to return only after it. `execute` writes nothing but `image.errno`.
    let pid = unsafe { vfork(execute, (&raw mut image).cast()) }?;
    // SAFETY: `image` is alive and the child, its only other user, is done with it. It is
    // read through a raw pointer because the child wrote to it behind the compiler's back.
    match unsafe { (&raw const image.errno).read_volatile() } {
        0 => Ok(pid),
        errno => {
            rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty())?;
            Err(io::Error::from_raw_os_error(errno))
        }
    }
}

/// Makes a process that exits with 0, and returns once it has. It is to be waited for
/// by this process, or by whoever takes over its children.
///
/// # Errors
/// What clone(2) says.
pub fn vfork_exit() -> io::Result<Pid> {
    // SAFETY: `leave` touches no memory.
    unsafe { vfork(leave, ptr::null_mut()) }
}

/// Runs `run(argument)` in a process that shares this one's memory, and returns once
/// that has executed a program or exited.
///
/// # Safety
/// `run` makes async-signal-safe calls only, does not return, and writes to no memory
/// but what `argument` points to.
unsafe fn vfork(
    run: extern "C" fn(*mut c_void) -> c_int,
    argument: *mut c_void,
) -> io::Result<Pid> {
    // u128 elements keep the stack aligned to 16 bytes, as both ABIs ask.
    let mut stack = vec![0_u128; STACK_BYTES / size_of::<u128>()];
    let top = stack.as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the child has its own stack, which outlives it: CLONE_VFORK lets this call
    // return only after the child has executed or exited. The rest is the caller's promise.
    let pid = unsafe { libc::clone(run, top.cast(), flags, argument) };
    Pid::from_raw(pid).filter(|_| pid > 0).ok_or_else(io::Error::last_os_error)
}

extern "C" fn leave(_: *mut c_void) -> c_int {
    // SAFETY: _exit(2) ends the process without touching memory.
    unsafe { libc::_exit(0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(words: &[&str]) -> Program {
        let words = words.iter().map(|word| CString::new(*word).unwrap()).collect();
        Program::new(words, vec![c"ANSWER=42".to_owned()]).unwrap()
    }

    #[test]
    fn a_program_gets_its_arguments_and_environment() {
        let pid = vfork_exec(&program(&["/bin/sh", "-c", "exit $((ANSWER + $#))", "sh", "x"]));
        let options = rustix::process::WaitOptions::empty();
        let (_, status) = rustix::process::waitpid(Some(pid.unwrap()), options).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(43));
    }

    #[test]
    fn a_process_that_only_exits_is_there_to_be_waited_for() {
        let pid = vfork_exit().unwrap();
        let options = rustix::process::WaitOptions::empty();
        let (_, status) = rustix::process::waitpid(Some(pid), options).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error_and_leaves_no_child() {
        let error = vfork_exec(&program(&["/nonexistent"])).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(2));
    }
}
