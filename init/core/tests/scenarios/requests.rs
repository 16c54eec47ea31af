//! What people ask, and when they are answered.

use init_core::state::State;

use crate::world::{play, state, why};

const WEB_AND_DB: &[(&str, &str)] = &[("db", ""), ("web", "requires = [\"db\"]")];

#[test]
fn who_is_up_is_not_started_again() {
    play(&[("a", "")], &[("boot, up a", "…"), ("start a 1", "reply 1 ok"), ("start a", "")]);
}

#[test]
fn a_start_pulls_up_what_is_required_and_wanted() {
    play(
        &[
            ("cache", "autostart = false"),
            ("db", "autostart = false"),
            ("web", "autostart = false\nrequires = [\"db\"]\nwants = [\"cache\"]"),
        ],
        &[
            ("boot", ""),
            (
                "start web 1",
                "web:waiting requested, db:waiting needed-by, cache:waiting needed-by, \
                 db:starting needed-by, spawn db, cache:starting needed-by, spawn cache",
            ),
            ("up db", "db:ready became-ready"),
            ("up cache", "cache:ready became-ready, web:starting requested, spawn web"),
            ("up web", "web:ready became-ready, reply 1 ok"),
            // What it pulled up stays when it is stopped.
            ("stop web 2", "web:stopping requested, term web"),
            ("done web", "kill web, remove web, web:stopped requested, reply 2 ok"),
        ],
    );
}

#[test]
fn the_first_failure_answers_a_start() {
    play(
        &[("a", "autostart = false")],
        &[
            ("boot", ""),
            ("start a 1", "…"),
            ("spawnfail a", "remove a, a:backoff spawn-failed, reply 1 failed"),
            ("start a 2", "a:waiting requested, a:starting requested, spawn a"),
        ],
    );
    // Also that of a requirement.
    play(
        &[("db", "autostart = false"), ("web", "autostart = false\nrequires = [\"db\"]")],
        &[
            ("boot", ""),
            ("start web 1", "…"),
            ("spawnfail db", "remove db, db:backoff spawn-failed, reply 1 failed"),
            // A request does not wait for the delay of a requirement.
            ("start web 2", "db:waiting needed-by, db:starting needed-by, spawn db"),
            ("up db", "db:ready became-ready, web:starting requested, spawn web"),
            ("up web", "web:ready became-ready, reply 2 ok"),
        ],
    );
}

#[test]
fn a_start_by_request_begins_a_new_count() {
    let world = play(
        &[("a", "start-limit = { count = 1, within = \"1h\" }")],
        &[
            ("boot", "…"),
            ("spawnfail a", "remove a, a:failed start-limit"),
            ("start a 1", "a:waiting requested, a:starting requested, spawn a"),
            ("up a", "a:ready became-ready, reply 1 ok"),
        ],
    );
    assert_eq!(world.supervisor.summary(world.id("a")).unwrap().restarts, 0);
    // A failed requirement is started again with whoever requires it.
    play(
        &[("db", "restart = \"never\""), ("web", "requires = [\"db\"]")],
        &[
            ("boot, spawnfail db", "…"),
            (
                "start web 1",
                "web:waiting requested, db:waiting needed-by, db:starting needed-by, spawn db",
            ),
        ],
    );
}

#[test]
fn a_stop_takes_dependents_down_first_and_for_good() {
    play(
        WEB_AND_DB,
        &[
            ("boot, up db, up web", "…"),
            ("stop db 1", "db:stopping requested, web:stopping requirement-down, term web"),
            ("done web", "kill web, remove web, web:stopped requirement-down, term db"),
            ("done db", "kill db, remove db, db:stopped requested, reply 1 ok"),
            ("tick 600000", ""),
        ],
    );
}

#[test]
fn a_stop_works_at_once_where_nothing_runs() {
    play(&[("a", "autostart = false")], &[("boot", ""), ("stop a 1", "reply 1 ok")]);
    play(
        &[("a", "")],
        &[
            ("boot, spawnfail a", "…"),
            ("stop a 1", "a:stopped requested, reply 1 ok"),
            ("tick 600000", ""),
        ],
    );
    play(WEB_AND_DB, &[("boot", "…"), ("stop web 1", "web:stopped requested, reply 1 ok")]);
}

#[test]
fn a_stop_is_heard_while_it_crashes() {
    play(
        &[("a", "")],
        &[
            ("boot, up a", "…"),
            ("exit a 1", "a:stopping exited, kill a"),
            ("stop a 1", ""),
            ("empty a", "remove a, a:stopped requested, reply 1 ok"),
        ],
    );
}

