//! Waiting for the device that a description names.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use init_core::mount::{MountDescription, MountKind, Source};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use services::problem::{Problem, Result};
use services::signals::Termination;
use services::storage::block::find::find;
use services::storage::block::sysfs::Sysfs;

/// Where `devd` tells of devices.
const DEVICE_EVENTS: &str = "/run/devd/events";

/// A look is taken at least so often, for systems without `devd` and for paths that are no
/// devices.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// What mount(2) is to mount: waits until the device is there. `None` if the wait was ended
/// by a signal.
///
/// # Errors
/// If it is not there in time.
pub(crate) fn wait_for(
    description: &MountDescription,
    termination: &Termination,
) -> Result<Option<String>> {
    if description.what == Source::Nothing {
        return Ok(Some(description.kind.as_str().to_owned()));
    }
    // Listening before looking: no device can come unseen in between.
    let mut events = UnixStream::connect(DEVICE_EVENTS).ok();
    if let Some(stream) = &events
        && stream.set_nonblocking(true).is_err()
    {
        events = None;
    }
    let sysfs = Sysfs::default();
    let deadline = Instant::now() + description.device_timeout;
    loop {
        if let Some(found) = find(&sysfs, &description.what) {
            return Ok(Some(found));
        }
        let rest = deadline.saturating_duration_since(Instant::now());
        if rest.is_zero() {
            return Err(missing(description, &sysfs));
        }
        if ended(termination, events.as_ref(), rest.min(LOOK_INTERVAL))? {
            return Ok(None);
        }
        if events.as_mut().is_some_and(|stream| !drain(stream)) {
            events = None;
        }
    }
}

/// Waits for an event, for the end, or for `timeout`. True if the end was asked for.
fn ended(
    termination: &Termination,
    events: Option<&UnixStream>,
    timeout: Duration,
) -> Result<bool> {
    let mut sources = vec![PollFd::new(termination, PollFlags::IN)];
    sources.extend(events.map(|stream| PollFd::new(stream, PollFlags::IN)));
    let timeout = timeout.try_into().unwrap_or_default();
    match poll(&mut sources, Some(&timeout)) {
        Ok(_) => Ok(sources.first().is_some_and(|signal| !signal.revents().is_empty())),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(Problem::new(format!("cannot wait for devices: {error}"))),
    }
}

/// What the events say does not matter: any of them is a reason to look. False if nobody
/// tells any more.
fn drain(stream: &mut UnixStream) -> bool {
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

fn missing(description: &MountDescription, sysfs: &Sysfs) -> Problem {
    let waited = description.device_timeout.as_secs();
    let problem = Problem::new(format!("no {} after {waited} s", description.what));
    if description.kind == MountKind::Bind {
        return problem;
    }
    let present = sysfs.devices().unwrap_or_default().into_iter();
    let present: Vec<String> =
        present.filter(|device| device.size_bytes > 0).map(|device| device.name).collect();
    let present = if present.is_empty() { "none".to_owned() } else { present.join(", ") };
    problem.with_hint(format!("block devices present: {present}; `lsblk` says what is on them"))
}
