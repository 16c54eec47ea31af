//! docs/conformance-ARCH.md and docs/conformance-shell-ARCH.md: what the suites came to
//! on an architecture. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::outcome::{Outcome, Outcomes, Test};
use super::suite::{Suite, TOPICS, Topic};
use crate::arch::Arch;

/// A page of an architecture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Page {
    /// What programs find.
    System,
    /// What the shell does.
    Shell,
}

impl Page {
    /// Every one.
    pub(super) const ALL: [Self; 2] = [Self::System, Self::Shell];

    /// Its heading; in small letters, the name of the rung that writes it.
    pub(super) fn title(self, arch: Arch) -> String {
        match self {
            Self::System => format!("Conformance {arch}"),
            Self::Shell => format!("Conformance shell {arch}"),
        }
    }

    /// Where it is, below the repository's root.
    pub(super) fn path(self, arch: Arch) -> String {
        format!("docs/{}.md", self.title(arch).to_lowercase().replace(' ', "-"))
    }

    /// What it is about.
    pub(super) fn topics(self) -> impl Iterator<Item = &'static Topic> {
        let is_shell = self == Self::Shell;
        TOPICS.iter().filter(move |topic| (topic.suite == Suite::Shell) == is_shell)
    }

    /// Its text. Without times, so that equal outcomes are equal bytes.
    pub(super) fn render(self, arch: Arch, outcomes: &Outcomes) -> String {
        let title = self.title(arch);
        let mut text = format!(
            "# {title}\n\nWritten by `cargo builder test --long '{}'`. What is run, why, and what \
             is to be said of the failures: [conformance.md](conformance.md).\n\n\
             {} passed, {} failed, {} could not be run.\n\n\
             | about | suite | part | passed | failed | not run |\n|---|---|---|---|---|---|\n",
            title.to_lowercase(),
            outcomes.count(Outcome::Passed),
            outcomes.failures(),
            outcomes.count(Outcome::Skipped),
        );
        self.topics().for_each(|topic| push_rows(&mut text, topic, outcomes));
        text.push_str("\n## Failures\n");
        let failures: Vec<String> = outcomes
            .0
            .iter()
            .filter(|test| test.outcome.is_failure())
            .map(|test| format!("{}{}\n", subject(test), plain(&test.reason)))
            .collect();
        push_list(&mut text, &failures);
        text.push_str("\n## Not run\n");
        push_list(&mut text, &not_run(outcomes));
        text
    }
}

fn push_rows(text: &mut String, topic: &Topic, outcomes: &Outcomes) {
    for part in topic.parts() {
        let of = outcomes.of([part].into_iter());
        let counts = [of.count(Outcome::Passed), of.failures(), of.count(Outcome::Skipped)];
        let [passed, failed, skipped] = counts;
        let _never_fails = writeln!(
            text,
            "| {} | {} | {} | {passed} | {failed} | {skipped} |",
            topic.name,
            topic.suite.name(),
            code(part),
        );
    }
}

/// Whether a page has this test among its failures.
pub(super) fn has_failure(page: &str, test: &Test) -> bool {
    let failures = page.split("\n## ").find_map(|section| section.strip_prefix("Failures\n"));
    failures.is_some_and(|lines| lines.lines().any(|line| line.starts_with(&subject(test))))
}

/// The parts that a page has a row for.
#[cfg(test)]
pub(super) fn has_part(page: &str, part: &str) -> bool {
    page.lines().filter(|line| line.contains(&format!("| {} |", code(part)))).count() == 1
}

/// What could not be run, once for each part and reason.
fn not_run(outcomes: &Outcomes) -> Vec<String> {
    let mut groups: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for test in outcomes.0.iter().filter(|test| test.outcome == Outcome::Skipped) {
        groups.entry((&test.part, &test.reason)).or_default().push(code(&test.name));
    }
    let line = |((part, reason), tests): (&(&str, &str), &Vec<String>)| {
        format!("- {} {}: {}\n", code(part), plain(reason), tests.join(", "))
    };
    groups.iter().map(line).collect()
}

fn push_list(text: &mut String, lines: &[String]) {
    if lines.is_empty() {
        text.push_str("None.\n");
    }
    text.extend(lines.iter().map(String::as_str));
}

fn subject(test: &Test) -> String {
    format!("- {} {}: ", code(&test.part), code(&test.name))
}

/// A name, as the page has it. A table's row ends at no bar in it.
fn code(name: &str) -> String {
    format!("`{}`", name.trim_start_matches("test.").replace('`', "'").replace('|', "\\|"))
}

/// What a test says, without what would be a link or a tag.
fn plain(reason: &str) -> String {
    reason.replace(['[', ']', '<', '>', '|', '`'], " ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_and_what_was_not_run_are_listed() {
        let outcomes = Outcomes::read(
            "test.test_pty",
            "passed\ttest.test_pty\tA.a\t\nfailed\ttest.test_pty\tA.b\tOSError: [Errno 5]\n\
             skipped\ttest.test_grp\tG.c\tno groups\nskipped\ttest.test_grp\tG.d\tno groups\n",
            None,
        );
        let text = Page::System.render(Arch::Aarch64, &outcomes);
        for wanted in [
            "# Conformance aarch64\n",
            "\n1 passed, 1 failed, 2 could not be run.\n",
            "| Terminals and job control | Python | `test_pty` | 1 | 1 | 0 |\n",
            "\n## Failures\n- `test_pty` `A.b`: OSError:  Errno 5\n",
            "\n## Not run\n- `test_grp` no groups: `G.c`, `G.d`\n",
        ] {
            assert!(text.contains(wanted), "{wanted:?} is missing in:\n{text}");
        }
        let known: Vec<bool> = outcomes.0.iter().map(|test| has_failure(&text, test)).collect();
        assert_eq!(known, [false, true, false, false]);
        assert!(!has_failure("", &outcomes.0[1]));
        assert!(has_part(&text, "test.test_pty") && !has_part(&text, "test.test_none"));
        let shell = Page::Shell.render(Arch::X86_64, &Outcomes::default());
        assert!(shell.contains("## Failures\nNone.\n") && shell.contains("`andor-p.sh`"));
        assert_eq!(Page::Shell.path(Arch::X86_64), "docs/conformance-shell-x86_64.md");
    }
}
