//! `ps`: processes, chosen and shown as POSIX and the BSDs do (ps(1)).
//!
//! [`arguments`] is the command line, [`mod@column`] what can be shown of a process.
//! Absent: threads (`-L`, `-T`), trees, `-g`, and columns not listed in the help.

mod arguments;
mod column;

use std::ffi::OsString;

use rustix::process::geteuid;
use serde_json::{Map, Value};
use services::failure::{Code, Failure};

use crate::Result;
use crate::output::{cut, print, print_json, size};
use crate::process::{Process, Snapshot};

use arguments::{Arguments, Choice};
use column::Shown;

const HELP: &str = "\
Shows processes.

Usage: ps [OPTIONS] [aux] [PID…]

Which [default: yours on this terminal]:
  -e, -A, ax        all
  -a, a             all on terminals; -a leaves out what leads a session
  x                 yours, on a terminal or not
  -p, --pid LIST    these process ids
  -u, -U LIST       of these users, by name or id
  -t LIST           on these terminals (`ttyS0`, `pts/1`)
  -C LIST           whose program has this name
  --ppid LIST       whose parent has this id

What [default: PID, TTY, TIME, CMD]:
  -f                full: user, parent, start, command line
  -l                long: state, priority, nice, size
  -j                jobs: process group and session
  u                 by user: shares of processor and memory
  -o, --format LIST these columns; `NAME=HEADING` gives another heading, `NAME=` none
  --sort KEY        by a column; `-KEY` the other way round
  --no-headers      no headings
  -w                do not cut lines at the terminal's edge
  --json            for programs: the columns by their names
  -h, --help        this text

Columns: pid ppid pgid sid tty user uid group gid stat state pri ni nlwp vsz rss
  %cpu %mem time etime etimes stime lstart comm args
";

pub(crate) fn run(_: &str, words: Vec<OsString>) -> Result<()> {
    let Some(arguments) = arguments::parse(words)? else { return Ok(print(HELP)?) };
    let snapshot = Snapshot::take()?;
    let mut processes = choose(&arguments, &snapshot)?;
    if let Some((column, is_reverse)) = &arguments.sort {
        processes.sort_by(|a, b| {
            let order = column.compare(&snapshot, a, b);
            if *is_reverse { order.reverse() } else { order }
        });
    }
    if arguments.json {
        print_json(&json(&arguments.columns, &processes, &snapshot))?;
    } else {
        let width = size().map(|(_, columns)| columns).filter(|_| !arguments.wide);
        print(&table(&arguments.columns, &processes, &snapshot, arguments.headings, width))?;
    }
    match processes.is_empty() {
        true => Err(Failure::Reported(Code::Failed)),
        false => Ok(()),
    }
}

fn choose<'a>(arguments: &Arguments, snapshot: &'a Snapshot) -> Result<Vec<&'a Process>> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let tty = snapshot.processes.iter().find(|process| process.pid == own);
    let here = Here { uid: geteuid().as_raw(), tty: tty.and_then(|process| process.tty.clone()) };
    for choice in &arguments.choices {
        if let Choice::User(name) = choice
            && name.parse::<u32>().is_err()
            && !snapshot.users.values().any(|user| user == name)
        {
            let hint = "`/etc/passwd` has the names";
            return Err(Failure::usage(format!("there is no user `{name}`"), hint));
        }
    }
    let wanted = |process: &&Process| {
        arguments.choices.iter().any(|choice| chosen(choice, process, snapshot, &here))
    };
    Ok(snapshot.processes.iter().filter(wanted).collect())
}

/// Who asks, and where.
struct Here {
    uid: u32,
    tty: Option<String>,
}

fn chosen(choice: &Choice, process: &Process, snapshot: &Snapshot, here: &Here) -> bool {
    match choice {
        Choice::All => true,
        Choice::OwnHere => process.uid == here.uid && process.tty == here.tty,
        Choice::Own => process.uid == here.uid,
        Choice::OnTerminals => process.tty.is_some(),
        Choice::NoLeaders => process.sid != process.pid,
        Choice::NoLeadersOnTerminals => process.tty.is_some() && process.sid != process.pid,
        Choice::Pid(pid) => process.pid == *pid,
        Choice::Parent(pid) => process.ppid == *pid,
        Choice::User(name) => {
            snapshot.user(process.uid) == *name || process.uid.to_string() == *name
        }
        Choice::Terminal(name) => {
            let name = name.strip_prefix("/dev/").unwrap_or(name);
            process.tty.as_deref() == Some(name)
        }
        Choice::Name(name) => process.name == *name,
    }
}

/// Columns as wide as what is in them; the last one as long as it is.
fn table(
    columns: &[Shown],
    processes: &[&Process],
    snapshot: &Snapshot,
    headings: bool,
    width: Option<usize>,
) -> String {
    let mut rows: Vec<Vec<String>> = Vec::new();
    if headings && columns.iter().any(|column| !column.heading.is_empty()) {
        rows.push(columns.iter().map(|column| column.heading.clone()).collect());
    }
    let cells = |process: &&Process| -> Vec<String> {
        columns.iter().map(|shown| shown.column.text(snapshot, process)).collect()
    };
    rows.extend(processes.iter().map(cells));
    let widths: Vec<usize> = (0..columns.len())
        .map(|at| rows.iter().map(|row| row[at].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (at, cell) in row.iter().enumerate() {
            let is_last = at + 1 == row.len();
            let width = widths[at];
            match columns[at].column.is_number() {
                true => line += &format!("{cell:>width$}"),
                false if is_last => line += cell,
                false => line += &format!("{cell:<width$}"),
            }
            if !is_last {
                line.push(' ');
            }
        }
        text += width.map_or(line.as_str(), |width| cut(&line, width)).trim_end();
        text.push('\n');
    }
    text
}

fn json(columns: &[Shown], processes: &[&Process], snapshot: &Snapshot) -> Value {
    let object = |process: &&Process| -> Value {
        let fields = columns.iter().map(|shown| {
            let column = shown.column;
            (column.name().to_owned(), column.value(snapshot, process))
        });
        Value::Object(fields.collect::<Map<_, _>>())
    };
    processes.iter().map(object).collect()
}

#[cfg(test)]
mod tests;
