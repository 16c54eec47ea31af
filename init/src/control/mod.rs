//! The control socket: accepts clients, cuts their bytes into requests, writes
//! replies. Knows what a client may ask, and nothing of what it asks for.
//!
//! A bad client costs only itself: input, output and the number of clients are
//! bounded, nothing blocks, and a client that does nothing is dropped.

mod client;

use alloc::vec::Vec;
use core::time::Duration;

use client::Client;
use init_core::protocol::{CONTROL_SOCKET, Reply, Request};
use init_core::time::Timestamp;
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{Gid, Mode, chmod, chown, unlink};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with,
};

use crate::sys::socket::{peer_groups, peer_user_and_group};
use crate::{accounts, files};

/// Most clients at a time. Room is made by one that waits for no operation before one that
/// does, by one that may only read before root's, by the one that has been silent longest.
const CLIENTS_MAX: usize = 64;

/// How long a client may do nothing while it waits for nothing.
const IDLE_MAX: Duration = Duration::from_secs(30);

/// The group whose members may read.
const READERS: &str = "wheel";

/// The socket and its clients.
pub(crate) struct Control {
    listener: OwnedFd,
    readers: Option<u32>,
    /// In ascending order of their numbers.
    clients: Vec<(u64, Client)>,
    next_id: u64,
}

/// What a client may ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    /// Everything: root.
    Full,
    /// What changes nothing: members of `wheel`.
    Read,
    /// Nothing.
    None,
}

/// A client that has just connected, or whose interest has changed: what the
/// event loop must watch.
pub(crate) struct Watch<'a> {
    /// The client's number, which is never used again.
    pub(crate) id: u64,
    /// Its socket.
    pub(crate) socket: BorrowedFd<'a>,
    /// What to wait for, besides its end.
    pub(crate) interest: EventFlags,
}

impl Control {
    /// Binds the socket: for root, and for the group `wheel` where there is one.
    pub(crate) fn open() -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // Left by the initramfs' PID 1, or nothing.
        let _ = unlink(CONTROL_SOCKET);
        let old_mask = rustix::process::umask(Mode::from_raw_mode(0o177));
        let bound = bind(&listener, &SocketAddrUnix::new(CONTROL_SOCKET)?);
        rustix::process::umask(old_mask);
        bound?;
        let readers = files::read_text("/etc/group")
            .ok()
            .and_then(|group| accounts::find_group(&group, READERS));
        if let Some(gid) = readers {
            chown(CONTROL_SOCKET, None, Some(Gid::from_raw(gid)))?;
            chmod(CONTROL_SOCKET, Mode::from_raw_mode(0o660))?;
        }
        listen(&listener, 32)?;
        Ok(Self { listener, readers, clients: Vec::new(), next_id: 1 })
    }

    /// The listening socket.
    pub(crate) fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// Takes one client that waits to be let in, and the number of the one that
    /// had to go for it.
    pub(crate) fn accept(&mut self, now: Timestamp) -> Option<(Watch<'_>, Option<u64>)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let stream = accept_with(&self.listener, flags).ok()?;
        let access = access(stream.as_fd(), self.readers);
        let evicted = (self.clients.len() >= CLIENTS_MAX).then(|| self.most_idle()).flatten();
        if let Some(id) = evicted {
            self.remove(id);
        }
        let id = self.next_id;
        self.next_id += 1;
        self.clients.push((id, Client::new(stream, access, now)));
        let (_, client) = self.clients.last()?;
        Some((Watch { id, socket: client.socket(), interest: client.interest() }, evicted))
    }

    fn find(&self, id: u64) -> Option<usize> {
        self.clients.binary_search_by_key(&id, |(id, _)| *id).ok()
    }

    fn get_mut(&mut self, id: u64) -> Option<&mut Client> {
        let index = self.find(id)?;
        self.clients.get_mut(index).map(|(_, client)| client)
    }

    fn remove(&mut self, id: u64) {
        if let Some(index) = self.find(id) {
            self.clients.remove(index);
        }
    }

    /// The client that makes room for another.
    fn most_idle(&self) -> Option<u64> {
        let worth = |(_, client): &&(u64, Client)| {
            (client.is_waiting(), client.access() == Access::Full, client.last_active())
        };
        self.clients.iter().min_by_key(worth).map(|(id, _)| *id)
    }

    /// Reads and writes what can be read and written without waiting.
    pub(crate) fn serve(&mut self, id: u64, flags: EventFlags, now: Timestamp) {
        if let Some(client) = self.get_mut(id) {
            client.transfer(flags, now);
        }
    }

    /// The client's next request, if it may be asked now: a reply to the one
    /// before it comes first. Refused and undecodable ones are answered here.
    pub(crate) fn next_request(&mut self, id: u64) -> Option<Request> {
        let client = self.get_mut(id)?;
        loop {
            let request = client.next_request()?;
            let allowed = match client.access() {
                Access::Full => true,
                Access::Read => matches!(request, Request::List | Request::Status { .. }),
                Access::None => false,
            };
            if allowed {
                return Some(request);
            }
            client.reply(&Reply::Denied);
        }
    }

    /// Answers a client. One that is gone needs no answer.
    pub(crate) fn reply(&mut self, id: u64, reply: &Reply, now: Timestamp) {
        if let Some(client) = self.get_mut(id) {
            client.reply(reply);
            client.transfer(EventFlags::empty(), now);
        }
    }

    /// What to watch for `id` from now on; `None` if it is finished, and then it is dropped.
    pub(crate) fn settle(&mut self, id: u64) -> Option<Watch<'_>> {
        if self.get_mut(id)?.is_finished() {
            self.remove(id);
            return None;
        }
        let client = self.get_mut(id)?;
        Some(Watch { id, socket: client.socket(), interest: client.interest() })
    }

    /// When the first client will have been idle for too long.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        self.clients.iter().filter_map(|(_, client)| client.deadline(IDLE_MAX)).min()
    }

    /// Drops a client that has been idle for too long and says which.
    pub(crate) fn drop_idle(&mut self, now: Timestamp) -> Option<u64> {
        let overdue = |client: &Client| client.deadline(IDLE_MAX).is_some_and(|at| at <= now);
        let id = self.clients.iter().find(|(_, client)| overdue(client)).map(|(id, _)| *id)?;
        self.remove(id);
        Some(id)
    }
}

/// What the user at the other end may ask. Ids that the kernel cannot tell are nobody's.
fn access(socket: BorrowedFd<'_>, readers: Option<u32>) -> Access {
    let Ok((user, group)) = peer_user_and_group(socket) else { return Access::None };
    if user == 0 {
        return Access::Full;
    }
    let Some(readers) = readers else { return Access::None };
    let is_reader =
        group == readers || peer_groups(socket).is_ok_and(|groups| groups.contains(&readers));
    if is_reader { Access::Read } else { Access::None }
}
