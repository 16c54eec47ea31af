//! `timed` between servers that are this test and clocks that it leaves alone: whom it
//! believes, whom it asks again, and what `timectl` shows of it.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::fs;
use std::net::UdpSocket;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

const TIMED: &str = env!("CARGO_BIN_EXE_timed");
const TIMECTL: &str = env!("CARGO_BIN_EXE_timectl");

/// A server whose clock is `ahead_s` seconds ahead; stratum 0 is a kiss of death.
fn server(ahead_s: i64, stratum: u8, kiss: [u8; 4]) -> (u16, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut packet = [0; 512];
        loop {
            let (length, from) = socket.recv_from(&mut packet).unwrap();
            assert_eq!((length, packet[0]), (48, 0x23));
            counter.fetch_add(1, Ordering::SeqCst);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            let seconds = now.as_secs().checked_add_signed(2_208_988_800 + ahead_s).unwrap();
            let time = (seconds << 32) | ((u64::from(now.subsec_nanos()) << 32) / 1_000_000_000);
            let mut answer = [0; 48];
            answer[0] = 0x24;
            answer[1] = stratum;
            answer[12..16].copy_from_slice(&kiss);
            answer[24..32].copy_from_slice(&packet[40..48]);
            answer[32..40].copy_from_slice(&time.to_be_bytes());
            answer[40..48].copy_from_slice(&time.to_be_bytes());
            // A forger who does not see the question comes first.
            let mut forged = answer;
            forged[24] ^= 1;
            socket.send_to(&forged, from).unwrap();
            socket.send_to(&answer, from).unwrap();
        }
    });
    (port, asked)
}

struct Daemon {
    child: Child,
    directory: TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Daemon {
    fn start(ports: &[u16]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let servers: Vec<String> =
            ports.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
        let config = directory.path().join("time.toml");
        fs::write(&config, format!("servers = [{}]\n", servers.join(", "))).unwrap();
        let child = Command::new(TIMED)
            .args(["--dry-run", "--user", "root", "--config"])
            .arg(config)
            .arg("--state")
            .arg(directory.path())
            .spawn()
            .unwrap();
        Self { child, directory }
    }

    /// The status once `wanted` holds for it.
    fn status(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let output = self.timectl(&["--json", "status"]);
            let status: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{status:#}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn timectl(&self, arguments: &[&str]) -> Output {
        let state = self.directory.path();
        Command::new(TIMECTL).arg("--state").arg(state).args(arguments).output().unwrap()
    }
}

#[test]
fn the_majority_is_believed_and_asked_again_on_request() {
    let (right, asked) = server(100, 2, [0; 4]);
    let (also_right, _) = server(100, 2, [0; 4]);
    let (wrong, _) = server(-5000, 1, [0; 4]);
    let mut daemon = Daemon::start(&[right, wrong, also_right]);
    let status = daemon.status(|status| status["last_synchronised"].is_string());
    let servers = status["servers"].as_array().unwrap();
    let offset = servers[0]["offset_us"].as_i64().unwrap();
    assert!((offset - 100_000_000).abs() < 1_000_000, "{status:#}");
    assert_eq!((servers[1]["chosen"].as_bool(), status["steps"].as_u64()), (Some(false), Some(1)));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    assert!(daemon.timectl(&["sync"]).status.success());
    daemon.status(|_| asked.load(Ordering::SeqCst) == 2);
    let pid = Pid::from_raw(i32::try_from(daemon.child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert!(daemon.child.wait().unwrap().success(), "asked to end, it ends well");
}

#[test]
fn who_contradicts_each_other_or_knows_nothing_sets_nothing() {
    for (ports, said) in [
        ([server(100, 2, [0; 4]).0, server(9000, 2, [0; 4]).0], None),
        (
            [server(100, 0, *b"INIT").0, server(100, 16, [0; 4]).0],
            Some("the server does not know the time"),
        ),
        // Before the programs of this test were built.
        ([server(-900_000_000, 2, [0; 4]).0; 2], Some("its time is before this image was built")),
    ] {
        let daemon = Daemon::start(&ports);
        let status = daemon.status(|status| status["next_question_in_s"].is_u64());
        assert_eq!(status["last_synchronised"], Value::Null, "{status:#}");
        assert_eq!(status["servers"][0]["problem"].as_str(), said, "{status:#}");
    }
}

#[test]
fn who_found_the_hardware_clock_in_use_hears_what_came_of_it() {
    let (port, _) = server(0, 2, [0; 4]);
    let daemon = Daemon::start(&[port]);
    daemon.status(|status| status["last_synchronised"].is_string());
    let asker = UnixDatagram::bind(daemon.directory.path().join("asker")).unwrap();
    asker.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    asker.send_to(b"keep", daemon.directory.path().join("control")).unwrap();
    let mut answer = [0; 256];
    let length = asker.recv(&mut answer).unwrap();
    let said = std::str::from_utf8(&answer[..length]).unwrap();
    assert_eq!(said, "timed does not have it open, another program does", "with --dry-run");
}

#[test]
fn a_status_is_shown_only_while_it_runs() {
    let (port, _) = server(0, 2, [0; 4]);
    for signal in [Signal::TERM, Signal::KILL] {
        let mut daemon = Daemon::start(&[port]);
        daemon.status(|status| status["last_synchronised"].is_string());
        let pid = Pid::from_raw(i32::try_from(daemon.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        daemon.child.wait().unwrap();
        let output = daemon.timectl(&["status"]);
        assert_eq!(output.status.code(), Some(4), "{signal:?}: {output:?}");
        let left = daemon.directory.path().join("status.json").exists();
        assert_eq!(left, signal == Signal::KILL, "it removes its file at its end");
    }
}

#[test]
fn a_kiss_of_death_is_heeded() {
    let (port, asked) = server(0, 0, *b"DENY");
    let daemon = Daemon::start(&[port]);
    daemon.status(|status| status["next_question_in_s"].is_u64());
    for _ in 0..3 {
        assert!(daemon.timectl(&["sync"]).status.success());
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn mistakes_are_said_and_absence_has_its_own_code() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("time.toml");
    fs::write(&config, "server = \"a\"\n").unwrap();
    let output = Command::new(TIMED).arg("--check").arg("--config").arg(&config).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("time.toml:1:1: unknown key \"server\"\n  hint: did you mean \"servers\"?")
    );
    for (arguments, code) in [(&["status"][..], 4), (&["sync"], 4), (&["set", "now"], 2), (&[], 2)]
    {
        let output = Command::new(TIMECTL)
            .arg("--state")
            .arg(directory.path().join("none"))
            .args(arguments)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}
