//! `sshd`: the SSH server (RFC 4251 to 4254, draft-ietf-secsh-filexfer-02), with public keys alone.
//!
//! Code map, from the outside in:
//! - [`source`], [`settings`], [`in_force`]: the settings, and the last good ones
//! - [`limits`], [`host_key`], [`authorized_keys`], [`login`]: who may come
//! - [`listener`]: the service; each connection is a process of its own
//! - [`connection`]: one connection: its login and its channels; from the login on the process
//!   is that user
//! - [`outcome`]: what the listener learns of it
//! - [`session`], [`terminal`], [`pump`], [`leader`]: a shell or a command
//! - [`sftp`], [`forward`]: files, connections onwards
//!
//! Absent: passwords, host certificates, X11 and agent forwarding, forwarding from the
//! server to the client (`ssh -R`), compression, options in `authorized_keys`.

mod authorized_keys;
mod connection;
mod forward;
mod host_key;
mod in_force;
mod leader;
mod limits;
mod listener;
mod login;
mod outcome;
mod pump;
mod session;
mod settings;
mod sftp;
mod source;
mod terminal;

use std::io::{self, Write};
use std::process::ExitCode;

use lexopt::{Arg, ValueExt};
use services::people::accounts;
use services::problem::{Context, Result};
use services::program;

use source::Source;

const PROGRAM: &str = "sshd";

const HELP: &str = "\
Lets people log in over the network by SSH, with a key and never with a password.

Usage: sshd [--config FILE]
       sshd check [--config FILE]

Without a command it serves: it listens, and makes a host key at its first start.
`check` reads the settings and the host key, prints what is in force, and serves nobody.

Options:
      --config FILE  settings [default: /etc/ssh/sshd.toml, which need not be there]
  -h, --help         this text

Public keys are looked up in /etc/ssh/authorized_keys.d/USER, which the image definition
fills (`user[].ssh-keys`), and in ~/.ssh/authorized_keys. docs/ssh.md has every setting.

Exit status: 0 done, 1 failed, 2 usage.
";

/// What this process is for.
enum Task {
    Serve,
    Check,
    /// Internal: serves the connection that is standard input, by the settings that standard
    /// output has.
    Connection,
    /// Internal: the file transfer subsystem on standard input and output.
    Sftp,
    /// Internal: becomes a session's program.
    Leader(leader::Start),
}

fn main() -> ExitCode {
    program::run(PROGRAM, HELP, parse, |(task, config)| match task {
        Task::Serve => listener::serve(config).map(|()| ExitCode::SUCCESS),
        Task::Check => check(&config).map(|()| ExitCode::SUCCESS),
        Task::Connection => connection::serve(),
        Task::Sftp => sftp::serve().map(|()| ExitCode::SUCCESS),
        Task::Leader(start) => leader::run(start).map(|never| match never {}),
    })
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<(Task, Source)>> {
    let mut config = Source::of_system();
    let mut task = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("config") => config = Source::named(parser.value()?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(word) if task.is_none() => {
                task = Some(match word.to_str() {
                    Some("check") => Task::Check,
                    Some("connection") => Task::Connection,
                    Some("sftp") => Task::Sftp,
                    Some("leader") => {
                        let has_terminal = parser.value()?.string()? == "terminal";
                        let words: Vec<_> = parser.raw_args()?.collect();
                        return Ok(Some((
                            Task::Leader(leader::Start { has_terminal, words }),
                            config,
                        )));
                    }
                    _ => return Err(Arg::Value(word).unexpected().into()),
                });
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some((task.unwrap_or(Task::Serve), config)))
}

fn check(config: &Source) -> Result<()> {
    let text = config.text()?;
    let groups = accounts::groups().context(|| "cannot read /etc/group".to_owned())?;
    let settings = settings::check(config, text.as_deref().unwrap_or_default(), &groups)?;
    let key = match host_key::load(&settings.host_key)? {
        Some(key) => host_key::fingerprint(&key),
        None => "made at the first start".to_owned(),
    };
    let addresses: Vec<String> = settings.listen.iter().map(ToString::to_string).collect();
    let text = format!(
        "settings: {}\nlisten: {}\nhost key: {} ({key})\nkeys of users: {}/USER{}\n",
        match text {
            Some(_) => config.path().display().to_string(),
            None => "the defaults".to_owned(),
        },
        addresses.join(", "),
        settings.host_key.display(),
        settings.authorized_keys_directory.display(),
        if settings.home_keys { ", ~/.ssh/authorized_keys" } else { "" },
    );
    io::stdout().write_all(text.as_bytes()).context(|| "cannot write".to_owned())
}

/// Writes a line to the log.
fn log(line: std::fmt::Arguments<'_>) {
    // There is nowhere to report that the log is gone.
    let _ = writeln!(io::stderr(), "{line}");
}
