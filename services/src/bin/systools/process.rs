//! Processes as `/proc` describes them (proc(5)), for `ps` and `top`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use procfs::process::{Status, all_processes};
use procfs::{Current, CurrentSI, FromBufRead, KernelStats, Uptime};
use services::people::accounts;
use services::problem::Context;

use crate::Result;
use crate::memory;
use crate::output::tame;

/// One process.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) ppid: i32,
    pub(crate) pgid: i32,
    pub(crate) sid: i32,
    /// Its terminal, without `/dev/`.
    pub(crate) tty: Option<String>,
    /// Process group in the foreground of its terminal.
    pub(crate) foreground: i32,
    /// One letter, as in `/proc/PID/stat`.
    pub(crate) state: char,
    /// Effective user and group.
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Processor time it has used, in clock ticks.
    pub(crate) ticks: u64,
    /// When it was started, in clock ticks since boot.
    pub(crate) started_ticks: u64,
    pub(crate) priority: i64,
    pub(crate) nice: i64,
    pub(crate) threads: i64,
    pub(crate) virtual_bytes: u64,
    pub(crate) resident_bytes: u64,
    /// The name of its program, at most 15 bytes.
    pub(crate) name: String,
    /// Its command line; empty for threads of the kernel.
    pub(crate) arguments: Vec<String>,
}

/// All processes at one moment, and what it takes to make sense of their numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) processes: Vec<Process>,
    pub(crate) ticks_per_s: u64,
    pub(crate) uptime_s: f64,
    /// Seconds from 1970 to boot.
    pub(crate) boot_s: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) users: BTreeMap<u32, String>,
    pub(crate) groups: BTreeMap<u32, String>,
}

impl Process {
    /// The command line, or the name in brackets where there is none.
    pub(crate) fn command(&self) -> String {
        if self.arguments.is_empty() {
            format!("[{}]", tame(&self.name))
        } else {
            tame(&self.arguments.join(" "))
        }
    }

    /// State and what goes with it, as `ps` shows it: `Ss+`.
    pub(crate) fn state_letters(&self) -> String {
        let mut letters = String::from(self.state);
        letters.push_str(match self.nice {
            ..0 => "<",
            0 => "",
            1.. => "N",
        });
        if self.sid == self.pid {
            letters.push('s');
        }
        if self.threads > 1 {
            letters.push('l');
        }
        if self.tty.is_some() && self.foreground == self.pgid {
            letters.push('+');
        }
        letters
    }
}

impl Snapshot {
    /// Reads everything. Processes that end meanwhile are left out.
    pub(crate) fn take() -> Result<Self> {
        let unreadable = || "cannot read `/proc`".to_owned();
        let page_bytes = procfs::page_size();
        let mut processes: Vec<Process> = all_processes()
            .context(unreadable)?
            .filter_map(|process| read(&process.ok()?, page_bytes))
            .collect();
        processes.sort_unstable_by_key(|process| process.pid);
        let users = accounts::users().unwrap_or_default();
        let groups = accounts::groups().unwrap_or_default();
        Ok(Self {
            processes,
            ticks_per_s: procfs::ticks_per_second().max(1),
            uptime_s: Uptime::current().context(unreadable)?.uptime,
            boot_s: KernelStats::current().context(unreadable)?.btime,
            memory_bytes: memory::read()?.total,
            users: users.into_iter().rev().map(|user| (user.uid, user.name)).collect(),
            groups: groups.into_iter().rev().map(|group| (group.gid, group.name)).collect(),
        })
    }

    pub(crate) fn user(&self, uid: u32) -> String {
        self.users.get(&uid).cloned().unwrap_or_else(|| uid.to_string())
    }

    pub(crate) fn group(&self, gid: u32) -> String {
        self.groups.get(&gid).cloned().unwrap_or_else(|| gid.to_string())
    }

    /// Processor time of a process, in seconds.
    pub(crate) const fn cpu_s(&self, process: &Process) -> u64 {
        process.ticks / self.ticks_per_s
    }

    /// How long a process has been there, in seconds.
    pub(crate) fn age_s(&self, process: &Process) -> f64 {
        (self.uptime_s - seconds(process.started_ticks, self.ticks_per_s)).max(0.0)
    }

    /// Share of one processor that it has used since it was started, in percent.
    pub(crate) fn cpu_percent(&self, process: &Process) -> f64 {
        let age_s = self.age_s(process);
        if age_s < 0.01 {
            return 0.0;
        }
        seconds(process.ticks, self.ticks_per_s) * 100.0 / age_s
    }

    /// Share of the memory that is resident for it, in percent.
    pub(crate) fn memory_percent(&self, process: &Process) -> f64 {
        percent(process.resident_bytes, self.memory_bytes)
    }
}

