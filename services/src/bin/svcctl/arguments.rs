//! The command line: words to [`Arguments`]. Reads nothing but the words.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use init_core::diagnostic::suggest;
use init_core::event::{Operation, ShutdownKind};
use init_core::protocol::CONTROL_SOCKET;
use lexopt::Arg;
use services::failure::Failure;
use services::log_record::LOG_DIRECTORY;

use crate::Result;
use crate::help::Topic;

/// What was typed.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Arguments {
    pub(crate) command: Command,
    /// Whether the output is for programs.
    pub(crate) json: bool,
    pub(crate) socket: PathBuf,
    pub(crate) log_directory: PathBuf,
}

/// What is to be done.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Command {
    List,
    Status { names: Vec<String> },
    Operate { operation: Operation, names: Vec<String> },
    Logs { name: String, follow: bool, lines: Option<usize> },
    Why { name: String },
    Check { paths: Vec<PathBuf> },
    Notify { is_ready: bool, status: Option<String> },
    Shutdown { kind: ShutdownKind },
    Help { topic: Topic },
    Version,
}

/// Reads the words after the program's name. Called as `poweroff`, `reboot` or
/// `halt`, the program does just that.
pub(crate) fn parse(
    called_as: &OsStr,
    words: impl IntoIterator<Item = OsString>,
) -> Result<Arguments> {
    let mut reader = Reader::default();
    let called_as = Path::new(called_as).file_name().unwrap_or_default().to_string_lossy();
    let topic = match called_as.as_ref() {
        "poweroff" | "reboot" | "halt" => Topic::find(&called_as),
        _ => None,
    };
    reader.topic = topic;
    reader.read(&mut lexopt::Parser::from_args(words))?;
    reader.finish()
}

/// What has been read so far.
#[derive(Default)]
struct Reader {
    topic: Option<Topic>,
    operands: Vec<OsString>,
    wants_help: bool,
    wants_version: bool,
    json: bool,
    socket: Option<PathBuf>,
    log_directory: Option<PathBuf>,
    follow: bool,
    lines: Option<usize>,
    is_ready: bool,
    status: Option<String>,
}

impl Reader {
    /// Reads all words. Global options may stand anywhere.
    fn read(&mut self, parser: &mut lexopt::Parser) -> Result<()> {
        while let Some(argument) = parser.next().map_err(|error| self.wrong(error))? {
            match argument {
                Arg::Short('h') | Arg::Long("help") => self.wants_help = true,
                Arg::Short('V') | Arg::Long("version") => self.wants_version = true,
                Arg::Long("json") => self.json = true,
                Arg::Long("socket") => self.socket = Some(self.value(parser)?.into()),
                Arg::Long("log-directory") => self.log_directory = Some(self.value(parser)?.into()),
                Arg::Short('f') | Arg::Long("follow") if self.topic == Some(Topic::Logs) => {
                    self.follow = true;
                }
                Arg::Short('n') | Arg::Long("lines") if self.topic == Some(Topic::Logs) => {
                    self.lines = Some(self.number(parser)?);
                }
                Arg::Long("ready") if self.topic == Some(Topic::Notify) => self.is_ready = true,
                Arg::Long("status") if self.topic == Some(Topic::Notify) => {
                    self.status = Some(self.value(parser)?.to_string_lossy().into_owned());
                }
                Arg::Value(word) if self.topic.is_none() => {
                    self.topic = Some(find_command(&word.to_string_lossy())?);
                }
                Arg::Value(word) => self.operands.push(word),
                other => {
                    let error = other.unexpected();
                    return Err(self.wrong(error));
                }
            }
        }
        Ok(())
    }

    fn value(&self, parser: &mut lexopt::Parser) -> Result<OsString> {
        parser.value().map_err(|error| self.wrong(error))
    }

    fn number(&self, parser: &mut lexopt::Parser) -> Result<usize> {
        let text = self.value(parser)?.to_string_lossy().into_owned();
        text.parse().map_err(|_| self.wrong(format!("`{text}` is no number of lines")))
    }

    fn finish(self) -> Result<Arguments> {
        let command = if self.wants_version {
            Command::Version
        } else if self.wants_help {
            Command::Help { topic: self.topic.unwrap_or(Topic::Overview) }
        } else {
            self.command()?
        };
        Ok(Arguments {
            command,
            json: self.json,
            socket: self.socket.unwrap_or_else(|| CONTROL_SOCKET.into()),
            log_directory: self.log_directory.unwrap_or_else(|| LOG_DIRECTORY.into()),
        })
    }

    fn command(&self) -> Result<Command> {
        let operate = |operation| Ok(Command::Operate { operation, names: self.names()? });
        match self.topic {
            None => Err(self.wrong("a command is missing")),
            Some(Topic::Overview) => match self.operands.as_slice() {
                [] => Ok(Command::Help { topic: Topic::Overview }),
                [word] => Ok(Command::Help { topic: find_command(&word.to_string_lossy())? }),
                _ => Err(self.wrong("`help` takes one command")),
            },
            Some(Topic::List) => self.nothing(Command::List),
            Some(Topic::Status) => Ok(Command::Status { names: self.names()? }),
            Some(Topic::Start) => operate(Operation::Start),
            Some(Topic::Stop) => operate(Operation::Stop),
            Some(Topic::Restart) => operate(Operation::Restart),
            Some(Topic::Logs) => {
                Ok(Command::Logs { name: self.name()?, follow: self.follow, lines: self.lines })
            }
            Some(Topic::Why) => Ok(Command::Why { name: self.name()? }),
            Some(Topic::Check) => {
                Ok(Command::Check { paths: self.operands.iter().map(PathBuf::from).collect() })
            }
            Some(Topic::Notify) => self.notification(),
            Some(Topic::PowerOff) => {
                self.nothing(Command::Shutdown { kind: ShutdownKind::PowerOff })
            }
            Some(Topic::Reboot) => self.nothing(Command::Shutdown { kind: ShutdownKind::Reboot }),
            Some(Topic::Halt) => self.nothing(Command::Shutdown { kind: ShutdownKind::Halt }),
        }
    }

