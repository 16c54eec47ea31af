//! The event loop: the kernel's events, servers, `netctl`, deadlines, the request to
//! end. One thread.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::getuid;
use rustix::thread::CapabilitySet;
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;
use services::clock::since_boot as now;
use services::config_file::{load, problem};
use services::network::config::Config;
use services::network::config_reader::parse_config;
use services::network::control::{Answer, Request};
use services::network::datagram;
use services::network::netlink::Connection;
use services::network::netlink::event::{self, Event};
use services::network::netlink::view::{self, Link};
use services::notify::notify;
use services::privileges::become_user;
use services::problem::{Context, Problem, Result, warn};
use services::random;
use services::signals::Termination;

use crate::PROGRAM;
use crate::arguments::Settings;
use crate::arp;
use crate::control::Control;
use crate::dhcp4::{self, message};
use crate::edge::{Edge, driver, one_line};
use crate::given::{self, Given};
use crate::held_down;
use crate::manager::{Manager, Output, Refusal};
use crate::sockets::Kind;

/// The control socket's name in the run directory.
const CONTROL_NAME: &str = "control";

/// Does the work until it is asked to end.
pub(crate) fn run(settings: Settings) -> Result<()> {
    let mut daemon = Daemon::start(settings)?;
    while daemon.round()? {}
    let now = now();
    let outputs = daemon.manager.release(now);
    daemon.perform(outputs);
    Ok(())
}

struct Daemon {
    settings: Settings,
    manager: Manager,
    edge: Edge,
    events: Connection,
    control: Control,
    termination: Termination,
    /// Until when the readiness waits for an address; `None` once it was told.
    ready_by: Option<Duration>,
}

/// What has become ready.
#[derive(Clone, Copy)]
enum Source {
    Events,
    Termination,
    Control,
    Client(u64),
    Socket(u32, Kind),
}

impl Daemon {
    fn start(settings: Settings) -> Result<Self> {
        let config = read_config(&settings.config)?;
        fs::create_dir_all(&settings.run)
            .and_then(|()| fs::set_permissions(&settings.run, Permissions::from_mode(0o755)))
            .context(|| format!("cannot make `{}`", settings.run.display()))?;
        let held_down = held_down::read(&settings.run).unwrap_or_else(|error| {
            warn(PROGRAM, format_args!("cannot read which links are to stay off: {error}"));
            BTreeSet::new()
        });
        let given = given::read(&settings.run).unwrap_or_else(|error| {
            warn(PROGRAM, format_args!("cannot read what links were given: {error}"));
            Given::default()
        });
        let control = Control::open(&settings.run.join(CONTROL_NAME))
            .context(|| "cannot open the control socket".to_owned())?;
        let netlink = || "cannot talk to the kernel".to_owned();
        // The events first, so that nothing happens between the listing and them.
        let events = Connection::listen(event::GROUPS).context(netlink)?;
        let kernel = Connection::open(None).context(netlink)?;
        let termination =
            Termination::catch().context(|| "cannot hear the request to end".to_owned())?;
        drop_privileges(&settings, &config)?;
        let now = now();
        let mut manager = Manager::new(config, held_down, seed());
        manager.take_over(given);
        let ready_by = Some(now + manager.waits_online().unwrap_or_default());
        let edge = Edge::new(kernel, settings.run.clone());
        let mut daemon = Self { settings, manager, edge, events, control, termination, ready_by };
        daemon.look_at_everything()?;
        Ok(daemon)
    }

    /// Does what the manager wants done, and tells it what the kernel refused.
    fn perform(&mut self, outputs: Vec<Output>) {
        for refused in self.edge.perform(outputs) {
            self.manager.refused(refused);
        }
    }

    /// Asks the kernel for all that there is.
    fn look_at_everything(&mut self) -> Result<()> {
        let asking = || "cannot ask the kernel for its links".to_owned();
        let links = view::links(&mut self.edge.kernel).context(asking)?;
        let links = links.into_iter().map(|link| self.with_driver(link)).collect();
        let outputs = self.manager.all_links(links, now());
        self.perform(outputs);
        for (index, flags) in view::inet6_flags(&mut self.edge.kernel).context(asking)? {
            let outputs = self.manager.event(Event::Inet6Flags { index, flags }, now());
            self.perform(outputs);
        }
        let addresses = view::addresses(&mut self.edge.kernel).context(asking)?;
        let outputs = self.manager.found_addresses(&addresses, now());
        self.perform(outputs);
        Ok(())
    }

