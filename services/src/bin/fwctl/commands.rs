//! The commands: a file becomes the rules in force, or is told what is wrong with it.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use services::config_file;
use services::failure::{Code, Failure};
use services::output::{finding, print, print_json};
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

/// What to do where the rules are in force and could not be remembered.
const NOT_REMEMBERED: &str = "the rules are in force, but what is remembered of them is older, and a \
    trial would go back to that: apply them again when there is room";

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
        Command::Help => Ok(print(HELP)?),
        Command::Version => Ok(print(concat!("fwctl ", env!("CARGO_PKG_VERSION"), "\n"))?),
    }
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
        print_json(&Value::Array(findings.iter().map(finding).collect()))?;
    }
    match read {
        Ok(_) if is_json => Ok(()),
        Ok(rules) => {
            let count = rules.rules.len() + rules.masquerades.len() + rules.forwarded_ports.len();
            Ok(print(&format!("{}: {count} rules, nothing wrong\n", file.display()))?)
        }
        Err(_) if is_json => Err(Failure::Reported(Code::Failed)),
        Err(findings) => Err(Failure::from(config_file::problem(&findings))),
    }
}

fn shown(state: &State, is_json: bool) -> Done {
    let chains = Kernel::open()?.show()?;
    let trial = state.trial()?;
    match is_json {
        true => print_json(&show::json(chains.as_deref(), trial.as_ref()))?,
        false => print(&show::text(chains.as_deref(), trial.as_ref()))?,
    }
    Ok(())
}

fn apply(state: &State, file: &Path, or_close: bool) -> Done {
    let mut kernel = Kernel::open()?;
    let _lock = state.lock()?;
    let put = |kernel: &mut Kernel, text: &str, rules: &RuleSet| {
        kernel.replace(&compile(rules))?;
        let kept = state.keep(text);
        // Whether or not they are remembered: a trial's end would take these rules back.
        state.end_trial()?;
        kept.map_err(|problem| problem.with_hint(NOT_REMEMBERED))
    };
    match load(file).and_then(|(text, rules)| put(&mut kernel, &text, &rules)) {
        Ok(()) => Ok(()),
        Err(problem) if or_close && kernel.show()?.is_none() => {
            // The reason first: this may be read while the machine cannot be reached.
            problem.print(PROGRAM);
            put(&mut kernel, "", &RuleSet::default())?;
            let closed = Problem::new("nothing is let in until the rules are right");
            Err(Failure::from(closed.with_hint("`fwctl apply` after the mistake is corrected")))
        }
        Err(problem) => Err(Failure::from(problem)),
    }
}

fn try_out(state: &State, file: &Path, lasts: Duration) -> Done {
    let (text, rules) = load(file)?;
    let mut kernel = Kernel::open()?;
    let _lock = state.lock()?;
    if state.trial()?.is_some() {
        let problem = Problem::new("another trial is under way");
        let hint = "`fwctl confirm` keeps its rules, `fwctl apply` goes back to those of the file";
        return Err(Failure::from(problem.with_hint(hint)));
    }
    let trial = Trial::from_now(lasts)?;
    // The way back stands before the first step: whatever happens from here on is undone.
    state.begin_trial(&trial, &text)?;
    trial::start_waiting(state, &trial).inspect_err(|_| drop(state.end_trial()))?;
    if let Err(problem) = kernel.replace(&compile(&rules)) {
        state.end_trial()?;
        return Err(Failure::from(problem));
    }
    let seconds = lasts.as_secs();
    Ok(print(&format!("on trial for {seconds} s; `fwctl confirm` keeps these rules\n"))?)
}

fn confirm(state: &State, save: bool) -> Done {
    let _lock = state.lock()?;
    if state.trial()?.is_none() {
        let hint = "it may have ended: `fwctl show` says what is in force";
        return Err(Failure::no_such("there is no trial to confirm", hint));
    }
    let text = state.trial_text()?;
    if save {
        // First, so that a full disk leaves the trial as it is.
        crate::state::write(Path::new(RULES_FILE), &text)?;
    }
    state.keep(&text)?;
    Ok(state.end_trial()?)
}

fn off(state: &State) -> Done {
    let _lock = state.lock()?;
    Kernel::open()?.remove()?;
    let forgotten = state.forget();
    state.end_trial()?;
    Ok(forgotten?)
}
