//! What changes something: operations, shutdown, and what PID 1 refuses.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use init_core::event::{Operation, ShutdownKind};
use init_core::protocol::{Change, Reply, Request, Summary};
use init_core::state::State;
use init_core::time::Timestamp;
use serde_json::json;

use crate::bench::{Bench, SVCCTL, answer, assert_outcome, name, services, status, summary};

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
    assert_eq!(operated, ["logd", "db", "web"]);
    drop(asked);
    assert_eq!(bench.run(&["restart", "nobody"]).code, 4);
    let (value, code) = bench.json(&["restart", "logd", "db"]);
    assert_eq!(code, 1);
    let results: Vec<_> = value.as_array().unwrap().iter().map(|one| &one["succeeded"]).collect();
    assert_eq!(results, [true, false]);
    assert_eq!(value[1]["service"]["reason_code"], "exited");
    let (value, code) = bench.json(&["start", "nobody", "logd", "../x"]);
    let entry = |name: &str| {
        let error = format!("there is no service `{name}`");
        json!({ "operation": "start", "succeeded": false, "name": name, "error": error })
    };
    assert_eq!((&value[0], &value[2], code), (&entry("nobody"), &entry("../x"), 4));
    assert_eq!(value[1]["succeeded"], true);
}

/// A PID 1 whose services are as `before` until it is asked for an operation, and as `after`
/// from then on: name, state, reason's code, and whom the reason is about.
fn changing(before: &'static [Row], after: &'static [Row], requires: &'static [&str]) -> Bench {
    let is_done = Arc::new(AtomicBool::new(false));
    Bench::with(move |request| {
        let rows = if is_done.load(Ordering::SeqCst) { after } else { before };
        let list = || {
            rows.iter().map(|(service, state, code, other)| Summary {
                reason_service: (!other.is_empty()).then(|| name(other)),
                ..summary(service, *state, code, code)
            })
        };
        match request {
            Request::List => Reply::Services(list().collect()),
            Request::Status { name: asked } => {
                let mut status = status(list().find(|one| one.name == *asked).unwrap());
                if asked.as_str() == "new" {
                    status.requires = requires.iter().map(|one| name(one)).collect();
                }
                Reply::Service(Box::new(status))
            }
            _ => {
                is_done.store(true, Ordering::SeqCst);
                let failed = after.iter().find(|(service, ..)| *service == "new");
                match failed.filter(|(_, state, ..)| *state == State::Failed) {
                    Some((service, state, code, _)) => {
                        Reply::Failed(Box::new(summary(service, *state, code, code)))
                    }
                    None => Reply::Done,
                }
            }
        }
    })
}

