//! Public conformance suites in a guest: Python's own tests of the interfaces that POSIX
//! describes, and yash's of the shell language (docs/conformance.md).
//!
//! The features of scripts show the part that is quick. The long ladder runs everything
//! on every architecture and writes a page for the system and one for the shell: every
//! failure, and every test that was not run with its reason. A failure that the page has
//! already is known: a new one is a failed check.

mod outcome;
mod page;
mod shell_suite;
mod suite;

use std::path::Path;

use super::boots::{self, Boots, image_rung_name};
use super::guest_checks::Verdict;
use super::ladder::{Report, Rung};
use crate::arch::Arch;
use crate::error::{Error, IoContext, Result};
use crate::image;
use crate::ops::guest::{Guest, Setup};
use crate::ops::run::boot_method::BootMethod;
use crate::ops::run::plan::Parts;
use crate::project::Project;
use outcome::Outcomes;
use page::Page;
use suite::TOPICS;

/// The image that has the suites' runners.
pub(super) const IMAGE: &str = "conformance";

/// The rungs of the long ladder, each of which writes a page of its architecture.
pub(super) fn rungs<'a>(boots: &Boots<'a>) -> Vec<Rung<'a>> {
    let mut rungs = Vec::new();
    for &arch in boots.arches {
        for page in Page::ALL {
            let boots = boots.clone();
            let climb = move |report: &mut Report| climb(&boots, arch, page, report);
            let rung = Rung::new(page.title(arch).to_lowercase(), climb);
            rungs.push(rung.after(image_rung_name(boots::IMAGE, arch)));
        }
    }
    rungs
}

fn climb(boots: &Boots<'_>, arch: Arch, page: Page, report: &mut Report) -> Result<()> {
    let outcomes = run_all(boots, arch, page, report)?;
    let old = page_of(boots.project.root(), arch, page);
    for topic in page.topics() {
        let of = outcomes.of(topic.parts());
        report.check(topic.name, of.verdict(|test| page::has_failure(&old, test)));
    }
    let text = page.render(arch, &outcomes);
    if old == text {
        report.passed("the page is as it was", page.path(arch));
    } else {
        let path = boots.project.root().join(page.path(arch));
        std::fs::write(&path, text).at("write", &path)?;
        report.passed("the page is written", page.path(arch));
    }
    Ok(())
}

/// The page that there is, with the failures that are known. None is known without one.
fn page_of(root: &Path, arch: Arch, page: Page) -> String {
    std::fs::read_to_string(root.join(page.path(arch))).unwrap_or_default()
}

/// Runs every part that a page is about, one after the other in one guest.
fn run_all(boots: &Boots<'_>, arch: Arch, page: Page, report: &mut Report) -> Result<Outcomes> {
    let built = image::build(boots.shell, &boots.build.request(IMAGE, arch)?)?;
    // What is timed is done by one process at a time.
    let title = page.title(arch).to_lowercase();
    let setup = Setup { cpus: 1, ..boots.setup(report, arch, BootMethod::Direct, &title)? };
    let mut guest = Guest::boot(boots.shell, Parts::of(&built), &setup)?;
    if page == Page::Shell {
        let directory = boots.project.root().join("target/shell-suite");
        let shell_suite = shell_suite::fetch(&directory, boots.build.offline)?;
        let files: Vec<&str> = page.topics().flat_map(suite::Topic::parts).collect();
        shell_suite::give(&mut guest, &shell_suite, &files)?;
    }
    let mut outcomes = Outcomes::default();
    for topic in page.topics() {
        let begin = guest.elapsed();
        for part in topic.parts() {
            outcomes.append(topic.suite.run(&mut guest, part)?);
        }
        let took = (guest.elapsed() - begin).as_secs_f64();
        report.doing(format_args!("{}: {took:.1} s", topic.name));
    }
    guest.power_off()?;
    Ok(outcomes)
}

/// Runs what is quick of a topic.
pub(super) fn run_quick(guest: &mut Guest, arch: Arch, name: &str) -> Result<Verdict> {
    let topic = TOPICS
        .iter()
        .find(|topic| topic.name == name)
        .ok_or_else(|| Error::internal(format!("no suite has the topic {name:?}")))?;
    let mut outcomes = Outcomes::default();
    for part in topic.quick_parts() {
        outcomes.append(topic.suite.run(guest, part)?);
    }
    let known = page_of(Project::find()?.root(), arch, Page::System);
    Ok(outcomes.verdict(|test| page::has_failure(&known, test)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_pages_have_every_part() {
        let project = Project::find().unwrap();
        let mut count = 0;
        for (arch, page) in
            Arch::ALL.into_iter().flat_map(|arch| Page::ALL.map(|page| (arch, page)))
        {
            let text = page_of(project.root(), arch, page);
            if text.is_empty() {
                continue;
            }
            count += 1;
            for part in page.topics().flat_map(suite::Topic::parts) {
                assert!(page::has_part(&text, part), "{} lacks {part}", page.path(arch));
            }
        }
        assert!(count > 0, "there is no page");
    }
}
