//! One client's bytes: bounded buffers, one request at a time.

use alloc::string::ToString as _;
use alloc::vec::Vec;
use core::time::Duration;

use init_core::protocol::{Frame, REQUEST_BYTES_MAX, Reply, Request};
use init_core::time::Timestamp;
use rustix::event::epoll::EventFlags;
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{SendFlags, send};

use super::Access;

/// How much is read at a time.
const CHUNK_BYTES: usize = 2048;

/// A connected client.
pub(super) struct Client {
    stream: OwnedFd,
    access: Access,
    /// Received, not yet understood. Never longer than a frame and a chunk.
    input: Vec<u8>,
    /// To be sent. No request is taken while there is any.
    output: Vec<u8>,
    /// A request is being worked on.
    is_waiting: bool,
    /// Nothing more will come.
    input_ended: bool,
    /// Nothing more is wanted: it is dropped once the output is sent.
    is_ending: bool,
    /// The stream is broken.
    is_broken: bool,
    last_active: Timestamp,
}

impl Client {
    pub(super) fn new(stream: OwnedFd, access: Access, now: Timestamp) -> Self {
        Self {
            stream,
            access,
            input: Vec::new(),
            output: Vec::new(),
            is_waiting: false,
            input_ended: false,
            is_ending: false,
            is_broken: false,
            last_active: now,
        }
    }

    pub(super) fn socket(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    pub(super) fn access(&self) -> Access {
        self.access
    }

    /// Whether a request of its is being worked on.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    pub(super) fn last_active(&self) -> Timestamp {
        self.last_active
    }

    /// What to wait for: output while there is any, else input while it is wanted.
    pub(super) fn interest(&self) -> EventFlags {
        if !self.output.is_empty() {
            EventFlags::OUT
        } else if self.is_waiting || self.input_ended {
            EventFlags::empty()
        } else {
            EventFlags::IN
        }
    }

    /// Whether there is nothing left to do for it.
    pub(super) fn is_finished(&self) -> bool {
        let ended = self.is_ending || (self.input_ended && !self.is_waiting);
        self.is_broken || (ended && self.output.is_empty())
    }

    /// When it is dropped for doing nothing; a client that waits for an
    /// operation may wait as long as that takes.
    pub(super) fn deadline(&self, idle_max: Duration) -> Option<Timestamp> {
        let busy = self.is_waiting && self.output.is_empty();
        (!busy).then(|| self.last_active.after(idle_max))
    }

    /// Moves bytes both ways as far as that works without waiting.
    pub(super) fn transfer(&mut self, flags: EventFlags, now: Timestamp) {
        if flags.contains(EventFlags::IN) && self.output.is_empty() && !self.is_waiting {
            self.receive(now);
        } else if flags.intersects(EventFlags::HUP | EventFlags::ERR) {
            self.is_broken = true;
        }
        self.send(now);
    }

