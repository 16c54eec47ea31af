//! A second copy of the repository and a builder that works in it, as on
//! another person's machine: other directory, user settings and cache.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::Cache;
use crate::error::{Error, IoContext, Result};
use crate::host::Invocation;

/// What is no source: outputs and history.
const NOT_COPIED: [&str; 3] = [".git", "target", "out"];
/// What a second cache shares with the first where neither kernels nor programs of
/// others are what is compared: those, and what is known of their sources.
const SHARED_KINDS: [&str; 6] =
    ["crate", "kernel", "kernel-package", "kernel-source", "kernel-tarball", "memo"];

/// A copy of the repository's sources in a directory of its own.
pub(super) struct Copy {
    directory: tempfile::TempDir,
}

/// Another person's settings.
pub(super) struct Person {
    /// The directory of their cache, as `XDG_CACHE_HOME` has it.
    pub(super) cache: PathBuf,
    /// The mask of their new files' modes, in octal.
    pub(super) umask: &'static str,
    /// Their time zone.
    pub(super) time_zone: &'static str,
}

impl Copy {
    /// Copies the sources below `root`.
    pub(super) fn of(root: &Path) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("a copy in another place ")
            .tempdir()
            .map_err(|error| Error::failure(format!("cannot create a directory: {error}")))?;
        copy_directory(root, &directory.path().join("keelson"))?;
        Ok(Self { directory })
    }

    /// Where the sources are.
    pub(super) fn root(&self) -> PathBuf {
        self.directory.path().join("keelson")
    }

    /// A builder in this copy, called by that person. `words` are its arguments.
    pub(super) fn builder(&self, person: &Person, words: &[String]) -> Result<Invocation> {
        let builder = std::env::current_exe().at("find", Path::new("the builder"))?;
        let home = self.directory.path().join("home");
        fs::create_dir_all(&home).at("create", &home)?;
        let script = format!("umask {}; exec \"$0\" \"$@\"", person.umask);
        let mut invocation = Invocation::new("sh")
            .args(["-c", script.as_str()])
            .arg(builder)
            .args(words)
            .current_dir(self.root())
            .env("TZ", person.time_zone)
            .env("XDG_CACHE_HOME", &person.cache);
        // The toolchain stays where it is: it is no part of what is compared.
        for (variable, default) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            let old_home = std::env::var_os("HOME").map(|home| Path::new(&home).join(default));
            let value = std::env::var_os(variable).map(PathBuf::from).or(old_home);
            if let Some(value) = value {
                invocation = invocation.env(variable, value);
            }
        }
        Ok(invocation.env("HOME", home))
    }
}

/// A cache beside the user's own that stays from one climb to the next, so that
/// what it holds was really built a second time, but only once per content.
/// Kernels and crates are shared with the user's own.
pub(super) fn second_cache() -> Result<PathBuf> {
    let cache = Cache::open()?;
    let second = cache.workspace("second-cache")?;
    let root = second.join("keelson");
    fs::create_dir_all(&root).at("create", &root)?;
    for kind in SHARED_KINDS {
        let (target, link) = (cache.root().join(kind), root.join(kind));
        fs::create_dir_all(&target).at("create", &target)?;
        if link.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(&target, &link).at("create", &link)?;
        }
    }
    Ok(second)
}

fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to).at("create", to)?;
    for entry in fs::read_dir(from).at("read", from)? {
        let entry = entry.at("read", from)?;
        let name = entry.file_name();
        let (source, target) = (entry.path(), to.join(&name));
        let kind = entry.file_type().at("read", &source)?;
        if NOT_COPIED.iter().any(|not| name == *not) {
            continue;
        }
        if kind.is_dir() {
            copy_directory(&source, &target)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(&source).at("read", &source)?;
            std::os::unix::fs::symlink(link, &target).at("create", &target)?;
        } else {
            fs::copy(&source, &target).at("write", &target)?;
        }
    }
    Ok(())
}
