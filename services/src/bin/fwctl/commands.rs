//! The commands: a file becomes the rules in force, or is told what is wrong with it.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use init_core::diagnostic::Finding;
use serde_json::{Value, json};
use services::config_file;
use services::problem::{Problem, Result};

use crate::PROGRAM;
use crate::arguments::{Arguments, Command, HELP, RULES_FILE};
use crate::compile::compile;
use crate::kernel::Kernel;
use crate::read;
use crate::rule_set::RuleSet;
use crate::show;
use crate::state::{State, Trial};
use crate::trial;

/// How a command fails, which decides the exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line is wrong.
    Usage(Problem),
    /// The operation failed.
    Failed(Problem),
    /// There is no trial.
    NoTrial(Problem),
    /// All has been said.
    Reported,
    /// Nobody reads the output any more.
    NobodyReads,
}

impl Failure {
    /// Says what is to be said and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (code, problem) = match self {
            Self::Usage(problem) => (2, problem),
            Self::Failed(problem) => (1, problem),
            Self::NoTrial(problem) => (4, problem),
            Self::Reported => return ExitCode::FAILURE,
            Self::NobodyReads => return ExitCode::SUCCESS,
        };
        problem.print(PROGRAM);
        ExitCode::from(code)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::NobodyReads,
            _ => Self::Failed(Problem::new(format!("cannot write the output: {error}"))),
        }
    }
}

type Done = std::result::Result<(), Failure>;

/// Does what the command line asks for.
pub(crate) fn run(arguments: &Arguments) -> Done {
    let state = State::new(&arguments.state);
    match &arguments.command {
        Command::Check { file } => check(file, arguments.json),
        Command::Show => shown(&state, arguments.json),
        Command::Apply { file, or_close } => apply(&state, file, *or_close),
        Command::Try { file, lasts } => try_out(&state, file, *lasts),
        Command::Confirm { save } => confirm(&state, *save),
        Command::Off => off(&state),
        Command::AwaitConfirmation { id } => Ok(trial::await_confirmation(&state, id)?),
        Command::Help => print(HELP),
        Command::Version => print(concat!("fwctl ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

fn print(text: &str) -> Done {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// The rules in a file, with its text.
fn load(file: &Path) -> Result<(String, RuleSet)> {
    let text = config_file::load(file).map_err(|problem| match file == Path::new(RULES_FILE) {
        true => problem.with_hint("docs/firewall.md shows one to begin with"),
        false => problem,
    })?;
    let rules = read::parse(&file.display().to_string(), &text);
    let rules = rules.map_err(|findings| config_file::problem(&findings))?;
    Ok((text, rules))
}

fn check(file: &Path, is_json: bool) -> Done {
    let text = config_file::load(file)?;
    let read = read::parse(&file.display().to_string(), &text);
    if is_json {
        let findings = read.as_ref().err().map(Vec::as_slice).unwrap_or_default();
        let list = Value::Array(findings.iter().map(finding).collect());
        print(&format!("{list:#}\n"))?;
    }
    match read {
        Ok(_) if is_json => Ok(()),
        Ok(rules) => {
            let count = rules.rules.len() + rules.masquerades.len() + rules.forwarded_ports.len();
            print(&format!("{}: {count} rules, nothing wrong\n", file.display()))
        }
        Err(_) if is_json => Err(Failure::Reported),
        Err(findings) => Err(Failure::Failed(config_file::problem(&findings))),
    }
}

fn finding(finding: &Finding) -> Value {
    json!({
        "file": finding.place.file,
        "line": finding.place.line,
        "column": finding.place.column,
        "message": finding.message,
        "hint": finding.hint,
    })
}

fn shown(state: &State, is_json: bool) -> Done {
    let chains = Kernel::open()?.show()?;
    let trial = state.trial()?;
    match is_json {
        true => print(&format!("{:#}\n", show::json(chains.as_deref(), trial.as_ref()))),
        false => print(&show::text(chains.as_deref(), trial.as_ref())),
    }
}

fn apply(state: &State, file: &Path, or_close: bool) -> Done {
    let kernel = Kernel::open()?;
    let _lock = state.lock()?;
    let put = |text: &str, rules: &RuleSet| {
        kernel.replace(&compile(rules))?;
        state.keep(text)?;
        state.end_trial()
    };
    match load(file).and_then(|(text, rules)| put(&text, &rules)) {
        Ok(()) => Ok(()),
        Err(problem) if or_close && kernel.show()?.is_none() => {
            // The reason first: this may be read while the machine cannot be reached.
            problem.print(PROGRAM);
            put("", &RuleSet::default())?;
            let closed = Problem::new("nothing is let in until the rules are right");
            Err(Failure::Failed(closed.with_hint("`fwctl apply` after the mistake is corrected")))
        }
        Err(problem) => Err(Failure::Failed(problem)),
    }
}

fn try_out(state: &State, file: &Path, lasts: Duration) -> Done {
    let (text, rules) = load(file)?;
    let kernel = Kernel::open()?;
    let _lock = state.lock()?;
    if state.trial()?.is_some() {
        let problem = Problem::new("another trial is under way");
        let hint = "`fwctl confirm` keeps its rules, `fwctl apply` goes back to those of the file";
        return Err(Failure::Failed(problem.with_hint(hint)));
    }
    let trial = Trial::from_now(lasts)?;
    // The way back stands before the first step: whatever happens from here on is undone.
    state.begin_trial(&trial, &text)?;
    trial::start_waiting(state, &trial).inspect_err(|_| drop(state.end_trial()))?;
    if let Err(problem) = kernel.replace(&compile(&rules)) {
        state.end_trial()?;
        return Err(Failure::Failed(problem));
    }
    let seconds = lasts.as_secs();
    print(&format!("on trial for {seconds} s; `fwctl confirm` keeps these rules\n"))
}

fn confirm(state: &State, save: bool) -> Done {
    let _lock = state.lock()?;
    if state.trial()?.is_none() {
        let problem = Problem::new("there is no trial to confirm");
        let hint = "it may have ended: `fwctl show` says what is in force";
        return Err(Failure::NoTrial(problem.with_hint(hint)));
    }
    let text = state.trial_text()?;
    if save {
        // First, so that a full disk leaves the trial as it is.
        crate::state::write_whole(Path::new(RULES_FILE), &text)?;
    }
    state.keep(&text)?;
    Ok(state.end_trial()?)
}

fn off(state: &State) -> Done {
    let _lock = state.lock()?;
    Kernel::open()?.remove()?;
    state.forget()?;
    Ok(state.end_trial()?)
}
