//! One service: start, readiness, end, restart, stop.

use init_core::state::State;
use init_core::time::Timestamp;

use crate::world::{play, state, why};

#[test]
fn a_daemon_starts_is_ready_and_stops() {
    play(
        &[("a", "")],
        &[
            ("boot", "a:waiting autostart, a:starting autostart, spawn a"),
            ("spawned a", ""),
            ("executed a", "a:ready became-ready"),
            ("stop a 1", "a:stopping requested, term a"),
            ("signal a 15", "kill a"),
            ("empty a", "remove a, a:stopped requested, reply 1 ok"),
            ("start a 2", "a:waiting requested, a:starting requested, spawn a"),
            ("up a", "a:ready became-ready, reply 2 ok"),
        ],
    );
}

#[test]
fn readiness_by_message_is_awaited_and_comes_once() {
    let world = play(
        &[("a", "readiness = \"notify\"")],
        &[
            ("boot", "…"),
            ("spawned a, executed a", "a:running autostart"),
            ("notified a", "a:ready became-ready"),
            ("notified a", ""),
            ("tick 600000", ""),
        ],
    );
    assert_eq!(world.supervisor.next_deadline(), None);
    // The message may be read before the edge sees that the program was executed.
    play(
        &[("a", "readiness = \"notify\"")],
        &[("boot", "…"), ("spawned a, notified a", "a:ready became-ready"), ("executed a", "")],
    );
    // Who is ready when executed need not say so.
    play(&[("a", "")], &[("boot", "…"), ("up a", "a:ready became-ready"), ("notified a", "")]);
}

#[test]
fn a_oneshot_completes_when_nothing_of_it_is_left() {
    let world = play(
        &[("a", "type = \"oneshot\"")],
        &[
            ("boot", "…"),
            ("up a", "a:running autostart"),
            ("exit a 0", "a:stopping exited, kill a"),
            ("empty a", "remove a, a:completed exited"),
            ("start a 1", "reply 1 ok"),
            ("stop a 2", "a:stopping requested, a:stopped requested, reply 2 ok"),
        ],
    );
    assert_eq!(state(&world, "a"), State::Stopped);
}

#[test]
fn an_empty_tree_needs_no_kill_whichever_comes_first() {
    play(
        &[("a", "type = \"oneshot\"")],
        &[
            ("boot, up a", "…"),
            ("empty a", ""),
            ("exit a 0", "a:stopping exited, remove a, a:completed exited"),
        ],
    );
}

#[test]
fn the_policy_says_what_follows_an_end() {
    let backoff = "a:stopping exited, kill a, remove a, a:backoff exited";
    let stopped = "a:stopping exited, kill a, remove a, a:stopped exited";
    let failed = "a:stopping exited, kill a, remove a, a:failed exited";
    for (lines, end, expected) in [
        ("restart = \"always\"", "done a", backoff),
        ("restart = \"always\"", "dies a", backoff),
        ("restart = \"on-failure\"", "done a", stopped),
        ("restart = \"on-failure\"", "dies a", backoff),
        ("restart = \"never\"", "done a", stopped),
        ("restart = \"never\"", "dies a", failed),
        ("type = \"oneshot\"", "dies a", backoff),
        ("type = \"oneshot\"\nrestart = \"never\"", "dies a", failed),
    ] {
        play(&[("a", lines)], &[("boot, up a", "…"), (end, expected)]);
    }
}

#[test]
fn what_the_kernel_kills_for_want_of_memory_says_so() {
    play(
        &[("a", ""), ("b", "type = \"oneshot\"")],
        &[
            ("boot, up a, up b", "…"),
            ("hungry a", ""),
            (
                "signal a 9, empty a",
                "a:stopping out-of-memory, kill a, remove a, a:backoff out-of-memory",
            ),
            // Something of it was killed, and it did its work nevertheless.
            (
                "hungry b, exit b 0, empty b",
                "b:stopping exited, kill b, remove b, b:completed exited",
            ),
            ("tick 200, up a, dies a", "…"),
        ],
    );
}

#[test]
fn delays_double_up_to_the_longest_and_the_limit_ends_it() {
    let lines = "restart-delay = \"200ms\"\nrestart-delay-max = \"500ms\"";
    let again = "a:waiting restarted, a:starting restarted, spawn a";
    let world = play(
        &[("a", lines)],
        &[
            ("boot, up a, dies a", "…"),
            ("tick 199", ""),
            ("tick 1", again),
            ("up a, dies a", "…"),
            ("tick 399", ""),
            ("tick 1", again),
            ("up a, dies a", "…"),
            ("tick 499", ""),
            ("tick 1", again),
            ("up a, dies a", "…"),
            ("tick 500", again),
            ("up a", "a:ready became-ready"),
            ("dies a", "a:stopping exited, kill a, remove a, a:failed start-limit"),
            ("tick 600000", ""),
        ],
    );
    let text = "start limit of 5 within 10s reached, last: exited with status 1";
    assert_eq!(why(&world, "a"), text);
    assert_eq!(world.supervisor.summary(world.id("a")).unwrap().restarts, 4);
}

