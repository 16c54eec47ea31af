//! `timectl` shows how right the clock is, sets it, and has `timed` ask its servers now.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use lexopt::Arg;
use rustix::time::{ClockId, Timespec, clock_settime};
use serde_json::{Value, json};
use services::failure::Failure;
use services::log_record::format_timestamp;
use services::network::ntp;
use services::output;
use services::problem::{Context, Problem, Result};
use services::program;
use services::sys::{is_clock_synchronised, set_hardware_clock};

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

/// What commands return.
type Done = std::result::Result<(), Failure>;

/// What is to be done.
enum Command {
    Status,
    Sync,
    Set(SystemTime),
}

struct Settings {
    command: Command,
    is_json: bool,
    state: PathBuf,
}

fn main() -> ExitCode {
    program::run(PROGRAM, HELP, parse, |settings| {
        let Settings { command, is_json, state } = settings;
        match command {
            Command::Status => status(&state, is_json),
            Command::Sync => sync(&state),
            Command::Set(time) => Ok(set(time)?),
        }
    })
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<Settings>> {
    let (mut words, mut is_json, mut state) = (Vec::new(), false, PathBuf::from("/run/timed"));
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("json") => is_json = true,
            Arg::Long("state") => state = parser.value()?.into(),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(word) => words.push(word.to_string_lossy().into_owned()),
            other => return Err(other.unexpected().into()),
        }
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let command = match words[..] {
        ["status"] => Command::Status,
        ["sync"] => Command::Sync,
        ["set", time] => Command::Set(parse_time(time).ok_or_else(|| {
            Problem::new(format!("`{time}` is no time"))
                .with_hint("write it in UTC as 2026-01-31T12:34:56Z")
        })?),
        [] => return Err(Problem::new("a command is missing")),
        _ => return Err(Problem::new(format!("there is no command `{}`", words.join(" ")))),
    };
    Ok(Some(Settings { command, is_json, state }))
}

fn not_running(path: &Path) -> Failure {
    let message = format!("timed does not run: nothing of it is at `{}`", path.display());
    Failure::no_such(message, "`svcctl why timed` says more")
}

/// Makes sure that `timed` listens at `control`. Who may not ask takes the socket for a sign of
/// it: `timed` removes it at its end.
fn require_running(control: &Path) -> Done {
    let connect = || UnixDatagram::unbound()?.connect(control);
    match connect() {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Ok(()),
        Err(_) => Err(not_running(control)),
    }
}

fn status(state: &Path, is_json: bool) -> Done {
    require_running(&state.join("control"))?;
    let path = state.join("status.json");
    let text = fs::read_to_string(&path).map_err(|_| not_running(&path))?;
    let mut status: Value = serde_json::from_str(&text)
        .context(|| format!("cannot understand `{}`", path.display()))?;
    let synchronised = is_clock_synchronised().context(|| "adjtimex".to_owned());
    status["time"] = json!(format_timestamp(SystemTime::now()));
    status["synchronised"] = json!(synchronised?);
    Ok(if is_json { output::print_json(&status) } else { output::print(&shown(&status)) }?)
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
        let name = name_of(server);
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

/// A server as the settings name it: with its port, unless that is NTP's own.
fn name_of(server: &Value) -> String {
    let name = server["server"].as_str().unwrap_or_default();
    match server["port"].as_u64() {
        Some(port) if port != u64::from(ntp::PORT) => match name.contains(':') {
            true => format!("[{name}]:{port}"),
            false => format!("{name}:{port}"),
        },
        _ => name.to_owned(),
    }
}

fn sync(state: &Path) -> Done {
    let path = state.join("control");
    let send = || UnixDatagram::unbound()?.send_to(b"sync", &path);
    match send() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Err(Problem::new("only root may do that").into())
        }
        Err(_) => Err(not_running(&path)),
    }
}

fn set(time: SystemTime) -> Result<()> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let tv_sec = i64::try_from(since.as_secs()).context(|| "too late".to_owned())?;
    let now = Timespec { tv_sec, tv_nsec: since.subsec_nanos().into() };
    let result = clock_settime(ClockId::Realtime, now);
    result.context(|| "cannot set the clock".to_owned())?;
    match File::open("/dev/rtc0") {
        Ok(rtc) => {
            let result = set_hardware_clock(&rtc, time);
            result.context(|| "cannot set the hardware clock".to_owned())
        }
        // A machine without one has none to keep.
        Err(_) => Ok(()),
    }
}

/// A time of RFC 3339, from 1970 on.
fn parse_time(text: &str) -> Option<SystemTime> {
    let time = SystemTime::from(text.parse::<Timestamp>().ok()?);
    (time >= UNIX_EPOCH).then_some(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_shown_with_their_ports() {
        let server = |name: &str, port: u16| json!({ "server": name, "port": port });
        for (name, port, shown) in [
            ("a.example", 123, "a.example"),
            ("10.0.2.2", 45124, "10.0.2.2:45124"),
            ("::1", 123, "::1"),
            ("::1", 99, "[::1]:99"),
        ] {
            assert_eq!(name_of(&server(name, port)), shown);
        }
        let status = json!({ "servers": [server("a", 1), server("a", 2)] });
        assert!(shown(&status).ends_with("  a:1: not asked yet\n  a:2: not asked yet\n"));
    }

    #[test]
    fn times_are_read_as_they_are_shown() {
        for text in ["1970-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "9999-12-30T01:02:03Z"] {
            let time = parse_time(text).unwrap();
            assert!(format_timestamp(time).starts_with(text.trim_end_matches('Z')), "{text}");
        }
        let elsewhere = parse_time("2024-03-01T05:29:59+05:30");
        assert_eq!(elsewhere, parse_time("2024-02-29T23:59:59Z"));
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
