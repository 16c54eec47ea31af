//! What people read: a table of services, everything about one, and the answer
//! to "why". Pure: data and a clock reading in, text out.

use std::fmt::Write;

use init_core::protocol::{Change, Status, Summary};

use crate::clock::{Clock, coarse, fine, precise};
use crate::explanation::Explanation;

/// Services as a table, cut off at `width` columns if there is such a limit.
pub(crate) fn table(services: &[Summary], clock: Clock, width: Option<usize>) -> String {
    let mut rows = vec![["NAME", "STATE", "SINCE", "PID", "DESCRIPTION"].map(str::to_owned)];
    rows.extend(services.iter().map(|service| {
        // What a service is for matters while it works; once it does not, why.
        let last = match service.state.is_up() {
            true => service.description.clone(),
            false => service.reason_line(),
        };
        [
            service.name.to_string(),
            service.state.to_string(),
            coarse(clock.age(service.since)),
            service.pid.map_or("-".to_owned(), |pid| pid.to_string()),
            last,
        ]
    }));
    let widest = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths = [0, 1, 2, 3].map(|column| widest(column).unwrap_or(0));
    let [name, state, since, pid] = widths;
    let mut text = String::new();
    for [a, b, c, d, e] in &rows {
        let line = format!("{a:name$}  {b:state$}  {c:>since$}  {d:>pid$}  {e}");
        push_line(&mut text, line.trim_end(), width);
    }
    text
}

/// Appends a line that takes up at most `width` columns.
fn push_line(text: &mut String, line: &str, width: Option<usize>) {
    match width {
        Some(width) if line.chars().count() > width => {
            text.extend(line.chars().take(width.saturating_sub(1)));
            text.push('…');
        }
        _ => text.push_str(line),
    }
    text.push('\n');
}

/// Everything about a service.
pub(crate) fn status(status: &Status, clock: Clock) -> String {
    let summary = &status.summary;
    let mut text = summary.name.to_string();
    if !summary.description.is_empty() {
        let _ = write!(text, " - {}", summary.description);
    }
    text.push('\n');
    let mut field = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:>12}: {value}");
    };
    let age = fine(clock.age(summary.since));
    field("state", &format!("{} for {age} ({})", summary.state, summary.reason));
    if let Some(pid) = summary.pid {
        field("pid", &pid.to_string());
    }
    if !status.status_text.is_empty() {
        field("says", &status.status_text);
    }
    field("command", &shell_words::join(&status.command));
    if let Some(started) = status.started {
        let ready = status.ready.map_or(String::new(), |ready| {
            format!(", ready after {}", precise(ready.since(started)))
        });
        field("started", &format!("{}{ready}", clock.second_of_day(started)));
    }
    if summary.restarts > 0 {
        field("restarts", &summary.restarts.to_string());
    }
    for (name, services) in [("requires", &status.requires), ("required by", &status.required_by)] {
        if !services.is_empty() {
            let names: Vec<_> = services.iter().map(|service| service.as_str()).collect();
            field(name, &names.join(", "));
        }
    }
    if !status.history.is_empty() {
        field("history", "seconds since boot, newest last");
        history(&mut text, &status.history);
    }
    text
}

fn history(text: &mut String, changes: &[Change]) {
    for change in changes {
        let line = format!("{:>14}  {:9}  {}", change.at.to_string(), change.to, change.reason);
        text.push_str(line.trim_end());
        text.push('\n');
    }
}

/// Why a service is as it is, in sentences.
pub(crate) fn explanation(explanation: &Explanation, clock: Clock) -> String {
    let mut text = String::new();
    for (depth, link) in explanation.chain.iter().chain(&explanation.other).enumerate() {
        let summary = &link.summary;
        let since = clock.second_of_day(summary.since);
        let age = fine(clock.age(summary.since));
        let (indent, name) = ("  ".repeat(depth), &summary.name);
        let state = summary.state;
        let _ =
            writeln!(text, "{indent}{name} is {state} since {since} ({age}): {}", summary.reason);
        if let Some(pid) = summary.pid {
            let _ = writeln!(text, "{indent}  its main process is {pid}");
        }
        match summary.restarts {
            0 => {}
            1 => text.push_str(&format!("{indent}  it was restarted once by itself\n")),
            times => {
                text.push_str(&format!("{indent}  it was restarted {times} times by itself\n"))
            }
        }
    }
    if let Some(missing) = &explanation.not_described {
        let indent = "  ".repeat(explanation.chain.len());
        let _ = writeln!(text, "{indent}{missing} is not described anywhere");
    }
    let Some(cause) = explanation.cause() else { return text };
    let name = &cause.summary.name;
    if !cause.history.is_empty() {
        let _ = writeln!(text, "\nWhat happened to {name}, in seconds since boot:");
        history(&mut text, &cause.history);
    }
    if !explanation.log.is_empty() {
        let _ = writeln!(text, "\nThe last lines of its log:");
        for line in &explanation.log {
            let _ = writeln!(text, "  {line}");
        }
    }
    if let Some(advice) = explanation.advice() {
        let _ = writeln!(text, "\nhint: {advice}");
    }
    text
}

#[cfg(test)]
mod tests;
