//! Why a service is as it is, and what a person can do about it.

use init_core::name::ServiceName;
use init_core::protocol::{Status, Summary};
use init_core::state::State;

/// Why a service is as it is.
pub(crate) struct Explanation {
    /// The service itself, the one that it waits for or failed with, and so on.
    pub(crate) chain: Vec<Status>,
    /// The service that the last one of the chain requires and that does not exist.
    pub(crate) not_described: Option<ServiceName>,
    /// The last lines of the cause's log, if that has failed.
    pub(crate) log: Vec<String>,
}

impl Explanation {
    /// The service at which the chain ends.
    pub(crate) fn cause(&self) -> Option<&Status> {
        self.chain.last()
    }
}

/// What a person can do about a service that is not up.
pub(crate) fn advice(summary: &Summary) -> Option<String> {
    let Summary { name, state, reason_code, .. } = summary;
    if state.is_up() {
        return None;
    }
    Some(match (state, reason_code.as_str()) {
        (State::Backoff, _) => {
            format!("PID 1 starts it again by itself; `svcctl logs {name} -f` watches")
        }
        (State::Stopped, _) => format!("`svcctl start {name}` starts it"),
        (State::Starting | State::Running | State::Stopping | State::Waiting, _) => {
            "it is on its way; `svcctl logs init -f` watches what PID 1 does".to_owned()
        }
        (
            _,
            "bad-description" | "requirement-unknown" | "cycle" | "excluded" | "second-collector",
        ) => "`svcctl check` shows the mistake's place; descriptions are read at boot".to_owned(),
        (_, "spawn-failed") => {
            format!("check `command`, `user`, `group` and `working-directory` of {name}")
        }
        (_, "start-timeout") => {
            "with `readiness = \"notify\"` it must send READY=1 within `start-timeout`".to_owned()
        }
        (_, "out-of-memory") => format!(
            "`memory-max` of {name}, or the machine's memory, is too little for it; \
             `svcctl logs kernel` has the kernel's account"
        ),
        (_, "unkillable") => {
            "its processes are stuck in the kernel; only a reboot ends them".to_owned()
        }
        _ => {
            format!("`svcctl logs {name}` shows all it printed; `svcctl start {name}` tries again")
        }
    })
}
