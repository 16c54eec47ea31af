//! A session channel: what the client asks for before the program starts, and its start
//! (RFC 4254, section 6).

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use russh::Channel;
use russh::server::{Handle, Msg};
use services::people::accounts::User;
use services::people::identity;
use tokio::process::Command;
use tokio::sync::oneshot;

use crate::pump::{self, Input, Output, Running};
use crate::terminal::{self, Request};

/// Most variables that a client may set for a session.
const VARIABLES_MAX: usize = 64;
/// Longest value of one, in bytes.
const VALUE_BYTES_MAX: usize = 4096;

/// Who logged in, and from where.
pub(crate) struct Login {
    pub(crate) user: User,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    /// Variables a client may set; a trailing `*` stands for any rest.
    pub(crate) accept_env: Vec<String>,
}

/// What runs in a session.
pub(crate) enum Program {
    /// The user's login shell.
    Shell,
    /// A command for the user's shell.
    Command(Vec<u8>),
    /// The file transfer subsystem.
    Sftp,
}

/// A channel whose program has not started, or has.
pub(crate) struct Opened {
    /// The terminal that the client wants.
    pub(crate) terminal: Option<Request>,
    variables: Vec<(String, String)>,
    start: Option<oneshot::Sender<Running>>,
    task: tokio::task::JoinHandle<()>,
}

/// Takes care of a channel that was opened.
pub(crate) fn open(channel: Channel<Msg>, handle: Handle) -> Opened {
    let (start, started) = oneshot::channel();
    let task = tokio::spawn(pump::run(channel, handle, started));
    Opened { terminal: None, variables: Vec::new(), start: Some(start), task }
}

impl Opened {
    /// Whether the channel is closed.
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Keeps a variable for the program, if clients may set it.
    pub(crate) fn set_variable(&mut self, login: &Login, name: &str, value: &str) -> bool {
        let accepted = may_set(&login.accept_env, name)
            && value.len() <= VALUE_BYTES_MAX
            && self.variables.len() < VARIABLES_MAX
            && !value.contains('\0');
        if accepted {
            self.variables.push((name.to_owned(), value.to_owned()));
        }
        accepted
    }

    /// Starts the session's one program.
    ///
    /// # Errors
    /// If it has one already, or what making a terminal or a process says.
    pub(crate) fn start(&mut self, login: &Login, program: Program) -> io::Result<()> {
        let Some(start) = self.start.take() else {
            return Err(io::Error::other("the channel has had its program"));
        };
        let greeting = match (&program, &self.terminal) {
            (Program::Shell, Some(_)) => greeting(&login.user),
            _ => String::new(),
        };
        let running = self.spawn(login, program, greeting)?;
        // Without a receiver the channel is closed already, and the program ends with its input.
        let _ = start.send(running);
        Ok(())
    }

    fn spawn(&self, login: &Login, program: Program, greeting: String) -> io::Result<Running> {
        let user = &login.user;
        let this = std::env::current_exe()?;
        let mut command = Command::new(&this);
        command.arg("leader");
        let words: Vec<OsString> = match program {
            Program::Shell => {
                vec![user.shell.clone().into(), identity::login_shell_name(&user.shell).into()]
            }
            Program::Command(bytes) => vec![
                user.shell.clone().into(),
                user.shell.rsplit('/').next().unwrap_or_default().into(),
                "-c".into(),
                OsString::from_vec(bytes),
            ],
            Program::Sftp => vec![this.into(), "sshd".into(), "sftp".into()],
        };
        let home = Path::new(&user.home);
        let (peer, local) = (login.peer, login.local);
        let (from, to) = (peer.ip(), local.ip());
        command
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .envs(identity::environment(user))
            .env("SSH_CLIENT", format!("{from} {} {}", peer.port(), local.port()))
            .env("SSH_CONNECTION", format!("{from} {} {to} {}", peer.port(), local.port()))
            .current_dir(if home.is_dir() { home } else { Path::new("/") });
        match &self.terminal {
            Some(request) => {
                let (master, slave, path) = terminal::open(request)?;
                command.arg("terminal").args(words);
                command.env("SSH_TTY", path).env("TERM", &request.term);
                command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
                let child = command.spawn()?;
                let master = Arc::new(master);
                Ok(Running {
                    child,
                    input: Input::Terminal(Arc::clone(&master)),
                    outputs: vec![(None, Output::Terminal(Arc::clone(&master)))],
                    terminal: Some(master),
                    greeting,
                })
            }
            None => {
                command.arg("pipes").args(words);
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                let mut child = command.spawn()?;
                let missing = || io::Error::other("a pipe is missing");
                let input = Input::Pipe(child.stdin.take().ok_or_else(missing)?);
                let stdout = Output::Stdout(child.stdout.take().ok_or_else(missing)?);
                let stderr = Output::Stderr(child.stderr.take().ok_or_else(missing)?);
                let outputs = vec![(None, stdout), (Some(pump::STDERR), stderr)];
                Ok(Running { child, input, outputs, terminal: None, greeting })
            }
        }
    }
}

/// The text for somebody who begins to work at a terminal; none for who has a `~/.hushlogin`.
fn greeting(user: &User) -> String {
    match Path::new(&user.home).join(".hushlogin").exists() {
        true => String::new(),
        false => services::people::motd::text().replace('\n', "\r\n"),
    }
}

fn may_set(patterns: &[String], name: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let matches = |pattern: &String| match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => pattern == name,
    };
    !name.is_empty() && name.chars().all(is_name) && patterns.iter().any(matches)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_sets_what_the_patterns_allow() {
        let patterns = ["LANG".to_owned(), "LC_*".to_owned()];
        for (name, allowed) in [
            ("LANG", true),
            ("LC_ALL", true),
            ("LC_", true),
            ("LANGUAGE", false),
            ("PATH", false),
            ("LC_A=B", false),
            ("", false),
        ] {
            assert_eq!(may_set(&patterns, name), allowed, "{name}");
        }
    }
}
