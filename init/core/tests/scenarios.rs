//! Scenario tables: events in, states and actions out.
//!
//! A row is what happens and everything that must follow, in order. `a:ready
//! became-ready` is a recorded change with its reason's word; `spawn a`, `term a`,
//! `kill a`, `remove a`, `reply 1 ok` and `finish reboot` are actions.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use init_core::description::Signal;
use init_core::event::{
    Action, ClientId, Event, ExitStatus, InstanceId, Operation, ServiceId, ShutdownKind,
    SpawnError, SpawnStage,
};
use init_core::state::State;
use init_core::supervisor::{Loaded, Supervisor};
use init_core::time::Timestamp;

mod support;
use support::service;

/// A supervisor that is told events in words.
struct World {
    supervisor: Supervisor,
    now_ms: u64,
    /// The last instance of each service that was spawned.
    instances: Vec<(ServiceId, InstanceId)>,
}

impl World {
    fn new(services: &[(&str, &str)]) -> Self {
        let loaded = services.iter().map(|(name, lines)| Loaded::from(service(name, lines)));
        Self { supervisor: Supervisor::new(loaded.collect()), now_ms: 1000, instances: Vec::new() }
    }

    fn id(&self, name: &str) -> ServiceId {
        self.supervisor.find(name).unwrap_or_else(|| panic!("no service {name}"))
    }

    fn instance(&self, name: &str) -> InstanceId {
        let id = self.id(name);
        let found = self.instances.iter().rev().find(|(service, _)| *service == id);
        found.unwrap_or_else(|| panic!("{name} was never spawned")).1
    }

    fn name(&self, id: ServiceId) -> String {
        self.supervisor.name(id).unwrap().to_string()
    }

    fn name_of_instance(&self, instance: InstanceId) -> String {
        let found = self.instances.iter().find(|(_, known)| *known == instance);
        self.name(found.expect("an instance that was spawned").0)
    }

    /// Performs words such as `exit a 1` and gives what follows in words.
    fn does(&mut self, words: &str) -> Vec<String> {
        let mut answers = Vec::new();
        for words in words.split(", ") {
            let event = self.event(words);
            let now = Timestamp::from_millis(self.now_ms);
            for action in self.supervisor.step(event, now) {
                answers.push(self.describe(&action));
            }
        }
        answers
    }

    fn event(&mut self, words: &str) -> Event {
        let words: Vec<&str> = words.split(' ').collect();
        let number = |text: &str| text.parse::<u64>().unwrap();
        let client = |text: &str| Some(ClientId(number(text)));
        let command = |operation, service, client| Event::Command { client, operation, service };
        match *words {
            ["boot"] => Event::Boot,
            ["tick", ms] => {
                self.now_ms += number(ms);
                Event::Tick
            }
            ["pass", ms] => {
                self.now_ms += number(ms);
                Event::ClientGone { client: ClientId(u64::MAX) }
            }
            ["spawned", name] => Event::Spawned { instance: self.instance(name), pid: 100 },
            ["spawnfail", name] => Event::SpawnFailed {
                instance: self.instance(name),
                error: SpawnError { stage: SpawnStage::Clone, errno: 24 },
            },
            ["executed", name] => Event::Executed { instance: self.instance(name) },
            ["notified", name] => Event::Notified { instance: self.instance(name) },
            ["exit", name, code] => Event::Exited {
                instance: self.instance(name),
                status: ExitStatus::Code(code.parse().unwrap()),
            },
            ["signal", name, signal] => Event::Exited {
                instance: self.instance(name),
                status: ExitStatus::Signal {
                    signal: Signal(signal.parse().unwrap()),
                    core_dumped: false,
                },
            },
            ["empty", name] => Event::TreeEmpty { instance: self.instance(name) },
            ["start", name] => command(Operation::Start, self.id(name), None),
            ["stop", name] => command(Operation::Stop, self.id(name), None),
            ["start", name, who] => command(Operation::Start, self.id(name), client(who)),
            ["stop", name, who] => command(Operation::Stop, self.id(name), client(who)),
            ["restart", name, who] => command(Operation::Restart, self.id(name), client(who)),
            ["gone", who] => Event::ClientGone { client: ClientId(number(who)) },
            ["poweroff"] => Event::Shutdown { kind: ShutdownKind::PowerOff },
            ["reboot"] => Event::Shutdown { kind: ShutdownKind::Reboot },
            _ => panic!("no such event: {words:?}"),
        }
    }

    fn describe(&mut self, action: &Action) -> String {
        match action {
            Action::Spawn { service, instance } => {
                self.instances.push((*service, *instance));
                format!("spawn {}", self.name(*service))
            }
            Action::Terminate { instance, .. } => {
                format!("term {}", self.name_of_instance(*instance))
            }
            Action::KillTree { instance } => format!("kill {}", self.name_of_instance(*instance)),
            Action::RemoveTree { instance } => {
                format!("remove {}", self.name_of_instance(*instance))
            }
            Action::Record { service, to, reason, .. } => {
                format!("{}:{to} {}", self.name(*service), reason.code())
            }
            Action::Reply { client, succeeded, .. } => {
                format!("reply {} {}", client.0, if *succeeded { "ok" } else { "failed" })
            }
            Action::Finish { kind } => format!("finish {kind:?}").to_lowercase(),
        }
    }
}

/// Plays a table; rows whose second part is `…` are not compared, they only
/// bring the system where the scenario begins.
fn play(services: &[(&str, &str)], rows: &[(&str, &str)]) -> World {
    let mut world = World::new(services);
    for (words, expected) in rows {
        let got = world.does(words).join(", ");
        if *expected != "…" {
            assert_eq!(got, *expected, "after {words:?} in {rows:#?}");
        }
    }
    world
}

fn state(world: &World, name: &str) -> State {
    world.supervisor.state(world.id(name)).unwrap()
}

const DAEMON: &[(&str, &str)] = &[("a", "")];

#[test]
fn a_daemon_starts_is_ready_and_stops() {
    play(
        DAEMON,
        &[
            ("boot", "a:waiting autostart, a:starting autostart, spawn a"),
            ("spawned a", ""),
            ("executed a", "a:ready became-ready"),
            ("stop a 1", "a:stopping requested, term a"),
            ("signal a 15", "kill a"),
            ("empty a", "remove a, a:stopped requested, reply 1 ok"),
            ("start a 2", "a:waiting requested, a:starting requested, spawn a"),
            ("spawned a, executed a", "a:ready became-ready, reply 2 ok"),
            ("start a 3", "reply 3 ok"),
        ],
    );
}

#[test]
fn a_crash_is_restarted_after_its_delay_and_dependents_come_back() {
    let world = play(
        &[("db", ""), ("web", "requires = [\"db\"]")],
        &[
            (
                "boot",
                "db:waiting autostart, web:waiting autostart, db:starting autostart, spawn db",
            ),
            ("spawned db, executed db", "db:ready became-ready, web:starting autostart, spawn web"),
            ("spawned web, executed web", "web:ready became-ready"),
            (
                "signal db 11",
                "db:stopping killed, kill db, web:stopping requirement-down, term web",
            ),
            ("empty db", "remove db, db:backoff killed"),
            ("exit web 0, empty web", "kill web, remove web, web:waiting autostart"),
            ("tick 199", ""),
            ("tick 1", "db:waiting restarted, db:starting restarted, spawn db"),
            ("executed db", "db:ready became-ready, web:starting autostart, spawn web"),
            ("executed web", "web:ready became-ready"),
        ],
    );
    assert_eq!(state(&world, "web"), State::Ready);
}
