//! Who is measured: the builder's own writers and their peers.

use std::fs::File;
use std::path::Path;

use super::Workload;
use crate::error::{IoContext, Result};
use crate::format::MIB;
use crate::format::compress::{Compression, Encoder};
use crate::format::cpio::{self, CpioOptions, XattrPolicy};
use crate::format::ext4::{self, Ext4Options, Ext4Size};
use crate::format::guid::Guid;
use crate::format::sink::FileRegion;
use crate::host::{Invocation, find_program};
use crate::tree::{self, FileTree};

/// Free space in the ext4 images, enough for what either side packs less tightly.
const EXT4_FREE_BYTES: u64 = 256 * MIB;
const EPOCH_S: u32 = 1_704_067_200;
/// The level both sides compress with.
const ZSTD_LEVEL: i32 = 3;
/// The output that the compressor alone starts from.
pub(super) const KEPT_OUTPUT: &str = "peer.cpio";

/// One way to pack the tree.
pub(super) struct Contestant {
    /// What is compared with what: "cpio", "cpio.zst" or "ext4".
    pub(super) format: &'static str,
    /// As the table calls it.
    pub(super) name: &'static str,
    /// Programs it needs; none is the builder's own.
    programs: &'static [&'static str],
    /// The output's file name.
    pub(super) output: &'static str,
    /// Does it.
    pub(super) run: fn(&Workload, &Path) -> Result<()>,
}

/// Everyone, each format's own first.
pub(super) static CONTESTANTS: [Contestant; 7] = [
    Contestant {
        format: "cpio",
        name: "builder",
        programs: &[],
        output: "own.cpio",
        run: own_cpio,
    },
    Contestant {
        format: "cpio",
        name: "find | cpio",
        programs: &["find", "cpio"],
        output: KEPT_OUTPUT,
        run: find_cpio,
    },
    Contestant {
        format: "cpio.zst",
        name: "builder",
        programs: &[],
        output: "own.cpio.zst",
        run: own_cpio_zst,
    },
    Contestant {
        format: "cpio.zst",
        name: "find | cpio | zstd -T0 -3",
        programs: &["find", "cpio", "zstd"],
        output: "peer.cpio.zst",
        run: find_cpio_zstd,
    },
    Contestant {
        format: "cpio.zst",
        name: "zstd -T0 -3 alone",
        programs: &["find", "cpio", "zstd"],
        output: "alone.cpio.zst",
        run: zstd_alone,
    },
    Contestant {
        format: "ext4",
        name: "builder",
        programs: &[],
        output: "own.ext4",
        run: own_ext4,
    },
    Contestant {
        format: "ext4",
        name: "mke2fs -d",
        programs: &["mke2fs"],
        output: "peer.ext4",
        run: mke2fs,
    },
];

impl Contestant {
    /// Whether it is the builder's own.
    pub(super) fn is_own(&self) -> bool {
        self.programs.is_empty()
    }

    /// Whether the host has what it needs.
    pub(super) fn is_installed(&self) -> bool {
        self.programs.iter().all(|program| find_program(program).is_some())
    }
}

/// What is done before the clock starts: nothing of the round before is left
/// to be written while this one runs.
pub(super) fn settle(workload: &Workload) -> Result<()> {
    let outputs = File::open(&workload.outputs).at("read", &workload.outputs)?;
    rustix::fs::syncfs(&outputs).map_err(std::io::Error::from).at("sync", &workload.outputs)
}

fn scan(workload: &Workload) -> Result<FileTree> {
    tree::host::scan(&workload.tree, "the benchmark")
}

fn cpio_options() -> CpioOptions {
    CpioOptions { mtime_s: EPOCH_S, xattrs: XattrPolicy::Refuse }
}

fn ext4_options(size: Ext4Size) -> Ext4Options {
    Ext4Options {
        size,
        uuid: Guid::derive("benchmark", &[]),
        hash_seed: Guid::derive("benchmark hash seed", &[]),
        label: String::new(),
        epoch_s: EPOCH_S,
        reserved_percent: 5,
    }
}

/// The size and inode count of an image that holds the tree with room to spare.
pub(super) fn ext4_geometry(tree: &FileTree, outputs: &Path) -> Result<(u64, u32)> {
    let output = outputs.join("probe.ext4");
    let file = File::create(&output).at("create", &output)?;
    let options = ext4_options(Ext4Size::Fit { free_bytes: EXT4_FREE_BYTES });
    let summary = ext4::write(tree, &options, &mut FileRegion::whole(&file))?;
    std::fs::remove_file(&output).at("remove", &output)?;
    Ok((summary.size_bytes, summary.inodes))
}

fn own_cpio(workload: &Workload, output: &Path) -> Result<()> {
    let tree = scan(workload)?;
    let file = File::create(output).at("create", output)?;
    cpio::write_image(&tree, &cpio_options(), &mut FileRegion::whole(&file)).map(|_| ())
}

fn own_cpio_zst(workload: &Workload, output: &Path) -> Result<()> {
    let tree = scan(workload)?;
    let file = File::create(output).at("create", output)?;
    let mut encoder = Encoder::new(file, Compression::Zstd { level: ZSTD_LEVEL })?;
    cpio::write(&tree, &cpio_options(), &mut encoder)?;
    encoder.finish().map(|_| ())
}

fn own_ext4(workload: &Workload, output: &Path) -> Result<()> {
    let tree = scan(workload)?;
    let file = File::create(output).at("create", output)?;
    let options = ext4_options(Ext4Size::Fixed { bytes: workload.ext4_bytes });
    ext4::write(&tree, &options, &mut FileRegion::whole(&file)).map(|_| ())
}

/// Runs a shell's line in the tree, with the output's path as `$1`.
fn pipeline(line: &str, workload: &Workload, output: &Path) -> Result<()> {
    Invocation::new("sh").args(["-c", line, "sh"]).arg(output).current_dir(&workload.tree).run()
}

fn find_cpio(workload: &Workload, output: &Path) -> Result<()> {
    pipeline("find . | cpio -o -H newc --quiet > \"$1\"", workload, output)
}

fn find_cpio_zstd(workload: &Workload, output: &Path) -> Result<()> {
    let line = "find . | cpio -o -H newc --quiet | zstd -T0 -3 -q -f -o \"$1\"";
    pipeline(line, workload, output)
}

fn zstd_alone(workload: &Workload, output: &Path) -> Result<()> {
    Invocation::new("zstd")
        .args(["-T0", "-3", "-q", "-f"])
        .arg(workload.outputs.join(KEPT_OUTPUT))
        .arg("-o")
        .arg(output)
        .run()
}

fn mke2fs(workload: &Workload, output: &Path) -> Result<()> {
    let program = find_program("mke2fs").unwrap_or_else(|| "mke2fs".into());
    Invocation::new(program)
        .args(["-q", "-F", "-t", "ext4", "-b", "4096", "-E", "root_owner=0:0"])
        .args(["-N", &workload.ext4_inodes.to_string(), "-d"])
        .arg(&workload.tree)
        .arg(output)
        .arg(format!("{}k", workload.ext4_bytes / 1024))
        .run()
}
