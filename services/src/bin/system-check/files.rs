//! The files: everything the image had is there as it was, and `/usr` has nothing else.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirEntry, File, Metadata};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use init_core::system_manifest::{Entry, Kind, PATH, SystemManifest};
use rustix::fs::{major, minor};
use sha2::{Digest, Sha256};

use crate::Outcome;

/// Where the image alone puts files.
const IMAGE_ALONE: &str = "/usr";

/// Bytes taken at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Compares the files below `root`.
pub(crate) fn check(root: &Path, manifest: &SystemManifest, strict: bool) -> Outcome {
    let mut outcome = Outcome::default();
    for entry in manifest.entries.iter().filter(|entry| !is_covered(&entry.path, manifest)) {
        outcome.looked_at += 1;
        if let Some(message) = difference(&place(root, &entry.path), entry, strict) {
            outcome.find("file", shown(&entry.path), message);
        }
    }
    for (path, message) in unknown(root, manifest) {
        outcome.find("file", shown(&path), message);
    }
    outcome
}

/// Whether another file system is meant to be mounted there, or above.
fn is_covered(path: &[u8], manifest: &SystemManifest) -> bool {
    manifest.mounts.iter().any(|(_, place)| {
        let rest = path.strip_prefix(place.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    })
}

fn place(root: &Path, path: &[u8]) -> PathBuf {
    let inside = path.strip_prefix(b"/").unwrap_or(path);
    root.join(OsStr::from_bytes(inside))
}

/// A path for people: anybody may have made it.
fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

/// What is off with one file, if anything is.
fn difference(path: &Path, entry: &Entry, strict: bool) -> Option<String> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Some("it is missing".to_owned());
        }
        Err(error) => return Some(format!("cannot be looked at: {error}")),
    };
    let (found, wanted) = (name_of(&metadata), name_of_kind(&entry.kind));
    if found != wanted {
        return Some(format!("it is {found}, not {wanted}"));
    }
    // What is mounted on a directory has a mode and an owner of its own.
    if metadata.is_dir() && is_mount_point(path, &metadata) {
        return None;
    }
    let mut off = Vec::new();
    let mode = metadata.mode() & 0o7777;
    if mode != u32::from(entry.mode) && !metadata.is_symlink() {
        off.push(format!("its mode is {mode:04o}, not {:04o}", entry.mode));
    }
    let owner = (metadata.uid(), metadata.gid());
    if owner != (entry.uid, entry.gid) {
        let (uid, gid) = owner;
        off.push(format!("it belongs to {uid}:{gid}, not to {}:{}", entry.uid, entry.gid));
    }
    match content(path, entry, &metadata, strict) {
        Ok(None) => {}
        Ok(Some(message)) => off.push(message),
        Err(error) => off.push(format!("cannot be read: {error}")),
    }
    (!off.is_empty()).then(|| off.join("; "))
}

/// Whether something is mounted on the directory `path`. The root is none: it is what is checked.
fn is_mount_point(path: &Path, metadata: &Metadata) -> bool {
    let above = path.parent().and_then(|parent| fs::symlink_metadata(parent).ok());
    above.is_some_and(|above| above.dev() != metadata.dev())
}

fn content(
    path: &Path,
    entry: &Entry,
    metadata: &Metadata,
    strict: bool,
) -> io::Result<Option<String>> {
    match &entry.kind {
        Kind::File { changeable: true, .. } if !strict => Ok(None),
        Kind::File { sha256, .. } => {
            let is_same = digest(path)? == *sha256;
            Ok((!is_same).then(|| "its content is not that of the image".to_owned()))
        }
        Kind::Symlink(target) => {
            let found = fs::read_link(path)?;
            let found = found.as_os_str().as_bytes();
            let message = || format!("it points to {}, not to {}", shown(found), shown(target));
            Ok((found != target).then(message))
        }
        Kind::CharDevice(wanted_major, wanted_minor)
        | Kind::BlockDevice(wanted_major, wanted_minor) => {
            let (major, minor) = (major(metadata.rdev()), minor(metadata.rdev()));
            let is_same = (major, minor) == (*wanted_major, *wanted_minor);
            let message =
                || format!("its number is {major}:{minor}, not {wanted_major}:{wanted_minor}");
            Ok((!is_same).then(message))
        }
        Kind::Directory | Kind::Fifo => Ok(None),
    }
}

