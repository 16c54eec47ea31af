//! `devd`, the device manager: who may use a device, and the names it is found by.
//!
//! The kernel makes the nodes (devtmpfs); `devd` gives them owner, group and mode by
//! rules, makes the links of `/dev/disk`, and tells on `/run/devd/events` when it is done
//! with a device. docs/devices-and-mounts.md has the rules and the names. Where the kernel
//! has modules, it has those loaded that devices ask for (docs/kernel.md). Absent: firmware,
//! which the kernel reads itself, names of network interfaces, programs that an event starts.

mod drivers;
mod kernel_events;
mod links;
mod listeners;
mod manager;
mod node;
mod registry;
mod rules;
mod uevent;
mod written;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use lexopt::Arg;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::thread::CapabilitySet;
use services::bounded_file;
use services::notify::notify;
use services::privileges::keep_only;
use services::problem::{Context, Problem, Result, warn};
use services::program;
use services::signals::Termination;
use services::storage::block::sysfs::Sysfs;

use drivers::Drivers;
use kernel_events::{KernelEvents, Received};
use listeners::Listeners;
use manager::Manager;
use rules::Rule;
use uevent::Uevent;
use written::Written;

/// The name under which problems are reported.
const PROGRAM: &str = "devd";

/// The distribution's rules, and the machine's own, which come after them.
const RULES: [&str; 2] = ["/usr/lib/devices.toml", "/etc/devices.toml"];

const HELP: &str = "\
Gives device nodes their owner, group and mode, and makes the links of /dev/disk.

Usage: devd [--events PATH]
       devd check [FILE...]

Options:
      --events PATH  where others hear about devices [default: /run/devd/events]
  -h, --help         this text

`devd check` reads rules and reports every mistake in them; without FILE those of
/usr/lib/devices.toml and /etc/devices.toml. Exit status: 0 done, 1 failed, 2 usage.
";

/// What the command line asks for.
enum Command {
    Serve { events: PathBuf },
    Check { files: Vec<PathBuf> },
}

fn main() -> ExitCode {
    program::run(PROGRAM, HELP, parse, |command| match command {
        Command::Serve { events } => serve(&events),
        Command::Check { files } => check(&files),
    })
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<Command>> {
    let mut events = PathBuf::from("/run/devd/events");
    let mut files: Option<Vec<PathBuf>> = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("events") => events = parser.value()?.into(),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(word) => match &mut files {
                Some(files) => files.push(word.into()),
                None if word == "check" => files = Some(Vec::new()),
                None => return Err(Arg::Value(word).unexpected().into()),
            },
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(files.map_or(Command::Serve { events }, |files| Command::Check { files })))
}

/// Reads rules and prints what is wrong with them.
fn check(files: &[PathBuf]) -> Result<()> {
    let shipped = RULES.iter().map(PathBuf::from).filter(|path| path.exists()).collect();
    let files: Vec<PathBuf> = if files.is_empty() { shipped } else { files.to_vec() };
    let mut wrong = 0;
    for file in &files {
        let shown = file.display().to_string();
        let bytes = bounded_file::read(file, rules::RULES_BYTES_MAX)
            .context(|| format!("cannot read `{shown}`"))?;
        for finding in rules::parse(&shown, &bytes).err().unwrap_or_default() {
            wrong += 1;
            writeln!(io::stdout(), "{finding}").context(|| "cannot write the output".to_owned())?;
        }
    }
    match wrong {
        0 => Ok(()),
        1 => Err(Problem::new("there is a mistake in the rules")),
        count => Err(Problem::new(format!("there are {count} mistakes in the rules"))),
    }
}

/// The rules in force. A file with mistakes is left out, and they go to the log: devices are
/// worth more with the other file's rules than without any.
fn load_rules() -> Vec<Rule> {
    let mut all = Vec::new();
    for file in RULES {
        let bytes = match bounded_file::read(Path::new(file), rules::RULES_BYTES_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                warn(PROGRAM, format_args!("cannot read `{file}`: {error}"));
                continue;
            }
        };
        match rules::parse(file, &bytes) {
            Ok(rules) => all.extend(rules),
            Err(findings) => {
                for finding in findings {
                    warn(PROGRAM, format_args!("{finding}"));
                }
                warn(PROGRAM, format_args!("no rule of `{file}` is in force"));
            }
        }
    }
    all
}

