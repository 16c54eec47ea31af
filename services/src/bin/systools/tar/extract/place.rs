//! Where an entry goes: below the directory that is extracted into, whatever its name
//! and the links that an archive brings.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

/// Where an entry goes. `None` if nothing is left of its name, an error if the name has
/// a `..`.
pub(super) fn target(name: &Path, strip: usize) -> Option<io::Result<PathBuf>> {
    let mut parts = Vec::new();
    for part in name.components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::ParentDir => {
                return Some(Err(io::Error::other("its name leads out of the directory")));
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let target: PathBuf = parts.into_iter().skip(strip).collect();
    (!target.as_os_str().is_empty()).then_some(Ok(target))
}

/// Refuses to go through a symbolic link: an archive could have brought it.
pub(super) fn refuse_links(target: &Path) -> io::Result<()> {
    let mut path = PathBuf::new();
    let Some(parent) = target.parent() else { return Ok(()) };
    for part in parent.components() {
        path.push(part);
        if is_link(&path) {
            let message = format!("`{}` is a symbolic link", path.display());
            return Err(io::Error::other(message));
        }
    }
    Ok(())
}

pub(super) fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

/// Whether it is a directory itself, not a link to one.
pub(super) fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// Removes what is in the way, but no directory.
pub(super) fn replace(target: &Path) -> io::Result<()> {
    match fs::remove_file(target) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_lead_out_of_the_directory() {
        for (name, strip, expected) in [
            ("a/b", 0, Some(Some("a/b"))),
            ("/etc/passwd", 0, Some(Some("etc/passwd"))),
            ("./a", 0, Some(Some("a"))),
            ("a/b/c", 1, Some(Some("b/c"))),
            ("a", 1, None),
            (".", 0, None),
            ("../a", 0, Some(None)),
            ("a/../../b", 0, Some(None)),
            ("a/../b", 2, Some(None)),
        ] {
            let found = target(Path::new(name), strip).map(|target| target.ok());
            assert_eq!(found, expected.map(|path| path.map(PathBuf::from)), "{name}");
        }
    }
}
