//! `builder test`: the whole test ladder, cheapest rung first (docs/testing.md).

mod bios_failures;
mod boots;
mod conformance;
mod copies;
mod endings;
mod features;
mod guest_checks;
mod incremental;
mod init_panic;
mod judge;
mod ladder;
mod libtest;
mod matrix;
mod media;
mod reproducible;
mod rescue;
mod root_switch;
mod schedule;
mod serial_line;
mod uefi_stub;
mod workspace;

use crate::arch::Arch;
use crate::error::Result;
use crate::host_needs::{self, Needs};
use crate::ops::image::BuildArgs;
use crate::project::Project;
use crate::qemu::accel;
use crate::shell::Shell;
use boots::Boots;

/// Arguments of `builder test`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The last line of the output is the tally: N passed, N failed, N skipped.\n\
    A check is skipped only if the host lacks a program that judges it, and is then named.\n\
    docs/testing.md says what each rung proves."
)]
pub struct Args {
    /// Climb only rungs with this in their name
    #[arg(default_value = "", hide_default_value = true)]
    filter: String,
    /// Name the rungs and do nothing
    #[arg(long)]
    list: bool,
    /// Build everything twice to compare it, and boot both architectures everywhere
    #[arg(long)]
    long: bool,
    /// Of the features, show only those with this in their name or area
    #[arg(long, value_name = "WORDS", default_value = "", hide_default_value = true)]
    only: String,
    /// Write docs/features.md and do nothing else
    #[arg(long)]
    write_features: bool,
    /// How many rungs are climbed at a time [default: 2, or 1 on a single processor]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: Option<u8>,
    /// What executes the guests' instructions
    #[arg(long, value_enum, default_value = "auto")]
    accel: accel::Choice,
    #[command(flatten)]
    build: BuildArgs,
}

/// Rungs at a time, where nobody says: two keep two processors busy, and each of a rung's
/// compilers uses all that there are.
fn usual_jobs() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(2)
}

/// Climbs the ladder and prints the tally as the last line.
///
/// # Errors
/// If a check failed, after all of them were made.
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    let project = Project::find()?;
    if args.write_features {
        return features::write_page(shell, project.root());
    }
    let jobs = args.jobs.map_or_else(usual_jobs, usize::from);
    // Bars of several rungs would be drawn over each other.
    let shell = &if jobs > 1 { shell.without_bars() } else { *shell };
    let boots = Boots {
        shell,
        project: &project,
        build: &args.build,
        accel: args.accel,
        arches: &Arch::ALL,
    };
    let mut rungs = workspace::rungs(shell, project.root(), args.build.offline);
    // What compiles, which others wait for or keep company.
    rungs.extend(boots.image_rungs());
    rungs.extend(features::image_rungs(&boots, args.long));
    rungs.extend(reproducible::rungs(&boots, args.long));
    rungs.extend(boots.stubborn_rungs());
    rungs.extend(features::rungs(&boots, &args.only, args.long));
    rungs.extend(endings::rungs(&boots));
    rungs.extend(root_switch::rungs(&boots, args.long));
    rungs.extend(rescue::rungs(&boots, args.long));
    rungs.extend(init_panic::rungs(&boots, args.long));
    rungs.push(media::rung(&boots, args.long));
    rungs.push(bios_failures::rung(&boots));
    rungs.extend(uefi_stub::rungs(&boots, args.long));
    if args.long {
        rungs.extend(conformance::rungs(&boots));
    }
    rungs.push(matrix::rung(&boots, args.long));
    // Those that are climbed alone stand together: the others wait for them.
    rungs.extend(boots.rungs());
    rungs.push(incremental::rung(&boots));
    if args.list {
        for rung in &rungs {
            shell.data(&format!("{}\n", rung.name));
        }
        return Ok(());
    }
    if args.build.yes {
        // Judges too: without --yes their checks are skipped by name.
        let mut needs = Needs::new().judges();
        for arch in Arch::ALL {
            needs = needs.kernel(arch).bios_loader(arch).userland(arch).guest(arch, true);
        }
        host_needs::ensure(shell, &needs, true)?;
    }
    ladder::climb(shell, &rungs, &args.filter, jobs).map(|_tally| ())
}
