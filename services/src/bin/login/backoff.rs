//! Wrong answers make the next one wait: twice as long each time, for the name that was
//! tried and for the terminal it was tried at, until a quarter of an hour has passed.
//!
//! Remembered below [`DIRECTORY`], in as many files as there are terminals, and 256 for
//! names: who types names at random fills nothing up. Two names may share a file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use services::clock::since_boot;

/// Where failures are remembered, until the next boot.
const DIRECTORY: &str = "/run/login";
/// Failures without a wait.
const FREE: u32 = 2;
/// The first wait.
const FIRST: Duration = Duration::from_secs(2);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(60);
/// How long a failure counts.
const MEMORY: Duration = Duration::from_secs(15 * 60);

/// Failures in a row, and when the last one was.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Failures {
    count: u32,
    /// Since boot.
    last: Duration,
}

impl Failures {
    /// How long to wait from `now` on before the next answer.
    fn pause(self, now: Duration) -> Duration {
        let age = now.saturating_sub(self.last);
        if self.count <= FREE || age >= MEMORY {
            return Duration::ZERO;
        }
        let doublings = (self.count - FREE - 1).min(16);
        (FIRST * (1 << doublings)).min(LONGEST).saturating_sub(age)
    }

    fn and_one(self, now: Duration) -> Self {
        let is_old = now.saturating_sub(self.last) >= MEMORY;
        let count = if is_old { 0 } else { self.count };
        Self { count: count.saturating_add(1), last: now }
    }

    fn to_text(self) -> String {
        format!("{} {}\n", self.count, self.last.as_millis())
    }

    /// Reads what [`Self::to_text`] wrote; anything else is no failures.
    fn from_text(text: &str) -> Option<Self> {
        let (count, last) = text.trim_end().split_once(' ')?;
        Some(Self { count: count.parse().ok()?, last: Duration::from_millis(last.parse().ok()?) })
    }
}

/// What is remembered of one name and one terminal.
pub(crate) struct Guard {
    files: [PathBuf; 2],
}

impl Guard {
    /// For `name` at the terminal `device`.
    pub(crate) fn new(device: &str, name: &str) -> Self {
        Self::below(Path::new(DIRECTORY), device, name)
    }

    fn below(directory: &Path, device: &str, name: &str) -> Self {
        let terminal = device.trim_start_matches("/dev/").replace('/', "-");
        let files = [format!("terminal-{terminal}"), format!("name-{:02x}", bucket(name))];
        Self { files: files.map(|file| directory.join(file)) }
    }

    /// How long to wait before the next answer.
    pub(crate) fn pause(&self) -> Duration {
        let now = since_boot();
        self.files.iter().map(|file| read(file).pause(now)).max().unwrap_or_default()
    }

    /// Remembers a wrong answer.
    pub(crate) fn failed(&self) {
        let now = since_boot();
        for file in &self.files {
            if let Err(error) = write(file, read(file).and_one(now)) {
                // Guessing is then slowed by the refusal alone.
                let shown = file.display();
                services::problem::warn("login", format!("cannot write `{shown}`: {error}"));
            }
        }
    }

    /// Forgets: somebody knew the answer.
    pub(crate) fn passed(&self) {
        for file in &self.files {
            // What is not there is forgotten already.
            let _ = fs::remove_file(file);
        }
    }
}

fn read(path: &Path) -> Failures {
    let text = fs::read_to_string(path).unwrap_or_default();
    Failures::from_text(&text).unwrap_or_default()
}

fn write(path: &Path, failures: Failures) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(path, failures.to_text())
}

/// One of 256 for each name (FNV-1a).
fn bucket(name: &str) -> u8 {
    let hash = name
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let [a, b, c, d] = hash.to_le_bytes();
    a ^ b ^ c ^ d
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_from_the_third_failure_and_end_with_the_memory() {
        let last = Duration::from_secs(1000);
        for (count, after_s, pause_s) in [
            (0, 0, 0),
            (2, 0, 0),
            (3, 0, 2),
            (3, 1, 1),
            (3, 5, 0),
            (4, 0, 4),
            (7, 0, 32),
            (8, 0, 60),
            (u32::MAX, 0, 60),
            (u32::MAX, 59, 1),
            (u32::MAX, 900, 0),
        ] {
            let failures = Failures { count, last };
            let now = last + Duration::from_secs(after_s);
            assert_eq!(failures.pause(now), Duration::from_secs(pause_s), "{count} {after_s}");
        }
        // A clock that went back is no way around.
        let failures = Failures { count: 3, last };
        assert_eq!(failures.pause(Duration::ZERO), Duration::from_secs(2));
    }

    #[test]
    fn failures_add_up_and_old_ones_do_not_count() {
        let first = Failures::default().and_one(Duration::from_secs(1));
        let second = first.and_one(Duration::from_secs(2));
        assert_eq!((first.count, second.count), (1, 2));
        assert_eq!(second.and_one(Duration::from_secs(2) + MEMORY).count, 1);
        assert_eq!(Failures::from_text(&second.to_text()), Some(second));
        for bad in ["", "1", "x 1", "1 x", "-1 1"] {
            assert_eq!(Failures::from_text(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_and_a_terminal_are_remembered_and_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("login");
        let guard = Guard::below(&place, "/dev/pts/3", "ann");
        for _ in 0..4 {
            assert!(guard.pause() < Duration::from_secs(4));
            guard.failed();
        }
        assert!(guard.pause() > Duration::from_secs(2));
        // The same name elsewhere, another name here, neither.
        for (device, name, waits) in
            [("/dev/tty1", "ann", true), ("/dev/pts/3", "bob", true), ("/dev/tty1", "bob", false)]
        {
            let other = Guard::below(&place, device, name);
            assert_eq!(!other.pause().is_zero(), waits, "{device} {name}");
        }
        guard.passed();
        assert!(guard.pause().is_zero());
    }
}
