//! `typist` types at a program and reads its screen, as a script on standard input
//! says: for tests of what needs a terminal. It is in test images alone.
//!
//! [`script`] is the script, [`screen`] what came back. It plays the terminal too, and
//! answers questions for the cursor's position unless it is told to be mute.

mod screen;
mod script;

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use lexopt::{Arg, ValueExt};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read, write};
use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use services::problem::{Context, Problem, Result};
use services::program;

use screen::Screen;
use script::Step;

const PROGRAM: &str = "typist";

const HELP: &str = "\
Types at a program in a terminal of its own, and looks at what it shows.

Usage: typist [OPTIONS] COMMAND [ARGUMENT…] < SCRIPT

Options:
      --size ROWSxCOLUMNS  of the terminal [default: 24x80]; 0x0 is not known
      --mute               the terminal does not answer questions
      --wait SECONDS       longest wait for what is to be seen [default: 20]
  -h, --help               this text

Each line of the script is a step:
  type TEXT    types it; \\r is Enter, \\t Tab, \\e Escape, \\xHH any byte
  see TEXT     waits until it shows behind what was seen last
  unseen TEXT  fails if it has shown behind what was seen last
  pause SECONDS
  end STATUS   waits for the program's end with this exit status
Everything the program wrote is printed, without control sequences. The exit code is
0 if every step was as it is written, else 1, with the step on standard error.
";

/// The first word when it runs again as the child, in a session of its own.
const CHILD: &str = "--in-session";

struct Settings {
    size: (u16, u16),
    mute: bool,
    wait: Duration,
    command: Vec<OsString>,
}

