//! What `svcctl` and PID 1 say to each other over `/run/init/control`.
//!
//! Frames and bytes are laid down in `docs/control-protocol.md`. A request is
//! untrusted bytes until it has been decoded; decoding is bounded and total.

mod codec;
mod wire;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::event::{Operation, ShutdownKind};
use crate::name::ServiceName;
use crate::state::State;
use crate::time::Timestamp;

pub use wire::{Frame, ProtocolError};

/// Version of the protocol: the first byte of every frame's body.
pub const VERSION: u8 = 1;

/// Largest body of a request's frame, in bytes.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Largest body of a reply's frame, in bytes.
pub const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Path of the control socket, a `SOCK_STREAM` UNIX socket.
pub const CONTROL_SOCKET: &str = "/run/init/control";

/// What a client asks.
#[derive(Clone, PartialEq, Debug)]
pub enum Request {
    /// A [`Summary`] of every service.
    List,
    /// The [`Status`] of one service.
    Status {
        /// Which service.
        name: ServiceName,
    },
    /// Do something with one service; the reply comes when it is done or has failed.
    Operate {
        /// What.
        operation: Operation,
        /// With which service.
        name: ServiceName,
    },
    /// Take the system down. The reply comes at once.
    Shutdown {
        /// How it ends.
        kind: ShutdownKind,
    },
}

/// What PID 1 answers.
#[derive(Clone, PartialEq, Debug)]
pub enum Reply {
    /// To [`Request::List`]: sorted by name.
    Services(Vec<Summary>),
    /// To [`Request::Status`].
    Service(Box<Status>),
    /// The operation did what was asked.
    Done,
    /// The operation did not do what was asked: the service as it is now.
    Failed(Box<Summary>),
    /// There is no service of this name.
    UnknownService(ServiceName),
    /// The client's user may not ask this.
    Denied,
    /// The request could not be decoded; the text says why.
    BadRequest(String),
}

/// One service in a line.
#[derive(Clone, PartialEq, Debug)]
pub struct Summary {
    /// Its name.
    pub name: ServiceName,
    /// Its description's one line.
    pub description: String,
    /// Its state.
    pub state: State,
    /// When it entered that state.
    pub since: Timestamp,
    /// Why it is in that state, for programs: a word out of `docs/control-protocol.md`.
    pub reason_code: String,
    /// Why it is in that state, for people: a lowercase fragment.
    pub reason: String,
    /// The other service that reason is about, if it is about one: whom to ask next.
    pub reason_service: Option<ServiceName>,
    /// Its main process, if one runs.
    pub pid: Option<u32>,
    /// How often it was started again without being asked to, since a person last started it.
    pub restarts: u32,
}

impl Summary {
    /// The reason in one line, for a table: of a description's mistakes, which have a line each
    /// and hints in lines further in, the first one.
    #[must_use]
    pub fn reason_line(&self) -> String {
        let mut mistakes = self.reason.lines().filter(|line| !line.starts_with(' '));
        let first = mistakes.next().unwrap_or_default();
        match mistakes.count() {
            0 => first.into(),
            more => format!("{first} (and {more} more)"),
        }
    }
}

/// Everything PID 1 knows of one service.
#[derive(Clone, PartialEq, Debug)]
pub struct Status {
    /// What `list` shows.
    pub summary: Summary,
    /// Its command line.
    pub command: Vec<String>,
    /// What it last said of itself (`STATUS=` of sd_notify(3)); may be empty.
    pub status_text: String,
    /// When its present or last instance was started, and when that became ready.
    pub started: Option<Timestamp>,
    /// See `started`.
    pub ready: Option<Timestamp>,
    /// Services it requires, by name.
    pub requires: Vec<ServiceName>,
    /// Services that require it, by name.
    pub required_by: Vec<ServiceName>,
    /// Its last changes of state, oldest first; bounded.
    pub history: Vec<Change>,
}

/// One change of state.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// To which state.
    pub to: State,
    /// Why, for programs.
    pub reason_code: String,
    /// Why, for people.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_of_several_lines_is_one_line_of_a_table() {
        for (reason, line) in [
            ("by request", "by request"),
            ("", ""),
            ("f:1:1: a\n  hint: b", "f:1:1: a"),
            ("f:1:1: a\n  hint: b\nf:2:1: c\nf:3:1: d\n  hint: e", "f:1:1: a (and 2 more)"),
        ] {
            let summary = Summary {
                name: ServiceName::new("a").unwrap(),
                description: String::new(),
                state: State::Failed,
                since: Timestamp::ZERO,
                reason_code: String::new(),
                reason: reason.into(),
                reason_service: None,
                pid: None,
                restarts: 0,
            };
            assert_eq!(summary.reason_line(), line);
        }
    }
}
