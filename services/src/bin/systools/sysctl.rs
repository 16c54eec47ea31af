//! `sysctl`: settings of the running kernel, which it shows as files below `/proc/sys`
//! (Documentation/admin-guide/sysctl). Absent: patterns in names.

mod files;
mod kernel;

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, ValueExt};
use serde_json::{Map, Value};
use services::failure::{Code, Failure};
use services::problem::{Problem, Result as Outcome};

use crate::Result;
use crate::output::{print, print_json, tame, tamed};
use files::Line;
use kernel::Kernel;

/// What `-p` reads if no file is named.
const FILE: &str = "/etc/sysctl.conf";

const HELP: &str = "\
Shows and changes settings of the running kernel.

Usage: sysctl [OPTIONS] NAME[=VALUE]…
       sysctl [OPTIONS] -a | -p [FILE…] | --system

Options:
  -a, --all           every setting that can be read
  -p, --load          set what the files say [default: /etc/sysctl.conf]
      --system        set what the system's files say: *.conf in /usr/lib/sysctl.d and
                      /etc/sysctl.d, by name, of one name the latter; then
                      /etc/sysctl.conf
  -n, --values        values without their names
  -e, --ignore        a setting that this kernel does not have is no error
  -q, --quiet         do not show what is set
  -w, --write         only NAME=VALUE, as a safeguard
      --json          for programs: an object of names and values
  -h, --help          this text

A name has dots or slashes: net.ipv4.ip_forward, net/ipv4/ip_forward. Which of them
comes first separates; the other one is a part of the name: net/ipv4/conf/eth0.5/mtu.
A file has a line `name = value` each; `#` and `;` begin comments, and with `-` before
a name its errors do not count. What is set lasts until the next boot.
";

/// What is wanted.
#[derive(PartialEq, Eq, Debug)]
enum Wanted {
    Names(Vec<String>),
    All,
    Load(Vec<PathBuf>),
    System,
}

#[derive(Default, PartialEq, Eq, Debug)]
struct Settings {
    values_alone: bool,
    ignores_unknown: bool,
    quiet: bool,
    writes_only: bool,
    json: bool,
}

pub(crate) fn run(_: &str, words: Vec<OsString>) -> Result<()> {
    let Some((wanted, settings)) = parse(words)? else { return Ok(print(HELP)?) };
    let mut run = Run { kernel: Kernel::running(), settings, shown: Vec::new(), failed: false };
    match &wanted {
        Wanted::Names(words) => words.iter().for_each(|word| run.word(word)),
        Wanted::All => run.shown = run.kernel.all(),
        Wanted::Load(files) => files.iter().for_each(|file| run.load(file)),
        Wanted::System => files::of_system().iter().for_each(|file| run.load(file)),
    }
    run.end()
}

fn parse(words: Vec<OsString>) -> Result<Option<(Wanted, Settings)>> {
    let mut settings = Settings::default();
    let (mut all, mut load, mut system, mut operands) = (false, false, false, Vec::new());
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('a' | 'A') | Arg::Long("all") => all = true,
            Arg::Short('p' | 'f') | Arg::Long("load") => load = true,
            Arg::Long("system") => system = true,
            Arg::Short('n') | Arg::Long("values") => settings.values_alone = true,
            Arg::Short('e') | Arg::Long("ignore") => settings.ignores_unknown = true,
            Arg::Short('q') | Arg::Long("quiet") => settings.quiet = true,
            Arg::Short('w') | Arg::Long("write") => settings.writes_only = true,
            Arg::Long("json") => settings.json = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            Arg::Value(word) => operands.push(word),
            other => return Err(other.unexpected().into()),
        }
    }
    let wanted = match (all, load, system) {
        (false, false, false) if !operands.is_empty() => Wanted::Names(names(operands)?),
        (true, false, false) if operands.is_empty() => Wanted::All,
        (false, true, false) if operands.is_empty() => Wanted::Load(vec![FILE.into()]),
        (false, true, false) => Wanted::Load(operands.into_iter().map(PathBuf::from).collect()),
        (false, false, true) if operands.is_empty() => Wanted::System,
        _ => {
            let hint = "either names, or one of `-a`, `-p [FILE…]` and `--system`";
            return Err(Failure::usage("it is not clear what is wanted", hint));
        }
    };
    Ok(Some((wanted, settings)))
}

