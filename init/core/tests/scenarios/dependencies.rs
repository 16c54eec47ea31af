//! Several services: who waits for whom, and who goes down with whom.

use init_core::name::ServiceName;
use init_core::state::State;
use init_core::supervisor::{Loaded, Supervisor};
use init_core::time::Timestamp;

use crate::world::{play, state, why};

const WEB_AND_DB: &[(&str, &str)] = &[("db", ""), ("web", "requires = [\"db\"]")];

#[test]
fn a_requirement_is_up_first() {
    let world = play(
        WEB_AND_DB,
        &[
            (
                "boot",
                "db:waiting autostart, web:waiting autostart, db:starting autostart, spawn db",
            ),
            ("spawned db", ""),
            ("executed db", "db:ready became-ready, web:starting autostart, spawn web"),
        ],
    );
    assert_eq!(why(&world, "web"), "starts at boot");
    let world = play(WEB_AND_DB, &[("boot", "…")]);
    let summary = world.supervisor.summary(world.id("web")).unwrap();
    assert_eq!((summary.state, summary.reason.as_str()), (State::Waiting, "waits for db"));
    assert_eq!(summary.reason_service, ServiceName::new("db").ok());
}

#[test]
fn a_crash_is_restarted_after_its_delay_and_dependents_come_back() {
    play(
        WEB_AND_DB,
        &[
            ("boot, up db, up web", "…"),
            (
                "signal db 11",
                "db:stopping killed, kill db, web:stopping requirement-down, term web",
            ),
            ("empty db", "remove db, db:backoff killed"),
            ("exit web 0, empty web", "kill web, remove web, web:waiting autostart"),
            ("tick 200", "db:waiting restarted, db:starting restarted, spawn db"),
            ("up db", "db:ready became-ready, web:starting autostart, spawn web"),
        ],
    );
}

#[test]
fn a_requirement_that_fails_takes_its_dependents_along() {
    let services = &[
        ("db", "restart = \"never\""),
        ("shop", "requires = [\"web\"]"),
        ("web", "requires = [\"db\"]"),
    ];
    let world = play(
        services,
        &[
            ("boot", "…"),
            ("up db", "db:ready became-ready, web:starting autostart, spawn web"),
            ("up web", "web:ready became-ready, shop:starting autostart, spawn shop"),
            (
                "exit db 1",
                "db:stopping exited, kill db, web:stopping requirement-down, shop:stopping requirement-down, term shop",
            ),
            ("empty db", "remove db, db:failed exited"),
            ("done shop", "kill shop, remove shop, shop:failed requirement-failed, term web"),
            ("done web", "kill web, remove web, web:failed requirement-failed"),
        ],
    );
    assert_eq!(why(&world, "shop"), "web, which it requires, failed");
    assert_eq!(why(&world, "web"), "db, which it requires, failed");
    // Waiting dependents fail at once.
    play(
        services,
        &[
            ("boot", "…"),
            (
                "spawnfail db",
                "remove db, db:failed spawn-failed, web:failed requirement-failed, shop:failed requirement-failed",
            ),
        ],
    );
}

#[test]
fn a_requirement_that_exits_well_and_stays_down_takes_its_dependents_down() {
    let world = play(
        WEB_AND_DB,
        &[
            ("boot, up db, up web", "…"),
            (
                "done db",
                "db:stopping exited, kill db, web:stopping requirement-down, term web, remove db, db:stopped exited",
            ),
            ("done web", "kill web, remove web, web:stopped requirement-down"),
        ],
    );
    assert_eq!(state(&world, "web"), State::Stopped);
}

#[test]
fn a_oneshot_is_a_requirement_when_it_has_completed() {
    play(
        &[("mount", "type = \"oneshot\""), ("web", "requires = [\"mount\"]")],
        &[
            ("boot", "…"),
            ("up mount", "mount:running autostart"),
            ("exit mount 0", "mount:stopping exited, kill mount"),
            (
                "empty mount",
                "remove mount, mount:completed exited, web:starting autostart, spawn web",
            ),
            ("up web", "web:ready became-ready"),
            (
                "restart mount 1",
                "mount:stopping requested, web:stopping requirement-down, term web",
            ),
            (
                "done web",
                "kill web, remove web, web:waiting autostart, mount:waiting requested, mount:starting requested, spawn mount",
            ),
        ],
    );
}

