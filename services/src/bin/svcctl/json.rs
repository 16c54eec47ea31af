//! What programs read. Times are given twice: of day (RFC 3339, UTC) and in
//! microseconds since boot; absent values are `null`, never left out.

use init_core::protocol::{Change, Status, Summary};
use init_core::time::Timestamp;
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::explanation::Explanation;

fn since_boot_us(time: Timestamp) -> u64 {
    time.as_nanos() / 1_000
}

/// One service as `list` shows it.
pub(crate) fn summary(summary: &Summary, clock: Clock) -> Value {
    json!({
        "name": summary.name.as_str(),
        "description": summary.description,
        "state": summary.state.as_str(),
        "up": summary.state.is_up(),
        "since": clock.time_of_day(summary.since),
        "since_boot_us": since_boot_us(summary.since),
        "reason_code": summary.reason_code,
        "reason": summary.reason,
        "reason_service": summary.reason_service.as_ref().map(|name| name.as_str()),
        "pid": summary.pid,
        "restarts": summary.restarts,
    })
}

/// Everything about one service.
pub(crate) fn status(status: &Status, clock: Clock) -> Value {
    let mut value = summary(&status.summary, clock);
    let time = |time: Option<Timestamp>| time.map(|time| clock.time_of_day(time));
    let names = |names: &[init_core::name::ServiceName]| -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    };
    let more = json!({
        "command": status.command,
        "status_text": status.status_text,
        "started": time(status.started),
        "started_since_boot_us": status.started.map(since_boot_us),
        "ready": time(status.ready),
        "ready_since_boot_us": status.ready.map(since_boot_us),
        "requires": names(&status.requires),
        "required_by": names(&status.required_by),
        "history": history(&status.history, clock),
    });
    if let (Some(value), Value::Object(more)) = (value.as_object_mut(), more) {
        value.extend(more);
    }
    value
}

fn history(changes: &[Change], clock: Clock) -> Vec<Value> {
    let change = |change: &Change| {
        json!({
            "at": clock.time_of_day(change.at),
            "since_boot_us": since_boot_us(change.at),
            "to": change.to.as_str(),
            "reason_code": change.reason_code,
            "reason": change.reason,
        })
    };
    changes.iter().map(change).collect()
}

/// Why a service is as it is: the service itself first in `chain`, the cause last.
pub(crate) fn explanation(explanation: &Explanation, clock: Clock) -> Value {
    json!({
        "chain": explanation.chain.iter().map(|link| status(link, clock)).collect::<Vec<_>>(),
        "other": explanation.other.as_ref().map(|other| status(other, clock)),
        "not_described": explanation.not_described.as_ref().map(|name| name.as_str()),
        "log": explanation.log,
        "hint": explanation.advice(),
    })
}
