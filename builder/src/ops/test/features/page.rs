//! docs/features.md: the tables of features as a page. Rendering is pure.

use std::fmt::Write;
use std::path::Path;

use super::{AREAS, Feature};
use crate::error::{IoContext, Result};
use crate::shell::Shell;

/// Where the page is, below the repository's root.
const PAGE: &str = "docs/features.md";

const INTRODUCTION: &str = "\
# Features

Every line is something the system does and a guest shows: the image `server-test`, which is `server` with test aids, is booted and asked, on each
architecture. The page is written from the tests' tables, `builder/src/ops/test/features/`; how to add a line is in [testing.md](testing.md#features).

```
cargo builder test features                  shows all of them
cargo builder test features --only firewall  those with this in their area or name
cargo builder test --write-features          writes this page
```
";

/// Writes the page, if it is another one.
///
/// # Errors
/// If it cannot be written.
pub(in crate::ops::test) fn write(shell: &Shell, root: &Path) -> Result<()> {
    let path = root.join(PAGE);
    let text = render();
    if std::fs::read_to_string(&path).is_ok_and(|found| found == text) {
        shell.note(format_args!("{PAGE} is as it was"));
        return Ok(());
    }
    std::fs::write(&path, text).at("write", &path)?;
    shell.note(format_args!("{PAGE} is written"));
    Ok(())
}

/// The page.
fn render() -> String {
    let mut text = INTRODUCTION.to_owned();
    for area in AREAS {
        let _never_fails = write!(
            text,
            "\n## {}\n| feature | described in | test | architectures |\n|---|---|---|---|\n",
            area.name
        );
        for feature in area.features {
            text.push_str(&row(feature));
        }
    }
    text
}

fn row(feature: &Feature) -> String {
    let Feature { name, promised_in, arches, shown_at, .. } = feature;
    let page = promised_in.split('#').next().unwrap_or_default();
    let (file, line) = (shown_at.file(), shown_at.line());
    let test = Path::new(file).file_name().unwrap_or_default().to_string_lossy();
    let arches = arches.iter().map(|arch| arch.as_str()).collect::<Vec<_>>().join(", ");
    format!(
        "| {name} | [{page}]({promised_in}) | [{test}:{line}](../{file}#L{line}) | {arches} |\n"
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::all;
    use super::*;
    use crate::project::Project;

    #[test]
    fn the_committed_page_has_these_features() {
        let path = Project::find().unwrap().root().join(PAGE);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(text == render(), "{PAGE} is another one: `cargo builder test --write-features`");
    }

    #[test]
    fn a_feature_is_named_once_as_a_sentence_without_its_stop() {
        let mut names = BTreeSet::new();
        for (_, feature) in all() {
            let name = feature.name;
            assert!(names.insert(name), "{name:?} is there twice");
            assert!(!name.contains('|') && !name.ends_with('.') && name.contains(' '), "{name:?}");
            assert!(!feature.arches.is_empty(), "{name:?} is shown nowhere");
        }
    }

    /// The anchors of a page, as GitHub makes them of its headings.
    fn anchors(page: &str) -> BTreeSet<String> {
        let headings = page.lines().filter_map(|line| line.strip_prefix('#'));
        let anchor = |heading: &str| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        };
        headings.map(anchor).collect()
    }

    #[test]
    fn a_feature_is_promised_in_a_section_that_is_there() {
        let docs = Project::find().unwrap().root().join("docs");
        let mut wrong = Vec::new();
        for (_, feature) in all() {
            let (page, section) = match feature.promised_in.split_once('#') {
                Some((page, section)) => (page, Some(section)),
                None => (feature.promised_in, None),
            };
            match std::fs::read_to_string(docs.join(page)) {
                Err(error) => wrong.push(format!("{}: docs/{page}: {error}", feature.name)),
                Ok(text) if section.is_some_and(|section| !anchors(&text).contains(section)) => {
                    wrong.push(format!("{}: {}", feature.name, feature.promised_in));
                }
                Ok(_) => {}
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn headings_become_anchors() {
        let found = anchors("# One page\ntext # no\n## DHCP: `netd`, v4\n");
        assert_eq!(found, ["dhcp-netd-v4", "one-page"].map(str::to_owned).into());
    }
}
