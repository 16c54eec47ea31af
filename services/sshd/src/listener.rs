//! The service: listens, and gives each connection to a process of its own.
//!
//! That process shares no memory with others, and is the user from the login on. It gets
//! the settings in force from here, and how it ends is an [`Outcome`], for [`crate::limits`].

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};
use services::notify::notify;
use services::problem::{Context, Problem, Result};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::LocalSet;

use crate::in_force::InForce;
use crate::limits::{Bounds, Limits};
use crate::outcome::Outcome;
use crate::source::Source;
use crate::{host_key, log};

/// Connections that may wait for their turn.
const BACKLOG: i32 = 128;
/// Pause after accept(2) failed: nothing gets better at once where descriptors or memory ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until it is asked to end.
///
/// # Errors
/// Settings, the host key, and addresses that cannot be had.
pub(crate) fn serve(source: Source) -> Result<()> {
    let in_force = InForce::load(source)?;
    let settings = in_force.settings();
    let key = host_key::load_or_make(&settings.host_key)?;
    let listeners = listen(&settings.listen)?;
    log(format_args!("host key {}", host_key::fingerprint(&key)));
    drop(key);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context(|| "cannot start".to_owned())?;
    LocalSet::new().block_on(&runtime, run(in_force, listeners))
}

fn listen(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>> {
    let mut listeners = Vec::new();
    let mut without = None;
    for address in addresses {
        match listen_on(*address) {
            Ok(listener) => {
                let bound = listener.local_addr().unwrap_or(*address);
                log(format_args!("listening on {bound}"));
                listeners.push(listener);
            }
            // A kernel without IPv6, or with it switched off, is no mistake of the settings.
            Err(error)
                if matches!(
                    error.raw_os_error().map(rustix::io::Errno::from_raw_os_error),
                    Some(rustix::io::Errno::AFNOSUPPORT | rustix::io::Errno::ADDRNOTAVAIL)
                ) && address.ip().is_unspecified() =>
            {
                log(format_args!("not listening on {address}: {error}"));
                without = Some(error);
            }
            Err(error) => {
                return Err(Problem::new(format!("cannot listen on {address}: {error}"))
                    .with_hint("`listen` in the settings names the addresses"));
            }
        }
    }
    match without {
        Some(error) if listeners.is_empty() => {
            Err(Problem::new(format!("there is no address to listen on: {error}")))
        }
        _ => Ok(listeners),
    }
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if address.is_ipv6() {
        // `[::]` beside `0.0.0.0`: each family has a socket of its own.
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if !address.ip().is_unspecified() {
        // The address may come later, by DHCP or with an interface, and go and come again.
        match address {
            SocketAddr::V4(_) => sockopt::set_ip_freebind(&socket, true)?,
            SocketAddr::V6(_) => sockopt::set_ipv6_freebind(&socket, true)?,
        }
    }
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(TcpListener::from(socket))
}

async fn run(in_force: InForce, listeners: Vec<TcpListener>) -> Result<()> {
    let cannot = || "cannot wait for signals".to_owned();
    let mut terminate = signal(SignalKind::terminate()).context(cannot)?;
    let mut interrupt = signal(SignalKind::interrupt()).context(cannot)?;
    let program = std::env::current_exe().context(|| "cannot find this program".to_owned())?;
    let settings = in_force.settings();
    let bounds = Bounds {
        connections: settings.max_connections,
        per_address: settings.max_connections_per_address,
        failures: settings.max_failures,
        window: settings.failure_window,
    };
    let door = Rc::new(Door {
        limits: RefCell::new(Limits::new(bounds)),
        pids: RefCell::default(),
        program,
        in_force: RefCell::new(in_force),
    });
    for listener in listeners {
        let listener =
            tokio::net::TcpListener::from_std(listener).context(|| "cannot listen".to_owned())?;
        tokio::task::spawn_local(Rc::clone(&door).accept_all(listener));
    }
    notify("READY=1").context(|| "cannot tell PID 1 that sshd is ready".to_owned())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    for pid in door.pids.borrow().iter() {
        // A process that has ended keeps its id until it is waited for, which happens here alone.
        let _ = rustix::process::kill_process(*pid, rustix::process::Signal::TERM);
    }
    Ok(())
}

/// What all connections share.
struct Door {
    limits: RefCell<Limits>,
    /// The connections' processes that have not been waited for.
    pids: RefCell<Vec<rustix::process::Pid>>,
    program: std::path::PathBuf,
    in_force: RefCell<InForce>,
}

impl Door {
    async fn accept_all(self: Rc<Self>, listener: tokio::net::TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.accept(stream, peer),
                Err(error) => {
                    log(format_args!("cannot accept a connection: {error}"));
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn accept(self: &Rc<Self>, stream: TcpStream, peer: SocketAddr) {
        let admitted = self.limits.borrow_mut().admit(peer.ip(), Instant::now());
        if let Err(refused) = admitted {
            log(format_args!("{peer}: turned away: {}", refused.as_str()));
            return;
        }
        match self.start(stream) {
            Ok(child) => {
                tokio::task::spawn_local(Rc::clone(self).wait(child, peer));
            }
            Err(error) => {
                log(format_args!("{peer}: cannot start a process for the connection: {error}"));
                self.limits.borrow_mut().ended(peer.ip(), Outcome::Failed, Instant::now());
            }
        }
    }

    fn start(&self, stream: TcpStream) -> io::Result<Child> {
        let stream = stream.into_std()?;
        let mut in_force = self.in_force.borrow_mut();
        in_force.renew();
        let mut command = Command::new(&self.program);
        command.arg("connection").env_remove("NOTIFY_SOCKET");
        command.stdin(Stdio::from(OwnedFd::from(stream)));
        command.stdout(Stdio::from(in_force.hand_over()?));
        let child = command.spawn()?;
        self.pids.borrow_mut().extend(pid_of(&child));
        Ok(child)
    }

    async fn wait(self: Rc<Self>, mut child: Child, peer: SocketAddr) {
        let pid = pid_of(&child);
        let status = child.wait().await;
        self.pids.borrow_mut().retain(|one| Some(*one) != pid);
        self.limits.borrow_mut().ended(peer.ip(), Outcome::of(&status), Instant::now());
    }
}

fn pid_of(child: &Child) -> Option<rustix::process::Pid> {
    child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw)
}
