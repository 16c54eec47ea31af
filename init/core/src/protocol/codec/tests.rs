//! Frames and messages there and back, and bytes that are neither.

use super::super::wire::Frame;
use super::*;
use crate::name::ServiceName;
use crate::time::Timestamp;

/// xorshift64*: small, seeded, and good enough to shake a decoder.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn number(&mut self) -> u32 {
        u32::try_from(self.next() >> 32).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[7]
    }

    fn text(&mut self) -> String {
        (0..self.below(40)).map(|_| ['a', 'ß', '\n', '\0', '🦀'][self.below(5)]).collect()
    }

    fn name(&mut self) -> ServiceName {
        let text: String =
            (0..=self.below(63)).map(|_| ['a', 'z', '0', '9'][self.below(4)]).collect();
        ServiceName::new(&text).unwrap()
    }

    fn option<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 1).then(|| make(self))
    }

    fn list<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(5)).map(|_| make(self)).collect()
    }

    fn time(&mut self) -> Timestamp {
        Timestamp::from_nanos(self.next())
    }

    fn summary(&mut self) -> Summary {
        Summary {
            name: self.name(),
            description: self.text(),
            state: State::ALL[self.below(9)],
            since: self.time(),
            reason_code: self.text(),
            reason: self.text(),
            reason_service: self.option(Self::name),
            pid: self.option(|random| random.number()),
            restarts: self.number(),
        }
    }

    fn reply(&mut self) -> Reply {
        match self.below(7) {
            0 => Reply::Services(self.list(Self::summary)),
            1 => Reply::Service(Box::new(Status {
                summary: self.summary(),
                command: self.list(Self::text),
                status_text: self.text(),
                started: self.option(Self::time),
                ready: self.option(Self::time),
                requires: self.list(Self::name),
                required_by: self.list(Self::name),
                history: self.list(|random| Change {
                    at: random.time(),
                    to: State::ALL[random.below(9)],
                    reason_code: random.text(),
                    reason: random.text(),
                }),
            })),
            2 => Reply::Done,
            3 => Reply::Failed(Box::new(self.summary())),
            4 => Reply::UnknownService(self.name()),
            5 => Reply::Denied,
            _ => Reply::BadRequest(self.text()),
        }
    }

    fn request(&mut self) -> Request {
        match self.below(4) {
            0 => Request::List,
            1 => Request::Status { name: self.name() },
            2 => Request::Operate { operation: OPERATIONS[self.below(3)], name: self.name() },
            _ => Request::Shutdown { kind: SHUTDOWN_KINDS[self.below(3)] },
        }
    }
}

fn body(frame: &[u8]) -> &[u8] {
    let found = Frame::split(frame, REPLY_BYTES_MAX).unwrap().unwrap();
    assert_eq!(found.length_bytes, frame.len());
    found.body
}

#[test]
fn random_messages_come_back_whole() {
    let mut random = Random(0x6b65_656c_736f_6e01);
    for _ in 0..5_000 {
        let (request, reply) = (random.request(), random.reply());
        let frame = request.encode().unwrap();
        assert_eq!(Request::decode(body(&frame)), Ok(request));
        let frame = reply.encode().unwrap();
        assert_eq!(Reply::decode(body(&frame)), Ok(reply));
    }
}

#[test]
fn damaged_and_random_bytes_never_panic() {
    let mut random = Random(0x6b65_656c_736f_6e02);
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> = (0..random.below(64)).map(|_| random.byte()).collect();
        if random.below(2) == 1 {
            bytes = random.reply().encode().unwrap().split_off(4);
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len());
                bytes[at] = random.byte();
            }
            bytes.truncate(random.below(bytes.len() + 1));
        } else if let Some(first) = bytes.first_mut() {
            *first = super::super::VERSION;
        }
        // What decodes must encode to the same bytes: there is one form of each message.
        if let Ok(request) = Request::decode(&bytes) {
            assert_eq!(request.encode().unwrap().get(4..), Some(&*bytes));
        }
        if let Ok(reply) = Reply::decode(&bytes) {
            assert_eq!(reply.encode().unwrap().get(4..), Some(&*bytes));
        }
        let _ = Frame::split(&bytes, REQUEST_BYTES_MAX);
    }
}

