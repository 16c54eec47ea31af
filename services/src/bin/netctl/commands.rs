//! What the commands do.

use std::path::Path;

use serde_json::{Value, json};
use services::config_file::{load, problem};
use services::failure::Failure;
use services::network::config::{Appearance, Config, LINK_SORTS};
use services::network::config_reader::parse_config;
use services::network::control::{Answer, Request, ask};
use services::output::{print, print_json};
use services::problem::{Context, Problem};
use services::whole_file::Update;

use crate::Result;
use crate::arguments::{Arguments, Command, HELP};
use crate::edit::{self, Setting};
use crate::text;

/// Does what the command line asks for.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    match &arguments.command {
        Command::List => {
            let links = links(arguments)?;
            show(arguments, &links, text::list)
        }
        Command::Status(name) => {
            let link = link(arguments, name)?;
            show(arguments, &link, text::status)
        }
        Command::Lease(name) => lease(arguments, name.as_deref()),
        Command::Check(file) => check(arguments, file.as_deref()),
        Command::Renew(name) => order(arguments, &Request::Renew(name.clone()), Some(name)),
        Command::SetUp(name, up) => {
            order(arguments, &Request::SetUp(name.clone(), *up), Some(name))
        }
        Command::Set(name, setting) => set(arguments, name, setting),
        Command::Reload => reload(arguments),
        Command::Help => Ok(print(HELP)?),
        Command::Version => Ok(print(concat!("netctl ", env!("CARGO_PKG_VERSION"), "\n"))?),
    }
}

/// A name that no link has.
fn no_such_link(name: &str) -> Failure {
    Failure::no_such(format!("there is no link `{name}`"), "`netctl list` shows all links")
}

fn show(arguments: &Arguments, value: &Value, text: fn(&Value) -> String) -> Result<()> {
    Ok(if arguments.json { print_json(value) } else { print(&text(value)) }?)
}

/// Has `netd` do something. What it answers.
fn demand(arguments: &Arguments, request: &Request) -> Result<Value> {
    match ask(&arguments.socket, request)? {
        Answer::Done(value) => Ok(value),
        Answer::NoSuchLink(name) => Err(no_such_link(&name)),
        Answer::Failed(why) => Err(Problem::new(why).into()),
    }
}

/// Has `netd` change something. That the kernel refuses what the file says of the link, or of
/// any if there is no name, is an error.
fn order(arguments: &Arguments, request: &Request, name: Option<&str>) -> Result<()> {
    let refused = demand(arguments, request)?;
    let of_link = |link: &&Value| name.is_none_or(|name| link["name"] == name);
    match refused.as_array().into_iter().flatten().find(of_link) {
        None => Ok(()),
        Some(link) => {
            let name = link["name"].as_str().unwrap_or_default();
            let all = text::refusals(link).join(", ");
            Err(Problem::new(format!("{name}: the kernel refuses to {all}"))
                .with_hint(format!(
                    "the file is as it was asked for; `netctl status {name}` shows what the link has"
                ))
                .into())
        }
    }
}

fn links(arguments: &Arguments) -> Result<Value> {
    demand(arguments, &Request::Status)
}

fn link(arguments: &Arguments, name: &str) -> Result<Value> {
    let links = links(arguments)?;
    let mut all = links.as_array().into_iter().flatten();
    all.find(|link| link["name"] == name).cloned().ok_or_else(|| no_such_link(name))
}

fn lease(arguments: &Arguments, name: Option<&str>) -> Result<()> {
    let links = match name {
        Some(name) => json!([link(arguments, name)?]),
        None => links(arguments)?,
    };
    let all = links.as_array().into_iter().flatten();
    let leases: Vec<Value> = all
        .filter(|link| !link["dhcp"]["lease"].is_null())
        .map(|link| json!({ "link": link["name"], "lease": link["dhcp"]["lease"] }))
        .collect();
    if leases.is_empty()
        && let Some(name) = name
    {
        return Err(Problem::new(format!("`{name}` has no lease"))
            .with_hint(format!("`netctl status {name}` says how far it is"))
            .into());
    }
    show(arguments, &json!(leases), text::leases)
}

fn check(arguments: &Arguments, file: Option<&Path>) -> Result<()> {
    let path = file.unwrap_or(&arguments.config);
    parse(path, &load(path)?).map(|_| ())
}

fn parse(path: &Path, text: &str) -> Result<Config> {
    let shown = path.display().to_string();
    Ok(parse_config(&shown, text).map_err(|findings| problem(&findings))?)
}

/// Has `netd` read the file again, unless it has mistakes. `netd` would find them too, but has
/// one line to say so.
fn reload(arguments: &Arguments) -> Result<()> {
    let path = &arguments.config;
    // One that is not there or cannot be read here is for `netd` to judge.
    if let Ok(text) = load(path) {
        parse(path, &text)?;
    }
    order(arguments, &Request::Reload, None)
}

/// Changes the file, if the change makes sense, and has `netd` follow it.
fn set(arguments: &Arguments, name: &str, setting: &Setting) -> Result<()> {
    let link = link(arguments, name)?;
    let path = &arguments.config;
    let shown = path.display();
    let unwritable = || format!("cannot write `{shown}`");
    // From before it is read: what two people set at once is there afterwards, both of it.
    let update = Update::begin(path).context(unwritable)?;
    let former = if path.exists() { load(path)? } else { String::new() };
    let config = parse(path, &former)?;
    let kind = link["type"].as_str().unwrap_or_default();
    let look = Appearance {
        name,
        mac: link["mac"].as_str().and_then(|mac| mac.parse().ok()),
        driver: link["driver"].as_str(),
        sort: LINK_SORTS.iter().find(|(word, _)| *word == kind).map(|(_, sort)| *sort),
    };
    let current = config.links.iter().position(|entry| entry.matching.fits(&look));
    let changed = edit::set(&former, name, current, setting)
        .map_err(|error| Problem::new(format!("cannot change `{shown}`: {error}")))?;
    parse(path, &changed)?;
    update.commit(changed.as_bytes(), 0o644).context(unwritable)?;
    order(arguments, &Request::Reload, Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_mistakes_is_reloaded_as_it_is_checked() {
        let place = tempfile::tempdir().unwrap();
        let config = place.path().join("network.toml");
        let message = |command| {
            let socket = place.path().join("nobody");
            let config = config.clone();
            match run(&Arguments { command, json: false, socket, config }) {
                Err(Failure::Problem(_, problem)) => problem.to_string(),
                other => panic!("{other:?}"),
            }
        };
        let unanswered = message(Command::Reload);
        std::fs::write(&config, "hostnam = \"a\"\n[[link]]\ndhpc = true\n").unwrap();
        let reloaded = message(Command::Reload);
        assert_eq!(reloaded, message(Command::Check(None)));
        assert!(reloaded.contains("toml:1:1: ") && reloaded.contains("toml:3:1: "), "{reloaded}");
        assert!(reloaded.lines().count() >= 4, "{reloaded}");
        std::fs::write(&config, "").unwrap();
        assert_eq!(message(Command::Reload), unanswered);
    }
}
