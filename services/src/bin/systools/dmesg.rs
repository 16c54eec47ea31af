//! `dmesg`: the kernel's messages, from `/dev/kmsg`.
//!
//! Absent: switching the console's level (`/proc/sys/kernel/printk` does).

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::time::SystemTime;

use lexopt::{Arg, ValueExt};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{OFlags, SeekFrom, seek};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use services::kmsg::{self, LEVELS, RECORD_BYTES_MAX, Record};
use services::log_record::format_timestamp;
use services::problem::{Context, Problem};
use services::sys::clear_kernel_log;

use crate::Result;
use crate::output::{print, print_json, tame};

const HELP: &str = "\
Shows the kernel's messages.

Usage: dmesg [OPTIONS]

Options:
  -C, --clear           leave the messages so far out from now on, and show nothing
  -c, --read-clear      show them, and leave them out from now on
  -w, --follow          go on and show new ones
  -T, --ctime           times of day (UTC) instead of seconds since boot
  -t, --notime          no times
  -x, --decode          facility and level before each
  -k, --kernel          only those of the kernel
  -u, --userspace       only those of programs
  -l, --level LEVELS    only these, with commas between: emerg, alert, crit, err,
                        warn, notice, info, debug; `err+` is err and all that is worse
  -r, --raw             as the kernel keeps them: <PRIORITY>[SECONDS] TEXT
      --json            for programs
  -h, --help            this text
";

/// How the time of a message is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Clock {
    SinceBoot,
    OfDay,
    Nothing,
}

#[derive(Debug)]
struct Settings {
    clock: Clock,
    decode: bool,
    raw: bool,
    json: bool,
    follow: bool,
    show: bool,
    clear: bool,
    /// Whether messages of the kernel, and of programs, are shown.
    origins: (bool, bool),
    /// A bit for each severity that is shown.
    levels: u8,
}

pub(crate) fn run(_: &str, words: Vec<OsString>) -> Result<()> {
    let Some(settings) = parse(words)? else { return Ok(print(HELP)?) };
    if settings.show {
        show(&settings)?;
    }
    if settings.clear {
        clear_kernel_log().map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::PERM) => Problem::new("only root may clear the kernel's messages"),
            _ => Problem::new(format!("cannot clear the kernel's messages: {error}")),
        })?;
    }
    Ok(())
}

fn parse(words: Vec<OsString>) -> Result<Option<Settings>> {
    let mut settings = Settings {
        clock: Clock::SinceBoot,
        decode: false,
        raw: false,
        json: false,
        follow: false,
        show: true,
        clear: false,
        origins: (true, true),
        levels: u8::MAX,
    };
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('C') | Arg::Long("clear") => {
                (settings.show, settings.clear) = (false, true);
            }
            Arg::Short('c') | Arg::Long("read-clear") => settings.clear = true,
            Arg::Short('w') | Arg::Long("follow") => settings.follow = true,
            Arg::Short('T') | Arg::Long("ctime") => settings.clock = Clock::OfDay,
            Arg::Short('t') | Arg::Long("notime") => settings.clock = Clock::Nothing,
            Arg::Short('x') | Arg::Long("decode") => settings.decode = true,
            Arg::Short('k') | Arg::Long("kernel") => settings.origins = (true, false),
            Arg::Short('u') | Arg::Long("userspace") => settings.origins = (false, true),
            Arg::Short('l') | Arg::Long("level") => {
                settings.levels = parser.value()?.parse_with(levels)?;
            }
            Arg::Short('r') | Arg::Long("raw") => settings.raw = true,
            Arg::Long("json") => settings.json = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(settings))
}

/// The severities in `err,warn` or `err+`, a bit for each.
fn levels(text: &str) -> std::result::Result<u8, String> {
    let mut bits = 0;
    for word in text.split(',') {
        let (name, and_worse) = match word.strip_suffix('+') {
            Some(name) => (name, true),
            None => (word, false),
        };
        let index = LEVELS.iter().position(|level| *level == name);
        let Some(index) = index else {
            return Err(format!("the levels are {}", LEVELS.join(", ")));
        };
        bits |= if and_worse { u8::MAX >> (7 - index) } else { 1 << index };
    }
    Ok(bits)
}

fn open() -> Result<File> {
    let nonblocking = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default();
    let device = OpenOptions::new().read(true).custom_flags(nonblocking).open("/dev/kmsg");
    let device = device.map_err(|error| {
        let problem = Problem::new(format!("cannot open `/dev/kmsg`: {error}"));
        match error.kind() {
            io::ErrorKind::PermissionDenied => problem.with_hint("root may read it"),
            _ => problem,
        }
    })?;
    // Behind what was cleared (Documentation/ABI/testing/dev-kmsg); std does not know it.
    seek(&device, SeekFrom::Data(0)).context(|| "cannot read `/dev/kmsg`".to_owned())?;
    Ok(device)
}

