//! A service description in one allocation, as PID 1 keeps it.
//!
//! PID 1 holds every description for as long as it runs and looks at most of it
//! only when it creates a process. What decides about starts and stops is the
//! [`Policy`], at hand without unpacking; all texts are one row of bytes. The form
//! lives in memory alone: it is neither stored nor sent.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::{
    Attributes, Limits, Output, Readiness, Resource, RestartPolicy, ServiceDescription,
    ServiceKind, Signal, StartLimit,
};
use crate::name::ServiceName;

/// What the supervisor needs at every turn. Times are in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Policy {
    pub(crate) kind: ServiceKind,
    pub(crate) readiness: Readiness,
    pub(crate) restart: RestartPolicy,
    pub(crate) autostart: bool,
    pub(crate) log_collector: bool,
    output: Output,
    has_terminal: bool,
    pub(crate) stop_signal: Signal,
    restart_delay_ms: u32,
    restart_delay_max_ms: u32,
    pub(crate) start_limit_count: u32,
    start_limit_within_ms: u32,
    start_timeout_ms: u32,
    stop_timeout_ms: u32,
}

/// Stands for [`Duration::MAX`]: 49 days, beyond what a description can say.
const UNLIMITED_MS: u32 = u32::MAX;

impl Policy {
    /// Whether its output goes to the log collector.
    pub(crate) fn writes_log(&self) -> bool {
        self.output == Output::Log && !self.has_terminal
    }

    pub(crate) fn restart_delay(&self) -> Duration {
        unpack_time(self.restart_delay_ms)
    }

    pub(crate) fn restart_delay_max(&self) -> Duration {
        unpack_time(self.restart_delay_max_ms)
    }

    pub(crate) fn start_limit_within(&self) -> Duration {
        unpack_time(self.start_limit_within_ms)
    }

    pub(crate) fn start_timeout(&self) -> Duration {
        unpack_time(self.start_timeout_ms)
    }

    pub(crate) fn stop_timeout(&self) -> Duration {
        unpack_time(self.stop_timeout_ms)
    }
}

/// A packed description. Equal ones were packed from equal descriptions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PackedDescription {
    name: ServiceName,
    policy: Policy,
    bytes: Box<[u8]>,
}

impl PackedDescription {
    /// The service's name.
    #[must_use]
    pub const fn name(&self) -> &ServiceName {
        &self.name
    }

    pub(crate) const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The description that was packed. Durations come back in whole milliseconds.
    #[must_use]
    pub fn unpack(&self) -> ServiceDescription {
        let mut bytes = Reader(&self.bytes);
        let policy = self.policy;
        ServiceDescription {
            name: self.name.clone(),
            description: bytes.text(),
            command: bytes.texts(),
            kind: policy.kind,
            autostart: policy.autostart,
            log_collector: policy.log_collector,
            requires: bytes.names(),
            wants: bytes.names(),
            after: bytes.names(),
            conflicts: bytes.names(),
            readiness: policy.readiness,
            restart: policy.restart,
            restart_delay: policy.restart_delay(),
            restart_delay_max: policy.restart_delay_max(),
            start_limit: StartLimit {
                count: policy.start_limit_count,
                within: policy.start_limit_within(),
            },
            start_timeout: policy.start_timeout(),
            stop_timeout: policy.stop_timeout(),
            stop_signal: policy.stop_signal,
            user: bytes.option(Reader::text),
            group: bytes.option(Reader::text),
            environment: bytes.list(|bytes| (bytes.text(), bytes.text())).into(),
            working_directory: bytes.option(Reader::text).unwrap_or_else(|| "/".into()),
            output: policy.output,
            terminal: bytes.option(Reader::text),
            attributes: bytes.attributes(),
            limits: bytes.limits(),
        }
    }
}

