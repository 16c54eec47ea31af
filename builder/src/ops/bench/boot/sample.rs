//! What one boot tells: commands in the guest, and pure functions that read
//! what they print.

use serde_json::Value;

use super::server;
use super::workload::{self, PROGRAM, SERVICES};
use crate::error::{Error, Result};
use crate::ops::guest::Guest;

/// PID 1's account of the boot (init's `boot_report`), and its memory.
const FILES: &str = "measure show /run/init/boot /proc/1/smaps_rollup";

/// The account of the barest boot, in the same file as PID 1's.
const BARE_FILES: &str = "measure show /run/init/boot";

/// All boots of one architecture.
#[derive(Default, Debug)]
pub(super) struct Samples {
    /// Without services but `execd`.
    pub(super) empty: Vec<Sample>,
    /// How long the barest boot of the same image took, in microseconds.
    pub(super) bare_us: Vec<u64>,
    /// With a hundred.
    pub(super) full: Vec<Sample>,
    /// How long the bare loop took to start as many in each of these guests, in microseconds.
    pub(super) floors_us: Vec<u64>,
    /// Of the image `server`.
    pub(super) server: Vec<server::Sample>,
    /// When the prompt of the image `busybox` was there, in microseconds of the guest's clock.
    pub(super) prompts_us: Vec<u64>,
}

/// One boot. Times are microseconds of the guest's `CLOCK_MONOTONIC`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Sample {
    /// PID 1's first instruction.
    pub(super) started_us: u64,
    /// Before the first service was started.
    pub(super) first_start_us: u64,
    /// Every service that starts at boot had settled.
    pub(super) complete_us: u64,
    /// How many were up.
    pub(super) services_up: u64,
    /// PID 1's memory then.
    pub(super) memory: Memory,
}

/// A process's memory by `smaps_rollup` (proc(5)), in the kernel's kB of 1024 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Memory {
    /// `Rss`: every page that is there.
    pub(super) resident_kib: u64,
    /// `Anonymous`: what no file backs.
    pub(super) anonymous_kib: u64,
    /// `Private_Clean` and `Private_Dirty`: what nobody else has mapped.
    pub(super) private_kib: u64,
}

/// Reads times and memory.
///
/// # Errors
/// If the guest does not answer, or not exactly `services` and `execd` are up.
pub(super) fn take(guest: &mut Guest, services: usize) -> Result<Sample> {
    // First: whoever talks to PID 1 changes its memory.
    let files = guest.read(FILES)?;
    let names: Vec<String> = workload::names(services).collect();
    let status = guest.read(&format!("svcctl --json status execd {}", names.join(" ")))?;
    let first_start_us =
        read_first_start(&status).map_err(|why| in_guest("svcctl status", &why))?;
    let sample = read_sample(&files, first_start_us).map_err(|why| in_guest(FILES, &why))?;
    if sample.services_up != services as u64 + 1 {
        return Err(Error::failure(format!(
            "{} services are up instead of {services} and execd",
            sample.services_up
        )));
    }
    Ok(sample)
}

/// How long the barest boot took from its first instruction until `execd` was ready, in
/// microseconds. It is not PID 1 that runs in this guest.
///
/// # Errors
/// If the guest does not answer.
pub(super) fn bare(guest: &mut Guest) -> Result<u64> {
    let text = guest.read(BARE_FILES)?;
    read_bare(&text).map_err(|why| in_guest(BARE_FILES, &why))
}

/// How long the bare loop takes to start what PID 1 has started, in microseconds.
///
/// # Errors
/// If it cannot.
pub(super) fn floor(guest: &mut Guest) -> Result<u64> {
    let bare = format!("spawnbench {SERVICES} {PROGRAM}");
    let text = guest.read(&bare)?;
    read_floor(&text).map_err(|why| in_guest(&bare, &why))
}

fn in_guest(command: &str, why: &str) -> Error {
    Error::failure(format!("`{command}` in the guest: {why}"))
}

/// Lines of `key=value` and of `Key:  N kB`.
fn read_sample(text: &str, first_start_us: u64) -> Result<Sample, String> {
    let time = |key: &str| read_time(text, key);
    let memory = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let number = value.and_then(|value| value.trim().strip_suffix(" kB"));
        number.and_then(|number| number.parse::<u64>().ok()).ok_or_else(|| absent(key, text))
    };
    let sample = Sample {
        started_us: time("started_us")?,
        first_start_us,
        complete_us: time("complete_us")?,
        services_up: time("services_up")?,
        memory: Memory {
            resident_kib: memory("Rss")?,
            anonymous_kib: memory("Anonymous")?,
            private_kib: memory("Private_Clean")? + memory("Private_Dirty")?,
        },
    };
    let order = [sample.started_us, sample.first_start_us, sample.complete_us];
    if order.is_sorted() { Ok(sample) } else { Err(format!("these times cannot be: {order:?}")) }
}