    fn receive(&mut self, now: Timestamp) {
        let mut chunk = [0; CHUNK_BYTES];
        match rustix::io::read(&self.stream, &mut chunk) {
            Ok(0) => self.input_ended = true,
            Ok(length) => {
                self.input.extend_from_slice(chunk.get(..length).unwrap_or_default());
                self.last_active = now;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.is_broken = true,
        }
    }

    fn send(&mut self, now: Timestamp) {
        while !self.output.is_empty() {
            match send(&self.stream, &self.output, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
                Ok(length) => {
                    self.output.drain(..length);
                    self.last_active = now;
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => {
                    self.is_broken = true;
                    return;
                }
            }
        }
        // A reply can be large and a client can stay.
        self.output = Vec::new();
    }

    /// The next whole request that can be decoded. The client waits from now on.
    pub(super) fn next_request(&mut self) -> Option<Request> {
        while self.output.is_empty() && !self.is_waiting && !self.is_ending {
            let decoded = match Frame::split(&self.input, REQUEST_BYTES_MAX) {
                Ok(None) => return None,
                Ok(Some(frame)) => (Request::decode(frame.body), frame.length_bytes),
                Err(error) => {
                    // Where the next frame would start is not known.
                    self.is_ending = true;
                    (Err(error), self.input.len())
                }
            };
            let (request, length) = decoded;
            self.input.drain(..length.min(self.input.len()));
            match request {
                Ok(request) => {
                    self.is_waiting = true;
                    return Some(request);
                }
                Err(error) => self.reply(&Reply::BadRequest(error.to_string())),
            }
        }
        None
    }

    /// Queues the answer to the request being worked on.
    pub(super) fn reply(&mut self, reply: &Reply) {
        self.is_waiting = false;
        match reply.encode() {
            Ok(bytes) => self.output.extend_from_slice(&bytes),
            Err(error) => {
                crate::log::error(format_args!("a reply cannot be sent: {error}"));
                self.is_ending = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    const NOW: Timestamp = Timestamp::ZERO;

    fn connect() -> (UnixStream, Client) {
        let (theirs, ours) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (theirs, Client::new(ours.into(), Access::Full, NOW))
    }

    fn reply_of(stream: &mut UnixStream) -> Reply {
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        stream.read_exact(&mut body).unwrap();
        Reply::decode(&body).unwrap()
    }

    #[test]
    fn a_request_may_come_byte_by_byte() {
        let (mut theirs, mut client) = connect();
        for byte in Request::List.encode().unwrap() {
            assert_eq!(client.next_request(), None);
            theirs.write_all(&[byte]).unwrap();
            client.transfer(EventFlags::IN, NOW);
        }
        assert_eq!(client.next_request(), Some(Request::List));
    }

    #[test]
    fn the_second_request_waits_for_the_first_reply() {
        let (mut theirs, mut client) = connect();
        let two = [Request::List.encode().unwrap(), Request::List.encode().unwrap()].concat();
        theirs.write_all(&two).unwrap();
        client.transfer(EventFlags::IN, NOW);
        assert!(client.next_request().is_some());
        assert_eq!(client.next_request(), None);
        assert_eq!(client.interest(), EventFlags::empty());
        client.reply(&Reply::Done);
        assert_eq!(client.next_request(), None, "the reply is not sent yet");
        client.transfer(EventFlags::empty(), NOW);
        assert_eq!(reply_of(&mut theirs), Reply::Done);
        assert!(client.next_request().is_some());
    }

    #[test]
    fn garbage_is_answered_and_the_client_goes_on() {
        let (mut theirs, mut client) = connect();
        theirs.write_all(&[2, 0, 0, 0, 1, 0xee]).unwrap();
        client.transfer(EventFlags::IN, NOW);
        assert_eq!(client.next_request(), None);
        client.transfer(EventFlags::empty(), NOW);
        assert!(matches!(reply_of(&mut theirs), Reply::BadRequest(_)));
        assert!(!client.is_finished());
    }

    #[test]
    fn an_oversize_frame_ends_the_client_after_the_answer() {
        let (mut theirs, mut client) = connect();
        theirs.write_all(&u32::MAX.to_le_bytes()).unwrap();
        client.transfer(EventFlags::IN, NOW);
        assert_eq!(client.next_request(), None);
        assert!(!client.is_finished(), "the answer must go out first");
        client.transfer(EventFlags::OUT, NOW);
        assert!(client.is_finished());
        assert!(matches!(reply_of(&mut theirs), Reply::BadRequest(_)));
    }

    #[test]
    fn a_client_that_hangs_up_is_finished() {
        let (theirs, mut client) = connect();
        drop(theirs);
        client.transfer(EventFlags::IN | EventFlags::HUP, NOW);
        assert!(client.is_finished());

        let (mut theirs, mut client) = connect();
        theirs.write_all(&Request::List.encode().unwrap()).unwrap();
        client.transfer(EventFlags::IN, NOW);
        assert!(client.next_request().is_some());
        drop(theirs);
        client.transfer(EventFlags::HUP, NOW);
        assert!(client.is_finished());
    }

    #[test]
    fn who_waits_for_an_operation_is_not_idle() {
        let (mut theirs, mut client) = connect();
        let idle_max = Duration::from_secs(1);
        assert_eq!(client.deadline(idle_max), Some(Timestamp::from_millis(1000)));
        theirs.write_all(&Request::List.encode().unwrap()).unwrap();
        client.transfer(EventFlags::IN, Timestamp::from_millis(500));
        assert!(client.next_request().is_some());
        assert_eq!(client.deadline(idle_max), None);
        client.reply(&Reply::Done);
        assert_eq!(client.deadline(idle_max), Some(Timestamp::from_millis(1500)));
    }
}
