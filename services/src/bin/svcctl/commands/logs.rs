//! `svcctl logs NAME [-f] [-n N]`: what a service has printed.

use std::io;

use init_core::name::{RESERVED, ServiceName};
use serde_json::json;
use services::failure::Failure;
use services::log_record::parse_line;
use services::output::print;
use services::problem::{Problem, warn};

use super::Init;
use crate::Result;
use crate::arguments::Arguments;
use crate::log_reader::Log;

/// The service that collects the log in every image of this repository.
const COLLECTOR: &str = "logd";

pub(crate) fn run(
    arguments: &Arguments,
    name: &str,
    follow: bool,
    lines: Option<usize>,
) -> Result<()> {
    // A name becomes part of a path only if it is one.
    if !RESERVED.contains(&name) && ServiceName::new(name).is_err() {
        Init::connect(arguments)?.name(name)?;
    }
    let mut log = Log::new(&arguments.log_directory, name);
    let unreadable = |error: io::Error| {
        let problem = Problem::new(format!("cannot read the log of `{name}`: {error}"));
        Failure::from(match error.kind() {
            io::ErrorKind::PermissionDenied => {
                problem.with_hint("root and members of the group `wheel` may read logs")
            }
            _ => problem,
        })
    };
    match log.read().map_err(unreadable)? {
        Some(all) => {
            let skipped = lines.map_or(0, |lines| all.len().saturating_sub(lines));
            show(arguments, all.into_iter().skip(skipped))?;
        }
        None => {
            if !RESERVED.contains(&name) {
                // It may have been quiet so far, or not exist.
                Init::connect(arguments)?.status(name)?;
            }
            if !arguments.log_directory.exists() {
                let directory = arguments.log_directory.display();
                let problem =
                    Problem::new(format!("there are no logs: `{directory}` does not exist"));
                return Err(Failure::from(problem.with_hint(
                    "output goes to the console unless a service with `log-collector = true` runs",
                )));
            }
            let cause = match missing_collector(arguments) {
                Some(collector) => format!(
                    "there is no log of `{name}`: the log collector `{collector}` is not up; \
                     `svcctl why {collector}` explains it"
                ),
                None => format!("`{name}` has not printed anything yet"),
            };
            warn("svcctl", cause);
        }
    }
    if follow {
        match log.follow(|lines| show(arguments, lines))? {}
    }
    Ok(())
}

/// The log collector's name if it is not up. PID 1 does not tell which service that is, so only
/// one of the usual name is known, and only to who may ask.
fn missing_collector(arguments: &Arguments) -> Option<ServiceName> {
    let services = Init::connect(arguments).and_then(|mut init| init.list()).ok()?;
    let collector = services.into_iter().find(|service| service.name.as_str() == COLLECTOR)?;
    (!collector.state.is_up()).then_some(collector.name)
}

/// Prints lines: as they are, or as one JSON document each.
fn show(arguments: &Arguments, lines: impl IntoIterator<Item = String>) -> Result<()> {
    let mut text = String::new();
    for line in lines {
        if arguments.json {
            let (time, message) = match parse_line(&line) {
                Some((time, message)) => (Some(time), message),
                None => (None, line.as_str()),
            };
            text.push_str(&json!({ "time": time, "text": message }).to_string());
        } else {
            text.push_str(&line);
        }
        text.push('\n');
    }
    Ok(print(&text)?)
}
