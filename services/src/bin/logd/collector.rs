//! The event loop: new pipes from PID 1, output from services, the kernel's
//! messages, those of syslog(3), the request to end. One thread; every source gets its turn.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use init_core::name::ServiceName;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::io::Errno;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use services::notify::notify;
use services::problem::{Context, Problem, Result, warn};
use services::signals::Termination;

use crate::PROGRAM;
use crate::arguments::Settings;
use crate::directory::LogDirectory;
use crate::kernel::KernelLog;
use crate::log_file::LogFile;
use crate::source::{Scratch, Source, Turn};
use crate::syslog::Syslog;

const SOCKET: u64 = 0;
const TERMINATION: u64 = 1;
const KERNEL: u64 = 2;
const SYSLOG: u64 = 3;
const FIRST_SOURCE: u64 = 4;

/// Longest time spent on what is left in the pipes after the request to end.
/// The rest stays there for the next collector.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(2);

/// Collects until it is asked to end, or until PID 1 has closed its end of the socket.
pub(crate) fn run(socket: OwnedFd, settings: &Settings) -> Result<()> {
    let mut collector = Collector::new(socket, settings)?;
    notify("READY=1").context(|| "cannot tell PID 1 that the collector is ready".to_owned())?;
    while collector.round()? {}
    collector.drain();
    Ok(())
}

struct Collector {
    epoll: OwnedFd,
    socket: OwnedFd,
    directory: LogDirectory,
    file_bytes_max: u64,
    kernel: Option<KernelLog>,
    syslog: Option<Syslog>,
    scratch: Scratch,
    sources: BTreeMap<u64, Source>,
    next_source: u64,
    /// Sources that may have something to take although no event will say so.
    pending: BTreeSet<u64>,
    /// Sources whose writers are all gone: nothing ends the line they left.
    hung_up: BTreeSet<u64>,
    /// Held so that the signals keep their meaning.
    _termination: Termination,
}

impl Collector {
    fn new(socket: OwnedFd, settings: &Settings) -> Result<Self> {
        raise_open_files();
        let directory = LogDirectory::open(&settings.directory).context(|| {
            format!("cannot open the log directory `{}`", settings.directory.display())
        })?;
        let kernel = optional("the kernel's log", settings.kernel_log.as_deref(), |path| {
            KernelLog::open(path, &directory, settings.file_bytes_max)
        });
        let syslog = optional("syslog", settings.syslog.as_deref(), |path| {
            Syslog::open(path, &directory, settings.file_bytes_max)
        });
        let setup = || -> io::Result<Self> {
            fcntl_setfl(&socket, fcntl_getfl(&socket)? | OFlags::NONBLOCK)?;
            let termination = Termination::catch()?;
            let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            let watch = |fd: &dyn AsFd, key, flags| {
                epoll::add(&epoll, fd.as_fd(), EventData::new_u64(key), flags)
            };
            watch(&socket, SOCKET, EventFlags::IN)?;
            watch(&termination, TERMINATION, EventFlags::IN)?;
            if let Some(kernel) = &kernel {
                watch(kernel, KERNEL, EventFlags::IN)?;
            }
            if let Some(syslog) = &syslog {
                watch(syslog, SYSLOG, EventFlags::IN)?;
            }
            Ok(Self {
                epoll,
                socket,
                directory,
                file_bytes_max: settings.file_bytes_max,
                kernel,
                syslog,
                scratch: Scratch::new()?,
                sources: BTreeMap::new(),
                next_source: FIRST_SOURCE,
                pending: BTreeSet::new(),
                hung_up: BTreeSet::new(),
                _termination: termination,
            })
        };
        setup().context(|| "cannot set up the event loop".to_owned())
    }

