//! Where the repository's own files are: images, kernel configuration, root tree.
//!
//! A project is the directory that holds `images/`, `kernel-config/` and
//! `rootfs/`. It is the nearest one above the current directory, so that a fork
//! or a second clone builds its own files, else the one that the program lies in (a
//! copied clone has a copied `target/`), else the one it was compiled in. Where outputs and caches go is not decided here.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// What a directory must have to be a project.
const LANDMARKS: [&str; 3] = ["images", "rootfs", "init/core/Cargo.toml"];

/// The repository in use.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// The project around the current directory, else the one of this builder.
    ///
    /// # Errors
    /// If neither is there any more.
    pub fn find() -> Result<Self> {
        let here = std::env::current_dir().unwrap_or_default();
        let program = std::env::current_exe().unwrap_or_default();
        let compiled_in = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
        here.ancestors()
            .chain(program.ancestors())
            .chain(compiled_in)
            .find_map(|directory| Self::at(directory).ok())
            .ok_or_else(|| {
                Error::definition(format!(
                    "neither {} nor a directory above it is a Keelson repository",
                    here.display()
                ))
                .hint("run the builder inside a clone: it holds images/, rootfs/ and init/")
            })
    }

    /// The project in this directory.
    ///
    /// # Errors
    /// If the directory is none.
    pub fn at(root: &Path) -> Result<Self> {
        if LANDMARKS.iter().all(|landmark| root.join(landmark).exists()) {
            Ok(Self { root: root.to_owned() })
        } else {
            Err(Error::definition(format!("{} is no Keelson repository", root.display())))
        }
    }

    /// The repository's top directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Image definitions.
    #[must_use]
    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// Kernel version, fragments and required options.
    #[must_use]
    pub fn kernel_config(&self) -> PathBuf {
        self.root.join("kernel-config")
    }

    /// `skeleton/` and the device table.
    #[must_use]
    pub fn rootfs(&self) -> PathBuf {
        self.root.join("rootfs")
    }

    /// Where outputs go unless `--output` says otherwise: `OUT/<image>/<arch>/`.
    #[must_use]
    pub fn default_output(&self) -> PathBuf {
        self.root.join("out")
    }

    /// A path as messages and manifests show it: relative to the repository
    /// where it lies inside, so that they are the same in every clone.
    #[must_use]
    pub fn show(&self, path: &Path) -> String {
        path.strip_prefix(&self.root).unwrap_or(path).display().to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_known_by_its_landmarks_and_shows_its_paths_short() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        assert!(Project::at(root).is_err());
        std::fs::create_dir_all(root.join("images")).unwrap();
        std::fs::create_dir_all(root.join("rootfs")).unwrap();
        std::fs::create_dir_all(root.join("init/core")).unwrap();
        std::fs::write(root.join("init/core/Cargo.toml"), "").unwrap();
        let project = Project::at(root).unwrap();
        assert_eq!(project.show(&root.join("images/a.toml")), "images/a.toml");
        assert_eq!(project.show(Path::new("/x/y.toml")), "/x/y.toml");
    }
}
