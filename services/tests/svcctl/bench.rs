//! The PID 1 that the tests play, and what `svcctl` is run with.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use init_core::name::ServiceName;
use init_core::protocol::{Change, Frame, Reply, Request, Status, Summary};
use init_core::state::State;
use init_core::time::Timestamp;
use serde_json::Value;

pub(crate) const SVCCTL: &str = env!("CARGO_BIN_EXE_svcctl");

pub(crate) fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

/// A service that changed its state in the future, so that its age is always 0.
pub(crate) fn summary(service: &str, state: State, code: &str, reason: &str) -> Summary {
    Summary {
        name: name(service),
        description: format!("Does what {service} does"),
        state,
        since: Timestamp::from_nanos(u64::MAX),
        reason_code: code.to_owned(),
        reason: reason.to_owned(),
        reason_service: None,
        pid: None,
        restarts: 0,
    }
}

/// db has failed and web waits for it; logd is up.
pub(crate) fn services() -> Vec<Summary> {
    vec![
        summary("db", State::Failed, "exited", "exited with status 1"),
        Summary {
            pid: Some(61),
            restarts: 1,
            ..summary("logd", State::Ready, "became-ready", "ready")
        },
        Summary {
            reason_service: Some(name("db")),
            ..summary("web", State::Waiting, "waits-for", "waits for db")
        },
    ]
}

pub(crate) fn status(summary: Summary) -> Status {
    Status {
        command: vec!["/usr/sbin/x".to_owned(), "two words".to_owned()],
        status_text: String::new(),
        started: Some(Timestamp::from_millis(1_250)),
        ready: None,
        requires: Vec::new(),
        required_by: Vec::new(),
        history: vec![Change {
            at: Timestamp::from_millis(1_250),
            to: State::Starting,
            reason_code: "autostart".to_owned(),
            reason: "starts at boot".to_owned(),
        }],
        summary,
    }
}

/// What the played PID 1 answers unless a test wants something else.
pub(crate) fn answer(request: &Request) -> Reply {
    let find = |name: &ServiceName| services().into_iter().find(|service| service.name == *name);
    match request {
        Request::List => Reply::Services(services()),
        Request::Status { name } => match find(name) {
            Some(summary) => Reply::Service(Box::new(status(summary))),
            None => Reply::UnknownService(name.clone()),
        },
        Request::Operate { name, .. } => match find(name) {
            Some(summary) if summary.state == State::Failed => Reply::Failed(Box::new(summary)),
            Some(_) => Reply::Done,
            None => Reply::UnknownService(name.clone()),
        },
        Request::Shutdown { .. } => Reply::Done,
    }
}

/// A PID 1 on a socket, and a place for logs.
pub(crate) struct Bench {
    pub(crate) place: tempfile::TempDir,
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(answer)
    }

    pub(crate) fn with(answer: impl Fn(&Request) -> Reply + Send + Clone + 'static) -> Self {
        Self::raw(move |request| answer(request).encode().unwrap())
    }

    pub(crate) fn raw(answer: impl Fn(&Request) -> Vec<u8> + Send + Clone + 'static) -> Self {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("log")).unwrap();
        let listener = UnixListener::bind(place.path().join("control")).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (answer, heard) = (answer.clone(), Arc::clone(&heard));
                thread::spawn(move || serve(stream.unwrap(), &answer, &heard));
            }
        });
        Self { place, requests }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(SVCCTL);
        command.arg("--socket").arg(self.path("control"));
        command.arg("--log-directory").arg(self.path("log")).args(arguments);
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        Outcome::of(self.command(arguments).output().unwrap(), self.place.path())
    }

    pub(crate) fn json(&self, arguments: &[&str]) -> (Value, i32) {
        let outcome = self.run(&[&["--json"], arguments].concat());
        (serde_json::from_str(&outcome.stdout).unwrap(), outcome.code)
    }
}

fn serve(
    mut stream: UnixStream,
    answer: &impl Fn(&Request) -> Vec<u8>,
    heard: &Mutex<Vec<Request>>,
) {
    let mut received = Vec::new();
    let mut bytes = [0; 4096];
    while let Ok(length) = stream.read(&mut bytes)
        && length > 0
    {
        received.extend_from_slice(&bytes[..length]);
        while let Some(frame) = Frame::split(&received, 65_536).unwrap() {
            let request = Request::decode(frame.body).unwrap();
            let taken = frame.length_bytes;
            received.drain(..taken);
            heard.lock().unwrap().push(request.clone());
            let reply = answer(&request);
            if stream.write_all(&reply).is_err() || reply.is_empty() {
                return;
            }
        }
    }
}

#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Outcome {
    pub(crate) fn of(output: Output, place: &Path) -> Self {
        let text = |bytes| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(place.to_str().unwrap(), "PLACE")
        };
        let code = output.status.code().unwrap();
        Self { stdout: text(output.stdout), stderr: text(output.stderr), code }
    }
}

#[track_caller]
pub(crate) fn assert_outcome(outcome: &Outcome, stdout: &str, stderr: &str, code: i32) {
    assert_eq!(outcome.stdout, stdout);
    assert_eq!(outcome.stderr, stderr);
    assert_eq!(outcome.code, code);
}
