//! Strict reading of a TOML file that configures a daemon: every value typed,
//! every mistake reported with its place, a key that nobody knows is a mistake.
//!
//! Knows tables, keys and places, and nothing of what the keys mean. There is no writer.

use std::fs;
use std::ops::Range;
use std::path::Path;
use std::time::Duration;

use init_core::diagnostic::{Finding, Place, suggest};
use init_core::parse::parse_duration;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::problem::{Context, Problem, Result};

/// Largest configuration file, in bytes.
pub const CONFIG_BYTES_MAX: usize = 256 * 1024;

/// A value and where it stands.
pub type Value<'t> = Spanned<DeValue<'t>>;

/// A table and what its keys are called in messages.
#[derive(Clone, Debug)]
pub struct Section<'t> {
    /// `""` for the file itself, else such as `rule 2`.
    name: String,
    table: &'t DeTable<'t>,
    start: usize,
}

impl<'t> Section<'t> {
    /// The value of `key`, if it is given.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'t Value<'t>> {
        self.table.get(key)
    }

    /// The place of `key`'s value; the table's start where the key is missing.
    #[must_use]
    pub fn span_of(&self, key: &str) -> Range<usize> {
        self.get(key).map_or(self.start..self.start, Spanned::span)
    }

    /// The name of `key` for messages.
    fn full(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// Collects what is wrong with one file.
#[derive(Debug)]
pub struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    page: &'static str,
    findings: Vec<(usize, Finding)>,
}

/// Reads `text`, the content of `file`, by `read`. `page` is the page of documentation that
/// lists the keys.
///
/// # Errors
/// Everything that is wrong, in the order of the file; never an empty list.
pub fn parse<T>(
    file: &str,
    text: &str,
    page: &'static str,
    read: impl for<'t> FnOnce(&mut Reader<'t>, &Section<'t>) -> T,
) -> std::result::Result<T, Vec<Finding>> {
    let mut reader = Reader { file, text, page, findings: Vec::new() };
    if text.len() > CONFIG_BYTES_MAX {
        let limit = CONFIG_BYTES_MAX / 1024;
        reader.report(0..0, format!("the file is larger than {limit} KiB"));
        return Err(reader.into_findings());
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.report(error.span().unwrap_or(0..0), error.message());
    }
    // What was recovered from bad syntax may not be what was meant.
    if !errors.is_empty() {
        return Err(reader.into_findings());
    }
    let root = Section { name: String::new(), table: table.get_ref(), start: 0 };
    let value = read(&mut reader, &root);
    if reader.findings.is_empty() { Ok(value) } else { Err(reader.into_findings()) }
}

/// The text of the configuration file `path`.
///
/// # Errors
/// It cannot be read, or is no UTF-8.
pub fn load(path: &Path) -> Result<String> {
    let shown = path.display();
    let bytes = fs::read(path).context(|| format!("cannot read `{shown}`"))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        Problem::new(format!("`{shown}` is not UTF-8 from byte {valid} on"))
    })
}

/// All findings as one problem.
#[must_use]
pub fn problem(findings: &[Finding]) -> Problem {
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Problem::new(lines.join("\n"))
}

impl<'t> Reader<'t> {
    /// Adds a finding at the start of `span`.
    pub fn report(&mut self, span: Range<usize>, message: impl Into<String>) {
        let place = Place::of_offset(self.file, self.text, span.start);
        self.findings.push((span.start, Finding::new(place, message)));
    }

    /// Adds a finding with a remedy at the start of `span`.
    pub fn report_hint(
        &mut self,
        span: Range<usize>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        let place = Place::of_offset(self.file, self.text, span.start);
        self.findings.push((span.start, Finding::new(place, message).with_hint(hint)));
    }