impl From<&ServiceDescription> for PackedDescription {
    fn from(from: &ServiceDescription) -> Self {
        let mut bytes = Writer(Vec::with_capacity(128));
        bytes.text(&from.description);
        bytes.list(&from.command, |bytes, word| bytes.text(word));
        for names in [&from.requires, &from.wants, &from.after, &from.conflicts] {
            bytes.list(names, |bytes, name| bytes.text(name.as_str()));
        }
        bytes.option(from.user.as_deref(), Writer::text);
        bytes.option(from.group.as_deref(), Writer::text);
        bytes.list(&from.environment, |bytes, (name, value)| {
            bytes.text(name);
            bytes.text(value);
        });
        let directory = Some(&*from.working_directory).filter(|path| *path != "/");
        bytes.option(directory, Writer::text);
        bytes.option(from.terminal.as_deref(), Writer::text);
        bytes.attributes(from.attributes);
        bytes.limits(&from.limits);
        Self { name: from.name.clone(), policy: policy_of(from), bytes: bytes.0.into() }
    }
}

fn policy_of(from: &ServiceDescription) -> Policy {
    Policy {
        kind: from.kind,
        readiness: from.readiness,
        restart: from.restart,
        autostart: from.autostart,
        log_collector: from.log_collector,
        output: from.output,
        has_terminal: from.terminal.is_some(),
        stop_signal: from.stop_signal,
        restart_delay_ms: pack_time(from.restart_delay),
        restart_delay_max_ms: pack_time(from.restart_delay_max),
        start_limit_count: from.start_limit.count,
        start_limit_within_ms: pack_time(from.start_limit.within),
        start_timeout_ms: pack_time(from.start_timeout),
        stop_timeout_ms: pack_time(from.stop_timeout),
    }
}

fn pack_time(time: Duration) -> u32 {
    u32::try_from(time.as_millis()).unwrap_or(UNLIMITED_MS)
}

fn unpack_time(time_ms: u32) -> Duration {
    match time_ms {
        UNLIMITED_MS => Duration::MAX,
        time_ms => Duration::from_millis(time_ms.into()),
    }
}

const RESOURCES: [Resource; 8] = [
    Resource::AddressSpace,
    Resource::Core,
    Resource::Cpu,
    Resource::FileSize,
    Resource::LockedMemory,
    Resource::OpenFiles,
    Resource::Processes,
    Resource::Stack,
];

struct Writer(Vec<u8>);