fn main() -> ExitCode {
    let mut words = env::args_os().skip(1);
    if words.next().is_some_and(|word| word == CHILD) {
        let Err(problem) = take_terminal(words.collect());
        problem.print(PROGRAM);
        return ExitCode::from(127);
    }
    program::run(PROGRAM, HELP, parse, |settings| perform(&settings))
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<Settings>> {
    let mut settings = Settings {
        size: (24, 80),
        mute: false,
        wait: Duration::from_secs(20),
        command: Vec::new(),
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("size") => {
                settings.size = parser.value()?.parse_with(|text| {
                    let (rows, columns) = text.split_once('x').ok_or("it is no ROWSxCOLUMNS")?;
                    match (rows.parse(), columns.parse()) {
                        (Ok(rows), Ok(columns)) => Ok((rows, columns)),
                        _ => Err("it is no ROWSxCOLUMNS"),
                    }
                })?;
            }
            Arg::Long("mute") => settings.mute = true,
            Arg::Long("wait") => {
                settings.wait = Duration::from_secs(parser.value()?.parse::<u64>()?);
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(first) => {
                settings.command.push(first);
                settings.command.extend(parser.raw_args()?);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    if settings.command.is_empty() {
        return Err(Problem::new("no command is given"));
    }
    Ok(Some(settings))
}

/// Becomes the leader of a session on the terminal that is standard input, and the command.
fn take_terminal(words: Vec<OsString>) -> Result<std::convert::Infallible> {
    setsid().context(|| "cannot begin a session".to_owned())?;
    ioctl_tiocsctty(io::stdin()).context(|| "cannot take the terminal".to_owned())?;
    let mut words = words.into_iter();
    let program = words.next().unwrap_or_default();
    let error = Command::new(&program).args(words).exec();
    Err(Problem::new(format!("cannot execute `{}`: {error}", program.display())))
}

fn perform(settings: &Settings) -> Result<()> {
    let text = io::read_to_string(io::stdin()).context(|| "cannot read the script".to_owned())?;
    let steps = script::parse(&text)?;
    let mut session = Session::begin(settings)?;
    let mut result = Ok(());
    for (number, step) in &steps {
        result = session.step(step);
        if let Err(problem) = result {
            result = Err(Problem::new(format!("line {number}: {problem}")));
            break;
        }
    }
    let shown = session.screen.text();
    // A program that is still there must not outlive the test.
    let _ = session.child.kill();
    let _ = session.child.wait();
    io::stdout()
        .write_all(format!("{}\n", shown.replace('\r', "")).as_bytes())
        .context(|| "cannot write".to_owned())?;
    result
}

/// A program and the terminal it runs on.
struct Session {
    master: OwnedFd,
    child: Child,
    screen: Screen,
    wait: Duration,
    has_ended: bool,
}

impl Session {
    fn begin(settings: &Settings) -> Result<Self> {
        let no_terminal = || "cannot make a terminal".to_owned();
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .context(no_terminal)?;
        grantpt(&master).context(no_terminal)?;
        unlockpt(&master).context(no_terminal)?;
        let name = ptsname(&master, Vec::new()).context(no_terminal)?;
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = open(name, flags, Mode::empty()).context(no_terminal)?;
        let (rows, columns) = settings.size;
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).context(no_terminal)?;
        let own = env::current_exe().context(|| "cannot find this program".to_owned())?;
        let stdio = || slave.try_clone().map(Stdio::from).context(no_terminal);
        let child = Command::new(own)
            .arg(CHILD)
            .args(&settings.command)
            .stdin(stdio()?)
            .stdout(stdio()?)
            .stderr(stdio()?)
            .spawn()
            .context(|| "cannot start the program".to_owned())?;
        // A terminal of unknown size still has one, which it tells who asks.
        let answer = if rows == 0 { (30, 100) } else { (rows, columns) };
        let screen = Screen::new((!settings.mute).then_some(answer));
        Ok(Self { master, child, screen, wait: settings.wait, has_ended: false })
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Type(bytes) => self.write(bytes),
            Step::Pause(time) => {
                let deadline = Instant::now() + *time;
                while self.listen(deadline)? {}
                Ok(())
            }
            Step::See(wanted) => {
                let deadline = Instant::now() + self.wait;
                while !self.screen.see(wanted) {
                    if !self.listen(deadline)? {
                        return Err(self.not_shown(wanted));
                    }
                }
                Ok(())
            }
            Step::Unseen(unwanted) => match self.screen.see(unwanted) {
                true => Err(Problem::new(format!("`{unwanted}` shows"))),
                false => Ok(()),
            },
            Step::End(wanted) => self.end(*wanted),
        }
    }

    fn not_shown(&self, wanted: &str) -> Problem {
        let how = if self.has_ended { "the program has ended" } else { "not in time" };
        Problem::new(format!("`{wanted}` does not show: {how}"))
    }

    fn end(&mut self, wanted: u8) -> Result<()> {
        let deadline = Instant::now() + self.wait;
        while self.listen(deadline)? {}
        let status = loop {
            let status = self.child.try_wait().context(|| "cannot wait".to_owned())?;
            match status {
                Some(status) => break status,
                None if Instant::now() > deadline => {
                    return Err(Problem::new("the program has not ended in time"));
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        match code(status) {
            Some(code) if code == i32::from(wanted) => Ok(()),
            _ => Err(Problem::new(format!("the program has ended with {status}"))),
        }
    }

    /// Takes what the program writes, and answers it. False at the deadline, or when
    /// nobody has the terminal open any more.
    fn listen(&mut self, deadline: Instant) -> Result<bool> {
        let rest = deadline.saturating_duration_since(Instant::now());
        if rest.is_zero() || self.has_ended {
            return Ok(false);
        }
        let rest = rest.try_into().unwrap_or_default();
        match poll(&mut [PollFd::new(&self.master, PollFlags::IN)], Some(&rest)) {
            Ok(0) => return Ok(false),
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(true),
            Err(error) => return Err(Problem::new(format!("cannot wait: {error}"))),
        }
        let mut bytes = [0; 4096];
        match read(&self.master, &mut bytes) {
            // EIO: the last descriptor of the other side is closed (pty(7)).
            Ok(0) | Err(Errno::IO) => self.has_ended = true,
            Ok(length) => {
                let answer = self.screen.take(bytes.get(..length).unwrap_or_default());
                self.write(&answer)?;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(Problem::new(format!("cannot read: {error}"))),
        }
        Ok(true)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            match write(&self.master, rest) {
                Ok(length) => rest = rest.get(length..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(error) => return Err(Problem::new(format!("cannot type: {error}"))),
            }
        }
        Ok(())
    }
}

fn code(status: ExitStatus) -> Option<i32> {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal))
}
