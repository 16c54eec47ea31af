//! How a command fails: what a person reads, and the exit code that scripts read.

use std::io;
use std::process::ExitCode;

use services::problem::Problem;

/// The exit codes beyond 0. `netctl --help` lists them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Code {
    /// The operation failed.
    Failed = 1,
    /// The command line is wrong.
    Usage = 2,
    /// There is no link of that name.
    NoSuchLink = 4,
}

/// A failed command.
#[derive(Debug)]
pub(crate) enum Failure {
    /// This has to be said yet.
    Problem(Code, Problem),
    /// Nobody reads the output any more, which is no failure to anybody.
    NobodyReads,
}

impl Failure {
    /// A wrong command line.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        let hint = "`netctl --help` shows the commands";
        Self::Problem(Code::Usage, Problem::new(message).with_hint(hint))
    }

    /// A name that no link has.
    pub(crate) fn no_such_link(name: &str) -> Self {
        let problem = Problem::new(format!("there is no link `{name}`"))
            .with_hint("`netctl list` shows all links");
        Self::Problem(Code::NoSuchLink, problem)
    }

    /// Says what is to be said and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Problem(code, problem) => {
                problem.print("netctl");
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
