//! Typed reading of TOML values, with a finding for whatever does not fit.
//!
//! Knows tables, keys and places, and nothing of what the keys mean: it serves
//! whatever file of TOML a person writes for the target. [`read_file`] is the way in.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::keys_of;
use super::units::{UnitError, parse_duration, parse_size_bytes};
use crate::diagnostic::{Finding, Place, suggest};
use crate::name::ServiceName;

/// Reads `bytes`, the content of `file`, as TOML of at most `bytes_max` bytes, and gives its
/// entries to `read`.
///
/// # Errors
/// All findings, those of `read` among them, in the order of the file; never an empty list.
pub fn read_file<T>(
    file: &str,
    bytes: &[u8],
    bytes_max: usize,
    read: impl for<'t> FnOnce(Section<'t>, &mut Reader<'t>) -> T,
) -> Result<T, Vec<Finding>> {
    let text = match core::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let valid = core::str::from_utf8(valid).unwrap_or_default();
            let place = Place::of_offset(file, valid, valid.len());
            return Err(vec![Finding::new(place, "the file is not UTF-8")]);
        }
    };
    if text.len() > bytes_max {
        let place = Place::of_offset(file, text, 0);
        let limit = bytes_max / 1024;
        return Err(vec![Finding::new(place, format!("the file is larger than {limit} KiB"))]);
    }
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader::new(file, text);
    for error in &errors {
        reader.report(error.span().unwrap_or(0..0), error.message());
    }
    // What was recovered from bad syntax may not be what was meant, so
    // findings about its content would mislead.
    if !errors.is_empty() {
        return Err(reader.into_findings());
    }
    let result = read(Section { name: "", table: table.get_ref() }, &mut reader);
    if reader.is_clean() { Ok(result) } else { Err(reader.into_findings()) }
}

/// A value and where it stands.
pub type Value<'t> = Spanned<DeValue<'t>>;

/// A table and what its keys' full names start with.
#[derive(Clone, Copy, Debug)]
pub struct Section<'t> {
    /// `""` for the file itself.
    pub name: &'static str,
    /// Its entries.
    pub table: &'t DeTable<'t>,
}

impl<'t> Section<'t> {
    /// The value of `key`, if it is given.
    #[must_use]
    pub fn get(self, key: &str) -> Option<&'t Value<'t>> {
        self.table.get(key)
    }

    /// The name of `key` for messages.
    fn full(self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }
}

/// Collects findings about one file.
#[derive(Debug)]
pub struct Reader<'t> {
    file: &'t str,
    text: &'t str,
    findings: Vec<(usize, Finding)>,
}

impl<'t> Reader<'t> {
    /// A reader of `text`, the content of `file`, that has found nothing.
    #[must_use]
    pub fn new(file: &'t str, text: &'t str) -> Self {
        Self { file, text, findings: Vec::new() }
    }

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

    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// All findings, in the order of the file.
    #[must_use]
    pub fn into_findings(mut self) -> Vec<Finding> {
        self.findings.sort_by_key(|(offset, _)| *offset);
        self.findings.into_iter().map(|(_, finding)| finding).collect()
    }

    /// Reports the keys of `section`, part of a service description, that do not exist.
    pub(super) fn check_keys(&mut self, section: Section<'t>) {
        let known: Vec<&str> = keys_of(section.name).collect();
        self.check_keys_against(section, &known, "docs/service-description.md");
    }

