//! Typed reading of TOML values, with a finding for whatever does not fit.
//!
//! Knows tables, keys and places, and nothing of what the keys mean: it serves
//! whatever file of TOML a person writes for the target. [`read_file`] is the way in.

mod amounts;

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Finding, Place, suggest};
use crate::name::ServiceName;

/// Reads `bytes`, the content of `file`, as TOML of at most `bytes_max` bytes, and gives its
/// entries to `read`. `page` is the page of documentation that lists the keys.
///
/// # Errors
/// All findings, those of `read` among them, in the order of the file; never an empty list.
pub fn read_file<T>(
    file: &str,
    bytes: &[u8],
    bytes_max: usize,
    page: &'static str,
    read: impl for<'t> FnOnce(&Section<'t>, &mut Reader<'t>) -> T,
) -> Result<T, Vec<Finding>> {
    // First: a file that was read up to the limit may end within a character.
    if bytes.len() > bytes_max {
        let limit = bytes_max / 1024;
        let message = format!("the file is larger than {limit} KiB");
        return Err(vec![Finding::new(Place::of_offset(file, "", 0), message)]);
    }
    let text = match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let valid = core::str::from_utf8(valid).unwrap_or_default();
            let place = Place::of_offset(file, valid, valid.len());
            return Err(vec![Finding::new(place, "the file is not UTF-8")]);
        }
    };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader { file, text, page, findings: Vec::new() };
    for error in &errors {
        reader.report(error.span().unwrap_or(0..0), error.message());
    }
    // What was recovered from bad syntax may not be what was meant, so
    // findings about its content would mislead.
    if !errors.is_empty() {
        return Err(reader.into_findings());
    }
    let root = Section { name: "", number: 0, table: table.get_ref(), start: 0 };
    let result = read(&root, &mut reader);
    if reader.is_clean() { Ok(result) } else { Err(reader.into_findings()) }
}

/// A value and where it stands.
pub type Value<'t> = Spanned<DeValue<'t>>;

/// A table and what its keys' full names start with.
#[derive(Clone, Copy, Debug)]
pub struct Section<'t> {
    /// The key it stands under; `""` for the file itself.
    pub name: &'static str,
    /// Which of the tables under that key it is, from 1; 0 where there is but one.
    pub number: usize,
    /// Its entries.
    pub table: &'t DeTable<'t>,
    /// Where it starts, in bytes from the file's start.
    pub start: usize,
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

    /// The name of `key` for messages: `key`, `table.key`, `table 2.key`.
    #[must_use]
    pub fn full(&self, key: &str) -> String {
        match (self.name, self.number) {
            ("", _) => key.to_owned(),
            (name, 0) => format!("{name}.{key}"),
            (name, number) => format!("{name} {number}.{key}"),
        }
    }
}

/// Collects findings about one file.
#[derive(Debug)]
pub struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    page: &'static str,
    findings: Vec<(usize, Finding)>,
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

    fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// All findings, in the order of the file.
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

    /// A table of its own under `key`.
    pub fn section(&mut self, parent: &Section<'t>, key: &'static str) -> Option<Section<'t>> {
        let value = parent.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => {
                Some(Section { name: key, number: 0, table, start: value.span().start })
            }
            _ => {
                self.wrong_type(parent, key, value, "a table");
                None
            }
        }
    }

    /// The tables of the array of tables under `key`, in the order of the file.
    pub fn tables(&mut self, parent: &Section<'t>, key: &'static str) -> Vec<Section<'t>> {
        let Some(value) = parent.get(key) else { return Vec::new() };
        let wants = format!("tables, each written [[{key}]]");
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(parent, key, value, &wants);
            return Vec::new();
        };
        let mut found = Vec::with_capacity(array.len());
        for (element, number) in array.iter().zip(1..) {
            match element.get_ref() {
                DeValue::Table(table) => {
                    let start = element.span().start;
                    found.push(Section { name: key, number, table, start });
                }
                _ => self.wrong_type(parent, key, element, &wants),
            }
        }
        found
    }

    /// A string that the kernel could take: without NUL bytes.
    pub fn text_of(
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
            self.report_hint(
                value.span(),
                format!("{:?} contains a NUL byte", section.full(key)),
                "the kernel ends every string at the first NUL byte",
            );
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
        meaning: impl Fn(&str) -> Result<T, String>,
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
        let all = words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>();
        let hint = match suggest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("it is one of {}", all.join(", ")),
        };
        self.report_hint(span, format!("{:?} cannot be {text:?}", section.full(key)), hint);
        None
    }

    /// The elements of the list of strings under `key`, with their places.
    pub fn strings(&mut self, section: &Section<'t>, key: &str) -> Vec<(&'t str, Range<usize>)> {
        let Some(value) = section.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(section, key, value, "a list of strings");
            return Vec::new();
        };
        let mut found = Vec::with_capacity(array.len());
        for element in array {
            if let Some(text) = self.text_of(section, key, element) {
                found.push((text, element.span()));
            }
        }
        found
    }

    /// The strings under `key`, with their places: a list, or one alone.
    pub fn one_or_more(
        &mut self,
        section: &Section<'t>,
        key: &str,
    ) -> Vec<(&'t str, Range<usize>)> {
        let elements = self.elements(section, key);
        elements
            .into_iter()
            .filter_map(|value| Some((self.text_of(section, key, value)?, value.span())))
            .collect()
    }

    /// The strings under `key`, which has to be given, with their places: a list, or one alone.
    /// `hint` shows what it may be.
    pub fn at_least_one(
        &mut self,
        section: &Section<'t>,
        key: &str,
        hint: &str,
    ) -> Vec<(&'t str, Range<usize>)> {
        let is_empty_list =
            |value: &Value<'_>| value.get_ref().as_array().is_some_and(|list| list.is_empty());
        let wrong = match section.get(key) {
            None => "is missing",
            Some(value) if is_empty_list(value) => "is an empty list",
            Some(_) => return self.one_or_more(section, key),
        };
        self.report_hint(section.span_of(key), format!("{:?} {wrong}", section.full(key)), hint);
        Vec::new()
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

    /// The service names in the list under `key`, each once, with their places.
    pub fn service_names(
        &mut self,
        section: &Section<'t>,
        key: &str,
    ) -> Vec<(ServiceName, Range<usize>)> {
        let mut found: Vec<(ServiceName, Range<usize>)> = Vec::new();
        for (text, span) in self.strings(section, key) {
            match ServiceName::new(text) {
                Ok(name) if found.iter().any(|(other, _)| *other == name) => {
                    self.report(span, format!("{:?} names {text:?} twice", section.full(key)));
                }
                Ok(name) => found.push((name, span)),
                Err(error) => {
                    self.report(span, format!("{:?}: {text:?}: {error}", section.full(key)));
                }
            }
        }
        found
    }
}
