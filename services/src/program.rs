//! A program from its command line to its exit code.

use std::process::{ExitCode, Termination};

use crate::failure::{Code, Failure};
use crate::output;
use crate::problem::{Problem, Result};

/// Does what the command line asks for: `parse` reads it into the settings of `work`, or into
/// nothing where it asks for `help`. What fails is reported under `name`; a wrong command line
/// ends with 2, a failure with 1 unless it is one that has a code of its own.
pub fn run<S, T: Termination, F: Into<Failure>>(
    name: &str,
    help: &str,
    parse: impl FnOnce(lexopt::Parser) -> Result<Option<S>>,
    work: impl FnOnce(S) -> std::result::Result<T, F>,
) -> ExitCode {
    let done = match parse(lexopt::Parser::from_env()) {
        Ok(Some(settings)) => work(settings).map(Termination::report).map_err(Into::into),
        Ok(None) => output::print(help).map(|()| ExitCode::SUCCESS).map_err(Failure::from),
        Err(problem) => Err(Failure::Problem(Code::Usage, explained(problem, name))),
    };
    end(name, done)
}

/// The exit code of what was `done`; what failed is reported under `name`. For a program whose
/// command line says more than [`run`] makes of it.
pub fn end<T: Termination>(name: &str, done: std::result::Result<T, Failure>) -> ExitCode {
    done.map_or_else(|failure| failure.report(name), Termination::report)
}

/// With the hint that helps with any command line, if there is no better one.
fn explained(problem: Problem, name: &str) -> Problem {
    match problem.hint() {
        Some(_) => problem,
        None => problem.with_hint(format!("`{name} --help` explains the options")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_command_line_is_explained_once() {
        let hint_of = |problem| explained(problem, "tool").hint().unwrap().to_owned();
        assert_eq!(hint_of(Problem::new("x")), "`tool --help` explains the options");
        assert_eq!(hint_of(Problem::new("x").with_hint("say y")), "say y");
    }
}
