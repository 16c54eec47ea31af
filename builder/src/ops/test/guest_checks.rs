//! The table of checks inside a booted guest: name, command, judgement.
//!
//! Commands run by way of the exec port, and a pure function judges what they
//! printed; times are the guest's own, from its monotonic clock. The checks run
//! in this order in one guest, and none leaves behind what disturbs a later one.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::arch::Arch;
use crate::elf;
use crate::ops::guest::{Guest, Output};

/// What was seen, or what is wrong.
pub(super) type Verdict = Result<String, String>;

/// A check inside a guest.
pub(super) struct Check {
    /// Its name.
    pub(super) name: &'static str,
    how: How,
}

enum How {
    /// A command line for the guest's shell, and what is made of its output.
    Command(&'static str, fn(Arch, &Output) -> Verdict),
    /// Several commands, each of which depends on what the one before printed.
    Steps(fn(&mut Guest) -> crate::error::Result<Verdict>),
}

impl Check {
    /// Makes the check.
    ///
    /// # Errors
    /// If the guest does not live to its end.
    pub(super) fn make(&self, guest: &mut Guest, arch: Arch) -> crate::error::Result<Verdict> {
        match self.how {
            How::Command(command, judge) => Ok(judge(arch, &guest.run(command)?)),
            How::Steps(steps) => steps(guest),
        }
    }
}

pub(super) const fn check(
    name: &'static str,
    command: &'static str,
    judge: fn(Arch, &Output) -> Verdict,
) -> Check {
    Check { name, how: How::Command(command, judge) }
}

const fn steps(
    name: &'static str,
    steps: fn(&mut Guest) -> crate::error::Result<Verdict>,
) -> Check {
    Check { name, how: How::Steps(steps) }
}

/// The checks for the image `test`, in order.
pub(super) const CHECKS: &[Check] = &[
    check("mounts have their options", "cat /proc/mounts", mounts),
    check("device nodes have their numbers and modes", NODES_COMMAND, nodes),
    check("directories have their modes", "stat -c '%n %a' /tmp /dev/shm /run /root", directories),
    check("PID 1 is /sbin/init", "readlink /proc/1/exe && readlink -f /sbin/init", pid_1),
    check("PID 1's binary is static", "cat /proc/1/exe", static_binary),
    check("PID 1 has mapped nothing but itself", "cat /proc/1/maps", lone_mapping),
    check("everything that starts at boot is up", "svcctl --json list", all_up),
    steps("a killed daemon comes back within its delay", kill_and_wait),
    check("a stopped service's whole tree is gone", TREE_COMMAND, tree_gone),
    steps("a crash loop stops at its limit", crash_and_wait),
    check("and svcctl why says so", "svcctl why test-crash", why_crash),
    steps("3,000 orphans are reaped while svcctl list answers", reap_and_answer),
    check("no zombie is left", "cat /proc/[0-9]*/stat", no_zombies),
    check("svcctl says that a service is unknown", "svcctl status no-such; echo $?", unknown),
];

/// Processes are told by their name. Some other one may end between the listing and the reading:
/// that `cat` cannot read its file is no matter.
pub(super) const TREE_COMMAND: &str = "\
    svcctl start test-tree && echo before && { cat /proc/[0-9]*/comm || true; } && \
    svcctl stop test-tree && echo after && { cat /proc/[0-9]*/comm || true; }";

const ORPHANS_COMMAND: &str = "\
    measure list-during svcctl start test-orphans && svcctl stop test-orphans > /dev/null";

const NODES_COMMAND: &str = "stat -L -c '%n %t:%T %a' /dev/null /dev/zero /dev/full /dev/random \
    /dev/urandom /dev/tty /dev/console /dev/ptmx && \
    readlink /dev/fd /dev/stdin /dev/stdout /dev/stderr";

/// Mount point, type, options that must be there (docs/boot.md).
const MOUNTS: &[(&str, &str, &[&str])] = &[
    ("/proc", "proc", &["rw", "nosuid", "nodev", "noexec"]),
    ("/sys", "sysfs", &["rw", "nosuid", "nodev", "noexec"]),
    ("/dev", "devtmpfs", &["rw", "nosuid", "mode=755"]),
    ("/dev/pts", "devpts", &["rw", "nosuid", "noexec", "gid=5", "mode=620", "ptmxmode=666"]),
    ("/dev/shm", "tmpfs", &["rw", "nosuid", "nodev"]),
    ("/run", "tmpfs", &["rw", "nosuid", "nodev", "mode=755"]),
    ("/tmp", "tmpfs", &["rw", "nosuid", "nodev"]),
    ("/sys/fs/cgroup", "cgroup2", &["rw", "nosuid", "nodev", "noexec", "nsdelegate"]),
];

pub(super) fn mounts(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let mut wrong = Vec::new();
    for (target, kind, options) in MOUNTS {
        let mut lines = text.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let found = lines.find(|fields| fields.get(1) == Some(target));
        let Some([_, _, found_kind, found_options, ..]) = found.as_deref() else {
            wrong.push(format!("{target} is not mounted"));
            continue;
        };
        // devtmpfs does not show the mode that is its default.
        let has = |option: &&&str| {
            found_options.split(',').any(|found| found == **option)
                || (*kind == "devtmpfs" && **option == "mode=755")
        };
        let missing: Vec<&&str> = options.iter().filter(|option| !has(option)).collect();
        if found_kind != kind || !missing.is_empty() {
            wrong.push(format!("{target} is {found_kind} with {found_options}, not {missing:?}"));
        }
    }
    if wrong.is_empty() { Ok(format!("{} mounts", MOUNTS.len())) } else { Err(wrong.join("; ")) }
}

/// Numbers in hexadecimal and modes in octal, as stat(1) prints them.
const NODES: &str = "\
/dev/null 1:3 666
/dev/zero 1:5 666
/dev/full 1:7 666
/dev/random 1:8 666
/dev/urandom 1:9 666
/dev/tty 5:0 666
/dev/console 5:1 600
/dev/ptmx 5:2 666
/proc/self/fd
/proc/self/fd/0
/proc/self/fd/1
/proc/self/fd/2
";

fn nodes(_: Arch, output: &Output) -> Verdict {
    equals(&output.success()?, NODES)
}

fn directories(_: Arch, output: &Output) -> Verdict {
    equals(&output.success()?, "/tmp 1777\n/dev/shm 1777\n/run 755\n/root 700\n")
}

fn equals(found: &str, expected: &str) -> Verdict {
    let wrong: Vec<String> = expected
        .lines()
        .zip(found.lines().chain(std::iter::repeat("nothing")))
        .filter(|(expected, found)| expected != found)
        .map(|(expected, found)| format!("{found} instead of {expected}"))
        .collect();
    if wrong.is_empty() && found.lines().count() == expected.lines().count() {
        Ok(String::new())
    } else {
        Err(if wrong.is_empty() { found.to_owned() } else { wrong.join("; ") })
    }
}

fn pid_1(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    match text.lines().collect::<Vec<_>>()[..] {
        [runs, init] if runs == init => Ok(runs.to_owned()),
        _ => Err(format!("PID 1 runs and /sbin/init is {text:?}")),
    }
}

fn static_binary(arch: Arch, output: &Output) -> Verdict {
    output.success()?;
    let facts = elf::facts(&output.stdout)?.ok_or("it is no ELF file")?;
    if !facts.is_for(arch) {
        return Err(format!("it is for {}", facts.machine_name()));
    }
    if !facts.is_static() {
        return Err(format!("it needs {:?} and {:?}", facts.interpreter, facts.needed));
    }
    Ok(format!("{} KiB for {arch}", output.stdout.len() / 1024))
}

fn lone_mapping(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let files: BTreeSet<&str> =
        text.lines().filter_map(|line| line.find('/').map(|start| &line[start..])).collect();
    if files.len() == 1 { Ok(String::new()) } else { Err(format!("{files:?}")) }
}

pub(super) fn all_up(_: Arch, output: &Output) -> Verdict {
    let services = json(&output.success()?)?;
    let services = services.as_array().ok_or("no list")?;
    let named = |service: &Value| service["name"].as_str().unwrap_or("?").to_owned();
    // Those of the test image that do not start at boot are down and never were up.
    let is_settled =
        |service: &&Value| service["up"] == true || service["reason_code"] == "not-started";
    let down: Vec<String> =
        services.iter().filter(|service| !is_settled(service)).map(named).collect();
    let up = services.iter().filter(|service| service["up"] == true).count();
    if !down.is_empty() {
        return Err(format!("down: {}", down.join(", ")));
    }
    if up < 3 { Err(format!("only {up} services are up")) } else { Ok(format!("{up} services")) }
}

/// Its restart-delay in the image `test`.
const STEADY_DELAY_MS: u64 = 300;
/// How much later it may be up under an emulator on a busy machine.
const STEADY_GRACE_MS: u64 = 1_000;

/// How often a service's state is asked for until it is what is waited for.
const POLLS_MAX: u32 = 300;

/// The status of `name` once it is `wanted`, or the last one there was.
pub(super) fn wait_for(
    guest: &mut Guest,
    name: &str,
    wanted: impl Fn(&Value) -> bool,
) -> crate::error::Result<Result<Value, String>> {
    let mut status = Err("never asked".to_owned());
    for _ in 0..POLLS_MAX {
        let text = guest.read(&format!("svcctl --json status {name}"))?;
        status = only_status(&text);
        match &status {
            Ok(status) if !wanted(status) => guest.read("sleep 0.1")?,
            _ => break,
        };
    }
    Ok(status)
}

pub(super) fn kill_and_wait(guest: &mut Guest) -> crate::error::Result<Verdict> {
    let name = "test-steady";
    let before = wait_for(guest, name, |status| status["state"] == "ready")?;
    let Some(pid) = before.as_ref().ok().and_then(|status| status["pid"].as_u64()) else {
        return Ok(Err(format!("{name} does not run: {before:?}")));
    };
    guest.read(&format!("kill -KILL {pid}"))?;
    let is_back = |status: &Value| status["state"] == "ready" && status["pid"] != pid;
    Ok(wait_for(guest, name, is_back)?.and_then(|status| comes_back(&status)))
}

pub(super) fn crash_and_wait(guest: &mut Guest) -> crate::error::Result<Verdict> {
    // It cannot come up, so this fails, which is not what is looked at here.
    guest.run("svcctl start test-crash")?;
    let status = wait_for(guest, "test-crash", |status| status["state"] == "failed")?;
    Ok(status.and_then(|status| crash_loop(&status)))
}

fn comes_back(status: &Value) -> Verdict {
    let history = status["history"].as_array().ok_or("no history")?;
    let last = |state: &str| {
        let change = history.iter().rev().find(|change| change["to"] == state);
        change.and_then(|change| change["since_boot_us"].as_u64())
    };
    let (Some(down), Some(up)) = (last("backoff"), last("ready")) else {
        return Err(format!("its history is {history:?}"));
    };
    if status["state"] != "ready" || up < down {
        return Err(format!("it is {}, and its history {history:?}", status["state"]));
    }
    let took_ms = (up - down) / 1000;
    if (STEADY_DELAY_MS..=STEADY_DELAY_MS + STEADY_GRACE_MS).contains(&took_ms) {
        Ok(format!("{took_ms} ms with a delay of {STEADY_DELAY_MS} ms"))
    } else {
        Err(format!("{took_ms} ms with a delay of {STEADY_DELAY_MS} ms"))
    }
}

pub(super) fn tree_gone(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let after = text.split_once("\nafter\n").map(|(before, after)| {
        let count = |part: &str| part.lines().filter(|name| *name == "misbehave").count();
        (count(before), count(after))
    });
    match after {
        Some((before @ 2.., 0)) => Ok(format!("{before} processes that ignore SIGTERM")),
        Some((before, after)) => Err(format!("{before} processes before the stop, {after} after")),
        None => Err(text),
    }
}

fn crash_loop(status: &Value) -> Verdict {
    let history = status["history"].as_array().ok_or("no history")?;
    let starts = history.iter().filter(|change| change["to"] == "starting").count();
    if status["state"] != "failed" || status["reason_code"] != "start-limit" || starts != 3 {
        let (state, reason) = (&status["state"], &status["reason"]);
        return Err(format!("it is {state} after {starts} starts: {reason}"));
    }
    Ok(format!("{starts} starts"))
}

pub(super) fn why_crash(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let line = text.lines().find(|line| line.contains("start limit of 3 within 1min reached"));
    match line.filter(|line| line.contains("SIGABRT")) {
        Some(line) => Ok(line.trim().to_owned()),
        None => Err(text),
    }
}

/// The longest that any of PID 1's answers may take, but for what the host took away from an
/// emulated processor meanwhile.
const ANSWER_US_MAX: u64 = 100_000;
/// Fewer answers would mean that the orphans were never in the way.
const ANSWERS_MIN: u64 = 10;

/// How often that may be measured: a host that is busy elsewhere is not so every time, and what
/// PID 1 cannot do it cannot at any.
const ANSWER_MEASUREMENTS_MAX: usize = 3;

pub(super) fn reap_and_answer(guest: &mut Guest) -> crate::error::Result<Verdict> {
    until_in_time(|| Ok(answered_in_time(&guest.run(ORPHANS_COMMAND)?)))
}

/// Measures until a verdict is good, and tells all of them.
fn until_in_time(
    mut measure: impl FnMut() -> crate::error::Result<Verdict>,
) -> crate::error::Result<Verdict> {
    let mut told: Vec<String> = Vec::new();
    for _ in 0..ANSWER_MEASUREMENTS_MAX {
        let verdict = measure()?;
        let is_good = verdict.is_ok();
        told.push(verdict.unwrap_or_else(|why| why));
        if is_good {
            return Ok(Ok(told.join("; once more: ")));
        }
    }
    Ok(Err(told.join("; once more: ")))
}

/// How long PID 1's answers took while it had orphans to reap.
fn answered_in_time(output: &Output) -> Verdict {
    let report = json(&output.success()?)?;
    let number = |key: &str| report[key].as_u64().ok_or(format!("no {key} in {report}"));
    let count = number("answers")?;
    if report["command_succeeded"] != true || count < ANSWERS_MIN {
        return Err(format!("nothing was measured: {report}"));
    }
    let (median, longest) = (number("median_us")?, number("longest_us")?);
    let lived = number("longest_lived_us")?;
    let detail = format!(
        "{count} answers, median {median} µs, longest {longest} µs; {lived} µs but for the host"
    );
    if lived <= ANSWER_US_MAX { Ok(detail) } else { Err(detail) }
}

fn no_zombies(_: Arch, output: &Output) -> Verdict {
    // Some process may end between the listing and the reading: its file then cannot be read.
    let text = output.text();
    // The name is in parentheses and may hold spaces; the state follows it (proc_pid_stat(5)).
    let states: Vec<&str> = text
        .lines()
        .filter_map(|line| line.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').next()))
        .collect();
    let zombies = states.iter().filter(|state| **state == "Z").count();
    if states.is_empty() || zombies > 0 {
        return Err(format!("{zombies} of {} processes are zombies", states.len()));
    }
    Ok(format!("{} processes", states.len()))
}

fn unknown(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    if text.trim() == "4" { Ok(String::new()) } else { Err(format!("exit code {text}")) }
}

pub(super) fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("no JSON ({error}): {text}"))
}

/// The one entry of `svcctl --json status NAME`, which may follow other output.
fn only_status(text: &str) -> Result<Value, String> {
    let start = text.find('[').ok_or_else(|| format!("no status in {text:?}"))?;
    match json(&text[start..])? {
        Value::Array(mut list) if list.len() == 1 => Ok(list.remove(0)),
        other => Err(format!("not one status: {other}")),
    }
}

#[cfg(test)]
mod tests;
