//! Where settings come from: the settings file, or the defaults where there may be none.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use services::config_file;
use services::problem::{Problem, Result};

/// The system's settings file. It need not be there: every key has a default.
const SETTINGS: &str = "/etc/ssh/sshd.toml";

/// The settings file that is meant.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    path: PathBuf,
    /// Without it the defaults count.
    may_be_missing: bool,
}

impl Source {
    /// The system's file, which need not be there.
    pub(crate) fn of_system() -> Self {
        Self { path: SETTINGS.into(), may_be_missing: true }
    }

    /// A file that somebody named: it has to be there.
    pub(crate) fn named(path: PathBuf) -> Self {
        Self { path, may_be_missing: false }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file's text; `None` where there is none and the defaults count.
    ///
    /// # Errors
    /// It cannot be read. A link that leads nowhere is such a file: whoever put it there
    /// wanted other settings than the defaults, which let more people in.
    pub(crate) fn text(&self) -> Result<Option<String>> {
        let is_missing = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
        if self.may_be_missing && fs::symlink_metadata(&self.path).is_err_and(is_missing) {
            return Ok(None);
        }
        config_file::load(&self.path).map(Some).map_err(|problem| self.explained(problem))
    }

    fn explained(&self, problem: Problem) -> Problem {
        match fs::read_link(&self.path) {
            Ok(target) if !self.path.exists() => problem
                .with_hint(format!("it is a link to `{}`, which is not there", target.display())),
            _ => problem,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn the_defaults_count_only_where_there_is_nothing_and_nobody_named_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sshd.toml");
        let usual = Source { path: path.clone(), may_be_missing: true };
        let named = Source::named(path.clone());
        assert_eq!(usual.text().unwrap(), None);
        assert!(named.text().unwrap_err().message().starts_with("cannot read"));
        symlink("absent", &path).unwrap();
        for source in [&usual, &named] {
            let problem = source.text().unwrap_err();
            assert!(problem.message().starts_with("cannot read"), "{problem}");
            assert_eq!(problem.hint(), Some("it is a link to `absent`, which is not there"));
        }
        fs::write(directory.path().join("absent"), "sftp = false\n").unwrap();
        assert_eq!(usual.text().unwrap().as_deref(), Some("sftp = false\n"));
    }
}
