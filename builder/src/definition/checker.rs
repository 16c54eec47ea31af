//! What all checks of a definition share: where findings go, and paths and mentions.

use std::path::{Path, PathBuf};

use init_core::diagnostic::{Finding, Place, suggest};

use crate::project::Project;
use crate::tree::TreePath;

/// What all checks share.
pub(super) struct Checker<'a> {
    /// The repository, whose files definitions name.
    pub(super) project: &'a Project,
    /// What is wrong so far.
    pub(super) findings: &'a mut Vec<Finding>,
}

impl Checker<'_> {
    /// Adds a finding.
    pub(super) fn find(&mut self, place: Place, message: impl Into<String>) {
        self.findings.push(Finding::new(place, message));
    }

    /// Adds a finding with a remedy.
    pub(super) fn find_with_hint(
        &mut self,
        place: Place,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.findings.push(Finding::new(place, message).with_hint(hint));
    }

    /// An absolute path on the target, other than its root.
    pub(super) fn target_path(&mut self, text: &str, place: &Place) -> Option<TreePath> {
        if !text.starts_with('/') {
            self.find(place.clone(), format!("{text:?} must be an absolute path on the target"));
            return None;
        }
        match TreePath::new(text) {
            Ok(path) if path.as_bytes().is_empty() => {
                self.find(place.clone(), "the root directory cannot be named here");
                None
            }
            Ok(path) => Some(path),
            Err(error) => {
                self.find(place.clone(), error.to_string());
                None
            }
        }
    }

    /// A path on the host, relative to the file it is written in, which must exist.
    pub(super) fn host_path(&mut self, text: &str, place: &Place) -> Option<PathBuf> {
        let file = self.project.root().join(&place.file);
        let path = file.parent().unwrap_or(Path::new("/")).join(text);
        match path.canonicalize() {
            Ok(path) => Some(path),
            Err(error) => {
                let hint = "the path is relative to the file it stands in";
                self.find_with_hint(place.clone(), format!("cannot find {text:?}: {error}"), hint);
                None
            }
        }
    }

    /// The same of a directory.
    pub(super) fn host_directory(&mut self, text: &str, place: &Place) -> Option<PathBuf> {
        self.host_path(text, place).filter(|path| self.is(path.is_dir(), "directory", text, place))
    }

    /// The same of a regular file.
    pub(super) fn host_file(&mut self, text: &str, place: &Place) -> Option<PathBuf> {
        self.host_path(text, place).filter(|path| self.is(path.is_file(), "file", text, place))
    }

    /// Whether it is what is wanted here; if not, that is found.
    fn is(&mut self, is_right: bool, wanted: &str, text: &str, place: &Place) -> bool {
        if !is_right {
            self.find(place.clone(), format!("{text:?} is no {wanted}"));
        }
        is_right
    }

    /// The name mentioned, if it is among those known.
    pub(super) fn mention<'n>(
        &mut self,
        what: &str,
        name: &str,
        place: &Place,
        known: impl Iterator<Item = &'n str>,
    ) {
        let known: Vec<&str> = known.collect();
        if known.contains(&name) {
            return;
        }
        let hint = match suggest(name, known.iter().copied()) {
            Some(near) => format!("did you mean \"{near}\"?"),
            None => format!("describe it with [[{what}]]"),
        };
        self.find_with_hint(place.clone(), format!("there is no {what} {name:?}"), hint);
    }
}
