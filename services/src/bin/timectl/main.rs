//! `timectl` shows how right the clock is, sets it, and has `timed` ask its servers now.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lexopt::Arg;
use rustix::time::{ClockId, Timespec, clock_settime};
use serde_json::{Value, json};
use services::log_record::{civil_from_days, format_timestamp};
use services::problem::{Context, Problem, Result};
use services::sys::{CalendarTime, is_clock_synchronised, set_hardware_clock};

const PROGRAM: &str = "timectl";

const HELP: &str = "\
Shows and sets the time.

Usage: timectl [OPTIONS] COMMAND

Commands:
  status         how right the clock is, and what each server says
  sync           ask the servers now
  set TIME       set the clock and the hardware clock, such as
                 `timectl set 2026-01-31T12:34:56Z`; timed leads it on from there

Options:
      --json     print JSON, for programs
      --state DIR  where timed says what it does [default: /run/timed]
  -h, --help     this text

Exit codes:
  0  done
  1  the operation failed
  2  the command line is wrong
  4  timed does not run
";

fn main() -> ExitCode {
    let (code, problem) = match run() {
        Ok(()) => return ExitCode::SUCCESS,
        Err(failed) => failed,
    };
    problem.print(PROGRAM);
    ExitCode::from(code)
}

type Done = std::result::Result<(), (u8, Problem)>;

fn failed(problem: Problem) -> (u8, Problem) {
    (1, problem)
}

fn usage(message: impl Into<String>) -> (u8, Problem) {
    (2, Problem::new(message).with_hint("`timectl --help` shows how it is used"))
}

fn run() -> Done {
    let mut parser = lexopt::Parser::from_env();
    let (mut words, mut is_json, mut state) = (Vec::new(), false, PathBuf::from("/run/timed"));
    let wrong = |error: lexopt::Error| usage(error.to_string());
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Long("json") => is_json = true,
            Arg::Long("state") => state = parser.value().map_err(wrong)?.into(),
            Arg::Short('h') | Arg::Long("help") => return print(HELP).map_err(failed),
            Arg::Value(word) => words.push(word.to_string_lossy().into_owned()),
            other => return Err(wrong(other.unexpected())),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["status"] => status(&state, is_json),
        ["sync"] => sync(&state),
        ["set", time] => {
            let time = parse_time(time).ok_or_else(|| {
                let problem = Problem::new(format!("`{time}` is no time"));
                (2, problem.with_hint("write it in UTC as 2026-01-31T12:34:56Z"))
            })?;
            set(time).map_err(failed)
        }
        [] => Err(usage("a command is missing")),
        _ => Err(usage(format!("there is no command `{}`", words.join(" ")))),
    }
}

fn print(text: &str) -> Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context(|| "cannot write".to_owned())
}

fn not_running(state: &std::path::Path) -> (u8, Problem) {
    let problem = Problem::new(format!("timed does not run: there is no `{}`", state.display()));
    (4, problem.with_hint("`svcctl why timed` says more"))
}

fn status(state: &std::path::Path, is_json: bool) -> Done {
    let path = state.join("status.json");
    let text = fs::read_to_string(&path).map_err(|_| not_running(&path))?;
    let mut status: Value = serde_json::from_str(&text)
        .context(|| format!("cannot understand `{}`", path.display()))
        .map_err(failed)?;
    let synchronised = is_clock_synchronised().context(|| "adjtimex".to_owned());
    status["time"] = json!(format_timestamp(SystemTime::now()));
    status["synchronised"] = json!(synchronised.map_err(failed)?);
    let text = if is_json { format!("{status:#}\n") } else { shown(&status) };
    print(&text).map_err(failed)
}

/// The status as a person reads it.
fn shown(status: &Value) -> String {
    let text = |key: &str| status[key].as_str().unwrap_or("never").to_owned();
    let is_right = if status["synchronised"] == true { "yes" } else { "no" };
    let mut lines = format!(
        "Time:               {}\nSynchronised:       {is_right}\nLast answer:        {}\n\
         Not before:         {}\nSet at once:        {} times\n\n",
        text("time"),
        text("last_synchronised"),
        text("not_before"),
        status["steps"],
    );
    for server in status["servers"].as_array().into_iter().flatten() {
        let mark = if server["chosen"] == true { "*" } else { " " };
        let name = server["server"].as_str().unwrap_or_default();
        lines += &match (&server["offset_us"], &server["problem"]) {
            (Value::Number(offset), _) => format!(
                "{mark} {name}: offset {offset} µs, delay {} µs, stratum {}\n",
                server["delay_us"], server["stratum"]
            ),
            (_, Value::String(problem)) => format!("{mark} {name}: {problem}\n"),
            _ => format!("{mark} {name}: not asked yet\n"),
        };
    }
    lines
}

fn sync(state: &std::path::Path) -> Done {
    let path = state.join("control");
    let send = || UnixDatagram::unbound()?.send_to(b"sync", &path);
    match send() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(failed(Problem::new("only root may do that")))
        }
        Err(_) => Err(not_running(&path)),
    }
}

fn set(time: SystemTime) -> Result<()> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let tv_sec = i64::try_from(since.as_secs()).context(|| "too late".to_owned())?;
    let time = Timespec { tv_sec, tv_nsec: 0 };
    let result = clock_settime(ClockId::Realtime, time);
    result.context(|| "cannot set the clock".to_owned())?;
    match File::open("/dev/rtc0") {
        Ok(rtc) => {
            let seconds = since.as_secs();
            set_hardware_clock(&rtc, CalendarTime::of_unix(seconds))
                .context(|| "cannot set the hardware clock".to_owned())
        }
        // A machine without one has none to keep.
        Err(_) => Ok(()),
    }
}

/// A time of RFC 3339 in UTC, to the second, from 1970 to 9999.
fn parse_time(text: &str) -> Option<SystemTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let number = |text: &str, digits: usize| -> Option<u64> {
        let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_number { text.parse().ok() } else { None }
    };
    let mut fields = date.split('-');
    let year = number(fields.next()?, 4)?;
    let (month, day) = (number(fields.next()?, 2)?, number(fields.next()?, 2)?);
    let mut clock = time.split(':');
    let hour = number(clock.next()?, 2).filter(|hour| *hour < 24)?;
    let minute = number(clock.next()?, 2).filter(|minute| *minute < 60)?;
    let second = number(clock.next()?, 2).filter(|second| *second < 60)?;
    if fields.next().is_some() || clock.next().is_some() || year < 1970 {
        return None;
    }
    // The day is where its date says: between the first day that the year can begin on and the last.
    let about = (year - 1970) * 365 + (month.checked_sub(1)?) * 28;
    let days = (about..about + 3000).find(|days| civil_from_days(*days) == (year, month, day))?;
    UNIX_EPOCH.checked_add(Duration::from_secs(days * 86_400 + hour * 3600 + minute * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_shown() {
        for text in ["1970-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "9999-12-31T01:02:03Z"] {
            let time = parse_time(text).unwrap();
            assert!(format_timestamp(time).starts_with(text.trim_end_matches('Z')), "{text}");
        }
        for wrong in [
            "",
            "2026-01-31",
            "2023-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "1969-12-31T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "26-01-01T00:00:00Z",
        ] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }
}
