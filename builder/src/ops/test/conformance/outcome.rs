//! What a suite's runner in the guest tells, and what it comes to. Pure.

use crate::ops::test::guest_checks::Verdict;

/// How a test came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::ops::test) enum Outcome {
    Passed,
    Failed,
    /// The suite says that it cannot be run here.
    Skipped,
    /// Its part of the suite was not run to its end.
    Broken,
}

impl Outcome {
    /// Whether the system did not do what the test asks.
    pub(super) const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Broken)
    }
}

/// One line of a runner.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::ops::test) struct Test {
    pub(super) outcome: Outcome,
    /// The part of its suite: a module, or a file.
    pub(super) part: String,
    pub(super) name: String,
    pub(super) reason: String,
}

/// The tests of some parts.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(in crate::ops::test) struct Outcomes(pub(super) Vec<Test>);

impl Outcomes {
    /// Reads the lines of a runner that was given one part, and how the runner ended if
    /// that was not well. A runner that tells nothing has a broken part.
    pub(super) fn read(part: &str, text: &str, failure: Option<String>) -> Self {
        let mut tests: Vec<Test> = text.lines().filter_map(Test::parse).collect();
        let nothing = tests.is_empty().then(|| "nothing was told of it".to_owned());
        if let Some(reason) = failure.or(nothing) {
            let (part, name) = (part.to_owned(), "-".to_owned());
            tests.push(Test { outcome: Outcome::Broken, part, name, reason });
        }
        Self(tests)
    }

    /// Adds those of another part.
    pub(super) fn append(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Those of some parts.
    pub(super) fn of<'p>(&self, parts: impl Iterator<Item = &'p str>) -> Self {
        let parts: Vec<&str> = parts.collect();
        let is_of = |test: &&Test| parts.contains(&test.part.as_str());
        Self(self.0.iter().filter(is_of).cloned().collect())
    }

    /// How many came out so.
    pub(super) fn count(&self, outcome: Outcome) -> usize {
        self.0.iter().filter(|test| test.outcome == outcome).count()
    }

    /// How many did not do what they should.
    pub(super) fn failures(&self) -> usize {
        self.0.iter().filter(|test| test.outcome.is_failure()).count()
    }

    /// Whether every failure is one that was known; or those that were not.
    pub(super) fn verdict(&self, is_known: impl Fn(&Test) -> bool) -> Verdict {
        let mut counts = format!("{} passed", self.count(Outcome::Passed));
        for (count, what) in
            [(self.failures(), "failed"), (self.count(Outcome::Skipped), "could not be run")]
        {
            if count > 0 {
                counts += &format!(", {count} {what}");
            }
        }
        let wrong: Vec<String> = self
            .0
            .iter()
            .filter(|test| test.outcome.is_failure() && !is_known(test))
            .map(|test| format!("{} {}: {}", test.part, test.name, test.reason))
            .collect();
        if wrong.is_empty() && self.count(Outcome::Passed) > 0 {
            Ok(counts)
        } else {
            Err(format!("{counts}\n{}", wrong.join("\n")))
        }
    }
}

impl Test {
    /// Outcome, part, name and reason, separated by tabs.
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.splitn(4, '\t');
        let outcome = match fields.next()? {
            "passed" => Outcome::Passed,
            "failed" => Outcome::Failed,
            "skipped" => Outcome::Skipped,
            "broken" => Outcome::Broken,
            _ => return None,
        };
        let mut field = || fields.next().map(str::to_owned);
        Some(Self { outcome, part: field()?, name: field()?, reason: field()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "passed\ta\tA.b\t\nskipped\ta\tA.c\tno dial\n";

    #[test]
    fn a_failure_a_break_and_silence_are_no_success() {
        let nothing_known = |_: &Test| false;
        let outcomes = Outcomes::read("a", GOOD, None);
        assert_eq!(outcomes.verdict(nothing_known).unwrap(), "1 passed, 1 could not be run");
        for text in [
            GOOD.replace("skipped", "failed"),
            GOOD.replace("skipped", "broken"),
            GOOD.replace("passed", "skipped"),
            GOOD.replace('\t', " "),
            String::new(),
        ] {
            assert!(Outcomes::read("a", &text, None).verdict(nothing_known).is_err(), "{text}");
        }
        let failed = Outcomes::read("a", GOOD, Some("status 1".into()));
        let why = failed.verdict(nothing_known).unwrap_err();
        assert!(why.contains("a -: status 1"), "{why}");
    }

    #[test]
    fn a_failure_that_is_known_is_none() {
        let outcomes = Outcomes::read("a", "passed\ta\tx\t\nfailed\ta\ty\twhy\n", None);
        assert!(outcomes.verdict(|test| test.name == "y").is_ok());
        assert!(outcomes.verdict(|test| test.name == "x").is_err());
    }

    #[test]
    fn parts_are_told_apart() {
        let text = "passed\ta\tx\t\npassed\ta.B\tx\t\nfailed\tc\tx\twhy\n";
        let outcomes = Outcomes::read("a", text, None);
        assert_eq!(outcomes.of(["a"].into_iter()).count(Outcome::Passed), 1);
        assert_eq!(outcomes.of(["a", "c"].into_iter()).failures(), 1);
    }
}
