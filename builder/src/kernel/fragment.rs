//! Configuration fragments: parsing with places, and merging. Pure.
//!
//! A fragment is a piece of a kernel's `.config`: `CONFIG_NAME=value`,
//! `# CONFIG_NAME is not set`, comments and empty lines
//! (Documentation/kbuild/kconfig.rst). Later fragments win. Whether the kernel
//! accepts an option is not decided here but by `verify`.

use std::collections::BTreeMap;

use init_core::diagnostic::{Finding, Place};

/// The prefix every option has in a `.config`.
const PREFIX: &str = "CONFIG_";

/// One option and the value it is to have, with the line that says so.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assignment {
    /// The option without `CONFIG_`.
    pub name: String,
    /// The value as a `.config` has it: `y`, `m`, a number or a quoted string;
    /// `n` stands for "is not set".
    pub value: String,
    /// Where it is asked for.
    pub place: Place,
}

impl Assignment {
    /// Parses `CONFIG_NAME=value` or `# CONFIG_NAME is not set`.
    ///
    /// # Errors
    /// If the line is neither.
    pub fn parse(line: &str, place: Place) -> Result<Self, Finding> {
        match parse_line(line) {
            Line::Option(name, value) => Ok(Self { name, value, place }),
            Line::Comment => Err(Finding::new(place, "this is a comment, not an option")),
            Line::Malformed(message, hint) => Err(Finding::new(place, message).with_hint(hint)),
        }
    }

    /// The line as a `.config` has it, without a newline.
    #[must_use]
    pub fn line(&self) -> String {
        config_line(&self.name, &self.value)
    }
}

/// How a `.config` says that `name` has `value`; `n` stands for "is not set".
#[must_use]
pub fn config_line(name: &str, value: &str) -> String {
    match value {
        "n" => format!("# {PREFIX}{name} is not set"),
        _ => format!("{PREFIX}{name}={value}"),
    }
}

/// What a set of fragments asks for.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Merged {
    /// Each option with the line that decided it.
    pub options: BTreeMap<String, Assignment>,
    /// Lines that a later line with another value replaced, and that later line.
    pub overridden: Vec<(Assignment, Assignment)>,
}

impl Merged {
    /// Adds one more assignment, which wins over earlier ones.
    pub fn add(&mut self, assignment: Assignment) {
        let earlier = self.options.insert(assignment.name.clone(), assignment.clone());
        if let Some(earlier) = earlier.filter(|earlier| earlier.value != assignment.value) {
            self.overridden.push((earlier, assignment));
        }
    }

    /// All of it as the text of a `.config`, sorted by name.
    #[must_use]
    pub fn text(&self) -> String {
        self.options.values().map(|assignment| assignment.line() + "\n").collect()
    }
}

/// Parses the text of one fragment. `file` is the name its places carry.
///
/// # Errors
/// Every malformed line.
pub fn parse(file: &str, text: &str) -> Result<Vec<Assignment>, Vec<Finding>> {
    let mut assignments = Vec::new();
    let mut findings = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let place = Place { file: file.to_owned(), line: number, column: 1 };
        match parse_line(line) {
            Line::Comment => {}
            Line::Option(name, value) => assignments.push(Assignment { name, value, place }),
            Line::Malformed(message, hint) => {
                findings.push(Finding::new(place, message).with_hint(hint));
            }
        }
    }
    if findings.is_empty() { Ok(assignments) } else { Err(findings) }
}

/// Merges fragments, each a file name and its text, in their order.
///
/// # Errors
/// Every malformed line of every fragment.
pub fn merge<'a>(
    fragments: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Merged, Vec<Finding>> {
    let mut merged = Merged::default();
    let mut findings = Vec::new();
    for (file, text) in fragments {
        match parse(file, text) {
            Ok(assignments) => assignments.into_iter().for_each(|one| merged.add(one)),
            Err(more) => findings.extend(more),
        }
    }
    if findings.is_empty() { Ok(merged) } else { Err(findings) }
}

/// What one line of a fragment is.
enum Line {
    Comment,
    Option(String, String),
    Malformed(String, String),
}

fn parse_line(line: &str) -> Line {
    let trimmed = line.trim();
    if trimmed.is_empty() {
        return Line::Comment;
    }
    if let Some(comment) = trimmed.strip_prefix('#') {
        return parse_comment(comment);
    }
    let Some((left, value)) = trimmed.split_once('=') else {
        return malformed(trimmed);
    };
    let Some(name) = left.strip_prefix(PREFIX).filter(|name| is_name(name)) else {
        return malformed(trimmed);
    };
    if is_value(value) { Line::Option(name.into(), value.into()) } else { bad_value(name, value) }
}

