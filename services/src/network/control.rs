//! What `netctl` and `netd` say to each other over `/run/netd/control`: a line of
//! JSON each way. Root may change things, members of `wheel` may look.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::problem::{Context, Problem, Result};

/// The socket.
pub const CONTROL_SOCKET: &str = "/run/netd/control";

/// Longest request, in bytes: a word and a name.
pub const REQUEST_BYTES_MAX: usize = 1024;

/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Longest time until `netd` answers: it never waits for the network to do so.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// What can be asked of `netd`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Request {
    /// Everything about every link.
    Status,
    /// Ask for the lease of a link again.
    Renew(String),
    /// Switch a link on, or off until it is switched on again.
    SetUp(String, bool),
    /// Read the file again and make the network as it says.
    Reload,
}

impl Request {
    /// The line for it, without its end.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Status => json!({ "do": "status" }),
            Self::Renew(link) => json!({ "do": "renew", "link": link }),
            Self::SetUp(link, true) => json!({ "do": "up", "link": link }),
            Self::SetUp(link, false) => json!({ "do": "down", "link": link }),
            Self::Reload => json!({ "do": "reload" }),
        }
        .to_string()
    }

    /// Reads a line.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(line: &str) -> std::result::Result<Self, String> {
        let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let link = || {
            let name = value.get("link").and_then(Value::as_str);
            name.map(str::to_owned).ok_or_else(|| "`link` is missing".to_owned())
        };
        match value.get("do").and_then(Value::as_str) {
            Some("status") => Ok(Self::Status),
            Some("renew") => Ok(Self::Renew(link()?)),
            Some("up") => Ok(Self::SetUp(link()?, true)),
            Some("down") => Ok(Self::SetUp(link()?, false)),
            Some("reload") => Ok(Self::Reload),
            other => Err(format!("there is no request {other:?}")),
        }
    }

    /// Whether it only looks.
    #[must_use]
    pub fn only_looks(&self) -> bool {
        matches!(self, Self::Status)
    }
}

/// What `netd` answers.
#[derive(Clone, PartialEq, Debug)]
pub enum Answer {
    /// Done; what was asked for, or null.
    Done(Value),
    /// There is no such link.
    NoSuchLink(String),
    /// It could not be done, and why.
    Failed(String),
}

impl Answer {
    /// The line for it, without its end.
    #[must_use]
    pub fn encode(&self) -> String {
        match self {
            Self::Done(value) => json!({ "done": value }),
            Self::NoSuchLink(name) => json!({ "no-such-link": name }),
            Self::Failed(why) => json!({ "failed": why }),
        }
        .to_string()
    }

    fn decode(line: &str) -> std::result::Result<Self, String> {
        let value: Value = serde_json::from_str(line).map_err(|error| error.to_string())?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        if let Some(name) = text("no-such-link") {
            return Ok(Self::NoSuchLink(name));
        }
        if let Some(why) = text("failed") {
            return Ok(Self::Failed(why));
        }
        value.get("done").cloned().map(Self::Done).ok_or_else(|| "no answer in it".to_owned())
    }
}

/// Asks `netd` at `socket`.
///
/// # Errors
/// It cannot be reached or does not speak the protocol. An answer that says no is none.
pub fn ask(socket: &Path, request: &Request) -> Result<Answer> {
    let shown = socket.display();
    let mut stream = UnixStream::connect(socket).map_err(|error| {
        let problem = Problem::new(format!("cannot reach netd at `{shown}`: {error}"));
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                problem.with_hint("root may use it, and members of the group `wheel` may look")
            }
            _ => problem.with_hint("`svcctl why netd` says whether it runs"),
        }
    })?;
    let talk = |stream: &mut UnixStream| -> std::io::Result<String> {
        stream.set_read_timeout(Some(ANSWER_TIME_MAX))?;
        stream.write_all(format!("{}\n", request.encode()).as_bytes())?;
        let mut line = String::new();
        BufReader::new(stream.take(ANSWER_BYTES_MAX)).read_line(&mut line)?;
        Ok(line)
    };
    let line = talk(&mut stream).context(|| format!("cannot talk to netd at `{shown}`"))?;
    Answer::decode(line.trim_end())
        .map_err(|error| Problem::new(format!("netd at `{shown}` answers nonsense: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_survive_the_way() {
        let name = || "eth0".to_owned();
        for request in [
            Request::Status,
            Request::Renew(name()),
            Request::SetUp(name(), true),
            Request::SetUp(name(), false),
            Request::Reload,
        ] {
            assert_eq!(Request::decode(&request.encode()), Ok(request.clone()));
            assert_eq!(request.only_looks(), request == Request::Status);
        }
        let value = json!([{ "name": "eth0" }]);
        for answer in [
            Answer::Done(Value::Null),
            Answer::Done(value),
            Answer::NoSuchLink(name()),
            Answer::Failed("no".to_owned()),
        ] {
            assert_eq!(Answer::decode(&answer.encode()), Ok(answer));
        }
    }

    #[test]
    fn nonsense_is_refused() {
        for line in ["", "{", "[]", "{}", "{\"do\":1}", "{\"do\":\"renew\"}", "{\"do\":\"dance\"}"]
        {
            assert!(Request::decode(line).is_err(), "{line}");
            assert!(Answer::decode(line).is_err(), "{line}");
        }
    }
}
