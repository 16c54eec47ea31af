//! `/etc/shadow` (shadow(5)): who may log in now, and by which password hash.
//!
//! Absent: warnings before a password grows too old; asking for a new password
//! at login. A password that is too old keeps its user out until root sets another.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

/// Where the file is.
pub const SHADOW: &str = "/etc/shadow";

const SECONDS_PER_DAY: u64 = 24 * 60 * 60;

/// A line of shadow(5). Days count from 1970-01-01.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shadow {
    /// Login name.
    pub name: String,
    /// What crypt(5) made of the password; empty asks for none, `!` and `*` match nothing.
    pub password: String,
    /// Day of the last change; `None` switches ageing off.
    pub changed_day: Option<u64>,
    /// Days after which the password must have been changed.
    pub age_days_max: Option<u64>,
    /// Days past that age in which it is still taken.
    pub grace_days: Option<u64>,
    /// First day on which the account is no longer valid.
    pub expires_day: Option<u64>,
}

/// Why an account may not log in, whatever it can prove.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// A `!` before the hash (passwd(1), `-l`).
    Locked,
    /// The account's last day is over.
    AccountExpired,
    /// The password is too old.
    PasswordExpired,
}

impl Refusal {
    /// In words, for the log: `the account is locked`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Locked => "the account is locked",
            Self::AccountExpired => "the account has expired",
            Self::PasswordExpired => "the password has expired",
        }
    }
}

impl Shadow {
    /// Whether the account is closed on `today`. An account whose password field is `!`
    /// or `*` alone has no password and is open to other proofs, such as a key.
    #[must_use]
    pub fn refusal(&self, today: u64) -> Option<Refusal> {
        if self.password.len() > 1 && self.password.starts_with('!') {
            return Some(Refusal::Locked);
        }
        if self.expires_day.is_some_and(|day| today >= day) {
            return Some(Refusal::AccountExpired);
        }
        let (changed, age) = (self.changed_day?, self.age_days_max?);
        let last = changed.saturating_add(age).saturating_add(self.grace_days.unwrap_or(0));
        let has_password = !matches!(self.password.as_str(), "" | "!" | "*" | "!!" | "!*");
        (has_password && today > last).then_some(Refusal::PasswordExpired)
    }
}

/// The entries of `/etc/shadow`.
///
/// # Errors
/// What reading the file says; only root may.
pub fn entries() -> io::Result<Vec<Shadow>> {
    read(Path::new(SHADOW))
}

/// The entries of the file at `path`.
///
/// # Errors
/// What reading the file says.
pub fn read(path: &Path) -> io::Result<Vec<Shadow>> {
    Ok(parse(&String::from_utf8_lossy(&fs::read(path)?)))
}

/// The entries in `text`; lines that are none are passed over.
#[must_use]
pub fn parse(text: &str) -> Vec<Shadow> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Shadow> {
    let fields: Vec<&str> = line.split(':').collect();
    let name = fields.first().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
    // A number that is none is like no number, but for the day of expiry: there it would
    // open what somebody meant to close.
    let days = |index: usize| fields.get(index).and_then(|field| field.parse().ok());
    let expires = fields.get(7).filter(|field| !field.is_empty());
    Some(Shadow {
        name: (*name).to_owned(),
        password: (*fields.get(1)?).to_owned(),
        changed_day: days(2),
        age_days_max: days(4),
        grace_days: days(6),
        expires_day: expires.map(|field| field.parse().unwrap_or(0)),
    })
}

/// Days since 1970-01-01 by the system's clock, UTC.
#[must_use]
pub fn today() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |past| past.as_secs() / SECONDS_PER_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_open_locked_or_expired_as_its_fields_say() {
        use Refusal::{AccountExpired, Locked, PasswordExpired};
        for (line, refusal) in [
            ("u:$6$x$y:1::::::", None),
            ("u::1::::::", None),
            ("u:!:1::::::", None),
            ("u:*:1::::::", None),
            ("u:!$6$x$y:1::::::", Some(Locked)),
            ("u:!!:1::::::", Some(Locked)),
            ("u:$6$x$y:1:::::100:", Some(AccountExpired)),
            ("u:$6$x$y:1:::::101:", None),
            ("u:$6$x$y:1:::::soon:", Some(AccountExpired)),
            ("u:$6$x$y:1:0:98::::", Some(PasswordExpired)),
            ("u:$6$x$y:1:0:99::::", None),
            ("u:$6$x$y:1:0:98::1::", None),
            ("u:!:1:0:98::::", None),
            ("u:$6$x$y", None),
            ("u:$6$x$y:18446744073709551615:0:18446744073709551615::::", None),
        ] {
            let entries = parse(line);
            assert_eq!(entries[0].refusal(100), refusal, "{line}");
        }
    }

    #[test]
    fn what_is_no_entry_is_passed_over() {
        assert_eq!(parse("# comment\n\n:x:1\nname\nu:*\n").len(), 1);
    }
}
