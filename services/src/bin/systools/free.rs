//! `free`: how much memory there is, and who has it (proc_meminfo(5)).

use std::ffi::OsString;
use std::thread::sleep;
use std::time::Duration;

use lexopt::{Arg, ValueExt};
use serde_json::json;

use crate::Result;
use crate::memory::{self, Usage};
use crate::output::{human, print, print_json};

const HELP: &str = "\
Shows how much memory there is and how it is used.

Usage: free [OPTIONS]

Options:
  -b, -k, -m, -g      in bytes, KiB [default], MiB, GiB
  -h, --human         each number in the unit that suits it
  -t, --total         a further line: memory and swap together
  -s, --seconds N     again every N seconds
  -c, --count N       N times, a second apart unless --seconds says otherwise
      --json          for programs, in bytes
      --help          this text

`available` is what programs could have without swapping: most of what is in the
cache can be given up. `used` is the total less what is available.
";

/// How numbers are shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    Bytes(u64),
    Human,
}

struct Settings {
    unit: Unit,
    total: bool,
    every: Option<Duration>,
    count: Option<u64>,
    json: bool,
}

pub(crate) fn run(_: &str, words: Vec<OsString>) -> Result<()> {
    let Some(settings) = parse(words)? else { return Ok(print(HELP)?) };
    let mut left = match (settings.count, settings.every) {
        (Some(count), _) => count,
        (None, Some(_)) => u64::MAX,
        (None, None) => 1,
    };
    while left > 0 {
        let usage = memory::read()?;
        if settings.json {
            print_json(&json(&usage))?;
        } else {
            print(&table(&usage, settings.unit, settings.total))?;
        }
        left -= 1;
        if left > 0 {
            sleep(settings.every.unwrap_or(Duration::from_secs(1)));
        }
    }
    Ok(())
}

fn parse(words: Vec<OsString>) -> Result<Option<Settings>> {
    let mut settings =
        Settings { unit: Unit::Bytes(1024), total: false, every: None, count: None, json: false };
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('b') => settings.unit = Unit::Bytes(1),
            Arg::Short('k') => settings.unit = Unit::Bytes(1024),
            Arg::Short('m') => settings.unit = Unit::Bytes(1024 * 1024),
            Arg::Short('g') => settings.unit = Unit::Bytes(1024 * 1024 * 1024),
            Arg::Short('h') | Arg::Long("human") => settings.unit = Unit::Human,
            Arg::Short('t') | Arg::Long("total") => settings.total = true,
            Arg::Short('s') | Arg::Long("seconds") => {
                settings.every = Some(parser.value()?.parse_with(seconds)?);
            }
            Arg::Short('c') | Arg::Long("count") => settings.count = Some(parser.value()?.parse()?),
            Arg::Long("json") => settings.json = true,
            Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(settings))
}

/// A positive number of seconds, with a fraction or without.
pub(crate) fn seconds(text: &str) -> std::result::Result<Duration, String> {
    let number: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    match Duration::try_from_secs_f64(number) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("it is no time to wait".to_owned()),
    }
}

fn table(usage: &Usage, unit: Unit, total: bool) -> String {
    let row = |name: &str, numbers: &[u64]| {
        let cells: Vec<String> =
            numbers.iter().map(|bytes| format!("{:>11}", show(*bytes, unit))).collect();
        format!("{name:<6}{}\n", cells.join(" "))
    };
    let headings = ["total", "used", "free", "shared", "buff/cache", "available"];
    let headings: Vec<String> = headings.iter().map(|name| format!("{name:>11}")).collect();
    let mut text = format!("{:6}{}\n", "", headings.join(" "));
    text += &row(
        "Mem:",
        &[usage.total, usage.used(), usage.free, usage.shared, usage.cache, usage.available],
    );
    text += &row("Swap:", &[usage.swap_total, usage.swap_used(), usage.swap_free]);
    if total {
        let (used, free) = (usage.used() + usage.swap_used(), usage.free + usage.swap_free);
        text += &row("Total:", &[usage.total + usage.swap_total, used, free]);
    }
    text
}

fn json(usage: &Usage) -> serde_json::Value {
    json!({
        "total_bytes": usage.total,
        "used_bytes": usage.used(),
        "free_bytes": usage.free,
        "shared_bytes": usage.shared,
        "cache_bytes": usage.cache,
        "available_bytes": usage.available,
        "swap_total_bytes": usage.swap_total,
        "swap_used_bytes": usage.swap_used(),
        "swap_free_bytes": usage.swap_free,
    })
}

fn show(bytes: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes(size) => (bytes / size).to_string(),
        Unit::Human => human(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_is_what_is_not_available() {
        let usage = Usage {
            total: 8 << 20,
            free: 1 << 20,
            available: 5 << 20,
            shared: 0,
            cache: 4 << 20,
            swap_total: 2 << 20,
            swap_free: 1 << 20,
        };
        let table = table(&usage, Unit::Bytes(1 << 20), true);
        let rows: Vec<Vec<&str>> =
            table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["Mem:", "8", "3", "1", "0", "4", "5"]);
        assert_eq!(rows[1], ["Swap:", "2", "1", "1"]);
        assert_eq!(rows[2], ["Total:", "10", "4", "2"]);
        assert_eq!(json(&usage)["used_bytes"], 3 << 20);
    }

    #[test]
    fn a_time_to_wait_is_positive_and_finite() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for wrong in ["0", "-1", "nan", "inf", "1e300", "x", ""] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
