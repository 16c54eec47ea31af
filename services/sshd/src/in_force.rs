//! The settings in force: those of the file, or the last good ones while the file is wrong.
//!
//! The listener reads the file for each connection and hands the text of what is in force to
//! the connection's process, so that a mistake in the file shuts nobody out.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};

use services::problem::{Context, Result};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;

use crate::settings::{self, Settings};
use crate::source::Source;
use crate::{host_key, log};

/// Settings, and where others come from.
pub(crate) struct InForce {
    source: Source,
    /// What the settings were read from.
    text: String,
    settings: Settings,
    /// What the log last said about a file that is wrong.
    complaint: Option<String>,
}

impl InForce {
    /// Reads the settings.
    ///
    /// # Errors
    /// The file cannot be read, or all findings about it.
    pub(crate) fn load(source: Source) -> Result<Self> {
        let text = source.text()?.unwrap_or_default();
        let settings = settings::read(&source, &text)?;
        Ok(Self { source, text, settings, complaint: None })
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Reads the file again. If something is wrong with it, what is in force stays, and the
    /// log says why, once for each mistake.
    pub(crate) fn renew(&mut self) {
        let complaint = match self.changed() {
            Ok(changed) => {
                if let Some((text, settings)) = changed {
                    (self.text, self.settings) = (text, settings);
                }
                None
            }
            Err(problem) => Some(problem.to_string()),
        };
        if complaint == self.complaint {
            return;
        }
        match &complaint {
            Some(complaint) => log(format_args!("the former settings stay in force: {complaint}")),
            None => log(format_args!("`{}` is in force again", self.source.path().display())),
        }
        self.complaint = complaint;
    }

    /// What the file says now, if that is something else.
    fn changed(&self) -> Result<Option<(String, Settings)>> {
        let text = self.source.text()?.unwrap_or_default();
        if text == self.text {
            return Ok(None);
        }
        let settings = settings::read(&self.source, &text)?;
        if settings.host_key != self.settings.host_key {
            host_key::load_existing(&settings.host_key)?;
        }
        Ok(Some((text, settings)))
    }

    /// What a connection's process gets as its standard output, for [`taken_over`].
    ///
    /// # Errors
    /// There is no pipe to be had.
    pub(crate) fn hand_over(&self) -> io::Result<OwnedFd> {
        let (mut sender, receiver) = pipe::pipe()?;
        let text = self.text.clone();
        tokio::task::spawn_local(async move {
            // A process that does not read it has ended, which is noticed elsewhere.
            let _ = sender.write_all(text.as_bytes()).await;
        });
        receiver.into_blocking_fd()
    }
}

/// Takes the settings that the listener has handed over from standard output, and leaves
/// `/dev/null` in their place.
///
/// # Errors
/// They cannot be read.
pub(crate) fn taken_over() -> Result<Settings> {
    let take = || {
        let mut pipe = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        rustix::stdio::dup2_stdout(File::options().write(true).open("/dev/null")?)?;
        let mut text = String::new();
        pipe.read_to_string(&mut text)?;
        Ok::<String, io::Error>(text)
    };
    let text = take().context(|| "cannot take over the settings in force".to_owned())?;
    settings::read(&Source::of_system(), &text)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_is_wrong_leaves_the_former_settings_in_force() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sshd.toml");
        fs::write(&path, "sftp = false\n").unwrap();
        let mut in_force = InForce::load(Source::named(path.clone())).unwrap();
        for wrong in ["sfpt = false\n", "sftp =\n", "host-key = \"/absent/key\"\n"] {
            fs::write(&path, wrong).unwrap();
            in_force.renew();
            assert!(!in_force.settings().sftp, "{wrong}");
            assert_eq!(in_force.text, "sftp = false\n");
            assert!(in_force.complaint.is_some(), "{wrong}");
        }
        fs::remove_file(&path).unwrap();
        in_force.renew();
        assert!(!in_force.settings().sftp && in_force.complaint.is_some());
        fs::write(&path, "max-auth-tries = 2\n").unwrap();
        in_force.renew();
        assert!(in_force.settings().sftp && in_force.complaint.is_none());
        assert_eq!(in_force.settings().max_auth_tries, 2);
    }
}
