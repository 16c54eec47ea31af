//! `builder run`: builds an image, boots it, and is in it.

pub mod boot_method;
mod exec_service;
mod kept_disk;
pub mod medium;
pub mod plan;

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::ValueEnum;

use crate::arch::Arch;
use crate::bus::Bus;
use crate::cache::Cache;
use crate::definition;
use crate::error::{Context, Error, Result};
use crate::host_needs::{self, Needs};
use crate::image;
use crate::ops::image::{BuildArgs, host_arch};
use crate::qemu::accel;
use crate::qemu::board::{Board, Machine};
use crate::qemu::ending::Ending;
use crate::qemu::exec::shell_status;
use crate::qemu::firmware::{self, Variables};
use crate::qemu::launch::RunDirectory;
use crate::qemu::network::{Card, Mac, Network, PUBLISHED_AT, Port};
use crate::qemu::session::{Session, Stream};
use crate::shell::Shell;
use boot_method::BootMethod;
use medium::{DiskWishes, Medium};
use plan::{Parts, Wishes};

/// How long a guest with a command may take unless `--timeout` says otherwise.
const EXEC_TIMEOUT_DEFAULT: Duration = Duration::from_secs(300);
/// How long a guest may take to power off once its command has ended.
pub const POWER_OFF_TIMEOUT: Duration = Duration::from_secs(60);

/// Arguments of `builder run`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "With --exec the exit code is the command's own (128 + N if signal N ended it), unless\n\
    123 qemu did not start or failed by itself\n\
    124 the guest hangs: it had not finished within --timeout\n\
    125 the guest's kernel panicked\n\
    126 the guest died: it reset, powered off or was stopped before it had finished\n\
    A message on standard error tells them from a command that exits with the same number."
)]
pub struct Args {
    /// An image under images/, or the path of a definition
    #[arg(default_value = "standard")]
    image: String,
    /// The guest's architecture [default: the host's]
    #[arg(long)]
    arch: Option<Arch>,
    /// How the kernel is loaded
    #[arg(long, value_enum, default_value = "direct")]
    boot: BootMethod,
    /// The guest's board [default: q35 for x86_64, virt for aarch64]
    #[arg(long, value_enum)]
    machine: Option<Machine>,
    /// What the guest's disk hangs on
    #[arg(long, value_enum, default_value = "virtio-blk")]
    bus: Bus,
    /// Which output is the guest's disk
    #[arg(long, value_enum, default_value = "disk")]
    medium: Medium,
    /// What becomes of variables the guest sets, with --boot uefi [default: writable]
    #[arg(long, value_enum)]
    uefi_variables: Option<Variables>,
    /// Run this command in the guest instead of its console, then power it off
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// The guest's memory, in MiB
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = clap::value_parser!(u32).range(16..))]
    memory_mib: u32,
    /// The guest's processors
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=255))]
    cpus: u32,
    /// What executes the guest's instructions
    #[arg(long, value_enum, default_value = "auto")]
    accel: accel::Choice,
    /// Longest time the guest may run, in seconds [default: 300 with --exec, else no limit]
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    timeout: Option<u64>,
    /// Keep what the guest writes to its disk in this copy, made if it is not there yet
    #[arg(long, value_name = "FILE")]
    keep_disk: Option<PathBuf>,
    /// Keep what the guest writes to its serial console in this file
    #[arg(long, value_name = "FILE")]
    console_log: Option<PathBuf>,
    /// A further kernel parameter, with --boot direct; may be repeated
    #[arg(long = "parameter", value_name = "PARAMETER")]
    parameters: Vec<String>,
    /// What the guest's network card is connected to
    #[arg(long, value_enum, default_value = "user")]
    network: NetworkChoice,
    /// Reach port PORT of the guest by port HOST of this host's 127.0.0.1 [HOST: as PORT]; may be repeated
    #[arg(long, value_name = "[HOST:]PORT")]
    publish: Vec<Port>,
    #[command(flatten)]
    build: BuildArgs,
    /// Further arguments for QEMU, after `--`
    #[arg(last = true, value_name = "QEMU")]
    qemu: Vec<OsString>,
}

/// Builds, boots, and runs the command or hands over the console.
///
/// # Errors
/// Those of the build; those of [`Ending`] with their exit codes; and, with the
/// command's own exit code, a command that failed.
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    let arch = args.arch.map_or_else(host_arch, Ok)?;
    // Whatever cannot be is told before anything is built.
    let board = args.board(arch)?;
    args.check_published()?;
    let request = args.build.request(&args.image, arch)?;
    let image = definition::load(&request.project, &request.image)?;
    medium::check(&image, args.disk(board))?;
    if args.exec.is_some() {
        exec_service::check(&image)?;
    }
    prepare_host(shell, args, arch)?;
    let built = image::build(shell, &request)?;
    let mut parts = Parts::with_medium(&built, args.medium);
    if let Some(kept) = &args.keep_disk {
        parts.disk = Some(kept_disk::attach(shell, &parts, kept)?);
    }
    let accelerator = accel::choose(shell, &Cache::open()?, arch, args.accel)?;
    let directory = RunDirectory::new()?;
    let firmware = match args.boot {
        BootMethod::Uefi => {
            let variables = args.uefi_variables.unwrap_or(Variables::Writable);
            Some(firmware::prepare(arch, variables, directory.path())?)
        }
        BootMethod::Direct | BootMethod::Bios => None,
    };
    let wishes = Wishes {
        board,
        boot: args.boot,
        memory_mib: args.memory_mib,
        cpus: args.cpus,
        accelerator,
        is_interactive: args.exec.is_none(),
        cards: args.cards(),
        parameters: args.parameters.clone(),
        qemu: args.qemu.clone(),
    };
    let spec = plan::plan(parts, wishes, firmware)?;
    // A medium for reading alone has no root that could be another.
    if args.keep_disk.is_some() && args.medium == Medium::Disk {
        kept_disk::check(&spec, &built)?.into_iter().for_each(|warning| shell.warn(warning));
    }
    let log = args.console_log.clone();
    let session = Session::start(shell, &spec, directory, args.exec.is_none(), log)?;
    let timeout = args.timeout.map(Duration::from_secs);
    match &args.exec {
        Some(command) => execute(shell, session, command, timeout.unwrap_or(EXEC_TIMEOUT_DEFAULT)),
        None => converse(session, timeout),
    }
}

