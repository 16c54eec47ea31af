//! Rungs, checks and what came of them.
//!
//! A rung is a named group of checks that share their cost, such as one boot.
//! The report goes to standard output as it grows. It ends with what failed, once more, and
//! the tally.

use std::fmt::Display;
use std::time::Instant;

use super::schedule::{self, Company, Terms};
use crate::error::{Error, Result};
use crate::qemu::interrupt;
use crate::shell::Shell;

/// How many checks came out how.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Tally {
    /// Did what they should.
    pub(super) passed: u64,
    /// Did not.
    pub(super) failed: u64,
    /// Could not be made on this host; each was named.
    pub(super) skipped: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Takes the results of one rung's checks and prints them.
#[derive(Debug)]
pub(super) struct Report {
    shell: Shell,
    tally: Tally,
    /// Its failed checks, for the end of the whole report.
    failures: Vec<String>,
    /// What is kept back, while the report of a rung before it is not finished.
    held_back: Option<String>,
}

impl Report {
    fn new(shell: Shell, is_held_back: bool) -> Self {
        let held_back = is_held_back.then(String::new);
        Self { shell, tally: Tally::default(), failures: Vec::new(), held_back }
    }

    fn text(&mut self, text: &str) {
        match &mut self.held_back {
            Some(held_back) => held_back.push_str(text),
            None => self.shell.data(text),
        }
    }

    /// Says what is being done, as a person could do it.
    pub(super) fn doing(&mut self, what: impl Display) {
        self.text(&format!("   $ {what}\n"));
    }

    /// A check that passed; `detail` says what was seen, and may be empty.
    pub(super) fn passed(&mut self, check: &str, detail: impl Display) {
        self.tally.passed += 1;
        self.line("ok     ", check, &detail.to_string());
    }

    /// A check that failed, and why.
    pub(super) fn failed(&mut self, check: &str, why: impl Display) {
        self.tally.failed += 1;
        let why = why.to_string();
        self.line("FAILED ", check, &why);
        self.failures.push(line(check, &why));
    }

    /// A check that this host cannot make, and what it lacks.
    pub(super) fn skipped(&mut self, check: &str, why: impl Display) {
        self.tally.skipped += 1;
        self.line("skipped", check, &why.to_string());
    }

    /// A check that passes with what was seen, or fails with what is wrong.
    pub(super) fn check(&mut self, check: &str, result: Result<String, impl Display>) {
        match result {
            Ok(detail) => self.passed(check, detail),
            Err(why) => self.failed(check, why),
        }
    }

    /// Results that another test runner has already printed.
    pub(super) fn add(&mut self, tally: Tally) {
        self.tally += tally;
    }

    fn line(&mut self, state: &str, check: &str, detail: &str) {
        self.text(&format!("   {state} {}\n", line(check, detail)));
    }
}

/// A check and what was seen, of which further lines are indented.
fn line(check: &str, detail: &str) -> String {
    let gap = if detail.is_empty() { "" } else { ": " };
    let detail = detail.trim_end().replace('\n', "\n           ");
    format!("{check}{gap}{detail}")
}

/// A group of checks.
pub(super) struct Rung<'a> {
    /// Its name, which a filter is matched against.
    pub(super) name: String,
    /// Makes its checks. An error is one more failed check.
    #[expect(clippy::type_complexity, reason = "named by the field, used once")]
    pub(super) climb: Box<dyn Fn(&mut Report) -> Result<()> + Send + Sync + 'a>,
    company: Company,
    /// The names of rungs that are to be done before.
    after: Vec<String>,
}

impl<'a> Rung<'a> {
    /// A rung that may be climbed beside any other.
    pub(super) fn new(
        name: impl Into<String>,
        climb: impl Fn(&mut Report) -> Result<()> + Send + Sync + 'a,
    ) -> Self {
        Self { name: name.into(), climb: Box::new(climb), company: Company::Any, after: Vec::new() }
    }

    /// The same in another company.
    pub(super) fn beside(self, company: Company) -> Self {
        Self { company, ..self }
    }

    /// The same, not before the rung `name`: that makes what this one would wait for. One that
    /// is not climbed this time is not waited for.
    pub(super) fn after(mut self, name: impl Into<String>) -> Self {
        self.after.push(name.into());
        self
    }
}

