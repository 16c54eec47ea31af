//! `netd`'s side of its control socket: who asks is known from the kernel, a request
//! is one line, and nobody who connects and says nothing is waited for.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::net::sockopt;
use services::network::control::{Answer, REQUEST_BYTES_MAX, Request};
use services::people::accounts;

/// Most clients at once; who comes when there are more is turned away.
const CLIENTS_MAX: usize = 16;
/// The group that may look.
const READERS: &str = "wheel";

/// A client, and what it has said so far.
struct Client {
    stream: UnixStream,
    is_root: bool,
    said: Vec<u8>,
}

/// The control socket and its clients.
pub(crate) struct Control {
    listener: UnixListener,
    clients: BTreeMap<u64, Client>,
    next: u64,
}

impl Control {
    /// Opens the socket `path`, for root and the group `wheel`.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        listener.set_nonblocking(true)?;
        fs::set_permissions(path, Permissions::from_mode(0o660))?;
        let groups = accounts::groups().unwrap_or_default();
        if let Some(group) = groups.iter().find(|group| group.name == READERS) {
            chown(path, None, Some(group.gid))?;
        }
        Ok(Self { listener, clients: BTreeMap::new(), next: 0 })
    }

    /// The descriptors to wait for: the socket, and each client with its number.
    pub(crate) fn fds(&self) -> impl Iterator<Item = (Option<u64>, BorrowedFd<'_>)> {
        let clients = self.clients.iter().map(|(key, client)| (Some(*key), client.stream.as_fd()));
        std::iter::once((None, self.listener.as_fd())).chain(clients)
    }

    /// Takes in whoever has connected.
    pub(crate) fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            let Ok(peer) = sockopt::socket_peercred(&stream) else { continue };
            if self.clients.len() >= CLIENTS_MAX || stream.set_nonblocking(true).is_err() {
                continue;
            }
            let client = Client { stream, is_root: peer.uid.is_root(), said: Vec::new() };
            self.clients.insert(self.next, client);
            self.next = self.next.wrapping_add(1);
        }
    }

    /// What a client asks, once its line is complete. The client is done with when
    /// that is answered by [`Self::answer`]; who breaks the rules is told so here.
    pub(crate) fn read(&mut self, key: u64) -> Option<Request> {
        let client = self.clients.get_mut(&key)?;
        let mut bytes = [0; REQUEST_BYTES_MAX];
        match client.stream.read(&mut bytes) {
            Ok(0) => {
                self.clients.remove(&key);
                return None;
            }
            Ok(length) => client.said.extend(bytes.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return None,
            Err(_) => {
                self.clients.remove(&key);
                return None;
            }
        }
        let end = client.said.iter().position(|byte| *byte == b'\n');
        let Some(end) = end else {
            if client.said.len() > REQUEST_BYTES_MAX {
                self.answer(key, &Answer::Failed("the request is too long".to_owned()));
            }
            return None;
        };
        let line = String::from_utf8_lossy(client.said.get(..end).unwrap_or_default()).into_owned();
        let is_root = client.is_root;
        match Request::decode(&line) {
            Ok(request) if is_root || request.only_looks() => Some(request),
            Ok(_) => {
                self.answer(key, &Answer::Failed("only root may change the network".to_owned()));
                None
            }
            Err(error) => {
                self.answer(key, &Answer::Failed(format!("not understood: {error}")));
                None
            }
        }
    }

    /// Answers a client and is done with it. Who does not read its answer loses the
    /// rest of it.
    pub(crate) fn answer(&mut self, key: u64, answer: &Answer) {
        let Some(mut client) = self.clients.remove(&key) else { return };
        let _ = client.stream.write_all(format!("{}\n", answer.encode()).as_bytes());
    }
}
