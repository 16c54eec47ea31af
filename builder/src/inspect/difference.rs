//! What differs between two files that were looked into.
//!
//! Reports are compared as the JSON that `inspect` prints. The elements of a list are told
//! apart by what names them (a path, a name, the number of a partition), so that one that came
//! or went does not make all behind it differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use serde_json::{Map, Value};

use super::Report;
use super::text::printable;
use crate::error::{Error, Result};

/// So many digits of a digest are shown to people.
const DIGEST_DIGITS_SHOWN: usize = 12;

/// The key of what a partition, a file or a document holds.
const CONTENT: &str = "content";

/// One thing that differs.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Difference {
    /// Where: the elements and keys that lead to it, from the outside in.
    pub place: Vec<String>,
    /// What the first has there; `None` if it has nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub old: Option<Value>,
    /// What the second has there; `None` if it has nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new: Option<Value>,
}

/// Everything in which two reports differ: keys sorted, elements of lists as the first has them.
///
/// # Errors
/// If a report is no JSON, which would be a defect of the program.
pub fn differences(old: &Report, new: &Report) -> Result<Vec<Difference>> {
    let json = |report| {
        serde_json::to_value(report)
            .map_err(|error| Error::internal(format!("cannot write JSON: {error}")))
    };
    let mut comparison = Comparison::default();
    comparison.values(&json(old)?, &json(new)?);
    Ok(comparison.found)
}

/// A comparison under way.
#[derive(Default)]
struct Comparison {
    place: Vec<String>,
    found: Vec<Difference>,
}

impl Comparison {
    fn values(&mut self, old: &Value, new: &Value) {
        match (old, new) {
            (Value::Object(old), Value::Object(new)) => self.objects(old, new),
            (Value::Array(old), Value::Array(new)) if has_objects(old) || has_objects(new) => {
                self.lists(old, new);
            }
            _ if old != new => self.note(Some(old), Some(new)),
            _ => {}
        }
    }

    fn objects(&mut self, old: &Map<String, Value>, new: &Map<String, Value>) {
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            match (key.as_str(), old.get(key), new.get(key)) {
                // What something holds needs no name beside that of what holds it.
                (CONTENT, Some(old), Some(new)) => self.values(old, new),
                (_, old, new) => self.at(key.clone(), old, new),
            }
        }
    }

    /// Lists of objects. Their own name is left out of the place: the elements have better ones.
    fn lists(&mut self, old: &[Value], new: &[Value]) {
        let of_list = self.place.pop();
        let (old, new) = (by_name(old, of_list.as_ref()), by_name(new, of_list.as_ref()));
        let later: Vec<&String> = new.iter().map(|(name, _)| name).collect();
        let index: BTreeMap<&String, &Value> = new.iter().map(|(name, one)| (name, *one)).collect();
        let earlier: BTreeSet<&String> = old.iter().map(|(name, _)| name).collect();
        for (name, value) in &old {
            self.at(name.clone(), Some(value), index.get(name).copied());
        }
        for name in later.into_iter().filter(|name| !earlier.contains(name)) {
            self.at(name.clone(), None, index.get(name).copied());
        }
        self.place.extend(of_list);
    }

    fn at(&mut self, step: String, old: Option<&Value>, new: Option<&Value>) {
        self.place.push(step);
        match (old, new) {
            (Some(old), Some(new)) => self.values(old, new),
            _ => self.note(old, new),
        }
        self.place.pop();
    }

    fn note(&mut self, old: Option<&Value>, new: Option<&Value>) {
        let place = self.place.clone();
        self.found.push(Difference { place, old: old.cloned(), new: new.cloned() });
    }
}

fn has_objects(list: &[Value]) -> bool {
    list.iter().any(Value::is_object)
}

/// The elements of a list, each with a name that no other has: what they call themselves, or
/// their number in the list. An archive may have a path more than once.
fn by_name<'v>(list: &'v [Value], of_list: Option<&String>) -> Vec<(String, &'v Value)> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let named = list.iter().enumerate().map(|(index, element)| {
        let text = |key| element.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = || element.get("number").map(|number| format!("partition {number}"));
        let in_list = || format!("{} {}", of_list.map_or("", String::as_str), index + 1);
        let name = text("path").or_else(number).or_else(|| text("name")).unwrap_or_else(in_list);
        let count = seen.entry(name.clone()).or_default();
        *count += 1;
        (if *count > 1 { format!("{name} ({count})") } else { name }, element)
    });
    named.collect()
}

/// `+ PLACE` for what only the second has, `- PLACE` for what only the first has, and
/// `~ PLACE: OLD -> NEW`.
impl Display for Difference {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let place = printable(&self.place.join(" "));
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "~ {place}: {} -> {}", shown(old), shown(new)),
            (Some(only), None) => write!(f, "- {place}{}", shown_behind(only)),
            (None, only) => {
                write!(f, "+ {place}{}", only.as_ref().map(shown_behind).unwrap_or_default())
            }
        }
    }
}

/// What stands behind the place of what came or went: nothing if it has parts.
fn shown_behind(value: &Value) -> String {
    if value.is_object() || value.is_array() {
        String::new()
    } else {
        format!(": {}", shown(value))
    }
}

/// A value on one line, a digest by its beginning.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) if is_digest(text) => format!("{}…", &text[..DIGEST_DIGITS_SHOWN]),
        Value::String(text) => format!("`{}`", printable(text)),
        other => printable(&other.to_string()),
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(old: &Value, new: &Value) -> Vec<String> {
        let mut comparison = Comparison::default();
        comparison.values(old, new);
        assert!(comparison.place.is_empty());
        comparison.found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn elements_are_told_apart_by_their_names() {
        let old = json!({"partitions": [{"number": 2, "name": "root", "content": {"entries": [
            {"path": "/a", "mode": "0644"}, {"path": "/b", "mode": "0644"},
        ]}}]});
        let new = json!({"partitions": [{"number": 2, "name": "data", "content": {"entries": [
            {"path": "/b", "mode": "0600"}, {"path": "/c\n", "mode": "0644"},
        ]}}]});
        assert_eq!(
            lines(&old, &new),
            [
                "- partition 2 /a",
                "~ partition 2 /b mode: `0644` -> `0600`",
                "+ partition 2 /c\\n",
                "~ partition 2 name: `root` -> `data`",
            ]
        );
        assert_eq!(lines(&old, &old), [""; 0]);
    }

    #[test]
    fn what_has_no_name_goes_by_its_number_and_a_name_may_come_twice() {
        let old =
            json!({"members": [{"entries": [{"path": "/a", "uid": 0}, {"path": "/a", "uid": 1}]}]});
        let new = json!({"members": [{"entries": [{"path": "/a", "uid": 0}, {"path": "/a", "uid": 2}]},
            {"entries": []}]});
        let expected = ["~ members 1 /a (2) uid: 1 -> 2", "+ members 2"];
        assert_eq!(lines(&old, &new), expected);
    }

    #[test]
    fn values_are_shown_on_one_line() {
        let digest = "0123456789abcdef".repeat(4);
        let old = json!({"sha256": digest, "needed": ["libc.so.6"], "text": "a\nb", "size": 1});
        let new =
            json!({"sha256": null, "needed": ["libc.so.6", "libm.so.6"], "text": "a", "x": true});
        let expected = [
            "~ needed: [\"libc.so.6\"] -> [\"libc.so.6\",\"libm.so.6\"]",
            "~ sha256: 0123456789ab… -> nothing",
            "- size: 1",
            "~ text: `a\\nb` -> `a`",
            "+ x: true",
        ];
        assert_eq!(lines(&old, &new), expected);
    }
}