#[test]
fn only_failures_double_the_delay_and_every_start_counts() {
    let lines = "restart = \"always\"\nrestart-delay = \"200ms\"";
    let again = "a:waiting restarted, a:starting restarted, spawn a";
    play(
        &[("a", lines)],
        &[
            ("boot, up a, dies a, tick 200", "…"),
            ("up a, dies a, tick 399", "…"),
            ("tick 1", again),
            // Somebody leaves a shell.
            ("up a, done a, tick 199", "…"),
            ("tick 1", again),
            ("up a, done a, tick 199", "…"),
            ("tick 1", again),
            ("up a", "a:ready became-ready"),
            ("done a", "a:stopping exited, kill a, remove a, a:failed start-limit"),
        ],
    );
}

#[test]
fn starts_that_are_far_apart_reach_no_limit() {
    let lines = "start-limit = { count = 2, within = \"1s\" }\nrestart-delay = \"0s\"";
    play(
        &[("a", lines)],
        &[
            ("boot, up a", "…"),
            ("pass 700, dies a, tick 0, up a", "…"),
            ("pass 700", ""),
            ("dies a", "a:stopping exited, kill a, remove a, a:backoff exited"),
            ("tick 0, up a", "…"),
            ("dies a", "a:stopping exited, kill a, remove a, a:failed start-limit"),
        ],
    );
}

#[test]
fn a_healthy_minute_forgets_failures() {
    let world = play(
        &[("a", "start-limit = { count = 2, within = \"1h\" }")],
        &[
            ("boot, up a, dies a, tick 200, up a", "…"),
            ("pass 59999", ""),
            ("pass 1", ""),
            ("dies a", "a:stopping exited, kill a, remove a, a:backoff exited"),
            ("tick 200, up a", "…"),
            ("pass 59999", ""),
            ("dies a", "a:stopping exited, kill a, remove a, a:backoff exited"),
            ("tick 400, up a", "…"),
            ("pass 59999", ""),
            ("dies a", "a:stopping exited, kill a, remove a, a:failed start-limit"),
        ],
    );
    assert_eq!(world.supervisor.summary(world.id("a")).unwrap().restarts, 3);
}

#[test]
fn a_healthy_minute_counts_however_it_ends() {
    let again = "a:waiting restarted, a:starting restarted, spawn a";
    let limit = "requires = [\"db\"]\nstart-limit = { count = 2, within = \"1h\" }";
    let world = play(
        &[("a", limit), ("db", "")],
        &[
            ("boot, up db, up a, dies a, tick 200, up a", "…"),
            ("pass 60000", ""),
            ("signal db 11, empty db", "…"),
            ("done a", "kill a, remove a, a:waiting restarted"),
            ("tick 200, up db, up a", "…"),
            // The failure of an hour ago is forgotten, though this life was short.
            ("dies a", "a:stopping exited, kill a, remove a, a:backoff exited"),
            ("tick 199", ""),
            ("tick 1", again),
            ("up a, dies a", "…"),
        ],
    );
    assert_eq!(state(&world, "a"), State::Failed);
    // A minute less a moment is none.
    let world = play(
        &[("a", limit), ("db", "")],
        &[
            ("boot, up db, up a, dies a, tick 200, up a", "…"),
            ("pass 59999", ""),
            ("signal db 11, empty db, done a, tick 200, up db, up a, dies a", "…"),
        ],
    );
    assert_eq!(state(&world, "a"), State::Failed);
}

#[test]
fn a_start_timeout_kills_and_counts_as_failure() {
    for (lines, before) in
        [("readiness = \"notify\"", "up a"), ("type = \"oneshot\"", "up a"), ("", "spawned a")]
    {
        play(
            &[("a", &format!("{lines}\nstart-timeout = \"1s\""))],
            &[
                ("boot", "…"),
                (before, "…"),
                ("tick 999", ""),
                ("tick 1", "a:stopping start-timeout, kill a"),
                ("notified a, executed a", ""),
                ("signal a 9", ""),
                ("empty a", "remove a, a:backoff start-timeout"),
            ],
        );
    }
    let world = play(
        &[("a", "readiness = \"notify\"\nstart-timeout = \"infinity\"")],
        &[("boot, up a", "…"), ("tick 86400000", "")],
    );
    assert_eq!(world.supervisor.next_deadline(), None);
}

