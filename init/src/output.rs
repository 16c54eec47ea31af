//! The pipes that carry the services' output to the log collector.
//!
//! PID 1 keeps both ends of each pipe for its whole life. So neither a restart
//! of the service nor one of the collector closes it, and what was written
//! meanwhile waits in it. PID 1 never reads one: the collector gets the read
//! ends over a socket, one message per service, and all of them again whenever
//! it is started. A full pipe makes its writer wait; it never makes PID 1 wait.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

use init_core::event::ServiceId;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::fchown;
use rustix::io::Errno;
use rustix::io::IoSlice;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Uid;

/// All pipes, and the way to the collector.
#[derive(Default)]
pub(crate) struct Outputs {
    /// In ascending order of the services.
    pipes: Vec<Pipe>,
    collector: Option<Collector>,
}

struct Pipe {
    service: ServiceId,
    name: Box<str>,
    read: OwnedFd,
    write: OwnedFd,
}

/// PID 1's end of the socket to the running collector.
struct Collector {
    socket: OwnedFd,
    /// The services whose pipes it has not been sent.
    pending: VecDeque<ServiceId>,
}

/// What became of an attempt to send the pending pipes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sent {
    /// There is nothing left to send.
    All,
    /// The socket is full: go on when it is writable.
    Full,
    /// The collector is gone; its successor gets everything.
    Gone,
}

impl Outputs {
    /// Makes sure that `service` has its pipe. A new one becomes pending for
    /// the collector. It belongs to `owner`, the user that the service runs as for PID 1's
    /// whole life, and otherwise to root: who opens `/dev/stdout` is judged by the pipe's owner.
    pub(crate) fn open(
        &mut self,
        service: ServiceId,
        name: &str,
        owner: Option<Uid>,
    ) -> Result<(), Errno> {
        let Err(index) = self.find(service) else { return Ok(()) };
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        if owner.is_some() {
            // One inode for both ends.
            fchown(&write, owner, None)?;
        }
        self.pipes.insert(index, Pipe { service, name: name.into(), read, write });
        if let Some(collector) = &mut self.collector {
            collector.pending.push_back(service);
        }
        Ok(())
    }

    /// The end of `service`'s pipe that its processes write to, if it has one.
    pub(crate) fn write_end(&self, service: ServiceId) -> Option<BorrowedFd<'_>> {
        self.get(service).map(|pipe| pipe.write.as_fd())
    }

    fn get(&self, service: ServiceId) -> Option<&Pipe> {
        self.find(service).ok().and_then(|index| self.pipes.get(index))
    }

    /// Its place, or the place for it.
    fn find(&self, service: ServiceId) -> Result<usize, usize> {
        self.pipes.binary_search_by_key(&service, |pipe| pipe.service)
    }

    /// Prepares for a new collector: every pipe is pending. Returns the
    /// collector's end of the socket.
    pub(crate) fn connect_collector(&mut self) -> Result<OwnedFd, Errno> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let pending = self.pipes.iter().map(|pipe| pipe.service).collect();
        self.collector = Some(Collector { socket: ours, pending });
        Ok(theirs)
    }

    /// PID 1's end of the socket to the collector, if there is one.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.collector.as_ref().map(|collector| collector.socket.as_fd())
    }

    /// Gives up a collector that is gone.
    pub(crate) fn disconnect_collector(&mut self) {
        self.collector = None;
    }

    /// Whether there is something to send.
    pub(crate) fn has_pending(&self) -> bool {
        self.collector.as_ref().is_some_and(|collector| !collector.pending.is_empty())
    }

    /// Sends pipes to the collector until all are sent or the socket is full.
    pub(crate) fn send_pending(&mut self) -> Sent {
        let Some(collector) = &mut self.collector else { return Sent::All };
        while let Some(service) = collector.pending.front() {
            let index = self.pipes.binary_search_by_key(service, |pipe| pipe.service);
            if let Some(pipe) = index.ok().and_then(|index| self.pipes.get(index)) {
                match send(collector.socket.as_fd(), pipe) {
                    Ok(()) => {}
                    // ETOOMANYREFS: too many descriptors are on their way unread.
                    Err(Errno::AGAIN | Errno::NOBUFS | Errno::TOOMANYREFS) => return Sent::Full,
                    Err(_) => return Sent::Gone,
                }
            }
            collector.pending.pop_front();
        }
        Sent::All
    }
}

