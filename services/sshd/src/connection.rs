//! One connection, in a process of its own: the exchange of keys, the login, and channels.
//!
//! Until the login the process is root, for it reads keys and `/etc/shadow`. When somebody
//! has logged in it becomes that user for good, before the client hears of it: whatever a
//! session asks for, the kernel answers as it would the user. The kernel also keeps the user
//! from reading the process's memory, host key and all, since it changed its ids (proc(5)).

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::{Algorithm, HashAlg, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, PublicKeyOffer, Session};
use russh::server::{VerifiedPublicKey, run_stream};
use russh::{Channel, ChannelId, ChannelOpenFailure, MethodKind, MethodSet, Pty, SshId};
use services::people::admission;
use services::problem::{Context, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::login::{Tries, become_user};
use crate::outcome::Outcome;
use crate::session::{Login, Opened, Program};
use crate::settings::Settings;
use crate::terminal::{Request, Size};
use crate::{forward, host_key, in_force, log, session};

/// How long a refusal takes: a refused key must not show by its time whether the user exists.
const REFUSAL: Duration = Duration::from_millis(300);
/// Requests by other methods that are refused without counting as tries: clients begin
/// with one, to learn which methods there are.
const REQUESTS_WITHOUT_KEY_MAX: usize = 8;
/// Most sessions of a connection at a time.
const SESSIONS_MAX: usize = 32;
/// Most forwarded connections of a connection at a time: a browser opens a hundred.
const FORWARDS_MAX: usize = 128;
/// Unanswered questions whether the peer is there, after which it counts as gone.
const KEEPALIVES_MAX: usize = 3;

/// Serves the connection that is standard input, and says by the exit code what came of it.
///
/// # Errors
/// What is the server's own failure: settings or the host key cannot be read.
pub(crate) fn serve() -> Result<ExitCode> {
    let settings = in_force::taken_over()?;
    let config = configuration(&settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context(|| "cannot start".to_owned())?;
    let (stream, peer, local) = match take_stdin() {
        Ok(taken) => taken,
        Err(error) => {
            // A peer that is gone already has no address any more.
            log(format_args!("no connection to serve: {error}"));
            return Ok(Outcome::NoLogin.exit_code());
        }
    };
    let grace = settings.login_grace_time;
    let (progress, outcome) = watch::channel(Outcome::NoLogin);
    let connection = Connection::new(settings, peer, local, progress);
    let end = runtime.block_on(converse(config, stream, connection, grace, &outcome))?;
    let outcome = *outcome.borrow();
    match end {
        Some(reason) if outcome == Outcome::Login => log(format_args!("{peer}: ended: {reason}")),
        _ if outcome == Outcome::Login => {}
        reason => {
            let reason = reason.unwrap_or_else(|| "closed by the client".to_owned());
            log(format_args!("{peer}: ended without a login: {reason}"));
        }
    }
    // Sessions that are still there end with their terminals; nothing is to be waited for.
    runtime.shutdown_background();
    Ok(outcome.exit_code())
}

fn configuration(settings: &Settings) -> Result<Arc<Config>> {
    Ok(Arc::new(Config {
        server_id: SshId::Standard("SSH-2.0-Keelson".into()),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: REFUSAL,
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key::load_existing(&settings.host_key)?],
        max_auth_attempts: settings.max_auth_tries.saturating_add(REQUESTS_WITHOUT_KEY_MAX),
        inactivity_timeout: None,
        keepalive_interval: Some(settings.keepalive_interval),
        keepalive_max: KEEPALIVES_MAX,
        nodelay: true,
        ..Config::default()
    }))
}

/// Serves the connection until it ends; why it did, unless the client closed it.
async fn converse(
    config: Arc<Config>,
    stream: TcpStream,
    connection: Connection,
    grace: Duration,
    outcome: &watch::Receiver<Outcome>,
) -> Result<Option<String>> {
    let cannot = || "cannot serve the connection".to_owned();
    stream.set_nonblocking(true).context(cannot)?;
    let stream = tokio::net::TcpStream::from_std(stream).context(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).context(cannot)?;
    let serving = async {
        match run_stream(config, stream, connection).await {
            Ok(session) => session.await,
            Err(error) => Err(error),
        }
    };
    let mut serving = pin!(serving);
    let mut too_late = pin!(tokio::time::sleep(grace));
    let mut may_be_late = true;
    loop {
        tokio::select! {
            result = &mut serving => return Ok(result.err().map(|error| error.to_string())),
            _ = terminate.recv() => return Ok(Some("the server is stopped".to_owned())),
            () = &mut too_late, if may_be_late => {
                if *outcome.borrow() != Outcome::Login {
                    return Ok(Some(format!("no login within {} s", grace.as_secs())));
                }
                may_be_late = false;
            }
        }
    }
}

/// Takes the connection from standard input and leaves `/dev/null` in its place.
fn take_stdin() -> io::Result<(TcpStream, SocketAddr, SocketAddr)> {
    let stream = TcpStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    let canonical =
        |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (peer, local) = (canonical(stream.peer_addr()?), canonical(stream.local_addr()?));
    Ok((stream, peer, local))
}

struct Connection {
    settings: Settings,
    peer: SocketAddr,
    local: SocketAddr,
    tries: Tries,
    progress: watch::Sender<Outcome>,
    /// Who logged in.
    session: Option<Login>,
    channels: HashMap<ChannelId, Opened>,
    forwards: JoinSet<()>,
}

impl Connection {
    fn new(
        settings: Settings,
        peer: SocketAddr,
        local: SocketAddr,
        progress: watch::Sender<Outcome>,
    ) -> Self {
        Self {
            settings,
            peer,
            local,
            tries: Tries::default(),
            progress,
            session: None,
            channels: HashMap::new(),
            forwards: JoinSet::new(),
        }
    }

    /// Whether `key`, used by `algorithm`, opens the account `name`.
    fn opens(&mut self, name: &str, key: &PublicKey, algorithm: &Algorithm) -> bool {
        self.tries.opens(&self.settings, self.peer, name, key, algorithm)
    }

    /// Answers an offer or a proof; ends the connection at the last try.
    fn answer(&self, opens: bool) -> std::result::Result<Auth, russh::Error> {
        match opens {
            true => Ok(Auth::Accept),
            false if self.tries.in_vain() >= self.settings.max_auth_tries => {
                log(format_args!("{}: no login in {} tries", self.peer, self.tries.in_vain()));
                Err(russh::Error::Disconnect)
            }
            false => Ok(Auth::reject()),
        }
    }

    /// Whether there may be another session. Those that are over are forgotten.
    fn has_room_for_session(&mut self) -> bool {
        self.channels.retain(|_, opened| !opened.is_over());
        self.channels.len() < SESSIONS_MAX
    }

    /// The same of forwarded connections.
    fn has_room_for_forward(&mut self) -> bool {
        while self.forwards.try_join_next().is_some() {}
        self.forwards.len() < FORWARDS_MAX
    }

    fn start(&mut self, channel: ChannelId, program: Program, session: &mut Session) -> Answer {
        let opened = self.channels.get_mut(&channel);
        let started = match (opened, &self.session) {
            (Some(opened), Some(login)) => opened.start(login, program),
            _ => Err(io::Error::other("no such channel")),
        };
        match started {
            Ok(()) => session.channel_success(channel),
            Err(error) => {
                log(format_args!("{}: cannot start a session: {error}", self.peer));
                session.channel_failure(channel)
            }
        }
    }
}

type Answer = std::result::Result<(), russh::Error>;

impl Handler for Connection {
    type Error = russh::Error;

    async fn authentication_banner(&mut self) -> std::result::Result<Option<String>, russh::Error> {
        Ok(admission::notice().filter(|text| !text.is_empty()))
    }

    async fn auth_publickey_offered(
        &mut self,
        name: &str,
        offer: PublicKeyOffer<'_>,
    ) -> std::result::Result<Auth, russh::Error> {
        let opens = self.opens(name, offer.public_key, offer.algorithm);
        self.answer(opens)
    }

    async fn auth_publickey(
        &mut self,
        name: &str,
        key: VerifiedPublicKey<'_>,
    ) -> std::result::Result<Auth, russh::Error> {
        let opens = self.opens(name, key.public_key, key.algorithm);
        if let (true, Some(user)) = (opens, self.tries.user()) {
            let print = key.public_key.fingerprint(HashAlg::Sha256);
            log(format_args!(
                "{}: accepted {} with {} {print}",
                self.peer, user.name, key.algorithm
            ));
            self.session = Some(Login {
                user: user.clone(),
                peer: self.peer,
                local: self.local,
                accept_env: self.settings.accept_env.clone(),
            });
        }
        self.answer(opens)
    }

    async fn auth_succeeded(&mut self, _: &mut Session) -> Answer {
        let Some(login) = &self.session else { return Err(russh::Error::NotAuthenticated) };
        if let Err(error) = become_user(&login.user) {
            log(format_args!("{}: cannot become {}: {error}", self.peer, login.user.name));
            self.progress.send_replace(Outcome::Failed);
            return Err(russh::Error::NotAuthenticated);
        }
        self.progress.send_replace(Outcome::Login);
        Ok(())
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Answer {
        if !self.has_room_for_session() {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        reply.accept().await;
        let id = channel.id();
        self.channels.insert(id, session::open(channel, session.handle()));
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Answer {
        match u16::try_from(port) {
            Ok(_) if self.settings.tcp_forwarding && !self.has_room_for_forward() => {
                reply.reject(ChannelOpenFailure::ResourceShortage).await;
            }
            Ok(port) if self.settings.tcp_forwarding => {
                log(format_args!("{}: forwards to {host:?} port {port}", self.peer));
                self.forwards.spawn(forward::run(channel, host.to_owned(), port, reply));
            }
            _ => reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await,
        }
        Ok(())
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        modes: &[(Pty, u32)],
        session: &mut Session,
    ) -> Answer {
        match self.channels.get_mut(&channel) {
            Some(opened) => {
                let size = Size::new(rows, columns);
                opened.terminal =
                    Some(Request { term: term.to_owned(), size, modes: modes.into() });
                session.channel_success(channel)
            }
            None => session.channel_failure(channel),
        }
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Answer {
        let accepted = match (self.channels.get_mut(&channel), &self.session) {
            (Some(opened), Some(login)) => opened.set_variable(login, name, value),
            _ => false,
        };
        match accepted {
            true => session.channel_success(channel),
            false => session.channel_failure(channel),
        }
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Answer {
        self.start(channel, Program::Shell, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Answer {
        self.start(channel, Program::Command(command.to_vec()), session)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Answer {
        match name {
            "sftp" if self.settings.sftp => self.start(channel, Program::Sftp, session),
            _ => session.channel_failure(channel),
        }
    }
}
