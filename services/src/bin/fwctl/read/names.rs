//! What rules are called: by the file, or by their place in it.

use std::collections::BTreeSet;

use services::config_file::{Reader, Section};

use super::RESERVED_NAMES;

/// Longest name of a rule, in bytes.
const NAME_BYTES_MAX: usize = 32;

/// The names of a file, each of which is given once.
#[derive(Default)]
pub(super) struct Names {
    given: BTreeSet<String>,
    /// Names that those without one have by their place.
    implied: BTreeSet<String>,
}

impl Names {
    /// The implied names of `sections` are known before any name is read: a given one that is
    /// the same is a mistake wherever it stands.
    pub(super) fn imply(&mut self, kind: &str, sections: &[Section<'_>]) {
        let unnamed = sections.iter().filter(|section| section.get("name").is_none());
        self.implied.extend(unnamed.map(|section| implied(kind, section)));
    }

    /// The name that `section` gives itself, or the one it has by its place.
    pub(super) fn of<'t>(
        &mut self,
        reader: &mut Reader<'t>,
        kind: &str,
        section: &Section<'t>,
    ) -> String {
        let Some(name) = reader.parsed(section, "name", checked) else {
            return implied(kind, section);
        };
        let span = section.span_of("name");
        if self.implied.contains(&name) {
            reader.report_hint(
                span,
                format!("{name:?} is the name of one that has none, by its place"),
                "give that one a name too, or this one another",
            );
        } else if !self.given.insert(name.clone()) {
            reader.report(span, format!("the name {name:?} is given twice"));
        }
        name
    }
}

fn implied(kind: &str, section: &Section<'_>) -> String {
    format!("{kind}-{}", section.number)
}

fn checked(text: &str) -> Result<String, String> {
    let fits = (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
    match fits && !RESERVED_NAMES.contains(&text) {
        true => Ok(text.to_owned()),
        false if fits => Err(format!("{text:?} is the name of what needs no rule")),
        false => Err(format!("{text:?} is not 1 to {NAME_BYTES_MAX} of a-z, 0-9, - and _")),
    }
}