fn read_bare(text: &str) -> Result<u64, String> {
    let (started, complete) = (read_time(text, "started_us")?, read_time(text, "complete_us")?);
    match complete.checked_sub(started) {
        Some(took_us @ 1..) => Ok(took_us),
        _ => Err(format!("these times cannot be: {started}, {complete}")),
    }
}

/// The number behind `KEY=` in a line.
fn read_time(text: &str, key: &str) -> Result<u64, String> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.and_then(|value| value.parse().ok()).ok_or_else(|| absent(key, text))
}

/// When the first service was started, if all are still the ones that were started at boot.
fn read_first_start(text: &str) -> Result<u64, String> {
    let services = json(text)?;
    let services = services.as_array().ok_or_else(|| absent("list", text))?;
    let mut first = None;
    for service in services {
        let started = service["started_since_boot_us"].as_u64();
        if service["restarts"] != 0 || service["up"] != true {
            return Err(format!("it did not just come up: {service}"));
        }
        let started = started.ok_or_else(|| absent("started_since_boot_us", text))?;
        first = Some(first.map_or(started, |first: u64| first.min(started)));
    }
    first.ok_or_else(|| "no service".to_owned())
}

fn read_floor(text: &str) -> Result<u64, String> {
    let report = json(text)?;
    match (report["programs"].as_u64(), report["elapsed_us"].as_u64()) {
        (Some(count), Some(elapsed @ 1..)) if count == SERVICES as u64 => Ok(elapsed),
        _ => Err(format!("no time for {SERVICES} programs: {text}")),
    }
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("no JSON ({error}): {text}"))
}

fn absent(key: &str, text: &str) -> String {
    format!("no {key} in {text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "started_us=412000\ncomplete_us=431500\nservices_up=101\n\
        00400000-7ffe00000000 ---p 00000000 00:00 0      [rollup]\n\
        Rss:                 560 kB\nPss:                 560 kB\nPss_Anon:   68 kB\n\
        Private_Clean:       492 kB\nPrivate_Dirty:        68 kB\nAnonymous:   64 kB\n";

    #[test]
    fn a_boot_is_read_from_both_files() {
        let memory = Memory { resident_kib: 560, anonymous_kib: 64, private_kib: 560 };
        let sample = Sample {
            started_us: 412_000,
            first_start_us: 420_000,
            complete_us: 431_500,
            services_up: 101,
            memory,
        };
        assert_eq!(read_sample(TEXT, 420_000), Ok(sample));
    }

    #[test]
    fn what_is_missing_or_cannot_be_is_named() {
        for (from, to, complaint) in [
            ("complete_us=431500", "", "no complete_us in"),
            ("complete_us=431500", "complete_us=soon", "no complete_us in"),
            ("complete_us=431500", "complete_us=419999", "these times cannot be"),
            ("started_us=412000", "started_us=420001", "these times cannot be"),
            ("Rss:     ", "Size:", "no Rss in"),
            ("560 kB", "560 MB", "no Rss in"),
            ("Private_Clean", "Shared_Clean", "no Private_Clean in"),
        ] {
            let error = read_sample(&TEXT.replace(from, to), 420_000).unwrap_err();
            assert!(error.contains(complaint), "{error}");
        }
    }

    #[test]
    fn the_first_start_counts_and_a_service_that_came_back_does_not() {
        let status = |started: u64, restarts: u64, up: bool| {
            format!("{{\"up\":{up},\"restarts\":{restarts},\"started_since_boot_us\":{started}}}")
        };
        let list = |services: &[String]| format!("[{}]", services.join(","));
        let good = [status(70, 0, true), status(50, 0, true), status(60, 0, true)];
        assert_eq!(read_first_start(&list(&good)), Ok(50));
        for bad in [status(1, 1, true), status(1, 0, false), "{}".to_owned()] {
            let services = [good[0].clone(), bad];
            read_first_start(&list(&services)).unwrap_err();
        }
        read_first_start("[]").unwrap_err();
        read_first_start("svcctl: no").unwrap_err();
    }

    #[test]
    fn the_barest_boot_has_a_begin_and_a_later_end() {
        assert_eq!(read_bare("started_us=400\ncomplete_us=650\n"), Ok(250));
        for bad in ["started_us=400\n", "started_us=4\ncomplete_us=4\n", ""] {
            read_bare(bad).unwrap_err();
        }
    }

    #[test]
    fn the_floor_is_one_for_as_many_programs() {
        assert_eq!(read_floor("{\"programs\":100,\"elapsed_us\":25000}\n"), Ok(25_000));
        for bad in ["{\"programs\":99,\"elapsed_us\":25000}", "{\"programs\":100}", ""] {
            read_floor(bad).unwrap_err();
        }
    }
}
