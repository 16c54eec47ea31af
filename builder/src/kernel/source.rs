//! Where the kernel's source comes from, in this order: what the command line
//! gives; the pinned release from the cache or the network; the distribution's
//! source package. What was used is always said and recorded.
//!
//! Fetching is in [`crate::download`] and `debian`, unpacking in `unpack`.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::cache::{Cache, Key, KeyBuilder, lock, memo};
use crate::download::{self, Failure, Wanted};
use crate::error::{Context, Error, IoContext, Result};
use crate::shell::Shell;

use super::pin::Pin;
use super::{debian, tree_digest, unpack};

/// The environment variable that names a directory to download from first.
pub const MIRROR_VARIABLE: &str = "KEELSON_KERNEL_MIRROR";

/// The cache's names for what is kept here.
const TARBALLS: &str = "kernel-tarball";
const TREES: &str = "kernel-source";

/// What the command line and the environment say about the source.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SourceRequest {
    /// A source tree or tarball to use instead of the pinned release.
    pub given: Option<PathBuf>,
    /// Whether the network is forbidden.
    pub offline: bool,
    /// Whether only the pinned release will do.
    pub locked: bool,
    /// URL of a directory to download from before all others.
    pub mirror: Option<String>,
}

impl SourceRequest {
    /// A request with the mirror that [`MIRROR_VARIABLE`] names.
    #[must_use]
    pub fn from_environment(given: Option<PathBuf>, offline: bool, locked: bool) -> Self {
        let mirror = std::env::var(MIRROR_VARIABLE).ok().filter(|url| !url.is_empty());
        Self { given, offline, locked, mirror }
    }
}

/// What kind of source was used.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceKind {
    /// The release pinned in `linux.toml`.
    Release,
    /// The distribution's source package.
    DistributionPackage,
    /// A tarball given on the command line.
    Tarball,
    /// A source tree given on the command line.
    Directory,
}

/// What was used, for the manifest. Holds no path of the host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SourceRecord {
    /// What kind of source.
    pub kind: SourceKind,
    /// The release or package version.
    pub version: String,
    /// SHA-256 of the archive, or of a tree's content.
    pub sha256: String,
    /// The pinned URL, or the archive's file name.
    pub origin: String,
}

impl SourceRecord {
    /// The file name of the distribution's package, if that stands in for the pinned release.
    #[must_use]
    pub fn fallback(&self) -> Option<&str> {
        (self.kind == SourceKind::DistributionPackage).then_some(self.origin.as_str())
    }
}

/// A source that is on this host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// What it is.
    pub record: SourceRecord,
    material: Material,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Material {
    Archive(PathBuf),
    Tree(PathBuf),
}

impl Source {
    /// The source tree, unpacked into the cache if it is not there yet. To be
    /// used read-only.
    ///
    /// # Errors
    /// If the archive is damaged or the cache cannot be written.
    pub fn tree(&self, shell: &Shell, cache: &Cache) -> Result<PathBuf> {
        match &self.material {
            Material::Tree(path) => Ok(path.clone()),
            Material::Archive(path) => unpacked(shell, cache, path, &self.record.sha256),
        }
    }

    /// Makes sure that a tree which somebody else may change still is what the record says.
    ///
    /// # Errors
    /// If it is not, or cannot be read any more.
    pub fn require_unchanged(&self, shell: &Shell, cache: &Cache) -> Result<()> {
        let Material::Tree(path) = &self.material else { return Ok(()) };
        let changed = || format!("the kernel source {} changed while it was built", path.display());
        let sha256 = tree_digest::digest(shell, cache, path).context(changed)?;
        if sha256 == self.record.sha256 {
            return Ok(());
        }
        Err(Error::failure(format!("{}: this kernel is not kept", changed()))
            .hint("build it again once nothing writes there any more"))
    }
}