fn show(settings: &Settings) -> Result<()> {
    let mut device = open()?;
    let mut buffer = [0; RECORD_BYTES_MAX];
    let mut list = Vec::new();
    loop {
        match device.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => {
                let text = buffer.get(..length).map(String::from_utf8_lossy).unwrap_or_default();
                let record = kmsg::parse(&text).filter(|record| settings.wants(record));
                match record {
                    Some(record) if settings.json => list.push(json(&record)),
                    Some(record) => print(&settings.line(&record, boot_time()))?,
                    None => {}
                }
            }
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::AGAIN) if settings.follow => {
                    let _ = poll(&mut [PollFd::new(&device, PollFlags::IN)], None);
                }
                Some(Errno::AGAIN) => break,
                // EPIPE: the ring was overwritten; the next read goes on with its oldest.
                Some(Errno::PIPE | Errno::INTR) => {}
                _ => return Err(Problem::new(format!("cannot read `/dev/kmsg`: {error}")).into()),
            },
        }
        if settings.follow && settings.json {
            for value in list.drain(..) {
                print(&format!("{value}\n"))?;
            }
        }
    }
    if settings.json { Ok(print_json(&Value::Array(list))?) } else { Ok(()) }
}

/// When the kernel's clock stood at 0, by the clock of now.
fn boot_time() -> SystemTime {
    let since = clock_gettime(ClockId::Monotonic).try_into().unwrap_or_default();
    SystemTime::now().checked_sub(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

fn json(record: &Record<'_>) -> Value {
    json!({
        "facility": record.facility(),
        "level": record.level(),
        "sequence": record.sequence,
        "since_boot_us": u64::try_from(record.since_boot.as_micros()).unwrap_or(u64::MAX),
        "text": kmsg::unescape(record.text),
    })
}

impl Settings {
    fn wants(&self, record: &Record<'_>) -> bool {
        let (kernel, programs) = self.origins;
        let origin = if record.is_from_user_space() { programs } else { kernel };
        origin && self.levels & (1 << (record.priority & 7)) != 0
    }

    fn line(&self, record: &Record<'_>, boot: SystemTime) -> String {
        let at = record.since_boot;
        let seconds = format!("[{:>5}.{:06}] ", at.as_secs(), at.subsec_micros());
        if self.raw {
            return format!("<{}>{seconds}{}\n", record.priority, record.text);
        }
        let time = match self.clock {
            Clock::SinceBoot => seconds,
            Clock::OfDay => {
                format!("[{}] ", format_timestamp(boot.checked_add(at).unwrap_or(boot)))
            }
            Clock::Nothing => String::new(),
        };
        let origin = match self.decode {
            true => format!("{:<6}:{:<6}: ", record.facility(), record.level()),
            false => String::new(),
        };
        format!("{origin}{time}{}\n", tame(&kmsg::unescape(record.text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(line: &str) -> Settings {
        let words = line.split_whitespace().map(OsString::from).collect();
        parse(words).unwrap().unwrap()
    }

    #[test]
    fn messages_are_shown_as_asked() {
        let record = kmsg::parse("30,7,12345678,-;init: a\\x1b[2Jb").unwrap();
        let boot = SystemTime::UNIX_EPOCH;
        for (line, shown) in [
            ("", "[   12.345678] init: a?[2Jb\n"),
            ("-t", "init: a?[2Jb\n"),
            ("-x", "daemon:info  : [   12.345678] init: a?[2Jb\n"),
            ("-T", "[1970-01-01T00:00:12.345678Z] init: a?[2Jb\n"),
            ("-r", "<30>[   12.345678] init: a\\x1b[2Jb\n"),
        ] {
            assert_eq!(settings(line).line(&record, boot), shown, "dmesg {line}");
        }
    }

    #[test]
    fn messages_are_chosen_by_level_and_origin() {
        let of = |priority| Record { priority, ..kmsg::parse("0,1,1,-;x").unwrap() };
        for (line, wanted) in [
            ("", [true, true, true]),
            ("-k", [true, false, true]),
            ("-u", [false, true, false]),
            ("-l err", [true, false, false]),
            ("-l err+", [true, false, false]),
            ("-l warn+", [true, false, true]),
            ("--level=info,warn", [false, true, true]),
        ] {
            // The kernel's err, a daemon's info, the kernel's warn.
            let found = [3, 30, 4].map(|priority| settings(line).wants(&of(priority)));
            assert_eq!(found, wanted, "dmesg {line}");
        }
        assert!(levels("nonsense").is_err() && levels("").is_err());
        assert_eq!(levels("debug+"), Ok(u8::MAX));
    }
}
