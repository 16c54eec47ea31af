//! Assembles the BIOS loader (`builder/boot/bios`) with GNU as and ld for x86.
//!
//! Its bytes depend on the sources and the two programs alone: they are
//! assembled by relative names, and nothing of a symbol or note table is kept.
//! Where it goes on a disk is [`crate::format::bios_boot`]'s affair.

use std::fs;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::cache::{Cache, KeyBuilder, memo};
use crate::error::{Context, IoContext, Result};
use crate::format::bios_boot::BootCode;
use crate::host::{Invocation, find_program, gnu};
use crate::host_needs::{self, Needs};
use crate::project::Project;
use crate::shell::Shell;

/// The cache's name for the assembled loader.
const KIND: &str = "bios-loader";
/// Raise this number when the recipe changes in a way its inputs do not show.
const RECIPE: &str = "bios loader 1";
/// The sources, below the repository.
const SOURCES: &str = "builder/boot/bios";

/// A flat binary: its name in the cache, its linker script and its sources in order.
struct Binary {
    name: &'static str,
    script: &'static str,
    entry: &'static str,
    sources: &'static [&'static str],
}

const MBR: Binary = Binary { name: "mbr", script: "stage1.ld", entry: "start", sources: &["mbr"] };
const CD: Binary = Binary { name: "cd", script: "stage1.ld", entry: "start", sources: &["cd"] };
const ODD_BIOS: Binary =
    Binary { name: "odd-bios", script: "stage1.ld", entry: "start", sources: &["odd_bios"] };
const STAGE2: Binary = Binary {
    name: "stage2",
    script: "stage2.ld",
    entry: "stage2",
    sources: &["stage2", "disk", "memory", "load", "linux", "message", "checksum"],
};

/// GNU as and ld for x86.
struct Tools {
    assembler: PathBuf,
    linker: PathBuf,
}

/// The directory of the loader's sources: what it is made of besides the host's programs.
#[must_use]
pub fn sources(project: &Project) -> PathBuf {
    project.root().join(SOURCES)
}

/// The programs of this host that assemble the loader, as far as it has them.
pub fn programs() -> impl Iterator<Item = PathBuf> {
    [gnu::assembler(Arch::X86_64), gnu::linker(Arch::X86_64)].into_iter().filter_map(find_program)
}

/// The loader, from the cache if it is there.
///
/// # Errors
/// If the host has no assembler for x86, or the sources are wrong.
pub fn assemble(shell: &Shell, cache: &Cache, project: &Project) -> Result<BootCode> {
    assemble_from(shell, cache, &sources(project))
}

/// A boot sector for tests, which makes a BIOS an odd one (`odd_bios.s`).
///
/// # Errors
/// See [`assemble`].
pub fn assemble_odd_bios(shell: &Shell, cache: &Cache, project: &Project) -> Result<Vec<u8>> {
    read(&entry(shell, cache, &sources(project))?, &ODD_BIOS)
}

fn assemble_from(shell: &Shell, cache: &Cache, sources: &Path) -> Result<BootCode> {
    let entry = entry(shell, cache, sources)?;
    Ok(BootCode {
        mbr: read(&entry, &MBR)?,
        cd: read(&entry, &CD)?,
        stage2: read(&entry, &STAGE2)?,
    })
}

fn read(entry: &Path, binary: &Binary) -> Result<Vec<u8>> {
    let path = entry.join(binary.name);
    fs::read(&path).at("read", &path)
}

/// The directory in the cache that holds the binaries.
fn entry(shell: &Shell, cache: &Cache, sources: &Path) -> Result<PathBuf> {
    let tools = Tools::find()?;
    let key = KeyBuilder::new(RECIPE)
        .part("tools", tools.identity(shell, cache)?)
        .directory("sources", sources)?
        .finish();
    let binaries = [MBR, CD, STAGE2, ODD_BIOS];
    cache.find_or_make(shell, KIND, &key, |directory| {
        binaries.iter().try_for_each(|binary| tools.make(binary, sources, directory))
    })
}

impl Tools {
    fn find() -> Result<Self> {
        let mut programs = programs();
        if let (Some(assembler), Some(linker)) = (programs.next(), programs.next()) {
            return Ok(Self { assembler, linker });
        }
        let needs = Needs::new().bios_loader(Arch::X86_64);
        Err(host_needs::lacking(&needs.missing(), host_needs::can_install()))
    }

    /// The first line each prints for `--version`, remembered while its file stays the same.
    fn identity(&self, shell: &Shell, cache: &Cache) -> Result<String> {
        let mut key = KeyBuilder::new("bios loader tools 1");
        for program in [&self.assembler, &self.linker] {
            key = memo::identity(key, program)?;
        }
        memo::recall(shell, cache, &key.finish(), || {
            Ok([version(&self.assembler)?, version(&self.linker)?].join(", "))
        })
    }

    /// Assembles and links one binary into `directory`, beside which nothing is written.
    fn make(&self, binary: &Binary, sources: &Path, directory: &Path) -> Result<()> {
        let mut objects = Vec::new();
        for source in binary.sources {
            let object = directory.join(format!("{source}.o"));
            Invocation::new(&self.assembler)
                .args(["--32", "--fatal-warnings", "-I", ".", "-o"])
                .arg(&object)
                .arg(format!("{source}.s"))
                .current_dir(sources)
                .run()
                .context(|| format!("cannot assemble {SOURCES}/{source}.s"))?;
            objects.push(object);
        }
        Invocation::new(&self.linker)
            .args(["-m", "elf_i386", "--oformat", "binary", "--build-id=none"])
            .args(["-e", binary.entry, "-T", binary.script, "-o"])
            .arg(directory.join(binary.name))
            .args(&objects)
            .current_dir(sources)
            .run()
            .context(|| format!("cannot link the BIOS loader's {}", binary.name))?;
        objects.iter().try_for_each(|object| fs::remove_file(object).at("remove", object))
    }
}

fn version(program: &Path) -> Result<String> {
    let text = Invocation::new(program).arg("--version").read_text()?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests;
