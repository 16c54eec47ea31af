//! `measure MODE`: what boot tests and benchmarks want to know from inside a
//! guest that may have no other tools. For test and bench images only.

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use init_core::protocol::{CONTROL_SOCKET, Request};
use rustix::time::{ClockId, clock_gettime};
use services::control::Client;
use services::problem::{Context, Problem, Result};

const HELP: &str = "\
Measures PID 1 from the inside.

Usage: measure MODE

Modes:
  show FILE…                    print files
  clock                         print CLOCK_MONOTONIC in microseconds
  list-during COMMAND [ARG]…    ask PID 1 for its services again and again while
                                COMMAND runs; print how long the answers took
";

/// Pause between two questions, so that the measurement is not the load.
const PAUSE: Duration = Duration::from_millis(2);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((mode, files)) if mode == "show" => show(files),
        Some((mode, [])) if mode == "clock" => clock(),
        Some((mode, command)) if mode == "list-during" => list_during(command),
        Some((mode, _)) if mode == "--help" || mode == "-h" => print(HELP.as_bytes()),
        _ => Err(Problem::new("unknown mode").with_hint("`measure --help` lists them")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            problem.print("measure");
            ExitCode::FAILURE
        }
    }
}

fn show(files: &[String]) -> Result<()> {
    for file in files {
        print(&std::fs::read(file).context(|| format!("cannot read `{file}`"))?)?;
    }
    Ok(())
}

fn clock() -> Result<()> {
    let time: Duration = clock_gettime(ClockId::Monotonic).try_into().unwrap_or_default();
    print(format!("monotonic_us={}\n", time.as_micros()).as_bytes())
}

fn list_during(command: &[String]) -> Result<()> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(Problem::new("a command is missing"));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .context(|| format!("cannot start `{program}`"))?;
    let mut answers_us = Vec::new();
    let status = loop {
        if let Some(status) = child.try_wait().context(|| format!("cannot wait for `{program}`"))? {
            break status;
        }
        // A new connection each time, as svcctl does it.
        let asked = Instant::now();
        Client::connect(Path::new(CONTROL_SOCKET))?.ask(&Request::List)?;
        answers_us.push(asked.elapsed().as_micros());
        std::thread::sleep(PAUSE);
    };
    answers_us.sort_unstable();
    let median = answers_us.get(answers_us.len() / 2).copied().unwrap_or_default();
    let longest = answers_us.last().copied().unwrap_or_default();
    let report = format!(
        "{{\"command_succeeded\":{},\"answers\":{},\"median_us\":{median},\"longest_us\":{longest}}}\n",
        status.success(),
        answers_us.len(),
    );
    print(report.as_bytes())
}

fn print(bytes: &[u8]) -> Result<()> {
    io::stdout().write_all(bytes).context(|| "cannot print".to_owned())
}
