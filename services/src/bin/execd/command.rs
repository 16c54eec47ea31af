//! One command of the host: how it is started, what it writes, how it ends.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use init_core::description::Signal;
use init_core::event::ExitStatus;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, ioctl_fionread, read};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Where the shell is, if the image has one.
const SHELL: &str = "/bin/sh";

/// Bytes taken from an output pipe at once.
const CHUNK_BYTES: usize = 32 * 1024;

/// A command that was started.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    exit: OwnedFd,
    /// Read end of its standard output, until that has ended.
    pub(crate) stdout: Option<OwnedFd>,
    /// Read end of its standard error, until that has ended.
    pub(crate) stderr: Option<OwnedFd>,
}

/// A command that could not be started, as a shell would report it.
#[derive(Debug)]
pub(crate) struct NotStarted {
    /// A line for standard error.
    pub(crate) message: String,
    /// 127 if the program was not found, 126 if it cannot be executed, 2 for bad syntax.
    pub(crate) code: u8,
}

/// Starts `line` by the shell, or word by word where there is none.
pub(crate) fn start(line: &str) -> Result<Running, NotStarted> {
    start_with(Path::new(SHELL), line)
}

fn start_with(shell: &Path, line: &str) -> Result<Running, NotStarted> {
    let not_started =
        |message: String, code| NotStarted { message: format!("execd: {message}\n"), code };
    let words = if shell.exists() {
        vec![shell.to_string_lossy().into_owned(), "-c".to_owned(), line.to_owned()]
    } else {
        shell_words::split(line)
            .map_err(|error| not_started(format!("cannot split the command: {error}"), 2))?
    };
    let Some((program, arguments)) = words.split_first() else {
        return Err(not_started("the command is empty".to_owned(), 2));
    };
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/").env_remove("NOTIFY_SOCKET");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // A group of its own, so that it can be ended together with its children.
    command.process_group(0);
    let started = command.spawn().and_then(Running::new);
    started.map_err(|error| {
        let code = if error.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
        not_started(format!("cannot run `{program}`: {error}"), code)
    })
}

impl Running {
    fn new(mut child: Child) -> io::Result<Self> {
        let stdout = child.stdout.take().map(OwnedFd::from);
        let stderr = child.stderr.take().map(OwnedFd::from);
        for pipe in stdout.iter().chain(&stderr) {
            fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        }
        let exit = pidfd_open(group(&child)?, PidfdFlags::empty())?;
        Ok(Self { child, exit, stdout, stderr })
    }

    /// Becomes readable when the command has ended.
    pub(crate) fn exit(&self) -> BorrowedFd<'_> {
        self.exit.as_fd()
    }

    /// How the command ended; `None` while it runs.
    pub(crate) fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        let Some(status) = self.child.try_wait()? else { return Ok(None) };
        let number = |number: i32| u8::try_from(number).unwrap_or(u8::MAX);
        Ok(Some(match (status.code(), status.signal()) {
            (_, Some(signal)) => ExitStatus::Signal {
                signal: Signal(number(signal)),
                core_dumped: status.core_dumped(),
            },
            (code, None) => ExitStatus::Code(code.map_or(u8::MAX, number)),
        }))
    }

    /// Kills the command and its children, as far as they stayed in its process group,
    /// and waits for it.
    pub(crate) fn kill(mut self) -> io::Result<()> {
        match rustix::process::kill_process_group(
            group(&self.child)?,
            rustix::process::Signal::KILL,
        ) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => return Err(error.into()),
        }
        self.child.wait().map(|_| ())
    }
}

fn group(child: &Child) -> io::Result<Pid> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
}

/// Reads what is there, up to a bound, and closes a pipe that has ended.
pub(crate) fn read_some(pipe: &mut Option<OwnedFd>) -> io::Result<Vec<u8>> {
    let Some(open) = pipe else { return Ok(Vec::new()) };
    let mut bytes = vec![0; CHUNK_BYTES];
    match read(&*open, bytes.as_mut_slice()) {
        Ok(length) => {
            bytes.truncate(length);
            if length == 0 {
                *pipe = None;
            }
            Ok(bytes)
        }
        Err(Errno::AGAIN | Errno::INTR) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// Reads what is there now and closes the pipe: children that the command left
/// behind may write to it for ever.
pub(crate) fn read_rest(pipe: &mut Option<OwnedFd>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let there = match &*pipe {
        Some(open) => usize::try_from(ioctl_fionread(open)?).unwrap_or(usize::MAX),
        None => 0,
    };
    while bytes.len() < there {
        let some = read_some(pipe)?;
        if some.is_empty() {
            break;
        }
        bytes.extend(some);
    }
    *pipe = None;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(shell: &str, line: &str) -> (ExitStatus, String) {
        let mut running = start_with(Path::new(shell), line).unwrap();
        let mut output = Vec::new();
        while running.stdout.is_some() {
            output.extend(read_some(&mut running.stdout).unwrap());
        }
        loop {
            if let Some(status) = running.status().unwrap() {
                return (status, String::from_utf8(output).unwrap());
            }
        }
    }

    #[test]
    fn the_shell_takes_the_line_and_without_one_its_words_are_executed() {
        let done = ExitStatus::Code(0);
        assert_eq!(run("/bin/sh", "echo $((6 * 7)); pwd"), (done, "42\n/\n".to_owned()));
        assert_eq!(run("/none", "echo '$HOME;'  a\\ b"), (done, "$HOME; a b\n".to_owned()));
        assert_eq!(run("/bin/sh", "exit 7").0, ExitStatus::Code(7));
        let killed = ExitStatus::Signal { signal: Signal(9), core_dumped: false };
        assert_eq!(run("/bin/sh", "kill -9 $$").0, killed);
    }

    #[test]
    fn what_cannot_be_started_ends_as_in_a_shell() {
        for (line, code, message) in [
            ("no-such-program x", 127, "execd: cannot run `no-such-program`: "),
            ("/etc/passwd", 126, "execd: cannot run `/etc/passwd`: "),
            ("'open", 2, "execd: cannot split the command: "),
            ("  ", 2, "execd: the command is empty"),
        ] {
            let error = start_with(Path::new("/none"), line).unwrap_err();
            assert_eq!(error.code, code);
            assert!(error.message.starts_with(message), "{}", error.message);
        }
    }
}
