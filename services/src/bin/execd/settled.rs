//! Waiting until the services that start at boot have settled: PID 1 then
//! writes a file.

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

/// Waits until `file` exists. False if it did not appear in time, or cannot appear.
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
    inotify::add_watch(&watcher, directory, WatchFlags::CREATE | WatchFlags::MOVED_TO)?;
    // The watch stands before the first look, so that the file cannot slip in between.
    while !file.exists() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_sees_a_file_that_is_there_one_that_comes_and_one_that_does_not() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("boot");
        let soon = || Instant::now() + Duration::from_millis(100);
        assert!(!wait_until(&file, soon()).unwrap());
        let late = std::thread::spawn({
            let file = file.clone();
            move || {
                std::fs::write(file.with_file_name("other"), "").unwrap();
                std::thread::sleep(Duration::from_millis(50));
                std::fs::write(file, "").unwrap();
            }
        });
        assert!(wait_until(&file, Instant::now() + Duration::from_secs(20)).unwrap());
        late.join().unwrap();
        assert!(wait_until(&file, soon()).unwrap());
        assert!(wait_until(&place.path().join("missing/boot"), soon()).is_err());
    }
}
