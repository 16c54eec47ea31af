//! A booted image that runs commands: what boot tests and benchmarks stand on.

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::arch::Arch;
use crate::cache::Cache;
use crate::error::{Error, IoContext, Result};
use crate::ops::run::boot_method::BootMethod;
use crate::ops::run::plan::{self, Parts, Wishes};
use crate::qemu::accel;
use crate::qemu::board::Board;
use crate::qemu::ending::Ending;
use crate::qemu::exec::shell_status;
use crate::qemu::firmware::{self, Variables};
use crate::qemu::launch::RunDirectory;
use crate::qemu::network::{self, Card};
use crate::qemu::session::{Session, Stream};
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
    /// The command that was begun and has not ended.
    running: Option<String>,
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
    /// What a command that succeeded and printed `text` leaves.
    #[cfg(test)]
    pub(crate) fn of(text: &str) -> Self {
        Self { status: 0, stdout: text.into(), stderr: Vec::new() }
    }

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
    /// Its network cards.
    pub cards: Vec<Card>,
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
            cards: Vec::new(),
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
        despite_crash(shell, || {
            let mut guest = Self::begin_boot(shell, parts.clone(), setup)?;
            guest.wait_until_up()?;
            Ok(guest)
        })
    }

    /// Begins to boot an image. The guest comes up while the caller does something
    /// else, such as to boot another; nothing but [`Guest::wait_until_up`] may
    /// be asked of it before.
    ///
    /// # Errors
    /// If it does not start.
    pub fn begin_boot(shell: &Shell, parts: Parts, setup: &Setup) -> Result<Self> {
        let session = Self::start(shell, parts, setup)?;
        session.wait_until_cable_listens()?;
        Ok(Self { session, running: None })
    }

    /// Waits until it takes commands.
    ///
    /// # Errors
    /// If it does not come up, or its services do not settle.
    pub fn wait_until_up(&mut self) -> Result<()> {
        if self.session.wait_until_ready(Instant::now() + BOOT_TIMEOUT)? {
            return Ok(());
        }
        Err(Error::failure("the services that start at boot did not settle"))
    }

    /// Boots an image that is to end by itself, and says how it did.
    ///
    /// # Errors
    /// If it does not start. A guest that goes on is an [`Ending::TimedOut`].
    pub fn boot_to_end(shell: &Shell, parts: Parts, setup: &Setup) -> Result<Ending> {
        despite_crash(shell, || {
            let mut session = Self::start(shell, parts.clone(), setup)?;
            match session.wait_for_end(Some(Instant::now() + BOOT_TIMEOUT))? {
                crash @ Ending::EmulatorCrashed(_) => Err(session.error(crash)),
                ending => Ok(ending),
            }
        })
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
            cards: setup.cards.clone(),
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
        self.begin(command)?;
        self.finish()
    }

    /// The same with another patience than is usual.
    ///
    /// # Errors
    /// As [`Guest::run`].
    pub fn run_within(&mut self, command: &str, limit: Duration) -> Result<Output> {
        self.begin(command)?;
        self.finish_within(limit)
    }

    /// Has it begin with a command, so that another guest can be driven meanwhile.
    /// [`Guest::finish`] comes next.
    ///
    /// # Errors
    /// If the guest has ended.
    pub fn begin(&mut self, command: &str) -> Result<()> {
        self.running = Some(command.to_owned());
        self.session.begin(command)
    }

    /// Waits for the end of the command that was begun.
    ///
    /// # Errors
    /// As [`Guest::run`].
    pub fn finish(&mut self) -> Result<Output> {
        self.finish_within(COMMAND_TIMEOUT)
    }

    fn finish_within(&mut self, limit: Duration) -> Result<Output> {
        let mut output = Output { status: 0, stdout: Vec::new(), stderr: Vec::new() };
        let deadline = Instant::now() + limit;
        let status = self.session.finish(deadline, |stream, bytes| match stream {
            Stream::Stdout => output.stdout.extend_from_slice(bytes),
            Stream::Stderr => output.stderr.extend_from_slice(bytes),
        })?;
        self.running = None;
        output.status = shell_status(status);
        Ok(output)
    }

    /// Makes sure that it can be asked something: no command is running in it.
    ///
    /// # Errors
    /// If one is, because the guest hung or ended meanwhile, or it was never waited for.
    pub fn must_be_idle(&self) -> Result<()> {
        match &self.running {
            None => Ok(()),
            Some(command) => {
                Err(Error::failure(format!("the guest has not finished with `{command}`")))
            }
        }
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

    /// Has QEMU do something with the machine while it runs, by QMP.
    ///
    /// # Errors
    /// If QEMU refuses, or the guest ends meanwhile.
    pub fn control(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        self.session.control(command, arguments)
    }

    /// Puts the cable into the network card at this place (0 is the first), or pulls it out.
    ///
    /// # Errors
    /// If there is no such card; see also [`Guest::control`].
    pub fn set_link(&mut self, card: usize, is_up: bool) -> Result<()> {
        let arguments = json!({ "name": network::name(card), "up": is_up });
        self.control("set_link", &arguments).map(|_empty| ())
    }

    /// Where the host reaches a port of the guest's that is published.
    ///
    /// # Errors
    /// If it is not; see also [`Guest::control`].
    pub fn published(&mut self, port: u16) -> Result<SocketAddrV4> {
        let arguments = json!({ "command-line": "info usernet" });
        let table = self.control("human-monitor-command", &arguments)?;
        let found = network::published_port(table.as_str().unwrap_or_default(), port);
        let host = found.ok_or_else(|| {
            Error::internal(format!("port {port} of the guest is not published: {table}"))
        })?;
        Ok(SocketAddrV4::new(network::PUBLISHED_AT, host))
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

/// Boots a guest, and once more if QEMU crashed. QEMU 7.2 does so now and then while a guest of
/// two processors moves its PCI devices in memory: that says nothing of the guest.
fn despite_crash<T>(shell: &Shell, boot: impl Fn() -> Result<T>) -> Result<T> {
    match boot() {
        Err(error) if error.is_transient() => {
            shell.warn(error.context("the guest is booted once more"));
            boot()
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// How often a guest is booted if it crashes so often at first, and what comes of it.
    fn booted(crashes: u32, crash: Ending) -> (u32, Result<()>) {
        let crash = Cell::new(Some(crash));
        let boots = Cell::new(0);
        let result = despite_crash(&Shell::new(true), || {
            boots.set(boots.get() + 1);
            if boots.get() > crashes {
                return Ok(());
            }
            let ending = crash.take().unwrap_or_else(|| Ending::EmulatorCrashed("again".into()));
            Err(ending.into_error(""))
        });
        (boots.get(), result)
    }

    #[test]
    fn a_crash_of_qemu_is_forgiven_once() {
        let crash = || Ending::EmulatorCrashed("signal: 11".into());
        assert!(matches!(booted(0, crash()), (1, Ok(()))));
        assert!(matches!(booted(1, crash()), (2, Ok(()))));
        let (boots, result) = booted(3, crash());
        assert_eq!(boots, 2);
        assert!(result.unwrap_err().to_string().starts_with("qemu crashed: again"));
    }

    #[test]
    fn what_the_guest_did_is_not_forgiven() {
        for ending in [Ending::Panicked, Ending::Reset, Ending::EmulatorFailed("x".into())] {
            let (boots, result) = booted(1, ending);
            assert_eq!(boots, 1);
            result.unwrap_err();
        }
    }
}
