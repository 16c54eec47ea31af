//! The sockets and threads: one thread receives datagrams, one accepts connections, and each
//! question that no memory answers has one that waits for servers. All of them are bounded.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::CapabilitySet;
use services::network::dns::{Hosts, parse_servers};
use services::notify::notify;
use services::privileges::become_user;
use services::problem::{Context, Problem, Result, warn};

use crate::PROGRAM;
use crate::arguments::Settings;
use crate::cache::{Cache, Key, Remembered};
use crate::request::{Parsed, Request, parse};
use crate::{local, reply, upstream};

/// Questions that wait for servers at the same time; more fail at once.
const WORKERS_MAX: usize = 64;
/// Programs that wait for the same question.
const WAITING_MAX: usize = 64;
/// Connections at the same time; more are closed.
const CONNECTIONS_MAX: usize = 32;
/// How long a connection may be silent (RFC 7766, 6.2.3).
const CONNECTION_IDLE: Duration = Duration::from_secs(10);
/// Longest time until a question is answered one way or the other.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(60);
/// Threads hold a few messages and wait.
const STACK_BYTES: usize = 256 * 1024;
/// Longest message, in bytes.
const MESSAGE_BYTES_MAX: usize = 65_535;

/// What came of a question: a server's message and its age in seconds.
type Outcome = Option<(Arc<Vec<u8>>, u32)>;

/// Who waits for an outcome.
enum Waiting {
    Datagram { socket: Arc<UdpSocket>, from: SocketAddr, request: Box<Request> },
    Connection(SyncSender<Outcome>),
}

/// A file that is read again when it is another one.
struct Watched<T> {
    path: PathBuf,
    /// Device, inode, size and time of change; `None` while there is no file.
    seen: Option<(u64, u64, u64, i64, i64)>,
    /// How often it was read.
    generation: u64,
    value: Arc<T>,
}

impl<T> Watched<T> {
    fn new(path: &Path, empty: T) -> Self {
        Self { path: path.to_owned(), seen: None, generation: 0, value: Arc::new(empty) }
    }

    /// Reads the file if it changed. A question costs one stat(2) that way, and nothing can be
    /// missed; whoever watches a directory has to wait for it to exist first.
    fn refresh(&mut self, read: impl FnOnce(&Path) -> T) -> bool {
        let seen = fs::metadata(&self.path)
            .ok()
            .map(|file| (file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec()));
        let is_other = seen != self.seen;
        if is_other {
            self.seen = seen;
            self.generation += 1;
            self.value = Arc::new(read(&self.path));
        }
        is_other
    }
}

/// Whom to ask.
struct Servers {
    addresses: Arc<Vec<SocketAddr>>,
    /// Tells them from those that the file named before or after.
    generation: u64,
}

/// A question, and the generation of the servers that are asked: others may know other names.
type Pending = (u64, Key);

struct Resolver {
    cache: Mutex<Cache>,
    waiting: Mutex<BTreeMap<Pending, Vec<Waiting>>>,
    servers: Mutex<Watched<Vec<SocketAddr>>>,
    hosts: Mutex<Watched<Hosts>>,
    /// Place of the server that answered last.
    preferred: AtomicUsize,
}

/// A thread that panicked has changed nothing by halves that matters: go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves until something ends the process.
pub(crate) fn run(settings: &Settings) -> Result<Infallible> {
    let mut sockets = Vec::new();
    for address in &settings.listen {
        let open = || {
            let datagrams = UdpSocket::bind(address)?;
            // The port of the first one, should the kernel have chosen it.
            let connections = TcpListener::bind(datagrams.local_addr()?)?;
            Ok::<_, io::Error>((Arc::new(datagrams), connections))
        };
        let opened = open().context(|| format!("cannot answer on {address}"));
        sockets.push(opened.map_err(|problem| {
            problem.with_hint("ports below 1024 are root's, and nobody else may use this one")
        })?);
    }
    // Threads come later, and inherit it.
    become_user(&settings.user, CapabilitySet::empty())?;
    let resolver = Arc::new(Resolver {
        cache: Mutex::new(Cache::new(settings.cache_entries, settings.cache_bytes)),
        waiting: Mutex::new(BTreeMap::new()),
        servers: Mutex::new(Watched::new(&settings.resolv_conf, Vec::new())),
        hosts: Mutex::new(Watched::new(&settings.hosts, Hosts::default())),
        preferred: AtomicUsize::new(0),
    });
    let mut threads = Vec::new();
    for (datagrams, connections) in sockets {
        let (one, other) = (Arc::clone(&resolver), Arc::clone(&resolver));
        threads.push(spawn(move || serve_datagrams(&one, &datagrams))?);
        threads.push(spawn(move || serve_connections(&other, &connections))?);
    }
    notify("READY=1").context(|| "cannot tell PID 1 that the resolver is ready".to_owned())?;
    for thread in threads {
        // They end only by panicking.
        let _ = thread.join();
    }
    Err(Problem::new("the threads that receive questions have ended"))
}

