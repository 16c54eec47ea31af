//! The rung for the rescue shell: boots that cannot go on, and a person at the console.
//!
//! The person is `builder run`'s standard input and output, which shows at once that what
//! is typed there reaches the guest. They leave the shell, after which PID 1 is to try again
//! what failed and nothing else, and power off in the way that it names. What the guest left
//! of its disk is judged afterwards.

use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use super::boots::{Boots, Scratch};
use super::guest_checks::Verdict;
use super::judge;
use super::ladder::{Report, Rung};
use super::workspace::log_file;
use crate::arch::Arch;
use crate::error::{Error, IoContext, Result};
use crate::host::{Invocation, Running};

/// How long a guest may take from its start to its end.
const TIMEOUT: Duration = Duration::from_secs(300);
/// How long the shell may take to answer before it is asked again. It loses what is typed
/// while it asks the terminal for its size.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
/// How often it is looked at whether `builder run` has ended.
const PERIOD: Duration = Duration::from_millis(20);
/// How much of what the guest said instead is shown, in bytes.
const TAIL_BYTES: usize = 400;

/// A boot that cannot go on, and why.
struct Case {
    name: &'static str,
    parameters: &'static [&'static str],
    cause: &'static str,
}

const CASES: &[Case] = &[
    Case {
        name: "a root that is not there",
        parameters: &["root=LABEL=no-such-root", "rootwait=1"],
        // Behind it comes how long PID 1 has waited, on a busy host more than it was told to.
        cause: "no root LABEL=no-such-root after ",
    },
    Case {
        name: "an init that is no program",
        parameters: &["root=LABEL=root", "init=/etc/hostname"],
        cause: "/etc/hostname of the root is no file that can be executed",
    },
    // Only execve(2) tells, and that comes after the switch: `/` is the disk.
    Case {
        name: "an init that the kernel does not execute",
        parameters: &["root=LABEL=root", "init=/usr/lib/no-program"],
        cause: "cannot execute /usr/lib/no-program in the new root: ",
    },
];

/// The rung of the host's architecture, or of every one.
pub(super) fn rungs<'a>(boots: &Boots<'a>, is_long: bool) -> Vec<Rung<'a>> {
    boots.arches_of(is_long).map(|arch| boots.rung("rescue", arch, climb)).collect()
}

fn climb(boots: &Boots<'_>, arch: Arch, report: &mut Report) -> Result<()> {
    let built = boots.build(arch)?;
    let disk =
        built.disk.as_deref().ok_or_else(|| Error::internal("the image test has no disk"))?;
    let scratch = Scratch::new()?;
    let built_root = judge::root(disk, &scratch.directory("built")?)?;
    for case in CASES {
        let directory = scratch.directory("kept")?;
        let kept = directory.join("disk.img");
        let mut person = Person::sit_down(run(boots, arch, report, case, &kept)?)?;
        report.check(case.name, person.rescue(case));
        drop(person);
        let root = judge::root(&kept, &directory)?;
        judge::sound_root(report, &root);
        judge::nothing_gone(report, &built_root, &root);
        std::fs::remove_dir_all(&directory).at("remove", &directory)?;
    }
    Ok(())
}

/// `builder run` with the guest's console.
fn run(
    boots: &Boots<'_>,
    arch: Arch,
    report: &mut Report,
    case: &Case,
    kept: &Path,
) -> Result<Invocation> {
    let log = log_file(boots.project.root(), &format!("console {arch} {}", case.name))?;
    report.doing(format_args!("console: {}", log.display()));
    let parameters = case.parameters.iter().chain(&["init.rescue=shell"]);
    Ok(boots
        .builder_run(arch)?
        .args(parameters.map(|parameter| format!("--parameter={parameter}")))
        .arg("--keep-disk")
        .arg(kept)
        .arg("--console-log")
        .arg(log))
}

/// Somebody at the console of a guest.
struct Person {
    builder: Running,
    output: Receiver<Vec<u8>>,
    /// What the guest has said and nobody has looked at.
    unread: String,
    deadline: Instant,
}

impl Person {
    fn sit_down(run: Invocation) -> Result<Self> {
        let mut builder = run.spawn(Stdio::piped(), Stdio::piped(), Stdio::null())?;
        let stdout = builder.child().stdout.take();
        let mut stdout = stdout.ok_or_else(|| Error::internal("a pipe is missing"))?;
        let (sender, output) = mpsc::channel();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            // Ends with the pipe, or when nobody listens any more.
            while let Ok(length @ 1..) = stdout.read(&mut chunk) {
                if sender.send(chunk[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        let deadline = Instant::now() + TIMEOUT;
        Ok(Self { builder, output, unread: String::new(), deadline })
    }

    /// Leaves the shell once, and then powers off.
    fn rescue(&mut self, case: &Case) -> Verdict {
        let cause = format!("boot cannot go on: {}", case.cause);
        self.sees(&cause, self.deadline)?;
        self.has_shell()?;
        self.types("exit")?;
        self.sees(&cause, self.deadline).map_err(|why| format!("it is not tried again: {why}"))?;
        self.has_shell()?;
        self.types("kill -TERM 1")?;
        self.ends()?;
        Ok("left once, then powered off".to_owned())
    }

    fn has_shell(&mut self) -> Result<(), String> {
        self.sees("init: rescue shell; ", self.deadline)?;
        loop {
            self.types("echo answer-$((6*7))")?;
            match self.sees("answer-42", Instant::now() + ANSWER_TIMEOUT) {
                Err(why) if Instant::now() >= self.deadline => return Err(why),
                Err(_) => {}
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Reads on until the guest has said `expected`.
    fn sees(&mut self, expected: &str, deadline: Instant) -> Result<(), String> {
        loop {
            if let Some((_, rest)) = self.unread.split_once(expected) {
                self.unread = rest.to_owned();
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.unread.push_str(&String::from_utf8_lossy(&bytes)),
                Err(RecvTimeoutError::Timeout) => return Err(self.missing(expected)),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(format!("it has ended: {}", self.missing(expected)));
                }
            }
        }
    }

    fn missing(&self, expected: &str) -> String {
        let from = self.unread.len().saturating_sub(TAIL_BYTES);
        let tail = self.unread.get(from..).unwrap_or(&self.unread);
        format!("no {expected:?}, but {tail:?}")
    }

    fn types(&mut self, line: &str) -> Result<(), String> {
        let stdin = self.builder.child().stdin.as_mut();
        let stdin = stdin.ok_or("its standard input is gone")?;
        stdin.write_all(format!("{line}\r").as_bytes()).map_err(|error| error.to_string())
    }

    /// Waits for the end of `builder run`, which is to be an orderly one.
    fn ends(&mut self) -> Result<(), String> {
        while Instant::now() < self.deadline {
            match self.builder.child().try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(format!("`builder run` ended with {status}")),
                Ok(None) => thread::sleep(PERIOD),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("it does not power off".to_owned())
    }
}
