//! `system-check` compares the running system with the manifest of its image and says
//! what is off: files, services, mounts, kernel.
//!
//! [`files`], [`services`], [`mounts`] and [`kernel`] each look at one part and return
//! findings. Absent: repair, a watch over time, and trust: who can change `/usr` can
//! change the manifest too (dm-verity is what keeps them from it).

mod files;
mod kernel;
mod mounts;
mod services;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use ::services::failure::{Code, Failure};
use ::services::problem::{Context, Problem, Result};
use ::services::{output, program};
use init_core::protocol::CONTROL_SOCKET;
use init_core::system_manifest::{PATH, SystemManifest};
use lexopt::{Arg, ValueExt};
use serde_json::{Value, json};

const PROGRAM: &str = "system-check";

const HELP: &str = "\
Compares the running system with what its image was built to be.

Usage: system-check [OPTIONS]

Options:
      --only PARTS      these parts, with commas between: files, services, mounts,
                        kernel [default: all]
      --strict          files below /etc, /home, /root, /srv and /var must have the
                        content of the image too
      --root DIR        the system's files are below DIR [default: /]
      --manifest FILE   compare with this [default: /usr/lib/keelson/manifest]
      --socket PATH     PID 1's control socket [default: /run/init/control]
      --json            for programs
  -h, --help            this text

A line for everything that is off, then how much was looked at.
Exit codes: 0 nothing is off, 1 something is or could not be looked at, 2 the command
line is wrong.
";

/// Parts of a system that are looked at.
const PARTS: [&str; 4] = ["files", "services", "mounts", "kernel"];

/// Something that is not as it was meant to be.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Finding {
    /// One of `file`, `service`, `mount`, `kernel`.
    part: &'static str,
    /// Which of them.
    subject: String,
    /// What is off: a lowercase fragment.
    message: String,
}

/// What came of looking at one part.
#[derive(Debug, Default)]
struct Outcome {
    /// How many things were looked at.
    looked_at: usize,
    findings: Vec<Finding>,
}

impl Outcome {
    fn find(&mut self, part: &'static str, subject: impl Into<String>, what: impl Into<String>) {
        self.findings.push(Finding { part, subject: subject.into(), message: what.into() });
    }
}

struct Settings {
    parts: Vec<&'static str>,
    strict: bool,
    root: PathBuf,
    manifest: Option<PathBuf>,
    socket: PathBuf,
    json: bool,
}

fn main() -> ExitCode {
    program::run(PROGRAM, HELP, parse, |settings| report(&settings))
}

/// Says what is off; that something is, is a failure.
fn report(settings: &Settings) -> std::result::Result<(), Failure> {
    let (manifest, outcomes) = check(settings)?;
    match settings.json {
        true => output::print_json(&json(&manifest, &outcomes))?,
        false => output::print(&text(&outcomes))?,
    }
    let is_well = outcomes.iter().all(|(_, outcome)| outcome.findings.is_empty());
    if is_well { Ok(()) } else { Err(Failure::Reported(Code::Failed)) }
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<Settings>> {
    let mut settings = Settings {
        parts: PARTS.to_vec(),
        strict: false,
        root: PathBuf::from("/"),
        manifest: None,
        socket: PathBuf::from(CONTROL_SOCKET),
        json: false,
    };
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("only") => settings.parts = parser.value()?.parse_with(parts)?,
            Arg::Long("strict") => settings.strict = true,
            Arg::Long("root") => settings.root = parser.value()?.into(),
            Arg::Long("manifest") => settings.manifest = Some(parser.value()?.into()),
            Arg::Long("socket") => settings.socket = parser.value()?.into(),
            Arg::Long("json") => settings.json = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(settings))
}

fn parts(text: &str) -> std::result::Result<Vec<&'static str>, String> {
    let known = |word: &str| {
        let part = PARTS.iter().find(|part| **part == word).copied();
        part.ok_or_else(|| format!("the parts are {}", PARTS.join(", ")))
    };
    text.split(',').map(known).collect()
}

fn check(settings: &Settings) -> Result<(SystemManifest, Vec<(&'static str, Outcome)>)> {
    let path = settings.manifest.clone().unwrap_or_else(|| below(&settings.root, PATH));
    let manifest = read_manifest(&path)?;
    let looked = |part: &&'static str| {
        let outcome = match *part {
            "files" => files::check(&settings.root, &manifest, settings.strict),
            "services" => services::check(&settings.socket, &manifest),
            "mounts" => mounts::check(&manifest),
            _ => kernel::check(&manifest),
        };
        (*part, outcome)
    };
    let outcomes = settings.parts.iter().map(looked).collect();
    Ok((manifest, outcomes))
}

fn read_manifest(path: &Path) -> Result<SystemManifest> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| {
        let problem = Problem::new(format!("cannot read `{shown}`: {error}"));
        match error.kind() {
            io::ErrorKind::NotFound => {
                problem.with_hint("the builder writes it into images that have `system-check`")
            }
            _ => problem,
        }
    })?;
    SystemManifest::parse(&text).context(|| format!("`{shown}` is no manifest"))
}

/// A path of the system below `root`.
fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn text(outcomes: &[(&'static str, Outcome)]) -> String {
    let mut text = String::new();
    let findings = outcomes.iter().flat_map(|(_, outcome)| &outcome.findings);
    for Finding { part, subject, message } in findings.clone() {
        text += &format!("{part} {subject}: {message}\n");
    }
    let looked: Vec<String> = outcomes
        .iter()
        .map(|(part, outcome)| match (*part, outcome.looked_at) {
            ("kernel", _) => "the kernel".to_owned(),
            (part, 1) => format!("1 {}", part.trim_end_matches('s')),
            (part, count) => format!("{count} {part}"),
        })
        .collect();
    let verdict = match findings.count() {
        0 => "nothing is off".to_owned(),
        1 => "1 thing is off".to_owned(),
        count => format!("{count} things are off"),
    };
    text + &format!("{}: {verdict}\n", looked.join(", "))
}

fn json(manifest: &SystemManifest, outcomes: &[(&'static str, Outcome)]) -> Value {
    let findings: Vec<Value> = outcomes
        .iter()
        .flat_map(|(_, outcome)| &outcome.findings)
        .map(|finding| {
            json!({
                "part": finding.part,
                "subject": finding.subject,
                "message": finding.message,
            })
        })
        .collect();
    let looked_at: serde_json::Map<String, Value> = outcomes
        .iter()
        .map(|(part, outcome)| ((*part).to_owned(), json!(outcome.looked_at)))
        .collect();
    json!({ "image": manifest.image, "looked_at": looked_at, "findings": findings })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_off_is_said_line_by_line_and_counted() {
        let mut files = Outcome { looked_at: 12, ..Outcome::default() };
        let kernel = Outcome { looked_at: 1, ..Outcome::default() };
        assert_eq!(
            text(&[("files", Outcome { looked_at: 1, ..Outcome::default() }), ("kernel", kernel)]),
            "1 file, the kernel: nothing is off\n"
        );
        files.find("file", "/usr/bin/a", "it is missing");
        assert_eq!(
            text(&[("files", files)]),
            "file /usr/bin/a: it is missing\n12 files: 1 thing is off\n"
        );
        assert!(parts("files,kernel").is_ok() && parts("nonsense").is_err());
    }
}
