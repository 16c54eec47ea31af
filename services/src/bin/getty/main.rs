//! `getty` begins a session on the terminal that PID 1 has given it: settings, banner,
//! the person's name, and then `login` in its place; or, where nobody is to be asked,
//! a user's shell. PID 1 starts it again when that ends.
//!
//! [`terminal`] is about the device, this file about the session.

mod terminal;

use std::convert::Infallible;
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use lexopt::Arg;
use rustix::termios::ttyname;
use services::people::accounts::{self, User};
use services::people::{ask, session};
use services::problem::{Context, Problem, Result};
use services::program;

const PROGRAM: &str = "getty";
/// What asks for the password.
const LOGIN: &str = "/usr/bin/login";

const HELP: &str = "\
Begins a session on the terminal that is its standard input.

Usage: getty [--autologin USER] [--term TYPE]

Asks for a name and hands it to `login`, which asks for the password.

Options:
      --autologin USER  log USER in without asking for a password
      --term TYPE       value of TERM for the session [default: linux on virtual
                        consoles, vt220 elsewhere, dumb if nothing answers]
  -h, --help            this text

A terminal other than a virtual console is asked for its size, which may have changed
since the last session. If nothing answers, the size stays; where it is not known,
nobody may be there, and the session begins when somebody presses Enter.
";

/// What the command line says.
#[derive(Default)]
struct Settings {
    autologin: Option<String>,
    term: Option<String>,
}

fn main() -> ExitCode {
    // A session replaces this program; what comes back is the reason why not.
    program::run(PROGRAM, HELP, parse, |settings| open_session(&settings))
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<Settings>> {
    let mut settings = Settings::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("autologin") => {
                settings.autologin = Some(parser.value()?.to_string_lossy().into_owned());
            }
            Arg::Long("term") => {
                settings.term = Some(parser.value()?.to_string_lossy().into_owned());
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(settings))
}

fn open_session(settings: &Settings) -> Result<Infallible> {
    let user = settings.autologin.as_deref().map(find_user).transpose()?;
    let device = ttyname(io::stdin(), Vec::new())
        .context(|| "standard input is no terminal".to_owned())
        .map_err(|problem| problem.with_hint("the service needs `terminal = \"…\"`"))?;
    let device = terminal::behind_console(device.to_string_lossy().into_owned());
    session::take_terminal(PROGRAM);
    terminal::make_sane().context(|| format!("cannot set up `{device}`"))?;
    print_banner(&device, user.is_some()).context(|| format!("cannot write to `{device}`"))?;
    let answers = terminal::meet(&device).context(|| format!("cannot talk to `{device}`"))?;
    let term = settings.term.as_deref().unwrap_or_else(|| match answers {
        true => terminal::default_type(&device),
        false => "dumb",
    });
    match user {
        Some(user) => session::begin(&user, &accounts::groups().unwrap_or_default(), term, || {}),
        None => ask_who(&device, term),
    }
}

fn find_user(name: &str) -> Result<User> {
    let users = accounts::users().context(|| "cannot read `/etc/passwd`".to_owned())?;
    let user = users.into_iter().find(|user| user.name == name);
    user.ok_or_else(|| Problem::new(format!("there is no user `{name}` in `/etc/passwd`")))
}

/// Asks until a name is typed, and becomes `login`.
fn ask_who(device: &str, term: &str) -> Result<Infallible> {
    let question = format!("{} login: ", rustix::system::uname().nodename().to_string_lossy());
    loop {
        let answer = ask::line(&question, None).context(|| format!("cannot ask at `{device}`"))?;
        let Some(name) = answer else {
            return Err(Problem::new(format!("`{device}` has no more input")));
        };
        let name = name.trim();
        if !name.is_empty() {
            let mut login = Command::new(LOGIN);
            let error =
                login.env_remove("NOTIFY_SOCKET").env("TERM", term).args(["--", name]).exec();
            return Err(Problem::new(format!("cannot execute `{LOGIN}`: {error}"))
                .with_hint("an image with `getty` for people has the tool `login`"));
        }
    }
}

/// Prints `/etc/issue`, or host name and terminal where there is none.
fn print_banner(device: &str, is_let_in: bool) -> io::Result<()> {
    let mut out = io::stdout();
    match fs::read("/etc/issue") {
        Ok(issue) => out.write_all(&issue)?,
        Err(_) => {
            let uname = rustix::system::uname();
            let host = uname.nodename().to_string_lossy();
            let terminal = device.strip_prefix("/dev/").unwrap_or(device);
            write!(out, "\nKeelson on {host} ({terminal})\n\n")?;
        }
    }
    if is_let_in {
        writeln!(out, "Logged in without a password: this is a development image.")?;
    }
    out.flush()
}
