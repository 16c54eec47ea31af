//! `passwd` changes a password in `/etc/shadow`: one's own, which has to be told first, and
//! as root anybody's.
//!
//! It has no set-user-ID bit: somebody who is not root becomes root for this by `sudo`,
//! whose rule names `passwd --own` alone. [`change`] is the file. Absent: locking and
//! unlocking accounts, ageing, judging passwords by more than their length, PAM.

mod change;

use std::env;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lexopt::{Arg, ValueExt};
use rustix::process::{geteuid, getuid};
use services::failure::Failure;
use services::output::print;
use services::people::accounts::{self, User};
use services::people::ask;
use services::people::password::{PASSWORD_BYTES_MAX, is_right};
use services::people::shadow::{self, Refusal, Shadow};
use services::problem::{Context, Problem, Result};
use services::program;
use signal_hook::consts::{SIGINT, SIGQUIT, SIGTSTP};

const PROGRAM: &str = "passwd";
const OWN_PATH: &str = "/usr/bin/passwd";
const SUDO: &str = "/usr/bin/sudo";
/// What a wrong password takes at least.
const REFUSAL: Duration = Duration::from_secs(2);
/// Longest time for each answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// Shortest password that somebody but root may choose, in characters.
const LENGTH_MIN: usize = 8;

const HELP: &str = "\
Changes a password in /etc/shadow.

Usage: passwd           your own, after the current one
       passwd NAME      that of NAME; only for root, who is not asked for a current one

It asks at the terminal, for the new password twice. An empty answer or Ctrl-D leaves
everything as it is. It has at least 8 characters, unless root chooses it, and at
most 512 bytes; yescrypt makes the hash.

Options:
      --own    what `sudo` starts: the password of who called it
  -h, --help   this text

The change is lost when the root is replaced: what lasts stands in the image's definition.
Exit codes: 0 changed, 1 not changed, 2 usage, 4 no such user.
";

/// Whose password.
enum Whose {
    /// That of who calls.
    Own,
    /// That of who called `sudo`.
    SudosCaller,
    Named(String),
}

fn main() -> ExitCode {
    program::run(PROGRAM, HELP, parse, run)
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<Whose>> {
    let mut whose = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Long("own") if whose.is_none() => whose = Some(Whose::SudosCaller),
            Arg::Value(name) if whose.is_none() => whose = Some(Whose::Named(name.string()?)),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(whose.unwrap_or(Whose::Own)))
}

fn run(whose: Whose) -> std::result::Result<(), Failure> {
    let users = accounts::users().context(|| "cannot read `/etc/passwd`".to_owned())?;
    let caller = getuid().as_raw();
    if !geteuid().is_root() {
        let own = find(&users, caller)?;
        return match whose {
            Whose::Named(name) if name != own.name => {
                let problem = Problem::new("only root changes the passwords of others");
                Err(problem.with_hint(format!("`sudo passwd {name}`")).into())
            }
            _ => Err(ask_sudo().into()),
        };
    }
    let (user, is_roots) = match whose {
        Whose::Own => (find(&users, caller)?, true),
        Whose::SudosCaller => (find(&users, sudos_caller()?)?, false),
        Whose::Named(name) => {
            let found = users.iter().find(|user| user.name == name);
            let hint = "`/etc/passwd` has the accounts";
            (found.ok_or_else(|| Failure::no_such(format!("no user `{name}`"), hint))?, true)
        }
    };
    change_password(&user.name, is_roots).map_err(Failure::from)
}

fn find(users: &[User], uid: u32) -> Result<&User> {
    let found = users.iter().find(|user| user.uid == uid);
    found.ok_or_else(|| Problem::new(format!("nobody in `/etc/passwd` has the number {uid}")))
}

/// Starts this program as root. It comes back only if that cannot be.
fn ask_sudo() -> Problem {
    let error = Command::new(SUDO).args(["-n", "--", OWN_PATH, "--own"]).exec();
    Problem::new(format!("cannot become root for it: `{SUDO}`: {error}"))
        .with_hint("the image needs sudo, and its rule for passwd (docs/users-and-login.md)")
}

