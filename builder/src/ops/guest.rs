//! A booted image that runs commands: what boot tests and benchmarks stand on.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::arch::Arch;
use crate::cache::Cache;
use crate::error::{Error, IoContext, Result};
use crate::ops::run::plan::{self, BootMethod, Parts, Wishes};
use crate::qemu::accel;
use crate::qemu::board::Board;
use crate::qemu::ending::Ending;
use crate::qemu::exec::shell_status;
use crate::qemu::firmware::{self, Variables};
use crate::qemu::session::{RunDirectory, Session, Stream};
use crate::shell::Shell;

/// What a guest has unless a test wants more or less, in MiB.
const MEMORY_MIB: u32 = 512;
/// Two, so that what goes wrong only between processors can go wrong.
const CPUS: u32 = 2;
/// How long a guest may take until it takes commands. Firmware under TCG on a
/// busy machine needs most of a minute.
const BOOT_TIMEOUT: Duration = Duration::from_secs(240);
/// How long one command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(180);
/// How long it may take to power off. Longer than any service's stop timeout.
const POWER_OFF_TIMEOUT: Duration = Duration::from_secs(90);

/// A booted image.
#[derive(Debug)]
pub struct Guest {
    session: Session,
}

/// What a command did.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit status, as a shell has it.
    pub status: u8,
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Its standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Its standard output, if it succeeded.
    ///
    /// # Errors
    /// What it said, if it did not.
    pub fn success(&self) -> Result<String, String> {
        if self.status == 0 {
            return Ok(self.text());
        }
        let said = String::from_utf8_lossy(&self.stderr);
        Err(format!("exit status {}: {}{}", self.status, self.text(), said.trim_end()))
    }
}

/// How an image is booted.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The guest's board, and what its disk hangs on.
    pub board: Board,
    /// How its kernel is loaded.
    pub boot: BootMethod,
    /// What becomes of variables it sets, in a boot by UEFI.
    pub uefi_variables: Variables,
    /// Its memory, in MiB.
    pub memory_mib: u32,
    /// How many processors it has.
    pub cpus: u32,
    /// What runs it.
    pub accel: accel::Choice,
    /// Kernel parameters on top of the image's own, for a direct boot.
    pub parameters: Vec<String>,
    /// Where its console's output is kept.
    pub console_log: Option<PathBuf>,
}

impl Setup {
    /// A guest of `arch` on its usual board, with two processors.
    #[must_use]
    pub const fn of(arch: Arch, boot: BootMethod, accel: accel::Choice) -> Self {
        Self {
            board: Board::of(arch),
            boot,
            uefi_variables: Variables::Writable,
            memory_mib: MEMORY_MIB,
            cpus: CPUS,
            accel,
            parameters: Vec::new(),
            console_log: None,
        }
    }

    /// What a guest has written to its console so far.
    ///
    /// # Errors
    /// If it is kept nowhere, or cannot be read.
    pub fn read_console(&self) -> Result<String> {
        let path = self.console_log.as_deref();
        let path = path.ok_or_else(|| Error::internal("this guest's console is kept nowhere"))?;
        let bytes = std::fs::read(path).at("read", path)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Guest {
    /// Boots an image and waits until it takes commands.
    ///
    /// # Errors
    /// If it does not come up, or its services do not settle.
    pub fn boot(shell: &Shell, parts: Parts, setup: &Setup) -> Result<Self> {
        let mut session = Self::start(shell, parts, setup)?;
        if !session.wait_until_ready(Instant::now() + BOOT_TIMEOUT)? {
            return Err(Error::failure("the services that start at boot did not settle"));
        }
        Ok(Self { session })
    }

    /// Boots an image that is to end by itself, and says how it did.
    ///
    /// # Errors
    /// If it does not start. A guest that goes on is an [`Ending::TimedOut`].
    pub fn boot_to_end(shell: &Shell, parts: Parts, setup: &Setup) -> Result<Ending> {
        Self::start(shell, parts, setup)?.wait_for_end(Some(Instant::now() + BOOT_TIMEOUT))
    }

    fn start(shell: &Shell, parts: Parts, setup: &Setup) -> Result<Session> {
        let directory = RunDirectory::new()?;
        let arch = setup.board.machine().arch();
        let firmware = match setup.boot {
            BootMethod::Uefi => {
                Some(firmware::prepare(arch, setup.uefi_variables, directory.path())?)
            }
            BootMethod::Direct | BootMethod::Bios => None,
        };
        let wishes = Wishes {
            board: setup.board,
            boot: setup.boot,
            memory_mib: setup.memory_mib,
            cpus: setup.cpus,
            accelerator: accel::choose(shell, &Cache::open()?, arch, setup.accel)?,
            is_interactive: false,
            has_network: false,
            parameters: setup.parameters.clone(),
            qemu: Vec::new(),
        };
        let spec = plan::plan(parts, wishes, firmware)?;
        let log = setup.console_log.clone();
        Session::start(shell, &spec, directory, false, log)
    }

    /// How long it has been running, by the host's clock.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.session.elapsed()
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// If the guest ends or hangs meanwhile. A command that fails is no error.
    pub fn run(&mut self, command: &str) -> Result<Output> {
        let mut output = Output { status: 0, stdout: Vec::new(), stderr: Vec::new() };
        let deadline = Instant::now() + COMMAND_TIMEOUT;
        let status = self.session.run(command, deadline, |stream, bytes| match stream {
            Stream::Stdout => output.stdout.extend_from_slice(bytes),
            Stream::Stderr => output.stderr.extend_from_slice(bytes),
        })?;
        output.status = shell_status(status);
        Ok(output)
    }

    /// Runs a command that must succeed, and returns what it wrote.
    ///
    /// # Errors
    /// If it fails; see also [`Guest::run`].
    pub fn read(&mut self, command: &str) -> Result<String> {
        self.run(command)?
            .success()
            .map_err(|why| Error::failure(format!("`{command}` in the guest: {why}")))
    }

    /// Runs a command that is to power it off.
    ///
    /// # Errors
    /// If it goes on, or ends in another way.
    pub fn run_to_power_off(mut self, command: &str) -> Result<()> {
        match self.session.run_to_end(command, Instant::now() + POWER_OFF_TIMEOUT)? {
            Ending::PoweredOff => Ok(()),
            other => Err(self.session.error(other)),
        }
    }

    /// Powers it off in order.
    ///
    /// # Errors
    /// If it does not power off, or ends in another way.
    pub fn power_off(self) -> Result<()> {
        self.session.power_off(Instant::now() + POWER_OFF_TIMEOUT)
    }
}
