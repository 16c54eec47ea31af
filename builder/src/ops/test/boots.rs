//! The rungs that boot the image `test`: each architecture as an initramfs and
//! from its disk by UEFI, and the ways down.

use std::path::{Path, PathBuf};

use super::guest_checks::CHECKS;
use super::judge;
use super::ladder::{Report, Rung};
use super::schedule::Company;
use super::workspace::log_file;
use crate::arch::Arch;
use crate::error::{IoContext, Result};
use crate::host::Invocation;
use crate::image::{self, BuiltImage};
use crate::ops::guest::{Guest, Setup};
use crate::ops::image::BuildArgs;
use crate::ops::run::boot_method::BootMethod;
use crate::ops::run::plan::Parts;
use crate::project::Project;
use crate::qemu::accel;
use crate::qemu::machine::{Disk, DiskForm};
use crate::shell::Shell;

/// The image that the rungs boot.
pub(super) const IMAGE: &str = "test";
/// What is written just before the power goes, to be found again on the disk.
const LAST_WORDS: &str = "written just before power-off";

/// Makes the checks of a rung that boots the image.
pub(super) type Climb = fn(&Boots<'_>, Arch, &mut Report) -> Result<()>;

/// What the boots have in common.
#[derive(Clone, Debug)]
pub(super) struct Boots<'a> {
    pub(super) shell: &'a Shell,
    pub(super) project: &'a Project,
    pub(super) build: &'a BuildArgs,
    pub(super) accel: accel::Choice,
    /// What is booted.
    pub(super) arches: &'a [Arch],
}

/// The name of the rung that builds an image.
pub(super) fn image_rung_name(image: &str, arch: Arch) -> String {
    format!("image {image} {arch}")
}

/// A medium that an image boots from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Medium {
    /// The initramfs, loaded by QEMU.
    Initramfs,
    /// The disk, loaded by firmware.
    UefiDisk,
    /// The disk's root, its kernel loaded by QEMU.
    DirectDisk,
}

impl Medium {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Initramfs => "initramfs",
            Self::UefiDisk => "disk by UEFI",
            Self::DirectDisk => "disk by -kernel",
        }
    }

    const fn boot(self) -> BootMethod {
        match self {
            Self::Initramfs | Self::DirectDisk => BootMethod::Direct,
            Self::UefiDisk => BootMethod::Uefi,
        }
    }
}

