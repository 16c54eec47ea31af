//! What `top` shows: a pure function of the sample now and the one before.

use std::cmp::Ordering;
use std::collections::HashMap;

use procfs::CpuTime;

use crate::memory::Usage;
use crate::output::{human, tame};
use crate::process::{Process, Snapshot, percent, seconds};

/// What processes are ordered by, the most first; process ids from the least.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Order {
    #[default]
    Processor,
    Memory,
    Time,
    Pid,
}

/// What is shown, and how.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct View {
    pub(super) order: Order,
    pub(super) command_lines: bool,
    /// Only these; all if empty.
    pub(super) pids: Vec<i32>,
    /// Only this user's, by name or id.
    pub(super) user: Option<String>,
}

/// The system at one moment.
#[derive(Debug)]
pub(super) struct Sample {
    pub(super) snapshot: Snapshot,
    pub(super) cpu: CpuTime,
    pub(super) load: [f32; 3],
    pub(super) memory: Usage,
}

impl View {
    /// What a key changes. False if the key means nothing.
    pub(super) fn obey(&mut self, key: u8) -> bool {
        match key {
            b'P' => self.order = Order::Processor,
            b'M' => self.order = Order::Memory,
            b'T' => self.order = Order::Time,
            b'N' => self.order = Order::Pid,
            b'c' => self.command_lines = !self.command_lines,
            b' ' => {}
            _ => return false,
        }
        true
    }

    fn wants(&self, snapshot: &Snapshot, process: &Process) -> bool {
        let is_listed = self.pids.is_empty() || self.pids.contains(&process.pid);
        let is_users = self.user.as_ref().is_none_or(|user| {
            snapshot.user(process.uid) == *user || process.uid.to_string() == *user
        });
        is_listed && is_users
    }
}

/// The screen, line by line. Shares of the processor are those since the sample before,
/// or since each process was started where there is none.
pub(super) fn lines(view: &View, before: Option<&Sample>, now: &Sample) -> Vec<String> {
    let mut lines = summary(before, now);
    lines.push(String::new());
    lines.push(format!(
        "{:>7} {:<10} {:>3} {:>3} {:>8} {:>8} S {:>5} {:>5} {:>10} COMMAND",
        "PID", "USER", "PR", "NI", "VIRT", "RES", "%CPU", "%MEM", "TIME+"
    ));
    let snapshot = &now.snapshot;
    let shares = shares(before, now);
    let mut processes: Vec<(&Process, f64)> = snapshot
        .processes
        .iter()
        .zip(shares)
        .filter(|(process, _)| view.wants(snapshot, process))
        .collect();
    processes.sort_by(|(a, a_share), (b, b_share)| {
        let order = match view.order {
            Order::Processor => b_share.partial_cmp(a_share).unwrap_or(Ordering::Equal),
            Order::Memory => b.resident_bytes.cmp(&a.resident_bytes),
            Order::Time => b.ticks.cmp(&a.ticks),
            Order::Pid => Ordering::Equal,
        };
        order.then(a.pid.cmp(&b.pid))
    });
    lines.extend(processes.iter().map(|(process, share)| row(view, snapshot, process, *share)));
    lines
}

/// Of each process, its share of one processor in percent.
fn shares(before: Option<&Sample>, now: &Sample) -> Vec<f64> {
    let snapshot = &now.snapshot;
    let earlier: HashMap<(i32, u64), u64> = before.map_or_else(HashMap::new, |before| {
        let processes = before.snapshot.processes.iter();
        // A process id may have gone to another process meanwhile.
        processes.map(|process| ((process.pid, process.started_ticks), process.ticks)).collect()
    });
    let elapsed_s = before.map_or(0.0, |before| snapshot.uptime_s - before.snapshot.uptime_s);
    let share = |process: &Process| {
        if elapsed_s <= 0.0 {
            return snapshot.cpu_percent(process);
        }
        let ticks = earlier.get(&(process.pid, process.started_ticks)).copied().unwrap_or(0);
        let used = process.ticks.saturating_sub(ticks);
        seconds(used, snapshot.ticks_per_s) * 100.0 / elapsed_s
    };
    snapshot.processes.iter().map(share).collect()
}

fn row(view: &View, snapshot: &Snapshot, process: &Process, share: f64) -> String {
    let hundredths = process.ticks.saturating_mul(100) / snapshot.ticks_per_s;
    let time =
        format!("{}:{:02}.{:02}", hundredths / 6_000, hundredths / 100 % 60, hundredths % 100);
    let command = if view.command_lines { process.command() } else { tame(&process.name) };
    // 0 to 39, and -100 to -2 for those that run before all others (proc_pid_stat(5)).
    let priority = match process.priority {
        -100 => "rt".to_owned(),
        priority => priority.to_string(),
    };
    format!(
        "{:>7} {:<10} {:>3} {:>3} {:>8} {:>8} {} {:>5.1} {:>5.1} {:>10} {}",
        process.pid,
        snapshot.user(process.uid),
        priority,
        process.nice,
        human(process.virtual_bytes),
        human(process.resident_bytes),
        process.state,
        share,
        snapshot.memory_percent(process),
        time,
        command
    )
}

