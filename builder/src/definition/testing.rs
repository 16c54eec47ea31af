//! Projects of a test's own, with the definitions it is about.

use std::fs;
use std::path::Path;

use super::Image;
use crate::error::Result;
use crate::project::Project;

/// The account that every file needs to have an owner.
pub(crate) const ACCOUNTS: &str =
    "[[user]]\nname = \"root\"\nuid = 0\n[[group]]\nname = \"root\"\ngid = 0\n";

/// A project with these files under `images/`.
pub(crate) fn project(root: &Path, files: &[(&str, &str)]) -> Project {
    for directory in ["images", "rootfs", "init/core"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    fs::write(root.join("init/core/Cargo.toml"), "").unwrap();
    for (name, text) in files {
        fs::write(root.join("images").join(name), text).unwrap();
    }
    Project::at(&root.canonicalize().unwrap()).unwrap()
}

/// The image that `text` describes.
pub(crate) fn image(text: &str) -> Result<Image> {
    let root = tempfile::tempdir().unwrap();
    super::load(&project(root.path(), &[("a.toml", text)]), "a")
}
