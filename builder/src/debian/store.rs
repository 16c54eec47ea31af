//! Unpacked packages in the cache, by the digest of their file.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::apt::{Apt, Wish, escaped, unescaped};
use super::deb::{self, Entry};
use super::lock::{Locked, UPDATE_HINT};
use super::snapshot::{self, Snapshot, VARIABLE};
use crate::cache::{Cache, Key, KeyBuilder, file_sha256};
use crate::download::wrong_digest;
use crate::elf::machine::Machine;
use crate::error::{Error, IoContext, Kind, Result};
use crate::shell::Shell;

/// The cache's name for unpacked packages.
const KIND: &str = "package";
/// The file in a cache entry that lists what the package holds.
const INDEX: &str = "index.json";
/// What to do where an archive does not deliver what it lists.
const LATER_HINT: &str =
    "the archive lists them: see whether it can be reached, or try again later";

/// A package whose files are on this host.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// What it is.
    pub locked: Locked,
    /// Where the contents of its files are.
    pub directory: PathBuf,
    /// What it holds, in the order of its archive.
    pub entries: Vec<Entry>,
}

/// A package that the distribution's archive did not deliver.
struct Undelivered<'l> {
    locked: &'l Locked,
    /// Whether the archive has it in its lists nevertheless.
    is_listed: bool,
}

impl fmt::Display for Undelivered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.is_listed { "was not delivered" } else { "has left the archive" };
        write!(f, "{} {what}", self.locked.title())
    }
}

/// The packages, downloaded and unpacked where the cache lacks them.
///
/// # Errors
/// If one cannot be had or is not the locked one.
pub fn fetch(
    shell: &Shell,
    cache: &Cache,
    machine: Machine,
    packages: &[&Locked],
    is_offline: bool,
) -> Result<Vec<Unpacked>> {
    let lacking: Vec<&Locked> = packages
        .iter()
        .copied()
        .filter(|locked| cache.find(KIND, &key(locked)).is_none())
        .collect();
    if !lacking.is_empty() {
        if is_offline {
            let names: Vec<&str> = lacking.iter().map(|locked| locked.name.as_str()).collect();
            let message = format!("the cache lacks the {} packages", machine.debian());
            return Err(Error::failure(format!("{message} {}", names.join(", ")))
                .hint("do it once without --offline"));
        }
        download(shell, cache, machine, &lacking)?;
    }
    packages.iter().map(|locked| read(cache, locked)).collect()
}

fn key(locked: &Locked) -> Key {
    KeyBuilder::new("unpacked package 1").part("sha256", &locked.sha256).finish()
}

fn read(cache: &Cache, locked: &Locked) -> Result<Unpacked> {
    let directory = cache.find(KIND, &key(locked)).ok_or_else(|| {
        Error::internal(format!("the package {} is not in the cache", locked.name))
    })?;
    let index = directory.join(INDEX);
    let bytes = fs::read(&index).at("read", &index)?;
    let entries = serde_json::from_slice(&bytes).map_err(|error| {
        Error::failure(format!("cannot read {}: {error}", index.display()))
            .hint("remove that directory: the package will be fetched again")
    })?;
    Ok(Unpacked { locked: locked.clone(), directory, entries })
}

fn download(shell: &Shell, cache: &Cache, machine: Machine, lacking: &[&Locked]) -> Result<()> {
    let workspace = cache.workspace("packages")?;
    let directory = tempfile::tempdir_in(&workspace).at("create a directory in", &workspace)?;
    let count = lacking.len();
    let what = if count == 1 { lacking[0].name.clone() } else { format!("{count} packages") };
    let step = shell.step(format!("download {what} for {}", machine.debian()));
    let undelivered = from_archive(shell, cache, machine, lacking, directory.path())?;
    from_snapshot(shell, &undelivered, directory.path())?;
    let mut files = Files::find(directory.path())?;
    for locked in lacking {
        let file = files.take(locked)?;
        let got = file_sha256(&file)?;
        if got != locked.sha256 {
            let name = locked.title();
            return Err(wrong_digest(&name, &snapshot::wanted(locked, &name), &got));
        }
        cache.find_or_make(shell, KIND, &key(locked), |into| {
            let entries = deb::unpack(&file, into)?;
            let index = into.join(INDEX);
            let text = serde_json::to_vec(&entries)
                .map_err(|error| Error::internal(format!("cannot list a package: {error}")))?;
            fs::write(&index, text).at("write", &index)
        })?;
    }
    step.done("");
    Ok(())
}

