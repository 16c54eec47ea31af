//! `logd` as PID 1 sees it: pipes over a socketpair, kills in the middle, full disks.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

use std::fs;
use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};
use rustix::process::{Pid, Signal, kill_process};

const LOGD: &str = env!("CARGO_BIN_EXE_logd");

/// While one test has an inheritable socket open no other test may start a program.
static INHERITING: Mutex<()> = Mutex::new(());

/// A log directory, and PID 1's end of the collectors that work on it.
struct Bench {
    place: tempfile::TempDir,
    notify: UnixDatagram,
}

struct Collector {
    child: Child,
    socket: OwnedFd,
}

impl Bench {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let notify = UnixDatagram::bind(place.path().join("notify")).unwrap();
        notify.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { place, notify }
    }

    fn directory(&self) -> PathBuf {
        self.place.path().join("log")
    }

    fn start(&self, options: &[&str]) -> Collector {
        let mut command = Command::new(LOGD);
        command.arg("--directory").arg(self.directory());
        command.args(["--no-kernel-log", "--no-syslog"]).args(options);
        self.start_command(command)
    }

    fn start_command(&self, mut command: Command) -> Collector {
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

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.directory().join(name)).unwrap_or_default()
    }

    /// What was logged for `name`, both files, without the timestamps.
    fn texts(&self, name: &str) -> Vec<String> {
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
    fn send(&self, payload: &str, descriptors: &[&OwnedFd]) {
        let descriptors: Vec<_> = descriptors.iter().map(|descriptor| descriptor.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        }
        let payload = [IoSlice::new(payload.as_bytes())];
        sendmsg(&self.socket, &payload, &mut control, SendFlags::NOSIGNAL).unwrap();
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// Sends a signal and returns how the collector ended and what it complained about.
    fn end(mut self, signal: Signal) -> (ExitStatus, String) {
        self.signal(signal);
        let mut complaints = String::new();
        std::io::Read::read_to_string(self.child.stderr.as_mut().unwrap(), &mut complaints)
            .unwrap();
        (self.child.wait().unwrap(), complaints)
    }
}

fn pipe() -> (OwnedFd, fs::File) {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
    (reader, writer.into())
}

#[track_caller]
fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Writes numbered lines, pausing now and then so that kills find all sorts of states.
fn write_numbers(mut writer: fs::File, count: u32) -> thread::JoinHandle<()> {
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

#[test]
fn a_killed_collector_loses_nothing() {
    let bench = Bench::new();
    let (reader, writer) = pipe();
    let numbers = write_numbers(writer, 100_000);
    let mut kills = 0;
    while !numbers.is_finished() {
        let collector = bench.start(&["--file-size=1048576"]);
        collector.send("numbers", &[&reader]);
        thread::sleep(Duration::from_millis(3 + u64::from(kills % 7)));
        let (status, _) = collector.end(Signal::KILL);
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        kills += 1;
    }
    let last = bench.start(&["--file-size=1048576"]);
    last.send("numbers", &[&reader]);
    wait_until("the last line", || bench.read("numbers.log").ends_with("line 099999\n"));
    assert!(last.end(Signal::TERM).0.success());
    numbers.join().unwrap();
    assert!(kills >= 3, "only {kills} kills came before the end of the output");

    let mut expected = 0;
    let mut repeated = 0;
    for text in bench.texts("numbers") {
        let number: u32 = text.strip_prefix("line ").unwrap().parse().unwrap();
        assert!(number <= expected, "{expected} is missing after {kills} kills: {text}");
        repeated += u32::from(number < expected);
        expected = expected.max(number + 1);
    }
    assert_eq!(expected, 100_000);
    // A kill repeats at most what one turn takes from the pipe: 64 KiB of 12-byte lines.
    assert!(repeated <= kills * 5_462, "{repeated} lines came twice after {kills} kills");
    println!("{kills} kills, {repeated} lines came twice");
}

#[test]
fn an_orderly_restart_neither_loses_nor_repeats() {
    let bench = Bench::new();
    let (reader, writer) = pipe();
    let numbers = write_numbers(writer, 50_000);
    let mut restarts = 0;
    while !numbers.is_finished() {
        let collector = bench.start(&["--file-size=1048576"]);
        collector.send("numbers", &[&reader]);
        thread::sleep(Duration::from_millis(5));
        assert!(collector.end(Signal::TERM).0.success());
        restarts += 1;
    }
    numbers.join().unwrap();
    let last = bench.start(&["--file-size=1048576"]);
    last.send("numbers", &[&reader]);
    wait_until("the last line", || bench.read("numbers.log").ends_with("line 049999\n"));
    assert!(last.end(Signal::TERM).0.success());
    // A collector that ends logs the start of a line too, so lines may be in two pieces.
    let seen: String = bench.texts("numbers").concat();
    let written: String = (0..50_000).map(|n| format!("line {n:06}")).collect();
    assert!(seen == written, "after {restarts} restarts");
}

#[test]
fn files_stay_within_their_bound_and_keep_the_newest_lines() {
    let bench = Bench::new();
    let (reader, writer) = pipe();
    let collector = bench.start(&["--file-size=64"]);
    collector.send("chatty", &[&reader]);
    write_numbers(writer, 20_000).join().unwrap();
    wait_until("the last line", || bench.read("chatty.log").ends_with("line 019999\n"));
    assert!(collector.end(Signal::TERM).0.success());
    let (current, rotated) = (bench.read("chatty.log"), bench.read("chatty.log.1"));
    assert!(current.len() <= 65_536 && rotated.len() <= 65_536);
    assert!(current.len() + rotated.len() > 65_536);
    let texts = bench.texts("chatty");
    for (text, number) in texts.iter().zip(20_000 - texts.len()..) {
        assert_eq!(*text, format!("line {number:06}"));
    }
    let entries = fs::read_dir(bench.directory()).unwrap().count();
    assert_eq!(entries, 2, "two files for one service, no matter how much it says");
}

#[test]
fn the_start_of_a_line_waits_for_its_end_for_a_second() {
    let bench = Bench::new();
    let (reader, mut writer) = pipe();
    let collector = bench.start(&[]);
    collector.send("slow", &[&reader]);
    writer.write_all(b"whole\nin two ").unwrap();
    wait_until("the whole line", || bench.texts("slow") == ["whole"]);
    writer.write_all(b"pieces\n").unwrap();
    wait_until("the joined line", || bench.texts("slow") == ["whole", "in two pieces"]);
    let written = Instant::now();
    writer.write_all(b"prompt> ").unwrap();
    wait_until("the unfinished line", || bench.texts("slow").len() == 3);
    assert!(written.elapsed() >= Duration::from_millis(900), "{:?}", written.elapsed());
    assert_eq!(bench.texts("slow")[2], "prompt> ");
    // Nothing can end a line whose writers are gone.
    writer.write_all(b"last words").unwrap();
    let closed = Instant::now();
    drop(writer);
    wait_until("the last words", || bench.texts("slow").len() == 4);
    assert!(closed.elapsed() < Duration::from_millis(900), "{:?}", closed.elapsed());
    // 20,000 bytes without a newline are three records.
    let (reader, mut writer) = pipe();
    collector.send("long", &[&reader]);
    writer.write_all(&[b'x'; 20_000]).unwrap();
    drop(writer);
    wait_until("the long line", || bench.texts("long").len() == 3);
    assert_eq!(bench.texts("long").concat().len(), 20_000);
    assert!(collector.end(Signal::TERM).0.success());
}

#[test]
fn a_collector_that_ends_leaves_nothing_behind() {
    let bench = Bench::new();
    let collector = bench.start(&[]);
    let pipes: Vec<_> = (0..50).map(|_| pipe()).collect();
    for (number, (reader, _)) in pipes.iter().enumerate() {
        collector.send(&format!("service-{number}"), &[reader]);
    }
    wait_until("the last log", || bench.directory().join("service-49.log").exists());
    for (number, (_, writer)) in pipes.iter().enumerate() {
        write!(&*writer, "one\ntwo of {number}").unwrap();
    }
    assert!(collector.end(Signal::TERM).0.success());
    for number in 0..50 {
        let texts = bench.texts(&format!("service-{number}"));
        assert_eq!(texts, ["one".to_owned(), format!("two of {number}")]);
    }
}

#[test]
fn it_ends_when_pid_1_closes_the_socket() {
    let bench = Bench::new();
    let Collector { mut child, socket } = bench.start(&[]);
    drop(socket);
    assert!(child.wait().unwrap().success());
}

#[test]
fn nonsense_is_passed_over_by_name() {
    let bench = Bench::new();
    let (reader, mut writer) = pipe();
    let collector = bench.start(&[]);
    collector.send("../escape", &[&reader]);
    collector.send("nothing", &[]);
    collector.send("two", &[&reader, &reader]);
    collector.send(&"x".repeat(500), &[&reader]);
    collector.send("good", &[&reader]);
    writeln!(writer, "heard").unwrap();
    wait_until("the good one", || bench.texts("good") == ["heard"]);
    let (status, complaints) = collector.end(Signal::TERM);
    assert!(status.success());
    let complaints: Vec<_> = complaints.lines().collect();
    assert_eq!(complaints.len(), 4, "{complaints:?}");
    assert!(complaints[0].contains("\"../escape\"") && complaints[0].contains("'.'"));
    assert!(complaints[1].contains("carries 0 descriptors, not one"));
    assert!(complaints[2].contains("carries 2 descriptors, not one"));
    assert!(complaints[3].contains("too long"));
    assert_eq!(fs::read_dir(bench.directory()).unwrap().count(), 1);
}

/// The log that this process's own messages go to, and how they begin.
fn own_syslog() -> (&'static str, String) {
    let uid = rustix::process::geteuid();
    let name = if uid.is_root() { "syslog" } else { "syslog-users" };
    (name, format!("[{}] (uid {}): ", std::process::id(), uid.as_raw()))
}

#[test]
fn syslog_messages_are_logged_with_their_sender() {
    let bench = Bench::new();
    let path = bench.place.path().join("syslog");
    let option = format!("--syslog={}", path.display());
    let collector = bench.start(&[&option]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(&path).unwrap();
    let (name, who) = own_syslog();
    let long = "x".repeat(20_000);
    for datagram in [
        &b"<85>Nov  7 12:00:01 sudo[1]: done\n"[..],
        b"<999>\xff\x1b[2J\nnext",
        b"",
        long.as_bytes(),
    ] {
        sender.send(datagram).unwrap();
    }
    wait_until("the last message", || bench.texts(name).len() == 4);
    let texts = bench.texts(name);
    assert_eq!(texts[0], format!("notice: sudo{who}done"));
    assert_eq!(texts[1], format!("notice: ?{who}<999>\\xff\\x1b[2J\\x0anext"));
    assert_eq!(texts[2], format!("notice: ?{who}"));
    assert!(
        texts[3].ends_with("x -- cut here") && texts[3].len() <= 8 * 1024,
        "{}",
        texts[3].len()
    );
    // Another one takes the place of a socket that was left behind, and goes on in the log.
    assert!(collector.end(Signal::KILL).1.is_empty());
    assert!(sender.send(b"<13>nobody listens").is_err());
    let collector = bench.start(&[&option]);
    sender.connect(&path).unwrap();
    sender.send(b"<11>again: here").unwrap();
    assert!(collector.end(Signal::TERM).0.success());
    assert_eq!(bench.texts(name)[4..], [format!("err: again{who}here")]);
}

#[test]
fn users_have_a_syslog_of_their_own_and_pass_no_files() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can send for somebody else");
        return;
    }
    let bench = Bench::new();
    let path = bench.place.path().join("syslog");
    let collector = bench.start(&["--file-size=64", &format!("--syslog={}", path.display())]);
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(&path).unwrap();
    sender.send(b"<13>root: first").unwrap();
    wait_until("the first message", || bench.texts("syslog").len() == 1);
    let files = || fs::read_dir(format!("/proc/{}/fd", collector.child.id())).unwrap().count();
    let before = files();
    for number in 0..3_000 {
        // Root may say that it is somebody else; the kernel holds others to the truth.
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2), ScmCredentials(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let (pid, uid) = (rustix::process::getpid(), rustix::process::Uid::from_raw(1000));
        let somebody = rustix::net::UCred { pid, uid, gid: rustix::process::Gid::from_raw(1000) };
        assert!(control.push(SendAncillaryMessage::ScmCredentials(somebody)));
        let descriptors = [bench.notify.as_fd(), sender.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let payload = format!("<13>flood[{number}]: root: forged {}", "x".repeat(100));
        let payload = [IoSlice::new(payload.as_bytes())];
        sendmsg(&sender, &payload, &mut control, SendFlags::NOSIGNAL).unwrap();
    }
    sender.send(b"<13>root: last").unwrap();
    wait_until("the last message", || bench.texts("syslog").len() == 2);
    let (_, who) = own_syslog();
    assert_eq!(
        bench.texts("syslog"),
        [format!("notice: root{who}first"), format!("notice: root{who}last")]
    );
    let of_users = bench.texts("syslog-users");
    assert!(of_users.iter().all(
        |text| text.starts_with("notice: flood[") && text.contains("(uid 1000): root: forged")
    ));
    assert!(bench.directory().join("syslog-users.log.1").exists());
    // At work it may have another one open for a moment; of the flood there would be 6,000.
    assert!(files() <= before + 2, "files that come along are closed");
    assert!(collector.end(Signal::TERM).0.success());
}

#[test]
fn without_a_socket_it_says_who_starts_it() {
    for (value, message) in [
        (None, "LOG_SOCKET is not set"),
        (Some("x"), "no descriptor number"),
        (Some("99"), "(LOG_SOCKET)"),
    ] {
        let mut command = Command::new(LOGD);
        command.env_remove("LOG_SOCKET");
        command.envs(value.map(|value| ("LOG_SOCKET", value)));
        let guard = INHERITING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let output = command.output().unwrap();
        drop(guard);
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(message) && stderr.contains("hint: "), "{stderr}");
    }
}

/// Whether this host lets a test mount a tmpfs of its own.
fn can_mount() -> bool {
    let script = "mount -t tmpfs -o size=64k none /mnt";
    Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_costs_old_records_first_and_never_the_service() {
    if !can_mount() {
        println!("skipped: unshare cannot mount a tmpfs here");
        return;
    }
    let bench = Bench::new();
    fs::create_dir(bench.directory()).unwrap();
    // 128 KiB for two services that would take up to 256 KiB.
    let script = r#"mount -t tmpfs -o size=128k none "$1" && exec "$2" --directory "$1" --no-kernel-log --no-syslog --file-size 64"#;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    command.arg(bench.directory()).arg(LOGD);
    let collector = bench.start_command(command);
    // The mount is seen from inside only.
    let inside = |name: &str| {
        let root = format!("/proc/{}/root", collector.child.id());
        Path::new(&root).join(bench.directory().strip_prefix("/").unwrap()).join(name)
    };
    let read = |name: &str| fs::read_to_string(inside(name)).unwrap_or_default();
    let (reader, writer) = pipe();
    collector.send("first", &[&reader]);
    write_numbers(writer, 3_000).join().unwrap();
    wait_until("the first service", || read("first.log").ends_with("line 002999\n"));
    assert!(inside("first.log.1").exists());
    // The second service finds the disk full; the first one's old records give way.
    let (reader, writer) = pipe();
    collector.send("second", &[&reader]);
    let numbers = write_numbers(writer.try_clone().unwrap(), 1_500);
    numbers.join().unwrap();
    wait_until("the second service", || read("second.log").ends_with("line 001499\n"));
    assert!(!inside("first.log.1").exists(), "the oldest rotated file gave way");
    // Now something else fills the disk for good: lines are dropped, counted, and the
    // service is never held up.
    let ballast = inside("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    write_numbers(writer.try_clone().unwrap(), 20_000).join().unwrap();
    wait_until("an empty pipe", || rustix::io::ioctl_fionread(&reader).unwrap() == 0);
    fs::remove_file(&ballast).unwrap();
    drop(file);
    writeln!(&writer, "room again").unwrap();
    wait_until("room again", || read("second.log").ends_with("room again\n"));
    let log = read("second.log.1") + &read("second.log");
    assert!(log.contains("lines dropped: the log could not be written\n"), "{log}");
    let whole = |line: &str| services::log_record::parse_line(line).is_some();
    assert!(log.lines().all(whole), "no torn records");
    let (status, complaints) = collector.end(Signal::TERM);
    assert!(status.success());
    assert!(complaints.contains("output of `second` is lost"), "{complaints}");
}
