//! A running guest: started, watched, talked to and ended.
//!
//! One thread polls everything that can bring news: QMP, the exec port, the
//! console, the person's input, signals, and QEMU's process. Whatever happens,
//! QEMU is gone when the session is.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use init_core::event::ExitStatus;
use init_core::exec_protocol::{GuestFrame, HostFrame, VERSION};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Value;

use super::console::Console;
use super::ending::{Ending, Exit, Observer};
use super::exec::ExecPort;
use super::interrupt::Interrupts;
use super::launch::{RunDirectory, START_TIMEOUT, Start};
use super::machine::{Endpoints, MachineSpec};
use super::network;
use super::qmp::{Event, Message, Qmp};
use crate::error::{Error, IoContext, Result};
use crate::host::{Running, end_of, tail_of};
use crate::shell::Shell;

/// How long QEMU may take to do something with the machine.
const CONTROL_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is looked whether QEMU listens.
const LISTENING_PERIOD: Duration = Duration::from_millis(5);
/// How often a session looks for a signal that another one has taken.
const SIGNAL_PERIOD: Duration = Duration::from_secs(1);

/// Which of a command's two streams its output came by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What can happen to a session.
#[derive(Debug)]
enum Occurrence {
    Frame(GuestFrame),
    Ended(Ending),
}

/// A running guest.
#[derive(Debug)]
pub struct Session {
    shell: Shell,
    qemu: Running,
    process: OwnedFd,
    qmp: Qmp,
    exec: ExecPort,
    exec_is_closed: bool,
    console: Option<Console>,
    console_is_closed: bool,
    interrupts: Interrupts,
    observer: Observer,
    frames: VecDeque<GuestFrame>,
    /// How many questions were asked by QMP, and what the last came to.
    asked: u64,
    answer: Option<Result<Value, String>>,
    /// The sockets of the cables on which QEMU listens.
    cables: Vec<PathBuf>,
    started: Instant,
    endpoints: Endpoints,
    directory: RunDirectory,
}

impl Session {
    /// Starts a guest. With `is_interactive` its serial console is the
    /// builder's standard input and output. With `console_log` what it writes
    /// there is kept in that file.
    ///
    /// # Errors
    /// If QEMU is not installed, does not start, or does not speak QMP.
    pub fn start(
        shell: &Shell,
        spec: &MachineSpec,
        directory: RunDirectory,
        is_interactive: bool,
        console_log: Option<PathBuf>,
    ) -> Result<Self> {
        let at = |name: &str| directory.path().join(name);
        let endpoints = Endpoints {
            qmp: at("qmp"),
            exec: at("exec"),
            console: is_interactive.then(|| at("console")),
            console_log: console_log.unwrap_or_else(|| at("console.log")),
        };
        let interrupts = Interrupts::hold()?;
        let listen = |path: &PathBuf| UnixListener::bind(path).at("create the socket", path);
        let qmp = listen(&endpoints.qmp)?;
        let exec = listen(&endpoints.exec)?;
        let console = endpoints.console.as_ref().map(listen).transpose()?;
        let log = at("qemu.log");
        let mut start = Start::new(spec, &endpoints, &log)?;
        let qmp = start.accept(&qmp)?;
        let console = match console {
            Some(listener) => Some(Console::new(shell, start.accept(&listener)?)?),
            None => None,
        };
        let exec = ExecPort::new(start.accept(&exec)?)?;
        let mut qmp = Qmp::handshake(qmp, START_TIMEOUT).map_err(|error| start.failed(error))?;
        qmp.send("cont")?;
        let Start { qemu, process, .. } = start;
        Ok(Self {
            shell: *shell,
            qemu,
            process,
            qmp,
            exec,
            exec_is_closed: false,
            console,
            console_is_closed: false,
            interrupts,
            observer: Observer::default(),
            frames: VecDeque::new(),
            asked: 0,
            answer: None,
            cables: network::listening(&spec.cards),
            started: Instant::now(),
            endpoints,
            directory,
        })
    }

    /// How long the guest has been running.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Waits until the guest takes commands. False if its services have not settled by then.
    ///
    /// # Errors
    /// If the guest ends before, or `deadline` passes.
    pub fn wait_until_ready(&mut self, deadline: Instant) -> Result<bool> {
        match self.next_frame(deadline)? {
            GuestFrame::Hello { version: VERSION, settled } => Ok(settled),
            GuestFrame::Hello { version, .. } => Err(Error::failure(format!(
                "the guest's execd speaks version {version} of the exec protocol, the builder {VERSION}"
            ))),
            other => Err(unexpected(&other)),
        }
    }

    /// Runs a command to its end, showing its output as it comes.
    ///
    /// # Errors
    /// If the guest ends before the command does, cannot run it, or `deadline` passes.
    pub fn run(
        &mut self,
        command: &str,
        deadline: Instant,
        on_output: impl FnMut(Stream, &[u8]),
    ) -> Result<ExitStatus> {
        self.begin(command)?;
        self.finish(deadline, on_output)
    }

