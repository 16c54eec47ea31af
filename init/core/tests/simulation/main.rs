//! Seeded simulation: the supervisor against a fake kernel, thousands of times,
//! with every invariant checked after every step.
//!
//! A schedule that fails is shrunk by leaving out what happens from outside
//! while it still fails, and printed with its seed. `KEELSON_SIMULATION_SCHEDULES`
//! says how many are run, `KEELSON_SIMULATION_SEED` which one is the first: the seed
//! of a failure with a count of 1 runs it alone.

#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod checker;
mod kernel;
mod random;
mod sabotage;
mod schedule;
mod world;

use std::fmt::Write as _;

use sabotage::Sabotage;
use schedule::Schedule;
use world::{Tally, World};

const FIRST_SEED: u64 = 0x4b65_656c_736f_6e00;

fn setting(name: &str, default: u64) -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the person who runs the test chooses")]
    let value = std::env::var(name);
    match value {
        Ok(text) => text.parse().expect("a whole number"),
        Err(_) => default,
    }
}

fn run(schedule: &Schedule, sabotage: Sabotage) -> Result<Tally, String> {
    let mut world = World::new(schedule, sabotage);
    world.run().map(|()| world.tally)
}

/// Leaves out inputs one by one for as long as the schedule still fails.
fn shrink(mut schedule: Schedule, sabotage: Sabotage) -> Schedule {
    loop {
        let shorter = (0..schedule.inputs.len()).rev().find_map(|left_out| {
            let mut candidate = schedule.clone();
            candidate.inputs.remove(left_out);
            run(&candidate, sabotage).is_err().then_some(candidate)
        });
        match shorter {
            Some(candidate) => schedule = candidate,
            None => return schedule,
        }
    }
}

/// The smallest failing form of a schedule, and all that happens in it.
fn report(schedule: Schedule, sabotage: Sabotage) -> String {
    let seed = schedule.seed;
    let whole = schedule.inputs.len();
    let schedule = shrink(schedule, sabotage);
    let mut world = World::new(&schedule, sabotage);
    world.trace = Some(Vec::new());
    let error = world.run().expect_err("it failed before");
    let mut text = format!("seed {seed} fails: {error}\n");
    for service in &schedule.services {
        let _ = writeln!(text, "{service:?}");
    }
    let _ = writeln!(text, "{} of {whole} inputs are left:", schedule.inputs.len());
    for input in &schedule.inputs {
        let _ = writeln!(text, "{input:?}");
    }
    for line in world.trace.into_iter().flatten() {
        let _ = writeln!(text, "{line}");
    }
    let _ = write!(
        text,
        "again: KEELSON_SIMULATION_SEED={seed} KEELSON_SIMULATION_SCHEDULES=1 cargo test -p init-core --test simulation"
    );
    text
}

#[test]
fn random_schedules_break_no_invariant() {
    let count = setting(
        "KEELSON_SIMULATION_SCHEDULES",
        if cfg!(debug_assertions) { 3_000 } else { 100_000 },
    );
    let first = setting("KEELSON_SIMULATION_SEED", FIRST_SEED);
    let mut total = Tally::default();
    for seed in first..first.saturating_add(count) {
        let schedule = Schedule::new(seed);
        match run(&schedule, Sabotage::None) {
            Ok(tally) => {
                total.steps += tally.steps;
                total.spawns += tally.spawns;
                total.kills += tally.kills;
                total.replies += tally.replies;
                total.abandoned += tally.abandoned;
            }
            Err(_) => panic!("{}", report(schedule, Sabotage::None)),
        }
    }
    println!("{count} schedules from seed {first}: {total:?}");
    if count >= 1_000 {
        assert!(total.spawns > count && total.replies > count / 2, "{total:?}");
        assert!(total.kills > count / 2 && total.abandoned > count / 100, "{total:?}");
    }
}

/// A simulation that finds nothing proves nothing: every sabotage must be found.
#[test]
fn every_sabotage_is_found() {
    for sabotage in Sabotage::ALL {
        let found = (0..2_000)
            .map(|offset| Schedule::new(FIRST_SEED.wrapping_add(offset)))
            .find(|schedule| run(schedule, sabotage).is_err());
        let schedule = found.unwrap_or_else(|| panic!("{sabotage:?} went unnoticed"));
        let text = report(schedule, sabotage);
        println!("{sabotage:?}: {}", text.lines().next().unwrap_or_default());
    }
}

/// What is left of a shrunk schedule is needed: without any of it, nothing fails.
#[test]
fn a_failing_schedule_is_shrunk() {
    let failing = (0..2_000)
        .map(|offset| Schedule::new(FIRST_SEED.wrapping_add(offset)))
        .find(|one| one.inputs.len() > 5 && run(one, Sabotage::LoseReply).is_err())
        .expect("a schedule with an unanswered client");
    let before = failing.inputs.len();
    let shrunk = shrink(failing, Sabotage::LoseReply);
    assert!(shrunk.inputs.len() < before);
    assert!(run(&shrunk, Sabotage::LoseReply).is_err());
    for left_out in 0..shrunk.inputs.len() {
        let mut candidate = shrunk.clone();
        candidate.inputs.remove(left_out);
        assert!(run(&candidate, Sabotage::LoseReply).is_ok());
    }
}
