//! What is remembered in `/run/firewall` until the next boot: the text of the rules that are
//! in force, and of those on trial with the time when they end.
//!
//! Every file appears whole. Whoever changes something holds the lock.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};
use services::clock::since_boot;
use services::problem::{Context, Problem, Result};
use services::whole_file;

/// The directory.
pub(crate) struct State {
    directory: PathBuf,
}

/// Rules on trial.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Trial {
    /// Tells it from every other trial since boot.
    pub(crate) id: String,
    /// When it ends: time since boot, suspension included.
    pub(crate) ends: Duration,
}

impl Trial {
    /// A trial that begins now.
    ///
    /// # Errors
    /// It would end beyond the clock.
    pub(crate) fn from_now(lasts: Duration) -> Result<Self> {
        let now = since_boot();
        let ends = now.checked_add(lasts).ok_or_else(|| Problem::new("the trial is too long"))?;
        Ok(Self { id: format!("{}-{}", now.as_nanos(), std::process::id()), ends })
    }

    /// How long it still lasts.
    pub(crate) fn left(&self) -> Duration {
        self.ends.saturating_sub(since_boot())
    }
}

/// Held by whoever changes something.
pub(crate) struct Lock {
    _file: File,
}

impl State {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned() }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn applied(&self) -> PathBuf {
        self.directory.join("applied.toml")
    }

    fn trial_rules(&self) -> PathBuf {
        self.directory.join("trial.toml")
    }

    fn trial_file(&self) -> PathBuf {
        self.directory.join("trial.json")
    }

    /// Waits for the lock, and makes the directory if need be.
    ///
    /// # Errors
    /// The directory cannot be made or written to.
    pub(crate) fn lock(&self) -> Result<Lock> {
        let path = self.directory.join("lock");
        let open = || {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(&self.directory)?;
            let file = File::options().create(true).append(true).mode(0o600).open(&path)?;
            flock(&file, FlockOperation::LockExclusive)?;
            Ok::<_, std::io::Error>(Lock { _file: file })
        };
        open().context(|| format!("cannot lock `{}`", path.display())).map_err(|problem| {
            problem.with_hint("only root changes the firewall; `--state DIR` is for trying things")
        })
    }

    /// Remembers the rules that are in force.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn keep(&self, text: &str) -> Result<()> {
        write(&self.applied(), text)
    }

    /// Remembers that none are.
    ///
    /// # Errors
    /// The file cannot be removed.
    pub(crate) fn forget(&self) -> Result<()> {
        remove(&self.applied())
    }

    /// The rules that are in force, without those on trial; `None` if there are none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(crate) fn kept(&self) -> Result<Option<String>> {
        read(&self.applied())
    }

    /// Remembers a trial and its rules.
    ///
    /// # Errors
    /// A file cannot be written.
    pub(crate) fn begin_trial(&self, trial: &Trial, text: &str) -> Result<()> {
        write(&self.trial_rules(), text)?;
        let ends_ms = u64::try_from(trial.ends.as_millis()).unwrap_or(u64::MAX);
        let value = json!({ "id": trial.id, "ends_ms": ends_ms });
        write(&self.trial_file(), &value.to_string())
    }

    /// The trial that is under way.
    ///
    /// # Errors
    /// The file cannot be read, or is not what [`Self::begin_trial`] writes.
    pub(crate) fn trial(&self) -> Result<Option<Trial>> {
        let Some(text) = read(&self.trial_file())? else { return Ok(None) };
        let value: Value = serde_json::from_str(&text).unwrap_or_default();
        match (value["id"].as_str(), value["ends_ms"].as_u64()) {
            (Some(id), Some(ends_ms)) => {
                Ok(Some(Trial { id: id.to_owned(), ends: Duration::from_millis(ends_ms) }))
            }
            _ => {
                let path = self.trial_file();
                let problem = Problem::new(format!("`{}` is damaged", path.display()));
                Err(problem.with_hint("remove it, then `fwctl apply`"))
            }
        }
    }

    /// The rules on trial.
    ///
    /// # Errors
    /// They cannot be read.
    pub(crate) fn trial_text(&self) -> Result<String> {
        read(&self.trial_rules())?.ok_or_else(|| Problem::new("the rules on trial are gone"))
    }

    /// Forgets the trial; its waiting process ends by that.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub(crate) fn end_trial(&self) -> Result<()> {
        remove(&self.trial_file())?;
        remove(&self.trial_rules())
    }
}

fn read(path: &Path) -> Result<Option<String>> {
    whole_file::read(path)
        .map_err(|error| Problem::new(format!("cannot read `{}`: {error}", path.display())))
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Problem::new(format!("cannot remove `{}`: {error}", path.display())))
        }
        _ => Ok(()),
    }
}

/// Writes a file that is there whole or not at all.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write(path: &Path, text: &str) -> Result<()> {
    whole_file::write(path, text.as_bytes(), 0o644)
        .context(|| format!("cannot write `{}`", path.display()))
}