    /// A link with its driver; its hardware address is kept for what is sent on it.
    fn with_driver(&mut self, link: Link) -> (Link, Option<String>) {
        self.edge.macs.extend(link.mac.map(|mac| (link.index, mac)));
        let driver = driver(&link);
        (link, driver)
    }

    fn link(&mut self, link: Link) {
        let (link, driver) = self.with_driver(link);
        let outputs = self.manager.link(link, driver, now());
        self.perform(outputs);
    }

    /// Waits for something to do and does it. False once the daemon is to end.
    fn round(&mut self) -> Result<bool> {
        self.tell_ready()?;
        for source in self.wait()? {
            match source {
                Source::Termination => return Ok(false),
                Source::Events => self.read_events()?,
                Source::Control => self.control.accept(),
                Source::Client(key) => self.serve(key),
                Source::Socket(index, kind) => self.receive(index, kind),
            }
        }
        let outputs = self.manager.time(now());
        self.perform(outputs);
        Ok(true)
    }

    /// Says `READY=1` once there is an address, or once nobody wants to wait longer.
    fn tell_ready(&mut self) -> Result<()> {
        let Some(by) = self.ready_by else { return Ok(()) };
        let waits = self.manager.waits_online().is_some();
        if waits && !self.manager.is_online() {
            if now() < by {
                return Ok(());
            }
            warn(PROGRAM, "there is no address yet; going on without one");
        }
        self.ready_by = None;
        notify("READY=1").context(|| "cannot tell PID 1 that the network is ready".to_owned())
    }

    fn wait(&self) -> Result<Vec<Source>> {
        let mut sources = vec![Source::Events, Source::Termination];
        let mut fds: Vec<BorrowedFd<'_>> = vec![self.events.as_fd(), self.termination.as_fd()];
        for (client, fd) in self.control.fds() {
            sources.push(client.map_or(Source::Control, Source::Client));
            fds.push(fd);
        }
        for (index, kind, fd) in self.edge.sockets.iter() {
            sources.push(Source::Socket(index, kind));
            fds.push(fd);
        }
        let mut polled: Vec<PollFd<'_>> =
            fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
        let deadline = [self.manager.deadline(), self.ready_by].into_iter().flatten().min();
        let timeout: Option<Timespec> =
            deadline.and_then(|deadline| deadline.saturating_sub(now()).try_into().ok());
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(Problem::new(format!("cannot wait for events: {error}"))),
        }
        let ready = polled.iter().zip(&sources).filter(|(fd, _)| !fd.revents().is_empty());
        Ok(ready.map(|(_, source)| *source).collect())
    }

    fn read_events(&mut self) -> Result<()> {
        loop {
            let datagram = match self.events.next_datagram() {
                Ok(Some(datagram)) => datagram,
                Ok(None) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {
                    warn(PROGRAM, "events of the kernel were lost; looking at everything again");
                    return self.look_at_everything();
                }
                Err(error) => {
                    return Err(error).context(|| "cannot hear the kernel".to_owned());
                }
            };
            for event in event::decode(&datagram) {
                match event {
                    Event::Link(link) => self.link(*link),
                    other => {
                        if let Event::LinkGone(index) = other {
                            self.edge.sockets.close(index, Kind::Arp);
                            self.edge.sockets.close(index, Kind::Unicast4);
                            self.edge.macs.remove(&index);
                        }
                        let outputs = self.manager.event(other, now());
                        self.perform(outputs);
                    }
                }
            }
        }
    }

    /// Takes one packet of a socket.
    fn receive(&mut self, index: u32, kind: Kind) {
        let Some(bytes) = self.edge.sockets.receive(index, kind) else { return };
        let mac = self.edge.macs.get(&index).copied();
        let outputs = match (kind, mac) {
            (Kind::Dhcp4, Some(mac)) => {
                let reply = from_server(&bytes).and_then(|bytes| message::decode(bytes, mac));
                reply.map(|reply| self.manager.dhcp4(index, reply, now()))
            }
            (Kind::Arp, Some(mac)) => {
                let address = self.manager.leased_address(index);
                address
                    .is_some_and(|address| arp::conflicts(&bytes, mac, address))
                    .then(|| self.manager.conflict(index, now()))
            }
            (Kind::Dhcp6, _) => Some(self.manager.dhcp6(index, &bytes, now())),
            _ => None,
        };
        self.perform(outputs.unwrap_or_default());
        if kind == Kind::Arp && !self.manager.is_probing(index, now()) {
            self.edge.sockets.close(index, Kind::Arp);
        }
    }

    fn serve(&mut self, key: u64) {
        let Some(request) = self.control.read(key) else { return };
        let now = now();
        let done = match request {
            Request::Status => Ok((Some(self.manager.status(now)), Vec::new())),
            Request::Renew(link) => self.manager.renew(&link, now).map(changed),
            Request::SetUp(link, up) => self.manager.set_up(&link, up, now).map(changed),
            Request::Reload => read_config(&self.settings.config)
                .map(|config| changed(self.manager.reload(config, now)))
                .map_err(|problem| Refusal::Failed(one_line(&problem))),
        };
        let answer = match done {
            Ok((value, outputs)) => {
                self.perform(outputs);
                Answer::Done(value.unwrap_or_else(|| self.manager.refusals()))
            }
            Err(Refusal::NoSuchLink(name)) => Answer::NoSuchLink(name),
            Err(Refusal::Failed(why)) => Answer::Failed(why),
        };
        self.control.answer(key, &answer);
    }
}