#[test]
fn the_start_timeout_runs_from_the_process_on() {
    play(
        &[("a", "readiness = \"notify\"\nstart-timeout = \"1s\"")],
        &[
            ("boot", "…"),
            ("pass 900, spawned a, executed a", "a:running autostart"),
            ("tick 999", ""),
            ("tick 1", "a:stopping start-timeout, kill a"),
        ],
    );
}

#[test]
fn a_tick_is_about_the_time_of_the_last_look() {
    let mut world = play(
        &[("a", "readiness = \"notify\"\nstart-timeout = \"1s\"")],
        &[("boot, up a", "…"), ("pass 1500", "")],
    );
    // What came before the tick took time, in which the service may have said that it is ready.
    let tick = |world: &mut crate::world::World, ms| {
        let event = init_core::event::Event::Tick;
        world.supervisor.step(event, Timestamp::from_millis(ms)).len()
    };
    assert_eq!(tick(&mut world, 1_999), 0);
    assert_eq!(state(&world, "a"), State::Running);
    assert_ne!(tick(&mut world, 2_000), 0);
    assert_eq!(state(&world, "a"), State::Stopping);
}

#[test]
fn a_start_that_does_not_work_is_a_failure() {
    play(
        &[("a", "")],
        &[
            ("boot", "…"),
            ("spawnfail a", "remove a, a:backoff spawn-failed"),
            ("tick 200", "a:waiting restarted, a:starting restarted, spawn a"),
            ("spawned a", ""),
            ("spawnfail a", "remove a, a:backoff spawn-failed"),
        ],
    );
    let world = play(
        &[("a", "restart = \"never\"")],
        &[("boot", "…"), ("spawnfail a", "remove a, a:failed spawn-failed")],
    );
    assert!(why(&world, "a").starts_with("cannot create its process: "));
}

#[test]
fn a_stop_takes_no_longer_than_its_timeout_and_the_kill() {
    let world = play(
        &[("a", "stop-timeout = \"3s\"")],
        &[
            ("boot, up a", "…"),
            ("stop a 1", "a:stopping requested, term a"),
            ("tick 2999", ""),
            ("tick 1", "a:stopping stop-timeout, kill a"),
            ("tick 4999", ""),
            ("tick 1", "a:failed unkillable, reply 1 failed"),
            ("tick 600000", ""),
            // It cannot be started while something of it is left.
            ("start a 2", "reply 2 failed"),
            ("restart a 3", "reply 3 failed"),
            ("stop a 4", "reply 4 failed"),
            // It is still waited for, and then all is well again.
            ("signal a 9", ""),
            ("empty a", "remove a"),
            ("stop a 5", "reply 5 ok"),
            ("start a", "a:waiting requested, a:starting requested, spawn a"),
        ],
    );
    assert_eq!(state(&world, "a"), State::Starting);
}

#[test]
fn what_goes_wrong_on_the_way_down_is_recorded_and_changes_nothing_else() {
    let quiet = "kill a, remove a, a:stopped requested, reply 1 ok";
    for (end, expected) in [
        ("exit a 0", quiet.to_owned()),
        ("exit a 143", quiet.to_owned()),
        ("signal a 15", quiet.to_owned()),
        ("exit a 1", format!("a:stopping exited, {quiet}")),
        ("exit a 130", format!("a:stopping exited, {quiet}")),
        ("signal a 11", format!("a:stopping killed, {quiet}")),
    ] {
        play(
            &[("a", "restart = \"always\"")],
            &[
                ("boot, up a", "…"),
                ("stop a 1", "a:stopping requested, term a"),
                (&format!("{end}, empty a"), &expected),
            ],
        );
    }
    let world = play(
        &[("a", "stop-timeout = \"1s\"")],
        &[
            ("boot, up a", "…"),
            ("restart a 1", "a:stopping requested, term a"),
            ("tick 1000", "a:stopping stop-timeout, kill a"),
            // The kill is no news.
            ("signal a 9, empty a", "remove a, a:waiting requested, a:starting requested, spawn a"),
        ],
    );
    assert_eq!(world.supervisor.summary(world.id("a")).unwrap().reason_code, "requested");
}

#[test]
fn a_crash_while_others_still_stop_is_recorded() {
    play(
        &[("a", ""), ("b", "requires = [\"a\"]")],
        &[
            ("boot, up a, up b", "…"),
            ("stop a 1", "a:stopping requested, b:stopping requirement-down, term b"),
            ("signal a 11", "a:stopping killed, kill a"),
            ("empty a", "remove a, a:stopped requested, reply 1 ok"),
            ("done b", "kill b, remove b, b:stopped requirement-down"),
        ],
    );
}

