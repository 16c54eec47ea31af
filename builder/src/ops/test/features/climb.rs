//! The rungs `features`: which guests are booted, and every feature's check in them.

use super::{Area, Disk, Feature, How, Pair, PairSteps, Steps, all, peer};
use crate::arch::Arch;
use crate::bus::Bus;
use crate::error::{Error, IoContext, Result};
use crate::image::{self, BuiltImage};
use crate::ops::guest::{Guest, Setup};
use crate::ops::run::boot_method::BootMethod;
use crate::ops::run::plan::Parts;
use crate::ops::test::boots::{self, Boots, Scratch, image_rung_name};
use crate::ops::test::guest_checks::Verdict;
use crate::ops::test::judge;
use crate::ops::test::ladder::{Report, Rung};
use crate::qemu::board::Board;
use crate::qemu::launch::RunDirectory;
use crate::qemu::machine::{self, DiskForm};
use crate::qemu::network::{CableEnd, Card, Mac, Network, Port};

/// The image that shows all features but those that name another.
const IMAGE: &str = "server-test";
/// The guest's ports that the host reaches.
const PUBLISHED: [u16; 1] = [22];
/// What is written just before the power goes, and where.
pub(super) const LAST_WORDS: &str = "written just before power-off";
pub(super) const LAST_WORDS_FILE: &str = "/root/last-words";
/// The same on the data partition.
pub(super) const LAST_DATA_FILE: &str = "/data/last-words";
/// Two guests share the host's processors.
const PAIR_CPUS: u32 = 1;

/// The rungs that build what one guest or two of it show, for those to come after.
pub(in crate::ops::test) fn image_rungs<'a>(boots: &Boots<'a>, is_long: bool) -> Vec<Rung<'a>> {
    let rung = |arch: Arch| {
        // The kernel is that of the other image.
        boots.image_rung(IMAGE, arch).after(image_rung_name(boots::IMAGE, arch))
    };
    boots.arches_of(is_long).map(rung).collect()
}

/// The rungs. Of the features those that have `only` in their name or area; for the host's
/// architecture, and with `is_long` for every one.
pub(in crate::ops::test) fn rungs<'a>(
    boots: &Boots<'a>,
    only: &'a str,
    is_long: bool,
) -> Vec<Rung<'a>> {
    let mut rungs = Vec::new();
    for arch in boots.arches_of(is_long) {
        let lab = Lab { boots: boots.clone(), arch, only, is_long };
        if lab.features().any(|(_, feature)| feature.is_of_one_server()) {
            let lab = lab.clone();
            let rung = Rung::new(format!("features {arch}"), move |report| lab.server(report));
            rungs.push(rung.after(image_rung_name(IMAGE, arch)));
        }
        if lab.features().any(|(_, feature)| feature.is_of_two_servers()) {
            let lab = lab.clone();
            let name = format!("features network {arch}");
            let rung = Rung::new(name, move |report| lab.pair(report));
            rungs.push(rung.after(image_rung_name(IMAGE, arch)));
        }
        let mut images: Vec<&str> = Vec::new();
        for (_, feature) in lab.features() {
            if let How::Image(image, _) = feature.how
                && !images.contains(&image)
            {
                images.push(image);
            }
        }
        for image in images {
            let lab = lab.clone();
            let name = format!("features {image} {arch}");
            let rung = Rung::new(name, move |report| lab.image(report, image));
            rungs.push(rung.after(image_rung_name(boots::IMAGE, arch)));
        }
    }
    rungs
}

impl Feature {
    /// Whether one guest of `server-test` shows it.
    const fn is_of_one_server(&self) -> bool {
        match self.how {
            How::Command(..)
            | How::Steps(_)
            | How::PoweredOff(_)
            | How::SecondBoot(_)
            | How::NewRoot(_) => true,
            How::Network(_) | How::Joined(_) | How::Image(..) => false,
        }
    }

    /// Whether two guests of it do.
    const fn is_of_two_servers(&self) -> bool {
        matches!(self.how, How::Network(_) | How::Joined(_))
    }
}

/// What the rungs of one architecture have in common.
#[derive(Clone)]
struct Lab<'a> {
    boots: Boots<'a>,
    arch: Arch,
    only: &'a str,
    is_long: bool,
}

