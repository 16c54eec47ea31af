//! `svcctl` against a PID 1 that the test plays: what it asks, what it prints,
//! how it exits.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use init_core::event::{Operation, ShutdownKind};
use init_core::name::ServiceName;
use init_core::protocol::{Change, Frame, Reply, Request, Status, Summary};
use init_core::state::State;
use init_core::time::Timestamp;
use serde_json::{Value, json};

const SVCCTL: &str = env!("CARGO_BIN_EXE_svcctl");

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

/// A service that changed its state in the future, so that its age is always 0.
fn summary(service: &str, state: State, code: &str, reason: &str) -> Summary {
    Summary {
        name: name(service),
        description: format!("Does what {service} does"),
        state,
        since: Timestamp::from_nanos(u64::MAX),
        reason_code: code.to_owned(),
        reason: reason.to_owned(),
        reason_service: None,
        pid: None,
        restarts: 0,
    }
}

/// db has failed and web waits for it; logd is up.
fn services() -> Vec<Summary> {
    vec![
        summary("db", State::Failed, "exited", "exited with status 1"),
        Summary {
            pid: Some(61),
            restarts: 1,
            ..summary("logd", State::Ready, "became-ready", "ready")
        },
        Summary {
            reason_service: Some(name("db")),
            ..summary("web", State::Waiting, "waits-for", "waits for db")
        },
    ]
}

fn status(summary: Summary) -> Status {
    Status {
        command: vec!["/usr/sbin/x".to_owned(), "two words".to_owned()],
        status_text: String::new(),
        started: Some(Timestamp::from_millis(1_250)),
        ready: None,
        requires: Vec::new(),
        required_by: Vec::new(),
        history: vec![Change {
            at: Timestamp::from_millis(1_250),
            to: State::Starting,
            reason_code: "autostart".to_owned(),
            reason: "starts at boot".to_owned(),
        }],
        summary,
    }
}

/// What the played PID 1 answers unless a test wants something else.
fn answer(request: &Request) -> Reply {
    let find = |name: &ServiceName| services().into_iter().find(|service| service.name == *name);
    match request {
        Request::List => Reply::Services(services()),
        Request::Status { name } => match find(name) {
            Some(summary) => Reply::Service(Box::new(status(summary))),
            None => Reply::UnknownService(name.clone()),
        },
        Request::Operate { name, .. } => match find(name) {
            Some(summary) if summary.state == State::Failed => Reply::Failed(Box::new(summary)),
            Some(_) => Reply::Done,
            None => Reply::UnknownService(name.clone()),
        },
        Request::Shutdown { .. } => Reply::Done,
    }
}

/// A PID 1 on a socket, and a place for logs.
struct Bench {
    place: tempfile::TempDir,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Bench {
    fn new() -> Self {
        Self::with(answer)
    }

    fn with(answer: impl Fn(&Request) -> Reply + Send + Clone + 'static) -> Self {
        Self::raw(move |request| answer(request).encode().unwrap())
    }

    fn raw(answer: impl Fn(&Request) -> Vec<u8> + Send + Clone + 'static) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("log")).unwrap();
        let listener = UnixListener::bind(place.path().join("control")).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, heard) = (answer.clone(), Arc::clone(&heard));
                thread::spawn(move || serve(stream.unwrap(), &answer, &heard));
            }
        });
        Self { place, requests }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(SVCCTL);
        command.arg("--socket").arg(self.path("control"));
        command.arg("--log-directory").arg(self.path("log")).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap(), self.place.path())
    }

    fn json(&self, arguments: &[&str]) -> (Value, i32) {
        let outcome = self.run(&[&["--json"], arguments].concat());
        (serde_json::from_str(&outcome.stdout).unwrap(), outcome.code)
    }
}

fn serve(
    mut stream: UnixStream,
    answer: &impl Fn(&Request) -> Vec<u8>,
    heard: &Mutex<Vec<Request>>,
) {
    let mut received = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(length) = stream.read(&mut bytes)
        && length > 0
    {
        received.extend_from_slice(&bytes[..length]);
        while let Some(frame) = Frame::split(&received, 65_536).unwrap() {
            let request = Request::decode(frame.body).unwrap();
            let taken = frame.length_bytes;
            received.drain(..taken);
            heard.lock().unwrap().push(request.clone());
            let reply = answer(&request);
            if stream.write_all(&reply).is_err() || reply.is_empty() {
                return;
            }
        }
    }
}

