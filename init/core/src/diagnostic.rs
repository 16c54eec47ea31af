//! A finding in a text file: where it is, what is wrong, what to do.
//!
//! The one shape for every complaint about a file a person wrote, on the host
//! and on the target. Readers collect all findings of a file, not the first.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// A place in a text file. Lines and columns count from 1; columns count characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// Path of the file as the reader was given it.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

impl Place {
    /// The place of byte `offset` in `text`. An offset past the end is the end.
    #[must_use]
    pub fn of_offset(file: &str, text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |tail| tail.chars().count()) + 1;
        let clamp = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self { file: file.to_owned(), line: clamp(line), column: clamp(column) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// What is wrong at a place, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Where.
    pub place: Place,
    /// What is wrong: a lowercase fragment without a final period.
    pub message: String,
    /// What to do, where something useful can be said.
    pub hint: Option<String>,
}

impl Finding {
    /// A finding without a hint.
    #[must_use]
    pub fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into(), hint: None }
    }

    /// The same finding with a remedy.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// `file:line:column: message`, and the hint on a line of its own.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The candidate that was probably meant by `wrong`: the nearest by edit
/// distance, if at most a third of its characters differ.
#[must_use]
pub fn suggest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(wrong, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edit distance in characters, where two neighbours that changed places count
/// as one edit (optimal string alignment): the commonest slip of all. Here because
/// PID 1 answers misspelt keys too and carries no crate for it.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row_before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let mut before = None;
    for (i, a) in left.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX);
            let mut cost = at(&row, j).saturating_add(usize::from(a != *b));
            cost = cost.min(at(&row, j + 1).saturating_add(1)).min(at(&next, j).saturating_add(1));
            let crossed = before == Some(*b) && j > 0 && right.get(j - 1) == Some(&a);
            if crossed {
                cost = cost.min(at(&row_before, j - 1).saturating_add(1));
            }
            next.push(cost);
        }
        row_before = core::mem::replace(&mut row, next);
        before = Some(a);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_from_one_and_in_characters() {
        let text = "a = 1\nμμ = 2\n";
        assert_eq!(Place::of_offset("f", text, 0).to_string(), "f:1:1");
        assert_eq!(Place::of_offset("f", text, 6 + 5).to_string(), "f:2:4");
        assert_eq!(Place::of_offset("f", text, 999).to_string(), "f:3:1");
    }

    #[test]
    fn a_typo_is_suggested_and_a_stranger_is_not() {
        let keys = ["command", "restart", "requires"];
        assert_eq!(suggest("comand", keys), Some("command"));
        assert_eq!(suggest("require", keys), Some("requires"));
        assert_eq!(suggest("comamnd", keys), Some("command"));
        assert_eq!(suggest("wbe", ["web"]), Some("web"));
        assert_eq!(suggest("colour", keys), None);
        assert_eq!(suggest("", keys), None);
    }
}
