//! What of a directory is source: what counts in a key, and is copied for Cargo.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use crate::cache::{KeyBuilder, hex};
use crate::error::{IoContext, Result};

/// What Cargo writes into a directory of its own, one of them at least.
const CARGOS_OWN: [&str; 2] = ["CACHEDIR.TAG", ".rustc_info.json"];

/// The sources among the entries of a directory, sorted.
///
/// # Errors
/// If it cannot be read.
pub(super) fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory)
        .at("read", directory)?
        .map(|entry| Ok(entry.at("read", directory)?.path()))
        .collect::<Result<_>>()?;
    entries.retain(|path| is_source(path));
    entries.sort();
    Ok(entries)
}

/// Adds every source below a directory to a key. Symbolic links are followed.
///
/// # Errors
/// If one cannot be read.
pub fn add(mut key: KeyBuilder, name: &str, directory: &Path) -> Result<KeyBuilder> {
    for path in entries(directory)? {
        key = add_entry(key, name, &path)?;
    }
    Ok(key)
}

/// Adds one file or directory, whose parent's name is `parent`.
///
/// # Errors
/// If it cannot be read.
pub(super) fn add_entry(key: KeyBuilder, parent: &str, path: &Path) -> Result<KeyBuilder> {
    let name = hex(path.file_name().unwrap_or_default().as_encoded_bytes());
    let name = format!("{parent}/{name}");
    if path.is_dir() { add(key, &name, path) } else { key.file(&name, path) }
}

/// Not what Git and Cargo keep, nor what an editor leaves beside a file that it has open, nor a
/// link that leads nowhere.
fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let is_targets = name == "target" && CARGOS_OWN.iter().any(|file| path.join(file).is_file());
    !(name == ".git" || is_targets || is_editors(name) || !path.exists())
}

/// Whether an editor calls its own files so: Emacs `.#a`, `#a#` and `a~`, vim `.a.swp`.
fn is_editors(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    let is_swap = match name {
        [b'.', stem @ .., b'.', b's', b'w', b'a'..=b'z'] => !stem.is_empty(),
        _ => false,
    };
    is_swap || matches!(name, [b'.', b'#', ..] | [b'#', .., b'#'] | [.., b'~'])
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_cargo_git_and_editors_keep_is_no_source() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for name in ["target", "src", "src/target", ".git", ".cargo"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("target/CACHEDIR.TAG"), "").unwrap();
        let files = [
            "src/target/mod.rs",
            "a.rs",
            "a.rs~",
            "#a.rs#",
            ".a.rs.swp",
            ".a.rs.swx",
            ".swp",
            ".config",
        ];
        for name in files {
            fs::write(at(name), "").unwrap();
        }
        symlink("a.rs", at("b.rs")).unwrap();
        symlink("somebody@host.1:2", at(".#a.rs")).unwrap();
        symlink("nowhere", at("c.rs")).unwrap();
        let names = |path: &Path| -> Vec<String> {
            let names = entries(path).unwrap().into_iter();
            names.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
        };
        let expected = [".cargo", ".config", ".swp", "a.rs", "b.rs", "src"];
        assert_eq!(names(directory.path()), expected);
        assert_eq!(names(&at("src")), ["target"]);
        assert_eq!(names(&at("src/target")), ["mod.rs"]);
        add(KeyBuilder::new("test 1"), "a", directory.path()).unwrap();
    }
}
