//! PID 1's part: the socket, the pipes, and the collectors on one log directory.

use std::fs;
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};
use rustix::process::{Pid, Signal, kill_process};

pub(crate) const LOGD: &str = env!("CARGO_BIN_EXE_logd");

/// While one test has an inheritable socket open no other test may start a program.
pub(crate) static INHERITING: Mutex<()> = Mutex::new(());

/// A log directory, and PID 1's end of the collectors that work on it.
pub(crate) struct Bench {
    pub(crate) place: tempfile::TempDir,
    pub(crate) notify: UnixDatagram,
}

pub(crate) struct Collector {
    pub(crate) child: Child,
    pub(crate) socket: OwnedFd,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let notify = UnixDatagram::bind(place.path().join("notify")).unwrap();
        notify.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { place, notify }
    }

    pub(crate) fn directory(&self) -> PathBuf {
        self.place.path().join("log")
    }

    pub(crate) fn start(&self, options: &[&str]) -> Collector {
        let mut command = Command::new(LOGD);
        command.arg("--directory").arg(self.directory());
        command.args(["--no-kernel-log", "--no-syslog"]).args(options);
        self.start_command(command)
    }

    pub(crate) fn start_command(&self, mut command: Command) -> Collector {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        let guard = INHERITING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let inherited = rustix::io::fcntl_dupfd_cloexec(&theirs, 100).unwrap();
        rustix::io::fcntl_setfd(&inherited, rustix::io::FdFlags::empty()).unwrap();
        let child = command
            .env("LOG_SOCKET", inherited.as_raw_fd().to_string())
            .env("NOTIFY_SOCKET", self.place.path().join("notify"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(inherited);
        drop(guard);
        let collector = Collector { child, socket: ours };
        let mut message = [0; 64];
        let length = self.notify.recv(&mut message).expect("logd says that it is ready");
        assert_eq!(&message[..length], b"READY=1");
        collector
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory().join(name)).unwrap_or_default()
    }

    /// What was logged for `name`, both files, without the timestamps.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        let log = self.read(&format!("{name}.log.1")) + &self.read(&format!("{name}.log"));
        log.lines()
            .map(|line| {
                let parsed = services::log_record::parse_line(line);
                parsed.unwrap_or_else(|| panic!("no record: {line:?}")).1.to_owned()
            })
            .collect()
    }
}

impl Collector {
    pub(crate) fn send(&self, payload: &str, descriptors: &[&OwnedFd]) {
        let descriptors: Vec<_> = descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        }
        let payload = [IoSlice::new(payload.as_bytes())];
        sendmsg(&self.socket, &payload, &mut control, SendFlags::NOSIGNAL).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Sends a signal and returns how the collector ended and what it complained about.
    pub(crate) fn end(mut self, signal: Signal) -> (ExitStatus, String) {
        self.signal(signal);
        let mut complaints = String::new();
        std::io::Read::read_to_string(self.child.stderr.as_mut().unwrap(), &mut complaints)
            .unwrap();
        (self.child.wait().unwrap(), complaints)
    }
}

pub(crate) fn pipe() -> (OwnedFd, fs::File) {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    (reader, writer.into())
}

#[track_caller]
pub(crate) fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Writes numbered lines, pausing now and then so that kills find all sorts of states.
pub(crate) fn write_numbers(mut writer: fs::File, count: u32) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for first in (0..count).step_by(100) {
            let lines: String = (first..first + 100).map(|n| format!("line {n:06}\n")).collect();
            // Pieces that do not end where lines end.
            for piece in lines.as_bytes().chunks(777) {
                writer.write_all(piece).unwrap();
            }
            if first % 10_000 == 0 {
                thread::sleep(Duration::from_millis(10));
            }
        }
    })
}
