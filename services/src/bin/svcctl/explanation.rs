//! Why a service is as it is, and what a person can do about it.

use init_core::name::ServiceName;
use init_core::process::SpawnStage;
use init_core::protocol::{Status, Summary};
use init_core::state::State;

/// Why a service is as it is.
pub(crate) struct Explanation {
    /// The service itself, the one that it waits for or failed with, and so on to the cause.
    pub(crate) chain: Vec<Status>,
    /// The service that the cause gives as its reason and that is none any more, for it is up;
    /// or the one for which the cause had to give way.
    pub(crate) other: Option<Status>,
    /// The service that the last one of the chain requires and that does not exist.
    pub(crate) not_described: Option<ServiceName>,
    /// The last lines of the cause's log, if that has failed.
    pub(crate) log: Vec<String>,
}

/// Reasons that are the end of a process, or of the attempt to make one.
const ENDS: [&str; 5] = ["spawn-failed", "exited", "killed", "out-of-memory", "start-timeout"];

impl Explanation {
    /// The service at which the chain ends.
    pub(crate) fn cause(&self) -> Option<&Status> {
        self.chain.last()
    }

    /// What a person can do about a service that is not up.
    pub(crate) fn advice(&self) -> Option<String> {
        let (asked, cause) = (&self.chain.first()?.summary, self.cause()?);
        let Summary { name, state, .. } = &cause.summary;
        if state.is_up() {
            return None;
        }
        // What is down comes up by request alone, and then with all that it requires.
        let start = if is_down(asked.state) { &asked.name } else { name };
        if is_down(*state)
            && let Some(other) = &self.other
        {
            return Some(advice_beside(start, &cause.summary, &other.summary));
        }
        Some(match state {
            State::Backoff => match remedy(cause) {
                Some(remedy) => format!("{remedy}; PID 1 starts it again by itself"),
                None => format!("PID 1 starts it again by itself; `svcctl logs {name} -f` watches"),
            },
            State::Failed => remedy(cause).unwrap_or_else(|| {
                format!(
                    "`svcctl logs {name}` shows all it printed; `svcctl start {start}` tries again"
                )
            }),
            _ if start != name => format!("`svcctl start {start}` starts it and what it requires"),
            State::Stopped => format!("`svcctl start {start}` starts it"),
            _ => "it is on its way; `svcctl logs init -f` watches what PID 1 does".to_owned(),
        })
    }
}

/// Whether a service in `state` stays down until somebody asks.
const fn is_down(state: State) -> bool {
    matches!(state, State::Stopped | State::Failed)
}

/// What to do about `cause`, which is down because of `other`: to start `start`.
fn advice_beside(start: &ServiceName, cause: &Summary, other: &Summary) -> String {
    let (name, rival) = (&cause.name, &other.name);
    match cause.reason_code.as_str() {
        "conflict" if is_down(other.state) => format!("`svcctl start {start}` starts it"),
        "conflict" => format!(
            "`svcctl start {start}` starts it, and takes down {rival}, which {name} conflicts with"
        ),
        _ => format!("`svcctl start {start}` starts it; {rival} is up"),
    }
}

/// What to do about what keeps a service from running, where its code says what that may be.
fn remedy(status: &Status) -> Option<String> {
    let Summary { name, reason, .. } = &status.summary;
    Some(match end_code(status) {
        "bad-description" | "requirement-unknown" | "cycle" | "excluded" | "second-collector" => {
            "`svcctl check` shows the mistake's place; descriptions are read at boot".to_owned()
        }
        "spawn-failed" => spawn_remedy(name, failed_stage(reason)),
        "start-timeout" => {
            "with `readiness = \"notify\"` it must send READY=1 within `start-timeout`".to_owned()
        }
        "out-of-memory" => format!(
            "`memory-max` of {name}, or the machine's memory, is too little for it; \
             `svcctl logs kernel` has the kernel's account"
        ),
        "unkillable" => "its processes are stuck in the kernel; only a reboot ends them".to_owned(),
        _ => return None,
    })
}

/// The word for what a service is down for. One that was started too often is down for what
/// ended it the last time.
fn end_code(status: &Status) -> &str {
    let Summary { reason_code, reason, .. } = &status.summary;
    if reason_code != "start-limit" {
        return reason_code;
    }
    // The start that failed last has no change of state of its own.
    if failed_stage(reason).is_some() {
        return "spawn-failed";
    }
    let mut codes = status.history.iter().rev().map(|change| change.reason_code.as_str());
    codes.find(|code| ENDS.contains(code)).unwrap_or(reason_code)
}

/// The stage at which a start failed, by the reason's text.
fn failed_stage(reason: &str) -> Option<SpawnStage> {
    SpawnStage::ALL.into_iter().find(|stage| reason.contains(stage.failure()))
}

/// Where to look if PID 1 could not create the process of `name`.
fn spawn_remedy(name: &ServiceName, stage: Option<SpawnStage>) -> String {
    let keys = match stage {
        Some(SpawnStage::MemoryController) => return without_controller("memory-max", "memory"),
        Some(SpawnStage::PidsController) => return without_controller("tasks-max", "pids"),
        Some(SpawnStage::Clone) => {
            return "memory or process ids have run out; `svcctl logs kernel` may say which"
                .to_owned();
        }
        None => return format!("the reason says what failed; check that of {name}"),
        Some(SpawnStage::Cgroup) => "`memory-max` and `tasks-max`",
        Some(SpawnStage::Output) => "`terminal`: it is to be a terminal, and nobody else's",
        Some(SpawnStage::User) => "`user` and `group`: accounts are looked up at boot",
        Some(SpawnStage::Credentials) => "`user` and `group`",
        Some(SpawnStage::Limits) => "`[limits]`",
        Some(SpawnStage::Attributes) => "`nice` and `oom-score-adjust`",
        Some(SpawnStage::WorkingDirectory) => {
            "`working-directory`: its user has to be able to enter it"
        }
        Some(SpawnStage::Exec) => {
            "`command`: a program that its user may execute, with its interpreter"
        }
    };
    format!("check in the description of {name}: {keys}")
}

fn without_controller(key: &str, controller: &str) -> String {
    format!(
        "leave out `{key}`, or boot a kernel that has the cgroup controller `{controller}`, \
         without `cgroup_disable={controller}`"
    )
}

#[cfg(test)]
mod tests;
