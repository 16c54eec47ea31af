//! Reads what `cargo test -- --show-output` prints, to count and to name.

use std::collections::BTreeSet;

use super::ladder::Tally;

/// How a test says that its judge is not there.
const SKIPPED: &str = "skipped: ";

/// What was read so far.
#[derive(Debug, Default)]
pub(super) struct TestOutput {
    tally: Tally,
    /// The test whose output is being read.
    test: String,
    skipped_tests: BTreeSet<String>,
    /// What tests could not be judged by, each once.
    pub(super) reasons: BTreeSet<String>,
    /// Names of failed tests.
    pub(super) failed_tests: BTreeSet<String>,
}

impl TestOutput {
    /// Takes one line.
    pub(super) fn line(&mut self, line: &str) {
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.tally += tally(counts);
        } else if let Some(name) = line.strip_prefix("---- ") {
            self.test = name.trim_end_matches(" ----").trim_end_matches(" stdout").to_owned();
        } else if let Some(reason) = line.strip_prefix(SKIPPED) {
            self.reasons.insert(reason.to_owned());
            self.skipped_tests.insert(self.test.clone());
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"))
        {
            self.failed_tests.insert(name.to_owned());
        }
    }

    /// How many tests came out how. One that skipped counts as that, not as passed.
    pub(super) fn tally(&self) -> Tally {
        let skipped = self.skipped_tests.len() as u64;
        Tally {
            passed: self.tally.passed.saturating_sub(skipped),
            skipped: self.tally.skipped + skipped,
            ..self.tally
        }
    }
}

/// `ok. 3 passed; 0 failed; 1 ignored; 0 measured; …`
fn tally(counts: &str) -> Tally {
    let count = |word: &str| {
        let part = counts.split(['.', ';']).find_map(|part| part.trim().strip_suffix(word));
        part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    };
    Tally { passed: count(" passed"), failed: count(" failed"), skipped: count(" ignored") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_counted_and_skipped_judges_named() {
        let mut output = TestOutput::default();
        for line in "\
running 3 tests
test a::one ... ok
test a::two ... ok
test three ... FAILED

successes:

---- a::one stdout ----
skipped: sgdisk is not installed
skipped: fsck.fat is not installed

---- a::two stdout ----
some text

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s"
            .lines()
        {
            output.line(line);
        }
        assert_eq!(output.tally(), Tally { passed: 6, failed: 1, skipped: 2 });
        assert_eq!(output.failed_tests.iter().collect::<Vec<_>>(), ["three"]);
        assert_eq!(output.reasons.len(), 2);
    }
}
