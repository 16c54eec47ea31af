//! Others who want to know: a socket on which each device is told when `devd` is done with it.
//!
//! Every connection gets one JSON object on a line for each event from then on. Who does
//! not read is dropped: nobody can make `devd` wait.

use std::fs;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use serde_json::json;

use crate::uevent::Uevent;

/// Most connections at a time; the oldest is dropped for a further one.
const LISTENERS_MAX: usize = 64;

/// The socket and who is connected.
#[derive(Debug)]
pub(crate) struct Listeners {
    socket: UnixListener,
    streams: Vec<UnixStream>,
}

impl Listeners {
    /// Listens at `path`, in the place of whatever was there. Everybody may connect: what is
    /// said can be read in sysfs as well.
    ///
    /// # Errors
    /// What socket(2), bind(2) and chmod(2) say.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = UnixListener::bind(path)?;
        socket.set_nonblocking(true)?;
        fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
        Ok(Self { socket, streams: Vec::new() })
    }

    /// Takes in who waits for a connection.
    pub(crate) fn accept(&mut self) {
        while let Ok((stream, _)) = self.socket.accept() {
            if stream.set_nonblocking(true).is_ok() {
                if self.streams.len() == LISTENERS_MAX {
                    self.streams.remove(0);
                }
                self.streams.push(stream);
            }
        }
    }

    /// Tells everybody about an event that was dealt with.
    pub(crate) fn tell(&mut self, event: &Uevent, links: &[&str]) {
        if self.streams.is_empty() {
            return;
        }
        let links: Vec<String> = links.iter().map(|link| format!("/dev/{link}")).collect();
        let line = json!({
            "action": event.action,
            "devpath": event.devpath,
            "subsystem": event.subsystem,
            "node": event.node().map(|node| format!("/dev/{node}")),
            "links": links,
        });
        let line = format!("{line}\n");
        // A line that does not fit whole would leave the rest without a start.
        self.streams.retain_mut(|stream| {
            stream.write(line.as_bytes()).is_ok_and(|written| written == line.len())
        });
    }
}

impl AsFd for Listeners {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader};

    #[test]
    fn who_reads_is_told_and_who_does_not_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("devd/events");
        let mut listeners = Listeners::open(&path).unwrap();
        let reader = UnixStream::connect(&path).unwrap();
        let _sleeper = UnixStream::connect(&path).unwrap();
        listeners.accept();
        assert_eq!(listeners.streams.len(), 2);
        let event = Uevent::present("/devices/x/vda", "block", "DEVNAME=vda\n");
        let mut lines = BufReader::new(reader);
        for _ in 0..20_000 {
            listeners.tell(&event, &["disk/by-uuid/1"]);
            let mut line = String::new();
            lines.read_line(&mut line).unwrap();
            let value: serde_json::Value = serde_json::from_str(&line).unwrap();
            assert_eq!(value["node"], "/dev/vda");
            assert_eq!(value["links"][0], "/dev/disk/by-uuid/1");
        }
        assert_eq!(listeners.streams.len(), 1);
    }
}
