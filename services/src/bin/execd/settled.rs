//! Waiting until the services that start at boot have settled: PID 1 then
//! writes `complete_us` into a file.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use services::problem::warn;

use crate::PROGRAM;

/// Longest wait. A service that never settles must not keep the host from looking at why.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The line of the file that comes last.
const COMPLETE: &str = "complete_us=";

/// Waits until `file` says that boot is complete. False if it did not in time, or cannot.
pub(crate) fn wait(file: &Path) -> bool {
    wait_until(file, Instant::now() + WAIT_MAX).unwrap_or_else(|error| {
        let file = file.display();
        warn(PROGRAM, format_args!("cannot wait for `{file}`: {error}"));
        false
    })
}

fn wait_until(file: &Path, deadline: Instant) -> io::Result<bool> {
    let watcher = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    let directory = file.parent().unwrap_or(Path::new("/"));
    inotify::add_watch(&watcher, directory, WatchFlags::CLOSE_WRITE | WatchFlags::MOVED_TO)?;
    // The watch stands before the first look, so that no change can slip in between.
    while !is_complete(file)? {
        let rest = deadline.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Ok(false);
        }
        let rest = rest.try_into().unwrap_or_default();
        match poll(&mut [PollFd::new(&watcher, PollFlags::IN)], Some(&rest)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        // What happened does not matter, the loop looks for itself; but unread
        // events would make the next poll return at once.
        let mut events = [0; 4096];
        while rustix::io::read(&watcher, &mut events).is_ok_and(|length| length > 0) {}
    }
    Ok(true)
}

fn is_complete(file: &Path) -> io::Result<bool> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(text.lines().any(|line| line.starts_with(COMPLETE))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sees_that_boot_was_complete_becomes_complete_or_does_not() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("boot");
        let soon = || Instant::now() + Duration::from_millis(100);
        assert!(!wait_until(&file, soon()).unwrap());
        fs::write(&file, "started_us=5\n").unwrap();
        assert!(!wait_until(&file, soon()).unwrap());
        let late = std::thread::spawn({
            let file = file.clone();
            move || {
                fs::write(file.with_file_name("other"), "").unwrap();
                std::thread::sleep(Duration::from_millis(50));
                fs::write(file, "started_us=5\ncomplete_us=9\nservices_up=1\n").unwrap();
            }
        });
        assert!(wait_until(&file, Instant::now() + Duration::from_secs(20)).unwrap());
        late.join().unwrap();
        assert!(wait_until(&file, soon()).unwrap());
        assert!(wait_until(&place.path().join("missing/boot"), soon()).is_err());
    }
}
