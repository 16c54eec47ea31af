//! `modprobe`: loads what a name or an alias stands for, with all that it needs, or unloads it.
//!
//! The kernel calls it as `/sbin/modprobe -q -- NAME` (kernel/module/kmod.c).

use std::ffi::OsString;

use init_core::modinfo::canonical;
use lexopt::{Arg, ValueExt};
use services::config_file;
use services::failure::{Code, Failure};
use services::modules::catalog::{self, Catalog, Found, Step};
use services::modules::config::Config;
use services::modules::{directory, kernel};
use services::output;
use services::problem::{Context, Problem};

use crate::Result;

const HELP: &str = "\
Has the kernel load a module and all that it needs, or unload them.

Usage: modprobe [OPTIONS] MODULE [PARAMETER=VALUE...]
       modprobe [OPTIONS] -a MODULE...
       modprobe [OPTIONS] -r MODULE...

MODULE is a name, or an alias such as a device's MODALIAS.

Options:
  -a, --all             every word is a module
  -r, --remove          unload, and what was needed and nobody uses any more; what is
                        not loaded is no error
  -b, --use-blacklist   what /etc/modprobe.d blacklists stays out by its name too
  -n, --dry-run         find and check, but change nothing
  -D, --show-depends    print the files that would be loaded, in order, and load none
  -v, --verbose         print what is done
  -q, --quiet           a name that nothing has is no message
  -h, --help            this text

