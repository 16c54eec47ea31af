//! How a tool fails: what a person reads, and the exit code that scripts read.

use std::io;
use std::process::ExitCode;

use services::problem::Problem;

/// Exit code of an operation that failed.
pub(crate) const FAILED: u8 = 1;

/// Exit code of a wrong command line.
pub(crate) const USAGE: u8 = 2;

/// A failed tool.
#[derive(Debug)]
pub(crate) enum Failure {
    /// This has to be said yet.
    Problem(u8, Problem),
    /// Everything has been said already.
    Reported(u8),
    /// Nobody reads the output any more, as in `ps -ef | head -1`. No failure to
    /// anybody, but nothing more can be done.
    NobodyReads,
}

impl Failure {
    /// A wrong command line.
    pub(crate) fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Problem(USAGE, Problem::new(message).with_hint(hint))
    }

    /// Says what is to be said and gives the exit code.
    pub(crate) fn report(self, program: &str) -> ExitCode {
        match self {
            Self::Problem(code, problem) => {
                problem.print(program);
                ExitCode::from(code)
            }
            Self::Reported(code) => ExitCode::from(code),
            Self::NobodyReads => ExitCode::SUCCESS,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(FAILED, problem)
    }
}

/// A wrong word on the command line.
impl From<lexopt::Error> for Failure {
    fn from(error: lexopt::Error) -> Self {
        Self::usage(error.to_string(), "`--help` explains the options")
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
