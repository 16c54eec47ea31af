//! `top`: processes by what they use now, again and again.
//!
//! [`screen`] is what is shown, a pure function of two snapshots; this file is the
//! terminal. Absent: colours, renice and kill by keys, threads, a configuration file.

mod screen;

use std::ffi::OsString;
use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lexopt::{Arg, ValueExt};
use procfs::{Current, CurrentSI, KernelStats, LoadAverage};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};
use rustix::termios::isatty;
use services::failure::Failure;
use services::problem::{Context, Problem};
use services::signals::Termination;

use crate::output::{cut, print, size};
use crate::process::Snapshot;
use crate::{Result, fullscreen, memory};

use screen::{Order, Sample};

const HELP: &str = "\
Shows processes by what they use now.

Usage: top [OPTIONS]

Options:
  -b          for files and pipes: no keys, all processes, one screen after another
  -n N        ends after N screens
  -d SECONDS  time between two screens [default: 3]
  -o KEY      order: cpu [default], mem, time, pid
  -p LIST     only these process ids
  -u USER     only those of this user, by name or id
  -c          command lines instead of names
  -h, --help  this text

Keys: q ends, space shows anew at once; P, M, T, N order by processor, memory, time
and process id; c switches between names and command lines.
";

/// What the command line says, and keys change.
#[derive(Clone, Debug)]
struct Settings {
    batch: bool,
    screens: Option<u64>,
    every: Duration,
    view: screen::View,
}

pub(crate) fn run(_: &str, words: Vec<OsString>) -> Result<()> {
    let Some(mut settings) = parse(words)? else { return Ok(print(HELP)?) };
    if settings.batch {
        return batch(&settings);
    }
    if !isatty(io::stdin()) || !isatty(io::stdout()) {
        return Err(Problem::new("standard input and output are no terminal")
            .with_hint("`top -b -n1` writes one screen to a file or a pipe")
            .into());
    }
    let termination = Termination::catch().context(|| "cannot watch for signals".to_owned())?;
    let before = fullscreen::enter(io::stdin())?;
    let result = interactive(&mut settings, &termination);
    fullscreen::leave(io::stdin(), &before)?;
    // The other screen has gone with all that was on it.
    Ok(print(&result?.into_iter().map(|line| line + "\n").collect::<String>())?)
}

fn parse(words: Vec<OsString>) -> Result<Option<Settings>> {
    let mut settings = Settings {
        batch: false,
        screens: None,
        every: Duration::from_secs(3),
        view: screen::View::default(),
    };
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('b') => settings.batch = true,
            Arg::Short('n') => settings.screens = Some(parser.value()?.parse()?),
            Arg::Short('d') => {
                settings.every = parser.value()?.parse_with(crate::free::seconds)?;
            }
            Arg::Short('o') => settings.view.order = parser.value()?.parse_with(order)?,
            Arg::Short('p') => {
                let list = parser.value()?.to_string_lossy().into_owned();
                for word in list.split(',') {
                    let pid = word.parse().map_err(|_| {
                        Failure::usage(format!("`{word}` is no process id"), "it is a number")
                    })?;
                    settings.view.pids.push(pid);
                }
            }
            Arg::Short('u') => {
                settings.view.user = Some(parser.value()?.to_string_lossy().into_owned());
            }
            Arg::Short('c') => settings.view.command_lines = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(settings))
}

fn order(text: &str) -> std::result::Result<Order, String> {
    match text.trim_start_matches('%').to_ascii_lowercase().as_str() {
        "cpu" => Ok(Order::Processor),
        "mem" => Ok(Order::Memory),
        "time" | "time+" => Ok(Order::Time),
        "pid" => Ok(Order::Pid),
        _ => Err("the orders are cpu, mem, time, pid".to_owned()),
    }
}

/// What the kernel says now.
fn sample() -> Result<Sample> {
    let unreadable = || "cannot read `/proc`".to_owned();
    let load = LoadAverage::current().context(unreadable)?;
    Ok(Sample {
        snapshot: Snapshot::take()?,
        cpu: KernelStats::current().context(unreadable)?.total,
        load: [load.one, load.five, load.fifteen],
        memory: memory::read()?,
    })
}

fn batch(settings: &Settings) -> Result<()> {
    let mut before: Option<Sample> = None;
    let mut left = settings.screens.unwrap_or(u64::MAX);
    while left > 0 {
        let now = sample()?;
        let text = screen::lines(&settings.view, before.as_ref(), &now).join("\n");
        left -= 1;
        print(&format!("{text}\n{}", if left > 0 { "\n" } else { "" }))?;
        before = Some(now);
        if left > 0 {
            sleep(settings.every);
        }
    }
    Ok(())
}

/// Shows screens until somebody wants an end, or as many as are wanted: the last one then
/// is what it gives.
fn interactive(settings: &mut Settings, termination: &Termination) -> Result<Vec<String>> {
    let mut before: Option<Sample> = None;
    let mut left = settings.screens.unwrap_or(u64::MAX);
    loop {
        let now = sample()?;
        let shown = draw(&screen::lines(&settings.view, before.as_ref(), &now))?;
        left = left.saturating_sub(1);
        if left == 0 {
            return Ok(shown);
        }
        before = Some(now);
        let deadline = Instant::now() + settings.every;
        loop {
            match key(deadline, termination)? {
                Key::None => break,
                Key::End | Key::Letter(b'q' | b'Q' | 3) => return Ok(Vec::new()),
                Key::Letter(letter) => {
                    if settings.view.obey(letter) {
                        break;
                    }
                }
            }
        }
    }
}

/// Something that happened while waiting.
enum Key {
    None,
    Letter(u8),
    End,
}

fn key(deadline: Instant, termination: &Termination) -> Result<Key> {
    let stdin = io::stdin();
    let rest = deadline.saturating_duration_since(Instant::now());
    let rest = rest.try_into().unwrap_or_default();
    let mut watched = [PollFd::new(&stdin, PollFlags::IN), PollFd::new(termination, PollFlags::IN)];
    match poll(&mut watched, Some(&rest)) {
        Ok(0) | Err(Errno::INTR) => return Ok(Key::None),
        Ok(_) => {}
        Err(error) => return Err(Problem::new(format!("cannot wait: {error}")).into()),
    }
    if !watched[1].revents().is_empty() {
        return Ok(Key::End);
    }
    let mut byte = [0];
    match read(&stdin, &mut byte) {
        Ok(0) | Err(_) => Ok(Key::End),
        Ok(_) => Ok(Key::Letter(byte[0])),
    }
}

/// Shows as much of the lines as the terminal has room for, and gives that.
fn draw(lines: &[String]) -> Result<Vec<String>> {
    let (rows, columns) = size().unwrap_or((24, 80));
    let shown: Vec<String> =
        lines.iter().take(rows).map(|line| cut(line, columns).to_owned()).collect();
    print(&format!("\x1b[H{}\x1b[K\x1b[J", shown.join("\x1b[K\r\n")))?;
    Ok(shown)
}
