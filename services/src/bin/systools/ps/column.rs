//! What `ps` can show of a process: a table of columns.

use std::cmp::Ordering;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use services::log_record::format_timestamp;

use crate::output::tame;
use crate::process::{Process, Snapshot, seconds};

/// A column that is shown, and what stands above it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Shown {
    pub(super) column: Column,
    pub(super) heading: String,
}

/// A column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Column {
    Pid,
    Ppid,
    Pgid,
    Sid,
    Tty,
    User,
    Uid,
    Group,
    Gid,
    Stat,
    State,
    Priority,
    Nice,
    Threads,
    Virtual,
    Resident,
    Cpu,
    Memory,
    Time,
    Elapsed,
    ElapsedSeconds,
    Start,
    LongStart,
    Name,
    Arguments,
}

use Column::{
    Arguments, Cpu, Elapsed, ElapsedSeconds, Gid, Group, LongStart, Memory, Name, Nice, Pgid, Pid,
    Ppid, Priority, Resident, Sid, Start, Stat, State, Threads, Time, Tty, Uid, User, Virtual,
};

/// Each with its names, the usual one first, and its heading.
const COLUMNS: &[(Column, &[&str], &str)] = &[
    (Pid, &["pid"], "PID"),
    (Ppid, &["ppid"], "PPID"),
    (Pgid, &["pgid", "pgrp"], "PGID"),
    (Sid, &["sid", "sess", "session"], "SID"),
    (Tty, &["tty", "tt", "tname"], "TTY"),
    (User, &["user", "uname", "euser"], "USER"),
    (Uid, &["uid", "euid"], "UID"),
    (Group, &["group", "egroup"], "GROUP"),
    (Gid, &["gid", "egid"], "GID"),
    (Stat, &["stat"], "STAT"),
    (State, &["state", "s"], "S"),
    (Priority, &["pri", "priority"], "PRI"),
    (Nice, &["ni", "nice"], "NI"),
    (Threads, &["nlwp", "thcount"], "NLWP"),
    (Virtual, &["vsz", "vsize"], "VSZ"),
    (Resident, &["rss", "rssize"], "RSS"),
    (Cpu, &["%cpu", "pcpu"], "%CPU"),
    (Memory, &["%mem", "pmem"], "%MEM"),
    (Time, &["time", "cputime"], "TIME"),
    (Elapsed, &["etime"], "ELAPSED"),
    (ElapsedSeconds, &["etimes"], "ELAPSED"),
    (Start, &["stime", "start"], "STIME"),
    (LongStart, &["lstart"], "STARTED"),
    (Name, &["comm", "ucmd"], "COMMAND"),
    (Arguments, &["args", "cmd", "command"], "COMMAND"),
];

impl Column {
    /// The column of that name.
    pub(super) fn find(name: &str) -> Option<Self> {
        COLUMNS.iter().find(|(_, names, _)| names.contains(&name)).map(|(column, ..)| *column)
    }

    fn row(self) -> Option<&'static (Self, &'static [&'static str], &'static str)> {
        COLUMNS.iter().find(|(column, ..)| *column == self)
    }

