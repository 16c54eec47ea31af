//! `builder bench boot`: how fast a guest comes up and what PID 1 weighs.
//!
//! Images are booted by turns, so that a busy host slows all: `bench`,
//! which is `minimal` with programs that measure, by PID 1 and by the barest that could be in
//! its place; the same with a hundred services; `server` from its disk and `busybox` from RAM. Then `bench` is booted from its disk
//! by every firmware. All times but the firmware's are the guest's own, from its monotonic clock.
//! docs/testing.md says what each figure means.

mod by_firmware;
mod clock;
mod figure;
mod prompt;
mod report;
mod sample;
mod server;
mod workload;

use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::cache::Cache;
use crate::error::{Context, Error, Result};
use crate::host_needs::{self, Needs};
use crate::image::{self, BuiltImage, manifest, programs};
use crate::ops::guest::{Guest, Setup};
use crate::ops::image::BuildArgs;
use crate::ops::run::boot_method::BootMethod;
use crate::ops::run::plan::Parts;
use crate::project::Project;
use crate::qemu::accel;
use crate::qemu::accelerator::Accelerator;
use crate::qemu::firmware;
use crate::qemu::network::{Card, Mac, Network};
use crate::shell::Shell;
use by_firmware::Column;
use prompt::Watch;
use report::{Measured, Report, Skipped};
use sample::Samples;
use workload::SERVICES;

/// The image without services of its own.
const IMAGE: &str = "bench";
/// What runs in PID 1's place in its barest boot.
const BAREINIT: &str = "/usr/sbin/bareinit";
/// The image that people put to work.
const SERVER: &str = "server";
/// The image that greets with a shell.
const BUSYBOX: &str = "busybox";

/// Arguments of `builder bench boot`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Leave the host alone while guests boot: whatever else it does is in the figures.\n\
    An aim that is missed is no failure; docs/testing.md says what each figure means."
)]
pub struct Args {
    /// Measure this architecture; may be repeated [default: every one that there is a QEMU for]
    #[arg(long = "arch", value_name = "ARCH")]
    arches: Vec<Arch>,
    /// How often each image is booted; the median counts
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=999))]
    boots: u32,
    /// The guest's processors
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=255))]
    cpus: u32,
    /// What executes the guest's instructions
    #[arg(long, value_enum, default_value = "auto")]
    accel: accel::Choice,
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    build: BuildArgs,
}

/// An image of each kind, for one architecture.
struct Images {
    arch: Arch,
    empty: BuiltImage,
    full: BuiltImage,
    server: BuiltImage,
    busybox: BuiltImage,
}

