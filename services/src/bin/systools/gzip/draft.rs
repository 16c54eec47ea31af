//! The result of a file before it is whole: under a name of its own beside the one it is
//! for, and gone if it never gets that, by an error or by a signal.
//!
//! It is no nameless file (`O_TMPFILE`), which not every file system has, such as vfat.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use procfs::process::Process;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use services::random;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::{register_conditional_default, register_usize};
use signal_hook::low_level::emulate_default_handler;

/// Signals that end the process: at once while there is no draft, and else as soon as that
/// has gone.
#[derive(Debug)]
pub(super) struct Ending {
    /// The one that has come; 0 for none.
    signal: Arc<AtomicUsize>,
    at_once: Arc<AtomicBool>,
}

impl Ending {
    /// Takes over the signals, but none that is ignored, as by nohup(1).
    ///
    /// # Errors
    /// What sigaction(2) says.
    pub(super) fn catch() -> io::Result<Self> {
        let ending = Self { signal: Arc::default(), at_once: Arc::new(true.into()) };
        let ignored = Process::myself().and_then(|process| process.status());
        let ignored = ignored.map_or(0, |status| status.sigign);
        for (signal, number) in [(SIGHUP, 1), (SIGINT, 2), (SIGTERM, 15)] {
            if ignored & (1 << (number - 1)) == 0 {
                register_conditional_default(signal, Arc::clone(&ending.at_once))?;
                register_usize(signal, Arc::clone(&ending.signal), number)?;
            }
        }
        Ok(ending)
    }

    fn signal(&self) -> Option<i32> {
        let signal = i32::try_from(self.signal.load(Ordering::SeqCst)).unwrap_or_default();
        (signal != 0).then_some(signal)
    }

    /// From now on a signal ends the process at once, and so does one that has come.
    fn end_at_once(&self) {
        self.at_once.store(true, Ordering::SeqCst);
        if let Some(signal) = self.signal() {
            let _ = emulate_default_handler(signal);
        }
    }
}

/// A file that is being written.
#[derive(Debug)]
pub(super) struct Draft<'e> {
    file: File,
    path: PathBuf,
    ending: &'e Ending,
}

impl<'e> Draft<'e> {
    /// Begins a file that only its owner may read, beside `target`.
    ///
    /// # Errors
    /// What open(2) says.
    pub(super) fn begin(target: &Path, ending: &'e Ending) -> io::Result<Self> {
        let random = u64::from_le_bytes(random::bytes()?);
        // Not made of the target's name, which may be as long as names can be.
        let path = target.with_file_name(format!(".gzip-{random:016x}"));
        ending.at_once.store(false, Ordering::SeqCst);
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => Ok(Self { file, path, ending }),
            Err(error) => {
                ending.end_at_once();
                Err(error)
            }
        }
    }

    pub(super) const fn file(&self) -> &File {
        &self.file
    }

    /// What is read for it: it cannot be read any more once a signal has come.
    pub(super) const fn watched<R: Read>(&self, inner: R) -> Watched<'e, R> {
        Watched { inner, ending: self.ending }
    }

    /// Gives it the name it is for, in the place of what has that if `replaces`.
    ///
    /// # Errors
    /// Something has the name and stays, or what rename(2) says.
    pub(super) fn publish(self, target: &Path, replaces: bool) -> io::Result<()> {
        if replaces {
            return fs::rename(&self.path, target);
        }
        match renameat_with(CWD, &self.path, CWD, target, RenameFlags::NOREPLACE) {
            // NFS and 9p do not know the flag, but a second name: the first one goes below.
            Err(Errno::INVAL | Errno::NOSYS) => fs::hard_link(&self.path, target),
            done => Ok(done?),
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        // Once it is published nothing has this name any more.
        let _ = fs::remove_file(&self.path);
        self.ending.end_at_once();
    }
}

/// See [`Draft::watched`].
pub(super) struct Watched<'e, R> {
    inner: R,
    ending: &'e Ending,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self.ending.signal() {
            Some(signal) => Err(io::Error::other(format!("signal {signal} ends it"))),
            None => self.inner.read(bytes),
        }
    }
}
