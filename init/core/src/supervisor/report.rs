//! What the supervisor tells about services: names instead of ids, reasons
//! instead of causes.

use alloc::borrow::ToOwned as _;
use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::num::NonZeroU32;

use super::Supervisor;
use super::service::{Cause, End, Service};
use crate::event::ServiceId;
use crate::graph::{Fault, Loaded};
use crate::name::ServiceName;
use crate::protocol::{Change, Status, Summary};
use crate::state::Reason;

impl Supervisor {
    /// One line for every service, sorted by name.
    #[must_use]
    pub fn list(&self) -> Vec<Summary> {
        self.ids().filter_map(|id| self.summary(id)).collect()
    }

    /// One line for one service.
    #[must_use]
    pub fn summary(&self, id: ServiceId) -> Option<Summary> {
        let service = self.service(id)?;
        let reason = self.reason(id, service.cause);
        Some(Summary {
            name: self.name(id)?.clone(),
            description: self.description(id).map(|one| one.description.into()).unwrap_or_default(),
            state: service.state,
            since: service.since,
            reason_code: reason.code().to_owned(),
            reason: reason.to_string(),
            reason_service: reason.service().cloned(),
            pid: service.instance.as_ref().and_then(|instance| instance.pid).map(NonZeroU32::get),
            restarts: service.restarts,
        })
    }

    /// All that is known of one service.
    #[must_use]
    pub fn status(&self, id: ServiceId) -> Option<Status> {
        let service = self.service(id)?;
        let command = self.description(id).map(|one| one.command).unwrap_or_default();
        Some(Status {
            summary: self.summary(id)?,
            command: command.into_iter().map(String::from).collect(),
            status_text: service.status_text.to_string(),
            started: service.started,
            ready: service.ready,
            requires: self.names(self.graph.requires(id)),
            required_by: self.names(self.graph.required_by(id)),
            history: self.history(id, service),
        })
    }

    fn history(&self, id: ServiceId, service: &Service) -> Vec<Change> {
        let change = |past: &super::service::Past| {
            let reason = self.reason(id, past.cause);
            let (reason_code, reason) = (reason.code().to_owned(), reason.to_string());
            Change { at: past.at, to: past.to, reason_code, reason }
        };
        service.history.iter().map(change).collect()
    }

    fn names(&self, ids: &[ServiceId]) -> Vec<ServiceName> {
        ids.iter().filter_map(|id| self.name(*id).cloned()).collect()
    }

    /// The cause of a state of service `id`, with names.
    pub(super) fn reason(&self, id: ServiceId, cause: Cause) -> Reason {
        match cause {
            Cause::NotStarted => Reason::NotStarted,
            Cause::Autostart => Reason::Autostart,
            Cause::Requested => Reason::Requested,
            Cause::NeededBy(other) => self.naming(other, Reason::NeededBy),
            Cause::Restarted => Reason::Restarted,
            Cause::WaitsFor(other) => self.naming(other, Reason::WaitsFor),
            Cause::WaitsForConflict(other) => self.naming(other, Reason::WaitsForConflict),
            Cause::RequirementDown(other) => self.naming(other, Reason::RequirementDown),
            Cause::RequirementFailed(other) => self.naming(other, Reason::RequirementFailed),
            Cause::Conflict(other) => self.naming(other, Reason::Conflict),
            Cause::Fault => self.fault_reason(id),
            Cause::Ended(end) => end_reason(end),
            Cause::StartLimit(last) => self.start_limit_reason(id, last),
            Cause::StopTimeout => Reason::StopTimeout,
            Cause::Unkillable => Reason::Unkillable,
            Cause::BecameReady => Reason::BecameReady,
            Cause::Shutdown => Reason::Shutdown,
        }
    }

    /// A reason about another service.
    fn naming(&self, other: ServiceId, reason: fn(ServiceName) -> Reason) -> Reason {
        self.name(other).cloned().map_or(Reason::NotStarted, reason)
    }

    fn start_limit_reason(&self, id: ServiceId, last: End) -> Reason {
        let policy = self.policy(id);
        let within = policy.map_or(0, |one| one.start_limit_within().as_millis());
        Reason::StartLimit {
            count: policy.map_or(0, |one| one.start_limit_count),
            within_ms: u64::try_from(within).unwrap_or(u64::MAX),
            last: Box::new(end_reason(last)),
        }
    }

    fn fault_reason(&self, id: ServiceId) -> Reason {
        match self.graph.fault(id) {
            None => Reason::NotStarted,
            Some(Fault::BadDescription) => Reason::BadDescription(self.broken_text(id)),
            Some(Fault::Cycle(members)) => Reason::Cycle(self.names(members)),
            Some(Fault::RequirementUnknown(name)) => Reason::RequirementUnknown(name.clone()),
            Some(Fault::Excluded(other)) => self.naming(*other, Reason::Excluded),
            Some(Fault::SecondCollector(first)) => self.naming(*first, Reason::SecondCollector),
            Some(Fault::RequirementFailed(other)) => self.naming(*other, Reason::RequirementFailed),
        }
    }

    fn broken_text(&self, id: ServiceId) -> String {
        match self.loaded.get(id.0 as usize) {
            Some(Loaded::Broken { text, .. }) => text.to_string(),
            _ => String::new(),
        }
    }
}

fn end_reason(end: End) -> Reason {
    match end {
        End::SpawnFailed(error) => Reason::SpawnFailed(error),
        End::Exited(status) => Reason::Exited(status),
        End::OutOfMemory => Reason::OutOfMemory,
        End::StartTimeout => Reason::StartTimeout,
    }
}

/// The start of `text`, at most `limit_bytes` long, whole characters only.
pub(super) fn bounded(text: &str, limit_bytes: usize) -> Box<str> {
    text.get(..text.floor_char_boundary(limit_bytes)).unwrap_or(text).into()
}
