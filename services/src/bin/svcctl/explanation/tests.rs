//! The advice, by what happened.

use init_core::process::SpawnError;
use init_core::protocol::Change;
use init_core::time::Timestamp;

use super::*;

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

/// A service with a history of these codes; `other` is whom its reason is about.
fn status(service: &str, state: State, code: &str, other: &str, history: &[&str]) -> Status {
    let change = |code: &&str| Change {
        at: Timestamp::ZERO,
        to: State::Stopping,
        reason_code: (*code).to_owned(),
        reason: String::new(),
    };
    Status {
        summary: Summary {
            name: name(service),
            description: String::new(),
            state,
            since: Timestamp::ZERO,
            reason_code: code.to_owned(),
            reason: code.to_owned(),
            reason_service: (!other.is_empty()).then(|| name(other)),
            pid: None,
            restarts: 0,
        },
        command: Vec::new(),
        status_text: String::new(),
        started: None,
        ready: None,
        requires: Vec::new(),
        required_by: Vec::new(),
        history: history.iter().map(change).collect(),
    }
}

fn advice(chain: Vec<Status>, other: Option<Status>) -> String {
    let explanation = Explanation { chain, other, not_described: None, log: Vec::new() };
    explanation.advice().unwrap_or_default()
}

/// The same for a service without a history that failed for `reason`.
fn advice_on(state: State, code: &str, reason: &str, history: &[&str]) -> String {
    let mut web = status("web", state, code, "", history);
    web.summary.reason = reason.to_owned();
    advice(vec![web], None)
}

#[test]
fn what_went_down_with_its_requirement_is_started_itself() {
    let web = || status("web", State::Stopped, "requirement-down", "db", &[]);
    let db = |state| status("db", state, "requested", "", &[]);
    assert_eq!(
        advice(vec![web()], Some(db(State::Ready))),
        "`svcctl start web` starts it; db is up"
    );
    for state in [State::Stopped, State::Stopping, State::Starting] {
        assert_eq!(
            advice(vec![web(), db(state)], None),
            "`svcctl start web` starts it and what it requires",
            "{state}"
        );
    }
    assert_eq!(advice(vec![db(State::Stopped)], None), "`svcctl start db` starts it");
    let failed = status("db", State::Failed, "exited", "", &[]);
    let logs = "`svcctl logs db` shows all it printed; `svcctl start";
    assert_eq!(advice(vec![web(), failed.clone()], None), format!("{logs} web` tries again"));
    let waiting = status("web", State::Waiting, "waits-for", "db", &[]);
    assert_eq!(advice(vec![waiting, failed], None), format!("{logs} db` tries again"));
}

#[test]
fn who_lost_a_conflict_is_told_what_its_start_takes_down() {
    let web = status("web", State::Failed, "requirement-failed", "a", &[]);
    let a = |state| status("a", state, "conflict", "b", &[]);
    let b = |state| Some(status("b", state, "requested", "", &[]));
    let displaces = |start| {
        format!("`svcctl start {start}` starts it, and takes down b, which a conflicts with")
    };
    for state in [State::Ready, State::Backoff, State::Starting] {
        assert_eq!(advice(vec![a(State::Stopped)], b(state)), displaces("a"));
    }
    assert_eq!(advice(vec![web, a(State::Failed)], b(State::Ready)), displaces("web"));
    assert_eq!(advice(vec![a(State::Failed)], b(State::Stopped)), "`svcctl start a` starts it");
}

#[test]
fn the_last_end_is_what_is_to_be_mended() {
    let limit = "start limit of 5 within 10s reached, last: ";
    let history = |last| ["autostart", "exited", "restarted", last, "start-limit"];
    let notify = "with `readiness = \"notify\"`";
    for (code, hint) in [
        ("start-timeout", notify),
        ("out-of-memory", "`memory-max` of web"),
        ("exited", "`svcctl logs web`"),
    ] {
        let text = advice_on(State::Failed, "start-limit", limit, &history(code));
        assert!(text.starts_with(hint), "{code}: {text}");
    }
    let text = advice_on(State::Backoff, "start-timeout", "not ready", &[]);
    assert!(text.starts_with(notify) && text.ends_with("; PID 1 starts it again by itself"));
    let text = advice_on(State::Backoff, "exited", "exited with status 1", &[]);
    assert!(text.starts_with("PID 1 starts it again by itself"), "{text}");
    // With a limit of one start nothing but the text tells.
    let error = SpawnError { stage: SpawnStage::Exec, errno: 2 };
    let text = advice_on(State::Failed, "start-limit", &format!("{limit}{error}"), &["autostart"]);
    assert!(text.contains("`command`"), "{text}");
}

#[test]
fn each_stage_of_a_start_has_the_keys_that_it_depends_on() {
    for (stage, hint) in [
        (SpawnStage::Cgroup, "`memory-max` and `tasks-max`"),
        (SpawnStage::MemoryController, "`cgroup_disable=memory`"),
        (SpawnStage::PidsController, "leave out `tasks-max`"),
        (SpawnStage::Output, "`terminal`"),
        (SpawnStage::Clone, "`svcctl logs kernel`"),
        (SpawnStage::User, "`user` and `group`: accounts"),
        (SpawnStage::Credentials, "`user` and `group`"),
        (SpawnStage::Limits, "`[limits]`"),
        (SpawnStage::Attributes, "`nice`"),
        (SpawnStage::WorkingDirectory, "`working-directory`"),
        (SpawnStage::Exec, "`command`"),
    ] {
        let reason = SpawnError { stage, errno: 22 }.to_string();
        let text = advice_on(State::Failed, "spawn-failed", &reason, &[]);
        assert!(text.contains(hint), "{stage:?}: {text}");
    }
    let text = advice_on(State::Failed, "spawn-failed", "in words to come", &[]);
    assert_eq!(text, "the reason says what failed; check that of web");
}
