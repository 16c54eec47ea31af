//! The last steps into a session on a terminal, for whoever has let a user in: the terminal
//! is handed over, the process becomes the user, and the user's shell takes its place.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::fchown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::Mode;
use rustix::process::{Gid, Uid};

use crate::accounts::{Group, User};
use crate::identity::{group_ids, login_shell_name};
use crate::problem::{Context, Problem, Result};

/// Hands the terminal on standard input to `user` and takes on the user's ids. To be called
/// before there is a second thread.
///
/// # Errors
/// What the kernel says: only root may.
pub fn become_user(user: &User, groups: &[Group]) -> io::Result<()> {
    let stdin = io::stdin();
    fchown(&stdin, Some(user.uid), None)?;
    rustix::fs::fchmod(&stdin, Mode::RUSR | Mode::WUSR | Mode::WGRP)?;
    let gids: Vec<Gid> = group_ids(user, groups).into_iter().map(Gid::from_raw).collect();
    // One thread, and exec follows: the calls for threads are enough.
    rustix::thread::set_thread_groups(&gids)?;
    rustix::thread::set_thread_gid(Gid::from_raw(user.gid))?;
    rustix::thread::set_thread_uid(Uid::from_raw(user.uid))?;
    Ok(())
}

/// Becomes `user` and then the user's login shell. Returns only the reason why not.
///
/// # Errors
/// The kernel refuses, or the shell cannot be executed.
pub fn begin(user: &User, groups: &[Group], term: &str) -> Result<Infallible> {
    become_user(user, groups).context(|| format!("cannot become `{}`", user.name))?;
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
