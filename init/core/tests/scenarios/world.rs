//! A supervisor that is told events in words and answers in words.

use init_core::description::{ServiceDescription, Signal};
use init_core::event::{
    Action, ClientId, Event, ExitStatus, InstanceId, Operation, ServiceId, ShutdownKind,
    SpawnError, SpawnStage,
};
use init_core::name::ServiceName;
use init_core::parse::parse_description;
use init_core::state::State;
use init_core::supervisor::{Loaded, Supervisor};
use init_core::time::Timestamp;

/// The service `name` with a command and whatever `lines` say besides.
fn service(name: &str, lines: &str) -> ServiceDescription {
    let name = ServiceName::new(name).expect("a test's service name");
    let text = format!("command = [\"/bin/{name}\"]\n{lines}\n");
    match parse_description(&name, &format!("{name}.toml"), &text) {
        Ok(description) => description,
        Err(findings) => panic!("{findings:#?}"),
    }
}

/// A supervisor, its time and what it has spawned.
pub(crate) struct World {
    pub(crate) supervisor: Supervisor,
    now_ms: u64,
    /// The last instance of each service that was spawned.
    instances: Vec<(ServiceId, InstanceId)>,
}

impl World {
    pub(crate) fn new(services: &[(&str, &str)]) -> Self {
        let loaded = services.iter().map(|(name, lines)| Loaded::from(service(name, lines)));
        Self { supervisor: Supervisor::new(loaded.collect()), now_ms: 1000, instances: Vec::new() }
    }

    pub(crate) fn id(&self, name: &str) -> ServiceId {
        self.supervisor.find(name).unwrap_or_else(|| panic!("no service {name}"))
    }

    /// `a` is the last instance of service a, `a#1` its first.
    pub(crate) fn instance(&self, name: &str) -> InstanceId {
        let (name, number) = name.split_once('#').unwrap_or((name, ""));
        let id = self.id(name);
        let mut own = self.instances.iter().filter(|(service, _)| *service == id);
        let found = match number.parse::<usize>() {
            Ok(number) => own.nth(number - 1),
            Err(_) => own.next_back(),
        };
        found.unwrap_or_else(|| panic!("{name} was never spawned")).1
    }

    fn name(&self, id: ServiceId) -> String {
        self.supervisor.name(id).unwrap().to_string()
    }

    fn name_of_instance(&self, instance: InstanceId) -> String {
        let found = self.instances.iter().find(|(_, known)| *known == instance);
        self.name(found.expect("an instance that was spawned").0)
    }

    /// Performs words such as `exit a 1` and gives what follows in words. `up a`,
    /// `done a` and `dies a` are two events each: a program executed, ended well, ended badly.
    pub(crate) fn does(&mut self, words: &str) -> Vec<String> {
        let mut answers = Vec::new();
        let words = words.split(", ").flat_map(|words| match words.split_once(' ') {
            Some(("up", name)) => vec![format!("spawned {name}"), format!("executed {name}")],
            Some(("done", name)) => vec![format!("exit {name} 0"), format!("empty {name}")],
            Some(("dies", name)) => vec![format!("exit {name} 1"), format!("empty {name}")],
            _ => vec![words.to_owned()],
        });
        for words in words {
            let words = words.as_str();
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
            ["hungry", name] => Event::OutOfMemory { instance: self.instance(name) },
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
pub(crate) fn play(services: &[(&str, &str)], rows: &[(&str, &str)]) -> World {
    let mut world = World::new(services);
    for (words, expected) in rows {
        let got = world.does(words).join(", ");
        if *expected != "…" {
            assert_eq!(got, *expected, "after {words:?} in {rows:#?}");
        }
    }
    world
}

pub(crate) fn state(world: &World, name: &str) -> State {
    world.supervisor.state(world.id(name)).unwrap()
}

/// What `svcctl why` would say of a service.
pub(crate) fn why(world: &World, name: &str) -> String {
    world.supervisor.summary(world.id(name)).unwrap().reason
}