/// Finds or fetches the source that `request` asks for.
///
/// # Errors
/// If it is damaged, not the pinned one, or not to be had.
pub fn resolve(shell: &Shell, cache: &Cache, pin: &Pin, request: &SourceRequest) -> Result<Source> {
    if let Some(path) = &request.given {
        return given(shell, cache, pin, request, path);
    }
    if let Some(entry) = cached_release(cache, pin) {
        return Ok(release(pin, &entry));
    }
    // A fallback is remembered, so that a build with nothing to do does not
    // knock at the network's door; a mirror in the environment asks to knock,
    // where that is allowed.
    let may_recall = !request.locked && (request.mirror.is_none() || request.offline);
    if let Some(package) = debian::find(cache, &pin.debian_packages).filter(|_| may_recall) {
        note_fallback(shell, &package.file_name);
        return distribution(shell, cache, package);
    }
    if request.offline {
        return Err(Error::failure(format!(
            "the source of Linux {} is not in the cache, and nothing is fetched now",
            pin.version
        ))
        .hint("build once without --offline, or give a source with --kernel-source"));
    }
    match fetch_release(shell, cache, pin, request)? {
        Fetched::Here(entry) => Ok(release(pin, &entry)),
        Fetched::OutOfReach(reasons) if request.locked => {
            Err(out_of_reach(pin, &reasons, "--locked refuses any other source"))
        }
        Fetched::OutOfReach(reasons) => fall_back(shell, cache, pin, &reasons),
    }
}

/// Where the pinned release is, if the cache has it.
#[must_use]
pub fn cached_release(cache: &Cache, pin: &Pin) -> Option<PathBuf> {
    cache.find(TARBALLS, &tarball_key(pin))
}

/// Says that the distribution's package of this name stands in for the pinned release.
pub fn note_fallback(shell: &Shell, package: &str) {
    shell.note(format_args!(
        "kernel source: {package} of the distribution, as kernel.org was out of reach; --locked tries again"
    ));
}

fn tarball_key(pin: &Pin) -> Key {
    KeyBuilder::new("kernel tarball 1").part("sha256", &pin.sha256).finish()
}

const fn wanted(pin: &Pin) -> Wanted<'_> {
    Wanted {
        name: "kernel source",
        sha256: pin.sha256.as_str(),
        remedy: "fetch it again, or correct kernel-config/linux.toml",
    }
}

fn release(pin: &Pin, entry: &Path) -> Source {
    let record = SourceRecord {
        kind: SourceKind::Release,
        version: pin.version.clone(),
        sha256: pin.sha256.clone(),
        origin: pin.url.clone(),
    };
    Source { record, material: Material::Archive(entry.join(pin.file_name())) }
}

/// What came of trying to fetch the pinned release.
enum Fetched {
    Here(PathBuf),
    OutOfReach(Vec<String>),
}

fn fetch_release(
    shell: &Shell,
    cache: &Cache,
    pin: &Pin,
    request: &SourceRequest,
) -> Result<Fetched> {
    let workspace = cache.workspace("kernel-download")?;
    let partial = workspace.join(format!("{}.partial", pin.sha256));
    let _lock = lock(shell, &workspace.join(format!("{}.lock", pin.sha256)))?;
    let mut reasons = None;
    let made = cache.find_or_make(shell, TARBALLS, &tarball_key(pin), |directory| {
        let urls = pin.urls(request.mirror.as_deref());
        shell.note(format_args!("kernel source: Linux {} from {}", pin.version, urls[0]));
        match download::fetch(shell, &wanted(pin), &urls, &partial) {
            Ok(()) => {
                let place = directory.join(pin.file_name());
                fs::rename(&partial, &place).at("create", &place)
            }
            Err(Failure::Mismatch(error) | Failure::Local(error)) => Err(error),
            Err(Failure::Unreachable(failed)) => {
                reasons = Some(failed);
                Err(Error::failure("out of reach"))
            }
        }
    });
    match (made, reasons) {
        (_, Some(reasons)) => Ok(Fetched::OutOfReach(reasons)),
        (made, None) => made.map(Fetched::Here),
    }
}

fn out_of_reach(pin: &Pin, reasons: &[String], and: &str) -> Error {
    let reasons: String = reasons.iter().map(|reason| format!("\n  {reason}")).collect();
    Error::failure(format!(
        "the source of Linux {} is out of reach, and {and}{reasons}",
        pin.version
    ))
    .hint(format!(
        "give a source with --kernel-source DIR|TARBALL, or name a mirror in {MIRROR_VARIABLE}"
    ))
}