fn summary(before: Option<&Sample>, now: &Sample) -> Vec<String> {
    let snapshot = &now.snapshot;
    let count = |letters: &str| {
        snapshot.processes.iter().filter(|process| letters.contains(process.state)).count()
    };
    let [one, five, fifteen] = now.load;
    let memory = &now.memory;
    let mebibytes = |bytes: u64| bytes / (1024 * 1024);
    vec![
        format!(
            "top - up {}, load average: {one:.2}, {five:.2}, {fifteen:.2}",
            uptime(snapshot.uptime_s)
        ),
        format!(
            "Tasks: {} total, {} running, {} sleeping, {} stopped, {} zombie",
            snapshot.processes.len(),
            count("R"),
            count("SDI"),
            count("Tt"),
            count("Z")
        ),
        cpu_line(before.map(|before| &before.cpu), &now.cpu),
        format!(
            "MiB Mem: {} total, {} free, {} used, {} buff/cache, {} available",
            mebibytes(memory.total),
            mebibytes(memory.free),
            mebibytes(memory.used()),
            mebibytes(memory.cache),
            mebibytes(memory.available)
        ),
        format!(
            "MiB Swap: {} total, {} free, {} used",
            mebibytes(memory.swap_total),
            mebibytes(memory.swap_free),
            mebibytes(memory.swap_used())
        ),
    ]
}

/// Where the processors' time went since the sample before, or since boot.
fn cpu_line(before: Option<&CpuTime>, now: &CpuTime) -> String {
    let times = |cpu: &CpuTime| {
        [
            cpu.user,
            cpu.system,
            cpu.nice,
            cpu.idle,
            cpu.iowait.unwrap_or(0),
            cpu.irq.unwrap_or(0),
            cpu.softirq.unwrap_or(0),
            cpu.steal.unwrap_or(0),
        ]
    };
    let earlier = before.map_or([0; 8], times);
    let mut used = times(now);
    for (now, earlier) in used.iter_mut().zip(earlier) {
        *now = now.saturating_sub(earlier);
    }
    let total = used.iter().sum();
    let shown: Vec<String> = ["us", "sy", "ni", "id", "wa", "hi", "si", "st"]
        .iter()
        .zip(used)
        .map(|(name, ticks)| format!("{:.1} {name}", percent(ticks, total)))
        .collect();
    format!("%Cpu(s): {}", shown.join(", "))
}

fn uptime(uptime_s: f64) -> String {
    let duration = std::time::Duration::try_from_secs_f64(uptime_s).unwrap_or_default();
    let minutes = duration.as_secs() / 60;
    let (days, hours) = (minutes / 1_440, minutes / 60 % 24);
    match days {
        0 => format!("{hours}:{:02}", minutes % 60),
        _ => format!("{days} days, {hours}:{:02}", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, ticks: u64, resident_bytes: u64) -> Process {
        Process {
            pid,
            ticks,
            resident_bytes,
            state: 'S',
            priority: 20,
            name: format!("p{pid}"),
            ..Process::default()
        }
    }

    fn sample(uptime_s: f64, processes: Vec<Process>) -> Sample {
        let memory = Usage {
            total: 1 << 30,
            free: 1 << 29,
            available: 3 << 28,
            shared: 0,
            cache: 1 << 28,
            swap_total: 0,
            swap_free: 0,
        };
        let snapshot = Snapshot {
            processes,
            ticks_per_s: 100,
            uptime_s,
            memory_bytes: memory.total,
            users: [(0, "root".to_owned())].into(),
            ..Snapshot::default()
        };
        let cpu = procfs::KernelStats::current().unwrap().total;
        Sample { snapshot, cpu, load: [0.5, 0.25, 0.0], memory }
    }

    use procfs::CurrentSI;

    #[test]
    fn shares_are_those_since_the_sample_before() {
        let before = sample(100.0, vec![process(1, 1_000, 1), process(2, 0, 2)]);
        let now = sample(102.0, vec![process(1, 1_010, 1), process(2, 100, 2), process(3, 20, 3)]);
        let pids = |view: &View| -> Vec<String> {
            let lines = lines(view, Some(&before), &now);
            lines
                .iter()
                .skip(7)
                .map(|line| line.split_whitespace().next().unwrap().into())
                .collect()
        };
        assert_eq!(shares(Some(&before), &now), [5.0, 50.0, 10.0]);
        let mut view = View::default();
        assert_eq!(pids(&view), ["2", "3", "1"]);
        assert!(view.obey(b'M'));
        assert_eq!(pids(&view), ["3", "2", "1"]);
        assert!(view.obey(b'T'));
        assert_eq!(pids(&view), ["1", "2", "3"]);
        view.pids = vec![2];
        assert_eq!(pids(&view), ["2"]);
        view.user = Some("nobody".into());
        assert!(pids(&view).is_empty());
        assert!(!view.obey(b'z'));
    }

    #[test]
    fn an_id_that_went_to_another_process_starts_anew() {
        let before = sample(100.0, vec![process(9, 5_000, 1)]);
        let mut young = process(9, 10, 1);
        young.started_ticks = 10_100;
        let now = sample(102.0, vec![young]);
        assert_eq!(shares(Some(&before), &now), [5.0]);
    }

    #[test]
    fn the_head_says_how_the_system_is() {
        let now = sample(90_061.0, vec![process(1, 0, 1 << 20)]);
        let lines = lines(&View::default(), None, &now);
        assert_eq!(lines[0], "top - up 1 days, 1:01, load average: 0.50, 0.25, 0.00");
        assert_eq!(lines[1], "Tasks: 1 total, 0 running, 1 sleeping, 0 stopped, 0 zombie");
        assert!(lines[2].starts_with("%Cpu(s): ") && lines[2].contains(" id, "));
        assert_eq!(
            lines[3],
            "MiB Mem: 1024 total, 512 free, 256 used, 256 buff/cache, 768 available"
        );
        assert!(lines[7].contains(" root ") && lines[7].ends_with("p1"));
    }
}