/// One message: the service's name, and with it the read end of its pipe.
fn send(socket: BorrowedFd<'_>, pipe: &Pipe) -> Result<(), Errno> {
    let descriptors = [pipe.read.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::NOBUFS);
    }
    let name = [IoSlice::new(pipe.name.as_bytes())];
    sendmsg(socket, &name, &mut control, SendFlags::NOSIGNAL | SendFlags::DONTWAIT).map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt as _;

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

    use super::*;

    fn receive(socket: &OwnedFd) -> Option<(String, OwnedFd)> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut name = [0; 80];
        let mut parts = [std::io::IoSliceMut::new(&mut name)];
        let message = recvmsg(socket, &mut parts, &mut control, RecvFlags::DONTWAIT).ok()?;
        let fd = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        let name = String::from_utf8_lossy(&name[..message.bytes]).into_owned();
        fd.map(|fd| (name, fd))
    }

    #[test]
    fn a_new_collector_gets_every_pipe_with_what_is_in_it() {
        let mut outputs = Outputs::default();
        for (id, name) in [(0, "a"), (1, "b")] {
            outputs.open(ServiceId(id), name, None).unwrap();
            let end = outputs.write_end(ServiceId(id)).unwrap();
            rustix::io::write(end, name.as_bytes()).unwrap();
        }
        for _ in 0..2 {
            let theirs = outputs.connect_collector().unwrap();
            assert_eq!(outputs.send_pending(), Sent::All);
            let names: Vec<String> =
                std::iter::from_fn(|| receive(&theirs)).map(|(name, _)| name).collect();
            assert_eq!(names, ["a", "b"]);
        }
        let theirs = outputs.connect_collector().unwrap();
        outputs.send_pending();
        let (_, pipe) = receive(&theirs).unwrap();
        let mut bytes = [0; 8];
        assert_eq!(rustix::io::read(pipe, &mut bytes).unwrap(), 1);
    }

    #[test]
    fn a_service_opens_its_output_by_path_as_its_own_user() {
        if !rustix::process::geteuid().is_root() {
            println!("skipped: only root can give a pipe to somebody else");
            return;
        }
        let mut outputs = Outputs::default();
        let say = |outputs: &Outputs| {
            let output = outputs.write_end(ServiceId(0)).unwrap().try_clone_to_owned().unwrap();
            let status = std::process::Command::new("/bin/sh")
                .args(["-c", "echo heard > /dev/stdout && echo so > /dev/stderr"])
                .uid(65_534)
                .stdout(output.try_clone().unwrap())
                .stderr(output)
                .status();
            status.unwrap().success()
        };
        outputs.open(ServiceId(0), "rooted", None).unwrap();
        assert!(!say(&outputs), "a pipe of root's is not anybody's");
        outputs = Outputs::default();
        outputs.open(ServiceId(0), "owned", Some(Uid::from_raw(65_534))).unwrap();
        assert!(say(&outputs));
        let mut bytes = [0; 64];
        let length = rustix::io::read(&outputs.pipes[0].read, &mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"heard\nso\n");
    }

    #[test]
    fn a_full_socket_is_no_loss_and_a_dead_collector_no_error() {
        let mut outputs = Outputs::default();
        let theirs = outputs.connect_collector().unwrap();
        let count = 3000;
        for id in 0..count {
            // Names as long as they may be fill the socket sooner.
            outputs.open(ServiceId(id), &"x".repeat(64), None).unwrap();
            if id % 100 == 99 {
                outputs.pipes.pop();
            }
        }
        let mut received = 0;
        let mut was_full = false;
        loop {
            let sent = outputs.send_pending();
            was_full |= sent == Sent::Full;
            received += std::iter::from_fn(|| receive(&theirs)).count();
            if sent == Sent::All {
                break;
            }
        }
        assert_eq!((received, was_full), (2970, true));
        drop(theirs);
        outputs.open(ServiceId(count), "late", None).unwrap();
        assert!(outputs.has_pending());
        assert_eq!(outputs.send_pending(), Sent::Gone);
    }
}