#[test]
fn the_bytes_are_those_of_the_documentation() {
    let name = || ServiceName::new("logd").unwrap();
    let operate = Request::Operate { operation: Operation::Restart, name: name() };
    for (frame, bytes) in [
        (Request::List.encode(), &b"\x02\0\0\0\x01\x01"[..]),
        (Request::Status { name: name() }.encode(), b"\x0a\0\0\0\x01\x02\x04\0\0\0logd"),
        (operate.encode(), b"\x0b\0\0\0\x01\x03\x02\x04\0\0\0logd"),
        (Request::Shutdown { kind: ShutdownKind::Halt }.encode(), b"\x03\0\0\0\x01\x04\x02"),
        (Reply::Done.encode(), b"\x02\0\0\0\x01\x83"),
        (Reply::UnknownService(name()).encode(), b"\x0a\0\0\0\x01\x85\x04\0\0\0logd"),
        (Reply::BadRequest("no".to_owned()).encode(), b"\x08\0\0\0\x01\x87\x02\0\0\0no"),
    ] {
        assert_eq!(frame.unwrap(), bytes);
    }
}

#[test]
fn a_stream_is_split_as_it_arrives() {
    let mut stream = Request::List.encode().unwrap();
    stream.extend(Request::Shutdown { kind: ShutdownKind::Reboot }.encode().unwrap());
    for end in 0..6 {
        assert_eq!(Frame::split(&stream[..end], REQUEST_BYTES_MAX), Ok(None));
    }
    let first = Frame::split(&stream, REQUEST_BYTES_MAX).unwrap().unwrap();
    assert_eq!(Request::decode(first.body), Ok(Request::List));
    let rest = &stream[first.length_bytes..];
    let second = Frame::split(rest, REQUEST_BYTES_MAX).unwrap().unwrap();
    let reboot = Request::Shutdown { kind: ShutdownKind::Reboot };
    assert_eq!(Request::decode(second.body), Ok(reboot));
    assert_eq!(second.length_bytes, rest.len());
}

#[test]
fn what_is_no_message_is_named() {
    let too_long = ProtocolError::TooLong { length_bytes: 65537, limit_bytes: REQUEST_BYTES_MAX };
    assert_eq!(Frame::split(b"\x01\x00\x01\x00", REQUEST_BYTES_MAX), Err(too_long));
    for (body, error) in [
        (&b""[..], ProtocolError::Truncated),
        (b"\x01", ProtocolError::Truncated),
        (b"\x02", ProtocolError::Version(2)),
        (b"\x02\x01", ProtocolError::Version(2)),
        (b"\x01\x7f", ProtocolError::Tag(0x7f)),
        (b"\x01\x81", ProtocolError::Tag(0x81)),
        (b"\x01\x01\x00", ProtocolError::Trailing),
        (b"\x01\x02\x05\0\0\0logd", ProtocolError::Truncated),
        (b"\x01\x02\x04\0\0\0../x", ProtocolError::Field("service name")),
        (b"\x01\x03\x03\x04\0\0\0logd", ProtocolError::Field("operation")),
        (b"\x01\x04\x03", ProtocolError::Field("shutdown kind")),
    ] {
        assert_eq!(Request::decode(body), Err(error), "{body:?}");
    }
    // A count of four thousand million elements reserves nothing.
    assert_eq!(Reply::decode(b"\x01\x81\xff\xff\xff\xff"), Err(ProtocolError::Truncated));
    let huge = Reply::BadRequest("x".repeat(REPLY_BYTES_MAX));
    assert!(matches!(huge.encode(), Err(ProtocolError::TooLong { .. })));
    assert_eq!(
        ProtocolError::Version(2).to_string(),
        "the other side speaks version 2 of the control protocol, this one version 1"
    );
}