/// When each of some rungs may begin.
fn terms(rungs: &[&Rung<'_>]) -> Vec<Terms> {
    let terms = |(place, rung): (usize, &&Rung<'_>)| {
        let is_awaited = |before: usize| rung.after.contains(&rungs[before].name);
        Terms { company: rung.company, after: (0..place).filter(|&one| is_awaited(one)).collect() }
    };
    rungs.iter().enumerate().map(terms).collect()
}

/// Climbs every rung whose name has `filter` in it, `jobs` at a time, and prints
/// their reports in order and the tally last.
///
/// # Errors
/// If a check failed (already told), no rung has that name, or a signal came.
pub(super) fn climb(shell: &Shell, rungs: &[Rung<'_>], filter: &str, jobs: usize) -> Result<Tally> {
    let chosen: Vec<_> = rungs.iter().filter(|rung| rung.name.contains(filter)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = rungs.iter().map(|rung| rung.name.as_str()).collect();
        return Err(Error::definition(format!("no rung of the ladder is named like {filter:?}"))
            .hint(format!("there are: {}", names.join(", "))));
    }
    let mut total = Tally::default();
    let mut failures = Vec::new();
    let climb_one = |index: usize| climb_one(*shell, chosen[index], jobs > 1);
    let has_come = || interrupt::came().is_some();
    schedule::climb_all(&terms(&chosen), jobs, climb_one, has_come, |index, report| {
        if let Some(text) = &report.held_back {
            shell.data(text);
        }
        total += report.tally;
        let name = &chosen[index].name;
        failures.extend(report.failures.iter().map(|check| format!("{name}: {check}")));
    });
    if let Some(signal) = interrupt::came() {
        let error = Error::failure(format!("interrupted by signal {signal}"));
        return Err(error.exit_with(u8::try_from(128 + signal).unwrap_or(1)));
    }
    shell.data("\n");
    for failure in &failures {
        shell.data(&format!("failed: {failure}\n"));
    }
    shell.data(&format!("{total}\n"));
    if total.failed == 0 {
        Ok(total)
    } else {
        Err(Error::failure(format!("{} checks failed", total.failed)).already_told())
    }
}

/// One rung, with its name before and its tally behind its checks.
fn climb_one(shell: Shell, rung: &Rung<'_>, is_held_back: bool) -> Report {
    let mut report = Report::new(shell, is_held_back);
    report.text(&format!("== {}\n", rung.name));
    if is_held_back {
        // Where this is the last that is heard, it tells which rung does not end.
        shell.note(format_args!("{}: begun", rung.name));
    }
    let started = Instant::now();
    if let Err(error) = (rung.climb)(&mut report) {
        report.failed(&rung.name, error);
    }
    let elapsed = started.elapsed().as_secs_f64();
    let end = format!("{} ({elapsed:.1} s)", report.tally);
    report.text(&format!("   {end}\n"));
    if is_held_back {
        shell.note(format_args!("{}: {end}", rung.name));
    }
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rung_is_climbed_and_a_failure_is_the_ladders() {
        let shell = Shell::new(true);
        let rungs = [
            Rung::new("good", |report| {
                report.passed("a", "");
                report.skipped("b", "sgdisk is not installed");
                Ok(())
            }),
            Rung::new("bad", |report| {
                report.check("c", Err::<String, _>("no"));
                Err(Error::failure("the guest hangs"))
            }),
            Rung::new("after", |report| {
                report.add(Tally { passed: 7, ..Tally::default() });
                Ok(())
            }),
        ];
        assert!(climb(&shell, &rungs, "", 2).is_err());
        let tally = climb(&shell, &rungs, "good", 1).unwrap();
        assert_eq!(tally, Tally { passed: 1, failed: 0, skipped: 1 });
        assert_eq!(climb(&shell, &rungs, "after", 2).unwrap().passed, 7);
        assert!(climb(&shell, &rungs, "nothing like it", 2).is_err());
    }

    #[test]
    fn a_rung_comes_after_those_that_it_names_and_that_are_climbed() {
        let rung = |name: &str| Rung::new(name, |_| Ok(()));
        let (image, other) = (rung("image"), rung("other"));
        let boot = rung("boot").after("image").after("missing");
        let is_boot_after = |rungs: &[&Rung<'_>], before: &[usize]| {
            let terms = terms(rungs);
            let (boot, others) = terms.split_last().unwrap();
            boot.after == before && others.iter().all(|terms| terms.after.is_empty())
        };
        assert!(is_boot_after(&[&other, &image, &boot], &[1]));
        assert!(is_boot_after(&[&other, &boot], &[]));
    }
}
