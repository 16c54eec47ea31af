//! One session: from the host's opening of the port to its closing.
//!
//! Nothing here waits for one thing alone: bytes from the host, room towards
//! the host, the command's output and its end come through one poll(2), and
//! output is taken from the command only while there is room for it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use init_core::event::{ExitStatus, ShutdownKind};
use init_core::exec_protocol::{
    Decoder, Frame, GuestFrame, HostFrame, PAYLOAD_LENGTH_MAX, VERSION,
};
use init_core::protocol::{Reply, Request};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read, write};
use services::control::Client;

use crate::command::{self, Running};

/// Output waiting for the host, in bytes, beyond which the command has to wait.
const OUTGOING_BYTES_MAX: usize = 256 * 1024;

/// Serves the host until it closes the port.
pub(crate) fn run(port: &OwnedFd, settled: bool, control_socket: &Path) -> io::Result<()> {
    let mut session = Session {
        port,
        control_socket,
        decoder: Decoder::new(),
        takes_frames: true,
        outgoing: VecDeque::new(),
        running: None,
    };
    session.send(&GuestFrame::Hello { version: VERSION, settled });
    while session.round()? {}
    match session.running.take() {
        Some(running) => running.kill(),
        None => Ok(()),
    }
}

struct Session<'a> {
    port: &'a OwnedFd,
    control_socket: &'a Path,
    decoder: Decoder<HostFrame>,
    /// False after bytes that were no frame.
    takes_frames: bool,
    outgoing: VecDeque<u8>,
    running: Option<Running>,
}

/// What poll(2) said.
#[derive(Default)]
struct Ready {
    hung_up: bool,
    from_host: bool,
    to_host: bool,
    stdout: bool,
    stderr: bool,
    exit: bool,
}

