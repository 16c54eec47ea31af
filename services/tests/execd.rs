//! `execd` as the host sees it, over a pseudoterminal in place of the virtio port.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use init_core::description::Signal;
use init_core::event::{ExitStatus, ShutdownKind};
use init_core::exec_protocol::{Decoder, Frame, GuestFrame, HostFrame, VERSION};
use init_core::protocol::{self, Reply, Request};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

const EXECD: &str = env!("CARGO_BIN_EXE_execd");

/// What PID 1 writes when boot is complete.
const SETTLED: &str = "started_us=5\ncomplete_us=9\nservices_up=1\n";

struct Guest {
    place: tempfile::TempDir,
    child: Child,
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The host's end of a port.
struct Host {
    master: fs::File,
    decoder: Decoder<GuestFrame>,
}

/// What a command did.
#[derive(Debug, PartialEq)]
struct Outcome {
    stdout: String,
    stderr: String,
    status: ExitStatus,
}

impl Guest {
    fn boot_file(&self) -> PathBuf {
        self.place.path().join("boot")
    }

    fn start(settled: bool) -> (Self, Host) {
        let place = tempfile::tempdir().unwrap();
        let host = Host::open(&place.path().join("port"));
        if settled {
            fs::write(place.path().join("boot"), SETTLED).unwrap();
        }
        let child = Command::new(EXECD)
            .arg("--port")
            .arg(place.path().join("port"))
            .arg("--socket")
            .arg(place.path().join("control"))
            .arg("--boot-file")
            .arg(place.path().join("boot"))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        (Self { place, child }, host)
    }
}

impl Host {
    /// Opens a new port and puts it at `path`.
    fn open(path: &std::path::Path) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let new = path.with_extension("new");
        std::os::unix::fs::symlink(name.to_str().unwrap(), &new).unwrap();
        fs::rename(new, path).unwrap();
        Self { master: master.into(), decoder: Decoder::from_hello() }
    }

    fn send(&mut self, frame: &HostFrame) {
        self.master.write_all(&frame.encode().unwrap()).unwrap();
    }

    fn run(&mut self, command: &str) {
        self.send(&HostFrame::Run { command: command.to_owned() });
    }

    fn next(&mut self) -> GuestFrame {
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return frame;
            }
            let mut bytes = [0; 65_536];
            let length = self.master.read(&mut bytes).unwrap();
            self.decoder.push(&bytes[..length]);
        }
    }

    fn hello(&mut self) -> bool {
        match self.next() {
            GuestFrame::Hello { version: VERSION, settled } => settled,
            other => panic!("no hello: {other:?}"),
        }
    }

    fn outcome(&mut self) -> Outcome {
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        loop {
            match self.next() {
                GuestFrame::Stdout(bytes) => stdout.extend(bytes),
                GuestFrame::Stderr(bytes) => stderr.extend(bytes),
                GuestFrame::Exit(status) => {
                    let text = |bytes| String::from_utf8(bytes).unwrap();
                    return Outcome { stdout: text(stdout), stderr: text(stderr), status };
                }
                other => panic!("unexpected {other:?}"),
            }
        }
    }
}

fn outcome(stdout: &str, stderr: &str, status: ExitStatus) -> Outcome {
    Outcome { stdout: stdout.to_owned(), stderr: stderr.to_owned(), status }
}

#[test]
fn commands_run_one_after_the_other_and_say_how_they_ended() {
    let (_guest, mut host) = Guest::start(true);
    assert!(host.hello());
    host.run("echo out; echo err >&2; exit 3");
    assert_eq!(host.outcome(), outcome("out\n", "err\n", ExitStatus::Code(3)));
    // Sent early, answered in order.
    host.run("sleep 0.1; echo first");
    host.run("kill -TERM $$");
    host.run("cat; pwd");
    assert_eq!(host.outcome(), outcome("first\n", "", ExitStatus::Code(0)));
    let terminated = ExitStatus::Signal { signal: Signal::TERM, core_dumped: false };
    assert_eq!(host.outcome(), outcome("", "", terminated));
    assert_eq!(host.outcome(), outcome("/\n", "", ExitStatus::Code(0)));
    // Bytes pass unchanged, whatever the terminal in between would like to do to them.
    host.run(r"printf '\003\004\021\r\n\t\000x' | od -An -c; printf 'a\r\nb\003'");
    let expected = " 003 004 021  \\r  \\n  \\t  \\0   x\na\r\nb\u{3}";
    assert_eq!(host.outcome().stdout, expected);
}