/// Who called `sudo`, as that says (sudo(8), ENVIRONMENT); only root can make it up.
fn sudos_caller() -> Result<u32> {
    let text = env::var("SUDO_UID").ok();
    text.and_then(|text| text.parse().ok()).ok_or_else(|| {
        Problem::new("`--own` is for sudo to start")
            .with_hint("`passwd` alone changes your own password")
    })
}

/// Asks what has to be asked, and changes the password.
fn change_password(name: &str, is_roots: bool) -> Result<()> {
    // Ctrl-C in the middle of a question would leave a terminal that shows nothing.
    for signal in [SIGINT, SIGQUIT, SIGTSTP] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
            .context(|| "cannot hold off signals".to_owned())?;
    }
    let entries = shadow::entries().context(|| format!("cannot read `{}`", shadow::SHADOW))?;
    let entry = entries.iter().find(|entry| entry.name == name);
    let entry = entry
        .ok_or_else(|| Problem::new(format!("`{}` has no line for {name}", shadow::SHADOW)))?;
    let mut current = None;
    if !is_roots {
        current = Some(prove(entry)?);
    }
    let new = secret("New password: ")?;
    if let Some(why) = unfit(&new, current.as_deref(), is_roots) {
        return Err(Problem::new(why).with_hint("the password is as it was"));
    }
    if secret("The same again: ")? != new {
        return Err(Problem::new("these were two different passwords")
            .with_hint("the password is as it was"));
    }
    let hash = change::hash(&new)?;
    change::write(name, &entry.password, &hash)?;
    log(6, &format!("password of {name} changed {}", by(is_roots)));
    print(&format!("The password of {name} is changed.\n")).context(|| "cannot write".to_owned())
}

/// Has the person tell the current password, and returns it.
fn prove(entry: &Shadow) -> Result<String> {
    let name = &entry.name;
    if let Some(refusal @ (Refusal::Locked | Refusal::AccountExpired)) =
        entry.refusal(shadow::today())
    {
        return Err(Problem::new(refusal.as_str()));
    }
    if !entry.password.starts_with('$') {
        return Err(Problem::new(format!("{name} has no password that could be told"))
            .with_hint("root gives one: `sudo passwd NAME`"));
    }
    let current = secret("Current password: ")?;
    let answered = Instant::now();
    if is_right(&current, Some(&entry.password)) {
        return Ok(current);
    }
    log(4, &format!("wrong password of {name} for a change"));
    sleep(REFUSAL.saturating_sub(answered.elapsed()));
    Err(Problem::new("that is not right"))
}

/// An answer that is not shown.
fn secret(question: &str) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    let answer = ask::secret(question, Some(deadline)).map_err(|error| {
        Problem::new(format!("cannot ask: {error}"))
            .with_hint("standard input and output are to be a terminal")
    })?;
    answer.filter(|answer| !answer.is_empty()).ok_or_else(|| Problem::new("nothing is changed"))
}

/// Why a new password will not do.
fn unfit(new: &str, current: Option<&str>, is_roots: bool) -> Option<String> {
    if new.len() > PASSWORD_BYTES_MAX {
        return Some(format!("it has more than {PASSWORD_BYTES_MAX} bytes"));
    }
    if new.chars().count() < LENGTH_MIN && !is_roots {
        return Some(format!("it has fewer than {LENGTH_MIN} characters"));
    }
    (current == Some(new)).then(|| "it is the current one".to_owned())
}

fn by(is_roots: bool) -> &'static str {
    if is_roots { "by root" } else { "by its owner" }
}

/// Says it to syslog(3): facility `auth` (4), `severity` as there.
fn log(severity: u8, text: &str) {
    let record = format!("<{}>{PROGRAM}: {text}", (4 << 3) | severity);
    // Without a collector there is nowhere to say it.
    let _ =
        UnixDatagram::unbound().and_then(|socket| socket.send_to(record.as_bytes(), "/dev/log"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_passwords_have_a_length_and_are_new() {
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        for (new, current, is_roots, fits) in [
            ("12345678", Some("other"), false, true),
            ("1234567", Some("other"), false, false),
            ("1234567", None, true, true),
            ("ääääääää", Some("other"), false, true),
            ("12345678", Some("12345678"), false, false),
            (long.as_str(), None, true, false),
        ] {
            assert_eq!(unfit(new, current, is_roots).is_none(), fits, "{new}");
        }
    }
}