#[derive(Debug, PartialEq)]
struct Outcome {
    stdout: String,
    stderr: String,
    code: i32,
}

impl Outcome {
    fn of(output: Output, place: &Path) -> Self {
        let text = |bytes| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(place.to_str().unwrap(), "PLACE")
        };
        let code = output.status.code().unwrap();
        Self { stdout: text(output.stdout), stderr: text(output.stderr), code }
    }
}

#[track_caller]
fn assert_outcome(outcome: &Outcome, stdout: &str, stderr: &str, code: i32) {
    assert_eq!(outcome.stdout, stdout);
    assert_eq!(outcome.stderr, stderr);
    assert_eq!(outcome.code, code);
}

#[test]
fn list_is_a_table_or_an_array() {
    let bench = Bench::new();
    let table = "\
NAME  STATE    SINCE  PID  DESCRIPTION
db    failed      0s    -  exited with status 1
logd  ready       0s   61  Does what logd does
web   waiting     0s    -  waits for db
";
    assert_outcome(&bench.run(&["list"]), table, "", 0);
    let (value, code) = bench.json(&["list"]);
    assert_eq!(code, 0);
    let names: Vec<_> = value.as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["db", "logd", "web"]);
    let mut logd = value[1].clone();
    assert!(logd["since"].take().as_str().unwrap().ends_with('Z'));
    let expected = json!({
        "name": "logd", "description": "Does what logd does", "state": "ready", "up": true,
        "since": null, "since_boot_us": u64::MAX / 1000, "reason_code": "became-ready",
        "reason": "ready", "reason_service": null, "pid": 61, "restarts": 1,
    });
    assert_eq!(logd, expected);
    assert_eq!(value[2]["reason_service"], "db");
}

#[test]
fn status_shows_all_that_exist_and_names_those_that_do_not() {
    let bench = Bench::new();
    let outcome = bench.run(&["status", "logd", "wbe", "web", "../x"]);
    let blocks: Vec<_> = outcome.stdout.split("\n\n").collect();
    assert_eq!(blocks.len(), 2, "{}", outcome.stdout);
    assert!(
        blocks[0].starts_with("logd - Does what logd does\n       state: ready for 0s (ready)")
    );
    assert!(blocks[0].contains("     command: /usr/sbin/x 'two words'\n"));
    assert!(blocks[1].starts_with("web - "));
    let stderr = "\
svcctl: error: there is no service `wbe`
  hint: did you mean `web`?
svcctl: error: there is no service `../x`
  hint: `svcctl list` shows all services
";
    assert_eq!((outcome.stderr.as_str(), outcome.code), (stderr, 4));
    let (value, code) = bench.json(&["status", "db"]);
    assert_eq!(code, 0);
    assert_eq!(value[0]["history"][0]["since_boot_us"], 1_250_000);
    assert_eq!(value[0]["command"], json!(["/usr/sbin/x", "two words"]));
    assert_eq!(value[0]["ready"], Value::Null);
}

