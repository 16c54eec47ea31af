//! `measure MODE`: what boot tests and benchmarks want to know from inside a
//! guest that may have no other tools. For test and bench images only.

mod metronome;

use std::env;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use init_core::protocol::{CONTROL_SOCKET, Request};
use rustix::time::{ClockId, clock_gettime};
use services::control::Client;
use services::problem::{Context, Problem, Result};

use metronome::Metronome;

const HELP: &str = "\
Measures PID 1 from the inside.

Usage: measure MODE

Modes:
  show FILE…                    print files
  clock                         print CLOCK_MONOTONIC in microseconds
  list-during COMMAND [ARG]…    ask PID 1 for its services again and again while
                                COMMAND runs; print how long the answers took, by
                                the clock and but for what the host took away
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
    let metronome = Metronome::start()?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .context(|| format!("cannot start `{program}`"))?;
    let (mut answers, mut lived_longest) = (Vec::new(), Duration::ZERO);
    let status = loop {
        if let Some(status) = child.try_wait().context(|| format!("cannot wait for `{program}`"))? {
            break status;
        }
        // A new connection each time, as svcctl does it.
        let (moment, asked) = (metronome.moment(), Instant::now());
        Client::connect(Path::new(CONTROL_SOCKET))?.ask(&Request::List)?;
        let elapsed = asked.elapsed();
        lived_longest = lived_longest.max(metronome.lived_since(&moment, elapsed));
        answers.push(elapsed);
        std::thread::sleep(PAUSE);
    };
    answers.sort_unstable();
    let us = |time: Option<&Duration>| time.map_or(0, Duration::as_micros);
    let report = serde_json::json!({
        "command_succeeded": status.success(),
        "answers": answers.len(),
        "median_us": us(answers.get(answers.len() / 2)),
        "longest_us": us(answers.last()),
        "longest_lived_us": us(Some(&lived_longest)),
    });
    print(format!("{report}\n").as_bytes())
}

fn print(bytes: &[u8]) -> Result<()> {
    io::stdout().write_all(bytes).context(|| "cannot print".to_owned())
}