fn serve(events: &Path) -> Result<()> {
    let termination = Termination::catch().context(|| "cannot catch signals".to_owned())?;
    // Listening before looking: no device can come unseen in between.
    let kernel = KernelEvents::listen().context(|| "cannot hear the kernel's events".to_owned())?;
    let written = Written::new().context(|| "cannot watch block devices".to_owned())?;
    let listeners =
        Listeners::open(events).context(|| format!("cannot listen at `{}`", events.display()))?;
    let manager = Manager::new(Sysfs::default(), Path::new("/dev"), load_rules());
    let drivers = Drivers::of_system();
    keep_only(needed(drivers.is_some()))?;
    let mut daemon = Daemon { drivers, manager, listeners, written };
    let count = daemon.look_at_everything();
    let state = format!("READY=1\nSTATUS={count} devices");
    notify(&state).context(|| "cannot tell PID 1 that devd is ready".to_owned())?;
    loop {
        let [stop, news, changes, calls] =
            wait(&termination, &kernel, &daemon.written, &daemon.listeners)
                .context(|| "cannot wait for events".to_owned())?;
        if stop {
            return Ok(());
        }
        if calls {
            daemon.listeners.accept();
        }
        if news {
            daemon.hear(&kernel)?;
        }
        if changes {
            daemon.look_again().context(|| "cannot watch block devices".to_owned())?;
        }
    }
}

/// The capabilities that nodes need: their owner and mode are set, and what is on a disk is read,
/// whomever the disk belongs to.
fn needed(has_drivers: bool) -> CapabilitySet {
    let nodes = CapabilitySet::CHOWN | CapabilitySet::FOWNER | CapabilitySet::DAC_READ_SEARCH;
    if has_drivers { nodes | CapabilitySet::SYS_MODULE } else { nodes }
}

/// Which of the four has something to say.
fn wait(
    termination: &Termination,
    kernel: &KernelEvents,
    written: &Written,
    listeners: &Listeners,
) -> io::Result<[bool; 4]> {
    let mut sources = [
        PollFd::new(termination, PollFlags::IN),
        PollFd::new(kernel, PollFlags::IN),
        PollFd::new(written, PollFlags::IN),
        PollFd::new(listeners, PollFlags::IN),
    ];
    match poll(&mut sources, None) {
        Ok(_) => Ok(sources.map(|source| !source.revents().is_empty())),
        Err(Errno::INTR) => Ok([false; 4]),
        Err(error) => Err(error.into()),
    }
}

/// All of it together.
struct Daemon {
    /// Where the kernel has modules.
    drivers: Option<Drivers>,
    manager: Manager,
    listeners: Listeners,
    written: Written,
}

impl Daemon {
    /// Takes in every device that is there, and says how many.
    fn look_at_everything(&mut self) -> usize {
        if let Some(drivers) = &mut self.drivers {
            drivers.look_at_everything(self.manager.sysfs().root());
        }
        let present = self.manager.present();
        for event in &present {
            self.take(event);
        }
        self.manager.sweep(&present);
        present.len()
    }

    fn hear(&mut self, kernel: &KernelEvents) -> Result<()> {
        loop {
            match kernel.next().context(|| "cannot hear the kernel's events".to_owned())? {
                Received::Event(event) => {
                    if let Some(drivers) = &mut self.drivers {
                        drivers.take(&event);
                    }
                    self.take(&event);
                }
                Received::Other => {}
                Received::Lost => {
                    warn(PROGRAM, "events were lost; looking at all devices again");
                    self.look_at_everything();
                }
                Received::Nothing => return Ok(()),
            }
        }
    }

    /// Looks again at the block devices that were written to.
    fn look_again(&mut self) -> io::Result<()> {
        for name in self.written.take()? {
            for event in self.manager.family(&name) {
                self.take(&Uevent { action: "change".to_owned(), ..event });
            }
        }
        Ok(())
    }

    fn take(&mut self, event: &Uevent) {
        self.manager.handle(event);
        if event.subsystem == "block"
            && event.action != "remove"
            && let Some(node) = event.node()
        {
            self.written.watch(&self.manager.node_path(node), event.name());
        }
        self.listeners.tell(event, &self.manager.links_of(&event.devpath));
    }
}