Lines `alias`, `blacklist` and `options` of /etc/modprobe.d/*.conf are obeyed, and
MODULE.PARAMETER=VALUE on the kernel command line. `modtools check` reads them for mistakes.
Exit status: 0 done, 1 failed, 2 usage, 4 no such module.
";

/// What the command line asks for.
#[derive(Debug, Default)]
struct Request {
    all: bool,
    remove: bool,
    use_blacklist: bool,
    dry_run: bool,
    show: bool,
    verbose: bool,
    quiet: bool,
    modules: Vec<String>,
    parameters: Vec<String>,
}

pub(crate) fn run(words: Vec<OsString>) -> Result<()> {
    let Some(request) = parse(words)? else { return Ok(output::print(HELP)?) };
    let (config, findings) =
        Config::of_system().context(|| "cannot read the files of modprobe.d".to_owned())?;
    if !findings.is_empty() {
        return Err(config_file::problem(&findings).into());
    }
    let directory = directory();
    let Some(catalog) = Catalog::open(&directory, config)? else {
        if request.quiet {
            return Err(Failure::Reported(Code::NoSuchThing));
        }
        let message =
            format!("there are no modules: no `{}`", directory.join("modules.dep").display());
        let hint = "docs/kernel.md says how a kernel has modules";
        return Err(Failure::no_such(message, hint));
    };
    each(&request, |module| match request.remove {
        true => remove(&catalog, module, &request),
        false => load(&catalog, module, &request),
    })
}

/// Does it with each of the modules. One of several that fails keeps the others from nothing.
fn each(request: &Request, mut act: impl FnMut(&str) -> Result<()>) -> Result<()> {
    let mut failed = None;
    for module in &request.modules {
        match act(module) {
            Err(failure) if request.all || request.modules.len() > 1 => {
                let _ = failure.report("modprobe");
                failed = Some(Failure::Reported(Code::Failed));
            }
            result => result?,
        }
    }
    failed.map_or(Ok(()), Err)
}

fn parse(words: Vec<OsString>) -> Result<Option<Request>> {
    let mut request = Request::default();
    let mut named = Vec::new();
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('a') | Arg::Long("all") => request.all = true,
            Arg::Short('r') | Arg::Long("remove") => request.remove = true,
            Arg::Short('b') | Arg::Long("use-blacklist") => request.use_blacklist = true,
            Arg::Short('n') | Arg::Long("dry-run") => request.dry_run = true,
            Arg::Short('D') | Arg::Long("show-depends") => request.show = true,
            Arg::Short('v') | Arg::Long("verbose") => request.verbose = true,
            Arg::Short('q') | Arg::Long("quiet") => request.quiet = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(word) => named.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    if named.is_empty() {
        return Err(Failure::usage("no module is named", "`--help` explains the options"));
    }
    if !request.all && !request.remove {
        request.parameters = named.split_off(1);
    }
    request.modules = named;
    Ok(Some(request))
}

fn load(catalog: &Catalog, word: &str, request: &Request) -> Result<()> {
    let names = match catalog.find(word, request.use_blacklist) {
        Found::Modules(names) => names,
        Found::BuiltIn => return say(request, &format!("builtin {word}\n")),
        Found::Blacklisted(_) | Found::Nothing if request.quiet => {
            return Err(Failure::Reported(Code::NoSuchThing));
        }
        Found::Blacklisted(names) => {
            let message = format!("`{word}` is blacklisted: {}", names.join(", "));
            let hint = "`modprobe` without `-b` loads a module by its own name all the same";
            return Err(Problem::new(message).with_hint(hint).into());
        }
        Found::Nothing => return Err(no_such(word)),
    };
    for name in names {
        let steps = catalog.plan(&name);
        if request.show {
            output::print(&lines(&steps, &name, &request.parameters))?;
            continue;
        }
        let new: Vec<Step> =
            steps.into_iter().filter(|step| !kernel::is_live(&step.name)).collect();
        say(request, &lines(&new, &name, &request.parameters))?;
        if !request.dry_run {
            catalog::load(&new, &name, &request.parameters)?;
        }
    }
    Ok(())
}

/// A line for each module, as a command that loads it.
fn lines(steps: &[Step], name: &str, parameters: &[String]) -> String {
    let line = |step: &Step| {
        let own = if step.name == name { parameters } else { &[] };
        let file = step.file.display().to_string();
        let words: Vec<&str> = ["insmod", &file]
            .into_iter()
            .chain(step.options.iter().chain(own).map(String::as_str))
            .collect();
        words.join(" ") + "\n"
    };
    steps.iter().map(line).collect()
}

fn say(request: &Request, text: &str) -> Result<()> {
    if request.verbose || request.show {
        output::print(text)?;
    }
    Ok(())
}

fn no_such(word: &str) -> Failure {
    Failure::no_such(
        format!("there is no module `{word}`, and nothing built in of that name"),
        "`modinfo -F alias MODULE` shows what a module is for; the image may lack it",
    )
}

/// Unloads what is loaded of that; what is not, is as it is wanted.
fn remove(catalog: &Catalog, word: &str, request: &Request) -> Result<()> {
    let names = match catalog.find(word, false) {
        Found::Modules(names) | Found::Blacklisted(names) => names,
        Found::BuiltIn => {
            return Err(Problem::new(format!("`{word}` is built into the kernel")).into());
        }
        Found::Nothing if request.quiet => return Err(Failure::Reported(Code::NoSuchThing)),
        Found::Nothing => return Err(no_such(word)),
    };
    let mut names: Vec<String> =
        names.iter().map(|name| canonical(name)).filter(|name| kernel::is_live(name)).collect();
    let further: Vec<String> = names.iter().flat_map(|name| catalog.needs(name)).collect();
    let asked = names.len();
    names.extend(further);
    for (index, name) in names.iter().enumerate() {
        // What was needed and somebody else uses stays.
        let is_wanted = index < asked || is_unused(name);
        if is_wanted {
            say(request, &format!("rmmod {name}\n"))?;
        }
        if is_wanted && !request.dry_run {
            kernel::unload(name)?;
        }
    }
    Ok(())
}

/// Whether a module is loaded and has no user.
fn is_unused(name: &str) -> bool {
    let loaded = kernel::loaded().unwrap_or_default();
    loaded.iter().any(|module| module.name == name && module.users == Some(0))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn parsed(line: &str) -> Option<Request> {
        parse(line.split_whitespace().map(OsString::from).collect()).ok().flatten()
    }

    #[test]
    fn the_kernels_own_call_is_understood() {
        let request = parsed("-q -- fs-vfat").unwrap();
        assert!(request.quiet && !request.remove);
        assert_eq!(request.modules, ["fs-vfat"]);
        let request = parsed("dummy numdummies=2 x=y").unwrap();
        assert_eq!(request.modules, ["dummy"]);
        assert_eq!(request.parameters, ["numdummies=2", "x=y"]);
        let request = parsed("-ab one two").unwrap();
        assert!(request.use_blacklist && request.parameters.is_empty());
        assert_eq!(request.modules, ["one", "two"]);
        for wrong in ["", "-q", "--nonsense x", "-z x"] {
            assert!(parsed(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn one_of_several_that_fails_keeps_the_others_from_nothing() {
        for (line, expected) in [("-r one two three", 3), ("-a one two three", 3), ("-r two", 1)] {
            let mut asked = 0;
            let failed = each(&parsed(line).unwrap(), |module| {
                asked += 1;
                if module == "two" { Err(no_such(module)) } else { Ok(()) }
            });
            assert_eq!(asked, expected, "{line}");
            match failed.unwrap_err() {
                Failure::Reported(Code::Failed) => assert_eq!(expected, 3, "{line}"),
                Failure::Problem(Code::NoSuchThing, _) => assert_eq!(expected, 1, "{line}"),
                other => panic!("{line}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_is_not_loaded_need_not_be_unloaded() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("modules.dep"), "keelson-none.ko:\n").unwrap();
        let catalog = Catalog::open(place.path(), Config::default()).unwrap().unwrap();
        for line in ["-r keelson-none", "-qr keelson-none"] {
            remove(&catalog, "keelson-none", &parsed(line).unwrap()).unwrap();
        }
        let failed = remove(&catalog, "nosuch", &parsed("-r nosuch").unwrap()).unwrap_err();
        assert!(matches!(failed, Failure::Problem(Code::NoSuchThing, _)), "{failed:?}");
    }

    #[test]
    fn what_is_shown_could_be_typed() {
        let step = |name: &str, options: &[&str]| Step {
            name: name.to_owned(),
            file: PathBuf::from(format!("/lib/{name}.ko")),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            is_wish: false,
        };
        let steps = [step("fat", &["a=1"]), step("vfat", &[])];
        let text = lines(&steps, "vfat", &["b=2".to_owned()]);
        assert_eq!(text, "insmod /lib/fat.ko a=1\ninsmod /lib/vfat.ko b=2\n");
    }
}