#[test]
fn children_that_cannot_be_killed_are_left_behind_too() {
    play(
        &[("a", "")],
        &[
            ("boot, up a", "…"),
            ("exit a 1", "a:stopping exited, kill a"),
            ("tick 5000", "a:failed unkillable"),
            ("empty a", "remove a"),
        ],
    );
}

#[test]
fn a_stop_timeout_of_zero_kills_at_once() {
    play(
        &[("a", "stop-timeout = \"0s\"")],
        &[
            ("boot, up a", "…"),
            ("stop a 1", "a:stopping requested, term a"),
            ("tick 0", "kill a"),
            ("signal a 9, empty a", "remove a, a:stopped requested, reply 1 ok"),
        ],
    );
}

#[test]
fn a_process_is_stopped_before_it_is_known() {
    // Between Spawn and Spawned, and before its program is executed.
    for (before, end) in [
        ("tick 0", "spawnfail a"),
        ("tick 0", "spawned a, signal a 15, empty a"),
        ("spawned a", "signal a 15, empty a"),
        ("spawned a", "spawnfail a"),
    ] {
        let world = play(
            &[("a", "")],
            &[
                ("boot", "…"),
                (before, ""),
                ("stop a 1", "a:stopping requested, term a"),
                ("executed a", ""),
                (end, "…"),
            ],
        );
        assert_eq!(state(&world, "a"), State::Stopped, "{before}, {end}");
        assert_eq!(world.supervisor.instance_of(world.id("a")), None);
    }
}

#[test]
fn a_restart_of_what_cannot_be_spawned_is_no_failure() {
    play(
        &[("a", "")],
        &[
            ("boot", "…"),
            ("restart a 1", "a:stopping requested, term a"),
            ("spawnfail a", "remove a, a:waiting requested, a:starting requested, spawn a"),
            ("up a", "a:ready became-ready, reply 1 ok"),
        ],
    );
}

#[test]
fn news_of_old_instances_changes_nothing() {
    let world = play(
        &[("a", "readiness = \"notify\"")],
        &[
            ("boot, up a, dies a, tick 200", "…"),
            ("spawned a", ""),
            ("spawned a#1, executed a#1, notified a#1, exit a#1 0, empty a#1, spawnfail a#1", ""),
            ("executed a", "a:running restarted"),
        ],
    );
    let mut world = world;
    let (old, new) = (world.instance("a#1"), world.instance("a"));
    world.supervisor.set_status_text(old, "lies");
    world.supervisor.set_status_text(new, "serves\t3\n");
    let status = world.supervisor.status(world.id("a")).unwrap();
    assert_eq!(status.status_text, "serves 3 ");
    assert_eq!(status.summary.pid, Some(100));
    let _ = world.does("exit a 1");
    assert_eq!(world.supervisor.summary(world.id("a")).unwrap().pid, None);
    assert_eq!(world.supervisor.service_of(old), None);
    assert_eq!(world.supervisor.service_of(new), Some(world.id("a")));
}

#[test]
fn history_is_bounded_and_times_are_kept() {
    let mut rows = vec![("boot, up a", "…")];
    for _ in 0..10 {
        rows.push(("pass 70000, dies a, tick 200, up a", "…"));
    }
    let world = play(&[("a", "")], &rows);
    let status = world.supervisor.status(world.id("a")).unwrap();
    assert_eq!(status.history.len(), 16);
    let last = status.history.last().unwrap();
    assert_eq!((last.to, last.reason_code.as_str()), (State::Ready, "became-ready"));
    assert_eq!(status.ready, Some(Timestamp::from_millis(1_000 + 10 * 70_200)));
    assert_eq!((status.started, status.summary.since), (status.ready, status.ready.unwrap()));
    assert_eq!((status.summary.restarts, status.summary.pid), (10, Some(100)));
}

#[test]
fn time_that_runs_backwards_is_not_believed() {
    let mut world = play(&[("a", "")], &[("boot, up a, pass 1000", "…")]);
    let stop = init_core::event::Event::Shutdown { kind: init_core::event::ShutdownKind::Halt };
    let actions = world.supervisor.step(stop, Timestamp::ZERO);
    assert_eq!(actions.len(), 2);
    let deadline = world.supervisor.next_deadline().unwrap();
    assert_eq!(deadline, Timestamp::from_millis(1_000 + 1_000 + 10_000));
}
