//! The texts as a person sees them.

use std::time::{Duration, SystemTime};

use init_core::name::ServiceName;
use init_core::state::State;
use init_core::time::Timestamp;

use super::*;

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

/// Boot was at 2024-02-28T23:58:20Z; it is 100 seconds later.
fn clock() -> Clock {
    let real = SystemTime::UNIX_EPOCH + Duration::from_secs(1_709_164_800);
    Clock { monotonic: Timestamp::from_millis(100_000), real }
}

fn summary(service: &str, state: State, code: &str, reason: &str) -> Summary {
    Summary {
        name: name(service),
        description: format!("Does what {service} does"),
        state,
        since: Timestamp::from_millis(35_000),
        reason_code: code.to_owned(),
        reason: reason.to_owned(),
        reason_service: None,
        pid: None,
        restarts: 0,
    }
}

fn status_of(summary: Summary) -> Status {
    let change = |at, to, reason: &str| Change {
        at: Timestamp::from_millis(at),
        to,
        reason_code: "x".to_owned(),
        reason: reason.to_owned(),
    };
    let history = vec![
        change(1_250, State::Starting, "starts at boot"),
        change(35_000, summary.state, &summary.reason),
    ];
    Status {
        summary,
        command: vec!["/usr/sbin/web".to_owned(), "--name".to_owned(), "two words".to_owned()],
        status_text: String::new(),
        started: Some(Timestamp::from_millis(1_250)),
        ready: None,
        requires: vec![name("db")],
        required_by: vec![name("a"), name("b")],
        history,
    }
}

fn ready() -> Summary {
    Summary { pid: Some(61), restarts: 2, ..summary("web", State::Ready, "became-ready", "ready") }
}

#[test]
fn a_table_is_aligned_and_says_why_what_is_down_is_down() {
    let limit = "start limit of 5 within 10s reached, last: exited with status 1";
    let services = [summary("a-long-name", State::Failed, "start-limit", limit), ready()];
    let expected = "\
NAME         STATE   SINCE  PID  DESCRIPTION
a-long-name  failed   1min    -  start limit of 5 within 10s reached, last: exited with status 1
web          ready    1min   61  Does what web does
";
    assert_eq!(table(&services, clock(), None), expected);
    let narrow = table(&services, clock(), Some(80));
    assert!(narrow.lines().all(|line| line.chars().count() <= 80), "{narrow}");
    assert!(narrow.contains("within 10s reached, last: exi…\n"), "{narrow}");
    assert_eq!(table(&[], clock(), None), "NAME  STATE  SINCE  PID  DESCRIPTION\n");
}

#[test]
fn a_status_says_everything() {
    let status_of_ready = Status {
        ready: Some(Timestamp::from_millis(1_262)),
        status_text: "serving 3 clients".to_owned(),
        ..status_of(ready())
    };
    let expected = "\
web - Does what web does
       state: ready for 1min 5s (ready)
         pid: 61
        says: serving 3 clients
     command: /usr/sbin/web --name 'two words'
     started: 2024-02-28T23:58:21Z, ready after 12ms
    restarts: 2
    requires: db
 required by: a, b
     history: seconds since boot, newest last
      1.250000  starting   starts at boot
     35.000000  ready      ready
";
    assert_eq!(status(&status_of_ready, clock()), expected);
}

#[test]
fn an_explanation_goes_from_the_service_to_the_cause() {
    let waiting = Summary {
        reason_service: Some(name("db")),
        ..summary("web", State::Waiting, "waits-for", "waits for db")
    };
    let failed = summary("db", State::Failed, "exited", "exited with status 1");
    let explained = Explanation {
        chain: vec![status_of(waiting.clone()), status_of(failed)],
        other: None,
        not_described: None,
        log: vec!["2024-02-28T23:58:55.000000Z no space left".to_owned()],
    };
    let expected = "\
web is waiting since 2024-02-28T23:58:55Z (1min 5s): waits for db
  db is failed since 2024-02-28T23:58:55Z (1min 5s): exited with status 1

What happened to db, in seconds since boot:
      1.250000  starting   starts at boot
     35.000000  failed     exited with status 1

The last lines of its log:
  2024-02-28T23:58:55.000000Z no space left

hint: `svcctl logs db` shows all it printed; `svcctl start db` tries again
";
    assert_eq!(explanation(&explained, clock()), expected);
    let unknown = Explanation {
        chain: vec![Status { history: Vec::new(), ..status_of(waiting) }],
        other: None,
        not_described: Some(name("db")),
        log: Vec::new(),
    };
    let text = explanation(&unknown, clock());
    assert!(text.contains("\n  db is not described anywhere\n"), "{text}");
}

#[test]
fn what_is_up_needs_no_advice() {
    let up = Explanation {
        chain: vec![status_of(ready())],
        other: None,
        not_described: None,
        log: Vec::new(),
    };
    let expected = "\
web is ready since 2024-02-28T23:58:55Z (1min 5s): ready
  its main process is 61
  it was restarted 2 times by itself

What happened to web, in seconds since boot:
      1.250000  starting   starts at boot
     35.000000  ready      ready
";
    assert_eq!(explanation(&up, clock()), expected);
}