impl Writer {
    /// Seven bits a byte, the lowest first; the top bit says that more follow (LEB128).
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            let [low, ..] = value.to_le_bytes();
            self.0.push(low | 0x80);
            value >>= 7;
        }
        let [low, ..] = value.to_le_bytes();
        self.0.push(low);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.extend_from_slice(text.as_bytes());
    }

    fn list<T>(&mut self, values: &[T], write: impl Fn(&mut Self, &T)) {
        self.number(values.len() as u64);
        for value in values {
            write(self, value);
        }
    }

    fn option<T>(&mut self, value: Option<T>, write: impl Fn(&mut Self, T)) {
        self.number(u64::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    /// One byte where nothing is out of the ordinary.
    fn attributes(&mut self, attributes: Attributes) {
        let given = Some(attributes).filter(|one| *one != Attributes::default());
        self.option(given, |bytes, Attributes { umask, nice, oom_score_adjust }| {
            bytes.number(umask.into());
            bytes.number(nice.cast_unsigned().into());
            bytes.number(oom_score_adjust.cast_unsigned().into());
        });
    }

    fn limits(&mut self, limits: &Limits) {
        self.option(limits.memory_max_bytes, Self::number);
        self.option(limits.tasks_max.map(u64::from), Self::number);
        self.list(&limits.rlimits, |bytes, (resource, value)| {
            let index = RESOURCES.iter().position(|one| one == resource).unwrap_or_default();
            bytes.number(index as u64);
            bytes.number(*value);
        });
    }
}

/// Reads what [`Writer`] wrote. Bytes that it did not write would give empty
/// values, never a panic.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let Some((byte, rest)) = self.0.split_first() else { break };
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
        }
        value
    }

    fn text(&mut self) -> Box<str> {
        let length = usize::try_from(self.number()).unwrap_or(usize::MAX);
        let (text, rest) = self.0.split_at_checked(length).unwrap_or_default();
        self.0 = rest;
        core::str::from_utf8(text).unwrap_or_default().into()
    }

    fn list<T>(&mut self, mut read: impl FnMut(&mut Self) -> T) -> Vec<T> {
        // Each element takes at least a byte.
        let count = self.number().min(self.0.len() as u64);
        (0..count).map(|_| read(self)).collect()
    }

    fn texts(&mut self) -> Box<[Box<str>]> {
        self.list(Self::text).into()
    }

    fn names(&mut self) -> Box<[ServiceName]> {
        self.list(|bytes| ServiceName::new(&bytes.text())).into_iter().flatten().collect()
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.number() != 0).then(|| read(self))
    }

    fn attributes(&mut self) -> Attributes {
        let given = self.option(|bytes| {
            let mut number = || u16::try_from(bytes.number()).unwrap_or_default();
            let (umask, nice, oom_score_adjust) = (number(), number(), number());
            let nice = u8::try_from(nice).unwrap_or_default().cast_signed();
            Attributes { umask, nice, oom_score_adjust: oom_score_adjust.cast_signed() }
        });
        given.unwrap_or_default()
    }

    fn limits(&mut self) -> Limits {
        Limits {
            memory_max_bytes: self.option(Self::number),
            tasks_max: self.option(Self::number).and_then(|count| u32::try_from(count).ok()),
            rlimits: self.list(Self::rlimit).into_iter().flatten().collect(),
        }
    }

    fn rlimit(&mut self) -> Option<(Resource, u64)> {
        let index = usize::try_from(self.number()).ok()?;
        let value = self.number();
        RESOURCES.get(index).map(|resource| (*resource, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse_description;

    fn round_trip(text: &str) {
        let name = ServiceName::new("web").unwrap();
        let description = parse_description(&name, "f", text).unwrap();
        let packed = PackedDescription::from(&description);
        assert_eq!(packed.unpack(), description, "{text}");
        assert_eq!(packed.name(), &name);
    }

    #[test]
    fn what_is_packed_comes_back() {
        round_trip("command = [\"/x\"]");
        round_trip("command = [\"/x\"]\ntype = \"oneshot\"\nautostart = false\noutput = \"null\"");
        round_trip(
            "command = [\"/x\", \"\", \"ä\"]\nrequires = [\"a\", \"b\"]\nwants = [\"c\"]\n\
             after = [\"d\"]\nconflicts = [\"e\"]\nuser = \"u\"\ngroup = \"g\"\nlog-collector = true\n\
             environment = { A = \"1\", B = \"\" }\nworking-directory = \"/var\"\n\
             start-timeout = \"infinity\"\nrestart-delay = \"0s\"\nstop-timeout = \"30d\"\n\
             stop-signal = \"SIGINT\"\nreadiness = \"notify\"\nrestart = \"always\"\n\
             [limits]\nmemory-max = \"1TiB\"\ntasks-max = 4294967295\nstack = \"unlimited\"\n\
             core = 0\nopen-files = 127\nprocesses = 128",
        );
        round_trip("command = [\"/x\"]\nterminal = \"console\"");
        round_trip("command = [\"/x\"]\numask = \"0\"\nnice = -20\noom-score-adjust = -1000");
        round_trip("command = [\"/x\"]\numask = \"0777\"\nnice = 19\noom-score-adjust = 1000");
        let long = "x".repeat(20_000);
        round_trip(&format!("command = [\"/x\", \"{long}\"]"));
    }

    #[test]
    fn foreign_bytes_never_panic() {
        let name = ServiceName::new("web").unwrap();
        let description = parse_description(&name, "f", "command = [\"/x\"]").unwrap();
        let good = PackedDescription::from(&description);
        for cut in 0..good.bytes.len() {
            let bytes = good.bytes.get(..cut).unwrap().into();
            let _ = PackedDescription { bytes, ..good.clone() }.unpack();
        }
        let endless = [0xff; 30].into();
        let _ = PackedDescription { bytes: endless, ..good }.unpack();
    }
}
