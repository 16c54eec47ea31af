//! Where settings come from: the settings file, or the defaults where there may be none.

use std::path::{Path, PathBuf};

use services::config_file;
use services::problem::Result;

use crate::settings::SETTINGS;

/// The settings file that is meant.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    path: PathBuf,
}

impl Source {
    /// The system's file, which need not be there.
    pub(crate) fn of_system() -> Self {
        Self { path: SETTINGS.into() }
    }

    /// A file that somebody named.
    pub(crate) fn named(path: PathBuf) -> Self {
        Self { path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file's text; `None` where there is none and the defaults count.
    ///
    /// # Errors
    /// It cannot be read.
    pub(crate) fn text(&self) -> Result<Option<String>> {
        if !self.path.try_exists().unwrap_or(true) {
            return Ok(None);
        }
        config_file::load(&self.path).map(Some)
    }
}
