//! `misbehave MODE`: services as nobody wants them, for the boot tests. For
//! test images only.
//!
//! The modes are in [`HELP`]. Most processes are made by starting this program again.

use std::env;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitCode};
use std::thread;
use std::time::Duration;

use init_core::protocol::{CONTROL_SOCKET, REQUEST_BYTES_MAX};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use services::notify::notify;
use services::problem::{Context, Problem, Result};
use services::sys::vfork_exit;
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

const HELP: &str = "\
Behaves badly, in one way at a time.

Usage: misbehave MODE [N]

Modes:
  crash                    aborts (SIGABRT) at once
  exit N                   exits with status N at once
  unready                  runs, and never says READY=1
  never-dies               ignores every signal that can be ignored
  ignore-term-double-fork  like never-dies, and so does a grandchild in a session
                           of its own, whose parent has exited
  orphans N                leaves N ended processes behind, 500 at once, then runs
  chatty N                 prints N numbered lines, then exits with 0
  starve-init              has the kernel refuse PID 1 more memory (RLIMIT_DATA), then
                           makes PID 1 want some, which is a panic. Keelson's PID 1 only
";

/// Orphans of one parent. They all exist until it ends, and a kernel with 256 MiB
/// allows about 2,000 processes.
const BURST: u32 = 500;

/// Each makes PID 1 want up to [`REQUEST_BYTES_MAX`], which together is far more
/// than its heap has free.
const STARVING_CLIENTS: usize = 16;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match misbehave(&arguments) {
        Ok(code) => code,
        Err(problem) => {
            problem.print("misbehave");
            ExitCode::from(2)
        }
    }
}

fn misbehave(arguments: &[String]) -> Result<ExitCode> {
    let number = || -> Result<u32> {
        let text = arguments.get(1).ok_or_else(|| Problem::new("a number is missing"))?;
        text.parse().context(|| format!("`{text}` is no number"))
    };
    match arguments.first().map(String::as_str) {
        Some("crash") => std::process::abort(),
        Some("exit") => {
            return Ok(ExitCode::from(u8::try_from(number()?).unwrap_or(u8::MAX)));
        }
        Some("unready") => run_for_ever(),
        Some("never-dies") => ignore_signals().and_then(|()| ready()).map(|()| run_for_ever())?,
        Some("ignore-term-double-fork") => double_fork()?,
        Some("orphans") => leave_orphans(number()?)?,
        Some("starve-init") => starve_init()?,
        Some("chatty") => chatter(number()?).context(|| "cannot print".to_owned())?,
        // What the modes above start this program with.
        Some("orphan-parent") => {
            for _ in 0..number()? {
                vfork_exit().context(|| "cannot make an orphan".to_owned())?;
            }
        }
        Some("detached-parent") => drop(start(&["detached"])?),
        Some("detached") => {
            rustix::process::setsid().context(|| "cannot leave the session".to_owned())?;
            ignore_signals()?;
            run_for_ever();
        }
        Some("-h" | "--help") => {
            io::stdout().write_all(HELP.as_bytes()).context(|| "cannot print".to_owned())?;
        }
        _ => return Err(Problem::new("unknown mode").with_hint("`misbehave --help` lists them")),
    }
    Ok(ExitCode::SUCCESS)
}

fn run_for_ever() {
    loop {
        rustix::event::pause();
    }
}

fn ready() -> Result<()> {
    notify("READY=1").context(|| "cannot tell PID 1".to_owned())
}

/// Registers handlers that do nothing, which for the one who signals is the same
/// as ignoring; unlike that it is not inherited across exec.
fn ignore_signals() -> Result<()> {
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
        let flag = std::sync::Arc::default();
        signal_hook::flag::register(signal, flag).context(|| "cannot ignore".to_owned())?;
    }
    Ok(())
}

fn start(arguments: &[&str]) -> Result<Child> {
    let program = env::current_exe().context(|| "cannot find this program".to_owned())?;
    let child = Command::new(program).args(arguments).spawn();
    child.context(|| format!("cannot start `misbehave {}`", arguments.join(" ")))
}

fn wait(mut child: Child) -> Result<()> {
    match child.wait().context(|| "cannot wait for a child".to_owned())? {
        status if status.success() => Ok(()),
        status => Err(Problem::new(format!("a child did not do its part: {status}"))),
    }
}

fn double_fork() -> Result<()> {
    ignore_signals()?;
    wait(start(&["detached-parent"])?)?;
    ready()?;
    run_for_ever();
    Ok(())
}

/// A process makes many, waits for none and ends: in that moment whoever takes over
/// orphans has all of them to wait for.
fn leave_orphans(count: u32) -> Result<()> {
    let mut rest = count;
    while rest > 0 {
        let burst = rest.min(BURST);
        wait(start(&["orphan-parent", &burst.to_string()])?)?;
        rest -= burst;
    }
    ready()?;
    run_for_ever();
    Ok(())
}

/// Requests that have begun and never end: PID 1 keeps what it has of them.
fn starve_init() -> Result<()> {
    // Connected first: where PID 1 is another one it shall not be harmed.
    let mut clients = Vec::new();
    for _ in 0..STARVING_CLIENTS {
        let client = UnixStream::connect(CONTROL_SOCKET);
        clients.push(client.context(|| format!("cannot reach PID 1 at `{CONTROL_SOCKET}`"))?);
    }
    // Far below what it has. Not 0, which Linux takes for Valgrind's way of saying
    // "no limit" (mm/mmap.c, may_expand_vm).
    let nothing_more = Rlimit { current: Some(1), maximum: None };
    prlimit(Some(Pid::INIT), Resource::Data, nothing_more)
        .context(|| "cannot limit PID 1's memory".to_owned())?;
    let mut request = u32::try_from(REQUEST_BYTES_MAX).unwrap_or(0).to_le_bytes().to_vec();
    request.resize(REQUEST_BYTES_MAX, 0);
    for mut client in &clients {
        client.write_all(&request).context(|| "cannot ask PID 1".to_owned())?;
    }
    run_for_ever();
    Ok(())
}

fn chatter(count: u32) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in 0..count {
        writeln!(out, "line {line:06}")?;
        if line % 1000 == 999 {
            thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}