#[test]
fn a_start_while_stopping_starts_afterwards() {
    play(
        &[("a", "")],
        &[
            ("boot, up a", "…"),
            ("stop a 1", "a:stopping requested, term a"),
            ("start a 2", ""),
            (
                "done a",
                "kill a, remove a, a:waiting requested, a:starting requested, spawn a, reply 1 ok",
            ),
            ("up a", "a:ready became-ready, reply 2 ok"),
        ],
    );
}

#[test]
fn a_start_while_a_crash_is_cleaned_up_needs_no_delay() {
    play(
        &[("a", "restart-delay = \"30s\"")],
        &[
            ("boot, up a", "…"),
            ("exit a 1", "a:stopping exited, kill a"),
            ("start a 1", ""),
            ("empty a", "remove a, a:waiting autostart, a:starting autostart, spawn a"),
            ("up a", "a:ready became-ready, reply 1 ok"),
        ],
    );
    // A oneshot that has just done its work need not do it again.
    play(
        &[("a", "type = \"oneshot\"")],
        &[
            ("boot, up a, exit a 0", "…"),
            ("start a 1", ""),
            ("empty a", "remove a, a:completed exited, reply 1 ok"),
        ],
    );
}

#[test]
fn a_restart_takes_dependents_along() {
    let world = play(
        WEB_AND_DB,
        &[
            ("boot, up db, up web", "…"),
            ("restart db 1", "db:stopping requested, web:stopping requirement-down, term web"),
            ("done web", "kill web, remove web, web:waiting autostart, term db"),
            (
                "done db",
                "kill db, remove db, db:waiting requested, db:starting requested, spawn db",
            ),
            ("up db", "db:ready became-ready, web:starting autostart, spawn web, reply 1 ok"),
            ("up web", "web:ready became-ready"),
        ],
    );
    assert_eq!(world.supervisor.summary(world.id("db")).unwrap().restarts, 0);
    // Of what is down, it is a start.
    play(
        &[("a", "autostart = false")],
        &[
            ("boot", ""),
            ("restart a 1", "a:waiting requested, a:starting requested, spawn a"),
            ("up a", "a:ready became-ready, reply 1 ok"),
        ],
    );
}

#[test]
fn a_stop_overtakes_a_start() {
    play(
        &[("a", "autostart = false\nreadiness = \"notify\"")],
        &[
            ("boot", ""),
            ("start a 1, up a", "…"),
            ("stop a 2", "a:stopping requested, term a"),
            ("notified a", ""),
            ("done a", "kill a, remove a, a:stopped requested, reply 1 failed, reply 2 ok"),
        ],
    );
}

#[test]
fn every_client_is_answered_once_unless_it_is_gone() {
    play(
        &[("a", "autostart = false")],
        &[
            ("boot", ""),
            ("start a 1, start a 2, start a 3", "…"),
            ("gone 2", ""),
            ("up a", "a:ready became-ready, reply 1 ok, reply 3 ok"),
            ("gone 1", ""),
        ],
    );
}

#[test]
fn a_requirement_that_could_not_be_killed_is_no_requirement() {
    let world = play(
        WEB_AND_DB,
        &[
            ("boot, up db, up web", "…"),
            ("exit db 1", "db:stopping exited, kill db, web:stopping requirement-down, term web"),
            ("done web", "kill web, remove web, web:waiting autostart"),
            ("tick 5000", "db:failed unkillable, web:failed requirement-failed"),
            ("start web 1", "reply 1 failed"),
        ],
    );
    assert_eq!(state(&world, "web"), State::Failed);
    assert_eq!(why(&world, "db"), "left behind processes that could not be killed");
}

#[test]
fn a_failed_service_says_why_it_cannot_be_displaced_into() {
    // Two requests: the second displaces the first, which is told so.
    let world = play(
        &[("a", "autostart = false"), ("b", "autostart = false\nconflicts = [\"a\"]")],
        &[
            ("boot", ""),
            ("start a 1", "…"),
            ("start b 2", "b:waiting requested, a:stopping conflict, term a"),
            (
                "spawned a, done a",
                "kill a, remove a, a:stopped conflict, b:starting requested, spawn b, reply 1 failed",
            ),
            ("up b", "b:ready became-ready, reply 2 ok"),
        ],
    );
    assert_eq!(why(&world, "a"), "conflicts with b");
}
