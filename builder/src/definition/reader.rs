//! From TOML text to a [`Table`] in which every key is known and every value has its type.
//!
//! The rules are those of [`super::keys`]; all that break them are found in one
//! pass, each with its place. What the values mean is not looked at here.

use init_core::diagnostic::{Finding, Place, suggest};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{self, Default, Kind};
use super::raw::{Located, Table, Value};
use super::size;
use crate::error::toml_finding;

/// Reads `text`, which messages call `file`, and adds what is wrong with it to `findings`.
pub fn read(file: &str, text: &str, findings: &mut Vec<Finding>) -> Table {
    let mut reader = Reader { file, text, findings };
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.findings.push(toml_finding(file, text, error));
    }
    if errors.is_empty() {
        reader.table("", document.get_ref(), 0)
    } else {
        // What was recovered from bad syntax may not be what was meant.
        Table::new(reader.place(0))
    }
}

struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    findings: &'a mut Vec<Finding>,
}

impl Reader<'_> {
    fn place(&self, offset: usize) -> Place {
        Place::of_offset(self.file, self.text, offset)
    }

    fn find(&mut self, offset: usize, message: impl Into<String>) {
        let place = self.place(offset);
        self.findings.push(Finding::new(place, message));
    }

    fn table(&mut self, name: &str, table: &DeTable<'_>, offset: usize) -> Table {
        let mut result = Table::new(self.place(offset));
        for (key, value) in table {
            let word: &str = key.get_ref();
            let dotted = if name.is_empty() { word.to_owned() } else { format!("{name}.{word}") };
            let Some(rule) = keys::find(&dotted).filter(|_| !word.contains(['.', '['])) else {
                self.unknown_key(name, word, key.span().start);
                continue;
            };
            let place = self.place(value.span().start);
            if let Some(value) = self.value(&dotted, rule.kind, value) {
                result.insert(word.to_owned(), Located { value, place });
            }
        }
        if name.ends_with("[]") {
            self.complete_entry(name, table, &mut result);
        }
        result
    }

    /// Adds the defaults of an entry of an array of tables, and finds what it lacks.
    fn complete_entry(&mut self, name: &str, written: &DeTable<'_>, entry: &mut Table) {
        for word in keys::keys_in(name) {
            if written.keys().any(|key| key.get_ref() == word) {
                continue;
            }
            match keys::find(&format!("{name}.{word}")).map(|rule| rule.default) {
                Some(Default::Required) => {
                    let what = name.trim_end_matches("[]").replace("[]", "");
                    let message = format!("the `{what}` entry has no `{word}`");
                    self.findings.push(Finding::new(entry.place.clone(), message));
                }
                Some(Default::Toml(value)) => {
                    let text = format!("{word} = {value}");
                    let (default, _no_errors) = DeTable::parse_recoverable(&text);
                    for value in default.get_ref().values() {
                        self.default_value(&format!("{name}.{word}"), word, value, entry);
                    }
                }
                _ => {}
            }
        }
    }

    fn default_value(
        &mut self,
        dotted: &str,
        word: &str,
        value: &Spanned<DeValue<'_>>,
        entry: &mut Table,
    ) {
        let place = entry.place.clone();
        let value = keys::find(dotted).and_then(|rule| self.value(dotted, rule.kind, value));
        if let Some(value) = value {
            entry.insert(word.to_owned(), Located { value, place });
        }
    }

    fn unknown_key(&mut self, table: &str, word: &str, offset: usize) {
        let known: Vec<&str> = keys::keys_in(table).collect();
        let context = match table {
            "" => String::new(),
            _ => format!(" in `{}`", table.replace("[]", "")),
        };
        let finding = Finding::new(self.place(offset), format!("unknown key `{word}`{context}"));
        self.findings.push(match suggest(word, known.iter().copied()) {
            Some(near) => finding.with_hint(format!("did you mean `{near}`?")),
            None => finding.with_hint(format!("the keys{context} are {}", known.join(", "))),
        });
    }

    fn value(&mut self, name: &str, kind: Kind, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let start = value.span().start;
        match (kind, value.get_ref()) {
            (Kind::Table, DeValue::Table(table)) => {
                Some(Value::Table(self.table(name, table, start)))
            }
            (Kind::Tables, DeValue::Array(array)) => {
                let entry_name = format!("{name}[]");
                let mut tables = Vec::new();
                for entry in array.iter() {
                    match entry.get_ref() {
                        DeValue::Table(table) => {
                            tables.push(self.table(&entry_name, table, entry.span().start));
                        }
                        other => self.wrong_type(name, "a table", other, entry.span().start),
                    }
                }
                Some(Value::Tables(tables))
            }
            (Kind::Texts | Kind::Words(_), DeValue::Array(array)) => {
                let texts = array.iter().filter_map(|entry| self.list_entry(name, kind, entry));
                Some(Value::List(texts.collect()))
            }
            (Kind::Flag, DeValue::Boolean(flag)) => Some(Value::Flag(*flag)),
            (Kind::Number(low, high), DeValue::Integer(number)) => {
                let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
                match parsed.filter(|number| (low..=high).contains(number)) {
                    Some(number) => Some(Value::Number(number)),
                    None => {
                        self.find(start, format!("`{name}` must be a number from {low} to {high}"));
                        None
                    }
                }
            }
            (
                Kind::Text | Kind::Word(_) | Kind::Size | Kind::SizeOrMinimal | Kind::Mode,
                DeValue::String(text),
            ) => self.text(name, kind, text, start),
            (_, other) => {
                self.wrong_type(name, &kind.to_string(), other, start);
                None
            }
        }
    }

    fn list_entry(
        &mut self,
        name: &str,
        kind: Kind,
        entry: &Spanned<DeValue<'_>>,
    ) -> Option<Located<String>> {
        let start = entry.span().start;
        let DeValue::String(text) = entry.get_ref() else {
            self.wrong_type(name, "text", entry.get_ref(), start);
            return None;
        };
        if let Kind::Words(choice) = kind
            && !choice.contains(&text.as_ref())
        {
            self.wrong_word(name, choice, text, start);
            return None;
        }
        Some(Located { value: text.to_string(), place: self.place(start) })
    }

    fn text(&mut self, name: &str, kind: Kind, text: &str, start: usize) -> Option<Value> {
        match kind {
            Kind::Word(choice) if !choice.contains(&text) => {
                self.wrong_word(name, choice, text, start);
                return None;
            }
            Kind::SizeOrMinimal if text == "minimal" => {}
            Kind::Size | Kind::SizeOrMinimal => match size::parse(text) {
                Ok(bytes) => return Some(Value::Bytes(bytes)),
                Err(message) => {
                    self.find(start, message);
                    return None;
                }
            },
            Kind::Mode => match u16::from_str_radix(text, 8) {
                Ok(mode @ 0..=0o7777) if !text.starts_with('+') => return Some(Value::Mode(mode)),
                _ => {
                    let message = format!("{text:?} is no mode: expected octal text like \"0644\"");
                    self.find(start, message);
                    return None;
                }
            },
            _ => {}
        }
        Some(Value::Text(text.to_owned()))
    }

    fn wrong_word(&mut self, name: &str, choice: &[&str], text: &str, start: usize) {
        let place = self.place(start);
        let message = format!("{text:?} is none of the values of `{name}`: {}", choice.join(", "));
        let finding = Finding::new(place, message);
        self.findings.push(match suggest(text, choice.iter().copied()) {
            Some(near) => finding.with_hint(format!("did you mean \"{near}\"?")),
            None => finding,
        });
    }

    fn wrong_type(&mut self, name: &str, expected: &str, found: &DeValue<'_>, start: usize) {
        let name = name.replace("[]", "");
        self.find(start, format!("`{name}` must be {expected}, not {}", found.type_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        read("i.toml", text, &mut findings);
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_break_of_the_rules_is_found_with_its_place() {
        let table = [
            (
                "hostnme = \"x\"",
                "i.toml:1:1: unknown key `hostnme`\n  hint: did you mean `hostname`?",
            ),
            (
                "[root]\nsise = \"1MiB\"",
                "i.toml:2:1: unknown key `sise` in `root`\n  hint: did you mean `size`?",
            ),
            (
                "[[crate]]\nname = \"c\"\nbinaries = [{ name = \"b\", pth = \"x\" }]",
                "i.toml:3:27: unknown key `pth` in `crate.binaries`\n  hint: did you mean `path`?",
            ),
            ("[[tool]]\nlinks = []", "i.toml:1:1: the `tool` entry has no `name`"),
            ("hostname = 3", "i.toml:1:12: `hostname` must be text, not integer"),
            (
                "outputs = [\"disc\"]",
                "i.toml:1:12: \"disc\" is none of the values of `outputs`: initramfs, root, uki, disk, qcow2, iso\n  hint: did you mean \"disk\"?",
            ),
            (
                "root.size = \"64MB\"",
                "i.toml:1:13: \"64MB\" has no unit that is known: use KiB, MiB, GiB or TiB",
            ),
            (
                "initramfs.level = 23",
                "i.toml:1:19: `initramfs.level` must be a number from 1 to 22",
            ),
            (
                "[[file]]\npath = \"/x\"\nmode = \"rw\"",
                "i.toml:3:8: \"rw\" is no mode: expected octal text like \"0644\"",
            ),
            ("[file]\npath = \"x\"", "i.toml:1:1: `file` must be array of tables, not table"),
            ("services = [1]", "i.toml:1:13: `services` must be text, not integer"),
        ];
        for (text, expected) in table {
            assert_eq!(findings(text), [expected], "{text}");
        }
    }

    #[test]
    fn all_findings_come_at_once_and_good_text_has_none() {
        assert_eq!(findings("a = 1\nb = 2\n[root]\nc = 3\n").len(), 3);
        assert!(!findings("hostname = \"x").is_empty(), "a syntax error");
        assert_eq!(findings("hostname = \"x\"\nroot.size = \"minimal\"\n"), [""; 0]);
        assert!(findings("\"root.size\" = \"1MiB\"")[0].contains("unknown key"));
    }
}