impl Session<'_> {
    /// Waits for something to do and does it. False once the host is gone.
    fn round(&mut self) -> io::Result<bool> {
        let ready = self.wait()?;
        if ready.to_host && !self.write_outgoing()? {
            return Ok(false);
        }
        if ready.from_host && !self.read_incoming()? {
            return Ok(false);
        }
        if ready.hung_up {
            return Ok(false);
        }
        self.take_output(&ready)?;
        if ready.exit {
            self.finish_command()?;
        }
        while self.running.is_none() && self.takes_frames {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => self.obey(frame),
                Ok(None) => break,
                Err(error) => {
                    self.takes_frames = false;
                    self.send(&GuestFrame::Failed(error.to_string()));
                }
            }
        }
        Ok(true)
    }

    fn wait(&self) -> io::Result<Ready> {
        let has_room = self.outgoing.len() < OUTGOING_BYTES_MAX;
        let output = |pipe: &Option<OwnedFd>| pipe.is_some() && has_room;
        let running = self.running.as_ref();
        let mut port_flags = PollFlags::empty();
        // While a command runs the next ones wait in the port, which bounds them.
        port_flags.set(PollFlags::IN, running.is_none());
        port_flags.set(PollFlags::OUT, !self.outgoing.is_empty());
        let mut watched = vec![(Source::Port, self.port.as_fd(), port_flags)];
        if let Some(running) = running {
            watched.push((Source::Exit, running.exit(), PollFlags::IN));
            let pipes = [(Source::Stdout, &running.stdout), (Source::Stderr, &running.stderr)];
            for (source, pipe) in pipes.into_iter().filter(|(_, pipe)| output(pipe)) {
                watched.extend(pipe.as_ref().map(|pipe| (source, pipe.as_fd(), PollFlags::IN)));
            }
        }
        poll_sources(&watched)
    }

    /// Reads what the host sent. False at the end of the stream.
    fn read_incoming(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 16 * 1024];
        match read(self.port, &mut bytes) {
            Ok(0) | Err(Errno::IO | Errno::PIPE | Errno::CONNRESET) => Ok(false),
            Ok(length) => {
                if self.takes_frames {
                    self.decoder.push(bytes.get(..length).unwrap_or_default());
                }
                Ok(true)
            }
            Err(Errno::AGAIN | Errno::INTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes as much as the port takes. False if the host is gone.
    fn write_outgoing(&mut self) -> io::Result<bool> {
        loop {
            let (front, _) = self.outgoing.as_slices();
            if front.is_empty() {
                return Ok(true);
            }
            match write(self.port, front) {
                Ok(length) => drop(self.outgoing.drain(..length)),
                Err(Errno::AGAIN | Errno::INTR) => return Ok(true),
                Err(Errno::IO | Errno::PIPE | Errno::CONNRESET | Errno::NODEV) => {
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn take_output(&mut self, ready: &Ready) -> io::Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let mut stdout = Vec::new();
        let mut stderr = Vec::new();
        if ready.stdout {
            stdout = command::read_some(&mut running.stdout)?;
        }
        if ready.stderr {
            stderr = command::read_some(&mut running.stderr)?;
        }
        self.send_output(stdout, GuestFrame::Stdout);
        self.send_output(stderr, GuestFrame::Stderr);
        Ok(())
    }

    /// Sends the rest of a command's output and how it ended.
    fn finish_command(&mut self) -> io::Result<()> {
        let Some(running) = &mut self.running else { return Ok(()) };
        let Some(status) = running.status()? else { return Ok(()) };
        let stdout = command::read_rest(&mut running.stdout)?;
        let stderr = command::read_rest(&mut running.stderr)?;
        self.running = None;
        self.send_output(stdout, GuestFrame::Stdout);
        self.send_output(stderr, GuestFrame::Stderr);
        self.send(&GuestFrame::Exit(status));
        Ok(())
    }

    fn obey(&mut self, frame: HostFrame) {
        match frame {
            HostFrame::Run { command } => match command::start(&command) {
                Ok(running) => self.running = Some(running),
                Err(not_started) => {
                    self.send_output(not_started.message.into_bytes(), GuestFrame::Stderr);
                    self.send(&GuestFrame::Exit(ExitStatus::Code(not_started.code)));
                }
            },
            HostFrame::PowerOff => {
                if let Err(why) = power_off(self.control_socket) {
                    self.send(&GuestFrame::Failed(why));
                }
            }
        }
    }

    fn send_output(&mut self, bytes: Vec<u8>, frame: impl Fn(Vec<u8>) -> GuestFrame) {
        for chunk in bytes.chunks(PAYLOAD_LENGTH_MAX) {
            self.send(&frame(chunk.to_vec()));
        }
    }

    fn send(&mut self, frame: &GuestFrame) {
        // Output comes in chunks that fit, and the other frames are short.
        self.outgoing.extend(frame.encode().unwrap_or_default());
    }
}

#[derive(Clone, Copy)]
enum Source {
    Port,
    Exit,
    Stdout,
    Stderr,
}

fn poll_sources(watched: &[(Source, BorrowedFd<'_>, PollFlags)]) -> io::Result<Ready> {
    let mut descriptors: Vec<_> = watched
        .iter()
        .map(|(_, descriptor, flags)| PollFd::from_borrowed_fd(*descriptor, *flags))
        .collect();
    let mut ready = Ready::default();
    match poll(&mut descriptors, None) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(ready),
        Err(error) => return Err(error.into()),
    }
    for ((source, _, _), descriptor) in watched.iter().zip(&descriptors) {
        let seen = descriptor.revents();
        match source {
            Source::Port => {
                ready.hung_up = seen.intersects(PollFlags::HUP | PollFlags::ERR);
                ready.from_host = seen.contains(PollFlags::IN);
                ready.to_host = seen.contains(PollFlags::OUT);
            }
            Source::Exit => ready.exit = !seen.is_empty(),
            Source::Stdout => ready.stdout = !seen.is_empty(),
            Source::Stderr => ready.stderr = !seen.is_empty(),
        }
    }
    Ok(ready)
}

/// Asks PID 1 for an orderly shutdown.
fn power_off(control_socket: &Path) -> Result<(), String> {
    let request = Request::Shutdown { kind: ShutdownKind::PowerOff };
    let reply = Client::connect(control_socket)
        .and_then(|mut client| client.ask(&request))
        .map_err(|problem| problem.to_string())?;
    match reply {
        Reply::Done => Ok(()),
        other => Err(format!("PID 1 does not power off: {other:?}")),
    }
}