    /// Its usual name.
    pub(super) fn name(self) -> &'static str {
        self.row().and_then(|(_, names, _)| names.first()).copied().unwrap_or_default()
    }

    /// Its usual heading.
    pub(super) fn heading(self) -> &'static str {
        self.row().map(|(.., heading)| *heading).unwrap_or_default()
    }

    /// Whether it is flush right.
    pub(super) const fn is_number(self) -> bool {
        !matches!(self, Tty | User | Group | Stat | State | Start | LongStart | Name | Arguments)
    }

    /// What stands in it.
    pub(super) fn text(self, snapshot: &Snapshot, process: &Process) -> String {
        match self {
            Pid => process.pid.to_string(),
            Ppid => process.ppid.to_string(),
            Pgid => process.pgid.to_string(),
            Sid => process.sid.to_string(),
            Tty => process.tty.clone().unwrap_or_else(|| "?".to_owned()),
            User => snapshot.user(process.uid),
            Uid => process.uid.to_string(),
            Group => snapshot.group(process.gid),
            Gid => process.gid.to_string(),
            Stat => process.state_letters(),
            State => process.state.to_string(),
            Priority => process.priority.to_string(),
            Nice => process.nice.to_string(),
            Threads => process.threads.to_string(),
            Virtual => (process.virtual_bytes / 1024).to_string(),
            Resident => (process.resident_bytes / 1024).to_string(),
            Cpu => format!("{:.1}", snapshot.cpu_percent(process)),
            Memory => format!("{:.1}", snapshot.memory_percent(process)),
            Time => clock(snapshot.cpu_s(process), true),
            Elapsed => clock(whole(snapshot.age_s(process)), false),
            ElapsedSeconds => whole(snapshot.age_s(process)).to_string(),
            Start => start(snapshot, process, SystemTime::now()),
            LongStart => second(started(snapshot, process)),
            Name => tame(&process.name),
            Arguments => process.command(),
        }
    }

    /// The same for programs: numbers as numbers, sizes in bytes, times in seconds.
    pub(super) fn value(self, snapshot: &Snapshot, process: &Process) -> Value {
        match self {
            Pid => json!(process.pid),
            Ppid => json!(process.ppid),
            Pgid => json!(process.pgid),
            Sid => json!(process.sid),
            Tty => json!(process.tty),
            Uid => json!(process.uid),
            Gid => json!(process.gid),
            Priority => json!(process.priority),
            Nice => json!(process.nice),
            Threads => json!(process.threads),
            Virtual => json!(process.virtual_bytes),
            Resident => json!(process.resident_bytes),
            Cpu => json!(snapshot.cpu_percent(process)),
            Memory => json!(snapshot.memory_percent(process)),
            Time => json!(seconds(process.ticks, snapshot.ticks_per_s)),
            Elapsed | ElapsedSeconds => json!(snapshot.age_s(process)),
            Start | LongStart => json!(second(started(snapshot, process))),
            Name => json!(process.name),
            Arguments => json!(process.arguments),
            User | Group | Stat | State => json!(self.text(snapshot, process)),
        }
    }

    /// The order of two processes by this column.
    pub(super) fn compare(self, snapshot: &Snapshot, a: &Process, b: &Process) -> Ordering {
        match (self.value(snapshot, a), self.value(snapshot, b)) {
            (Value::Number(a), Value::Number(b)) => {
                a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(Ordering::Equal)
            }
            _ => self.text(snapshot, a).cmp(&self.text(snapshot, b)),
        }
    }
}

/// Whole seconds of a time that is not negative.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and times since boot are far from its end"
)]
const fn whole(seconds: f64) -> u64 {
    seconds as u64
}

/// `[DD-]HH:MM:SS`, hours always or only where there are some (POSIX.1-2024, ps).
pub(super) fn clock(seconds: u64, with_hours: bool) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let rest = format!("{:02}:{:02}", seconds / 60 % 60, seconds % 60);
    match (days, hours) {
        (0, 0) if !with_hours => rest,
        (0, _) => format!("{hours:02}:{rest}"),
        _ => format!("{days:02}-{hours:02}:{rest}"),
    }
}

/// When a process was started.
fn started(snapshot: &Snapshot, process: &Process) -> SystemTime {
    let since_boot = Duration::from_secs(process.started_ticks / snapshot.ticks_per_s);
    SystemTime::UNIX_EPOCH + Duration::from_secs(snapshot.boot_s) + since_boot
}

/// RFC 3339, UTC, to the second.
fn second(time: SystemTime) -> String {
    let text = format_timestamp(time);
    text.split('.').next().map(|text| format!("{text}Z")).unwrap_or_default()
}

/// The hour of a start in the last day, else its date.
fn start(snapshot: &Snapshot, process: &Process, now: SystemTime) -> String {
    let time = started(snapshot, process);
    let text = second(time);
    let is_recent = now.duration_since(time).is_ok_and(|age| age < Duration::from_secs(86_400));
    let part = if is_recent { text.get(11..16) } else { text.get(..10) };
    part.unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_is_found_by_each_of_its_names() {
        for (column, names, heading) in COLUMNS {
            for name in *names {
                assert_eq!(Column::find(name), Some(*column), "{name}");
            }
            assert_eq!((column.name(), column.heading()), (names[0], *heading));
        }
        assert_eq!(Column::find("nonsense"), None);
    }

    #[test]
    fn times_are_shown_as_posix_says() {
        for (seconds, time, elapsed) in [
            (0, "00:00:00", "00:00"),
            (65, "00:01:05", "01:05"),
            (3_600, "01:00:00", "01:00:00"),
            (90_061, "01-01:01:01", "01-01:01:01"),
        ] {
            assert_eq!(
                (clock(seconds, true), clock(seconds, false)),
                (time.into(), elapsed.into())
            );
        }
    }

    #[test]
    fn a_start_is_an_hour_or_a_date() {
        let snapshot = Snapshot { ticks_per_s: 100, boot_s: 1_735_689_600, ..Snapshot::default() };
        let process = Process { started_ticks: 360_000, ..Process::default() };
        let boot = SystemTime::UNIX_EPOCH + Duration::from_secs(snapshot.boot_s);
        let at = |seconds| start(&snapshot, &process, boot + Duration::from_secs(seconds));
        assert_eq!(at(7_200), "01:00");
        assert_eq!(at(200_000), "2025-01-01");
        assert_eq!(LongStart.text(&snapshot, &process), "2025-01-01T01:00:00Z");
    }
}