/// Downloads what the distribution's archive delivers. The others are the answer.
fn from_archive<'l>(
    shell: &Shell,
    cache: &Cache,
    machine: Machine,
    lacking: &[&'l Locked],
    directory: &Path,
) -> Result<Vec<Undelivered<'l>>> {
    let wish = |locked: &&Locked| Wish {
        name: locked.name.clone(),
        version: Some(locked.version.clone()),
    };
    let wishes: Vec<Wish> = lacking.iter().map(wish).collect();
    let apt = Apt::open(shell, cache, machine.debian())?;
    let Err(error) = apt.download(&wishes, directory) else { return Ok(Vec::new()) };
    if error.kind() == Kind::Host {
        return Err(error);
    }
    let missing = apt.missing(&wishes)?;
    let listed: Vec<Wish> = wishes.iter().filter(|wish| !missing.contains(wish)).cloned().collect();
    // Where it does not know one of them, apt downloads none.
    let failure = match (missing.is_empty(), listed.is_empty()) {
        (true, _) => Some(error),
        (false, true) => None,
        (false, false) => apt.download(&listed, directory).err(),
    };
    if let Some(failure) = failure {
        shell.warn(failure.context("not every package was delivered"));
    }
    let delivered = Files::find(directory)?;
    let others = lacking.iter().zip(&wishes);
    let others = others.filter(|(locked, _)| delivered.position(locked).is_none());
    let undelivered = |(&locked, wish)| Undelivered { locked, is_listed: !missing.contains(&wish) };
    Ok(others.map(undelivered).collect())
}

/// Downloads what the distribution's archive did not deliver.
fn from_snapshot(shell: &Shell, undelivered: &[Undelivered<'_>], directory: &Path) -> Result<()> {
    let snapshot = Snapshot::from_environment();
    let mut list = String::new();
    for package in undelivered {
        let Locked { name, version, arch, .. } = package.locked;
        let file = directory.join(format!("{name}_{}_{arch}.deb", escaped(version)));
        let reason = match &snapshot {
            Some(snapshot) => {
                shell.note(format_args!("{package}: from {}", snapshot.url()));
                snapshot.fetch(shell, package.locked, &file)?.err()
            }
            None => Some(format!("{VARIABLE}=none")),
        };
        if let Some(reason) = reason {
            list.push_str(&format!("\n  {package}\n    {reason}"));
        }
    }
    if list.is_empty() {
        return Ok(());
    }
    let error = Error::failure(format!("these packages cannot be had:{list}"));
    let are_listed = undelivered.iter().all(|package| package.is_listed);
    Err(error.hint(if are_listed { LATER_HINT } else { UPDATE_HINT }))
}

/// Downloaded packages by name and version.
struct Files(Vec<(String, String, PathBuf)>);

impl Files {
    fn find(directory: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).at("read", directory)? {
            let path = entry.at("read", directory)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let mut parts = name.split('_');
            if let (Some(name), Some(version)) = (parts.next(), parts.next()) {
                files.push((name.to_owned(), unescaped(version), path));
            }
        }
        Ok(Self(files))
    }

    fn position(&self, locked: &Locked) -> Option<usize> {
        self.0
            .iter()
            .position(|(name, version, _)| *name == locked.name && *version == locked.version)
    }

    fn take(&mut self, locked: &Locked) -> Result<PathBuf> {
        let index = self.position(locked).ok_or_else(|| {
            Error::failure(format!("apt-get left no file of {} {}", locked.name, locked.version))
        })?;
        Ok(self.0.swap_remove(index).2)
    }
}
