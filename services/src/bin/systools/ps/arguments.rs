//! The command line of `ps`: POSIX options with a dash, and the letters of the BSDs
//! without one. Reads nothing but the words.

use std::ffi::OsString;

use lexopt::Arg;
use services::failure::Failure;

use super::column::{Column, Shown};
use crate::Result;

/// Processes that are asked for; several choices are a union.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Choice {
    All,
    /// Those of the user who asks, on the terminal where that is.
    OwnHere,
    Own,
    OnTerminals,
    NoLeaders,
    NoLeadersOnTerminals,
    Pid(i32),
    Parent(i32),
    User(String),
    Terminal(String),
    Name(String),
}

/// What was typed.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Arguments {
    pub(super) choices: Vec<Choice>,
    pub(super) columns: Vec<Shown>,
    pub(super) sort: Option<(Column, bool)>,
    pub(super) headings: bool,
    pub(super) wide: bool,
    pub(super) json: bool,
}

const DEFAULT: &str = "pid,tty,time,comm=CMD";
const FULL: &str = "user=UID,pid,ppid,%cpu=C,stime,tty,time,args=CMD";
const LONG: &str = "state,uid,pid,ppid,%cpu=C,pri,ni,vsz=SZ,tty,time,comm=CMD";
const JOBS: &str = "pid,pgid,sid,tty,time,comm=CMD";
const BY_USER: &str = "user,pid,%cpu,%mem,vsz,rss,tty,stat,stime=START,time,args=COMMAND";
const BSD: &str = "pid,tty,stat,time,args=COMMAND";

/// Letters of the BSDs that people type with a dash.
const HABITS: [&str; 6] = ["ax", "ux", "aux", "axu", "auxw", "auxww"];

/// What has been read so far.
#[derive(Default)]
struct Reader {
    choices: Vec<Choice>,
    format: Option<&'static str>,
    columns: Vec<Shown>,
    sort: Option<(Column, bool)>,
    no_headings: bool,
    wide: bool,
    json: bool,
    /// Letters of the BSDs: on terminals, and without.
    bsd_a: bool,
    bsd_x: bool,
}

/// Reads the words behind the name; `None` is a wish for help.
pub(super) fn parse(mut words: Vec<OsString>) -> Result<Option<Arguments>> {
    words.iter_mut().for_each(drop_dash);
    let mut reader = Reader::default();
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        if matches!(argument, Arg::Short('h') | Arg::Long("help")) {
            return Ok(None);
        }
        if let Arg::Value(word) = &argument {
            reader.operand(&word.to_string_lossy())?;
            continue;
        }
        if reader.flag(&argument) {
            continue;
        }
        let wants_value = matches!(
            argument,
            Arg::Short('o' | 'p' | 'u' | 'U' | 't' | 'C')
                | Arg::Long("format" | "pid" | "user" | "ppid" | "sort" | "tty")
        );
        if !wants_value {
            return Err(argument.unexpected().into());
        }
        let option = match argument {
            Arg::Short(letter) => letter.to_string(),
            Arg::Long(name) => name.to_owned(),
            Arg::Value(_) => String::new(),
        };
        let value = parser.value()?.to_string_lossy().into_owned();
        reader.option(&option, &value)?;
    }
    reader.finish().map(Some)
}

/// `-aux` means `aux`, as everywhere, though by POSIX it is `-a` and `-u` with a user `x`.
fn drop_dash(word: &mut OsString) {
    let letters = word.to_str().and_then(|word| word.strip_prefix('-'));
    if let Some(letters) = letters.filter(|letters| HABITS.contains(letters)) {
        *word = letters.into();
    }
}

impl Reader {
    /// An option without a value; false if it is none of those.
    fn flag(&mut self, argument: &Arg<'_>) -> bool {
        match argument {
            Arg::Short('e' | 'A') => self.choices.push(Choice::All),
            Arg::Short('a') => self.choices.push(Choice::NoLeadersOnTerminals),
            Arg::Short('d') => self.choices.push(Choice::NoLeaders),
            Arg::Short('f') => self.format = Some(FULL),
            Arg::Short('l') => self.format = Some(LONG),
            Arg::Short('j') => self.format = Some(JOBS),
            Arg::Short('w') => self.wide = true,
            Arg::Long("no-headers" | "no-headings") => self.no_headings = true,
            Arg::Long("json") => self.json = true,
            _ => return false,
        }
        true
    }

