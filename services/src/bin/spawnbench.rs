//! `spawnbench COUNT PROGRAM [ARGUMENT…]`: how long the barest way of starting
//! programs takes. `builder bench boot` holds PID 1 against it. For bench images only.
//!
//! Each program is started by vfork and exec, and the next one only when it has been
//! executed; what PID 1 does besides (cgroups, pipes, pidfds) is left out on purpose.
//! The programs are killed when the time has been taken.

use std::env;
use std::ffi::CString;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::time::{ClockId, clock_gettime};
use services::problem::{Context, Problem, Result};
use services::sys::{Program, vfork_exec};

/// Most programs that are started at once.
const COUNT_MAX: usize = 10_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            problem.print("spawnbench");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let usage = || Problem::new("usage: spawnbench COUNT PROGRAM [ARGUMENT…]");
    let mut arguments = env::args_os().skip(1);
    let count = arguments.next().ok_or_else(usage)?;
    let count: usize = count.to_string_lossy().parse().map_err(|_| usage())?;
    if count > COUNT_MAX {
        return Err(Problem::new(format!("{count} programs are more than {COUNT_MAX}")));
    }
    let words: std::result::Result<Vec<_>, _> =
        arguments.map(|word| CString::new(word.into_vec())).collect();
    let environment = env::vars_os().filter_map(|(key, value)| {
        CString::new([key.as_bytes(), b"=", value.as_bytes()].concat()).ok()
    });
    let program = Program::new(words.map_err(|_| usage())?, environment.collect());
    let program = program.ok_or_else(usage)?;
    let mut started = Vec::with_capacity(count);
    let begin = monotonic_now();
    let result = (0..count).try_for_each(|_| vfork_exec(&program).map(|pid| started.push(pid)));
    let elapsed = monotonic_now().saturating_sub(begin);
    end(&started);
    result.context(|| format!("cannot start program {} of {count}", started.len() + 1))?;
    let report = format!("{{\"programs\":{count},\"elapsed_us\":{}}}\n", elapsed.as_micros());
    io::stdout().write_all(report.as_bytes()).context(|| "cannot write the result".to_owned())
}

fn monotonic_now() -> Duration {
    clock_gettime(ClockId::Monotonic).try_into().unwrap_or_default()
}

/// Kills and waits for what was started. A program that is gone already is no matter.
fn end(started: &[Pid]) {
    for pid in started {
        let _ = kill_process(*pid, Signal::KILL);
    }
    for pid in started {
        let _ = waitpid(Some(*pid), WaitOptions::empty());
    }
}
