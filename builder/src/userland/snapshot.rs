//! A copy of the workspace's sources whose times tell the truth.
//!
//! Cargo decides by modification time what to compile anew. A source file with
//! an old time and a new content (another clone, an unpacked archive, a copied
//! file) would escape it, and a stale binary would enter the cache under a new
//! key. The copy is updated by content: what differs is written, and is then
//! new by its time too. Nobody edits it while Cargo reads it. Files are executable
//! where the originals are: it counts in a key, and a build script may start what
//! lies beside it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::SystemTime;

use super::sources;
use crate::error::{IoContext, Result};
use crate::whole_file;

/// What of the repository is Cargo's workspace.
const PARTS: [&str; 5] = ["Cargo.toml", "Cargo.lock", "builder", "init", "services"];
/// Who may execute a file: its owner, its group, everybody.
const EXECUTE_BITS: u32 = 0o111;

/// Makes `copy` hold the workspace of `root`, touching only what differs.
///
/// # Errors
/// If a file cannot be read or written.
pub(crate) fn sync(root: &Path, copy: &Path) -> Result<()> {
    fs::create_dir_all(copy).at("create", copy)?;
    for part in PARTS {
        sync_entry(&root.join(part), &copy.join(part))?;
    }
    Ok(())
}

/// Makes `copy` equal to the file or directory `source`. Symbolic links are followed.
pub(super) fn sync_entry(source: &Path, copy: &Path) -> Result<()> {
    if !source.is_dir() {
        return sync_file(source, copy);
    }
    if copy.symlink_metadata().is_ok_and(|metadata| !metadata.is_dir()) {
        fs::remove_file(copy).at("remove", copy)?;
    }
    fs::create_dir_all(copy).at("create", copy)?;
    let wanted: BTreeSet<OsString> = sources::entries(source)?
        .iter()
        .filter_map(|path| Some(path.file_name()?.into()))
        .collect();
    for name in names(copy)?.difference(&wanted) {
        remove(&copy.join(name))?;
    }
    for name in &wanted {
        sync_entry(&source.join(name), &copy.join(name))?;
    }
    Ok(())
}

fn sync_file(source: &Path, copy: &Path) -> Result<()> {
    let bytes = whole_file::read(source)?;
    if !(copy.is_file() && fs::read(copy).is_ok_and(|old| old == bytes)) {
        if copy.is_dir() {
            remove(copy)?;
        }
        fs::write(copy, bytes).at("write", copy)?;
    }
    sync_execute_bits(source, copy)
}

fn sync_execute_bits(source: &Path, copy: &Path) -> Result<()> {
    let wanted = fs::metadata(source).at("read", source)?.permissions().mode() & EXECUTE_BITS;
    let mode = fs::metadata(copy).at("read", copy)?.permissions().mode();
    if mode & EXECUTE_BITS == wanted {
        return Ok(());
    }
    let file = File::options().write(true).open(copy).at("write", copy)?;
    let permissions = Permissions::from_mode(mode & !EXECUTE_BITS | wanted);
    file.set_permissions(permissions).at("write", copy)?;
    // Cargo looks at the time alone.
    file.set_modified(SystemTime::now()).at("write", copy)
}

fn remove(path: &Path) -> Result<()> {
    let is_directory = path.symlink_metadata().at("read", path)?.is_dir();
    if is_directory { fs::remove_dir_all(path) } else { fs::remove_file(path) }.at("remove", path)
}

fn names(directory: &Path) -> Result<BTreeSet<OsString>> {
    fs::read_dir(directory)
        .at("read", directory)?
        .map(|entry| Ok(entry.at("read", directory)?.file_name()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn only_what_differs_is_written_however_old_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let (source, copy) = (directory.path().join("source"), directory.path().join("copy"));
        fs::create_dir_all(source.join("src/target")).unwrap();
        fs::write(source.join("src/target/CACHEDIR.TAG"), "").unwrap();
        fs::write(source.join("src/a.rs"), "one").unwrap();
        fs::write(source.join("src/b.rs"), "two").unwrap();
        sync_entry(&source, &copy).unwrap();
        assert!(!copy.join("src/target").exists());
        let time =
            |name: &str| fs::metadata(copy.join("src").join(name)).unwrap().modified().unwrap();
        let (a, b) = (time("a.rs"), time("b.rs"));

        // The same length, and a time before that of the copy.
        fs::write(source.join("src/a.rs"), "ONE").unwrap();
        let past = SystemTime::now() - Duration::from_secs(3600);
        fs::File::options()
            .write(true)
            .open(source.join("src/a.rs"))
            .unwrap()
            .set_modified(past)
            .unwrap();
        fs::write(source.join("src/c.rs"), "").unwrap();
        sync_entry(&source, &copy).unwrap();
        assert_eq!(fs::read_to_string(copy.join("src/a.rs")).unwrap(), "ONE");
        assert!(time("a.rs") > a && time("b.rs") == b);

        fs::remove_file(source.join("src/b.rs")).unwrap();
        sync_entry(&source, &copy).unwrap();
        assert!(!copy.join("src/b.rs").exists() && copy.join("src/c.rs").exists());
    }
}
