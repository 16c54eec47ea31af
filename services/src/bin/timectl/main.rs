//! `timectl` shows how right the clock is, sets it, and has `timed` ask its servers now.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use lexopt::Arg;
use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_settime};
use serde_json::{Value, json};
use services::failure::Failure;
use services::log_record::format_timestamp;
use services::network::ntp;
use services::output;
use services::problem::{Context, Problem, Result};
use services::program;
use services::random;
use services::sys::{is_clock_synchronised, set_hardware_clock};

const PROGRAM: &str = "timectl";

const RTC: &str = "/dev/rtc0";

/// How long `timed` may take to answer: it hears nobody while it waits for servers.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(15);

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
            Command::Set(time) => Ok(set(time, &state)?),
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

fn set(time: SystemTime, state: &Path) -> Result<()> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let tv_sec = i64::try_from(since.as_secs()).context(|| "too late".to_owned())?;
    let now = Timespec { tv_sec, tv_nsec: since.subsec_nanos().into() };
    let result = clock_settime(ClockId::Realtime, now);
    result.context(|| "cannot set the clock".to_owned())?;
    keep(Path::new(RTC), time, &state.join("control"))
        .context(|| "the clock is set, but not the hardware clock".to_owned())
}

/// Sets the hardware clock to `time`, or has `timed` set it to the system's, which is the same.
fn keep(rtc: &Path, time: SystemTime, control: &Path) -> io::Result<()> {
    let error = match File::open(rtc) {
        Ok(rtc) => return set_hardware_clock(&rtc, time),
        Err(error) => error,
    };
    match Errno::from_io_error(&error) {
        // A machine without one has none to keep.
        Some(Errno::NOENT | Errno::NODEV | Errno::NXIO) => Ok(()),
        // It has one user at a time (rtc(4)), and `timed` is that for as long as it runs.
        Some(Errno::BUSY) => match have_kept(control) {
            Err(absence) if is_absence(&absence) => {
                let why = format!("another program has `{}` open", rtc.display());
                Err(io::Error::new(ErrorKind::ResourceBusy, why))
            }
            other => other,
        },
        _ => Err(error),
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

/// Has `timed`, which listens at `control`, set the hardware clock, and waits for its word.
fn have_kept(control: &Path) -> io::Result<()> {
    // A name of its own, to which the answer can come.
    let name = [&b"timectl-"[..], &random::bytes::<16>()?].concat();
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    // Nobody else can send to it from here on (unix(7)).
    socket.connect(control)?;
    socket.set_read_timeout(Some(ANSWER_TIME_MAX))?;
    socket.send(b"keep")?;
    let mut answer = [0; 256];
    let length = match socket.recv(&mut answer) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => {
            return Err(io::Error::new(ErrorKind::TimedOut, "timed does not answer"));
        }
        other => other?,
    };
    match answer.get(..length).unwrap_or_default() {
        b"kept" => Ok(()),
        why => Err(io::Error::other(String::from_utf8_lossy(why).into_owned())),
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
    fn a_hardware_clock_that_is_in_use_is_set_by_timed_or_it_is_said_that_it_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let control = directory.path().join("control");
        assert!(is_absence(&have_kept(&control).unwrap_err()));
        let timed = UnixDatagram::bind(&control).unwrap();
        for (answer, is_kept) in [("kept", true), ("it is broken", false)] {
            let kept = std::thread::scope(|scope| {
                let asked = scope.spawn(|| have_kept(&control));
                let mut question = [0; 16];
                let (length, from) = timed.recv_from(&mut question).unwrap();
                assert_eq!(&question[..length], b"keep");
                timed.send_to_addr(answer.as_bytes(), &from).unwrap();
                asked.join().unwrap()
            });
            assert_eq!(
                kept.map_err(|error| error.to_string()).err().as_deref(),
                (!is_kept).then_some(answer)
            );
        }
        drop(timed);
        assert!(is_absence(&have_kept(&control).unwrap_err()), "left by one that was killed");
    }

    #[test]
    fn only_the_want_of_a_hardware_clock_is_no_mistake() {
        let directory = tempfile::tempdir().unwrap();
        let keep = |rtc: &Path| keep(rtc, UNIX_EPOCH, Path::new("/nonexistent/control"));
        assert!(keep(&directory.path().join("none")).is_ok());
        assert!(keep(Path::new("/dev/null")).is_err(), "it is no clock");
        assert!(keep(&directory.path().join("none\0")).is_err());
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
