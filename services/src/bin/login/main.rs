//! `login` lets a person in who knows a password: it asks for it, compares it with
//! `/etc/shadow`, and becomes the user's shell.
//!
//! [`backoff`] makes guessing slow. Absent: utmp(5) and lastlog (the log has logins), asking
//! for a new password, PAM.

mod backoff;

use std::convert::Infallible;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lexopt::{Arg, ValueExt};
use rustix::termios::ttyname;
use services::failure::{Code, Failure};
use services::kmsg;
use services::people::accounts::{self, User};
use services::people::admission::{self, Closed, Proof};
use services::people::shadow::{self, Refusal, Shadow};
use services::people::{ask, motd, password, session};
use services::problem::{Context, Problem, Result};
use services::program;

const PROGRAM: &str = "login";
/// Longest time for name and password together.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a refusal takes at least, from the answer on: whether there is such a user must not
/// show by the time.
const REFUSAL: Duration = Duration::from_secs(2);

const HELP: &str = "\
Asks for a password and opens a session on the terminal that is its standard input.

Usage: login [NAME]

`getty` starts it with the name that was typed. Each wrong answer makes the next one
wait longer, for the name and for the terminal. docs/users-and-login.md says who gets in.
";

fn main() -> ExitCode {
    // A session replaces this program; what comes back is the reason why not.
    program::run(PROGRAM, HELP, parse, |name| {
        if let Some(reason) = login(name.as_deref())? {
            say(&format!("{reason}\n"));
        }
        Err::<Infallible, _>(Failure::Reported(Code::Failed))
    })
}

/// The name, if one is given; `None` for help.
fn parse(mut parser: lexopt::Parser) -> Result<Option<Option<String>>> {
    let mut name = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(value) if name.is_none() => name = Some(value.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(name))
}

/// Lets somebody in, or says to the person why not; nothing where nobody answers.
fn login(given: Option<&str>) -> Result<Option<String>> {
    if !rustix::process::geteuid().is_root() {
        return Err(Problem::new("only root can let people in")
            .with_hint("`getty` starts this program; in a session there is no use for it"));
    }
    let device = ttyname(io::stdin(), Vec::new())
        .context(|| "standard input is no terminal".to_owned())?
        .to_string_lossy()
        .into_owned();
    // As `getty` has done before it asked for the name: since then `devd` may have let others
    // at the terminal, as the rules say of one that belongs to root.
    session::take_terminal(PROGRAM);
    let asked =
        |answer: io::Result<Option<String>>| answer.context(|| format!("cannot ask at `{device}`"));
    let deadline = Instant::now() + PATIENCE;
    let name = match given {
        Some(name) => name.to_owned(),
        None => match asked(ask::line("login: ", Some(deadline)))? {
            Some(name) => name,
            None => return Ok(None),
        },
    };
    let guard = backoff::Guard::new(&device, &name);
    let pause = guard.pause();
    if !pause.is_zero() {
        say(&format!("Wait {} s: wrong answers came before.\n", pause.as_secs().max(1)));
        sleep(pause);
    }
    let (user, shadow) = account(&name)?;
    let is_open = shadow.as_ref().is_some_and(|shadow| shadow.password.is_empty());
    if !is_open {
        let deadline = Instant::now() + PATIENCE;
        let Some(secret) = asked(ask::secret("Password: ", Some(deadline)))? else {
            return Ok(None);
        };
        let answered = Instant::now();
        let hash = shadow.as_ref().filter(|_| user.is_some()).map(|one| one.password.as_str());
        if !password::is_right(&secret, hash) {
            guard.failed();
            // A name that no account has may be a password, typed too early.
            let who = user.map_or("an unknown name".to_owned(), |user| format!("{:?}", user.name));
            log(4, &format!("refused {who} on {device}"));
            sleep(REFUSAL.saturating_sub(answered.elapsed()));
            return Ok(Some("That is not right.".to_owned()));
        }
    }
    let (Some(user), Some(shadow)) = (user, shadow) else {
        return Ok(Some("That is not right.".to_owned()));
    };
    if let Some(closed) = admission::closed(&user, Some(&shadow), Proof::Password) {
        let reason = words(&closed);
        log(4, &format!("refused {} on {device}: {reason}", user.name));
        return Ok(Some(reason));
    }
    guard.passed();
    log(6, &format!("{} logged in on {device}", user.name));
    open(&user).map(|never| match never {})
}

/// The account and its line in shadow(5), where there are such.
fn account(name: &str) -> Result<(Option<User>, Option<Shadow>)> {
    let users = accounts::users().context(|| "cannot read `/etc/passwd`".to_owned())?;
    let entries = shadow::entries().context(|| format!("cannot read `{}`", shadow::SHADOW))?;
    let user = users.into_iter().find(|user| user.name == name);
    Ok((user, entries.into_iter().find(|entry| entry.name == name)))
}

/// What somebody is told who is right, but does not get in.
fn words(closed: &Closed) -> String {
    match closed {
        Closed::Account(Refusal::Locked) => Refusal::Locked.as_str().to_owned(),
        Closed::Account(expired) => format!("{}; root can extend it", expired.as_str()),
        Closed::Everybody(text) => match text.trim_end() {
            "" => "no logins for now".to_owned(),
            text => text.to_owned(),
        },
    }
}

fn open(user: &User) -> Result<Infallible> {
    let groups = accounts::groups().unwrap_or_default();
    let term = std::env::var("TERM").unwrap_or_else(|_| "dumb".to_owned());
    // As the user: PID 1 tells of its services to whom it may, and anything to root.
    session::begin(user, &groups, &term, || {
        if !Path::new(&user.home).join(".hushlogin").exists() {
            say(&motd::text());
        }
    })
}

/// Tells the person. One who has gone does not hear it, and the end of input follows.
fn say(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

/// Puts a record into the kernel's log, for the terminal is this program's only output:
/// facility `auth` (4), `severity` as syslog(3) counts.
fn log(severity: u8, text: &str) {
    kmsg::write((4 << 3) | severity, PROGRAM, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_does_not_get_in_is_told_why_and_what_helps() {
        for (closed, told) in [
            (Closed::Account(Refusal::Locked), "the account is locked"),
            (
                Closed::Account(Refusal::PasswordExpired),
                "the password has expired; root can extend it",
            ),
            (Closed::Everybody("back at\nnoon\n\n".into()), "back at\nnoon"),
            (Closed::Everybody("\n".into()), "no logins for now"),
        ] {
            assert_eq!(words(&closed), told);
        }
    }
}