/// A comment, unless it is the form that unsets an option, or was meant as it.
fn parse_comment(comment: &str) -> Line {
    let words: Vec<&str> = comment.split_whitespace().collect();
    let [name, "is", "not", "set"] = words[..] else {
        return Line::Comment;
    };
    let Some(name) = name.strip_prefix(PREFIX).filter(|name| is_name(name)) else {
        return Line::Comment;
    };
    if comment == format!(" {PREFIX}{name} is not set") {
        return Line::Option(name.into(), "n".into());
    }
    Line::Malformed(
        format!("this comment looks like an unset option, but make would ignore it: #{comment}"),
        format!("write `# {PREFIX}{name} is not set` exactly so"),
    )
}

fn malformed(line: &str) -> Line {
    let left = line.split('=').next().unwrap_or_default().trim();
    let name = left.strip_prefix(PREFIX).unwrap_or(left);
    let example = if is_name(name) { name } else { "NAME" };
    Line::Malformed(
        format!("not an option: {line}"),
        format!("write `{PREFIX}{example}=y` without spaces, or `# {PREFIX}{example} is not set`"),
    )
}

fn bad_value(name: &str, value: &str) -> Line {
    Line::Malformed(
        format!("{PREFIX}{name} has a value that no kernel option can have: {value}"),
        "a value is y, m, n, a number, 0x and a number, or text in double quotes".into(),
    )
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn is_value(value: &str) -> bool {
    let is_string = value.len() >= 2 && value.starts_with('"') && value.ends_with('"');
    let digits = value.strip_prefix('-').unwrap_or(value);
    let is_decimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    let is_hexadecimal = value.strip_prefix("0x").is_some_and(|digits| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    });
    matches!(value, "y" | "m" | "n") || is_string || is_decimal || is_hexadecimal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(merged: &Merged) -> Vec<(&str, &str)> {
        merged.options.values().map(|one| (one.name.as_str(), one.value.as_str())).collect()
    }

    #[test]
    fn every_kind_of_value_is_read_and_written_back() {
        let text = "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"a b=c\"\nCONFIG_D=-3\n\
                    CONFIG_E=0x1F\nCONFIG_F=n\nCONFIG_64BIT=m\n";
        let merged = merge([("f", text)]).unwrap();
        let expected = [
            ("64BIT", "m"),
            ("A", "y"),
            ("B", "n"),
            ("C", "\"a b=c\""),
            ("D", "-3"),
            ("E", "0x1F"),
            ("F", "n"),
        ];
        assert_eq!(values(&merged), expected);
        let again = merge([("f", merged.text().as_str())]).unwrap();
        assert_eq!(values(&again), expected);
    }

    #[test]
    fn later_lines_win_and_the_overridden_are_known_with_their_places() {
        let merged = merge([
            ("base", "# why\nCONFIG_A=y\nCONFIG_B=y\n"),
            ("late", "\n# CONFIG_A is not set\nCONFIG_B=y\n"),
        ])
        .unwrap();
        assert_eq!(values(&merged), [("A", "n"), ("B", "y")]);
        assert_eq!(merged.options["B"].place.to_string(), "late:3:1");
        let [(earlier, later)] = &merged.overridden[..] else { panic!("{merged:?}") };
        assert_eq!(earlier.place.to_string(), "base:2:1");
        assert_eq!(later.place.to_string(), "late:2:1");
    }

    #[test]
    fn malformed_lines_are_all_named() {
        let cases = [
            ("CONFIG_A = y", "not an option"),
            ("A=y", "not an option"),
            ("CONFIG_A", "not an option"),
            ("CONFIG_=y", "not an option"),
            ("CONFIG_A=yes", "value"),
            ("CONFIG_A=", "value"),
            ("CONFIG_A=\"half", "value"),
            ("CONFIG_A=0x", "value"),
            ("#CONFIG_A is not set", "looks like"),
            ("#  CONFIG_A is  not set", "looks like"),
        ];
        let text: String = cases.iter().map(|(line, _)| format!("{line}\n")).collect();
        let findings = merge([("f", text.as_str())]).unwrap_err();
        assert_eq!(findings.len(), cases.len(), "{findings:#?}");
        for ((line, expected), (finding, number)) in cases.iter().zip(findings.iter().zip(1..)) {
            assert!(finding.message.contains(expected), "{line}: {finding}");
            assert!(finding.hint.is_some(), "{line}");
            assert_eq!(finding.place.line, number);
        }
    }

    #[test]
    fn ordinary_comments_are_comments() {
        let text = "# CONFIG is nice\n#\n# A is not set\n## CONFIG_A=y\n";
        assert!(merge([("f", text)]).unwrap().options.is_empty());
    }
}
