//! The public suite for shells: the tests of yash that "any POSIX-compliant shell" should
//! pass, as its crate in the registry holds them.
//!
//! The crate is fetched and neither built nor put into an image: its files go into the
//! guest's memory. Nothing of it is in this repository.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::suite::Suite;
use crate::cache::hex;
use crate::error::{Error, IoContext, Result};
use crate::host::Invocation;
use crate::ops::guest::Guest;
use crate::ops::test::workspace::cargo;

const CRATE: &str = "yash-cli";
const VERSION: &str = "3.0.8";
/// Where the suite is in the crate.
const DIRECTORY: &str = "tests/scripted_test";
/// What runs a file of the suite.
const JUDGE: &str = "run-test.sh";
/// How much is given to the guest at a time, in hexadecimal digits: less than a frame
/// of the exec protocol holds.
const DIGITS_MAX: usize = 50_000;

/// Has Cargo fetch the crate as it would for a program that uses it, and returns where
/// the suite is. `directory` is for the manifest of that program.
///
/// # Errors
/// If it cannot be fetched.
pub(super) fn fetch(directory: &Path, is_offline: bool) -> Result<PathBuf> {
    let source = directory.join("src");
    std::fs::create_dir_all(&source).at("create", &source)?;
    let manifest = directory.join("Cargo.toml");
    let text = format!(
        "[package]\nname = \"shell-suite\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [workspace]\n\n[dependencies]\n{CRATE} = \"={VERSION}\"\n"
    );
    std::fs::write(&manifest, text).at("write", &manifest)?;
    let library = source.join("lib.rs");
    std::fs::write(&library, "").at("write", &library)?;
    let mut call = Invocation::new(cargo())
        .args(["metadata", "--quiet", "--format-version", "1", "--manifest-path"])
        .arg(&manifest);
    if is_offline {
        call = call.arg("--offline");
    }
    let text = call.read_text()?;
    let missing = || Error::failure(format!("Cargo fetched no crate {CRATE} {VERSION}"));
    Ok(crate_directory(&text).ok_or_else(missing)?.join(DIRECTORY))
}

/// Where the crate is, out of what `cargo metadata` says.
fn crate_directory(metadata: &str) -> Option<PathBuf> {
    let metadata: Value = serde_json::from_str(metadata).ok()?;
    let mut packages = metadata.get("packages")?.as_array()?.iter();
    let found = packages.find(|package| package.get("name").is_some_and(|name| name == CRATE))?;
    let manifest = Path::new(found.get("manifest_path")?.as_str()?);
    manifest.parent().map(Path::to_owned)
}

/// Puts files of the suite into the guest, and what runs them.
///
/// # Errors
/// If one is not in the suite, or the guest cannot take it.
pub(super) fn give(guest: &mut Guest, suite: &Path, files: &[&str]) -> Result<()> {
    let mut words = String::new();
    for name in [JUDGE].iter().chain(files) {
        let path = suite.join(name);
        let content = hex(&std::fs::read(&path).at("read", &path)?);
        if !words.is_empty() && words.len() + content.len() > DIGITS_MAX {
            guest.read(&Suite::take_command(&words))?;
            words.clear();
        }
        words += &format!(" {name}={content}");
    }
    guest.read(&Suite::take_command(&words)).map(|_nothing| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crate_is_found_among_others() {
        let metadata = "{\"packages\": [{\"name\": \"yash-env\", \"manifest_path\": \"/a/b\"}, \
             {\"name\": \"yash-cli\", \"manifest_path\": \"/r/yash-cli-1/Cargo.toml\"}]}";
        assert_eq!(crate_directory(metadata), Some(PathBuf::from("/r/yash-cli-1")));
        assert_eq!(crate_directory("{\"packages\": []}"), None);
        assert_eq!(crate_directory(""), None);
    }
}