    fn notification(&self) -> Result<Command> {
        if !self.is_ready && self.status.is_none() {
            return Err(self.wrong("`--ready` or `--status` is missing"));
        }
        self.nothing(Command::Notify { is_ready: self.is_ready, status: self.status.clone() })
    }

    fn nothing(&self, command: Command) -> Result<Command> {
        match self.operands.first() {
            None => Ok(command),
            Some(extra) => Err(self.wrong(format!("unexpected argument {extra:?}"))),
        }
    }

    fn names(&self) -> Result<Vec<String>> {
        if self.operands.is_empty() {
            return Err(self.wrong("the name of a service is missing"));
        }
        Ok(self.operands.iter().map(|word| word.to_string_lossy().into_owned()).collect())
    }

    fn name(&self) -> Result<String> {
        match <[String; 1]>::try_from(self.names()?) {
            Ok([name]) => Ok(name),
            Err(_) => Err(self.wrong("only one service at a time")),
        }
    }

    fn wrong(&self, message: impl ToString) -> Failure {
        let topic = self.topic.map_or("", Topic::word);
        let command = ["svcctl", topic, "--help"].into_iter().filter(|word| !word.is_empty());
        let command = command.collect::<Vec<_>>().join(" ");
        Failure::usage(message.to_string(), format!("`{command}` shows how it is used"))
    }
}

fn find_command(word: &str) -> Result<Topic> {
    Topic::find(word).ok_or_else(|| {
        let hint = match suggest(word, Topic::words()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`svcctl --help` lists the commands".to_owned(),
        };
        Failure::usage(format!("there is no command `{word}`"), hint)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(called_as: &str, words: &[&str]) -> Result<Arguments> {
        parse(OsStr::new(called_as), words.iter().map(OsString::from))
    }

    fn command(words: &[&str]) -> Command {
        parse_words("svcctl", words).unwrap().command
    }

    #[test]
    fn commands_are_read() {
        let names = || vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(command(&["list"]), Command::List);
        assert_eq!(command(&["status", "a", "b"]), Command::Status { names: names() });
        let stop = Command::Operate { operation: Operation::Stop, names: names() };
        assert_eq!(command(&["stop", "a", "b"]), stop);
        let logs = Command::Logs { name: "a".to_owned(), follow: true, lines: Some(5) };
        assert_eq!(command(&["logs", "-fn5", "a"]), logs);
        assert_eq!(command(&["logs", "a", "--lines=5", "--follow"]), logs);
        assert_eq!(command(&["check"]), Command::Check { paths: Vec::new() });
        let notify = |is_ready, status| Command::Notify { is_ready, status };
        assert_eq!(command(&["notify", "--ready"]), notify(true, None));
        let text = ["notify", "--status", "3 peers"];
        assert_eq!(command(&text), notify(false, Some("3 peers".to_owned())));
        assert_eq!(command(&["help", "why"]), Command::Help { topic: Topic::Why });
        assert_eq!(command(&["why", "--help"]), Command::Help { topic: Topic::Why });
        assert_eq!(command(&["--help"]), Command::Help { topic: Topic::Overview });
        assert_eq!(command(&["--version"]), Command::Version);
    }

    #[test]
    fn global_options_stand_anywhere_and_links_have_a_command() {
        for words in [&["--json", "list", "--socket", "/s"][..], &["list", "--socket=/s", "--json"]]
        {
            let arguments = parse_words("/bin/svcctl", words).unwrap();
            assert!(arguments.json);
            assert_eq!(arguments.socket, Path::new("/s"));
        }
        for (name, kind) in [
            ("/sbin/poweroff", ShutdownKind::PowerOff),
            ("reboot", ShutdownKind::Reboot),
            ("/usr/sbin/halt", ShutdownKind::Halt),
        ] {
            assert_eq!(parse_words(name, &[]).unwrap().command, Command::Shutdown { kind });
        }
        assert!(parse_words("reboot", &["now"]).is_err());
    }

    #[test]
    fn a_wrong_command_line_says_what_is_wrong_and_where_to_read_on() {
        for (words, message, hint) in [
            (&[][..], "a command is missing", "`svcctl --help`"),
            (&["strat", "a"], "there is no command `strat`", "did you mean `start`?"),
            (&["colour"], "there is no command `colour`", "`svcctl --help` lists"),
            (&["start"], "the name of a service is missing", "`svcctl start --help`"),
            (&["logs", "a", "b"], "only one service at a time", "`svcctl logs --help`"),
            (&["logs", "-n", "x", "a"], "`x` is no number of lines", "`svcctl logs --help`"),
            (&["notify"], "`--ready` or `--status` is missing", "`svcctl notify --help`"),
            (&["list", "-f"], "invalid option '-f'", "`svcctl list --help`"),
            (&["list", "x"], "unexpected argument \"x\"", "`svcctl list --help`"),
        ] {
            match parse_words("svcctl", words).unwrap_err() {
                Failure::Problem(services::failure::Code::Usage, problem) => {
                    assert_eq!(problem.message(), message);
                    assert!(problem.hint().unwrap().starts_with(hint), "{problem}");
                }
                other => panic!("{words:?}: {other:?}"),
            }
        }
    }
}