    /// Has the guest begin with a command.
    ///
    /// # Errors
    /// If the connection to the guest is broken.
    pub fn begin(&mut self, command: &str) -> Result<()> {
        self.exec.send(&HostFrame::Run { command: command.to_owned() })
    }

    /// Waits for the end of the command that was begun, showing its output as it comes.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn finish(
        &mut self,
        deadline: Instant,
        mut on_output: impl FnMut(Stream, &[u8]),
    ) -> Result<ExitStatus> {
        loop {
            match self.next_frame(deadline)? {
                GuestFrame::Stdout(bytes) => on_output(Stream::Stdout, &bytes),
                GuestFrame::Stderr(bytes) => on_output(Stream::Stderr, &bytes),
                GuestFrame::Exit(status) => return Ok(status),
                GuestFrame::Failed(why) => {
                    return Err(Error::failure(format!("the guest cannot run the command: {why}")));
                }
                other @ GuestFrame::Hello { .. } => return Err(unexpected(&other)),
            }
        }
    }

    /// Has QEMU do something with the machine while it runs (QEMU's documentation:
    /// interop/qemu-qmp-ref), and returns its answer.
    ///
    /// # Errors
    /// If QEMU refuses, does not answer in time, or the guest ends meanwhile.
    pub fn control(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let deadline = Instant::now() + CONTROL_TIMEOUT;
        self.asked += 1;
        self.answer = None;
        self.qmp.ask(self.asked, command, arguments)?;
        loop {
            match self.answer.take() {
                Some(Ok(value)) => return Ok(value),
                Some(Err(why)) => {
                    return Err(Error::failure(format!("qemu refused `{command}`: {why}")));
                }
                None => {}
            }
            let rest = deadline.saturating_duration_since(Instant::now());
            if rest.is_zero() || self.qmp.is_closed() {
                return Err(Error::failure(format!("qemu did not answer to `{command}`")));
            }
            self.poll(rest)?;
            if let Some(ending) = self.take_news()? {
                return Err(self.error(ending));
            }
        }
    }

    /// Waits until the guests at the other ends of its cables can be started: QEMU
    /// makes the sockets aside, and a guest that finds none stays without a cable.
    ///
    /// # Errors
    /// If QEMU does not make them in time.
    pub fn wait_until_cable_listens(&self) -> Result<()> {
        let deadline = Instant::now() + CONTROL_TIMEOUT;
        let table = Path::new("/proc/net/unix");
        while Instant::now() < deadline {
            let text = std::fs::read(table).at("read", table)?;
            let text = String::from_utf8_lossy(&text);
            if self.cables.iter().all(|socket| network::is_listening(&text, socket)) {
                return Ok(());
            }
            std::thread::sleep(LISTENING_PERIOD);
        }
        Err(Error::failure("qemu does not listen for the guest at the other end of the cable"))
    }

    /// Powers the guest off in order, and waits until it is.
    ///
    /// # Errors
    /// If it ends in another way, refuses, or `deadline` passes.
    pub fn power_off(mut self, deadline: Instant) -> Result<()> {
        self.exec.send(&HostFrame::PowerOff)?;
        loop {
            match self.next(deadline)? {
                Occurrence::Ended(Ending::PoweredOff) => return Ok(()),
                Occurrence::Ended(ending) => return Err(self.error(ending)),
                Occurrence::Frame(GuestFrame::Failed(why)) => {
                    return Err(Error::failure(format!("the guest does not power off: {why}")));
                }
                Occurrence::Frame(_) => {}
            }
        }
    }

    /// Runs a command that is to end the guest, such as `poweroff`, and waits for that.
    ///
    /// # Errors
    /// If the connections to QEMU break. A guest that goes on is an [`Ending::TimedOut`].
    pub fn run_to_end(&mut self, command: &str, deadline: Instant) -> Result<Ending> {
        self.exec.send(&HostFrame::Run { command: command.to_owned() })?;
        self.wait_for_end(Some(deadline))
    }

    /// Waits until the guest ends by itself.
    ///
    /// # Errors
    /// If the connections to QEMU break.
    pub fn wait_for_end(&mut self, deadline: Option<Instant>) -> Result<Ending> {
        // A year is a deadline that nobody waits for.
        let deadline =
            deadline.unwrap_or_else(|| Instant::now() + Duration::from_secs(365 * 86_400));
        loop {
            if let Occurrence::Ended(ending) = self.next(deadline)? {
                return Ok(ending);
            }
        }
    }

    /// The error for an ending that came too early.
    #[must_use]
    pub fn error(&self, ending: Ending) -> Error {
        ending.into_error(&end_of(&self.endpoints.console_log))
    }

    /// Kills the guest without asking it.
    pub fn kill(mut self) {
        self.qemu.kill();
    }

    fn next_frame(&mut self, deadline: Instant) -> Result<GuestFrame> {
        match self.next(deadline)? {
            Occurrence::Frame(frame) => Ok(frame),
            Occurrence::Ended(ending) => Err(self.error(ending)),
        }
    }

    fn next(&mut self, deadline: Instant) -> Result<Occurrence> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                return Ok(Occurrence::Frame(frame));
            }
            let now = Instant::now();
            if now >= deadline {
                return Ok(Occurrence::Ended(Ending::TimedOut(self.elapsed())));
            }
            self.poll((deadline - now).min(SIGNAL_PERIOD))?;
            if let Some(ending) = self.take_news()? {
                return Ok(Occurrence::Ended(ending));
            }
        }
    }

    /// Waits until anything has news, or for `longest`.
    fn poll(&self, longest: Duration) -> Result<()> {
        let stdin = std::io::stdin();
        let ports =
            if self.exec.has_output() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        let mut descriptors = vec![PollFd::new(&self.process, PollFlags::IN)];
        for descriptor in self.interrupts.descriptors() {
            descriptors.push(PollFd::from_borrowed_fd(descriptor, PollFlags::IN));
        }
        if !self.qmp.is_closed() {
            descriptors.push(PollFd::new(&self.qmp, PollFlags::IN));
        }
        if !self.exec_is_closed {
            descriptors.push(PollFd::new(&self.exec, ports));
        }
        if let Some(console) = self.console.as_ref().filter(|_| !self.console_is_closed) {
            let flags =
                if console.has_output() { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            descriptors.push(PollFd::new(console, flags));
            if console.wants_input() {
                descriptors.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
            }
        }
        let timeout = Timespec::try_from(longest).ok();
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(Error::failure(format!("cannot poll the guest: {error}"))),
        }
    }

    /// Reads whatever is there. None of the reads waits.
    fn take_news(&mut self) -> Result<Option<Ending>> {
        if let Some(signal) = self.interrupts.take() {
            self.qemu.kill();
            return Ok(Some(Ending::Interrupted(signal)));
        }
        // Asked first: what QEMU said before it ended has then certainly arrived.
        let ended = self.has_ended()?;
        self.exec.flush()?;
        if !self.exec_is_closed {
            let (frames, is_closed) = self.exec.receive()?;
            self.frames.extend(frames);
            self.exec_is_closed = is_closed;
        }
        if self.relay_console() {
            self.qemu.kill();
            return Ok(Some(Ending::Quit));
        }
        if let Some(ending) = self.take_qmp()? {
            self.qemu.kill();
            return Ok(Some(ending));
        }
        // Frames that came before the end are handed out before it, and what the console showed
        // is shown to its last byte: QEMU is gone, so that it has one.
        let is_shown = self.console.is_none() || self.console_is_closed;
        let is_told = self.frames.is_empty() && is_shown;
        Ok(ended.filter(|_| is_told).map(|how| self.observer.ending(&how)))
    }

    fn take_qmp(&mut self) -> Result<Option<Ending>> {
        for message in self.qmp.receive()? {
            match message {
                Message::Event(event) => {
                    self.observer.see(&event);
                    if event == Event::Stopped {
                        // QEMU may be ending already, and then says why by itself.
                        let _gone = self.qmp.send("query-status");
                    }
                }
                Message::Return(value) => {
                    let status = value.get("status").and_then(Value::as_str);
                    if let Some(status @ ("internal-error" | "io-error")) = status {
                        return Ok(Some(Ending::Stuck(status.to_owned())));
                    }
                }
                Message::Error(why) => {
                    return Err(Error::failure(format!("qemu refused a command: {why}")));
                }
                // One that is late was given up already.
                Message::Answer(id, result) if id == self.asked => self.answer = Some(result),
                Message::Answer(..) | Message::Greeting => {}
            }
        }
        Ok(None)
    }

    /// True if the person wants to quit.
    fn relay_console(&mut self) -> bool {
        let Some(console) = self.console.as_mut().filter(|_| !self.console_is_closed) else {
            return false;
        };
        if !console.show_output(&self.shell) {
            self.console_is_closed = true;
            return false;
        }
        if console.has_output() {
            console.flush();
        }
        console.wants_input() && has_input() && console.take_input()
    }

    /// How QEMU ended, if it has.
    fn has_ended(&mut self) -> Result<Option<Exit>> {
        let status = self
            .qemu
            .child()
            .try_wait()
            .map_err(|error| Error::failure(format!("cannot wait for qemu: {error}")))?;
        let log = self.directory.path().join("qemu.log");
        Ok(status.map(|status| Exit::new(status, &tail_of(&log))))
    }
}

/// Whether standard input has something to read, or has ended.
fn has_input() -> bool {
    let stdin = std::io::stdin();
    let mut descriptors = [PollFd::new(&stdin, PollFlags::IN)];
    matches!(poll(&mut descriptors, Some(&Timespec::default())), Ok(1..))
}

fn unexpected(frame: &GuestFrame) -> Error {
    Error::failure(format!("the guest sent {frame:?} when something else was due"))
}

#[cfg(test)]
mod tests;
