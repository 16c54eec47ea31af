//! What one boot of `busybox` tells: when its console's prompt is there for a person.
//!
//! The prompt is seen where a person sees it, at the other end of the serial line, so the host's
//! clock says when. What the guest's clock showed then is calculated ([`clock`]).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use super::clock::{self, Question};
use crate::error::{Error, IoContext, Result};
use crate::ops::guest::Guest;

/// What the shell of `busybox` writes when it waits for a command (`PS1` of its /etc/profile).
const PROMPT: &str = "busybox:~# ";
/// How often the console's output is looked at.
const PERIOD: Duration = Duration::from_millis(1);
/// How long the prompt may be behind the port by which commands come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for the prompt while the caller boots the guest.
#[derive(Debug)]
pub(super) struct Watch {
    console: PathBuf,
    seen: Receiver<Instant>,
    is_over: Arc<AtomicBool>,
}

impl Watch {
    /// Begins, before QEMU starts to write the console's output to this file. What another boot
    /// left there is removed.
    ///
    /// # Errors
    /// If that cannot be.
    pub(super) fn begin(console: &Path) -> Result<Self> {
        if console.exists() {
            fs::remove_file(console).at("remove", console)?;
        }
        let (sender, seen) = mpsc::channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let (path, flag) = (console.to_owned(), Arc::clone(&is_over));
        thread::spawn(move || {
            // Without a receiver nobody wants to know any more.
            watch(&path, &flag).map(|instant| sender.send(instant))
        });
        Ok(Self { console: console.to_owned(), seen, is_over })
    }

    /// When the prompt came.
    ///
    /// # Errors
    /// If it does not come.
    pub(super) fn finish(self) -> Result<Instant> {
        self.seen.recv_timeout(PATIENCE).map_err(|_timeout| {
            let console = self.console.display();
            Error::failure(format!("no prompt {PROMPT:?} on the console; it is in {console}"))
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Looks until the prompt is there, or nobody wants to know any more.
fn watch(console: &Path, is_over: &AtomicBool) -> Option<Instant> {
    let mut length_bytes = 0;
    while !is_over.load(Ordering::Relaxed) {
        let now_bytes = fs::metadata(console).map_or(0, |file| file.len());
        if now_bytes != length_bytes {
            length_bytes = now_bytes;
            // One that is not there yet has no prompt either.
            let output = fs::read(console).unwrap_or_default();
            if has_prompt(&output) {
                return Some(Instant::now());
            }
        }
        thread::sleep(PERIOD);
    }
    None
}

/// Whether a line begins with the prompt.
fn has_prompt(output: &[u8]) -> bool {
    output
        .split(|byte| matches!(byte, b'\n' | b'\r'))
        .any(|line| line.starts_with(PROMPT.as_bytes()))
}

/// When the prompt came, in microseconds of the guest's monotonic clock.
///
/// # Errors
/// If it did not come, or the guest does not answer.
pub(super) fn take(guest: &mut Guest, watch: Watch) -> Result<u64> {
    let seen = watch.finish()?;
    let start_us = clock::kernel_start_us(guest, &Question::TIMER_LIST)?;
    let seen_us = guest.elapsed().saturating_sub(seen.elapsed()).as_micros();
    u64::try_from(seen_us)
        .ok()
        .and_then(|seen_us| seen_us.checked_sub(start_us))
        .ok_or_else(|| Error::failure("the prompt of `busybox` came before its kernel started"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_the_begin_of_a_line() {
        for (output, there) in [
            ("  up       1.19 s\r\n\r\nbusybox:~# ", true),
            ("busybox:~# \u{1b}[6n[    2.1] random: crng init done\r\n", true),
            ("say busybox:~# \r\n", false),
            ("busybox:~", false),
            ("", false),
        ] {
            assert_eq!(has_prompt(output.as_bytes()), there, "{output:?}");
        }
    }

    #[test]
    fn it_is_seen_when_it_is_written_and_not_what_was_there_before() {
        let directory = tempfile::tempdir().unwrap();
        let console = directory.path().join("console");
        fs::write(&console, "busybox:~# ").unwrap();
        let watch = Watch::begin(&console).unwrap();
        assert!(!console.exists());
        thread::sleep(20 * PERIOD);
        let before = Instant::now();
        fs::write(&console, "hello\r\nbusybox:~# ").unwrap();
        assert!(watch.finish().unwrap() >= before);
    }
}
