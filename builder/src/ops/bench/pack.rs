//! `builder bench pack`: how fast a large tree becomes an archive or a file
//! system, beside what people use for it, in one run.
//!
//! Every contestant starts from a directory of the host in the page cache and
//! ends with a file on the same file system, not synced. Rounds alternate, so
//! that a busy host slows all of them; the median of the rounds counts.

mod contestant;
mod report;
mod sample_tree;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, IoContext, Result};
use crate::shell::Shell;
use crate::tree::{self, FileTree, NodeKind};
use contestant::{CONTESTANTS, Contestant};

/// Arguments of `builder bench pack`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pack this directory instead of a generated tree
    #[arg(long, value_name = "DIR", conflicts_with = "files")]
    tree: Option<PathBuf>,
    /// How many files to generate, in sizes as in a kernel source tree
    #[arg(long, value_name = "N", default_value_t = 80_000)]
    files: u32,
    /// How often each is measured; the median counts
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Where the tree and the outputs go for the time of the run [default: the host's temporary directory]
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// What the contestants work on.
struct Workload {
    tree: PathBuf,
    /// Where outputs go.
    outputs: PathBuf,
    /// Size and inodes of the ext4 image, the same for all.
    ext4_bytes: u64,
    ext4_inodes: u32,
    files: u64,
    content_bytes: u64,
}

/// One contestant's figures.
struct Measured {
    contestant: &'static Contestant,
    /// Wall time of each round, in seconds.
    times_s: Vec<f64>,
    output_bytes: u64,
}

/// Measures and prints.
///
/// # Errors
/// If the tree cannot be read or packed, or a peer fails. A peer that is not
/// installed is named and left out.
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    let base = args.directory.clone().unwrap_or_else(std::env::temp_dir);
    let work = tempfile::Builder::new()
        .prefix("keelson-bench.")
        .tempdir_in(&base)
        .at("create a directory in", &base)?;
    let workload = prepare(shell, args, work.path())?;
    let (present, absent): (Vec<_>, Vec<_>) =
        CONTESTANTS.iter().partition(|contestant| contestant.is_installed());
    for contestant in &absent {
        shell.warn(format_args!("skipped: {} is not installed", contestant.name));
    }
    let step = shell.counted_step("measure", present.len() as u64 * (u64::from(args.rounds) + 1));
    let mut measured: Vec<Measured> = present
        .into_iter()
        .map(|contestant| Measured { contestant, times_s: Vec::new(), output_bytes: 0 })
        .collect();
    let mut done = 0;
    // The first round fills the page cache and is not counted.
    for round in 0..=args.rounds {
        for measured in &mut measured {
            let time = measure(&workload, measured)?;
            if round > 0 {
                measured.times_s.push(time.as_secs_f64());
            }
            done += 1;
            step.set_position(done);
        }
    }
    step.done("");
    let text = if args.json {
        report::json(&workload, &measured, args.rounds)?
    } else {
        report::table(&workload, &measured, args.rounds)
    };
    shell.data(&text);
    Ok(())
}

fn prepare(shell: &Shell, args: &Args, work: &Path) -> Result<Workload> {
    let tree = match &args.tree {
        Some(tree) => tree.canonicalize().at("read", tree)?,
        None => {
            let tree = work.join("tree");
            let step = shell.step(format!("generate {} files", args.files));
            sample_tree::generate(&tree, args.files)?;
            step.done("");
            tree
        }
    };
    let scanned = tree::host::scan(&tree, "the benchmark")?;
    let (files, content_bytes) = contents(&scanned);
    if files == 0 {
        return Err(Error::definition(format!("{} has no files to pack", tree.display())));
    }
    let outputs = work.join("outputs");
    std::fs::create_dir(&outputs).at("create", &outputs)?;
    let (ext4_bytes, ext4_inodes) = contestant::ext4_geometry(&scanned, &outputs)?;
    Ok(Workload { tree, outputs, ext4_bytes, ext4_inodes, files, content_bytes })
}

fn contents(tree: &FileTree) -> (u64, u64) {
    tree.iter().fold((0, 0), |(files, bytes), (_, node)| match &node.kind {
        NodeKind::File(content) => (files + 1, bytes + content.len()),
        _ => (files, bytes),
    })
}

fn measure(workload: &Workload, measured: &mut Measured) -> Result<Duration> {
    let output = workload.outputs.join(measured.contestant.output);
    contestant::settle(workload)?;
    let started = Instant::now();
    (measured.contestant.run)(workload, &output)?;
    let time = started.elapsed();
    measured.output_bytes = output.metadata().at("read", &output)?.len();
    // Only the uncompressed archive is needed again, by the compressor alone.
    if measured.contestant.output != contestant::KEPT_OUTPUT {
        std::fs::remove_file(&output).at("remove", &output)?;
    }
    Ok(time)
}