#[test]
fn operations_are_done_in_order_and_all_are_reported() {
    let bench = Bench::new();
    let stderr = "\
svcctl: error: `db` did not start: it is failed, exited with status 1
  hint: `svcctl why db` explains it
svcctl: error: there is no service `nobody`
  hint: `svcctl list` shows all services
";
    let outcome = bench.run(&["start", "logd", "db", "nobody", "web"]);
    assert_outcome(&outcome, "logd: ready, process 61\nweb: waiting\n", stderr, 1);
    let asked = bench.requests.lock().unwrap();
    let operated: Vec<_> = asked
        .iter()
        .filter_map(|request| match request {
            Request::Operate { operation: Operation::Start, name } => Some(name.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(operated, ["logd", "db", "nobody", "web"]);
    drop(asked);
    assert_eq!(bench.run(&["restart", "nobody"]).code, 4);
    let (value, code) = bench.json(&["restart", "logd", "db"]);
    assert_eq!(code, 1);
    let results: Vec<_> = value.as_array().unwrap().iter().map(|one| &one["succeeded"]).collect();
    assert_eq!(results, [true, false]);
    assert_eq!(value[1]["service"]["reason_code"], "exited");
}

#[test]
fn stop_names_what_went_down_with_it() {
    let bench = Bench::with(|request| match request {
        Request::List => {
            let mut services = services();
            services[2].reason_code = "requirement-down".to_owned();
            services[2].state = State::Stopped;
            Reply::Services(services)
        }
        Request::Operate { .. } => Reply::Done,
        Request::Status { name } => {
            let stopped = summary(name.as_str(), State::Stopped, "requested", "by request");
            Reply::Service(Box::new(status(stopped)))
        }
        Request::Shutdown { .. } => Reply::Denied,
    });
    let outcome = bench.run(&["stop", "db", "logd"]);
    assert_outcome(&outcome, "db: stopped, and with it web\nlogd: stopped\n", "", 0);
    let (value, _) = bench.json(&["stop", "db"]);
    assert_eq!(value[0]["taken_down"], json!(["web"]));
}

#[test]
fn an_operation_is_waited_for_and_goes_on_without_the_one_who_waits() {
    let bench = Bench::with(|request| {
        if matches!(request, Request::Operate { .. }) {
            thread::sleep(Duration::from_millis(300));
        }
        answer(request)
    });
    let begin = Instant::now();
    assert_eq!(bench.run(&["start", "logd"]).code, 0);
    assert!(begin.elapsed() >= Duration::from_millis(300));
    // Ended between request and answer: the request stands.
    let mut child = bench.command(&["stop", "logd"]).stdout(Stdio::null()).spawn().unwrap();
    let stop = Request::Operate { operation: Operation::Stop, name: name("logd") };
    let deadline = Instant::now() + Duration::from_secs(20);
    while bench.requests.lock().unwrap().last() != Some(&stop) {
        assert!(Instant::now() < deadline, "the request does not come");
        thread::sleep(Duration::from_millis(5));
    }
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(2));
    assert_eq!(bench.requests.lock().unwrap().last(), Some(&stop));
}

#[test]
fn why_follows_the_reasons_to_the_cause_and_shows_its_log() {
    let bench = Bench::new();
    let lines: String =
        (1..=12).map(|n| format!("2026-01-31T12:34:56.000000Z line {n}\n")).collect();
    fs::write(bench.path("log/db.log"), lines).unwrap();
    let outcome = bench.run(&["why", "web"]);
    assert_eq!((outcome.stderr.as_str(), outcome.code), ("", 0));
    // The times of day depend on the host's clocks.
    let text: String = outcome
        .stdout
        .lines()
        .map(|line| match (line.find(" since "), line.find(" (0s)")) {
            (Some(from), Some(to)) => format!("{} since NOW{}\n", &line[..from], &line[to..]),
            _ => format!("{line}\n"),
        })
        .collect();
    let mut expected = "\
web is waiting since NOW (0s): waits for db
  db is failed since NOW (0s): exited with status 1

What happened to db, in seconds since boot:
      1.250000  starting   starts at boot

The last lines of its log:
"
    .to_owned();
    for n in 3..=12 {
        expected.push_str(&format!("  2026-01-31T12:34:56.000000Z line {n}\n"));
    }
    expected
        .push_str("\nhint: `svcctl logs db` shows all it printed; `svcctl start db` tries again\n");
    assert_eq!(text, expected);
    let (value, _) = bench.json(&["why", "web"]);
    assert_eq!(value["chain"][1]["name"], "db");
    assert_eq!(value["log"].as_array().unwrap().len(), 10);
    assert_eq!(bench.run(&["why", "nobody"]).code, 4);
}

#[test]
fn why_ends_even_if_services_give_each_other_as_the_reason() {
    let bench = Bench::with(|request| match request {
        Request::Status { name: asked } => {
            let other = if asked.as_str() == "a" { "b" } else { "a" };
            Reply::Service(Box::new(status(Summary {
                reason_service: Some(name(other)),
                ..summary(asked.as_str(), State::Waiting, "waits-for", "waits")
            })))
        }
        _ => Reply::Services(Vec::new()),
    });
    let (value, code) = bench.json(&["why", "a"]);
    assert_eq!((value["chain"].as_array().unwrap().len(), code), (2, 0));
}

#[test]
fn logs_are_shown_cut_and_for_programs() {
    let bench = Bench::new();
    let line = |n: u32| format!("2026-01-31T12:34:5{n}.000000Z line {n}\n");
    fs::write(bench.path("log/web.log.1"), [line(1), line(2)].concat()).unwrap();
    fs::write(bench.path("log/web.log"), [line(3), line(4)].concat()).unwrap();
    let all = [line(1), line(2), line(3), line(4)].concat();
    assert_outcome(&bench.run(&["logs", "web"]), &all, "", 0);
    let last = [line(2), line(3), line(4)].concat();
    assert_outcome(&bench.run(&["logs", "web", "-n3"]), &last, "", 0);
    assert_outcome(&bench.run(&["logs", "web", "-n0"]), "", "", 0);
    let json = "{\"text\":\"line 4\",\"time\":\"2026-01-31T12:34:54.000000Z\"}\n";
    assert_outcome(&bench.run(&["--json", "logs", "web", "-n1"]), json, "", 0);
    let quiet = "svcctl: warning: `logd` has not printed anything yet\n";
    assert_outcome(&bench.run(&["logs", "logd"]), "", quiet, 0);
    assert_eq!(bench.run(&["logs", "nobody"]).code, 4);
    fs::write(bench.path("control.log"), "secret\n").unwrap();
    let outside = bench.run(&["logs", "../control"]);
    assert_eq!((outside.code, outside.stdout.as_str()), (4, ""));
    fs::remove_dir_all(bench.path("log")).unwrap();
    let stderr = "\
svcctl: error: there are no logs: `PLACE/log` does not exist
  hint: output goes to the console unless a service with `log-collector = true` runs
";
    assert_outcome(&bench.run(&["logs", "logd", "-f"]), "", stderr, 1);
}

#[test]
fn logs_are_followed_across_a_rotation() {
    let bench = Bench::new();
    let (current, rotated) = (bench.path("log/web.log"), bench.path("log/web.log.1"));
    fs::write(&current, "one\n").unwrap();
    let mut child = bench.command(&["logs", "-f", "web"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut expect = |text: &str| {
        let mut bytes = vec![0; text.len()];
        out.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), text);
    };
    expect("one\n");
    let mut file = fs::OpenOptions::new().append(true).open(&current).unwrap();
    file.write_all(b"two\nthr").unwrap();
    expect("two\n");
    file.write_all(b"ee\n").unwrap();
    expect("three\n");
    fs::write(bench.path("log/other.log"), "not this\n").unwrap();
    file.write_all(b"four\n").unwrap();
    fs::rename(&current, &rotated).unwrap();
    fs::write(&current, "five\n").unwrap();
    expect("four\nfive\n");
    let mut file = fs::OpenOptions::new().append(true).open(&current).unwrap();
    file.write_all(b"six\n").unwrap();
    expect("six\n");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn check_finds_mistakes_with_their_places() {
    let bench = Bench::new();
    let directory = bench.path("services.d");
    fs::create_dir(&directory).unwrap();
    let write = |file: &str, text: &str| fs::write(directory.join(file), text).unwrap();
    write("web.toml", "command = [\"/bin/web\"]\nrequires = [\"db\"]\n");
    write("db.toml", "command = [\"/bin/db\"]\n");
    write("README", "no description\n");
    let directory = directory.to_str().unwrap();
    let outcome = bench.run(&["check", directory]);
    assert_outcome(&outcome, "2 service descriptions, nothing wrong\n", "", 0);

    write("db.toml", "comand = [\"/bin/db\"]\n");
    write("web.toml", "command = [\"/bin/web\"]\nrequires = [\"bd\"]\n");
    write("Bad Name.toml", "command = [\"/bin/x\"]\n");
    let outcome = bench.run(&["check", directory]);
    assert_eq!(outcome.code, 1);
    for expected in [
        "PLACE/services.d/Bad Name.toml:1:1: error: 'B' cannot stand there",
        "PLACE/services.d/db.toml:1:1: error: ",
        "PLACE/services.d/web.toml:2:13: error: ",
        "  hint: ",
    ] {
        assert!(outcome.stdout.contains(expected), "{expected}\n{}", outcome.stdout);
    }
    let (value, code) = bench.json(&["check", directory]);
    assert_eq!(code, 1);
    let web = value.as_array().unwrap().iter().find(|one| one["line"] == 2).unwrap();
    assert_eq!((&web["column"], &web["severity"]), (&json!(13), &json!("error")));

    // A later file overrides an earlier one of the same name.
    let fixed = bench.path("db.toml");
    fs::write(&fixed, "command = [\"/bin/db\"]\n").unwrap();
    let outcome = bench.run(&["check", directory, fixed.to_str().unwrap()]);
    assert!(!outcome.stdout.contains("db.toml"), "{}", outcome.stdout);
    let missing = bench.run(&["check", bench.path("none.toml").to_str().unwrap()]);
    assert!(missing.stderr.contains("cannot read `PLACE/none.toml`"), "{}", missing.stderr);
    assert_eq!(missing.code, 1);
}

#[test]
fn the_descriptions_of_the_skeleton_have_no_mistakes() {
    let skeleton = concat!(env!("CARGO_MANIFEST_DIR"), "/../rootfs/skeleton/usr/lib/services.d");
    let outcome = Bench::new().run(&["check", skeleton]);
    assert_eq!((outcome.stderr.as_str(), outcome.code), ("", 0), "{}", outcome.stdout);
    assert!(outcome.stdout.ends_with("nothing wrong\n"), "{}", outcome.stdout);
}

#[test]
fn the_system_is_taken_down_by_command_and_by_link() {
    let bench = Bench::new();
    let off = "the system stops its services and powers off\n";
    assert_outcome(&bench.run(&["poweroff"]), off, "", 0);
    for (link, kind) in [
        ("poweroff", ShutdownKind::PowerOff),
        ("reboot", ShutdownKind::Reboot),
        ("halt", ShutdownKind::Halt),
    ] {
        symlink(SVCCTL, bench.path(link)).unwrap();
        let socket = bench.path("control");
        let status = Command::new(bench.path(link)).arg("--socket").arg(socket).output().unwrap();
        assert!(status.status.success());
        let last = bench.requests.lock().unwrap().last().cloned();
        assert_eq!(last, Some(Request::Shutdown { kind }));
    }
}

#[test]
fn what_pid_1_refuses_is_said_with_a_remedy() {
    let denied = Bench::with(|_| Reply::Denied).run(&["stop", "logd"]);
    assert_eq!(denied.code, 1);
    assert!(denied.stderr.contains("does not let this user") && denied.stderr.contains("hint: "));
    let bad = Bench::with(|_| Reply::BadRequest("version 9".to_owned())).run(&["list"]);
    assert_eq!(bad.code, 1);
    assert!(bad.stderr.contains("did not understand: version 9"), "{}", bad.stderr);
    let wrong = Bench::with(|_| Reply::Done).run(&["list"]);
    assert!(wrong.stderr.contains("something else than it was asked") && wrong.code == 1);
    let closed = Bench::raw(|_| Vec::new()).run(&["list"]);
    assert!(closed.stderr.contains("PID 1 closed the connection") && closed.code == 1);
    let noise = Bench::raw(|_| b"HTTP/1.1 400\r\n\r\n".to_vec()).run(&["list"]);
    assert!(noise.stderr.contains("does not answer as PID 1 would") && noise.code == 1);
}

#[test]
fn without_pid_1_it_names_the_socket_and_asks_who_pid_1_is() {
    let bench = Bench::new();
    fs::remove_file(bench.path("control")).unwrap();
    let stderr = "\
svcctl: error: cannot reach PID 1 at `PLACE/control`: No such file or directory (os error 2)
  hint: is PID 1 Keelson's init? `readlink /proc/1/exe` tells
";
    assert_outcome(&bench.run(&["list"]), "", stderr, 1);
}

#[test]
fn help_is_output_and_a_wrong_command_line_is_exit_code_2() {
    let bench = Bench::new();
    let help = bench.run(&["--help"]);
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    assert!(help.stdout.contains("4  there is no service of that name"));
    assert!(bench.run(&["why", "-h"]).stdout.starts_with("Explains why"));
    let wrong = bench.run(&["strat", "web"]);
    let stderr = "svcctl: error: there is no command `strat`\n  hint: did you mean `start`?\n";
    assert_outcome(&wrong, "", stderr, 2);
    assert_eq!(bench.run(&[]).code, 2);
}

#[test]
fn nobody_reading_on_is_no_failure() {
    let bench = Bench::new();
    let mut child = bench.command(&["list"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}