/// The words of the command line.
fn names(operands: Vec<OsString>) -> Result<Vec<String>> {
    let words: Vec<String> =
        operands.into_iter().map(|word| word.string()).collect::<std::result::Result<_, _>>()?;
    // Of `NAME = VALUE` every word would be taken for a setting.
    if words.iter().any(|word| word.starts_with('=')) {
        let hint = "write NAME=VALUE without spaces, or in quotes: 'NAME = VALUE'";
        return Err(Failure::usage("there is no name right before `=`", hint));
    }
    Ok(words)
}

/// One call: every setting is tried, whatever becomes of those before it.
struct Run {
    kernel: Kernel,
    settings: Settings,
    /// Names and values to show, in order.
    shown: Vec<(String, String)>,
    failed: bool,
}

impl Run {
    /// A setting that is named on the command line, with a value or without.
    fn word(&mut self, word: &str) {
        let outcome = match word.split_once('=') {
            Some((name, value)) => self.set(name.trim(), value.trim()),
            None if self.settings.writes_only => {
                Err(Problem::new(format!("`{word}` gives no value"))
                    .with_hint("with `-w` every word is NAME=VALUE"))
            }
            None if self.passes_over(word) => Ok(()),
            None => self.kernel.read(word).map(|value| self.shown.push((plain(word), value))),
        };
        self.note(outcome, false);
    }