impl<'a> Boots<'a> {
    /// The rungs that build the image, one per architecture.
    pub(super) fn image_rungs(&self) -> Vec<Rung<'a>> {
        self.arches.iter().map(|&arch| self.image_rung(IMAGE, arch)).collect()
    }

    /// The rung that builds an image, for others to come after.
    pub(super) fn image_rung(&self, image: &'static str, arch: Arch) -> Rung<'a> {
        let boots = self.clone();
        Rung::new(image_rung_name(image, arch), move |report| {
            let built = image::build(boots.shell, &boots.build.request(image, arch)?)?;
            report.passed(&format!("the image {image} is built"), built.directory.display());
            Ok(())
        })
    }

    /// The rungs with the table of checks. They measure how soon PID 1 answers, so
    /// nothing is climbed beside them.
    pub(super) fn rungs(&self) -> Vec<Rung<'a>> {
        let mut rungs = Vec::new();
        for &arch in self.arches {
            for medium in [Medium::Initramfs, Medium::UefiDisk] {
                let boots = self.clone();
                let name = format!("boot {arch} {}", medium.as_str());
                let climb = move |report: &mut Report| boots.checks(report, arch, medium);
                let rung = Rung::new(name, climb).after(image_rung_name(IMAGE, arch));
                rungs.push(rung.beside(Company::None));
            }
        }
        rungs
    }

    /// One rung per architecture: going down against a service that refuses to.
    pub(super) fn stubborn_rungs(&self) -> Vec<Rung<'a>> {
        let climb: Climb = |boots, arch, report| boots.stubborn_power_off(arch, report);
        self.arches.iter().map(|&arch| self.rung("power-off", arch, climb)).collect()
    }

    /// A rung that boots the image: its name has the architecture in it.
    pub(super) fn rung(&self, name: &str, arch: Arch, climb: Climb) -> Rung<'a> {
        let boots = self.clone();
        Rung::new(format!("{name} {arch}"), move |report| climb(&boots, arch, report))
            .after(image_rung_name(IMAGE, arch))
    }

    /// The rung, after those that build the image: what it builds itself for every
    /// architecture has most of that in common with it.
    pub(super) fn after_images(&self, rung: Rung<'a>) -> Rung<'a> {
        self.arches.iter().fold(rung, |rung, &arch| rung.after(image_rung_name(IMAGE, arch)))
    }

    /// What a rung is for that costs too much to climb for every architecture:
    /// the host's, or with `is_long` every one.
    pub(super) fn arches_of(&self, is_long: bool) -> impl Iterator<Item = Arch> {
        let host = Arch::host().unwrap_or(Arch::X86_64);
        self.arches.iter().copied().filter(move |&arch| is_long || arch == host)
    }

    /// The image, which later rungs find as an earlier one left it.
    pub(super) fn build(&self, arch: Arch) -> Result<BuiltImage> {
        image::build(self.shell, &self.build.request(IMAGE, arch)?)
    }

    /// `builder run` of the image, as a program of its own.
    ///
    /// # Errors
    /// If the builder does not find itself.
    pub(super) fn builder_run(&self, arch: Arch) -> Result<Invocation> {
        let builder = std::env::current_exe().at("find", Path::new("the builder"))?;
        Ok(Invocation::new(&builder)
            .args(["run", IMAGE, "--arch", arch.as_str(), "--accel", self.accel.as_str()])
            .args(self.build.words())
            .current_dir(self.project.root()))
    }

    /// Boots, makes every check of the table, and powers off.
    fn checks(&self, report: &mut Report, arch: Arch, medium: Medium) -> Result<()> {
        let scratch = Scratch::new()?;
        let (mut guest, disk) = self.boot(report, arch, medium, &scratch)?;
        for check in CHECKS {
            report.check(check.name, check.make(&mut guest, arch)?);
        }
        let Some(disk) = disk else {
            guest.power_off()?;
            report.passed("power-off", "");
            return Ok(());
        };
        self.power_off_and_judge(report, guest, &disk, &scratch)
    }

    /// Powers off while a service refuses to end.
    fn stubborn_power_off(&self, arch: Arch, report: &mut Report) -> Result<()> {
        let scratch = Scratch::new()?;
        let medium = Medium::DirectDisk;
        let (mut guest, disk) = self.boot(report, arch, medium, &scratch)?;
        guest.read("svcctl start test-stubborn")?;
        match disk {
            Some(disk) => self.power_off_and_judge(report, guest, &disk, &scratch),
            None => guest.power_off(),
        }
    }

    fn power_off_and_judge(
        &self,
        report: &mut Report,
        mut guest: Guest,
        disk: &Path,
        scratch: &Scratch,
    ) -> Result<()> {
        guest.read(&format!("echo {LAST_WORDS} > /root/last-words"))?;
        guest.run_to_power_off("poweroff")?;
        report.passed("poweroff powers it off", "");
        judge::disk(report, disk, scratch.0.path(), LAST_WORDS)
    }

    /// How a guest is booted whose console's log is named after `what`.
    pub(super) fn setup(
        &self,
        report: &mut Report,
        arch: Arch,
        boot: BootMethod,
        what: &str,
    ) -> Result<Setup> {
        let log = log_file(self.project.root(), &format!("console {arch} {what}"))?;
        report.doing(format_args!("console: {}", log.display()));
        Ok(Setup { console_log: Some(log), ..Setup::of(arch, boot, self.accel) })
    }

    /// A guest that takes commands, and the copy of the disk it writes to.
    fn boot(
        &self,
        report: &mut Report,
        arch: Arch,
        medium: Medium,
        scratch: &Scratch,
    ) -> Result<(Guest, Option<PathBuf>)> {
        let built = self.build(arch)?;
        let mut parts = Parts::of(&built);
        let mut kept = None;
        match (medium, &built.disk) {
            (Medium::Initramfs, _) | (_, None) => parts.disk = None,
            (Medium::UefiDisk | Medium::DirectDisk, Some(disk)) => {
                let copy = scratch.0.path().join("disk.img");
                std::fs::copy(disk, &copy).at("write", &copy)?;
                parts.disk =
                    Some(Disk { path: copy.clone(), form: DiskForm::Raw, keeps_writes: true });
                parts.initramfs = None;
                kept = Some(copy);
            }
        }
        let setup = self.setup(report, arch, medium.boot(), medium.as_str())?;
        let guest = Guest::boot(self.shell, parts, &setup)?;
        let took = guest.elapsed().as_secs_f64();
        report.passed("it boots", format_args!("takes commands after {took:.1} s"));
        Ok((guest, kept))
    }
}

/// A directory for a disk, removed with it.
pub(super) struct Scratch(pub(super) tempfile::TempDir);

impl Scratch {
    /// An empty one.
    pub(super) fn new() -> Result<Self> {
        // Disks are large, and /tmp may be in memory.
        let base = Path::new("/var/tmp");
        let base = if base.is_dir() { base.to_owned() } else { std::env::temp_dir() };
        tempfile::tempdir_in(&base).map(Self).at("create a directory in", &base)
    }

    /// A new directory in it.
    pub(super) fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.path().join(name);
        std::fs::create_dir(&path).at("create", &path)?;
        Ok(path)
    }
}
