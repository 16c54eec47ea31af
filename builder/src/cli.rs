//! The command line: what was typed, as types. No work is done here.

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::error::Result;
use crate::ops;
use crate::shell::Shell;

/// Builds small Linux systems and runs them.
#[derive(Debug, Parser)]
#[command(name = "builder", bin_name = "cargo builder", version, propagate_version = true)]
#[command(
    after_help = "Exit codes: 0 done, 1 a build or guest failed, 2 usage or definition error, \
    3 the host lacks something, 70 internal error.\n\
    Images are described in images/*.toml; see images/README.md."
)]
pub struct Cli {
    /// Print only warnings and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands, each with an operation of the same name.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Build an image and boot it
    Run(ops::run::Args),
    /// Climb the test ladder, boots included
    Test(ops::test::Args),
    /// Say what the host lacks, and install it
    Doctor(ops::doctor::Args),
    /// Build images
    Image(ops::image::Args),
    /// Prove what can be proven of images without building them
    Check(ops::check::Args),
    /// Remove outputs, and the cache if asked to
    Clean(ops::clean::Args),
    /// Show what is in an image, a kernel or a program
    Inspect(ops::inspect::Args),
    /// Tell in what two images, kernels, programs or output directories differ
    Diff(ops::diff::Args),
    /// Measure, beside the peers installed on this host
    Bench(ops::bench::Args),
    /// Print a shell's completion script
    Completions(ops::completions::Args),
    /// Build only the kernel, or explain one of its options
    Kernel(ops::kernel::Args),
    /// Pin the versions of the Debian packages that images take
    Lock(ops::lock::Args),
    /// Print the manual page
    Man(ops::man::Args),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// Whatever the operation returns.
    pub fn run(&self, shell: &Shell) -> Result<()> {
        match self {
            Self::Run(args) => ops::run::run(shell, args),
            Self::Test(args) => ops::test::run(shell, args),
            Self::Doctor(args) => ops::doctor::run(shell, args),
            Self::Image(args) => ops::image::run(shell, args),
            Self::Check(args) => ops::check::run(shell, args),
            Self::Clean(args) => ops::clean::run(shell, args),
            Self::Inspect(args) => ops::inspect::run(shell, args),
            Self::Diff(args) => ops::diff::run(shell, args),
            Self::Bench(args) => ops::bench::run(shell, args),
            Self::Completions(args) => ops::completions::run(shell, args, Cli::command()),
            Self::Kernel(args) => ops::kernel::run(shell, args),
            Self::Lock(args) => ops::lock::run(shell, args),
            Self::Man(args) => ops::man::run(shell, args, Cli::command()),
        }
    }
}
