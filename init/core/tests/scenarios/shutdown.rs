//! The end of the system.

use init_core::state::State;

use crate::world::{play, state};

#[test]
fn everything_stops_in_reverse_order_and_the_end_comes_once() {
    play(
        &[
            ("collector", "log-collector = true"),
            ("db", "output = \"null\""),
            ("soft", "output = \"null\"\nwants = [\"web\"]"),
            ("web", "requires = [\"db\"]"),
        ],
        &[
            ("boot, up collector, up db, up web, up soft", "…"),
            (
                "reboot",
                "collector:stopping shutdown, db:stopping shutdown, soft:stopping shutdown, web:stopping shutdown, term soft",
            ),
            ("start db 1, restart web 2", "reply 1 failed, reply 2 failed"),
            ("stop soft 3", ""),
            ("done soft", "kill soft, remove soft, soft:stopped shutdown, term web, reply 3 ok"),
            ("poweroff", ""),
            ("done web", "kill web, remove web, web:stopped shutdown, term db, term collector"),
            ("done db", "kill db, remove db, db:stopped shutdown"),
            (
                "done collector",
                "kill collector, remove collector, collector:stopped shutdown, finish poweroff",
            ),
            ("reboot, boot, start db 4", "reply 4 failed"),
        ],
    );
}

#[test]
fn a_system_without_services_ends_at_once() {
    play(&[], &[("boot", ""), ("poweroff", "finish poweroff")]);
    play(&[("a", "autostart = false")], &[("boot", ""), ("poweroff", "finish poweroff")]);
}

#[test]
fn a_signal_before_boot_is_honoured() {
    let world = play(
        &[("a", "")],
        &[("reboot", "finish reboot"), ("boot", ""), ("start a 1", "reply 1 failed")],
    );
    assert_eq!(state(&world, "a"), State::Stopped);
}

#[test]
fn what_waits_or_is_in_backoff_or_completed_ends_at_once() {
    play(
        &[("db", ""), ("once", "type = \"oneshot\""), ("web", "requires = [\"db\"]")],
        &[
            ("boot, up once, done once, spawnfail db", "…"),
            (
                "poweroff",
                "db:stopped shutdown, once:stopping shutdown, web:stopped shutdown, once:stopped shutdown, finish poweroff",
            ),
        ],
    );
}

#[test]
fn a_service_that_is_starting_does_not_hold_it_up() {
    play(
        &[("a", "readiness = \"notify\"\nstart-timeout = \"infinity\"")],
        &[
            ("boot, start a 1", "…"),
            ("poweroff", "a:stopping shutdown, term a"),
            ("spawned a", ""),
            ("tick 10000", "a:stopping stop-timeout, kill a"),
            (
                "signal a 9, empty a",
                "remove a, a:stopped shutdown, reply 1 failed, finish poweroff",
            ),
        ],
    );
}

#[test]
fn a_service_that_refuses_to_die_does_not_hold_it_up() {
    play(
        &[("a", ""), ("b", "requires = [\"a\"]")],
        &[
            ("boot, up a, up b", "…"),
            ("poweroff", "a:stopping shutdown, b:stopping shutdown, term b"),
            ("tick 10000", "b:stopping stop-timeout, kill b"),
            ("tick 5000", "b:failed unkillable, term a"),
            ("done a", "kill a, remove a, a:stopped shutdown, finish poweroff"),
            // What comes after the end is still accounted for.
            ("signal b 9, empty b", "remove b"),
        ],
    );
}

#[test]
fn a_crash_on_the_way_down_is_no_restart() {
    play(
        &[("a", "restart = \"always\""), ("b", "after = [\"a\"]")],
        &[
            ("boot, up a, up b", "…"),
            ("poweroff", "a:stopping shutdown, b:stopping shutdown, term b"),
            ("exit a 1", "a:stopping exited, kill a"),
            ("empty a", "remove a, a:stopped shutdown"),
            ("done b", "kill b, remove b, b:stopped shutdown, finish poweroff"),
        ],
    );
}
