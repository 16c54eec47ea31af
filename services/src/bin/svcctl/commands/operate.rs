//! `svcctl start|stop|restart NAME…`: one service after the other, each until it
//! is done. If this program is ended meanwhile, PID 1 goes on.

use std::collections::BTreeSet;
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
    /// The services that went down because this one did, or because it came up.
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
        let failed = (!outcome.succeeded).then(|| failure(operation, &outcome));
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
    let all_before = init.list()?;
    let failed = init.order(&Request::Operate { operation, name: name.clone() })?;
    let succeeded = failed.is_none();
    let after = init.status(name.as_str())?;
    let trouble = trouble(&before, &after).cloned();
    let service = failed.map_or(after.summary, |service| *service);
    let taken_down = taken_down(init, operation, &name, &all_before)?;
    Ok(Outcome { succeeded, service, taken_down, trouble })
}

/// Reasons for which one service takes another down.
const TAKEN_DOWN: [&str; 3] = ["requirement-down", "requirement-failed", "conflict"];

/// What was not down `before` an operation on `name` and is now, as far as its reason leads to
/// that service, by way of others or not.
fn taken_down(
    init: &mut Init,
    operation: Operation,
    name: &ServiceName,
    before: &[Summary],
) -> Result<Vec<ServiceName>> {
    let is_down = |service: &Summary| matches!(service.state, State::Stopped | State::Failed);
    let was_down = |name: &ServiceName| before.iter().any(|one| one.name == *name && is_down(one));
    let mut fallen = init.list()?;
    fallen.retain(|one| is_down(one) && one.name != *name && !was_down(&one.name));
    if fallen.is_empty() {
        return Ok(Vec::new());
    }
    let mut causes = match operation {
        Operation::Stop => BTreeSet::from([name.clone()]),
        Operation::Start | Operation::Restart => with_requirements(init, name)?,
    };
    let mut found = Vec::new();
    loop {
        let is_led_to = |one: &mut Summary| {
            TAKEN_DOWN.contains(&one.reason_code.as_str())
                && one.reason_service.as_ref().is_some_and(|cause| causes.contains(cause))
        };
        let led_to: Vec<_> = fallen.extract_if(.., is_led_to).map(|one| one.name).collect();
        if led_to.is_empty() {
            break;
        }
        causes.extend(led_to.iter().cloned());
        found.extend(led_to);
    }
    found.sort();
    Ok(found)
}

/// `name` and all that it requires, by way of others or not: what its start brings up, before
/// which whatever conflicts with one of them gives way.
fn with_requirements(init: &mut Init, name: &ServiceName) -> Result<BTreeSet<ServiceName>> {
    let mut found = BTreeSet::new();
    let mut open = vec![name.clone()];
    while let Some(next) = open.pop() {
        if !found.contains(&next) {
            open.extend(init.status(next.as_str())?.requires);
            found.insert(next);
        }
    }
    Ok(found)
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
    if !taken_down.is_empty() {
        let how = if operation == Operation::Stop { "with it" } else { "took down" };
        text.push_str(&format!(", and {how} {}", list(taken_down)));
    }
    text.push('\n');
    text
}

fn list(names: &[ServiceName]) -> String {
    names.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ")
}

/// Where to look if the former process ended with trouble of its own, not PID 1's patience.
fn log_hint(outcome: &Outcome) -> Option<String> {
    let trouble = outcome.trouble.as_ref()?;
    let is_own = matches!(trouble.reason_code.as_str(), "exited" | "killed");
    is_own.then(|| format!("`svcctl logs {}` shows what it printed", outcome.service.name))
}

fn failure(operation: Operation, outcome: &Outcome) -> Failure {
    let Outcome { service, taken_down, .. } = outcome;
    let Summary { name, state, .. } = service;
    let reason = service.reason_line();
    let did_not = match operation {
        Operation::Start => "did not start",
        Operation::Stop => "did not stop",
        Operation::Restart => "did not start again",
    };
    let also = match taken_down.as_slice() {
        [] => String::new(),
        names => format!("; it took down {}", list(names)),
    };
    let problem = Problem::new(format!("`{name}` {did_not}: it is {state}, {reason}{also}"));
    Failure::Problem(Code::Failed, problem.with_hint(format!("`svcctl why {name}` explains it")))
}