    fn into_findings(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|(offset, _)| *offset);
        self.findings.into_iter().map(|(_, finding)| finding).collect()
    }

    /// Reports the keys of `section` that are not among `known`.
    pub fn check_keys(&mut self, section: &Section<'t>, known: &[&str]) {
        for (key, _) in section.table {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let hint = match suggest(name, known.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("{} lists the keys", self.page),
            };
            self.report_hint(key.span(), format!("unknown key {:?}", section.full(name)), hint);
        }
    }

    /// Reports that the value of `key` has the wrong type.
    pub fn wrong_type(&mut self, section: &Section<'t>, key: &str, value: &Value<'_>, wants: &str) {
        let got = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a number",
            DeValue::Float(_) => "a number with a fraction",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.report(value.span(), format!("{:?} wants {wants}, not {got}", section.full(key)));
    }

    /// The table under `key`.
    pub fn section(&mut self, parent: &Section<'t>, key: &str) -> Option<Section<'t>> {
        let value = parent.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => {
                Some(Section { name: parent.full(key), table, start: value.span().start })
            }
            _ => {
                self.wrong_type(parent, key, value, "a table");
                None
            }
        }
    }

    /// The tables under `key`, written `[[key]]`, in the order of the file. In messages they
    /// are called `key 1`, `key 2` and so on.
    pub fn sections(&mut self, parent: &Section<'t>, key: &str) -> Vec<Section<'t>> {
        let Some(value) = parent.get(key) else { return Vec::new() };
        let wants = format!("tables, each written [[{}]]", parent.full(key));
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(parent, key, value, &wants);
            return Vec::new();
        };
        let mut sections = Vec::with_capacity(array.len());
        for (index, element) in array.iter().enumerate() {
            match element.get_ref() {
                DeValue::Table(table) => sections.push(Section {
                    name: format!("{} {}", parent.full(key), index + 1),
                    table,
                    start: element.span().start,
                }),
                _ => self.wrong_type(parent, key, element, &wants),
            }
        }
        sections
    }

    fn text_of(
        &mut self,
        section: &Section<'t>,
        key: &str,
        value: &'t Value<'t>,
    ) -> Option<&'t str> {
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(section, key, value, "a string");
            return None;
        };
        if text.contains('\0') {
            self.report(value.span(), format!("{:?} contains a NUL byte", section.full(key)));
            return None;
        }
        Some(text)
    }

    /// The string under `key`.
    pub fn string(&mut self, section: &Section<'t>, key: &str) -> Option<&'t str> {
        let value = section.get(key)?;
        self.text_of(section, key, value)
    }

    /// The string under `key`, understood by `meaning`, whose error says what is wrong with it.
    pub fn parsed<T>(
        &mut self,
        section: &Section<'t>,
        key: &str,
        meaning: impl Fn(&str) -> std::result::Result<T, String>,
    ) -> Option<T> {
        let text = self.string(section, key)?;
        let wrong = |error| format!("{:?}: {error}", section.full(key));
        meaning(text).map_err(|error| self.report(section.span_of(key), wrong(error))).ok()
    }

    /// The truth value under `key`.
    pub fn boolean(&mut self, section: &Section<'t>, key: &str) -> Option<bool> {
        let value = section.get(key)?;
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong_type(section, key, value, "true or false");
        }
        found
    }

    /// The whole number under `key`, from `least` to `most`.
    pub fn number(
        &mut self,
        section: &Section<'t>,
        key: &str,
        least: u64,
        most: u64,
    ) -> Option<u64> {
        let value = section.get(key)?;
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong_type(section, key, value, "a whole number");
            return None;
        };
        let found = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let fitting = found.filter(|number| (least..=most).contains(number));
        if fitting.is_none() {
            let full = section.full(key);
            self.report(value.span(), format!("{full:?} is from {least} to {most}"));
        }
        fitting
    }

    /// The word under `key`, out of `words`.
    pub fn word<T: Copy>(
        &mut self,
        section: &Section<'t>,
        key: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let text = self.string(section, key)?;
        self.one_of(section, key, text, section.span_of(key), words)
    }

    /// The meaning of `text`, which stands at `span` under `key`, out of `words`.
    pub fn one_of<T: Copy>(
        &mut self,
        section: &Section<'t>,
        key: &str,
        text: &str,
        span: Range<usize>,
        words: &[(&str, T)],
    ) -> Option<T> {
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let hint = match suggest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => {
                let all: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
                format!("it is one of {}", all.join(", "))
            }
        };
        self.report_hint(span, format!("{:?} cannot be {text:?}", section.full(key)), hint);
        None
    }

    /// The duration under `key`, from `least` to `most`.
    pub fn duration(
        &mut self,
        section: &Section<'t>,
        key: &str,
        least: Duration,
        most: Duration,
    ) -> Option<Duration> {
        let value = section.get(key)?;
        let full = section.full(key);
        let Some(duration) = value.get_ref().as_str().and_then(|text| parse_duration(text).ok())
        else {
            let hint = "write a whole number and a unit in quotes: \"200ms\", \"30s\", \"5min\"";
            self.report_hint(value.span(), format!("{full:?} is no duration"), hint);
            return None;
        };
        if !(least..=most).contains(&duration) {
            self.report(value.span(), format!("{full:?} is from {least:?} to {most:?}"));
            return None;
        }
        Some(duration)
    }

    /// The strings under `key`, with their places: a list, or one alone.
    pub fn strings(&mut self, section: &Section<'t>, key: &str) -> Vec<(&'t str, Range<usize>)> {
        let elements = self.elements(section, key);
        elements
            .into_iter()
            .filter_map(|value| Some((self.text_of(section, key, value)?, value.span())))
            .collect()
    }

    /// The elements of the list under `key`; a value that is no list is the only element.
    pub fn elements(&mut self, section: &Section<'t>, key: &str) -> Vec<&'t Value<'t>> {
        let Some(value) = section.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else { return vec![value] };
        if array.is_empty() {
            let full = section.full(key);
            self.report_hint(value.span(), format!("{full:?} is an empty list"), "leave it out");
        }
        array.iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [(&str, u8); 2] = [("accept", 1), ("drop", 2)];

    fn read<'t>(reader: &mut Reader<'t>, root: &Section<'t>) -> (Option<u8>, u64, usize) {
        reader.check_keys(root, &["action", "rule", "wait"]);
        let second = Duration::from_secs(1);
        reader.duration(root, "wait", second, second * 60);
        let mut ports = 0;
        for section in reader.sections(root, "rule") {
            reader.check_keys(&section, &["port", "from", "on"]);
            ports += reader.number(&section, "port", 1, 65_535).unwrap_or_default();
            reader.boolean(&section, "on");
            reader.strings(&section, "from");
        }
        (reader.word(root, "action", &WORDS), ports, reader.text.len())
    }

    fn findings(text: &str) -> Vec<String> {
        let found = parse("f", text, "docs/x.md", read);
        found.unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn values_are_read_from_tables_and_lists_of_tables() {
        let text = "action = \"drop\"\nwait = \"5s\"\n[[rule]]\nport = 22\nfrom = \"a\"\n\
                    [[rule]]\nport = 0x10\nfrom = [\"a\", \"b\"]\non = true\n";
        let found = parse("f", text, "docs/x.md", read);
        assert_eq!(found.unwrap(), (Some(2), 38, text.len()));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once_with_its_place() {
        let text = "acton = 1\naction = \"dorp\"\nwait = \"1h\"\n[[rule]]\nport = 0\non = 1\nfrom = []\n\
                    [[rule]]\ncolour = 1\nfrom = [1]\n";
        let expected = [
            "f:1:1: unknown key \"acton\"\n  hint: did you mean \"action\"?",
            "f:2:10: \"action\" cannot be \"dorp\"\n  hint: did you mean \"drop\"?",
            "f:3:8: \"wait\" is from 1s to 60s",
            "f:5:8: \"rule 1.port\" is from 1 to 65535",
            "f:6:6: \"rule 1.on\" wants true or false, not a number",
            "f:7:8: \"rule 1.from\" is an empty list\n  hint: leave it out",
            "f:9:1: unknown key \"rule 2.colour\"\n  hint: docs/x.md lists the keys",
            "f:10:9: \"rule 2.from\" wants a string, not a number",
        ];
        assert_eq!(findings(text), expected);
    }

    #[test]
    fn bad_syntax_and_endless_files_are_refused() {
        assert_eq!(findings("a = \n").len(), 1);
        assert!(findings(&"#".repeat(CONFIG_BYTES_MAX + 1))[0].contains("256 KiB"));
        assert!(findings("rule = 1")[0].contains("tables, each written [[rule]]"));
        assert!(findings("rule = [1]")[0].contains("tables, each written [[rule]]"));
    }
}
