//! What tells, without doing any of it, that a build would do nothing.
//!
//! The fingerprint covers every file and variable that a build looks at:
//! sources by content, programs of the host by what stat(2) says. It may differ
//! where a build would give the same, but not the other way round. It is kept
//! beside the outputs together with their own stat(2) data, so that an output
//! somebody touched is made anew. It is taken before a build and again after it:
//! of what changed meanwhile nobody can tell what went into the outputs.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::boot::{bios, uefi};
use crate::cache::{Cache, KeyBuilder};
use crate::debian::lock::Lock;
use crate::definition::Image;
use crate::definition::resolved::CrateSource;
use crate::error::{IoContext, Result};
use crate::kernel::{source, toolchain as kernel_toolchain, tree_digest};
use crate::shell::Shell;
use crate::userland::{sources, toolchain, workspace};

use super::ImageRequest;

/// The file in an output directory that remembers the last build.
pub(super) const STATE: &str = ".state.json";
/// Variables that a build listens to.
const VARIABLES: [&str; 8] = [
    super::EPOCH_VARIABLE,
    toolchain::TARGET_VARIABLE,
    source::MIRROR_VARIABLE,
    uefi::STUB_VARIABLE,
    "CARGO_HOME",
    "RUSTUP_HOME",
    "RUSTUP_TOOLCHAIN",
    "XDG_CACHE_HOME",
];

/// Everything that a build looks at, in two digests.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Fingerprint {
    /// What an image is made of, and what is asked for.
    pub(super) sources: String,
    /// The programs that make it. A build may bring some itself.
    host: String,
}

/// What the last build of an output directory was made of and left there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct State {
    /// What it was made of.
    pub(super) fingerprint: Fingerprint,
    /// The definition it was made by, as messages show it.
    #[serde(default)]
    definition: String,
    /// What it left.
    outputs: Vec<Stamp>,
    /// `PARTUUID` of the root partition, if there is a disk.
    pub(super) root_partuuid: Option<String>,
    /// The distribution's package that its kernel was made of for want of the pinned release.
    pub(super) kernel_fallback: Option<String>,
}

/// An output as stat(2) sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Stamp {
    name: String,
    size_bytes: u64,
    inode: u64,
    modified_s: i64,
    modified_ns: i64,
}

impl State {
    /// Describes the outputs of these names as they are now.
    ///
    /// # Errors
    /// If one is not there.
    pub(super) fn of_outputs(
        directory: &Path,
        names: &[String],
        definition: String,
        fingerprint: Fingerprint,
    ) -> Result<Self> {
        let outputs = names.iter().map(|name| stamp(directory, name)).collect::<Result<_>>()?;
        Ok(Self { fingerprint, definition, outputs, root_partuuid: None, kernel_fallback: None })
    }

    /// The definition by which the outputs that are there were made, if that is known.
    pub(super) fn definition(directory: &Path) -> Option<String> {
        let text = fs::read_to_string(directory.join(STATE)).ok()?;
        let state: Self = serde_json::from_str(&text).ok()?;
        Some(state.definition).filter(|definition| !definition.is_empty())
    }

    /// The last build's state, if it was made of the same and all it left is untouched.
    pub(super) fn find(directory: &Path, fingerprint: &Fingerprint) -> Option<Self> {
        let text = fs::read_to_string(directory.join(STATE)).ok()?;
        let state: Self = serde_json::from_str(&text).ok()?;
        let untouched = |old: &Stamp| stamp(directory, &old.name).is_ok_and(|now| now == *old);
        (state.fingerprint == *fingerprint && state.outputs.iter().all(untouched)).then_some(state)
    }

    /// The outputs' names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().map(|stamp| stamp.name.as_str())
    }

    /// Remembers it. A state that is cut off by a crash is one that is not found.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn write(&self, directory: &Path) -> Result<()> {
        let path = directory.join(STATE);
        let text = serde_json::to_string(self).unwrap_or_default();
        fs::write(&path, text).at("write", &path)
    }
}

