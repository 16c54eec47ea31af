//! Reads a service description from TOML: the one parser for PID 1, `svcctl`
//! and the builder.
//!
//! Every finding of a file is reported, each with its line and column. What a
//! key means, its unit and its default stand in `docs/service-description.md`.
//! Whether other services exist is for the graph to say. There is no writer.

mod attributes;
mod checks;
mod keys;
pub mod reader;
mod units;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use toml::de::DeTable;

use crate::accounts::NO_ID;
use crate::description::{
    Limits, Output, Readiness, Resource, RestartPolicy, ServiceDescription, ServiceKind, Signal,
    StartLimit,
};
use crate::diagnostic::{Finding, Place, suggest};
use crate::name::ServiceName;

pub use keys::{KEYS, Key};
use reader::{Reader, Section};
pub use units::{DURATION_MAX, UnitError, parse_duration, parse_size_bytes};

/// Largest description file, in bytes: what PID 1 reads stays bounded.
pub const DESCRIPTION_BYTES_MAX: usize = 64 * 1024;

/// The page that lists the keys.
const PAGE: &str = "docs/service-description.md";

/// Longest text of the key `description`, in bytes: it is one line of a list.
const SUMMARY_BYTES_MAX: usize = 200;

/// Most starts that a start limit can allow: PID 1 remembers each.
const START_LIMIT_MAX: u64 = 1000;

/// Reads the description of the service `name` out of the bytes of `file`.
///
/// # Errors
/// As [`parse_description`]; also when the bytes are no UTF-8.
pub fn parse_description_bytes(
    name: &ServiceName,
    file: &str,
    bytes: &[u8],
) -> Result<ServiceDescription, Vec<Finding>> {
    reader::read_file(file, bytes, DESCRIPTION_BYTES_MAX, PAGE, |section, reader| {
        read(name, section, reader)
    })
}

/// Reads the description of the service `name` out of `text`, the content of `file`.
///
/// # Errors
/// All findings, in the order of the file; never an empty list.
pub fn parse_description(
    name: &ServiceName,
    file: &str,
    text: &str,
) -> Result<ServiceDescription, Vec<Finding>> {
    parse_description_bytes(name, file, text.as_bytes())
}

/// Where `value` stands in the list (or as the value) of `key` in `text`: the
/// place of a finding that only the graph could make. The place of the key
/// itself if the value is not there, and the file's start without the key.
#[must_use]
pub fn locate(file: &str, text: &str, key: &str, value: Option<&str>) -> Place {
    let (table, _) = DeTable::parse_recoverable(text);
    let found = table.get_ref().get_key_value(key);
    let mut offset = found.map_or(0, |(key, _)| key.span().start);
    if let (Some((_, content)), Some(value)) = (found, value) {
        let elements = content.get_ref().as_array().into_iter().flatten();
        let mut candidates = elements.chain(core::iter::once(content));
        if let Some(hit) = candidates.find(|one| one.get_ref().as_str() == Some(value)) {
            offset = hit.span().start;
        }
    }
    Place::of_offset(file, text, offset)
}

/// Names with the places where they stand.
pub(crate) type PlacedNames = Vec<(ServiceName, Range<usize>)>;

