//! The command line of `fwctl`, and what its help says.

use std::path::PathBuf;
use std::time::Duration;

use init_core::diagnostic::suggest;
use lexopt::Arg;
use services::failure::Failure;

pub(crate) const HELP: &str = "\
Filters packets by the rules of /etc/firewall.toml.

Usage: fwctl [OPTIONS] COMMAND [ARGUMENTS]

Commands:
  check [FILE]       look for mistakes in a rule set; changes nothing
  show               what is in force, with counters
  apply [FILE]       put the rules in force, all at once
      --or-close     if FILE is wrong and nothing is in force, let nothing in;
                     the service `firewall` does that at boot
  try FILE           put rules in force and take them back after a time, even if
                     this session is cut off, unless `fwctl confirm` comes first
      --seconds N    how long, 5 to 3600 [default: 60]
  confirm            keep the rules on trial
      --save         and make them /etc/firewall.toml
  off                take the rules out: everything passes

Options:
      --json         print JSON, for programs
      --state DIR    where rules and trials are remembered [default: /run/firewall]
  -h, --help         this text
  -V, --version      the version

FILE is /etc/firewall.toml if none is named. docs/firewall.md has every key.

Exit codes:
  0  done
  1  the operation failed, or the file is wrong
  2  the command line is wrong
  4  there is no trial to confirm

Examples:
  fwctl check new.toml && fwctl try new.toml && fwctl confirm --save
  fwctl --json show | jq '.chains[].rules[] | select(.packets > 0)'
";

/// Where the rules stand.
pub(crate) const RULES_FILE: &str = "/etc/firewall.toml";

/// How long a trial lasts, in seconds.
const TRIAL_SECONDS_DEFAULT: u64 = 60;
const TRIAL_SECONDS: std::ops::RangeInclusive<u64> = 5..=3600;

/// What was typed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Arguments {
    pub(crate) command: Command,
    /// Whether the output is for programs.
    pub(crate) json: bool,
    pub(crate) state: PathBuf,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Command {
    Check {
        file: PathBuf,
    },
    Show,
    Apply {
        file: PathBuf,
        or_close: bool,
    },
    Try {
        file: PathBuf,
        lasts: Duration,
    },
    Confirm {
        save: bool,
    },
    Off,
    /// The waiting process of a trial; `try` starts it.
    AwaitConfirmation {
        id: String,
    },
    Help,
    Version,
}

/// The word that `try` starts its waiting process with.
pub(crate) const AWAIT_CONFIRMATION: &str = "await-confirmation";

const COMMANDS: [&str; 6] = ["check", "show", "apply", "try", "confirm", "off"];

/// Reads the command line. Options may stand anywhere.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Arguments, Failure> {
    let mut words = Vec::new();
    let (mut json, mut or_close, mut save) = (false, false, false);
    let mut state = PathBuf::from("/run/firewall");
    let mut seconds = None;
    let mut only = None;
    let wrong = |error: lexopt::Error| usage(error.to_string());
    while let Some(argument) = parser.next().map_err(wrong)? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => only = only.or(Some(Command::Help)),
            Arg::Short('V') | Arg::Long("version") => only = only.or(Some(Command::Version)),
            Arg::Long("json") => json = true,
            Arg::Long("or-close") => or_close = true,
            Arg::Long("save") => save = true,
            Arg::Long("state") => state = parser.value().map_err(wrong)?.into(),
            Arg::Long("seconds") => {
                let text = parser.value().map_err(wrong)?.to_string_lossy().into_owned();
                let fitting = text.parse().ok().filter(|number| TRIAL_SECONDS.contains(number));
                seconds =
                    Some(fitting.ok_or_else(|| usage(format!("--seconds {text}: not 5 to 3600")))?);
            }
            Arg::Value(word) => words.push(word.to_string_lossy().into_owned()),
            other => return Err(wrong(other.unexpected())),
        }
    }
    if let Some(command) = only {
        return Ok(Arguments { command, json, state });
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let command = command(&words, or_close, save, seconds)?;
    let takes = |given: bool, option: &str, fits: bool| match given && !fits {
        true => Err(usage(format!("{option} does not belong to this command"))),
        false => Ok(()),
    };
    takes(or_close, "--or-close", matches!(command, Command::Apply { .. }))?;
    takes(save, "--save", matches!(command, Command::Confirm { .. }))?;
    takes(seconds.is_some(), "--seconds", matches!(command, Command::Try { .. }))?;
    Ok(Arguments { command, json, state })
}