    /// Waits for something to do and does it. False once the collector is to end.
    fn round(&mut self) -> Result<bool> {
        let mut events = [MaybeUninit::uninit(); 64];
        let timeout = self.timeout().and_then(|timeout| timeout.try_into().ok());
        let ready = match epoll::wait(&self.epoll, &mut events, timeout.as_ref()) {
            Ok((ready, _)) => ready,
            Err(Errno::INTR) => return Ok(true),
            Err(error) => return Err(Problem::new(format!("cannot wait for events: {error}"))),
        };
        let mut goes_on = true;
        for event in ready.iter() {
            let epoll::Event { flags, data } = *event;
            match data.u64() {
                SOCKET => goes_on &= self.receive_pipes()?,
                TERMINATION => goes_on = false,
                KERNEL => self.read_kernel_log(),
                SYSLOG => self.read_syslog(),
                source => {
                    self.pending.insert(source);
                    if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
                        self.hung_up.insert(source);
                    }
                }
            }
        }
        self.give_turns();
        Ok(goes_on)
    }

    /// How long nothing needs to be done; `None` until an event comes.
    fn timeout(&self) -> Option<Duration> {
        if !self.pending.is_empty() {
            return Some(Duration::ZERO);
        }
        let deadline = self.sources.values().filter_map(Source::deadline).min()?;
        Some(deadline.saturating_duration_since(Instant::now()))
    }

    /// Takes over the pipes that PID 1 has sent. False if it sends none any more.
    fn receive_pipes(&mut self) -> Result<bool> {
        loop {
            match receive(&self.socket) {
                Ok(Received::Pipe { name, pipe }) => self.add_source(&name, pipe),
                Ok(Received::Nonsense(why)) => warn(PROGRAM, why),
                Ok(Received::End) => return Ok(false),
                Err(Errno::AGAIN) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(error) => {
                    return Err(Problem::new(format!("cannot receive pipes: {error}")));
                }
            }
        }
    }

    /// Begins to collect from a pipe. A log that cannot be opened is no reason to leave the
    /// output in the pipe: the service would wait in write(2) once that is full.
    fn add_source(&mut self, name: &ServiceName, pipe: OwnedFd) {
        let log = LogFile::new(&self.directory, name.as_str(), self.file_bytes_max);
        if let Some(error) = log.error() {
            warn(PROGRAM, format_args!("cannot open the log of `{name}`: {error}"));
        }
        let key = self.next_source;
        let source = Source::new(pipe, log).and_then(|source| {
            // Edge-triggered: the start of a line that waits in the pipe for its
            // end must not be reported over and over.
            let flags = EventFlags::IN | EventFlags::ET;
            epoll::add(&self.epoll, &source, EventData::new_u64(key), flags)?;
            Ok(source)
        });
        match source {
            Ok(source) => {
                self.next_source += 1;
                self.sources.insert(key, source);
                self.pending.insert(key);
            }
            Err(error) => {
                warn(PROGRAM, format_args!("cannot collect the output of `{name}`: {error}"));
            }
        }
    }

    fn read_kernel_log(&mut self) {
        let Some(kernel) = &mut self.kernel else { return };
        if let Err(error) = kernel.collect(&self.directory) {
            warn(PROGRAM, format_args!("the kernel's log is no longer collected: {error}"));
            self.kernel = None;
        }
    }

    fn read_syslog(&mut self) {
        let Some(syslog) = &mut self.syslog else { return };
        if let Err(error) = syslog.collect(&self.directory) {
            warn(PROGRAM, format_args!("syslog is no longer collected: {error}"));
            self.syslog = None;
        }
    }

    /// Gives one turn to every source that may have something to take.
    fn give_turns(&mut self) {
        let now = Instant::now();
        let due = |(key, source): (&u64, &Source)| {
            source.deadline().is_some_and(|deadline| deadline <= now).then_some(*key)
        };
        self.pending.extend(self.sources.iter().filter_map(due));
        for key in std::mem::take(&mut self.pending) {
            let flush = self.hung_up.contains(&key);
            if self.turn(key, flush) == Turn::More {
                self.pending.insert(key);
            }
        }
    }

    fn turn(&mut self, key: u64, flush: bool) -> Turn {
        let Some(source) = self.sources.get_mut(&key) else { return Turn::Ended };
        let turn = source.turn(&mut self.scratch, &self.directory, flush).unwrap_or_else(|error| {
            warn(PROGRAM, format_args!("cannot read a service's output: {error}"));
            Turn::Ended
        });
        if turn == Turn::Ended {
            self.sources.remove(&key);
            self.hung_up.remove(&key);
        }
        turn
    }

    /// Logs what is in the pipes now, unfinished lines included. Pipes that were
    /// sent but not received yet stay with PID 1, which has their other copies.
    fn drain(&mut self) {
        let deadline = Instant::now() + DRAIN_TIME_MAX;
        self.read_kernel_log();
        self.read_syslog();
        self.pending = self.sources.keys().copied().collect();
        while !self.pending.is_empty() && Instant::now() < deadline {
            for key in std::mem::take(&mut self.pending) {
                if self.turn(key, true) == Turn::More {
                    self.pending.insert(key);
                }
            }
        }
    }
}

/// Lets this process open as many files as it may: each service takes two, and at the usual
/// soft limit of 1024 the pipe of the next one would not arrive.
fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    if let Err(error) = raised {
        warn(PROGRAM, format_args!("cannot raise the limit on open files: {error}"));
    }
}

/// Opens what the collector can do without; what is wrong goes to standard error.
fn optional<T>(
    what: &str,
    path: Option<&Path>,
    open: impl FnOnce(&Path) -> io::Result<T>,
) -> Option<T> {
    let path = path?;
    let complain = |error: &io::Error| {
        warn(PROGRAM, format_args!("{what} is not collected: `{}`: {error}", path.display()));
    };
    open(path).inspect_err(complain).ok()
}

/// A message from PID 1.
enum Received {
    Pipe { name: ServiceName, pipe: OwnedFd },
    Nonsense(String),
    End,
}

fn receive(socket: &OwnedFd) -> std::result::Result<Received, Errno> {
    // One byte more than a name can have, so that a longer one is seen to be longer.
    let mut payload = [0; init_core::name::NAME_LENGTH_MAX + 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(
        socket,
        &mut [IoSliceMut::new(&mut payload)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = part {
            descriptors.extend(rights);
        }
    }
    if message.bytes == 0 && descriptors.is_empty() {
        return Ok(Received::End);
    }
    let text = payload.get(..message.bytes).map(String::from_utf8_lossy).unwrap_or_default();
    let nonsense = |why: &str| {
        Ok(Received::Nonsense(format!("a message of PID 1 ({text:?}) is passed over: {why}")))
    };
    if message.flags.contains(ReturnFlags::TRUNC) {
        return nonsense("it is too long");
    }
    // The kernel says so where it has no number for a descriptor, and where there are too many.
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return nonsense("its descriptor did not arrive; is the limit on open files reached?");
    }
    match (ServiceName::new(&text), <[OwnedFd; 1]>::try_from(descriptors)) {
        (Ok(name), Ok([pipe])) => Ok(Received::Pipe { name, pipe }),
        (Err(error), _) => nonsense(&error.to_string()),
        (_, Err(other)) => nonsense(&format!("it carries {} descriptors, not one", other.len())),
    }
}
