//! `builder bench`: figures, beside aims and peers, on this host or in the guest.

pub mod boot;
pub mod image;
pub mod pack;
mod spread;

use clap::Subcommand;

use crate::error::Result;
use crate::shell::Shell;

/// Arguments of `builder bench`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to measure
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Build an image again that has not changed
    Image(image::Args),
    /// Pack a large tree into cpio, cpio.zst and ext4, beside cpio, zstd and mke2fs
    Pack(pack::Args),
    /// Boot an image with and without services, beside a bare loop that starts them
    Boot(boot::Args),
}

/// Runs the benchmark.
///
/// # Errors
/// Whatever it returns.
pub fn run(shell: &Shell, args: &Args) -> Result<()> {
    match &args.what {
        What::Image(args) => image::run(shell, args),
        What::Pack(args) => pack::run(shell, args),
        What::Boot(args) => boot::run(shell, args),
    }
}