fn command(
    words: &[&str],
    or_close: bool,
    save: bool,
    seconds: Option<u64>,
) -> Result<Command, Failure> {
    Ok(match words {
        ["check"] => Command::Check { file: RULES_FILE.into() },
        ["check", file] => Command::Check { file: file.into() },
        ["show"] => Command::Show,
        ["apply"] => Command::Apply { file: RULES_FILE.into(), or_close },
        ["apply", file] => Command::Apply { file: file.into(), or_close },
        ["try", file] => {
            let lasts = Duration::from_secs(seconds.unwrap_or(TRIAL_SECONDS_DEFAULT));
            Command::Try { file: file.into(), lasts }
        }
        ["try"] => return Err(usage("`try` wants the file to try".to_owned())),
        ["confirm"] => Command::Confirm { save },
        ["off"] => Command::Off,
        [AWAIT_CONFIRMATION, id] => Command::AwaitConfirmation { id: (*id).to_owned() },
        ["help"] => Command::Help,
        [] => return Err(usage("a command is missing".to_owned())),
        [known, extra, ..] if COMMANDS.contains(known) => {
            let extra = words.get(2).unwrap_or(extra);
            return Err(usage(format!("unexpected argument {extra:?}")));
        }
        [unknown, ..] => {
            let hint = match suggest(unknown, COMMANDS) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "`fwctl --help` lists the commands".to_owned(),
            };
            return Err(Failure::usage(format!("there is no command `{unknown}`"), hint));
        }
    })
}

fn usage(message: String) -> Failure {
    Failure::usage(message, "`fwctl --help` shows how it is used")
}

#[cfg(test)]
mod tests {
    use services::failure::Code;

    use super::*;

    fn command(words: &[&str]) -> Result<Command, String> {
        parse(lexopt::Parser::from_args(words)).map(|arguments| arguments.command).map_err(
            |failure| match failure {
                Failure::Problem(Code::Usage, problem) => problem.message().to_owned(),
                other => panic!("{other:?}"),
            },
        )
    }

    #[test]
    fn commands_are_read() {
        let file = || PathBuf::from("x.toml");
        assert_eq!(command(&["check"]), Ok(Command::Check { file: RULES_FILE.into() }));
        let apply = Command::Apply { file: file(), or_close: true };
        assert_eq!(command(&["apply", "--or-close", "x.toml"]), Ok(apply));
        let lasts = Duration::from_secs(9);
        let attempt = Command::Try { file: file(), lasts };
        assert_eq!(command(&["try", "x.toml", "--seconds=9"]), Ok(attempt));
        assert_eq!(command(&["confirm", "--save"]), Ok(Command::Confirm { save: true }));
        assert_eq!(command(&["show", "--help"]), Ok(Command::Help));
    }

    #[test]
    fn wrong_command_lines_are_refused() {
        for (words, message) in [
            (&[][..], "a command is missing"),
            (&["aply"], "there is no command `aply`"),
            (&["try"], "`try` wants the file to try"),
            (&["try", "x", "--seconds", "4"], "--seconds 4: not 5 to 3600"),
            (&["show", "--seconds", "9"], "--seconds does not belong to this command"),
            (&["off", "--save"], "--save does not belong to this command"),
            (&["check", "--or-close"], "--or-close does not belong to this command"),
            (&["show", "x"], "unexpected argument \"x\""),
            (&["apply", "x", "y"], "unexpected argument \"y\""),
            (&["show", "--colour"], "invalid option '--colour'"),
        ] {
            assert_eq!(command(words), Err(message.to_owned()), "{words:?}");
        }
    }
}
