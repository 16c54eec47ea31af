//! The process that waits for a trial's end and takes the rules back. It outlives whatever
//! started it: a session of its own, no terminal, not in the control group of the service
//! (such as the SSH server) by which somebody came.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use services::kmsg;
use services::problem::{Context, Problem, Result};

use crate::arguments::AWAIT_CONFIRMATION;
use crate::compile::compile;
use crate::kernel::Kernel;
use crate::read;
use crate::state::{State, Trial};

/// How often it is looked whether the trial is over.
const PAUSE: Duration = Duration::from_millis(250);

/// What the waiting process says once nothing can end it but its work.
const READY: &str = "waiting";

/// Facility `user`, severity `warning` (syslog(3)).
const WARNING: u8 = (1 << 3) | 4;

/// Starts the waiting process, and returns when it is safe.
///
/// # Errors
/// It could not be started.
pub(crate) fn start_waiting(state: &State, trial: &Trial) -> Result<()> {
    let failed = || "cannot start the process that would take the rules back".to_owned();
    let program = env::current_exe().context(failed)?;
    let mut child = Command::new(program)
        .arg("--state")
        .arg(fs::canonicalize(state.directory()).context(failed)?)
        .args([AWAIT_CONFIRMATION, &trial.id])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn()
        .context(failed)?;
    let mut line = String::new();
    if let Some(output) = child.stdout.take() {
        BufReader::new(output).read_line(&mut line).context(failed)?;
    }
    match line.trim_end() == READY {
        true => Ok(()),
        false => Err(Problem::new(failed())),
    }
}

/// Waits until the trial `id` is confirmed or over, and takes the rules back then.
///
/// # Errors
/// The former rules could not be put in force.
pub(crate) fn await_confirmation(state: &State, id: &str) -> Result<()> {
    // A process that leads a group already cannot leave its session; it has none to lose then.
    let _ = rustix::process::setsid();
    // Whose control group is emptied with its service must not be in it.
    let _ = fs::write("/sys/fs/cgroup/cgroup.procs", "0");
    // Nor may it be whom the kernel kills for want of memory: nobody else has the way back.
    let _ = fs::write("/proc/self/oom_score_adj", "-1000");
    let mut out = std::io::stdout();
    writeln!(out, "{READY}").and_then(|()| out.flush()).context(|| "nobody waits".to_owned())?;
    loop {
        let Some(trial) = state.trial()?.filter(|trial| trial.id == id) else { return Ok(()) };
        match trial.left() {
            Duration::ZERO => break,
            left => thread::sleep(left.min(PAUSE)),
        }
    }
    let _lock = state.lock()?;
    // A confirmation may have come while this waited for the lock.
    if state.trial()?.is_none_or(|trial| trial.id != id) {
        return Ok(());
    }
    let restored = restore(state);
    let result = match &restored {
        Ok(()) => "rules on trial were not confirmed: the former ones are back".to_owned(),
        Err(problem) => {
            format!("rules on trial stay, the former ones cannot be put back: {problem}")
        }
    };
    // The kernel's log, which `logd` keeps: nobody else listens any more.
    kmsg::write(WARNING, crate::PROGRAM, &result);
    restored?;
    state.end_trial()
}

fn restore(state: &State) -> Result<()> {
    let mut kernel = Kernel::open()?;
    let Some(text) = state.kept()? else { return kernel.remove() };
    let rules = read::parse("the former rules", &text);
    let rules = rules.map_err(|findings| services::config_file::problem(&findings))?;
    kernel.replace(&compile(&rules))
}
