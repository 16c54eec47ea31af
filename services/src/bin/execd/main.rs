//! `execd`, the guest's end of `builder run --exec`: runs the host's commands
//! and sends back their output and how they ended.
//!
//! It serves the virtio serial port `org.keelson.exec`. Whoever holds the
//! host's end is root in the guest: this belongs into development and test
//! images only. `docs/exec-protocol.md` has the protocol; absent there, absent here.

mod command;
mod port;
mod session;
mod settled;

use std::path::PathBuf;
use std::process::ExitCode;

use init_core::exec_protocol::PORT_NAME;
use init_core::protocol::CONTROL_SOCKET;
use lexopt::Arg;
use services::notify::notify;
use services::problem::{Context, Result};
use services::program;

/// The name under which `execd` reports problems.
const PROGRAM: &str = "execd";

const HELP: &str = "\
Runs the commands of `builder run --exec` in the guest.

Usage: execd [OPTIONS]

Without the virtio serial port `org.keelson.exec` it has nothing to do and exits
with 0 at once. Whoever holds the host's end of the port is root in the guest.

Options:
      --port PATH       serve this terminal or port instead
      --socket PATH     PID 1's control socket [default: /run/init/control]
      --boot-file PATH  has a line `complete_us=…` once the services that start
                        at boot have settled [default: /run/init/boot]
  -h, --help            this text
";

/// What the command line says.
struct Settings {
    port: Option<PathBuf>,
    control_socket: PathBuf,
    boot_file: PathBuf,
}

fn main() -> ExitCode {
    program::run(PROGRAM, HELP, parse, |settings| serve(&settings))
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<Settings>> {
    let mut settings = Settings {
        port: None,
        control_socket: CONTROL_SOCKET.into(),
        boot_file: "/run/init/boot".into(),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("port") => settings.port = Some(parser.value()?.into()),
            Arg::Long("socket") => settings.control_socket = parser.value()?.into(),
            Arg::Long("boot-file") => settings.boot_file = parser.value()?.into(),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(settings))
}

/// Serves one session of the host after the other; returns only without a port.
fn serve(settings: &Settings) -> Result<()> {
    let path = match &settings.port {
        Some(path) => Some(path.clone()),
        None => port::find(PORT_NAME).context(|| "cannot look for virtio ports".to_owned())?,
    };
    notify("READY=1").context(|| "cannot tell PID 1 that execd is ready".to_owned())?;
    let Some(path) = path else { return Ok(()) };
    let mut settled = None;
    loop {
        let port = port::open(&path).context(|| format!("cannot open `{}`", path.display()))?;
        port::wait_for_host(&port).context(|| "cannot wait for the host".to_owned())?;
        let settled = match settled {
            Some(true) => true,
            _ => *settled.insert(settled::wait(&settings.boot_file)),
        };
        session::run(&port, settled, &settings.control_socket)
            .context(|| format!("cannot serve `{}`", path.display()))?;
    }
}