fn fall_back(shell: &Shell, cache: &Cache, pin: &Pin, reasons: &[String]) -> Result<Source> {
    let mut reasons = reasons.to_vec();
    for name in &pin.debian_packages {
        match debian::fetch(shell, cache, name) {
            Ok(package) => {
                shell.warn(format_args!(
                    "Linux {} is out of reach: using the distribution's {} instead, as the manifest records",
                    pin.version, package.file_name
                ));
                return distribution(shell, cache, package);
            }
            Err(error) => {
                let text = error.to_string();
                reasons.push(format!("{name}: {}", text.replace('\n', "\n    ")));
            }
        }
    }
    Err(out_of_reach(pin, &reasons, "the distribution has no source package either"))
}

fn distribution(shell: &Shell, cache: &Cache, package: debian::Package) -> Result<Source> {
    let record = SourceRecord {
        kind: SourceKind::DistributionPackage,
        version: package.version,
        sha256: memo::sha256(shell, cache, &package.path)?,
        origin: package.file_name,
    };
    Ok(Source { record, material: Material::Archive(package.path) })
}

/// The source named on the command line.
fn given(
    shell: &Shell,
    cache: &Cache,
    pin: &Pin,
    request: &SourceRequest,
    path: &Path,
) -> Result<Source> {
    let path = path.canonicalize().map_err(|error| {
        Error::definition(format!("cannot use the kernel source {}: {error}", path.display()))
            .hint("--kernel-source takes an unpacked kernel source tree or its tarball")
    })?;
    let origin = |path: &Path| {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    if path.is_dir() {
        if request.locked {
            return Err(Error::definition(
                "--locked refuses a kernel source tree: it has no digest to compare",
            )
            .hint("give the pinned tarball, or leave out --locked"));
        }
        let version = tree_version(&path)?;
        let sha256 = tree_digest::digest(shell, cache, &path)?;
        let record = SourceRecord {
            kind: SourceKind::Directory,
            version,
            sha256,
            origin: "directory".into(),
        };
        return Ok(Source { record, material: Material::Tree(path) });
    }
    let sha256 = memo::sha256(shell, cache, &path)?;
    let is_pinned_name = origin(&path) == pin.file_name();
    if sha256 == pin.sha256 {
        let source = release(pin, Path::new(""));
        return Ok(Source { material: Material::Archive(path), ..source });
    }
    if is_pinned_name || request.locked {
        let shown = path.display().to_string();
        return Err(download::wrong_digest(&shown, &wanted(pin), &sha256));
    }
    let version = tree_version(&unpacked(shell, cache, &path, &sha256)?)?;
    let record = SourceRecord { kind: SourceKind::Tarball, version, sha256, origin: origin(&path) };
    Ok(Source { record, material: Material::Archive(path) })
}

/// The tree of an archive, unpacked once.
fn unpacked(shell: &Shell, cache: &Cache, archive: &Path, sha256: &str) -> Result<PathBuf> {
    let key = KeyBuilder::new("kernel source 1").part("sha256", sha256).finish();
    let entry = cache.find_or_make(shell, TREES, &key, |directory| {
        let step = shell.step("unpack kernel source");
        unpack::unpack(archive, directory)?;
        step.done("");
        Ok(())
    })?;
    unpack::only_directory(&entry)
}

/// The release that a source tree says it is: the four variables at the top of
/// its Makefile.
///
/// # Errors
/// If it is no kernel source tree.
pub fn tree_version(tree: &Path) -> Result<String> {
    let path = tree.join("Makefile");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let variable = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='))
            .map(str::trim)
    };
    match (variable("VERSION"), variable("PATCHLEVEL"), variable("SUBLEVEL")) {
        (Some(version), Some(patchlevel), Some(sublevel)) => Ok(format!(
            "{version}.{patchlevel}.{sublevel}{}",
            variable("EXTRAVERSION").unwrap_or_default()
        )),
        _ => Err(Error::definition(format!("{} is no kernel source tree", tree.display()))
            .hint("a kernel source tree has a Makefile that begins with VERSION and PATCHLEVEL")),
    }
}