fn read<'t>(name: &ServiceName, file: &Section<'t>, reader: &mut Reader<'t>) -> ServiceDescription {
    check_keys(reader, file);
    let lists = checks::Lists {
        requires: reader.service_names(file, "requires"),
        wants: reader.service_names(file, "wants"),
        after: reader.service_names(file, "after"),
        conflicts: reader.service_names(file, "conflicts"),
    };
    checks::check_lists(reader, name, &lists);
    let kinds = [("daemon", ServiceKind::Daemon), ("oneshot", ServiceKind::Oneshot)];
    let given_kind = reader.word(file, "type", &kinds);
    let kind = given_kind.unwrap_or(ServiceKind::Daemon);
    let log_collector = reader.boolean(file, "log-collector").unwrap_or(false);
    let description = ServiceDescription {
        name: name.clone(),
        description: read_summary(file, reader),
        command: read_command(file, reader),
        kind,
        autostart: reader.boolean(file, "autostart").unwrap_or(true),
        log_collector,
        requires: names(lists.requires),
        wants: names(lists.wants),
        after: names(lists.after),
        conflicts: names(lists.conflicts),
        readiness: read_readiness(file, reader, kind),
        restart: read_restart(file, reader),
        restart_delay: reader.duration(file, "restart-delay").unwrap_or(Duration::from_millis(200)),
        restart_delay_max: reader
            .duration(file, "restart-delay-max")
            .unwrap_or(Duration::from_secs(30)),
        start_limit: read_start_limit(file, reader),
        start_timeout: read_start_timeout(file, reader),
        stop_timeout: reader.duration(file, "stop-timeout").unwrap_or(Duration::from_secs(10)),
        stop_signal: read_stop_signal(file, reader),
        user: read_account(file, reader, "user"),
        group: read_account(file, reader, "group"),
        environment: read_environment(file, reader),
        working_directory: read_path(file, reader, "working-directory")
            .unwrap_or_else(|| "/".into()),
        output: read_output(file, reader, log_collector),
        terminal: read_terminal(file, reader),
        attributes: attributes::read(file, reader),
        limits: read_limits(file, reader),
    };
    checks::check_contradictions(reader, file, &description);
    // A misspelt type would be taken for a daemon, and blamed for what it says as a oneshot.
    if given_kind.is_some() || file.get("type").is_none() {
        checks::check_kind(reader, file, &description);
    }
    description
}

fn check_keys<'t>(reader: &mut Reader<'t>, section: &Section<'t>) {
    let known: Vec<&str> = keys::keys_of(section.name).collect();
    reader.check_keys(section, &known);
}

fn names(placed: PlacedNames) -> Box<[ServiceName]> {
    placed.into_iter().map(|(name, _)| name).collect()
}

fn read_summary<'t>(file: &Section<'t>, reader: &mut Reader<'t>) -> Box<str> {
    let text = reader.string(file, "description").unwrap_or_default();
    if text.len() > SUMMARY_BYTES_MAX || text.chars().any(char::is_control) {
        let message = format!("\"description\" is one line of at most {SUMMARY_BYTES_MAX} bytes");
        reader.report(file.span_of("description"), message);
    }
    text.into()
}

fn read_command<'t>(file: &Section<'t>, reader: &mut Reader<'t>) -> Box<[Box<str>]> {
    let example = "for example command = [\"/usr/sbin/logd\", \"--verbose\"]";
    let Some(value) = file.get("command") else {
        reader.report_hint(0..0, "\"command\" is missing", example);
        return Box::default();
    };
    if value.get_ref().is_str() {
        reader.report_hint(
            value.span(),
            "\"command\" wants a list of strings, not a string",
            example,
        );
        return Box::default();
    }
    let words = reader.strings(file, "command");
    match words.first() {
        None if value.get_ref().as_array().is_some_and(|array| array.is_empty()) => {
            reader.report_hint(value.span(), "\"command\" is empty", example);
        }
        Some((program, span)) if !program.starts_with('/') || program.ends_with('/') => {
            reader.report_hint(
                span.clone(),
                format!("\"command\": {program:?} is no absolute path of a program"),
                "there is no shell and no search path: write the whole path",
            );
        }
        _ => {}
    }
    words.into_iter().map(|(word, _)| word.into()).collect()
}

fn read_readiness<'t>(file: &Section<'t>, reader: &mut Reader<'t>, kind: ServiceKind) -> Readiness {
    let words =
        [("started", Readiness::Started), ("notify", Readiness::Notify), ("exit", Readiness::Exit)];
    let default = match kind {
        ServiceKind::Daemon => Readiness::Started,
        ServiceKind::Oneshot => Readiness::Exit,
    };
    reader.word(file, "readiness", &words).unwrap_or(default)
}