#[test]
fn what_is_wanted_comes_first_and_may_fail() {
    let services = &[("cache", "restart = \"never\""), ("web", "wants = [\"cache\"]")];
    let web_starts = "web:starting autostart, spawn web";
    for (end, settled) in [
        ("up cache", "cache:ready became-ready"),
        ("spawnfail cache", "remove cache, cache:failed spawn-failed"),
        (
            "stop cache, spawnfail cache",
            "cache:stopping requested, term cache, web:starting autostart, spawn web, remove cache, cache:stopped requested",
        ),
    ] {
        let expected = match end.starts_with("stop") {
            true => settled.to_owned(),
            false => format!("{settled}, {web_starts}"),
        };
        play(services, &[("boot", "…"), (end, &expected)]);
    }
    // It is pulled up, and missing ones are ignored.
    play(
        &[
            ("cache", "autostart = false"),
            ("web", "wants = [\"cache\", \"gone\"]\nafter = [\"gone\"]"),
        ],
        &[(
            "boot",
            "web:waiting autostart, cache:waiting needed-by, cache:starting needed-by, spawn cache",
        )],
    );
    // Its end is nobody's concern.
    play(
        services,
        &[
            ("boot, up cache, up web", "…"),
            ("dies cache", "cache:stopping exited, kill cache, remove cache, cache:failed exited"),
        ],
    );
}

#[test]
fn a_soft_order_is_settled_by_a_crash_loop() {
    play(
        &[("cache", ""), ("web", "wants = [\"cache\"]")],
        &[
            ("boot, spawned cache", "…"),
            ("exit cache 1", "cache:stopping exited, kill cache"),
            (
                "empty cache",
                "remove cache, cache:backoff exited, web:starting autostart, spawn web",
            ),
        ],
    );
    // Also when it is a requirement of a requirement of what is wanted that crashes.
    play(
        &[
            ("cache", "requires = [\"disk\"]"),
            ("disk", "requires = [\"net\"]"),
            ("net", ""),
            ("web", "wants = [\"cache\"]"),
        ],
        &[
            ("boot", "…"),
            (
                "spawnfail net",
                "remove net, net:backoff spawn-failed, web:starting autostart, spawn web",
            ),
        ],
    );
}

#[test]
fn after_orders_only_what_starts_anyway() {
    play(
        &[("net", "autostart = false"), ("web", "after = [\"net\"]")],
        &[("boot", "web:waiting autostart, web:starting autostart, spawn web")],
    );
    play(
        &[("net", ""), ("web", "after = [\"net\"]")],
        &[
            (
                "boot",
                "net:waiting autostart, web:waiting autostart, net:starting autostart, spawn net",
            ),
            ("up net", "net:ready became-ready, web:starting autostart, spawn web"),
        ],
    );
}

#[test]
fn the_log_collector_comes_before_those_it_does_not_need() {
    play(
        &[
            ("collector", "log-collector = true\nrequires = [\"disk\"]"),
            ("disk", "type = \"oneshot\""),
            ("quiet", "output = \"null\""),
            ("web", ""),
        ],
        &[
            (
                "boot",
                "collector:waiting autostart, disk:waiting autostart, quiet:waiting autostart, web:waiting autostart, \
                 disk:starting autostart, spawn disk, quiet:starting autostart, spawn quiet",
            ),
            (
                "up disk, done disk",
                "disk:running autostart, disk:stopping exited, kill disk, remove disk, disk:completed exited, \
                 collector:starting autostart, spawn collector",
            ),
            ("up collector", "collector:ready became-ready, web:starting autostart, spawn web"),
            // It may crash without anybody noticing.
            (
                "dies collector",
                "collector:stopping exited, kill collector, remove collector, collector:backoff exited",
            ),
        ],
    );
}

#[test]
fn a_cycle_fails_by_name_and_the_rest_boots() {
    let world = play(
        &[
            ("a", "requires = [\"b\"]"),
            ("b", "after = [\"c\"]"),
            ("c", "wants = [\"a\"]"),
            ("d", "requires = [\"a\"]"),
            ("e", "wants = [\"a\"]"),
            ("f", "requires = [\"nobody\"]\nautostart = false"),
        ],
        &[
            (
                "boot",
                "a:failed cycle, b:failed cycle, c:failed cycle, d:failed requirement-failed, \
                 f:failed requirement-unknown, e:waiting autostart, e:starting autostart, spawn e",
            ),
            ("start a 1", "reply 1 failed"),
            ("restart d 2", "reply 2 failed"),
            ("start f 3", "reply 3 failed"),
            ("stop a 4", "reply 4 ok"),
        ],
    );
    assert_eq!(why(&world, "b"), "needs itself: a -> b -> c -> a");
    assert_eq!(why(&world, "d"), "a, which it requires, failed");
    assert_eq!(why(&world, "f"), "nobody, which it requires, is not described");
}