    fn option(&mut self, option: &str, value: &str) -> Result<()> {
        match option {
            "o" | "format" => self.columns.extend(columns(value)?),
            "sort" => {
                let (name, reverse) = match value.strip_prefix('-') {
                    Some(name) => (name, true),
                    None => (value.strip_prefix('+').unwrap_or(value), false),
                };
                self.sort = Some((column(name)?, reverse));
            }
            _ => return self.choose(option, value),
        }
        Ok(())
    }

    /// The processes of a list. One without a word, as of a variable that is not set, asks
    /// for none, and not for those that are shown where nothing is asked for.
    fn choose(&mut self, option: &str, list: &str) -> Result<()> {
        let chosen = self.choices.len();
        for word in list.split([',', ' ']).filter(|word| !word.is_empty()) {
            self.choices.push(match option {
                "p" | "pid" => Choice::Pid(pid(word)?),
                "ppid" => Choice::Parent(pid(word)?),
                "t" | "tty" => Choice::Terminal(word.to_owned()),
                "C" => Choice::Name(word.to_owned()),
                _ => Choice::User(word.to_owned()),
            });
        }
        if self.choices.len() == chosen {
            let dashes = if option.len() > 1 { "--" } else { "-" };
            let message = format!("the list behind `{dashes}{option}` is empty");
            return Err(Failure::usage(message, "`ps -e` shows all processes"));
        }
        Ok(())
    }

    /// A word without a dash: process ids, or letters as the BSDs have them.
    fn operand(&mut self, word: &str) -> Result<()> {
        if word.starts_with(|c: char| c.is_ascii_digit()) {
            for word in word.split(',') {
                self.choices.push(Choice::Pid(pid(word)?));
            }
            return Ok(());
        }
        self.format = self.format.or(Some(BSD));
        for letter in word.chars() {
            match letter {
                'a' => self.bsd_a = true,
                'x' => self.bsd_x = true,
                'u' => self.format = Some(BY_USER),
                'l' => self.format = Some(LONG),
                'j' => self.format = Some(JOBS),
                'w' => self.wide = true,
                _ => {
                    let message = format!("unknown letter `{letter}` in `{word}`");
                    return Err(Failure::usage(message, "`ps --help` explains the options"));
                }
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Arguments> {
        match (self.bsd_a, self.bsd_x) {
            (true, true) => self.choices.push(Choice::All),
            (true, false) => self.choices.push(Choice::OnTerminals),
            (false, true) => self.choices.push(Choice::Own),
            (false, false) => {}
        }
        if self.choices.is_empty() {
            self.choices.push(Choice::OwnHere);
        }
        if self.columns.is_empty() {
            self.columns = columns(self.format.unwrap_or(DEFAULT))?;
        }
        Ok(Arguments {
            choices: self.choices,
            columns: self.columns,
            sort: self.sort,
            headings: !self.no_headings,
            wide: self.wide,
            json: self.json,
        })
    }
}

fn pid(word: &str) -> Result<i32> {
    word.parse().ok().filter(|pid| *pid > 0).ok_or_else(|| {
        Failure::usage(format!("`{word}` is no process id"), "it is a number, such as 1")
    })
}

fn column(name: &str) -> Result<Column> {
    Column::find(name).ok_or_else(|| {
        Failure::usage(format!("there is no column `{name}`"), "`ps --help` has them all")
    })
}

/// `pid,user=WHO`: a heading reaches to the end of the list (POSIX.1-2024, ps) only
/// where the list has one column; else to the next comma, as everybody expects.
fn columns(list: &str) -> Result<Vec<Shown>> {
    let words = list.split([',', ' ']).filter(|word| !word.is_empty());
    let shown = words.map(|word| match word.split_once('=') {
        Some((name, heading)) => Ok(Shown { column: column(name)?, heading: heading.to_owned() }),
        None => {
            let column = column(word)?;
            Ok(Shown { column, heading: column.heading().to_owned() })
        }
    });
    shown.collect()
}
