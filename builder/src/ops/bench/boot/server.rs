//! What one boot of `server` tells: when people can reach it, and what its programs weigh.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::ops::guest::Guest;

/// The service that people reach it by.
const SSH: &str = "sshd";
/// Every process's memory but that of the shell that asks; `cat` comes after the list is made.
const MEMORY: &str = "cd /proc && for process in [0-9]*; do \
    test $process = $$ || cat $process/smaps_rollup 2>/dev/null; done; true";

/// One boot. Times are microseconds of the guest's `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sample {
    /// Every service that starts at boot had settled.
    pub(super) complete_us: u64,
    /// The SSH server took connections; `None` in an image without one.
    pub(super) ssh_ready_us: Option<u64>,
    /// Memory of all processes, shared pages counted once (`Pss`, proc(5)), in the kernel's kB.
    pub(super) memory_kib: u64,
}

/// Reads times and memory.
///
/// # Errors
/// If the guest does not answer, or its SSH server does not run.
pub(super) fn take(guest: &mut Guest) -> Result<Sample> {
    // First: whoever is asked something may grow.
    let memory = guest.read(MEMORY)?;
    let boot = guest.read("cat /run/init/boot")?;
    let status = guest.run(&format!("svcctl --json status {SSH}"))?;
    let ssh = match status.status {
        NO_SUCH_SERVICE => None,
        _ => Some(status.success().and_then(|text| ready_us(&text))),
    };
    let failed = |why: String| Error::failure(format!("the guest of `server`: {why}"));
    Ok(Sample {
        complete_us: complete_us(&boot).map_err(failed)?,
        ssh_ready_us: ssh.transpose().map_err(failed)?,
        memory_kib: memory_kib(&memory).map_err(failed)?,
    })
}

/// What svcctl exits with when nobody described the service.
const NO_SUCH_SERVICE: u8 = 4;

fn complete_us(text: &str) -> Result<u64, String> {
    let value = text.lines().find_map(|line| line.strip_prefix("complete_us="));
    value.and_then(|value| value.parse().ok()).ok_or_else(|| format!("no complete_us in {text:?}"))
}

/// When a service became ready for the first time.
fn ready_us(text: &str) -> Result<u64, String> {
    let list: Value = serde_json::from_str(text).map_err(|error| format!("{error}: {text}"))?;
    let history = list[0]["history"].as_array();
    let ready = history.into_iter().flatten().find(|change| change["to"] == "ready");
    ready
        .and_then(|change| change["since_boot_us"].as_u64())
        .ok_or_else(|| format!("it never was ready: {text}"))
}

/// The sum over all processes. Kernel threads have none.
fn memory_kib(text: &str) -> Result<u64, String> {
    let mut sum_kib = 0_u64;
    let mut processes = 0;
    for line in text.lines() {
        let Some(value) = line.strip_prefix("Pss:") else { continue };
        let number = value.trim().strip_suffix(" kB").and_then(|number| number.parse().ok());
        sum_kib = sum_kib.saturating_add(number.ok_or_else(|| format!("what is {line:?}?"))?);
        processes += 1;
    }
    // PID 1, execd and logd at the least.
    if processes < 3 { Err(format!("only {processes} processes")) } else { Ok(sum_kib) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_process_counts() {
        let text = "Rss:  99 kB\nPss:   560 kB\nPss_Anon:  68 kB\nPss:  1000 kB\nPss:    4 kB\n";
        assert_eq!(memory_kib(text), Ok(1564));
        for bad in ["", "Pss: 1 kB\nPss: 2 kB\n", "Pss: 1 kB\nPss: 2 kB\nPss: 3 MB\n"] {
            memory_kib(bad).unwrap_err();
        }
    }

    #[test]
    fn the_first_time_it_was_ready_counts() {
        let change = |to: &str, us: u64| format!("{{\"to\":\"{to}\",\"since_boot_us\":{us}}}");
        let status = |changes: &[String]| format!("[{{\"history\":[{}]}}]", changes.join(","));
        let good = [change("starting", 5), change("ready", 7), change("ready", 9)];
        assert_eq!(ready_us(&status(&good)), Ok(7));
        ready_us(&status(&good[..1])).unwrap_err();
        ready_us("[]").unwrap_err();
        ready_us("no JSON").unwrap_err();
        assert_eq!(complete_us("started_us=1\ncomplete_us=12\n"), Ok(12));
        complete_us("complete_us=").unwrap_err();
    }
}