impl Lab<'_> {
    /// The features that are to be shown.
    fn features(&self) -> impl Iterator<Item = (&'static Area, &'static Feature)> {
        let is_meant = move |area: &Area, feature: &Feature| {
            feature.is_for(self.arch)
                && (self.is_long || !feature.is_long)
                && (area.name.to_lowercase().contains(&self.only.to_lowercase())
                    || feature.name.to_lowercase().contains(&self.only.to_lowercase()))
        };
        all().filter(move |(area, feature)| is_meant(area, feature))
    }

    fn built(&self, image: &str) -> Result<BuiltImage> {
        image::build(self.boots.shell, &self.boots.build.request(image, self.arch)?)
    }

    /// One guest, its disk after it, and where it matters the guest again.
    fn server(&self, report: &mut Report) -> Result<()> {
        let scratch = Scratch::new()?;
        let path = scratch.0.path().join("disk.img");
        let mut parts = Parts::of(&self.built(IMAGE)?);
        let built = parts.disk.as_ref().map(|disk| disk.path.clone());
        let built = built.ok_or_else(|| Error::internal(format!("{IMAGE} has no disk")))?;
        std::fs::copy(&built, &path).at("write", &path)?;
        let kept = machine::Disk { path: path.clone(), form: DiskForm::Raw, keeps_writes: true };
        parts.disk = Some(kept);
        let mut guest = self.boot(report, parts.clone(), Bus::VirtioBlk, "features", &PUBLISHED)?;
        for (area, feature) in self.features() {
            match feature.how {
                How::Command(command, judge) => {
                    let verdict = guest.run(command).map(|output| judge(self.arch, &output));
                    settle(report, area, feature, &guest, verdict)?;
                }
                How::Steps(steps) => self.take(report, area, feature, &mut guest, steps)?,
                _ => {}
            }
        }
        guest.read(&format!("echo {LAST_WORDS} | tee {LAST_WORDS_FILE} > {LAST_DATA_FILE}"))?;
        guest.run_to_power_off("poweroff")?;
        for (_, feature) in self.features() {
            if let How::PoweredOff(judge) = feature.how {
                let scratch = scratch.0.path();
                judge(report, &Disk { check: feature.name, path: &path, scratch })?;
            }
        }
        self.boot_again(report, &parts, "features again", |how| match how {
            How::SecondBoot(steps) => Some(*steps),
            _ => None,
        })?;
        judge::renew_root(&path, &built)?;
        self.boot_again(report, &parts, "features with a new root", |how| match how {
            How::NewRoot(steps) => Some(*steps),
            _ => None,
        })
    }

    /// Boots once more for the features that `steps_of` has steps of, if there are any.
    fn boot_again(
        &self,
        report: &mut Report,
        parts: &Parts,
        what: &str,
        steps_of: fn(&How) -> Option<Steps>,
    ) -> Result<()> {
        if !self.features().any(|(_, feature)| steps_of(&feature.how).is_some()) {
            return Ok(());
        }
        let mut guest = self.boot(report, parts.clone(), Bus::VirtioBlk, what, &PUBLISHED)?;
        for (area, feature) in self.features() {
            if let Some(steps) = steps_of(&feature.how) {
                self.take(report, area, feature, &mut guest, steps)?;
            }
        }
        guest.power_off()
    }

    fn image(&self, report: &mut Report, image: &str) -> Result<()> {
        let built = self.built(image)?;
        let parts = Parts::of(&built);
        // The bus that the definition names first is where its disk is.
        let bus = built.definition.disk.buses.first().map_or(Bus::VirtioBlk, |bus| bus.value);
        let mut guest = self.boot(report, parts, bus, &format!("features {image}"), &[])?;
        for (area, feature) in self.features() {
            match feature.how {
                How::Image(of, steps) if of == image => {
                    self.take(report, area, feature, &mut guest, steps)?;
                }
                _ => {}
            }
        }
        guest.power_off()
    }

    /// Two guests at once, on one cable. What they write to their disks is thrown away.
    fn pair(&self, report: &mut Report) -> Result<()> {
        let parts = Parts::of(&self.built(IMAGE)?);
        let directory = RunDirectory::new()?;
        let mut begin = |number: u8, end: CableEnd| {
            let socket = directory.path().join("cable");
            let network = Network::Cable { socket, end };
            let what = format!("features network {number}");
            let setup = Setup {
                cards: vec![Card { mac: Mac::of(number, 0), network }],
                cpus: PAIR_CPUS,
                ..self.boots.setup(report, self.arch, BootMethod::Direct, &what)?
            };
            Guest::begin_boot(self.boots.shell, parts.clone(), &setup)
        };
        let first = begin(1, CableEnd::Listens)?;
        let second = begin(2, CableEnd::Connects)?;
        let mut pair = Pair { arch: self.arch, first, second };
        pair.first.wait_until_up()?;
        pair.second.wait_until_up()?;
        let took = pair.first.elapsed().as_secs_f64();
        report.passed("two guests boot", format_args!("take commands after {took:.1} s"));
        for (area, feature) in self.features() {
            let verdict = match feature.how {
                How::Network(steps) => steps(&mut pair),
                How::Joined(steps) => joined(&mut pair, steps),
                _ => continue,
            };
            settle(report, area, feature, &pair.first, verdict)?;
            pair.second.must_be_idle()?;
        }
        pair.first.power_off()?;
        pair.second.power_off()
    }

    fn boot(
        &self,
        report: &mut Report,
        parts: Parts,
        bus: Bus,
        what: &str,
        ports: &[u16],
    ) -> Result<Guest> {
        let published = ports.iter().map(|&guest| Port { host: 0, guest }).collect();
        let network = Network::User { published, is_isolated: true };
        let setup = Setup {
            board: Board::new(self.arch, None, bus)?,
            cards: vec![Card { mac: Mac::of(1, 0), network }],
            ..self.boots.setup(report, self.arch, BootMethod::Direct, what)?
        };
        let guest = Guest::boot(self.boots.shell, parts, &setup)?;
        let took = guest.elapsed().as_secs_f64();
        report.passed("it boots", format_args!("takes commands after {took:.1} s"));
        Ok(guest)
    }

    fn take(
        &self,
        report: &mut Report,
        area: &Area,
        feature: &Feature,
        guest: &mut Guest,
        steps: Steps,
    ) -> Result<()> {
        let verdict = steps(guest, self.arch);
        settle(report, area, feature, guest, verdict)
    }
}

/// Steps of two guests that are in one network, or why they are not.
fn joined(pair: &mut Pair, steps: PairSteps) -> Result<Verdict> {
    match peer::join(pair)? {
        Ok(()) => steps(pair),
        Err(found) => Ok(Err(found)),
    }
}

/// Reports a feature. A step that went wrong is a failed check, unless the guest
/// is in the middle of it: then nothing more can be asked.
fn settle(
    report: &mut Report,
    area: &Area,
    feature: &Feature,
    guest: &Guest,
    verdict: Result<Verdict>,
) -> Result<()> {
    let name = format!("{}: {}", area.name.to_lowercase(), feature.name);
    report.check(&name, verdict.map_err(|error| error.to_string()).flatten());
    guest.must_be_idle()
}
