//! The commands, one module each, and what they have in common: asking PID 1
//! about services that may not exist.

pub(crate) mod check;
mod list;
mod logs;
mod notify;
mod operate;
mod presence;
mod shutdown;
mod status;
pub(crate) mod why;

use std::path::{Path, PathBuf};

use init_core::description::DIRECTORIES;
use init_core::diagnostic::suggest;
use init_core::name::ServiceName;
use init_core::protocol::{Reply, Request, Status, Summary};
use services::control::Client;
use services::failure::Failure;
use services::output::print;
use services::problem::Problem;

use crate::Result;
use crate::arguments::{Arguments, Command};

/// Does what the command line asks for.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::List => list::run(arguments),
        Command::Status { names } => status::run(arguments, names),
        Command::Operate { operation, names } => operate::run(arguments, *operation, names),
        Command::Logs { name, follow, lines } => logs::run(arguments, name, *follow, *lines),
        Command::Why { name } => why::run(arguments, name),
        Command::Check { paths } => check::run(arguments, paths),
        Command::Notify { is_ready, status } => notify::run(*is_ready, status.as_deref()),
        Command::Shutdown { kind } => shutdown::run(arguments, *kind),
        Command::Help { topic } => Ok(print(topic.text())?),
        Command::Version => Ok(print(concat!("svcctl ", env!("CARGO_PKG_VERSION"), "\n"))?),
    }
}

/// PID 1, as far as commands ask it something.
pub(crate) struct Init(Client);

impl Init {
    /// Connects to the socket that the command line names.
    pub(crate) fn connect(arguments: &Arguments) -> Result<Self> {
        Ok(Self(Client::connect(&arguments.socket)?))
    }

    /// Every service, sorted by name.
    pub(crate) fn list(&mut self) -> Result<Vec<Summary>> {
        match self.0.ask(&Request::List)? {
            Reply::Services(services) => Ok(services),
            other => Err(refusal(&other)),
        }
    }

    /// Everything about a service.
    pub(crate) fn status(&mut self, name: &str) -> Result<Box<Status>> {
        let name = self.name(name)?;
        match self.0.ask(&Request::Status { name })? {
            Reply::Service(status) => Ok(status),
            Reply::UnknownService(name) => Err(self.no_such_service(name.as_str())),
            other => Err(refusal(&other)),
        }
    }

    /// Sends a request that is not a question. `Ok` is PID 1's answer that it was
    /// done, or the service that could not be changed.
    pub(crate) fn order(&mut self, request: &Request) -> Result<Option<Box<Summary>>> {
        match self.0.ask(request)? {
            Reply::Done => Ok(None),
            Reply::Failed(summary) => Ok(Some(summary)),
            Reply::UnknownService(name) => Err(self.no_such_service(name.as_str())),
            other => Err(refusal(&other)),
        }
    }

    /// A name that was typed. What cannot be a name cannot be a service either.
    pub(crate) fn name(&mut self, text: &str) -> Result<ServiceName> {
        ServiceName::new(text).map_err(|_| self.no_such_service(text))
    }

    fn no_such_service(&mut self, name: &str) -> Failure {
        if let Some(file) = description_of(name) {
            let file = file.display();
            let message = format!("there is no service `{name}` yet: PID 1 has not read `{file}`");
            let hint =
                format!("descriptions are read at boot: `svcctl check {file}`, then `reboot`");
            return Failure::no_such(message, hint);
        }
        let known = self.list().unwrap_or_default();
        let hint = match suggest(name, known.iter().map(|service| service.name.as_str())) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "`svcctl list` shows all services".to_owned(),
        };
        Failure::no_such(format!("there is no service `{name}`"), hint)
    }
}

/// The file that describes the service `name`, if there is one now.
fn description_of(name: &str) -> Option<PathBuf> {
    let name = ServiceName::new(name).ok()?;
    let file = |directory: &&str| Path::new(directory).join(format!("{name}.toml"));
    DIRECTORIES.iter().rev().map(file).find(|file| file.exists())
}

/// The failure that an answer other than the expected ones stands for.
fn refusal(reply: &Reply) -> Failure {
    Failure::from(match reply {
        Reply::Denied => Problem::new("PID 1 does not let this user do that")
            .with_hint("root may do everything, members of the group `wheel` may look"),
        Reply::BadRequest(why) => Problem::new(format!("PID 1 did not understand: {why}"))
            .with_hint("svcctl and init should be of the same version"),
        _ => Problem::new("PID 1 answered something else than it was asked"),
    })
}

/// Does something for each name in order. All problems are reported; the first
/// decides how the command ends.
pub(crate) fn for_each<T>(
    names: &[String],
    mut act: impl FnMut(&str) -> Result<T>,
) -> (Vec<T>, Result<()>) {
    let mut done = Vec::new();
    let mut end = Ok(());
    for name in names {
        match act(name) {
            Ok(value) => done.push(value),
            Err(Failure::NobodyReads) => return (done, Err(Failure::NobodyReads)),
            Err(Failure::Reported(code)) => end = end.and(Err(Failure::Reported(code))),
            Err(Failure::Problem(code, problem)) => {
                problem.print("svcctl");
                end = end.and(Err(Failure::Reported(code)));
            }
        }
    }
    (done, end)
}
