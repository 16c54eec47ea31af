//! An error on its way to a person: what went wrong, and what to do about it.

use std::fmt;
use std::io::Write;

/// Shorthand for results that a person gets to see.
pub type Result<T> = std::result::Result<T, Problem>;

/// What went wrong: a lowercase fragment without a final period.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    message: String,
    hint: Option<String>,
}

impl Problem {
    /// A problem without a remedy.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    /// The same problem with what to do about it.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What went wrong, without the remedy.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it, where something useful can be said.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Writes `PROGRAM: error: MESSAGE` and the hint to standard error. A failure
    /// to write is ignored: there is nowhere left to report it to.
    pub fn print(&self, program: &str) {
        let _ = writeln!(std::io::stderr(), "{program}: error: {self}");
    }
}

/// The message, and the hint on a line of its own.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// A wrong word on the command line.
impl From<lexopt::Error> for Problem {
    fn from(error: lexopt::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// Says what was being done when an operation failed.
pub trait Context<T> {
    /// Turns the error into a [`Problem`] `WHAT: CAUSE`.
    ///
    /// # Errors
    /// The same failure, with its context.
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Problem::new(format!("{}: {error}", what())))
    }
}

/// Writes a line about something that went wrong but does not end the program
/// to standard error, which PID 1 connects to the log.
pub fn warn(program: &str, message: impl fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{program}: warning: {message}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_what_was_done_the_cause_and_the_remedy() {
        let failed: std::result::Result<(), _> = Err(std::io::Error::from_raw_os_error(2));
        let problem = failed.context(|| "cannot open `/x`".to_owned()).unwrap_err();
        assert_eq!(
            problem.with_hint("create it").to_string(),
            "cannot open `/x`: No such file or directory (os error 2)\n  hint: create it"
        );
    }
}
