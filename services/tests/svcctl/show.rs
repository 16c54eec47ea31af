//! What is shown of services: `list`, `status`, `why`.

use std::fs;

use init_core::protocol::{Reply, Request, Summary};
use init_core::state::State;
use serde_json::{Value, json};

use crate::bench::{Bench, assert_outcome, name, status, summary};

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
fn why_sends_who_asks_of_what_can_never_start_to_its_description() {
    let bench = Bench::with(|request| match request {
        Request::Status { name: asked } => {
            let code = if asked.as_str() == "logs" { "second-collector" } else { "excluded" };
            Reply::Service(Box::new(status(Summary {
                reason_service: Some(name("other")),
                ..summary(asked.as_str(), State::Failed, code, "why")
            })))
        }
        _ => Reply::Services(Vec::new()),
    });
    for service in ["both", "logs"] {
        let (value, code) = bench.json(&["why", service]);
        assert_eq!((value["chain"].as_array().unwrap().len(), code), (1, 0), "{value}");
        let hint = value["hint"].as_str().unwrap();
        assert!(hint.starts_with("`svcctl check` shows the mistake's place"), "{hint}");
    }
}

#[test]
fn why_does_not_blame_what_is_up() {
    let bench = Bench::with(|request| match request {
        Request::Status { name: asked } => {
            let about = |state, code, other: &str| Summary {
                reason_service: Some(name(other)),
                ..summary(asked.as_str(), state, code, code)
            };
            Reply::Service(Box::new(status(match asked.as_str() {
                "web" => about(State::Stopped, "requirement-down", "db"),
                "shop" => about(State::Failed, "conflict", "mall"),
                "mall" => about(State::Failed, "requirement-failed", "db"),
                up => summary(up, State::Ready, "became-ready", "ready"),
            })))
        }
        _ => Reply::Services(Vec::new()),
    });
    for (asked, other, hint) in [
        ("web", "db", "`svcctl start web` starts it; db is up"),
        ("mall", "db", "`svcctl start mall` starts it; db is up"),
        ("shop", "mall", "`svcctl start shop` starts it"),
    ] {
        let (value, code) = bench.json(&["why", asked]);
        assert_eq!((value["chain"].as_array().unwrap().len(), code), (1, 0), "{value}");
        assert_eq!((&value["other"]["name"], &value["hint"]), (&json!(other), &json!(hint)));
    }
    let text = bench.run(&["why", "web"]).stdout;
    assert!(text.starts_with("web is stopped since ") && text.contains("\n  db is ready since "));
    assert!(text.contains("\nWhat happened to web, ") && !text.contains("What happened to db"));
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
