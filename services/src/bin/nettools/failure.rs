//! How a tool fails: what a person reads, and the exit code that scripts read.

use std::io::{self, Write};
use std::process::ExitCode;

use services::problem::Problem;

/// The exit codes beyond 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Code {
    /// The operation failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// There is nothing of that name.
    NoSuchThing = 4,
}

/// A failed tool.
#[derive(Debug)]
pub(crate) enum Failure {
    /// This has to be said yet.
    Problem(Code, Problem),
    /// Nobody reads the output any more, which is no failure to anybody.
    NobodyReads,
}

/// Shorthand for what tools return.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    /// A wrong command line of `tool`.
    pub(crate) fn usage(tool: &str, message: impl Into<String>) -> Self {
        let hint = format!("`{tool} --help` shows how it is used");
        Self::Problem(Code::Usage, Problem::new(message).with_hint(hint))
    }

    /// Nothing has that name.
    pub(crate) fn no_such(message: impl Into<String>, hint: &str) -> Self {
        Self::Problem(Code::NoSuchThing, Problem::new(message).with_hint(hint))
    }

    /// Says what is to be said and gives the exit code.
    pub(crate) fn report(self, tool: &str) -> ExitCode {
        match self {
            Self::Problem(code, problem) => {
                problem.print(tool);
                ExitCode::from(code as u8)
            }
            Self::NobodyReads => ExitCode::SUCCESS,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Code::Failed, problem)
    }
}

/// A failure to write the output.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::NobodyReads,
            _ => Self::from(Problem::new(format!("cannot write the output: {error}"))),
        }
    }
}

/// Writes text and makes sure that it is out.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}