fn digest(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => digest.update(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn name_of(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_dir() {
        "a directory"
    } else if kind.is_file() {
        "a regular file"
    } else if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_char_device() {
        "a character device"
    } else if kind.is_block_device() {
        "a block device"
    } else if kind.is_fifo() {
        "a named pipe"
    } else {
        "a socket"
    }
}

const fn name_of_kind(kind: &Kind) -> &'static str {
    match kind {
        Kind::Directory => "a directory",
        Kind::File { .. } => "a regular file",
        Kind::Symlink(_) => "a symbolic link",
        Kind::CharDevice(..) => "a character device",
        Kind::BlockDevice(..) => "a block device",
        Kind::Fifo => "a named pipe",
    }
}

/// What is below `/usr` and not in the manifest, the manifest itself and what is mounted there
/// left out, and directories that cannot be listed. Of a directory that is not known only its
/// own name.
fn unknown(root: &Path, manifest: &SystemManifest) -> BTreeMap<Vec<u8>, String> {
    let known: HashSet<&[u8]> = manifest.entries.iter().map(|entry| &*entry.path).collect();
    let mut found = BTreeMap::new();
    let mut pending = vec![IMAGE_ALONE.as_bytes().to_vec()];
    while let Some(directory) = pending.pop() {
        let children = match children(&place(root, &directory)) {
            Ok(children) => children,
            Err(error) => {
                found.insert(directory, format!("cannot be listed: {error}"));
                continue;
            }
        };
        for (name, is_directory) in children {
            let path = [directory.as_slice(), b"/", name.as_bytes()].concat();
            if path == PATH.as_bytes() || is_covered(&path, manifest) {
                continue;
            }
            if !known.contains(path.as_slice()) {
                found.insert(path, "it is not of the image".to_owned());
            } else if is_directory {
                pending.push(path);
            }
        }
    }
    found
}

/// The names in a directory, each with whether it is a directory itself. Of what is mounted on
/// the directory nothing belongs to the image.
fn children(path: &Path) -> io::Result<Vec<(OsString, bool)>> {
    if is_mount_point(path, &fs::symlink_metadata(path)?) {
        return Ok(Vec::new());
    }
    let child = |entry: io::Result<DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name(), entry.file_type()?.is_dir()))
    };
    fs::read_dir(path)?.map(child).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    /// A small system and its manifest, which fits.
    fn system(root: &Path) -> SystemManifest {
        let mut entries = Vec::new();
        let own = fs::metadata(root).unwrap();
        let mut add = |path: &str, mode: u16, kind: Kind| {
            let host = place(root, path.as_bytes());
            match &kind {
                Kind::Directory => fs::create_dir(&host).unwrap(),
                Kind::File { .. } => fs::write(&host, "").unwrap(),
                Kind::Symlink(target) => symlink(OsStr::from_bytes(target), &host).unwrap(),
                _ => unreachable!("not in this test"),
            }
            if !matches!(kind, Kind::Symlink(_)) {
                fs::set_permissions(&host, fs::Permissions::from_mode(mode.into())).unwrap();
            }
            let (uid, gid) = (own.uid(), own.gid());
            entries.push(Entry { path: path.into(), kind, mode, uid, gid });
        };
        let file = |changeable| Kind::File { sha256: EMPTY.into(), changeable };
        add("/usr", 0o755, Kind::Directory);
        add("/usr/tool", 0o755, file(false));
        add("/usr/link", 0o777, Kind::Symlink(b"tool".to_vec()));
        add("/etc", 0o755, Kind::Directory);
        add("/etc/config", 0o640, file(true));
        add("/run", 0o755, Kind::Directory);
        add("/runner", 0o755, Kind::Directory);
        add("/usr/modules", 0o755, Kind::Directory);
        let mounts = ["/run", "/usr/modules"].map(|place| ("tmpfs".to_owned(), place.to_owned()));
        let mounts = mounts.into();
        SystemManifest { entries, mounts, ..SystemManifest::default() }
    }

    #[test]
    fn each_thing_that_is_off_is_named() {
        type Change = fn(&Path);
        let cases: [(&str, Change, &[&str]); 14] = [
            ("nothing", |_| (), &[]),
            (
                "content",
                |root| fs::write(root.join("usr/tool"), "x").unwrap(),
                &["/usr/tool: its content is not that of the image"],
            ),
            (
                "missing",
                |root| fs::remove_file(root.join("usr/tool")).unwrap(),
                &["/usr/tool: it is missing"],
            ),
            (
                "mode",
                |root| {
                    let mode = fs::Permissions::from_mode(0o4755);
                    fs::set_permissions(root.join("usr/tool"), mode).unwrap();
                },
                &["/usr/tool: its mode is 4755, not 0755"],
            ),
            (
                "type",
                |root| {
                    fs::remove_file(root.join("usr/tool")).unwrap();
                    fs::create_dir(root.join("usr/tool")).unwrap();
                },
                &["/usr/tool: it is a directory, not a regular file"],
            ),
            (
                "link",
                |root| {
                    fs::remove_file(root.join("usr/link")).unwrap();
                    symlink("evil", root.join("usr/link")).unwrap();
                },
                &["/usr/link: it points to evil, not to tool"],
            ),
            (
                "more",
                |root| {
                    fs::create_dir(root.join("usr/new")).unwrap();
                    fs::write(root.join("usr/new/below"), "").unwrap();
                },
                &["/usr/new: it is not of the image"],
            ),
            ("configuration", |root| fs::write(root.join("etc/config"), "x").unwrap(), &[]),
            (
                "configuration's mode",
                |root| {
                    let mode = fs::Permissions::from_mode(0o666);
                    fs::set_permissions(root.join("etc/config"), mode).unwrap();
                },
                &["/etc/config: its mode is 0666, not 0640"],
            ),
            ("more configuration", |root| fs::write(root.join("etc/new"), "").unwrap(), &[]),
            ("a mount point", |root| fs::remove_dir(root.join("run")).unwrap(), &[]),
            (
                "below a mount point",
                |root| fs::write(root.join("usr/modules/new"), "").unwrap(),
                &[],
            ),
            (
                "cannot be listed",
                |root| {
                    fs::remove_dir_all(root.join("usr")).unwrap();
                    fs::write(root.join("usr"), "").unwrap();
                },
                &[
                    "/usr: it is a regular file, not a directory",
                    "/usr/tool: cannot be looked at: Not a directory (os error 20)",
                    "/usr/link: cannot be looked at: Not a directory (os error 20)",
                    "/usr: cannot be listed: Not a directory (os error 20)",
                ],
            ),
            (
                "no mount point",
                |root| fs::remove_dir(root.join("runner")).unwrap(),
                &["/runner: it is missing"],
            ),
        ];
        for (name, change, expected) in cases {
            let root = tempfile::tempdir().unwrap();
            let manifest = system(root.path());
            change(root.path());
            let outcome = check(root.path(), &manifest, false);
            let found: Vec<String> = outcome
                .findings
                .iter()
                .map(|finding| format!("{}: {}", finding.subject, finding.message))
                .collect();
            assert_eq!(found, expected, "{name}");
            assert_eq!(outcome.looked_at, 6, "{name}");
        }
    }

    #[test]
    fn configuration_counts_if_it_is_to() {
        let root = tempfile::tempdir().unwrap();
        let manifest = system(root.path());
        fs::write(root.path().join("etc/config"), "x").unwrap();
        assert_eq!(check(root.path(), &manifest, true).findings.len(), 1);
    }
}