fn spawn(run: impl FnOnce() + Send + 'static) -> Result<thread::JoinHandle<()>> {
    let builder = thread::Builder::new().stack_size(STACK_BYTES);
    builder.spawn(run).context(|| "cannot start a thread".to_owned())
}

fn serve_datagrams(resolver: &Arc<Resolver>, socket: &Arc<UdpSocket>) {
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    loop {
        // An error is about a datagram that was sent before (ICMP), or passes.
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let message = buffer.get(..length).unwrap_or_default();
        let request = match parse(message) {
            Parsed::Request(request) => request,
            Parsed::BadVersion(request) => {
                let _ = socket.send_to(&reply::bad_version(&request), from);
                continue;
            }
            Parsed::Error { id, opcode, rcode } => {
                let _ = socket.send_to(&reply::error(id, opcode, rcode), from);
                continue;
            }
            Parsed::Nothing => continue,
        };
        let limit = request.udp_bytes.into();
        match resolver.known(&request) {
            Some(known) => drop(socket.send_to(&known.reply(&request, limit), from)),
            None => {
                let socket = Arc::clone(socket);
                resolver.find_out(&request.clone(), Waiting::Datagram { socket, from, request });
            }
        }
    }
}

/// What needs nobody else.
enum Known {
    Here(local::Local),
    Before(Remembered),
}

impl Known {
    fn reply(&self, request: &Request, limit: usize) -> Vec<u8> {
        match self {
            Self::Here(local) => reply::from_local(request, local, limit),
            Self::Before(Remembered::Answer(message, age_s)) => {
                reply::from_answer(request, message, *age_s, limit)
            }
            Self::Before(Remembered::Failure) => reply::failure(request),
        }
    }
}

impl Resolver {
    fn known(&self, request: &Request) -> Option<Known> {
        let hosts = {
            let mut hosts = lock(&self.hosts);
            hosts.refresh(Hosts::read);
            Arc::clone(&hosts.value)
        };
        let uname = rustix::system::uname();
        let hostname = uname.nodename().to_string_lossy();
        if let Some(local) = local::answer(&request.question, &hosts, &hostname) {
            return Some(Known::Here(local));
        }
        // Another network may know other names.
        self.servers();
        lock(&self.cache).find(&Key::new(request), Instant::now()).map(Known::Before)
    }

    /// The servers of now. When they change, what the former ones said is forgotten.
    fn servers(&self) -> Servers {
        let mut servers = lock(&self.servers);
        let read = |path: &Path| parse_servers(&fs::read_to_string(path).unwrap_or_default());
        if servers.refresh(read) {
            lock(&self.cache).clear();
            self.preferred.store(0, Ordering::Relaxed);
        }
        Servers { addresses: Arc::clone(&servers.value), generation: servers.generation }
    }

    /// Asks the servers, unless somebody is at it already.
    fn find_out(self: &Arc<Self>, request: &Request, who: Waiting) {
        let servers = self.servers();
        let pending = (servers.generation, Key::new(request));
        let mut waiting = lock(&self.waiting);
        if let Some(others) = waiting.get_mut(&pending) {
            if others.len() < WAITING_MAX {
                others.push(who);
            }
            return;
        }
        if waiting.len() >= WORKERS_MAX {
            drop(waiting);
            return who.tell(&None);
        }
        waiting.insert(pending.clone(), vec![who]);
        drop(waiting);
        let (resolver, request) = (Arc::clone(self), request.clone());
        if let Err(problem) = spawn(move || resolver.ask_servers(&request, &servers)) {
            warn(PROGRAM, problem);
            self.tell_all(&pending, &None);
        }
    }

