//! Keys that are each right and contradict each other.

use alloc::format;

use super::PlacedNames;
use super::reader::{Reader, Section};
use crate::description::{Output, Readiness, RestartPolicy, ServiceDescription, ServiceKind};
use crate::name::ServiceName;

/// The lists of other services, with places.
pub(super) struct Lists {
    pub(super) requires: PlacedNames,
    pub(super) wants: PlacedNames,
    pub(super) after: PlacedNames,
    pub(super) conflicts: PlacedNames,
}

/// Reports a service that names itself, and one that it both needs and excludes.
pub(super) fn check_lists(reader: &mut Reader<'_>, own: &ServiceName, lists: &Lists) {
    let all = [
        ("requires", &lists.requires),
        ("wants", &lists.wants),
        ("after", &lists.after),
        ("conflicts", &lists.conflicts),
    ];
    for (key, names) in all {
        for (_, span) in names.iter().filter(|(name, _)| name == own) {
            reader.report(span.clone(), format!("{key:?} names the service itself"));
        }
    }
    for (name, span) in &lists.conflicts {
        for (key, needed) in [("requires", &lists.requires), ("wants", &lists.wants)] {
            if needed.iter().any(|(other, _)| other == name) {
                let name = name.as_str();
                reader.report(span.clone(), format!("{name:?} is in {key:?} and in \"conflicts\""));
            }
        }
    }
}

/// Reports keys that cannot both hold, at the one that was written.
pub(super) fn check_contradictions<'t>(
    reader: &mut Reader<'t>,
    file: &Section<'t>,
    description: &ServiceDescription,
) {
    check_streams(reader, file, description);
    if description.restart_delay > description.restart_delay_max {
        let key =
            if file.get("restart-delay").is_some() { "restart-delay" } else { "restart-delay-max" };
        reader.report_hint(
            file.span_of(key),
            "\"restart-delay\" is longer than \"restart-delay-max\"",
            "the delay doubles from the one up to the other; defaults are 200ms and 30s",
        );
    }
}

/// Reports what does not go with the type.
pub(super) fn check_kind<'t>(
    reader: &mut Reader<'t>,
    file: &Section<'t>,
    description: &ServiceDescription,
) {
    let oneshot = description.kind == ServiceKind::Oneshot;
    if oneshot && description.restart == RestartPolicy::Always {
        reader.report_hint(
            file.span_of("restart"),
            "a oneshot cannot have restart = \"always\": it is meant to end",
            "write \"on-failure\" or \"never\", or type = \"daemon\"",
        );
    }
    if oneshot && description.readiness != Readiness::Exit {
        reader.report_hint(
            file.span_of("readiness"),
            "a oneshot is ready when it has exited, and in no other way",
            "leave \"readiness\" out, or write type = \"daemon\"",
        );
    }
    if !oneshot && description.readiness == Readiness::Exit {
        reader.report_hint(
            file.span_of("readiness"),
            "a daemon cannot have readiness = \"exit\": it is meant to stay",
            "write \"started\" or \"notify\", or type = \"oneshot\"",
        );
    }
    if oneshot && description.log_collector {
        reader.report(file.span_of("log-collector"), "a oneshot cannot collect the log");
    }
}

fn check_streams<'t>(
    reader: &mut Reader<'t>,
    file: &Section<'t>,
    description: &ServiceDescription,
) {
    if description.terminal.is_some() && file.get("output").is_some() {
        reader.report_hint(
            file.span_of("output"),
            "\"output\" and \"terminal\" exclude each other",
            "with \"terminal\", output goes to the terminal",
        );
    }
    if description.log_collector && description.output == Output::Log {
        reader.report_hint(
            file.span_of("output"),
            "the log collector cannot send its own output to itself",
            "write \"console\" or \"null\"",
        );
    }
}