type Row = (&'static str, State, &'static str, &'static str);

#[test]
fn stop_names_what_went_down_with_it_and_nothing_else() {
    let before: &[Row] = &[
        ("db", State::Ready, "became-ready", ""),
        ("early", State::Stopped, "requirement-down", "db"),
        ("late", State::Backoff, "exited", ""),
        ("mail", State::Ready, "became-ready", ""),
        ("shop", State::Waiting, "waits-for", "web"),
        ("web", State::Ready, "became-ready", ""),
    ];
    let after: &[Row] = &[
        ("db", State::Stopped, "requested", ""),
        ("early", State::Stopped, "requirement-down", "db"),
        ("late", State::Failed, "start-limit", ""),
        ("mail", State::Ready, "became-ready", ""),
        ("shop", State::Stopped, "requirement-down", "web"),
        ("web", State::Stopped, "requirement-down", "db"),
    ];
    let outcome = changing(before, after, &[]).run(&["stop", "db", "mail"]);
    assert_outcome(&outcome, "db: stopped, and with it shop, web\nmail: ready\n", "", 0);
    let (value, _) = changing(before, after, &[]).json(&["stop", "db"]);
    assert_eq!(value[0]["taken_down"], json!(["shop", "web"]));
}

#[test]
fn start_names_what_had_to_give_way() {
    let before: &[Row] = &[
        ("base", State::Stopped, "not-started", ""),
        ("new", State::Stopped, "not-started", ""),
        ("old", State::Ready, "became-ready", ""),
        ("user", State::Ready, "became-ready", ""),
    ];
    let after: &[Row] = &[
        ("base", State::Ready, "became-ready", ""),
        ("new", State::Ready, "became-ready", ""),
        ("old", State::Stopped, "conflict", "base"),
        ("user", State::Stopped, "requirement-down", "old"),
    ];
    let outcome = changing(before, after, &["base"]).run(&["start", "new"]);
    assert_outcome(&outcome, "new: ready, and took down old, user\n", "", 0);
    let (value, _) = changing(before, after, &["base"]).json(&["start", "new"]);
    assert_eq!(value[0]["taken_down"], json!(["old", "user"]));
    // Somebody else's conflict is none of its own.
    let outcome = changing(before, after, &[]).run(&["start", "new"]);
    assert_outcome(&outcome, "new: ready\n", "", 0);
    let fails: &[Row] =
        &[("new", State::Failed, "exited", ""), ("old", State::Stopped, "conflict", "new")];
    let stderr = "\
svcctl: error: `new` did not start: it is failed, exited; it took down old
  hint: `svcctl why new` explains it
";
    assert_outcome(&changing(before, fails, &[]).run(&["start", "new"]), "", stderr, 1);
}

#[test]
fn a_stop_that_took_force_says_so() {
    let asked = Arc::new(AtomicUsize::new(0));
    let bench = Bench::with(move |request| match request {
        Request::Status { name } => {
            let earlier = asked.fetch_add(1, Ordering::SeqCst);
            let mut answer = status(summary(name.as_str(), State::Stopped, "requested", "why"));
            let change = |second: u64, to, reason_code: &str| Change {
                at: Timestamp::ZERO.after(Duration::from_secs(second)),
                to,
                reason_code: reason_code.to_owned(),
                reason: format!("{reason_code} {second}"),
            };
            // The stop before this one had trouble too, which is no news.
            answer.history = vec![
                change(1, State::Stopping, "requested"),
                change(2, State::Stopping, "exited"),
                change(3, State::Ready, "became-ready"),
            ];
            if earlier % 2 == 1 {
                answer.history.push(change(4, State::Stopping, "requested"));
                answer.history.push(change(5, State::Stopping, "stop-timeout"));
                answer.history.push(change(6, State::Stopped, "requested"));
            }
            Reply::Service(Box::new(answer))
        }
        Request::List => Reply::Services(services()),
        _ => Reply::Done,
    });
    assert_outcome(&bench.run(&["stop", "db"]), "db: stopped (stop-timeout 5)\n", "", 0);
    let outcome = bench.run(&["restart", "db"]);
    assert_outcome(&outcome, "db: stopped (before: stop-timeout 5)\n", "", 0);
    let (value, _) = bench.json(&["stop", "db"]);
    assert_eq!(value[0]["trouble"]["reason_code"], "stop-timeout");
}

#[test]
fn a_stop_at_which_the_process_failed_leads_to_its_log() {
    for (code, is_own) in [("exited", true), ("killed", true), ("stop-timeout", false)] {
        let asked = Arc::new(AtomicUsize::new(0));
        let bench = Bench::with(move |request| match request {
            Request::Status { name } => {
                let mut answer = status(summary(name.as_str(), State::Stopped, "requested", "why"));
                let change = |second: u64| Change {
                    at: Timestamp::ZERO.after(Duration::from_secs(second)),
                    to: State::Stopping,
                    reason_code: code.to_owned(),
                    reason: "it failed".to_owned(),
                };
                if asked.fetch_add(1, Ordering::SeqCst) == 1 {
                    answer.history.extend([change(4), change(5)]);
                }
                Reply::Service(Box::new(answer))
            }
            Request::List => Reply::Services(services()),
            _ => Reply::Done,
        });
        let hint = if is_own { "  hint: `svcctl logs db` shows what it printed\n" } else { "" };
        assert_outcome(&bench.run(&["stop", "db"]), "db: stopped (it failed)\n", hint, 0);
    }
}

#[test]
fn a_stop_without_trouble_does_not_tell_that_of_an_earlier_one() {
    let bench = Bench::with(|request| match request {
        Request::Status { name } => {
            let mut answer = status(summary(name.as_str(), State::Stopped, "requested", "why"));
            let change = |to| Change {
                at: Timestamp::ZERO,
                to,
                reason_code: "exited".to_owned(),
                reason: "exited with status 1".to_owned(),
            };
            answer.history = vec![change(State::Stopping), change(State::Stopping)];
            Reply::Service(Box::new(answer))
        }
        Request::List => Reply::Services(services()),
        _ => Reply::Done,
    });
    assert_outcome(&bench.run(&["stop", "db"]), "db: stopped\n", "", 0);
    let (value, _) = bench.json(&["stop", "db"]);
    assert_eq!(value[0]["trouble"], json!(null));
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
    // Not SIGINT: who runs tests in the background of a shell has that ignored.
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(15));
    assert_eq!(bench.requests.lock().unwrap().last(), Some(&stop));
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