#[test]
fn a_broken_description_fails_and_so_does_who_requires_it() {
    let name = |text: &str| ServiceName::new(text).unwrap();
    let text = format!("broken.toml:1:1: {}", "ä".repeat(4000));
    let broken = Loaded::Broken { name: name("broken"), text: text.into() };
    let parsed = |text: &str, service: &str| -> Loaded {
        init_core::parse::parse_description(&name(service), "f", text).unwrap().into()
    };
    let user = parsed("command = [\"/x\"]\nrequires = [\"broken\"]", "user");
    let first = parsed("command = [\"/usr/lib\"]", "same");
    let second = parsed("command = [\"/etc\"]", "same");
    let mut supervisor = Supervisor::new(vec![user, first, broken, second]);
    let _ = supervisor.step(init_core::event::Event::Boot, Timestamp::ZERO);
    let reason = |name: &str| supervisor.summary(supervisor.find(name).unwrap()).unwrap().reason;
    assert!(reason("broken").starts_with("its description is wrong: broken.toml:1:1: ää"));
    assert!(reason("broken").len() < 2100);
    assert_eq!(reason("user"), "broken, which it requires, failed");
    let same = supervisor.find("same").unwrap();
    assert_eq!(&*supervisor.description(same).unwrap().command, ["/etc".into()], "the last counts");
    assert_eq!(supervisor.list().len(), 3);
}

#[test]
fn of_two_in_conflict_the_first_by_name_boots() {
    let world = play(
        &[("a", ""), ("b", "conflicts = [\"a\"]"), ("c", "requires = [\"b\"]")],
        &[(
            "boot",
            "a:waiting autostart, b:failed conflict, c:failed conflict, a:starting autostart, spawn a",
        )],
    );
    assert_eq!(why(&world, "b"), "conflicts with a");
    assert_eq!(why(&world, "c"), "conflicts with a");
}

#[test]
fn what_excludes_its_own_requirement_is_not_said_to_wait_for_a_free_place() {
    let world = play(
        &[
            ("a", ""),
            ("b", "autostart = false\nconflicts = [\"a\"]"),
            ("both", "autostart = false\nrequires = [\"a\", \"b\"]"),
            ("l", "autostart = false\nlog-collector = true"),
            ("m", "autostart = false\nlog-collector = true"),
        ],
        &[(
            "boot",
            "both:failed excluded, m:failed second-collector, a:waiting autostart, \
             a:starting autostart, spawn a",
        )],
    );
    assert!(why(&world, "both").starts_with("requires and excludes "), "{}", why(&world, "both"));
    assert_eq!(why(&world, "m"), "l collects the log already");
}

#[test]
fn a_request_displaces_what_is_in_conflict_and_what_requires_that() {
    let world = play(
        &[
            ("a", ""),
            ("b", "conflicts = [\"a\"]\nautostart = false"),
            ("user", "requires = [\"a\"]"),
        ],
        &[
            ("boot, up a, up user", "…"),
            (
                "start b 1",
                "b:waiting requested, a:stopping conflict, user:stopping requirement-down, term user",
            ),
            ("done user", "kill user, remove user, user:stopped requirement-down, term a"),
        ],
    );
    assert_eq!(why(&world, "b"), "waits until a, which it conflicts with, is down");
    let mut world = world;
    let expected = "kill a, remove a, a:stopped conflict, b:starting requested, spawn b";
    assert_eq!(world.does("done a").join(", "), expected);
    assert_eq!(world.does("up b").join(", "), "b:ready became-ready, reply 1 ok");
}

#[test]
fn what_is_only_wanted_displaces_nobody() {
    play(
        &[("a", ""), ("b", "conflicts = [\"a\"]\nautostart = false"), ("c", "wants = [\"b\"]")],
        &[(
            "boot",
            "a:waiting autostart, c:waiting autostart, b:failed conflict, a:starting autostart, spawn a, c:starting autostart, spawn c",
        )],
    );
}

#[test]
fn what_follows_softly_and_is_being_stopped_ends_first() {
    let services = &[("net", ""), ("web", "after = [\"net\"]")];
    play(
        services,
        &[
            ("boot, up net, up web", "…"),
            ("restart web 1", "web:stopping requested, term web"),
            ("stop net 2", "net:stopping requested"),
            (
                "done web",
                "kill web, remove web, web:waiting requested, web:starting requested, spawn web, term net",
            ),
        ],
    );
    // One that crashes and comes back is not waited for: it might do so for ever.
    play(
        services,
        &[
            ("boot, up net, up web", "…"),
            ("exit web 1", "web:stopping exited, kill web"),
            ("stop net 1", "net:stopping requested, term net"),
        ],
    );
}