fn read_restart<'t>(file: &Section<'t>, reader: &mut Reader<'t>) -> RestartPolicy {
    let words = [
        ("always", RestartPolicy::Always),
        ("on-failure", RestartPolicy::OnFailure),
        ("never", RestartPolicy::Never),
    ];
    reader.word(file, "restart", &words).unwrap_or(RestartPolicy::OnFailure)
}

fn read_start_limit<'t>(file: &Section<'t>, reader: &mut Reader<'t>) -> StartLimit {
    let mut limit = StartLimit { count: 5, within: Duration::from_secs(10) };
    let Some(section) = reader.section(file, "start-limit") else { return limit };
    check_keys(reader, &section);
    if let Some(count) = reader.number(&section, "count", 1, START_LIMIT_MAX) {
        limit.count = u32::try_from(count).unwrap_or(u32::MAX);
    }
    if let Some(within) = reader.duration(&section, "within") {
        if within.is_zero() {
            let message =
                "\"start-limit.within\" cannot be zero: no number of starts would be too many";
            reader.report(section.span_of("within"), message);
        }
        limit.within = within;
    }
    limit
}

fn read_start_timeout<'t>(file: &Section<'t>, reader: &mut Reader<'t>) -> Duration {
    let default = Duration::from_secs(30);
    let Some(value) = file.get("start-timeout") else { return default };
    if value.get_ref().as_str() == Some("infinity") {
        return Duration::MAX;
    }
    let timeout = reader.duration(file, "start-timeout").unwrap_or(default);
    if timeout.is_zero() {
        reader.report_hint(
            value.span(),
            "\"start-timeout\" cannot be zero: nothing is ready at once",
            "write \"infinity\" for no limit",
        );
    }
    timeout
}

fn read_stop_signal<'t>(file: &Section<'t>, reader: &mut Reader<'t>) -> Signal {
    let Some(text) = reader.string(file, "stop-signal") else { return Signal::TERM };
    let span = file.span_of("stop-signal");
    match Signal::from_name(text) {
        Some(signal @ (Signal::STOP | Signal::CONT)) => {
            reader.report(span, format!("\"stop-signal\": {signal} ends no process"));
            signal
        }
        Some(signal) => signal,
        None => {
            let known = Signal::names();
            let message = format!("\"stop-signal\": {text:?} is no signal");
            match suggest(text, known.iter().map(String::as_str)) {
                Some(near) => reader.report_hint(span, message, format!("did you mean {near:?}?")),
                None => reader.report_hint(span, message, "write its name, such as \"SIGTERM\""),
            }
            Signal::TERM
        }
    }
}

/// A user's or group's name, or its number, in quotes or without: what /etc/passwd can hold.
fn read_account<'t>(file: &Section<'t>, reader: &mut Reader<'t>, key: &str) -> Option<Box<str>> {
    let value = file.get(key)?;
    if value.get_ref().is_integer() {
        let id = reader.number(file, key, 0, u64::from(NO_ID - 1))?;
        return Some(format!("{id}").into());
    }
    if !value.get_ref().is_str() {
        reader.wrong_type(file, key, value, "a name or a number");
        return None;
    }
    let text = reader.string(file, key)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let is_nobody = text.parse() == Ok(NO_ID);
    if text.is_empty() || text.starts_with('-') || is_nobody || !text.chars().all(allowed) {
        reader.report(file.span_of(key), format!("{key:?}: {text:?} is no name of a {key}"));
    }
    Some(text.into())
}

fn read_environment<'t>(
    file: &Section<'t>,
    reader: &mut Reader<'t>,
) -> Box<[(Box<str>, Box<str>)]> {
    let Some(section) = reader.section(file, "environment") else { return Box::default() };
    let mut variables = Vec::new();
    for (key, value) in section.table {
        let name: &str = key.get_ref();
        if name.is_empty() || name.contains(['=', '\0']) {
            let message = format!("{name:?} is no name of an environment variable");
            reader.report_hint(key.span(), message, "it is not empty and has neither = nor NUL");
        }
        if let Some(text) = reader.text_of(&section, name, value) {
            variables.push((key.span().start, (name.into(), text.into())));
        }
    }
    variables.sort_by_key(|(offset, _)| *offset);
    variables.into_iter().map(|(_, variable)| variable).collect()
}