#[test]
fn much_output_neither_deadlocks_nor_gets_lost() {
    let (_guest, mut host) = Guest::start(true);
    host.hello();
    host.run("i=0; while [ $i -lt 3000 ]; do echo \"$i\"; i=$((i+1)); done; head -c 8000000 /dev/zero | tr '\\0' x; head -c 3000000 /dev/zero | tr '\\0' y >&2");
    // The host takes its time to begin reading; the command has to wait, nothing else.
    thread::sleep(Duration::from_millis(200));
    let Outcome { stdout, stderr, status } = host.outcome();
    assert_eq!(status, ExitStatus::Code(0));
    let numbers: String = (0..3000).map(|number| format!("{number}\n")).collect();
    assert!(stdout.starts_with(&numbers));
    assert_eq!(stdout.len(), numbers.len() + 8_000_000);
    assert_eq!(stderr.len(), 3_000_000);
}

#[test]
fn a_child_left_in_the_background_does_not_keep_the_host_waiting() {
    let (_guest, mut host) = Guest::start(true);
    host.hello();
    let begin = Instant::now();
    host.run("sleep 30 & echo started");
    assert_eq!(host.outcome(), outcome("started\n", "", ExitStatus::Code(0)));
    assert!(begin.elapsed() < Duration::from_secs(10));
    host.run("yes & sleep 0.05");
    assert_eq!(host.outcome().status, ExitStatus::Code(0));
    host.run("echo next");
    assert_eq!(host.outcome().stdout, "next\n");
}

#[test]
fn the_hello_waits_until_boot_has_settled() {
    let (guest, mut host) = Guest::start(false);
    let watcher = thread::spawn({
        let boot_file = guest.boot_file();
        move || {
            thread::sleep(Duration::from_millis(200));
            fs::write(boot_file, SETTLED).unwrap();
            Instant::now()
        }
    });
    assert!(host.hello());
    assert!(Instant::now() >= watcher.join().unwrap() - Duration::from_millis(1));
}

#[test]
fn a_new_host_gets_a_session_of_its_own() {
    let (guest, mut host) = Guest::start(true);
    host.hello();
    let mark = guest.place.path().join("mark");
    host.run(&format!("echo begun; sleep 1; touch {}", mark.display()));
    assert_eq!(host.next(), GuestFrame::Stdout(b"begun\n".to_vec()));
    host.run("echo never");
    let mut next = Host::open(&guest.place.path().join("port"));
    drop(host);
    assert!(next.hello());
    next.run("echo mine");
    assert_eq!(next.outcome(), outcome("mine\n", "", ExitStatus::Code(0)));
    next.run("sleep 1.2");
    assert_eq!(next.outcome().status, ExitStatus::Code(0));
    assert!(!mark.exists(), "the command of a host that is gone is killed");
}

#[test]
fn bytes_that_are_no_frame_end_the_session() {
    let (guest, mut host) = Guest::start(true);
    host.hello();
    host.master.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    match host.next() {
        GuestFrame::Failed(why) => assert!(why.contains("exceeds the limit"), "{why}"),
        other => panic!("unexpected {other:?}"),
    }
    host.run("echo ignored");
    let mut next = Host::open(&guest.place.path().join("port"));
    drop(host);
    next.hello();
    next.run("echo heard");
    assert_eq!(next.outcome().stdout, "heard\n");
}

#[test]
fn power_off_is_asked_of_pid_1() {
    let (guest, mut host) = Guest::start(true);
    host.hello();
    host.send(&HostFrame::PowerOff);
    match host.next() {
        GuestFrame::Failed(why) => {
            assert!(why.contains("cannot reach PID 1") && why.contains("hint: "), "{why}");
        }
        other => panic!("unexpected {other:?}"),
    }
    let listener = UnixListener::bind(guest.place.path().join("control")).unwrap();
    host.send(&HostFrame::PowerOff);
    let (mut connection, _) = listener.accept().unwrap();
    let mut bytes = vec![0; 64];
    let length = connection.read(&mut bytes).unwrap();
    let frame = protocol::Frame::split(&bytes[..length], 64).unwrap().unwrap();
    let request = Request::decode(frame.body).unwrap();
    assert_eq!(request, Request::Shutdown { kind: ShutdownKind::PowerOff });
    connection.write_all(&Reply::Done.encode().unwrap()).unwrap();
    // No frame answers; the guest goes on until PID 1 ends it.
    host.run("echo still here");
    assert_eq!(host.outcome().stdout, "still here\n");
}

#[test]
fn without_a_port_there_is_nothing_to_do() {
    if fs::read_dir("/sys/class/virtio-ports").is_ok_and(|mut ports| ports.next().is_some()) {
        println!("skipped: this host has virtio ports");
        return;
    }
    let output = Command::new(EXECD).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty() && output.stdout.is_empty());
}
