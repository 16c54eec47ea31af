//! What is done to `/dev`: owners and modes of nodes, and links.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use crate::registry::Action;

/// The directory of device nodes.
#[derive(Debug)]
pub(crate) struct DeviceDirectory {
    root: PathBuf,
}

impl DeviceDirectory {
    /// The directory at `root`, usually `/dev`.
    pub(crate) fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The path of a node.
    pub(crate) fn path(&self, node: &str) -> PathBuf {
        self.root.join(node)
    }

    /// Gives the node to `uid` and `gid`, with `mode`; what is `None` stays as it is. A node
    /// that belongs to somebody else than root is in a session's hands, and is left alone.
    ///
    /// # Errors
    /// What chown(2) and chmod(2) say; none if the node is gone again.
    pub(crate) fn permit(
        &self,
        node: &str,
        uid: Option<u32>,
        gid: Option<u32>,
        mode: Option<u32>,
    ) -> io::Result<()> {
        let path = self.path(node);
        let found = match fs::symlink_metadata(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if found.file_type().is_symlink() || (found.uid() != 0 && Some(found.uid()) != uid) {
            return Ok(());
        }
        let uid = uid.filter(|uid| *uid != found.uid());
        let gid = gid.filter(|gid| *gid != found.gid());
        if uid.is_some() || gid.is_some() {
            chown(&path, uid, gid)?;
        }
        match mode {
            Some(mode) if mode != found.mode() & 0o7777 => {
                rustix::fs::chmod(&path, Mode::from_raw_mode(mode))?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Makes or removes a link.
    ///
    /// # Errors
    /// What symlink(2), rename(2), mkdir(2) and unlink(2) say.
    pub(crate) fn perform(&self, action: &Action) -> io::Result<()> {
        match action {
            Action::Link { link, node } => self.link(link, node),
            Action::Unlink { link } => self.unlink(link),
        }
    }

    /// Makes a link in one step: whoever looks finds the old one or the new one.
    fn link(&self, link: &str, node: &str) -> io::Result<()> {
        let path = self.root.join(link);
        let target = PathBuf::from("../".repeat(link.matches('/').count()) + node);
        if fs::read_link(&path).is_ok_and(|there| there == target) {
            return Ok(());
        }
        match fs::symlink_metadata(&path) {
            Ok(found) if !found.file_type().is_symlink() => {
                return Err(io::Error::other("something that is no link is in its place"));
            }
            _ => {}
        }
        let parent = path.parent().unwrap_or(&self.root);
        fs::create_dir_all(parent)?;
        let beside = parent.join(".devd-new");
        let _ = fs::remove_file(&beside);
        symlink(&target, &beside)?;
        fs::rename(&beside, &path)
    }

    fn unlink(&self, link: &str) -> io::Result<()> {
        let path = self.root.join(link);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.file_type().is_symlink() => fs::remove_file(&path)?,
            _ => return Ok(()),
        }
        // Directories that became empty go with it; the first that has content stays.
        let mut parent = path.parent();
        while let Some(directory) = parent.filter(|directory| *directory != self.root) {
            if fs::remove_dir(directory).is_err() {
                break;
            }
            parent = directory.parent();
        }
        Ok(())
    }

    /// The links below `disk`, which are all `devd`'s, relative to this directory.
    pub(crate) fn disk_links(&self) -> Vec<String> {
        let mut links = Vec::new();
        let directories = fs::read_dir(self.root.join("disk")).into_iter().flatten().flatten();
        for directory in directories {
            // `by-role` is for others to fill.
            if !directory.file_name().to_string_lossy().starts_with("by-")
                || directory.file_name() == "by-role"
            {
                continue;
            }
            for entry in fs::read_dir(directory.path()).into_iter().flatten().flatten() {
                let path = entry.path();
                let below = path.strip_prefix(&self.root).ok().and_then(Path::to_str);
                links.extend(below.map(str::to_owned));
            }
        }
        links
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(link: &str, node: &str) -> Action {
        Action::Link { link: link.into(), node: node.into() }
    }

    #[test]
    fn links_are_relative_replaced_and_removed_with_their_directories() {
        let root = tempfile::tempdir().unwrap();
        let dev = DeviceDirectory::at(root.path());
        dev.perform(&link("disk/by-label/data", "vda1")).unwrap();
        dev.perform(&link("disk/by-label/data", "input/x")).unwrap();
        let path = root.path().join("disk/by-label/data");
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("../../input/x"));
        assert_eq!(dev.disk_links(), ["disk/by-label/data"]);
        dev.perform(&Action::Unlink { link: "disk/by-label/data".into() }).unwrap();
        assert!(!root.path().join("disk").exists());
        assert!(root.path().exists());
        dev.perform(&Action::Unlink { link: "disk/by-label/data".into() }).unwrap();
    }

    #[test]
    fn a_node_is_never_taken_for_a_link() {
        let root = tempfile::tempdir().unwrap();
        let dev = DeviceDirectory::at(root.path());
        fs::write(root.path().join("null"), "").unwrap();
        assert!(dev.perform(&link("null", "vda1")).is_err());
        dev.perform(&Action::Unlink { link: "null".into() }).unwrap();
        assert!(root.path().join("null").exists());
    }

    #[test]
    fn modes_are_set_and_what_is_gone_is_no_error() {
        let root = tempfile::tempdir().unwrap();
        let dev = DeviceDirectory::at(root.path());
        fs::write(root.path().join("x"), "").unwrap();
        let uid = fs::metadata(root.path()).unwrap().uid();
        dev.permit("x", Some(uid), None, Some(0o640)).unwrap();
        assert_eq!(fs::metadata(root.path().join("x")).unwrap().mode() & 0o7777, 0o640);
        dev.permit("gone", Some(0), Some(0), Some(0o600)).unwrap();
    }
}