    fn load(&mut self, file: &std::path::Path) {
        let lines = match files::read(file) {
            Ok(lines) => lines,
            Err(problem) => return self.note(Err(problem), false),
        };
        for line in lines {
            match line {
                Ok(Line { name, value, errors_count, place }) => {
                    let at_place = |problem: Problem| {
                        let message = format!("{place}: {}", problem.message());
                        match problem.hint() {
                            Some(hint) => Problem::new(message).with_hint(hint),
                            None => Problem::new(message),
                        }
                    };
                    let outcome = self.set(&name, &value).map_err(at_place);
                    self.note(outcome, !errors_count);
                }
                Err(problem) => self.note(Err(problem), false),
            }
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Outcome<()> {
        if self.passes_over(name) {
            return Ok(());
        }
        self.kernel.write(name, value)?;
        if !self.settings.quiet {
            self.shown.push((plain(name), value.to_owned()));
        }
        Ok(())
    }

    /// Whether `-e` makes it no error that this kernel does not have the setting.
    fn passes_over(&self, name: &str) -> bool {
        self.settings.ignores_unknown && !self.kernel.has(name)
    }

    fn note(&mut self, outcome: Outcome<()>, is_ignored: bool) {
        if let Err(problem) = outcome
            && !is_ignored
        {
            tamed(&problem).print("sysctl");
            self.failed = true;
        }
    }

    fn end(self) -> Result<()> {
        if self.settings.json {
            let pair = |(name, value): (String, String)| (name, Value::String(value));
            print_json(&Value::Object(self.shown.into_iter().map(pair).collect::<Map<_, _>>()))?;
        } else {
            print(&text(&self.shown, self.settings.values_alone))?;
        }
        if self.failed { Err(Failure::Reported(Code::Failed)) } else { Ok(()) }
    }
}

/// A name as it is shown, whatever it was typed like.
fn plain(name: &str) -> String {
    kernel::relative(name).map_or_else(|_| name.to_owned(), |path| kernel::name_of(&path))
}

/// A line for each; every line of a value that has several is one of its setting.
fn text(shown: &[(String, String)], values_alone: bool) -> String {
    let mut text = String::new();
    for (name, value) in shown {
        let lines = if value.is_empty() { vec![""] } else { value.lines().collect() };
        for line in lines {
            // The kernel puts tabs between the numbers of one setting.
            let line = line.split('\t').map(tame).collect::<Vec<_>>().join("\t");
            let shown = if values_alone { line } else { format!("{} = {line}", tame(name)) };
            text.push_str(shown.trim_end());
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(words: &[&str]) -> Option<Wanted> {
        parse(words.iter().map(OsString::from).collect()).ok().flatten().map(|(wanted, _)| wanted)
    }

    #[test]
    fn what_is_wanted_must_be_clear() {
        let names = Wanted::Names(vec!["a.b=1".into(), "c".into()]);
        assert_eq!(wanted(&["-n", "a.b=1", "c"]), Some(names));
        assert_eq!(wanted(&["-a"]), Some(Wanted::All));
        assert_eq!(wanted(&["-p"]), Some(Wanted::Load(vec![FILE.into()])));
        assert_eq!(wanted(&["-qp", "x"]), Some(Wanted::Load(vec!["x".into()])));
        assert_eq!(wanted(&["--system"]), Some(Wanted::System));
        for unclear in [&[][..], &["-n"], &["-a", "x"], &["-a", "-p"], &["--system", "x"], &["-x"]]
        {
            assert_eq!(wanted(unclear), None, "{unclear:?}");
        }
    }

    #[test]
    fn spaces_around_the_sign_are_one_mistake() {
        for words in [&["net.ipv4.ip_forward", "=", "1"][..], &["a", "=1"], &["=1"]] {
            let failure = parse(words.iter().map(OsString::from).collect()).unwrap_err();
            let Failure::Problem(Code::Usage, problem) = failure else { panic!("{words:?}") };
            assert!(problem.hint().is_some_and(|hint| hint.contains("without spaces")));
        }
        assert_eq!(wanted(&["a = 1"]), Some(Wanted::Names(vec!["a = 1".into()])));
    }

    #[test]
    fn every_line_of_a_value_is_one_of_its_setting() {
        let shown = [("a.b", "1"), ("c", "1\t2\n3"), ("d", "")];
        let shown: Vec<_> = shown.map(|(name, value)| (name.into(), value.into())).into();
        assert_eq!(text(&shown, false), "a.b = 1\nc = 1\t2\nc = 3\nd =\n");
        assert_eq!(text(&shown, true), "1\n1\t2\n3\n\n");
    }

    #[test]
    fn a_call_tries_everything_and_tells_that_it_failed() {
        let root = tempfile::tempdir().unwrap();
        for name in ["one", "two"] {
            std::fs::write(root.path().join(name), "0\n").unwrap();
        }
        let run = |settings, act: &dyn Fn(&mut Run)| {
            let kernel = Kernel::at(root.path());
            let mut run = Run { kernel, settings, shown: Vec::new(), failed: false };
            act(&mut run);
            (run.shown, run.failed)
        };
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let (shown, failed) = run(Settings::default(), &|run| {
            ["one=1", "none=1", "two = 2", "one", "none"].iter().for_each(|word| run.word(word));
        });
        assert_eq!(shown, [pair("one", "1"), pair("two", "2"), pair("one", "1")]);
        assert!(failed);
        let ignoring = Settings { ignores_unknown: true, quiet: true, ..Settings::default() };
        let unknown = run(ignoring, &|run| ["none=1", "none"].iter().for_each(|one| run.word(one)));
        assert_eq!(unknown, (Vec::new(), false));
        let careful = Settings { writes_only: true, ..Settings::default() };
        assert_eq!(run(careful, &|run| run.word("one")), (Vec::new(), true));

        let file = root.path().join("x.conf");
        std::fs::write(&file, "-none = 1\none = 5\n").unwrap();
        let loaded = run(Settings::default(), &|run| run.load(&file));
        assert_eq!(loaded, (vec![pair("one", "5")], false));
        std::fs::write(&file, "none = 1\none = 6\nwhat\n").unwrap();
        let loaded = run(Settings::default(), &|run| run.load(&file));
        assert_eq!(loaded, (vec![pair("one", "6")], true));
    }
}