fn stamp(directory: &Path, name: &str) -> Result<Stamp> {
    let path = directory.join(name);
    let metadata = fs::metadata(&path).at("read", &path)?;
    Ok(Stamp {
        name: name.to_owned(),
        size_bytes: metadata.size(),
        inode: metadata.ino(),
        modified_s: metadata.mtime(),
        modified_ns: metadata.mtime_nsec(),
    })
}

impl Fingerprint {
    /// The fingerprint of a build.
    ///
    /// # Errors
    /// If a source cannot be read.
    pub(super) fn of_request(
        shell: &Shell,
        cache: &Cache,
        request: &ImageRequest,
        image: &Image,
        lock: &Lock,
    ) -> Result<Self> {
        Ok(Self {
            sources: of_sources(shell, cache, request, image, lock)?,
            host: of_host(request, image),
        })
    }
}

fn of_sources(
    shell: &Shell,
    cache: &Cache,
    request: &ImageRequest,
    image: &Image,
    lock: &Lock,
) -> Result<String> {
    let project = &request.project;
    let mut key = KeyBuilder::new("image fingerprint 2")
        // As it was read, with the keys of users: a file may have changed since.
        .part("definition", format!("{image:?}"))
        .part("arch", request.arch.as_str())
        .part("locked", request.locked.to_string())
        .part("packages", lock.text(&image.name));
    for name in VARIABLES {
        let value = std::env::var_os(name).unwrap_or_default();
        key = key.part(name, value.as_encoded_bytes());
    }
    for source in &image.sources {
        key = key.part("definition", project.show(source)).file("definition", source)?;
    }
    key = key
        .directory("rootfs", &project.rootfs())?
        .directory("kernel-config", &project.kernel_config())?;
    key = workspace::add_sources(key, project.root())?;
    key = add_named(key, image)?;
    if image.outputs.has_boot_file() {
        key = uefi::add_sources(key, project.root())?;
    }
    if image.outputs.has_medium() {
        key = key.directory("bios loader", &bios::sources(project))?;
    }
    if let Some(source) = &request.kernel_source {
        key = match source.is_dir() {
            true => key.part("kernel", tree_digest::digest(shell, cache, source)?),
            false => add_identity(key, source),
        };
    }
    Ok(key.finish().as_str().to_owned())
}

fn of_host(request: &ImageRequest, image: &Image) -> String {
    let mut programs = Vec::new();
    if image.outputs.has_medium() {
        programs.extend(bios::programs());
    }
    for arch in image.system_arches(request.arch) {
        programs.extend(toolchain::fingerprint_files(arch));
        programs.extend(kernel_toolchain::fingerprint_files(arch));
    }
    programs.extend(std::env::current_exe());
    let key = KeyBuilder::new("image fingerprint of the host 1");
    let key = programs.iter().fold(key, |key, program| add_identity(key, program));
    key.finish().as_str().to_owned()
}

/// What a definition names outside the repository's own places.
fn add_named(mut key: KeyBuilder, image: &Image) -> Result<KeyBuilder> {
    for wanted in &image.crates {
        if let CrateSource::Directory { root, .. } = &wanted.source {
            key = sources::add(key, "crate", root)?;
        }
    }
    for file in image.named_files() {
        key = key.file("file", file)?;
    }
    for overlay in &image.overlays {
        key = key.directory("overlay", &overlay.value)?;
    }
    Ok(key)
}

/// A program or setting of the host, which need not exist.
fn add_identity(key: KeyBuilder, path: &Path) -> KeyBuilder {
    let key = key.part("path", path.as_os_str().as_encoded_bytes());
    match fs::metadata(path) {
        Ok(metadata) => {
            let numbers = [metadata.ino(), metadata.size()].map(u64::to_le_bytes);
            let times = [metadata.mtime(), metadata.mtime_nsec()].map(i64::to_le_bytes);
            key.part("numbers", numbers.concat()).part("times", times.concat())
        }
        Err(_) => key.part("numbers", "missing"),
    }
}
