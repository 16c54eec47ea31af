//! What is wrong with a set of services as a whole: for the builder and for
//! `svcctl check`, before anything starts.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::{Fault, Graph, Loaded, find, with_ids};
use crate::description::{PackedDescription, ServiceDescription};
use crate::diagnostic::{Finding, suggest};
use crate::event::ServiceId;
use crate::name::ServiceName;
use crate::parse::locate;

/// How bad a problem is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// A service will not start.
    Error,
    /// Something is ignored.
    Warning,
}

/// A problem with one service and its neighbours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Whose description to change.
    pub service: ServiceName,
    /// The key that says what is wrong, if one does.
    pub key: Option<&'static str>,
    /// The service that stands there, if one does.
    pub value: Option<ServiceName>,
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// The problem at its place in `text`, the content of `file`, which
    /// describes [`Problem::service`].
    #[must_use]
    pub fn finding(&self, file: &str, text: &str) -> Finding {
        let value = self.value.as_ref().map(ServiceName::as_str);
        let place = locate(file, text, self.key.unwrap_or_default(), value);
        Finding { place, message: self.message.clone(), hint: self.hint.clone() }
    }
}

/// `web: unknown service "bd" in "requires"`, and the hint on a line of its own.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.service, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Checks services that are complete: all descriptions of one system.
#[must_use]
pub fn check(descriptions: &[ServiceDescription]) -> Vec<Problem> {
    let packed = |description| Loaded::Good(PackedDescription::from(description));
    check_loaded(descriptions.iter().map(packed).collect())
}

/// The same, with services whose description could not be read: they are known
/// by name, and their own findings are not repeated.
#[must_use]
pub fn check_loaded(mut services: Vec<Loaded>) -> Vec<Problem> {
    services.sort_by(|a, b| a.name().cmp(b.name()));
    services.dedup_by(|a, b| a.name() == b.name());
    let graph = Graph::new(&services);
    let mut problems = Vec::new();
    for (id, service) in with_ids(&services) {
        if let Some(description) = service.description() {
            check_names(&services, &description, &mut problems);
            check_fault(&services, &graph, id, &mut problems);
        }
    }
    check_boot(&services, &graph, &mut problems);
    problems.sort_by(|a, b| a.service.cmp(&b.service));
    problems
}

fn check_names(services: &[Loaded], description: &ServiceDescription, problems: &mut Vec<Problem>) {
    let lists = [
        (Severity::Error, "requires", &description.requires),
        (Severity::Warning, "wants", &description.wants),
        (Severity::Warning, "after", &description.after),
    ];
    for (severity, key, names) in lists {
        for name in names.iter().filter(|name| find(services, name.as_str()).is_none()) {
            let near = suggest(name.as_str(), services.iter().map(|one| one.name().as_str()));
            let hint = match (near, severity) {
                (Some(near), _) => format!("did you mean \"{near}\"?"),
                (None, Severity::Error) => format!("describe {name}, or take it out of {key:?}"),
                (None, Severity::Warning) => "it is ignored".to_owned(),
            };
            problems.push(Problem {
                severity,
                service: description.name.clone(),
                key: Some(key),
                value: Some(name.clone()),
                message: format!("unknown service \"{name}\" in {key:?}"),
                hint: Some(hint),
            });
        }
    }
}

/// Reports faults that have their cause in this service; a cycle once.
fn check_fault(services: &[Loaded], graph: &Graph, id: ServiceId, problems: &mut Vec<Problem>) {
    let name_of = |id: ServiceId| services.get(id.0 as usize).map(Loaded::name);
    let problem = match graph.fault(id) {
        Some(Fault::Cycle(members)) => {
            // Other members may be told of another cycle that they are on.
            let told = |member: &&ServiceId| graph.fault(**member) == graph.fault(id);
            if members.iter().find(told) != Some(&id) {
                return;
            }
            let path = members.iter().filter_map(|member| name_of(*member)).collect();
            services
                .get(id.0 as usize)
                .and_then(Loaded::description)
                .and_then(|one| cycle_problem(&one, path))
        }
        Some(Fault::Excluded(other)) => excluded(services, id, *other),
        Some(Fault::SecondCollector(first)) => second_collector(services, id, *first),
        _ => None,
    };
    problems.extend(problem);
}

fn cycle_problem(service: &ServiceDescription, mut path: Vec<&ServiceName>) -> Option<Problem> {
    let at = path.iter().position(|member| **member == service.name)?;
    path.push(path.first().copied()?);
    let next = path.get(at + 1).copied()?;
    let lists =
        [("requires", &service.requires), ("wants", &service.wants), ("after", &service.after)];
    let key = lists.iter().find(|(_, names)| names.contains(next)).map(|(key, _)| *key);
    let path: Vec<&str> = path.into_iter().map(ServiceName::as_str).collect();
    Some(Problem {
        severity: Severity::Error,
        service: service.name.clone(),
        key,
        value: Some(next.clone()),
        message: format!("cycle: {}", path.join(" -> ")),
        hint: Some("take one of them out of \"requires\", \"wants\" or \"after\"".to_owned()),
    })
}

/// A service that can never start, since it requires and excludes the service `other`.
fn excluded(services: &[Loaded], id: ServiceId, other: ServiceId) -> Option<Problem> {
    let other = services.get(other.0 as usize)?.name();
    Some(Problem {
        severity: Severity::Error,
        service: services.get(id.0 as usize)?.name().clone(),
        key: Some("requires"),
        value: Some(other.clone()),
        message: format!("requires and excludes \"{other}\": it can never start"),
        hint: Some("look at \"conflicts\" of the service and of all that it requires".to_owned()),
    })
}

fn second_collector(services: &[Loaded], id: ServiceId, first: ServiceId) -> Option<Problem> {
    let first = services.get(first.0 as usize)?.name();
    Some(Problem {
        severity: Severity::Error,
        service: services.get(id.0 as usize)?.name().clone(),
        key: Some("log-collector"),
        value: Some(first.clone()),
        message: format!("\"{first}\" collects the log already"),
        hint: Some("one service of a system has log-collector = true".to_owned()),
    })
}

/// Reports pairs in conflict that both start at boot, at the one that will fail.
fn check_boot(services: &[Loaded], graph: &Graph, problems: &mut Vec<Problem>) {
    let mut at_boot = vec![false; services.len()];
    for (id, service) in with_ids(services) {
        if service.policy().is_some_and(|one| one.autostart) && graph.fault(id).is_none() {
            for member in graph.required_closure(id) {
                if let Some(mark) = at_boot.get_mut(member.0 as usize) {
                    *mark = true;
                }
            }
        }
    }
    let starts = |id: ServiceId| at_boot.get(id.0 as usize) == Some(&true);
    for (first, second) in graph.conflicts.pairs().filter(|(a, b)| a < b) {
        let names = (services.get(first.0 as usize), services.get(second.0 as usize));
        let (Some(first_service), Some(second_service)) = names else { continue };
        if starts(first) && starts(second) {
            let first_name = first_service.name();
            problems.push(Problem {
                severity: Severity::Error,
                service: second_service.name().clone(),
                key: Some("conflicts"),
                value: Some(first_name.clone()),
                message: format!("conflicts with \"{first_name}\", and both start at boot"),
                hint: Some("write autostart = false in one of them".to_owned()),
            });
        }
    }
}