/// What the guest's network card is connected to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum NetworkChoice {
    /// QEMU's user network: the guest reaches what the host reaches
    User,
    /// There is no card
    None,
}

impl Args {
    /// The machine that is wished for.
    fn board(&self, arch: Arch) -> Result<Board> {
        let board = Board::new(arch, self.machine, self.bus)?;
        plan::check(self.boot, board, &self.parameters)?;
        if self.uefi_variables.is_some() && self.boot != BootMethod::Uefi {
            return Err(Error::definition("only UEFI firmware has variables")
                .hint("leave out --uefi-variables, or use `--boot uefi`"));
        }
        Ok(board)
    }

    /// The guest's disk.
    fn disk(&self, board: Board) -> DiskWishes {
        DiskWishes {
            medium: self.medium,
            boot: self.boot,
            board,
            is_kept: self.keep_disk.is_some(),
            names_root: plan::names_root(&self.parameters),
        }
    }

    /// The guest's network cards.
    fn cards(&self) -> Vec<Card> {
        let network = Network::User { published: self.publish.clone(), is_isolated: false };
        match self.network {
            NetworkChoice::User => vec![Card { mac: Mac::of(0, 0), network }],
            NetworkChoice::None => Vec::new(),
        }
    }

    /// Makes sure that what is published can be, before anything is built for it.
    fn check_published(&self) -> Result<()> {
        if self.network == NetworkChoice::None && !self.publish.is_empty() {
            return Err(Error::definition("a guest without a network card publishes nothing")
                .hint("leave out --publish, or `--network none`"));
        }
        let taken = |port: &Port| {
            let why = TcpListener::bind((PUBLISHED_AT, port.host)).err()?;
            Some(format!("port {} of {PUBLISHED_AT}: {why}", port.host))
        };
        // Two that are the same are in each other's way too.
        let twice = |(index, port): (usize, &Port)| {
            let is_before = self.publish[..index].iter().any(|other| other.host == port.host);
            is_before
                .then(|| format!("port {} of {PUBLISHED_AT}: it is asked for twice", port.host))
        };
        let mut obstacles: Vec<String> = self.publish.iter().filter_map(taken).collect();
        obstacles.extend(self.publish.iter().enumerate().filter_map(twice));
        let Some(Port { guest, .. }) = self.publish.first().filter(|_| !obstacles.is_empty())
        else {
            return Ok(());
        };
        let message = format!("cannot publish by {}", obstacles.join("; by "));
        Err(Error::host(message).hint(format!(
            "choose another port of this host above 1023, as in `--publish {}:{guest}`",
            guest.saturating_add(10_000).max(1024)
        )))
    }
}

/// Makes sure that there is a QEMU before an image is built for it. Where there
/// is none, the host is probably a fresh one: then all the rest is named too.
fn prepare_host(shell: &Shell, args: &Args, arch: Arch) -> Result<()> {
    args.build.prepare_host(shell, &[arch])?;
    let guest = Needs::new().guest(arch, args.boot == BootMethod::Uefi);
    if guest.missing().is_empty() {
        return Ok(());
    }
    host_needs::ensure(shell, &guest.kernel(arch).bios_loader(arch).userland(arch), args.build.yes)
}

/// Runs one command and powers the guest off.
fn execute(shell: &Shell, mut session: Session, command: &str, timeout: Duration) -> Result<()> {
    let deadline = Instant::now() + timeout;
    if !session.wait_until_ready(deadline)? {
        shell.warn("not all services that start at boot have settled");
    }
    let status = session.run(command, deadline, |stream, bytes| match stream {
        Stream::Stdout => shell.data_bytes(bytes),
        Stream::Stderr => shell.diagnostic_bytes(bytes),
    })?;
    let limit = deadline.max(Instant::now() + POWER_OFF_TIMEOUT);
    session.power_off(limit).context(|| "the command has ended, but then".to_owned())?;
    match shell_status(status) {
        0 => Ok(()),
        code => {
            Err(Error::failure(format!("the command ended with status {code}")).exit_with(code))
        }
    }
}

/// Leaves the guest to the person until it ends.
fn converse(mut session: Session, timeout: Option<Duration>) -> Result<()> {
    let ending = session.wait_for_end(timeout.map(|timeout| Instant::now() + timeout))?;
    match ending {
        Ending::PoweredOff | Ending::Quit | Ending::Reset => Ok(()),
        other => {
            let error = session.error(other);
            // Drops the session first: the message needs the terminal as it was.
            session.kill();
            Err(error)
        }
    }
}
