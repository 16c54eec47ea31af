//! `svcctl why NAME`: from a service to the one that is the cause, and what to
//! do about that.

use init_core::name::ServiceName;
use init_core::protocol::{Status, Summary};
use init_core::state::State;
use services::failure::{Code, Failure};
use services::output::{print, print_json};

use super::Init;
use crate::Result;
use crate::arguments::Arguments;
use crate::clock::Clock;
use crate::explanation::Explanation;
use crate::log_reader::Log;
use crate::{json, text};

/// Longest chain that is followed. A longer one is cut off, not wrong.
const CHAIN_MAX: usize = 64;

/// Lines of a failed service's log that are shown.
const LOG_LINES: usize = 10;

/// Reasons that lie in another service, which is therefore looked at next.
const REASONS_ELSEWHERE: [&str; 5] =
    ["waits-for", "waits-for-conflict", "requirement-down", "requirement-failed", "conflict"];

pub(crate) fn run(arguments: &Arguments, name: &str) -> Result<()> {
    let mut init = Init::connect(arguments)?;
    let mut explanation = follow(&mut init, name)?;
    if let Some(cause) = explanation.cause()
        && matches!(cause.summary.state, State::Failed | State::Backoff)
    {
        // Without a readable log the explanation is shorter, not impossible.
        let log = Log::new(&arguments.log_directory, cause.summary.name.as_str()).read();
        let lines = log.ok().flatten().unwrap_or_default();
        let skipped = lines.len().saturating_sub(LOG_LINES);
        explanation.log = lines.into_iter().skip(skipped).collect();
    }
    let clock = Clock::now();
    if arguments.json {
        return Ok(print_json(&json::explanation(&explanation, clock))?);
    }
    Ok(print(&text::explanation(&explanation, clock))?)
}

/// Asks from service to service until one has its reason in itself.
fn follow(init: &mut Init, name: &str) -> Result<Explanation> {
    let mut chain = vec![*init.status(name)?];
    let (mut other, mut not_described) = (None, None);
    while let Some((next, is_rival)) = chain.last().and_then(next) {
        // Two services can give each other as their reason.
        if chain.len() >= CHAIN_MAX || chain.iter().any(|link| link.summary.name == next) {
            break;
        }
        match init.status(next.as_str()) {
            // What is up keeps nobody down, and who won a conflict is not to blame for it.
            Ok(status) if is_rival || status.summary.state.is_up() => {
                other = Some(*status);
                break;
            }
            Ok(status) => chain.push(*status),
            Err(Failure::Problem(Code::NoSuchThing, _)) => {
                not_described = Some(next);
                break;
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(Explanation { chain, other, not_described, log: Vec::new() })
}

/// The service that a reason is about, if that has to be looked at next, and whether it won a
/// conflict.
fn next(status: &Status) -> Option<(ServiceName, bool)> {
    let Summary { reason_code, reason_service, .. } = &status.summary;
    let elsewhere = REASONS_ELSEWHERE.contains(&reason_code.as_str());
    let service = reason_service.clone().filter(|_| elsewhere)?;
    Some((service, reason_code == "conflict"))
}