/// Ticks as seconds.
#[expect(clippy::cast_precision_loss, reason = "a display of two digits")]
pub(crate) fn seconds(ticks: u64, ticks_per_s: u64) -> f64 {
    ticks as f64 / ticks_per_s.max(1) as f64
}

/// A part of a whole in percent; 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "a display of two digits")]
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}

fn read(process: &procfs::process::Process, page_bytes: u64) -> Option<Process> {
    let stat = process.stat().ok()?;
    let status = text(process, "status")?;
    let status = Status::from_buf_read(status.as_bytes()).ok()?;
    let arguments = text(process, "cmdline").unwrap_or_default();
    Some(Process {
        pid: stat.pid,
        ppid: stat.ppid,
        pgid: stat.pgrp,
        sid: stat.session,
        tty: terminal(stat.tty_nr()),
        foreground: stat.tpgid,
        state: stat.state,
        uid: status.euid,
        gid: status.egid,
        ticks: stat.utime + stat.stime,
        started_ticks: stat.starttime,
        priority: stat.priority,
        nice: stat.nice,
        threads: stat.num_threads,
        virtual_bytes: stat.vsize,
        resident_bytes: stat.rss.saturating_mul(page_bytes),
        name: stat.comm,
        arguments: arguments
            .split('\0')
            .filter(|word| !word.is_empty())
            .map(str::to_owned)
            .collect(),
    })
}

/// One of the process's files. Names and command lines are any bytes, and what is not
/// UTF-8 in them is replaced; the crate reads none of these files then.
fn text(process: &procfs::process::Process, file: &str) -> Option<String> {
    let mut bytes = Vec::new();
    process.open_relative(file).ok()?.read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The name of a terminal by its device number. Those of /dev/pts have the majors 136
/// to 143 (Documentation/admin-guide/devices.txt); sysfs knows the others.
fn terminal((major, minor): (i32, i32)) -> Option<String> {
    match major {
        0 => None,
        136..=143 => Some(format!("pts/{}", minor + (major - 136) * 256)),
        _ => {
            let file = format!("/sys/dev/char/{major}:{minor}/uevent");
            let text = fs::read_to_string(file).unwrap_or_default();
            let name = text.lines().find_map(|line| line.strip_prefix("DEVNAME="));
            Some(name.map_or_else(|| format!("{major}:{minor}"), str::to_owned))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn this_process_is_found_with_its_command_line() {
        let snapshot = Snapshot::take().unwrap();
        let own = i32::try_from(std::process::id()).unwrap();
        let process = snapshot.processes.iter().find(|process| process.pid == own).unwrap();
        assert_eq!(process.arguments, std::env::args().collect::<Vec<_>>());
        assert!(process.resident_bytes > 0 && process.threads > 0);
        assert!(snapshot.age_s(process) < snapshot.uptime_s);
    }

    #[test]
    fn a_process_whose_name_is_not_utf8_is_found_with_its_command_line() {
        let place = tempfile::tempdir().unwrap();
        let program = place.path().join(OsStr::from_bytes(b"n\xff"));
        std::os::unix::fs::symlink("/bin/sh", &program).unwrap();
        let mut child = Command::new(program)
            .args(["-c", "read line"])
            .arg(OsStr::from_bytes(b"\xfe x"))
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pid = i32::try_from(child.id()).unwrap();
        let snapshot = Snapshot::take().unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        let process = snapshot.processes.iter().find(|process| process.pid == pid).unwrap();
        assert_eq!(process.name, "n\u{fffd}");
        assert_eq!(process.arguments[1..], ["-c", "read line", "\u{fffd} x"]);
    }

    #[test]
    fn states_and_commands_are_shown_as_ps_does() {
        let process = Process {
            pid: 7,
            sid: 7,
            pgid: 7,
            foreground: 7,
            tty: Some("pts/0".into()),
            state: 'S',
            nice: -5,
            threads: 2,
            name: "kwork\x1b".into(),
            ..Process::default()
        };
        assert_eq!(process.state_letters(), "S<sl+");
        assert_eq!(process.command(), "[kwork?]");
        assert_eq!(terminal((0, 0)), None);
        assert_eq!(terminal((137, 3)).unwrap(), "pts/259");
    }

    #[test]
    fn shares_of_nothing_are_nothing() {
        assert!(percent(5, 0).abs() < f64::EPSILON);
        let snapshot = Snapshot { uptime_s: 10.0, ticks_per_s: 100, ..Snapshot::default() };
        let process = Process { ticks: 250, started_ticks: 500, ..Process::default() };
        assert!((snapshot.cpu_percent(&process) - 50.0).abs() < 1e-9);
        let new = Process { started_ticks: 1_000, ..Process::default() };
        assert!(snapshot.cpu_percent(&new).abs() < f64::EPSILON);
    }
}
