//! How a tool fails: what a person reads, and the exit code that scripts read.

use std::io;
use std::process::ExitCode;

use crate::problem::Problem;

/// The exit codes beyond 0, which every tool's `--help` lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Code {
    /// The operation failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// There is nothing of that name.
    NoSuchThing = 4,
}

/// A failed command.
#[derive(Debug)]
pub enum Failure {
    /// This has to be said yet.
    Problem(Code, Problem),
    /// Everything has been said already.
    Reported(Code),
    /// Nobody reads the output any more, as in `svcctl list | head -1`. No failure
    /// to anybody, but nothing more can be done.
    NobodyReads,
}

impl Failure {
    /// A wrong command line.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Problem(Code::Usage, Problem::new(message).with_hint(hint))
    }

    /// A name that nothing has.
    pub fn no_such(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Problem(Code::NoSuchThing, Problem::new(message).with_hint(hint))
    }

    /// Says, as `program`, what is to be said and gives the exit code.
    #[must_use]
    pub fn report(self, program: &str) -> ExitCode {
        match self {
            Self::Problem(code, problem) => {
                problem.print(program);
                ExitCode::from(code as u8)
            }
            Self::Reported(code) => ExitCode::from(code as u8),
            Self::NobodyReads => ExitCode::SUCCESS,
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(Code::Failed, problem)
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
