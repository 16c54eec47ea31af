//! `svcctl start|stop|restart NAME…`: one service after the other, each until it
//! is done. If this program is ended meanwhile, PID 1 goes on.

use std::io::{self, Write};

use init_core::event::Operation;
use init_core::name::ServiceName;
use init_core::protocol::{Change, Request, Status, Summary};
use init_core::state::State;
use serde_json::{Value, json};
use services::failure::{Code, Failure};
use services::output::{print, print_json};
use services::problem::Problem;

use super::{Init, for_each};
use crate::Result;
use crate::arguments::Arguments;
use crate::clock::Clock;
use crate::json;

/// What came of an operation.
struct Outcome {
    succeeded: bool,
    /// The service afterwards.
    service: Summary,
    /// The services that went down because this one did.
    taken_down: Vec<ServiceName>,
    /// What went wrong with its former process on the way down.
    trouble: Option<Change>,
}

pub(crate) fn run(arguments: &Arguments, operation: Operation, names: &[String]) -> Result<()> {
    let mut init = Init::connect(arguments)?;
    let mut entries = Vec::new();
    let (_, end) = for_each(names, |name| {
        let outcome = operate(&mut init, operation, name)
            .inspect_err(|failure| entries.extend(unknown(operation, name, failure)))?;
        let failed = (!outcome.succeeded).then(|| failure(operation, &outcome.service));
        entries.push(to_json(operation, &outcome));
        if !arguments.json && failed.is_none() {
            print(&sentence(operation, &outcome))?;
            if let Some(hint) = log_hint(&outcome) {
                // Nobody may read it; what was asked for is done.
                let _ = writeln!(io::stderr(), "  hint: {hint}");
            }
        }
        failed.map_or(Ok(()), Err)
    });
    if arguments.json {
        print_json(&Value::Array(entries))?;
    }
    end
}

fn to_json(operation: Operation, outcome: &Outcome) -> Value {
    json!({
        "operation": word(operation),
        "succeeded": outcome.succeeded,
        "service": json::summary(&outcome.service, Clock::now()),
        "taken_down": outcome.taken_down.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
        "trouble": outcome.trouble.as_ref().map(|change| json!({
            "reason_code": change.reason_code,
            "reason": change.reason,
        })),
    })
}

/// The entry of a name about which PID 1 has told nothing but `failure`.
fn unknown(operation: Operation, name: &str, failure: &Failure) -> Option<Value> {
    let Failure::Problem(_, problem) = failure else { return None };
    Some(json!({
        "operation": word(operation),
        "succeeded": false,
        "name": name,
        "error": problem.message(),
    }))
}

fn operate(init: &mut Init, operation: Operation, name: &str) -> Result<Outcome> {
    let name = init.name(name)?;
    let before = init.status(name.as_str())?;
    let failed = init.order(&Request::Operate { operation, name: name.clone() })?;
    let succeeded = failed.is_none();
    let after = init.status(name.as_str())?;
    let trouble = trouble(&before, &after).cloned();
    let service = failed.map_or(after.summary, |service| *service);
    let went_down_with_it = |other: &Summary| {
        other.reason_code == "requirement-down" && other.reason_service.as_ref() == Some(&name)
    };
    let taken_down = match operation {
        Operation::Stop => init.list()?.into_iter().filter(went_down_with_it).collect(),
        Operation::Start | Operation::Restart => Vec::new(),
    };
    let taken_down = taken_down.into_iter().map(|other: Summary| other.name).collect();
    Ok(Outcome { succeeded, service, taken_down, trouble })
}

/// What PID 1 recorded between two answers about the end of a process that it had asked to end:
/// a second change to `stopping`.
fn trouble<'a>(before: &Status, after: &'a Status) -> Option<&'a Change> {
    let known = before.history.last().map(|change| change.at);
    let last = after.history.windows(2).rev().find_map(|pair| match pair {
        [first, second] if (first.to, second.to) == (State::Stopping, State::Stopping) => {
            Some(second)
        }
        _ => None,
    });
    last.filter(|change| Some(change.at) > known)
}

const fn word(operation: Operation) -> &'static str {
    match operation {
        Operation::Start => "start",
        Operation::Stop => "stop",
        Operation::Restart => "restart",
    }
}

fn sentence(operation: Operation, outcome: &Outcome) -> String {
    let Outcome { service, taken_down, trouble, .. } = outcome;
    let process = service.pid.map_or(String::new(), |pid| format!(", process {pid}"));
    let mut text = format!("{}: {}{process}", service.name, service.state);
    if let Some(Change { reason, .. }) = trouble {
        let before = if operation == Operation::Stop { "" } else { "before: " };
        text.push_str(&format!(" ({before}{reason})"));
    }
    if operation == Operation::Stop && !taken_down.is_empty() {
        let names: Vec<_> = taken_down.iter().map(ServiceName::as_str).collect();
        text.push_str(&format!(", and with it {}", names.join(", ")));
    }
    text.push('\n');
    text
}

/// Where to look if the former process ended with trouble of its own, not PID 1's patience.
fn log_hint(outcome: &Outcome) -> Option<String> {
    let trouble = outcome.trouble.as_ref()?;
    let is_own = matches!(trouble.reason_code.as_str(), "exited" | "killed");
    is_own.then(|| format!("`svcctl logs {}` shows what it printed", outcome.service.name))
}

fn failure(operation: Operation, service: &Summary) -> Failure {
    let Summary { name, state, .. } = service;
    let reason = service.reason_line();
    let did_not = match operation {
        Operation::Start => "did not start",
        Operation::Stop => "did not stop",
        Operation::Restart => "did not start again",
    };
    let problem = Problem::new(format!("`{name}` {did_not}: it is {state}, {reason}"));
    Failure::Problem(Code::Failed, problem.with_hint(format!("`svcctl why {name}` explains it")))
}
