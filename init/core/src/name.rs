//! The name of a service, checked once.

use alloc::boxed::Box;
use core::borrow::Borrow;
use core::fmt;

/// Longest name, in bytes: it becomes a file name and a cgroup directory.
pub const NAME_LENGTH_MAX: usize = 64;

/// The log of what processes with root's rights say to syslog(3).
pub const SYSLOG: &str = "syslog";

/// The log of what other processes say to syslog(3).
pub const SYSLOG_USERS: &str = "syslog-users";

/// Names of logs that belong to no service: PID 1's own, the kernel's, those of syslog(3).
pub const RESERVED: [&str; 4] = ["init", "kernel", SYSLOG, SYSLOG_USERS];

/// A service's name: 1 to [`NAME_LENGTH_MAX`] characters out of `a-z`, `0-9`,
/// `-` and `_`, the first one a letter or a digit. It is safe as a file name, as a
/// cgroup name and on a terminal, which is why nothing else is let in. It is none
/// of [`RESERVED`].
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName(Box<str>);

/// Why a text is no service name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NameError {
    /// It has no characters.
    Empty,
    /// It has more than [`NAME_LENGTH_MAX`] bytes.
    TooLong,
    /// It has a character outside the set, or starts with `-` or `_`.
    BadCharacter(char),
    /// It is one of [`RESERVED`].
    Reserved,
}

impl ServiceName {
    /// Checks `text` and takes it as a name.
    ///
    /// # Errors
    /// [`NameError`] says which rule it breaks.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.len() > NAME_LENGTH_MAX {
            return Err(NameError::TooLong);
        }
        if RESERVED.contains(&text) {
            return Err(NameError::Reserved);
        }
        let first = text.chars().next().ok_or(NameError::Empty)?;
        if !first.is_ascii_lowercase() && !first.is_ascii_digit() {
            return Err(NameError::BadCharacter(first));
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        match text.chars().find(|c| !allowed(*c)) {
            Some(bad) => Err(NameError::BadCharacter(bad)),
            None => Ok(Self(text.into())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Borrow<str> for ServiceName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "a service name cannot be empty"),
            Self::TooLong => {
                write!(f, "a service name has at most {NAME_LENGTH_MAX} characters")
            }
            Self::Reserved => {
                write!(f, "`{}` name logs that belong to no service", RESERVED.join("`, `"))
            }
            Self::BadCharacter(bad) => write!(
                f,
                "{bad:?} cannot stand there in a service name (a-z, 0-9, - and _, a letter or digit first)"
            ),
        }
    }
}

impl core::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_file_names() {
        for good in ["a", "logd", "getty-ttys0", "0x", "a_b"] {
            assert_eq!(ServiceName::new(good).unwrap().as_str(), good);
        }
        assert_eq!(ServiceName::new(""), Err(NameError::Empty));
        assert_eq!(ServiceName::new(&"a".repeat(65)), Err(NameError::TooLong));
        for (bad, character) in
            [("../x", '.'), ("a/b", '/'), ("-a", '-'), ("A", 'A'), ("a\n", '\n')]
        {
            assert_eq!(ServiceName::new(bad), Err(NameError::BadCharacter(character)));
        }
        for reserved in RESERVED {
            assert_eq!(ServiceName::new(reserved), Err(NameError::Reserved));
        }
    }
}
