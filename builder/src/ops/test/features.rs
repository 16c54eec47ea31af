//! What the system can do, each shown by guests: the rungs `features`.
//!
//! A feature is one line of an area's table below [`AREAS`]: what a person gets,
//! the place in the documentation that promises it, and the check that shows
//! it. The image `server-test` is booted once per architecture for all areas,
//! once more as two guests on one cable, and other images where a feature names
//! one. docs/features.md is generated from the tables (`page`).

mod climb;
mod credentials;
mod devices;
mod firewall;
mod modules;
mod names_time;
mod network;
mod packages;
mod page;
mod peer;
mod people;
mod scripts;
mod shell;
mod ssh;
mod system;
mod tools;

use std::panic::Location;
use std::path::Path;

use super::guest_checks::Verdict;
use super::ladder::Report;
use crate::arch::Arch;
use crate::error::Result;
use crate::ops::guest::{Guest, Output};

pub(super) use climb::{image_rungs, rungs};
pub(super) use page::write as write_page;

/// Features that belong together, in the order in which they are shown.
pub(super) struct Area {
    /// What people call it.
    name: &'static str,
    features: &'static [Feature],
}

/// Every area.
const AREAS: &[Area] = &[
    Area { name: "System", features: system::FEATURES },
    Area { name: "Shell", features: shell::FEATURES },
    Area { name: "Tools", features: tools::FEATURES },
    Area { name: "Devices and mounts", features: devices::FEATURES },
    Area { name: "Kernel modules", features: modules::FEATURES },
    Area { name: "Network", features: network::FEATURES },
    Area { name: "SSH", features: ssh::FEATURES },
    Area { name: "People", features: people::FEATURES },
    Area { name: "Packages", features: packages::FEATURES },
    Area { name: "Firewall", features: firewall::FEATURES },
    Area { name: "Names and time", features: names_time::FEATURES },
    Area { name: "Scripts", features: scripts::FEATURES },
];

/// Something the system can do.
///
/// Features of one guest are shown in the order of the tables, and none leaves
/// behind what disturbs a later one.
pub(super) struct Feature {
    /// What a person gets, as a sentence that is true.
    name: &'static str,
    /// The page below docs/ that promises it, with its section: `boot.md#shutdown`.
    promised_in: &'static str,
    how: How,
    arches: &'static [Arch],
    /// Whether only the long ladder shows it.
    is_long: bool,
    /// Its line in the table.
    shown_at: &'static Location<'static>,
}

/// How a feature is shown.
enum How {
    /// By a command line for the shell of `server-test`, and what is made of its output.
    Command(&'static str, fn(Arch, &Output) -> Verdict),
    /// By several steps with `server-test`.
    Steps(Steps),
    /// By what the disk of `server-test` is like after it was powered off.
    PoweredOff(fn(&mut Report, &Disk<'_>) -> Result<()>),
    /// By several steps with `server-test` when it has booted a second time from
    /// the same disk.
    SecondBoot(Steps),
    /// By several steps with `server-test` once more, when its root partition was written
    /// anew, as an update does.
    NewRoot(Steps),
    /// By two guests.
    Network(PairSteps),
    /// By two guests, the first of which is in the second's network ([`peer::join`]).
    Joined(PairSteps),
    /// By several steps with another image.
    Image(&'static str, Steps),
}

/// Steps with one guest. An error is a failed check; the guest goes on with the next.
type Steps = fn(&mut Guest, Arch) -> Result<Verdict>;
/// The same with two guests.
type PairSteps = fn(&mut Pair) -> Result<Verdict>;

/// The disk of a guest that was powered off.
struct Disk<'a> {
    /// The feature's name, for the report.
    check: &'static str,
    /// The disk, whole.
    path: &'a Path,
    /// Where a judge may put files.
    scratch: &'a Path,
}

/// Two guests of `server-test`, the first card (`eth0`) of each at one end of a cable.
struct Pair {
    #[expect(dead_code, reason = "for steps that are another architecture's alone")]
    arch: Arch,
    first: Guest,
    second: Guest,
}

impl Feature {
    /// Whether it is shown for this architecture.
    fn is_for(&self, arch: Arch) -> bool {
        self.arches.contains(&arch)
    }

    /// The same, but shown by the long ladder alone: what it stands on takes long to build.
    const fn of_long_ladder(mut self) -> Self {
        self.is_long = true;
        self
    }

    /// The same, but of one architecture alone.
    const fn only(mut self, arches: &'static [Arch]) -> Self {
        self.arches = arches;
        self
    }
}

#[track_caller]
const fn feature(name: &'static str, promised_in: &'static str, how: How) -> Feature {
    let shown_at = Location::caller();
    Feature { name, promised_in, how, arches: &Arch::ALL, is_long: false, shown_at }
}

/// A feature that one command shows, run by the shell of `server-test`.
#[track_caller]
const fn command(
    name: &'static str,
    promised_in: &'static str,
    command: &'static str,
    judge: fn(Arch, &Output) -> Verdict,
) -> Feature {
    feature(name, promised_in, How::Command(command, judge))
}

/// A feature that takes several steps with `server-test`. Its first card is on an
/// isolated user network; the host reaches its port 22 (`Guest::published`).
#[track_caller]
const fn steps(name: &'static str, promised_in: &'static str, steps: Steps) -> Feature {
    feature(name, promised_in, How::Steps(steps))
}

/// A feature that shows on the disk of `server-test` after it was powered off.
#[track_caller]
const fn powered_off(
    name: &'static str,
    promised_in: &'static str,
    judge: fn(&mut Report, &Disk<'_>) -> Result<()>,
) -> Feature {
    feature(name, promised_in, How::PoweredOff(judge))
}

/// A feature that shows when `server-test` boots again from the disk it has written to.
#[track_caller]
const fn second_boot(name: &'static str, promised_in: &'static str, steps: Steps) -> Feature {
    feature(name, promised_in, How::SecondBoot(steps))
}

/// A feature that shows when the root partition of `server-test` was written anew.
#[track_caller]
const fn new_root(name: &'static str, promised_in: &'static str, steps: Steps) -> Feature {
    feature(name, promised_in, How::NewRoot(steps))
}

/// A feature that takes two guests, connected or not.
#[track_caller]
const fn network(name: &'static str, promised_in: &'static str, steps: PairSteps) -> Feature {
    feature(name, promised_in, How::Network(steps))
}

/// A feature that takes two guests, the first in the second's network whatever was shown before.
#[track_caller]
const fn joined(name: &'static str, promised_in: &'static str, steps: PairSteps) -> Feature {
    feature(name, promised_in, How::Joined(steps))
}

/// A feature of another image, which is booted once for all of its own.
#[track_caller]
const fn image(
    name: &'static str,
    promised_in: &'static str,
    image: &'static str,
    steps: Steps,
) -> Feature {
    feature(name, promised_in, How::Image(image, steps))
}

/// Every feature with its area, in the order of the tables.
fn all() -> impl Iterator<Item = (&'static Area, &'static Feature)> {
    AREAS.iter().flat_map(|area| area.features.iter().map(move |feature| (area, feature)))
}

/// That a command succeeded, whatever it printed.
fn succeeds(_: Arch, output: &Output) -> Verdict {
    output.success().map(|_printed| String::new())
}

/// That a command succeeded and printed this.
fn says(output: &Output, expected: &str) -> Verdict {
    let text = output.success()?;
    if text == expected { Ok(String::new()) } else { Err(format!("it is {text:?}")) }
}
