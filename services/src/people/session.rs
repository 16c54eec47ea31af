//! The steps into a session on a terminal, for whoever lets people in: the terminal is taken
//! from whoever had it; once it is known who comes, it is handed over, the process becomes
//! the user, and the user's shell takes its place.

use std::convert::Infallible;
use std::ffi::CStr;
use std::io;
use std::os::unix::fs::fchown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, fcntl_setfl, open};
use rustix::process::{getpid, ioctl_tiocsctty};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::termios::{ControlModes, OptionalActions, tcgetattr, tcgetsid, tcsetattr, ttyname};
use signal_hook::consts::SIGHUP;
use signal_hook::flag::register_conditional_default;

use crate::people::accounts::{Group, User, groups};
use crate::people::identity::login_shell_name;
use crate::privileges::become_person;
use crate::problem::{Context, Problem, Result, warn};
use crate::sys::hang_up_terminal;

/// The group that may write to people's terminals, as write(1) does, where the system has it.
const WRITERS: &str = "tty";

/// Takes the terminal on standard input from whoever had it: its node becomes root's, and
/// what is open of it anywhere is hung up, so that nobody reads what is typed next or asks in
/// this program's place. What cannot be done is a warning in the name of `program`, on the
/// terminal itself: whoever is about to type is the one to know.
pub fn take_terminal(program: &str) {
    if let Err(error) = give_terminal(0, &groups().unwrap_or_default()) {
        warn(program, format_args!("this terminal may belong to somebody else: {error}"));
    }
    if let Err(error) = hang_up() {
        warn(program, format_args!("somebody may read along at this terminal: {error}"));
    }
}

/// Gives the node of the terminal on standard input to the user `uid`. Others may write to it
/// if they are of [`WRITERS`], and nobody else may read it.
fn give_terminal(uid: u32, groups: &[Group]) -> io::Result<()> {
    let stdin = io::stdin();
    let (gid, mode) = match groups.iter().find(|group| group.name == WRITERS) {
        Some(writers) => (writers.gid, Mode::RUSR | Mode::WUSR | Mode::WGRP),
        None => (0, Mode::RUSR | Mode::WUSR),
    };
    fchown(&stdin, Some(uid), Some(gid))?;
    Ok(rustix::fs::fchmod(&stdin, mode)?)
}

/// Hangs the terminal up and opens it anew. What is open of `/dev/console`, as PID 1's
/// standard descriptors are, the kernel leaves alone (`__tty_hangup`).
fn hang_up() -> io::Result<()> {
    let stdin = io::stdin();
    // It is the session's own terminal that is hung up, and for a program that somebody
    // starts in a session of theirs that would be the wrong one.
    if !tcgetsid(&stdin).is_ok_and(|leader| leader == getpid()) {
        return Err(io::Error::other("it cannot be hung up in a session of others"));
    }
    let path = ttyname(&stdin, Vec::new())?;
    let settings = tcgetattr(&stdin)?;
    let mut lasting = settings.clone();
    // A line must not go down with this, nor what others write to the console be lost.
    lasting.control_modes.remove(ControlModes::HUPCL);
    tcsetattr(&stdin, OptionalActions::Drain, &lasting)?;
    let is_over = Arc::new(AtomicBool::new(false));
    register_conditional_default(SIGHUP, Arc::clone(&is_over))?;
    let result = hang_up_terminal().and_then(|()| reopen(&path));
    is_over.store(true, Ordering::SeqCst);
    let restored = tcsetattr(&stdin, OptionalActions::Now, &settings);
    result.and(restored.map_err(Into::into))
}

/// Opens the terminal anew, as the three standard descriptors and as the session's own.
fn reopen(path: &CStr) -> io::Result<()> {
    // O_NONBLOCK: a serial line without carrier must not hold the open.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let terminal = open(path, flags, Mode::empty())?;
    fcntl_setfl(&terminal, OFlags::RDWR)?;
    dup2_stdin(&terminal)?;
    dup2_stdout(&terminal)?;
    dup2_stderr(&terminal)?;
    Ok(ioctl_tiocsctty(&terminal)?)
}

/// Becomes `user`, greets in the user's name, and becomes the user's login shell. Returns only
/// the reason why not.
///
/// # Errors
/// The kernel refuses, or the shell cannot be executed.
pub fn begin(
    user: &User,
    groups: &[Group],
    term: &str,
    greet: impl FnOnce(),
) -> Result<Infallible> {
    give_terminal(user.uid, groups)
        .and_then(|()| become_person(user, groups))
        .context(|| format!("cannot become `{}`", user.name))?;
    greet();
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
