//! The port to the host: finding it, opening it, waiting until somebody is there.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::termios::{OptionalActions, isatty, tcgetattr, tcsetattr};

/// Where the kernel lists virtio serial ports.
const PORTS: &str = "/sys/class/virtio-ports";

/// Longest wait for the host to name its ports, which it does a moment after they appear.
const NAMING_WAIT_MAX: Duration = Duration::from_secs(2);

/// Device of the virtio serial port `name`; `None` if there is no such port.
pub(crate) fn find(name: &str) -> io::Result<Option<PathBuf>> {
    let deadline = Instant::now() + NAMING_WAIT_MAX;
    loop {
        let (found, unnamed) = find_in(Path::new(PORTS), name)?;
        if found.is_some() || !unnamed || Instant::now() > deadline {
            return Ok(found.map(|port| Path::new("/dev").join(port)));
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The port of that name under `ports`, and whether there are ports without a name.
fn find_in(ports: &Path, name: &str) -> io::Result<(Option<PathBuf>, bool)> {
    let entries = match fs::read_dir(ports) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((None, false)),
        entries => entries?,
    };
    let mut unnamed = false;
    for entry in entries {
        let entry = entry?;
        match fs::read_to_string(entry.path().join("name")) {
            Ok(text) if text.trim_end() == name => {
                return Ok((Some(entry.file_name().into()), unnamed));
            }
            Ok(_) => {}
            Err(_) => unnamed = true,
        }
    }
    Ok((None, unnamed))
}

/// Opens the port; a terminal in its place passes bytes through unchanged.
pub(crate) fn open(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let port = rustix::fs::open(path, flags, Mode::empty())?;
    if isatty(&port) {
        let mut attributes = tcgetattr(&port)?;
        attributes.make_raw();
        tcsetattr(&port, OptionalActions::Now, &attributes)?;
    }
    Ok(port)
}

/// Waits until the host has opened its end.
pub(crate) fn wait_for_host(port: &OwnedFd) -> io::Result<()> {
    // A port without a host is hung up all the time; only edges tell when that changes.
    let changes = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
    epoll::add(&changes, port, EventData::new_u64(0), flags)?;
    while is_hung_up(port)? {
        let mut events = [std::mem::MaybeUninit::uninit(); 1];
        match epoll::wait(&changes, &mut events, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn is_hung_up(port: &OwnedFd) -> io::Result<bool> {
    let mut watched = [PollFd::new(port, PollFlags::empty())];
    poll(&mut watched, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }))?;
    Ok(watched.iter().any(|watched| watched.revents().contains(PollFlags::HUP)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_found_by_its_name() {
        let ports = tempfile::tempdir().unwrap();
        let path = ports.path();
        assert_eq!(find_in(&path.join("missing"), "n").unwrap(), (None, false));
        for (port, name) in [("vport0p1", Some("other\n")), ("vport1p1", Some("n\n")), ("x", None)]
        {
            fs::create_dir(path.join(port)).unwrap();
            if let Some(name) = name {
                fs::write(path.join(port).join("name"), name).unwrap();
            }
        }
        assert_eq!(find_in(path, "n").unwrap().0, Some("vport1p1".into()));
        assert_eq!(find_in(path, "nn").unwrap(), (None, true));
    }
}
