//! The kernel's source from Debian's source packages, fetched by apt.
//!
//! No root is needed: packages are downloaded into the cache, and where the
//! host's package lists are missing or stale, by lists of our own. apt checks
//! signatures and digests.

use std::fs;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::cache::{Cache, Key, KeyBuilder};
use crate::debian::apt::{self, Apt, Wish};
use crate::elf::machine::Machine;
use crate::error::{Error, IoContext, Result};
use crate::shell::Shell;

/// The cache's name for downloaded packages.
const PACKAGES: &str = "kernel-package";

/// A downloaded package.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Package {
    /// The `.deb` file.
    pub path: PathBuf,
    /// Its name: `NAME_VERSION_all.deb`.
    pub file_name: String,
    /// The package version, such as `6.12.117-1~deb12u1`.
    pub version: String,
}

/// The first of these packages that the cache has.
#[must_use]
pub fn find(cache: &Cache, names: &[String]) -> Option<Package> {
    names.iter().find_map(|name| package(&cache.find(PACKAGES, &key(name))?).ok())
}

/// Fetches a package, unless the cache has it.
///
/// # Errors
/// If apt is missing, does not know the package or cannot download it.
pub fn fetch(shell: &Shell, cache: &Cache, name: &str) -> Result<Package> {
    let entry = cache.find_or_make(shell, PACKAGES, &key(name), |directory| {
        let step = shell.step(format!("download {name} from the distribution"));
        if apt::of_host(directory).args(["download", name]).run().is_err() {
            let arch = Arch::host().map_or(Machine::X86_64, Machine::of).debian();
            let wish = Wish { name: name.to_owned(), version: None };
            Apt::open(shell, cache, arch)?.download(&[wish], directory)?;
        }
        step.done("");
        package(directory).map(|_found| ())
    })?;
    package(&entry)
}

fn key(name: &str) -> Key {
    KeyBuilder::new("kernel package 1").part("name", name).finish()
}

/// The package in `directory`; its file name tells its version (deb-version(7)),
/// with a colon written as `%3a`.
fn package(directory: &Path) -> Result<Package> {
    for entry in fs::read_dir(directory).at("read", directory)? {
        let path = entry.at("read", directory)?.path();
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(stem) = file_name.strip_suffix(".deb")
            && let Some(version) = stem.split('_').nth(1)
        {
            let version = apt::unescaped(version);
            return Ok(Package { path, file_name, version });
        }
    }
    Err(Error::failure(format!("apt-get left no package in {}", directory.display())))
}