    fn ask_servers(&self, request: &Request, servers: &Servers) {
        let first = self.preferred.load(Ordering::Relaxed);
        let (question, addresses) = (&request.question, &servers.addresses);
        let found = upstream::resolve(question, request.wanted, addresses, first);
        self.remember(request, servers, found.as_ref());
        let outcome = found.map(|(message, _)| (Arc::new(message), 0));
        self.tell_all(&(servers.generation, Key::new(request)), &outcome);
    }

    /// Keeps what `servers` said, and which of them, if they are still the ones to ask.
    fn remember(&self, request: &Request, servers: &Servers, found: Option<&(Vec<u8>, usize)>) {
        // Held to the end: under this lock the memory is cleared when the servers change.
        let current = lock(&self.servers);
        if current.generation != servers.generation {
            return;
        }
        let (key, now) = (Key::new(request), Instant::now());
        match found {
            Some((message, place)) => {
                self.preferred.store(*place, Ordering::Relaxed);
                lock(&self.cache).keep(key, &request.question, message, now);
            }
            // Without servers there is nothing to be spared.
            None if servers.addresses.is_empty() => {}
            None => lock(&self.cache).keep_failure(key, now),
        }
    }

    fn tell_all(&self, pending: &Pending, outcome: &Outcome) {
        let all = lock(&self.waiting).remove(pending).unwrap_or_default();
        for who in all {
            who.tell(outcome);
        }
    }
}

impl Waiting {
    fn tell(self, outcome: &Outcome) {
        match self {
            Self::Datagram { socket, from, request } => {
                let limit = request.udp_bytes.into();
                // A program that has gone does not care.
                let _ = socket.send_to(&answer(&request, outcome, limit), from);
            }
            Self::Connection(sender) => drop(sender.try_send(outcome.clone())),
        }
    }
}

fn answer(request: &Request, outcome: &Outcome, limit: usize) -> Vec<u8> {
    match outcome {
        Some((message, age_s)) => reply::from_answer(request, message, *age_s, limit),
        None => reply::failure(request),
    }
}

fn serve_connections(resolver: &Arc<Resolver>, listener: &TcpListener) {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let Ok((stream, _)) = listener.accept() else {
            // No descriptor is left: some connection will end soon.
            thread::sleep(Duration::from_millis(50));
            continue;
        };
        if open.load(Ordering::Relaxed) >= CONNECTIONS_MAX {
            continue;
        }
        open.fetch_add(1, Ordering::Relaxed);
        let (resolver, counter) = (Arc::clone(resolver), Arc::clone(&open));
        let started = spawn(move || {
            // It ends when the program goes, or is silent for too long.
            let _ = serve_connection(&resolver, stream);
            counter.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(problem) = started {
            warn(PROGRAM, problem);
            open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn serve_connection(resolver: &Arc<Resolver>, mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(CONNECTION_IDLE))?;
    stream.set_write_timeout(Some(CONNECTION_IDLE))?;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut message = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut message)?;
        let bytes = match parse(&message) {
            Parsed::Request(request) => match resolver.known(&request) {
                Some(known) => known.reply(&request, MESSAGE_BYTES_MAX),
                None => {
                    let (sender, receiver) = sync_channel(1);
                    resolver.find_out(&request, Waiting::Connection(sender));
                    let outcome = receiver.recv_timeout(ANSWER_TIME_MAX).unwrap_or(None);
                    answer(&request, &outcome, MESSAGE_BYTES_MAX)
                }
            },
            Parsed::BadVersion(request) => reply::bad_version(&request),
            Parsed::Error { id, opcode, rcode } => reply::error(id, opcode, rcode),
            Parsed::Nothing => return Ok(()),
        };
        let length = u16::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        stream.write_all(&[&length.to_be_bytes()[..], &bytes].concat())?;
    }
}
