//! `getty` opens a session on the terminal that PID 1 has given it: settings,
//! banner, environment, then the user's shell in its place.
//!
//! Absent: passwords. Without `--autologin` it refuses to run, because nothing
//! could tell a person from a stranger. PID 1 starts it again when the shell ends.
//! [`terminal`] is about the device, this file about the session.

mod terminal;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::fchown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use lexopt::Arg;
use rustix::fs::Mode;
use rustix::process::{Gid, Uid};
use rustix::termios::ttyname;
use services::accounts::{self, Group, User};
use services::problem::{Context, Problem, Result};

const PROGRAM: &str = "getty";

const HELP: &str = "\
Opens a session on the terminal that is its standard input.

Usage: getty --autologin USER [--term TYPE]

Options:
      --autologin USER  log USER in without asking for a password
      --term TYPE       value of TERM for the session [default: linux on virtual
                        consoles, vt220 elsewhere, dumb if nothing answers]
  -h, --help            this text

A terminal whose size is not known is asked for it. If nothing answers, nobody may
be there, and the session begins when somebody presses Enter.

Password login is not available yet. Without --autologin getty does not run.
";

/// What the command line says.
#[derive(Default)]
struct Settings {
    autologin: Option<String>,
    term: Option<String>,
}

fn main() -> ExitCode {
    let settings = match parse(lexopt::Parser::from_env()) {
        Ok(Some(settings)) => settings,
        Ok(None) => {
            let printed = io::stdout().write_all(HELP.as_bytes());
            return if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        Err(error) => {
            let problem = Problem::new(error.to_string());
            problem.with_hint("`getty --help` explains the options").print(PROGRAM);
            return ExitCode::from(2);
        }
    };
    // A session replaces this program; what comes back is the reason why not.
    let Err(problem) = open_session(&settings);
    problem.print(PROGRAM);
    ExitCode::FAILURE
}

fn parse(mut parser: lexopt::Parser) -> std::result::Result<Option<Settings>, lexopt::Error> {
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
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(settings))
}

fn open_session(settings: &Settings) -> Result<std::convert::Infallible> {
    let Some(name) = &settings.autologin else {
        return Err(Problem::new("password login is not available yet")
            .with_hint("a development image can log a user in by `getty --autologin USER`"));
    };
    let users = accounts::users().context(|| "cannot read `/etc/passwd`".to_owned())?;
    let user = users
        .into_iter()
        .find(|user| user.name == *name)
        .ok_or_else(|| Problem::new(format!("there is no user `{name}` in `/etc/passwd`")))?;
    let groups = accounts::groups().unwrap_or_default();
    let device = ttyname(io::stdin(), Vec::new())
        .context(|| "standard input is no terminal".to_owned())
        .map_err(|problem| problem.with_hint("the service needs `terminal = \"…\"`"))?;
    let device = terminal::behind_console(device.to_string_lossy().into_owned());
    terminal::make_sane().context(|| format!("cannot set up `{device}`"))?;
    print_banner(&device).context(|| format!("cannot write to `{device}`"))?;
    let answers = terminal::meet().context(|| format!("cannot talk to `{device}`"))?;
    become_user(&user, &groups).context(|| format!("cannot become `{name}`"))?;
    let term = settings.term.as_deref().unwrap_or_else(|| match answers {
        true => terminal::default_type(&device),
        false => "dumb",
    });
    let mut shell = Command::new(&user.shell);
    shell
        .arg0(login_name(&user.shell))
        .env_remove("NOTIFY_SOCKET")
        .env("HOME", &user.home)
        .env("USER", &user.name)
        .env("LOGNAME", &user.name)
        .env("SHELL", &user.shell)
        .env("TERM", term)
        .current_dir(if Path::new(&user.home).is_dir() { user.home.as_str() } else { "/" });
    let error = shell.exec();
    Err(Problem::new(format!("cannot execute the shell `{}`: {error}", user.shell))
        .with_hint(format!("the last field of `{name}` in `/etc/passwd` names the shell")))
}

/// Prints `/etc/issue`, or host name and terminal where there is none.
fn print_banner(device: &str) -> io::Result<()> {
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
    writeln!(out, "Logged in without a password: this is a development image.")?;
    out.flush()
}

/// Hands the terminal to the user and takes on the user's ids. Root needs neither.
fn become_user(user: &User, groups: &[Group]) -> io::Result<()> {
    let stdin = io::stdin();
    fchown(&stdin, Some(user.uid), None)?;
    rustix::fs::fchmod(&stdin, Mode::RUSR | Mode::WUSR | Mode::WGRP)?;
    let is_member = |group: &&Group| group.members.contains(&user.name) || group.gid == user.gid;
    let gids: Vec<Gid> =
        groups.iter().filter(is_member).map(|group| Gid::from_raw(group.gid)).collect();
    // One thread, and exec follows: the calls for threads are enough.
    rustix::thread::set_thread_groups(&gids)?;
    rustix::thread::set_thread_gid(Gid::from_raw(user.gid))?;
    rustix::thread::set_thread_uid(Uid::from_raw(user.uid))?;
    Ok(())
}

/// The shell's name with a dash before it, which makes it a login shell.
fn login_name(shell: &str) -> String {
    let name = Path::new(shell).file_name().unwrap_or_default().to_string_lossy();
    format!("-{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_becomes_a_login_shell() {
        assert_eq!(login_name("/bin/brush"), "-brush");
    }
}
