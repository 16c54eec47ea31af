//! The builder's one error type: what went wrong, whose it is to mend, how.
//!
//! A message is a lowercase fragment without a final period. Context is added
//! on the way up, outermost first; findings in files and hints follow it.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use init_core::diagnostic::{Finding, Place};

/// Shorthand for the builder's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who must act, which is also the exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A build or a guest failed. Exit code 1.
    Failure,
    /// The command line or a definition is wrong. Exit code 2.
    Definition,
    /// The host lacks something. Exit code 3.
    Host,
    /// The builder is wrong. Exit code 70 (`EX_SOFTWARE`, sysexits(3)).
    Internal,
}

impl Kind {
    /// The process exit code.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failure => 1,
            Self::Definition => 2,
            Self::Host => 3,
            Self::Internal => 70,
        }
    }
}

/// What is done to a file, in the words of [`Error::io`], that changes nothing.
const READING: [&str; 3] = ["find", "open", "read"];

/// An error on its way to the person who can mend it.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    /// Outermost context last, as it was added.
    messages: Vec<String>,
    findings: Vec<Finding>,
    hints: Vec<String>,
    exit_code: Option<u8>,
    is_told: bool,
    is_transient: bool,
}

impl Error {
    /// An error of `kind`.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            messages: vec![message.into()],
            findings: Vec::new(),
            hints: Vec::new(),
            exit_code: None,
            is_told: false,
            is_transient: false,
        }))
    }

    /// A failed build or guest.
    #[must_use]
    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(Kind::Failure, message)
    }

    /// A wrong command line or definition, where no place in a file can be named.
    #[must_use]
    pub fn definition(message: impl Into<String>) -> Self {
        Self::new(Kind::Definition, message)
    }

    /// Something the host lacks.
    #[must_use]
    pub fn host(message: impl Into<String>) -> Self {
        Self::new(Kind::Host, message)
    }

    /// A broken promise inside the builder.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
            .hint("this is a fault in the builder itself; please report it with the command line")
    }

    /// Findings in files that a person wrote. `what` says what they make impossible.
    #[must_use]
    pub fn findings(what: impl Into<String>, findings: Vec<Finding>) -> Self {
        let mut error = Self::new(Kind::Definition, what);
        error.0.findings = findings;
        error
    }

    /// A failed operation on a file: `action` is a verb as in "cannot read".
    #[must_use]
    pub fn io(action: &str, path: &Path, source: &std::io::Error) -> Self {
        let error = Self::failure(format!("cannot {action} {}: {source}", path.display()));
        match source.kind() {
            std::io::ErrorKind::StorageFull => error.hint(
                "free space on that file system, or choose another with --output or XDG_CACHE_HOME",
            ),
            std::io::ErrorKind::PermissionDenied if READING.contains(&action) => error.hint(
                "let the user who runs the builder read it, and enter the directories above it",
            ),
            std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                error.hint("choose a directory you can write to with --output or XDG_CACHE_HOME")
            }
            std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => error.hint(
                "a file stands where a directory is to be: remove it or choose another place",
            ),
            _ => error,
        }
    }

    /// The same error with what was being done around it.
    #[must_use]
    pub fn context(mut self, message: impl Into<String>) -> Self {
        self.0.messages.push(message.into());
        self
    }

    /// The same error with a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// The same error with an exit code of its own, as `run` has for hangs and panics.
    #[must_use]
    pub fn exit_with(mut self, code: u8) -> Self {
        self.0.exit_code = Some(code);
        self
    }

    /// The same error, which the person has been told of in full: only its exit
    /// code is left to do.
    #[must_use]
    pub fn already_told(mut self) -> Self {
        self.0.is_told = true;
        self
    }

    /// See [`Error::already_told`].
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.0.is_told
    }

    /// The same error, which need not come again if the same is done once more.
    #[must_use]
    pub fn transient(mut self) -> Self {
        self.0.is_transient = true;
        self
    }

    /// See [`Error::transient`].
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.0.is_transient
    }

    /// Who must act.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What the process exits with.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.0.exit_code.unwrap_or_else(|| self.0.kind.exit_code()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let messages: Vec<&str> = self.0.messages.iter().rev().map(String::as_str).collect();
        write!(f, "{}", messages.join(": "))?;
        for finding in &self.0.findings {
            write!(f, "\n{finding}")?;
        }
        for hint in &self.0.hints {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// What TOML's reader has against `text`, which messages call `file`.
#[must_use]
pub fn toml_finding(file: &str, text: &str, error: &toml::de::Error) -> Finding {
    let offset = error.span().map_or(0, |span| span.start);
    let mut rest = error.message().chars();
    let first = rest.next().map(|first| first.to_ascii_lowercase());
    // Names in the rest are as they were written.
    let message: String = first.into_iter().chain(rest).collect();
    Finding::new(Place::of_offset(file, text, offset), message)
}

/// Adds what was being done to a failing result.
pub trait Context<T> {
    /// See [`Error::context`].
    ///
    /// # Errors
    /// The same error, with the message in front.
    fn context(self, message: impl FnOnce() -> String) -> Result<T>;
}

impl<T> Context<T> for Result<T> {
    fn context(self, message: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| error.context(message()))
    }
}

/// Turns an I/O result into the builder's, naming the file.
pub trait IoContext<T> {
    /// See [`Error::io`].
    ///
    /// # Errors
    /// "cannot `action` `path`: cause".
    fn at(self, action: &str, path: &Path) -> Result<T>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn at(self, action: &str, path: &Path) -> Result<T> {
        self.map_err(|error| Error::io(action, path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_outside_in_and_ends_with_the_remedy() {
        let place = Place { file: "images/a.toml".into(), line: 3, column: 1 };
        let error =
            Error::findings("the definition is wrong", vec![Finding::new(place, "unknown key")])
                .context("cannot build image a")
                .hint("see images/README.md");
        assert_eq!(
            error.to_string(),
            "cannot build image a: the definition is wrong\nimages/a.toml:3:1: unknown key\nhint: see images/README.md"
        );
        assert_eq!(error.kind().exit_code(), 2);
    }

    #[test]
    fn who_may_not_read_is_not_sent_to_write_elsewhere() {
        let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let text = |action| Error::io(action, Path::new("/a/b"), &denied).to_string();
        for action in ["read", "open", "find"] {
            assert!(
                text(action).ends_with("the builder read it, and enter the directories above it")
            );
        }
        for action in ["write", "create", "remove", "lock", "create a directory in", "unpack into"]
        {
            assert!(text(action).ends_with("with --output or XDG_CACHE_HOME"), "{action}");
        }
    }
}