/// The message in a packet of a DHCP server to a client.
fn from_server(packet: &[u8]) -> Option<&[u8]> {
    let (source, destination, message) = datagram::decode(packet)?;
    let is_ours = source.port() == dhcp4::SERVER_PORT && destination.port() == dhcp4::CLIENT_PORT;
    is_ours.then_some(message)
}

/// The answer will be what is refused once these are done.
fn changed(outputs: Vec<Output>) -> (Option<Value>, Vec<Output>) {
    (None, outputs)
}

/// What the file says; a machine without the file has no network.
fn read_config(path: &Path) -> Result<Config> {
    let shown = path.display().to_string();
    if !path.exists() {
        warn(PROGRAM, format_args!("there is no `{shown}`: only the loopback interface is used"));
        return Ok(Config::default());
    }
    parse_config(&shown, &load(path)?).map_err(|findings| problem(&findings))
}

/// Becomes who needs no more than to change the network. A name for the machine is
/// for the administrator of the whole system to give, so whoever takes it from the
/// lease keeps that too.
fn drop_privileges(settings: &Settings, config: &Config) -> Result<()> {
    let Some(user) = &settings.user else { return Ok(()) };
    if !getuid().is_root() {
        return Ok(());
    }
    let users = services::people::accounts::users().unwrap_or_default();
    if let Some(account) = users.iter().find(|account| account.name == *user) {
        chown(&settings.run, Some(account.uid), Some(account.gid))
            .context(|| format!("cannot give `{}` to `{user}`", settings.run.display()))?;
    }
    let mut kept =
        CapabilitySet::NET_ADMIN | CapabilitySet::NET_RAW | CapabilitySet::NET_BIND_SERVICE;
    if config.hostname_from_lease {
        kept |= CapabilitySet::SYS_ADMIN;
    }
    become_user(user, kept)
}

/// A number that no other machine has, nor this one at its next start.
fn seed() -> u64 {
    match random::bytes_now() {
        Ok(bytes) => u64::from_le_bytes(bytes),
        // Before the kernel has collected any chance the time has to do.
        Err(_) => u64::try_from(wall_time().as_nanos() & u128::from(u64::MAX)).unwrap_or_default(),
    }
}

fn wall_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Realtime)).unwrap_or_default() + now()
}
