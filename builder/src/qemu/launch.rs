//! The start of a guest: its directory, and QEMU until it is connected.

use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::ending::EXIT_EMULATOR;
use super::machine::{Endpoints, MachineSpec, program};
use crate::error::{Error, IoContext, Result};
use crate::host::{Invocation, Running, find_program, tail_of};

/// How long QEMU may take to connect its sockets and shake hands.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest path of a UNIX socket, with some room (unix(7): 108 bytes).
const SOCKET_PATH_MAX: usize = 90;

/// A directory for one guest's sockets, logs and firmware variables, removed with it.
#[derive(Debug)]
pub struct RunDirectory(tempfile::TempDir);

impl RunDirectory {
    /// Makes it where temporary files go, or in /tmp if that path is too long for a socket.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new() -> Result<Self> {
        let base = std::env::temp_dir();
        let is_short = base.as_os_str().len() + "/keelson-XXXXXX/console".len() <= SOCKET_PATH_MAX;
        let base = if is_short { base } else { PathBuf::from("/tmp") };
        tempfile::Builder::new()
            .prefix("keelson-")
            .tempdir_in(&base)
            .map(Self)
            .at("create a directory in", &base)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// QEMU between its start and the end of the handshake.
pub(super) struct Start {
    /// Its process.
    pub(super) qemu: Running,
    /// The same as a descriptor, readable once it has ended.
    pub(super) process: OwnedFd,
    log: PathBuf,
    program: &'static str,
}

impl Start {
    /// Starts QEMU; what it says by itself goes to the file `log`.
    ///
    /// # Errors
    /// If it is not installed, or cannot be started or watched.
    pub(super) fn new(spec: &MachineSpec, endpoints: &Endpoints, log: &Path) -> Result<Self> {
        let program = program(spec.arch());
        let output = std::fs::File::create(log).at("create", log)?;
        let errors = output.try_clone().at("write", log)?;
        let mut qemu = supervised(program)?.args(spec.arguments(endpoints)).spawn(
            Stdio::null(),
            output.into(),
            errors.into(),
        )?;
        let process = i32::try_from(qemu.child().id())
            .ok()
            .and_then(Pid::from_raw)
            .ok_or_else(|| Error::internal("a process without an id"))
            .and_then(|pid| {
                pidfd_open(pid, PidfdFlags::empty())
                    .map_err(|error| Error::failure(format!("cannot watch qemu: {error}")))
            })?;
        Ok(Self { qemu, process, log: log.to_owned(), program })
    }

    /// QEMU's connection to one of our sockets.
    ///
    /// # Errors
    /// If QEMU ends before, or takes too long.
    pub(super) fn accept(&mut self, listener: &UnixListener) -> Result<UnixStream> {
        let timeout = Timespec::try_from(START_TIMEOUT).ok();
        let mut descriptors =
            [PollFd::new(listener, PollFlags::IN), PollFd::new(&self.process, PollFlags::IN)];
        let polled = rustix::io::retry_on_intr(|| poll(&mut descriptors, timeout.as_ref()));
        if matches!(polled, Ok(1..)) && descriptors[0].revents().contains(PollFlags::IN) {
            let accepted = listener.accept().map(|(stream, _)| stream);
            return accepted.map_err(|error| self.failed(Error::failure(error.to_string())));
        }
        let why = match self.qemu.child().try_wait() {
            Ok(Some(status)) => format!("it ended with {status}"),
            _ => format!("it did not connect within {} s", START_TIMEOUT.as_secs()),
        };
        Err(self.failed(Error::failure(why)))
    }

    /// An error, with what QEMU said.
    pub(super) fn failed(&self, error: Error) -> Error {
        let said = tail_of(&self.log);
        let gap = if said.is_empty() { "" } else { ":\n" };
        Error::failure(format!("{} did not start: {error}{gap}{said}", self.program))
            .exit_with(EXIT_EMULATOR)
    }
}

/// QEMU, such that even a builder that was killed leaves none behind: setpriv(1)
/// of util-linux has the kernel kill it with its parent.
fn supervised(program: &str) -> Result<Invocation> {
    let path = find_program(program).ok_or_else(|| {
        Error::host(format!("the program {program} is not installed")).hint(
            "run `cargo builder doctor` to see all that is missing, and `--install` to install it",
        )
    })?;
    Ok(match find_program("setpriv") {
        Some(setpriv) => Invocation::new(setpriv).args(["--pdeathsig", "KILL", "--"]).arg(path),
        None => Invocation::new(path),
    })
}