fn read_path<'t>(file: &Section<'t>, reader: &mut Reader<'t>, key: &str) -> Option<Box<str>> {
    let text = reader.string(file, key)?;
    if !text.starts_with('/') {
        reader.report(file.span_of(key), format!("{key:?}: {text:?} is no absolute path"));
    }
    Some(text.into())
}

fn read_output<'t>(file: &Section<'t>, reader: &mut Reader<'t>, log_collector: bool) -> Output {
    let words = [("log", Output::Log), ("console", Output::Console), ("null", Output::Null)];
    let default = if log_collector { Output::Console } else { Output::Log };
    reader.word(file, "output", &words).unwrap_or(default)
}

fn read_terminal<'t>(file: &Section<'t>, reader: &mut Reader<'t>) -> Option<Box<str>> {
    let text = reader.string(file, "terminal")?;
    if text == "console" {
        return Some("/dev/console".into());
    }
    if !text.starts_with("/dev/") || text.ends_with('/') {
        reader.report_hint(
            file.span_of("terminal"),
            format!("\"terminal\": {text:?} is no terminal device"),
            "write \"console\" or a path such as \"/dev/ttyS0\"",
        );
    }
    Some(text.into())
}

fn read_limits<'t>(file: &Section<'t>, reader: &mut Reader<'t>) -> Limits {
    let mut limits = Limits::default();
    let Some(section) = reader.section(file, "limits") else { return limits };
    check_keys(reader, &section);
    limits.memory_max_bytes = reader.size_bytes(&section, "memory-max");
    if limits.memory_max_bytes == Some(0) {
        reader.report(section.span_of("memory-max"), "\"limits.memory-max\" cannot be zero");
    }
    limits.tasks_max = reader
        .number(&section, "tasks-max", 1, u64::from(u32::MAX))
        .and_then(|count| u32::try_from(count).ok());
    let mut rlimits = Vec::new();
    for (key, resource, unit) in RESOURCES {
        let Some(value) = section.get(key) else { continue };
        let amount = match unit {
            _ if value.get_ref().as_str() == Some("unlimited") => Some(u64::MAX),
            Unit::Bytes => reader.size_bytes(&section, key),
            Unit::Count => reader.number(&section, key, 0, u64::MAX - 1),
            Unit::Seconds => read_whole_seconds(&section, reader, key),
        };
        rlimits.extend(amount.map(|amount| (resource, amount)));
    }
    limits.rlimits = rlimits.into();
    limits
}

/// setrlimit(2) counts processor time in whole seconds.
fn read_whole_seconds<'t>(
    section: &Section<'t>,
    reader: &mut Reader<'t>,
    key: &str,
) -> Option<u64> {
    let duration = reader.duration(section, key)?;
    if duration.subsec_nanos() != 0 || duration.is_zero() {
        let message = format!("\"limits.{key}\" is a whole number of seconds, at least 1");
        reader.report(section.span_of(key), message);
    }
    Some(duration.as_secs())
}

#[derive(Clone, Copy)]
enum Unit {
    Bytes,
    Count,
    Seconds,
}

const RESOURCES: [(&str, Resource, Unit); 8] = [
    ("address-space", Resource::AddressSpace, Unit::Bytes),
    ("core", Resource::Core, Unit::Bytes),
    ("cpu-time", Resource::Cpu, Unit::Seconds),
    ("file-size", Resource::FileSize, Unit::Bytes),
    ("locked-memory", Resource::LockedMemory, Unit::Bytes),
    ("open-files", Resource::OpenFiles, Unit::Count),
    ("processes", Resource::Processes, Unit::Count),
    ("stack", Resource::Stack, Unit::Bytes),
];

#[cfg(test)]
mod tests;