/// Builds, boots, measures and prints.
///
/// # Errors
/// If there is no QEMU, an image cannot be built, or a guest does not come up
/// with all its services. A missed aim is none.
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    let project = Project::find()?;
    let (arches, skipped) = choose(shell, args)?;
    let directory = workload::directory(&project)?;
    let definition = workload::write(&directory)?.display().to_string();
    // All are built before one is booted: a compiler beside a guest would be in its figures.
    let images = arches
        .into_iter()
        .map(|arch| {
            let build = |name: &str| image::build(shell, &args.build.request(name, arch)?);
            Ok(Images {
                arch,
                empty: build(IMAGE)?,
                full: build(&definition)?,
                server: build(SERVER)?,
                busybox: build(BUSYBOX)?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let measured =
        images.iter().map(|images| measure(shell, args, images, &directory)).collect::<Result<_>>();
    let report = Report { boots: args.boots, cpus: args.cpus, measured: measured?, skipped };
    shell.data(&if args.json { report.json()? } else { report.tables() });
    Ok(())
}

/// The architectures to measure, and those that are left out.
fn choose(shell: &Shell, args: &Args) -> Result<(Vec<Arch>, Vec<Skipped>)> {
    let named = !args.arches.is_empty();
    let wanted = if named { args.arches.clone() } else { Arch::ALL.to_vec() };
    args.build.prepare_host(shell, &wanted)?;
    let guest = |arch: &Arch| Needs::new().guest(*arch, false);
    if named || args.build.yes {
        // Firmware too is installed, but nobody is made to have it.
        let has_firmware = args.build.yes;
        let add = |needs: Needs, arch: &Arch| needs.guest(*arch, has_firmware);
        host_needs::ensure(shell, &wanted.iter().fold(Needs::new(), add), args.build.yes)?;
        return Ok((wanted, Vec::new()));
    }
    let (there, absent): (Vec<Arch>, Vec<Arch>) =
        wanted.into_iter().partition(|arch| guest(arch).missing().is_empty());
    if there.is_empty() {
        let needs = absent.iter().fold(Needs::new(), |needs, arch| needs.guest(*arch, false));
        host_needs::ensure(shell, &needs, false)?;
    }
    let skipped = absent.iter().map(|arch| {
        let lacking: Vec<String> =
            guest(arch).missing().iter().map(|need| need.thing.to_string()).collect();
        Skipped { arch: *arch, reason: format!("{} is not installed", lacking.join(", ")) }
    });
    let skipped: Vec<Skipped> = skipped.collect();
    for one in &skipped {
        shell.warn(format_args!("skipped: {}: {}", one.arch, one.reason));
    }
    Ok((there, skipped))
}

fn measure(shell: &Shell, args: &Args, images: &Images, logs: &Path) -> Result<Measured> {
    let arch = images.arch;
    // Asked for each guest again; here for the report, and so that a fallback is told first.
    let accelerator = accel::choose(shell, &Cache::open()?, arch, args.accel)?;
    let boots = Boots { shell, args, arch, logs };
    let mut columns = firmware_columns(shell, arch);
    let each_round = 5 + columns.len() as u64;
    let step = shell.counted_step(format!("boot {arch}"), u64::from(args.boots) * each_round);
    let mut done = 0;
    let mut advance = || {
        done += 1;
        step.set_position(done);
    };
    let mut samples = Samples::default();
    for _ in 0..args.boots {
        let mut guest = boots.boot_from_ram(&images.empty)?;
        samples.empty.push(sample::take(&mut guest, 0)?);
        guest.power_off()?;
        advance();
        let mut guest = boots.boot_barely(&images.empty)?;
        samples.bare_us.push(sample::bare(&mut guest)?);
        // It knows no orderly end, and has nothing to lose.
        drop(guest);
        advance();
        let mut guest = boots.boot_from_ram(&images.full)?;
        samples.full.push(sample::take(&mut guest, SERVICES)?);
        samples.floors_us.push(sample::floor(&mut guest)?);
        guest.power_off()?;
        advance();
        let mut guest = boots.boot_server(&images.server)?;
        samples.server.push(server::take(&mut guest)?);
        guest.power_off()?;
        advance();
        let watch = Watch::begin(&boots.console_log(BUSYBOX))?;
        let mut guest = boots.boot_from_ram(&images.busybox)?;
        samples.prompts_us.push(prompt::take(&mut guest, watch)?);
        guest.power_off()?;
        advance();
        for column in &mut columns {
            let mut guest = boots.boot_from_disk(&images.empty, column.boot)?;
            column.boots.push(by_firmware::take(&mut guest)?);
            guest.power_off()?;
            advance();
        }
    }
    step.done("");
    let (release, init_bytes) = facts(&images.empty)?;
    let accelerator = Accelerator::as_str(accelerator);
    let figures = figure::figures(arch, &samples);
    Ok(Measured { arch, accelerator, release, init_bytes, figures, columns })
}

/// A column for every way to boot a disk that this host has the firmware for.
fn firmware_columns(shell: &Shell, arch: Arch) -> Vec<Column> {
    let has_uefi = firmware::find(arch).is_some();
    if !has_uefi {
        shell.warn(format_args!("skipped: {arch} by UEFI: its firmware is not installed"));
    }
    by_firmware::ways(arch)
        .filter(|boot| *boot != BootMethod::Uefi || has_uefi)
        .map(|boot| Column { boot, boots: Vec::new() })
        .collect()
}

/// What the boots of one architecture have in common.
struct Boots<'a> {
    shell: &'a Shell,
    args: &'a Args,
    arch: Arch,
    logs: &'a Path,
}

impl Boots<'_> {
    /// The whole system in an initramfs, and no disk.
    fn boot_from_ram(&self, built: &BuiltImage) -> Result<Guest> {
        let parts = Parts { disk: None, ..Parts::of(built) };
        self.boot(parts, &built.definition.name, self.setup(BootMethod::Direct))
    }

    /// The same without PID 1: what the kernel and `execd` need of the time.
    fn boot_barely(&self, built: &BuiltImage) -> Result<Guest> {
        let parts = Parts { disk: None, ..Parts::of(built) };
        let parameters = vec![format!("rdinit={BAREINIT}")];
        let setup = Setup { parameters, ..self.setup(BootMethod::Direct) };
        self.boot(parts, &format!("{}-bare", built.definition.name), setup)
    }

    /// The disk, whose root the kernel mounts by itself.
    fn boot_from_disk(&self, built: &BuiltImage, boot: BootMethod) -> Result<Guest> {
        let parts = Parts { initramfs: None, ..Parts::of(built) };
        let name = format!("{}-disk-{}", built.definition.name, boot.as_str());
        self.boot(parts, &name, self.setup(boot))
    }

    /// The disk of `server`, on a network that answers: what waits for one is not measured.
    fn boot_server(&self, built: &BuiltImage) -> Result<Guest> {
        let card = Card { mac: Mac::of(0, 0), network: Network::user() };
        let setup = Setup { cards: vec![card], ..self.setup(BootMethod::Direct) };
        self.boot(Parts::of(built), &built.definition.name, setup)
    }

    /// Where the console's output of a guest of this name stays.
    fn console_log(&self, name: &str) -> PathBuf {
        self.logs.join(format!("console-{}-{name}.log", self.arch))
    }

    fn setup(&self, boot: BootMethod) -> Setup {
        Setup { cpus: self.args.cpus, ..Setup::of(self.arch, boot, self.args.accel) }
    }

    fn boot(&self, parts: Parts, name: &str, setup: Setup) -> Result<Guest> {
        let arch = self.arch;
        let log = self.console_log(name);
        let setup = Setup { console_log: Some(log.clone()), ..setup };
        Guest::boot(self.shell, parts, &setup).context(|| {
            format!("cannot boot {name} for {arch}; its console is in {}", log.display())
        })
    }
}

/// The kernel's release and the size of PID 1's binary in bytes, by the manifest.
fn facts(built: &BuiltImage) -> Result<(String, u64)> {
    let path = &built.manifest;
    let manifest = manifest::read(path)?;
    let init = manifest["programs"]
        .as_array()
        .and_then(|programs| programs.iter().find(|one| one["name"] == programs::INIT_PATH));
    match (
        manifest["kernel"]["release"].as_str(),
        init.and_then(|init| init["size-bytes"].as_u64()),
    ) {
        (Some(release), Some(bytes)) => Ok((release.to_owned(), bytes)),
        _ => Err(Error::internal(format!("{} names no kernel or no init", path.display()))),
    }
}
