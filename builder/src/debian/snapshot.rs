//! Packages that the distribution's archive does not deliver, from the one that keeps every
//! version that Debian ever published.
//!
//! Nothing is trusted but the digest of the lock file, which comes from an archive whose
//! signature was checked. Source: the interface for machines of snapshot.debian.org
//! (<https://salsa.debian.org/snapshot-team/snapshot/raw/master/API>).

use std::path::Path;

use serde::Deserialize;

use super::lock::{Locked, UPDATE_HINT};
use crate::download::{self, Failure, Wanted};
use crate::error::Result;
use crate::shell::Shell;

/// The environment variable with the URL of another such archive, or `none`.
pub const VARIABLE: &str = "KEELSON_DEBIAN_SNAPSHOT";

/// Debian's own.
const DEBIAN: &str = "https://snapshot.debian.org";
/// Longest list of the files of one version: a line of some 100 bytes for each architecture.
const LIST_BYTES_MAX: u64 = 1 << 20;

/// An archive of archives.
#[derive(Clone, Debug)]
pub struct Snapshot {
    url: String,
}

/// The files of one version of a package.
#[derive(Deserialize)]
struct Binaries {
    result: Vec<Binary>,
}

#[derive(Deserialize)]
struct Binary {
    architecture: String,
    /// SHA-1, which is only a name here.
    hash: String,
}

impl Snapshot {
    /// Debian's, or the one that the environment names; `None` if it says that there is none.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let url = std::env::var(VARIABLE).unwrap_or_else(|_unset| DEBIAN.to_owned());
        let url = url.trim_end_matches('/').to_owned();
        (url != "none").then_some(Self { url })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Fetches the file of a package to `partial`. Inside is the reason why it cannot be had.
    ///
    /// # Errors
    /// The host's own failures, and another file under that name.
    pub fn fetch(
        &self,
        shell: &Shell,
        locked: &Locked,
        partial: &Path,
    ) -> Result<std::result::Result<(), String>> {
        let name = locked.title();
        let urls = match self.files(locked) {
            Ok(urls) => urls,
            Err(reason) => return Ok(Err(reason)),
        };
        match download::fetch(shell, &wanted(locked, &name), &urls, partial) {
            Ok(()) => Ok(Ok(())),
            Err(Failure::Unreachable(reasons)) => Ok(Err(reasons.join("; "))),
            Err(Failure::Mismatch(error) | Failure::Local(error)) => Err(error),
        }
    }

    /// The URLs under which the file of a package may be.
    fn files(&self, locked: &Locked) -> std::result::Result<Vec<String>, String> {
        let Self { url: base } = self;
        // Names and versions have no character that a path of a URL does not take as it is.
        let list = format!("{base}/mr/binary/{}/{}/binfiles", locked.name, locked.version);
        let text = download::read_text(&list, LIST_BYTES_MAX)?;
        let binaries: Binaries = serde_json::from_str(&text)
            .map_err(|error| format!("{list}: not the list that was asked for: {error}"))?;
        let is_it = |binary: &&Binary| [&*locked.arch, "all"].contains(&&*binary.architecture);
        let files = binaries.result.iter().filter(is_it);
        let urls: Vec<String> =
            files.map(|binary| format!("{base}/file/{}", binary.hash)).collect();
        if urls.is_empty() { Err(format!("{list}: nothing for {}", locked.arch)) } else { Ok(urls) }
    }
}

/// The file of a package that people call `name`.
pub(super) fn wanted<'a>(locked: &'a Locked, name: &'a str) -> Wanted<'a> {
    Wanted { name, sha256: &locked.sha256, remedy: UPDATE_HINT }
}