    /// Reports the keys of `section` that are not among `known`; `page` lists them for people.
    pub fn check_keys_against(&mut self, section: Section<'t>, known: &[&str], page: &str) {
        for (key, _) in section.table {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let hint = match suggest(name, known.iter().copied()) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("{page} lists the keys"),
            };
            self.report_hint(key.span(), format!("unknown key {:?}", section.full(name)), hint);
        }
    }

    /// Reports that the value of `key` has the wrong type.
    pub fn wrong_type(&mut self, section: Section<'t>, key: &str, value: &Value<'_>, wants: &str) {
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
    pub fn section(&mut self, parent: Section<'t>, key: &'static str) -> Option<Section<'t>> {
        let value = parent.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Section { name: key, table }),
            _ => {
                self.wrong_type(parent, key, value, "a table");
                None
            }
        }
    }

    /// The tables of the array of tables under `key`.
    pub fn tables(&mut self, parent: Section<'t>, key: &'static str) -> Vec<Section<'t>> {
        let Some(value) = parent.get(key) else { return Vec::new() };
        let Some(array) = value.get_ref().as_array() else {
            self.wrong_type(parent, key, value, "an array of tables");
            return Vec::new();
        };
        let mut found = Vec::with_capacity(array.len());
        for element in array {
            match element.get_ref() {
                DeValue::Table(table) => found.push(Section { name: key, table }),
                _ => self.wrong_type(parent, key, element, "an array of tables"),
            }
        }
        found
    }

    /// A string that the kernel could take: without NUL bytes.
    pub fn text_of(
        &mut self,
        section: Section<'t>,
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
    pub fn string(&mut self, section: Section<'t>, key: &str) -> Option<&'t str> {
        let value = section.get(key)?;
        self.text_of(section, key, value)
    }

    /// The truth value under `key`.
    pub fn boolean(&mut self, section: Section<'t>, key: &str) -> Option<bool> {
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
        section: Section<'t>,
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
            let range = if most > u64::from(u32::MAX) {
                format!("{full:?} is at least {least}")
            } else {
                format!("{full:?} is from {least} to {most}")
            };
            self.report(value.span(), range);
        }
        fitting
    }

    /// The word under `key`, out of `words`.
    pub fn word<T: Copy>(
        &mut self,
        section: Section<'t>,
        key: &str,
        words: &[(&'static str, T)],
    ) -> Option<T> {
        let text = self.string(section, key)?;
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meaning);
        }
        let all = words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>();
        let hint = match suggest(text, words.iter().map(|(word, _)| *word)) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("it is one of {}", all.join(", ")),
        };
        let span = section.get(key).map_or(0..0, Spanned::span);
        self.report_hint(span, format!("{:?} cannot be {text:?}", section.full(key)), hint);
        None
    }

    /// The duration under `key`.
    pub fn duration(&mut self, section: Section<'t>, key: &str) -> Option<Duration> {
        let value = section.get(key)?;
        let hint = "write a whole number and a unit: \"200ms\", \"30s\", \"5min\", \"2h\", \"1d\"";
        let Some(text) = value.get_ref().as_str() else {
            let message = format!("{:?} wants a duration with a unit in quotes", section.full(key));
            self.report_hint(value.span(), message, hint);
            return None;
        };
        parse_duration(text)
            .map_err(|error| self.unit_finding(section, key, value, "duration", error, hint))
            .ok()
    }

    /// The size under `key`, in bytes: a string with a unit, or a plain number.
    pub fn size_bytes(&mut self, section: Section<'t>, key: &str) -> Option<u64> {
        let value = section.get(key)?;
        if value.get_ref().is_integer() {
            return self.number(section, key, 0, u64::MAX);
        }
        let hint =
            "write a whole number of bytes, or one with a unit: \"512KiB\", \"64MiB\", \"1GiB\"";
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(section, key, value, "a size");
            return None;
        };
        parse_size_bytes(text)
            .map_err(|error| self.unit_finding(section, key, value, "size", error, hint))
            .ok()
    }

    fn unit_finding(
        &mut self,
        section: Section<'t>,
        key: &str,
        value: &Value<'_>,
        what: &str,
        error: UnitError,
        hint: &str,
    ) {
        let full = section.full(key);
        let text = value.get_ref().as_str().unwrap_or_default();
        let message = match error {
            UnitError::NoNumber => format!("{full:?}: {text:?} is no {what}"),
            UnitError::NoUnit => format!("{full:?}: {text:?} has no unit"),
            UnitError::BadUnit => format!("{full:?}: {text:?} has no unit that is known"),
            UnitError::TooLarge => format!("{full:?}: {text:?} is too large"),
        };
        self.report_hint(value.span(), message, hint);
    }

    /// The elements of the list of strings under `key`, with their places.
    pub fn strings(&mut self, section: Section<'t>, key: &str) -> Vec<(&'t str, Range<usize>)> {
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

    /// The service names in the list under `key`, each once, with their places.
    pub fn service_names(
        &mut self,
        section: Section<'t>,
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
