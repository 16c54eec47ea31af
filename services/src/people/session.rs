//! The last steps into a session on a terminal, for whoever has let a user in: the terminal
//! is handed over, the process becomes the user, and the user's shell takes its place.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::fchown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::Mode;

use crate::people::accounts::{Group, User};
use crate::people::identity::login_shell_name;
use crate::privileges::become_person;
use crate::problem::{Context, Problem, Result};

/// Hands the terminal on standard input to `user`.
fn hand_over_terminal(user: &User) -> io::Result<()> {
    let stdin = io::stdin();
    fchown(&stdin, Some(user.uid), None)?;
    Ok(rustix::fs::fchmod(&stdin, Mode::RUSR | Mode::WUSR | Mode::WGRP)?)
}

/// Becomes `user` and then the user's login shell. Returns only the reason why not.
///
/// # Errors
/// The kernel refuses, or the shell cannot be executed.
pub fn begin(user: &User, groups: &[Group], term: &str) -> Result<Infallible> {
    hand_over_terminal(user)
        .and_then(|()| become_person(user, groups))
        .context(|| format!("cannot become `{}`", user.name))?;
    let mut shell = Command::new(&user.shell);
    shell
        .arg0(login_shell_name(&user.shell))
        .env_remove("NOTIFY_SOCKET")
        .env("HOME", &user.home)
        .env("USER", &user.name)
        .env("LOGNAME", &user.name)
        .env("SHELL", &user.shell)
        .env("TERM", term)
        .current_dir(if Path::new(&user.home).is_dir() { user.home.as_str() } else { "/" });
    let error = shell.exec();
    Err(Problem::new(format!("cannot execute the shell `{}`: {error}", user.shell))
        .with_hint(format!("the last field of `{}` in `/etc/passwd` names the shell", user.name)))
}
