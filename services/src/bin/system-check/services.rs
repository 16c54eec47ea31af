//! The services: those that start at boot are up, and none has failed.

use std::path::Path;

use init_core::protocol::{Reply, Request, Summary};
use init_core::state::State;
use init_core::system_manifest::SystemManifest;
use services::control::Client;
use services::problem::{Problem, Result};

use crate::Outcome;

/// Asks PID 1.
pub(crate) fn check(socket: &Path, manifest: &SystemManifest) -> Outcome {
    match list(socket) {
        Ok(services) => judge(&services, manifest),
        Err(problem) => {
            let mut outcome = Outcome::default();
            outcome.find("service", "all", format!("cannot be looked at: {}", problem.message()));
            outcome
        }
    }
}

fn list(socket: &Path) -> Result<Vec<Summary>> {
    match Client::connect(socket)?.ask(&Request::List)? {
        Reply::Services(services) => Ok(services),
        other => Err(Problem::new(format!("PID 1 answers {other:?}"))),
    }
}

fn judge(services: &[Summary], manifest: &SystemManifest) -> Outcome {
    let mut outcome = Outcome::default();
    for wanted in &manifest.services {
        outcome.looked_at += 1;
        match services.iter().find(|service| service.name.as_str() == wanted) {
            Some(service) if service.state.is_up() => {}
            Some(service) => outcome.find("service", wanted, state(service)),
            None => outcome.find("service", wanted, "PID 1 does not know it"),
        }
    }
    let is_other = |service: &&Summary| {
        !manifest.services.iter().any(|wanted| wanted == service.name.as_str())
    };
    for service in services.iter().filter(is_other) {
        outcome.looked_at += 1;
        if service.state == State::Failed {
            outcome.find("service", service.name.as_str(), state(service));
        }
    }
    outcome
}

fn state(service: &Summary) -> String {
    let state = service.state.as_str();
    if service.reason.is_empty() {
        format!("it is {state}")
    } else {
        format!("it is {state}: {}", service.reason_line())
    }
}

#[cfg(test)]
mod tests {
    use init_core::name::ServiceName;
    use init_core::time::Timestamp;

    use super::*;

    fn service(name: &str, state: State) -> Summary {
        Summary {
            name: ServiceName::new(name).unwrap(),
            description: String::new(),
            state,
            since: Timestamp::from_millis(0),
            reason_code: String::new(),
            reason: "because".into(),
            reason_service: None,
            pid: None,
            restarts: 0,
        }
    }

    #[test]
    fn what_starts_at_boot_must_be_up_and_nothing_may_have_failed() {
        let manifest = SystemManifest {
            services: ["a", "b", "c", "gone"].map(str::to_owned).into(),
            ..SystemManifest::default()
        };
        let services = [
            service("a", State::Ready),
            service("b", State::Completed),
            service("c", State::Stopped),
            service("asked-for", State::Stopped),
            service("broken", State::Failed),
        ];
        let outcome = judge(&services, &manifest);
        let found: Vec<(&str, &str)> = outcome
            .findings
            .iter()
            .map(|finding| (finding.subject.as_str(), finding.message.as_str()))
            .collect();
        assert_eq!(
            found,
            [
                ("c", "it is stopped: because"),
                ("gone", "PID 1 does not know it"),
                ("broken", "it is failed: because"),
            ]
        );
        assert_eq!(outcome.looked_at, 6);
    }

    #[test]
    fn a_pid_1_that_does_not_answer_is_a_finding() {
        let outcome = check(Path::new("/nonexistent/socket"), &SystemManifest::default());
        assert_eq!(outcome.findings.len(), 1);
    }
}
