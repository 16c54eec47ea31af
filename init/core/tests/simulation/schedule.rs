//! A schedule: services, and what people and the machine do to them, all from a seed.

use std::time::Duration;

use init_core::description::{
    Attributes, Limits, Output, Readiness, RestartPolicy, ServiceDescription, ServiceKind, Signal,
    StartLimit,
};
use init_core::event::{ClientId, Operation, ShutdownKind};
use init_core::name::ServiceName;
use init_core::supervisor::Loaded;

use crate::random::Random;

/// Something from outside, at a time in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) at_ms: u64,
    pub(crate) kind: InputKind,
}

/// What happens.
#[derive(Clone, Debug)]
pub(crate) enum InputKind {
    /// A command for the service at this place in the list.
    Command {
        client: Option<ClientId>,
        operation: Operation,
        service: usize,
    },
    ClientGone(ClientId),
    /// The machine stands still for so many milliseconds: everything that was due comes late.
    Jump(u64),
    /// For so many milliseconds no process can be created.
    NoDescriptors(u64),
    /// News of instances that are gone or never were.
    Stray,
    Shutdown(ShutdownKind),
}

/// Everything a run depends on.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    pub(crate) seed: u64,
    /// Sorted by name.
    pub(crate) services: Vec<Loaded>,
    pub(crate) inputs: Vec<Input>,
    /// When all is shut down for good, if no input has done so.
    pub(crate) end_ms: u64,
}

impl Schedule {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let services = services(&mut random);
        let end_ms = random.pick(&[0, 50, 1_000, 10_000, 40_000, 150_000]);
        let inputs = inputs(&mut random, services.len(), end_ms);
        Self { seed, services, inputs, end_ms }
    }
}

fn services(random: &mut Random) -> Vec<Loaded> {
    let count = 1 + random.index(12);
    // Shuffled, so that the order of names is not the order of dependency.
    let mut names: Vec<String> = ('a'..).take(count).map(String::from).collect();
    for i in (1..count).rev() {
        names.swap(i, random.index(i + 1));
    }
    let wild = random.chance(8);
    let edges = random.pick(&[0, 10, 30]);
    let conflicts = random.pick(&[0, 0, 10]);
    let collector = random.chance(50).then(|| random.index(count));
    let mut services: Vec<Loaded> = (0..count)
        .map(|i| {
            let mut service = description(random, &names[i]);
            let mut lists = [const { Vec::new() }; 4];
            for (list, percent) in lists.iter_mut().zip([edges, edges / 2, edges / 2, conflicts]) {
                let reach = if wild { count } else { i };
                for (j, name) in names.iter().enumerate().take(reach) {
                    if j != i && random.chance(if wild { percent / 3 } else { percent }) {
                        list.push(ServiceName::new(name).expect("a letter"));
                    }
                }
            }
            if wild && random.chance(5) {
                lists[random.index(3)].push(ServiceName::new("nobody").expect("a name"));
            }
            let [requires, wants, after, conflicts] = lists;
            service.requires = requires.into();
            service.wants = wants.into();
            service.after = after.into();
            service.conflicts = conflicts.into();
            service.log_collector = collector == Some(i) && service.kind == ServiceKind::Daemon;
            if wild && random.chance(5) {
                let text = "a finding".into();
                return Loaded::Broken { name: service.name, text };
            }
            service.into()
        })
        .collect();
    services.sort_by(|a, b| a.name().cmp(b.name()));
    services
}

fn description(random: &mut Random, name: &str) -> ServiceDescription {
    let oneshot = random.chance(30);
    let seconds = Duration::from_secs;
    let restart = match oneshot {
        true => random.pick(&[RestartPolicy::OnFailure, RestartPolicy::Never]),
        false => random.pick(&[
            RestartPolicy::Always,
            RestartPolicy::OnFailure,
            RestartPolicy::OnFailure,
            RestartPolicy::Never,
        ]),
    };
    let readiness = match oneshot {
        true => Readiness::Exit,
        false => random.pick(&[Readiness::Started, Readiness::Notify]),
    };
    ServiceDescription {
        name: ServiceName::new(name).expect("a letter"),
        description: "".into(),
        command: Box::new(["/bin/true".into()]),
        kind: if oneshot { ServiceKind::Oneshot } else { ServiceKind::Daemon },
        autostart: random.chance(80),
        log_collector: false,
        requires: Box::default(),
        wants: Box::default(),
        after: Box::default(),
        conflicts: Box::default(),
        readiness,
        restart,
        restart_delay: Duration::from_millis(random.pick(&[0, 200, 1000])),
        restart_delay_max: random.pick(&[seconds(1), seconds(30)]),
        start_limit: StartLimit {
            count: random.pick(&[1, 2, 5]),
            within: random.pick(&[seconds(1), seconds(10)]),
        },
        start_timeout: random.pick(&[seconds(1), seconds(30), Duration::MAX]),
        stop_timeout: random.pick(&[seconds(0), seconds(1), seconds(10)]),
        stop_signal: Signal::TERM,
        user: None,
        group: None,
        environment: Box::default(),
        working_directory: "/".into(),
        output: random.pick(&[Output::Log, Output::Log, Output::Null]),
        terminal: None,
        attributes: Attributes::default(),
        limits: Limits::default(),
    }
}

fn inputs(random: &mut Random, services: usize, end_ms: u64) -> Vec<Input> {
    let mut inputs = Vec::new();
    let mut clients = 0;
    for _ in 0..random.below(13) {
        let at_ms = random.below(end_ms + 1_000);
        let kind = match random.below(20) {
            0 if clients > 0 => InputKind::ClientGone(ClientId(random.below(clients))),
            1 => InputKind::Jump(random.pick(&[100, 3_000, 70_000])),
            2 => InputKind::NoDescriptors(random.pick(&[100, 3_000])),
            3 => InputKind::Stray,
            4 => InputKind::Shutdown(shutdown_kind(random)),
            _ => {
                let client = random.chance(85).then(|| {
                    clients += 1;
                    ClientId(clients - 1)
                });
                let operations = [Operation::Start, Operation::Stop, Operation::Restart];
                let operation = random.pick(&operations);
                InputKind::Command { client, operation, service: random.index(services) }
            }
        };
        inputs.push(Input { at_ms, kind });
    }
    inputs.sort_by_key(|input| input.at_ms);
    inputs
}

fn shutdown_kind(random: &mut Random) -> ShutdownKind {
    random.pick(&[ShutdownKind::PowerOff, ShutdownKind::Reboot, ShutdownKind::Halt])
}
