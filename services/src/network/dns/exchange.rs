//! One question to one server, and whether what comes back is its answer (RFC 5452): from the
//! address that was asked, to the port and with the number of this question, which are random,
//! and about the same name, letter by letter. A server that knows no EDNS is asked without it.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use domain::base::iana::Rcode;
use domain::base::{Message, MessageBuilder, Name, ToName};

use super::{OwnName, Question, UDP_PAYLOAD_BYTES};
use crate::random;

/// Longest message, in bytes: its length has 16 bits over TCP.
const MESSAGE_BYTES_MAX: usize = 65_535;

/// What is wanted beside the records.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// Signatures too (DO, RFC 3225).
    pub dnssec: bool,
    /// Records that the server could not prove (CD, RFC 4035).
    pub unchecked: bool,
    /// The case of each letter at random, which a forger has to guess too.
    pub mixed_case: bool,
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// The message as it came.
    pub message: Vec<u8>,
    /// Whether there is more of it over TCP.
    pub is_truncated: bool,
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Refused {
    /// Nothing came, or nothing could be sent.
    Io(io::Error),
    /// What came is no answer.
    Nonsense(&'static str),
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Nonsense(why) => f.write_str(why),
        }
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // What a socket says when its time is over.
            io::ErrorKind::WouldBlock => {
                Self::Io(io::Error::new(io::ErrorKind::TimedOut, "no answer in time"))
            }
            _ => Self::Io(error),
        }
    }
}

impl From<Refused> for io::Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Io(error) => error,
            Refused::Nonsense(why) => Self::new(io::ErrorKind::InvalidData, why),
        }
    }
}

/// The same name with the case of its letters by the bits of `coins`.
fn with_case(name: &OwnName, coins: &[u8]) -> OwnName {
    let mut bytes = name.as_slice().to_vec();
    // Lengths of labels are below 64 and thus no letters.
    for (index, byte) in bytes.iter_mut().enumerate() {
        let is_upper = coins.get(index / 8).is_some_and(|coin| coin >> (index % 8) & 1 == 1);
        if byte.is_ascii_alphabetic() {
            *byte = if is_upper { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
        }
    }
    Name::from_octets(bytes).unwrap_or_else(|_| name.clone())
}

/// The message that asks, and the question in it as the answer must repeat it.
fn query(
    question: &Question,
    wanted: Wanted,
    has_edns: bool,
) -> io::Result<(u16, Question, Vec<u8>)> {
    let mut asked = question.clone();
    if wanted.mixed_case {
        asked.name = with_case(&question.name, &random::bytes::<32>()?);
    }
    let id = u16::from_be_bytes(random::bytes()?);
    let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_id(id);
    message.header_mut().set_rd(true);
    // Not only who wants signatures is told what is proven (RFC 6840, 5.7).
    message.header_mut().set_ad(true);
    message.header_mut().set_cd(wanted.unchecked);
    let mut message = message.question();
    message.push((&asked.name, asked.rtype, asked.class)).map_err(too_long)?;
    let mut message = message.additional();
    if !has_edns {
        return Ok((id, asked, message.finish()));
    }
    let opt = message.opt(|opt| {
        opt.set_udp_payload_size(UDP_PAYLOAD_BYTES);
        opt.set_dnssec_ok(wanted.dnssec);
        Ok(())
    });
    opt.map_err(too_long)?;
    Ok((id, asked, message.finish()))
}

/// Whether the server says that it cannot read the message or do what it wants.
fn is_not_understood(rcode: Rcode) -> bool {
    matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP)
}

/// Asks by `ask`, which is told whether to use EDNS and how long to wait: with it, and where the
/// server says that it does not understand, and not by EDNS, without it (RFC 6891, 6.2.2).
fn with_and_without_edns(
    timeout: Duration,
    ask: impl Fn(bool, Duration) -> Result<Asked, Refused>,
) -> Result<Asked, Refused> {
    let started = Instant::now();
    let asked = ask(true, timeout)?;
    let knows_no_edns = Message::from_octets(asked.message.as_slice()).is_ok_and(|message| {
        is_not_understood(message.header().rcode()) && message.opt().is_none()
    });
    match knows_no_edns {
        true => ask(false, timeout.saturating_sub(started.elapsed())),
        false => Ok(asked),
    }
}

/// Whether `bytes` are the answer to `asked` with the number `id`.
fn accept(bytes: Vec<u8>, id: u16, asked: &Question) -> Result<Asked, &'static str> {
    let message = Message::from_octets(bytes).map_err(|_| "the answer is too short")?;
    let header = message.header();
    if !header.qr() || header.id() != id {
        return Err("the answer is to another question");
    }
    // Who cannot read the question does not have to repeat it.
    if message.header_counts().qdcount() == 0 && is_not_understood(header.rcode()) {
        return Ok(Asked { message: message.into_octets(), is_truncated: false });
    }
    let question = message.sole_question().map_err(|_| "the answer repeats no question")?;
    let name: OwnName = question.qname().to_vec();
    let is_same = name.as_slice() == asked.name.as_slice()
        && (question.qtype(), question.qclass()) == (asked.rtype, asked.class);
    if !is_same {
        return Err("the answer is about another name");
    }
    let is_truncated = header.tc();
    // A truncated message may end anywhere; another must be whole.
    if !is_truncated && message.iter().any(|record| record.is_err()) {
        return Err("the answer is damaged");
    }
    Ok(Asked { message: message.into_octets(), is_truncated })
}

/// Asks by UDP from a port of its own, and waits up to `timeout`. Messages that are no answer
/// are passed over: anybody can send them.
///
/// # Errors
/// No answer came.
pub fn ask_udp(
    server: SocketAddr,
    question: &Question,
    wanted: Wanted,
    timeout: Duration,
) -> Result<Asked, Refused> {
    with_and_without_edns(timeout, |has_edns, left| {
        ask_udp_once(server, question, wanted, has_edns, left)
    })
}

fn ask_udp_once(
    server: SocketAddr,
    question: &Question,
    wanted: Wanted,
    has_edns: bool,
    timeout: Duration,
) -> Result<Asked, Refused> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Port 0: the kernel takes one at random.
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(server)?;
    let (id, asked, bytes) = query(question, wanted, has_edns)?;
    socket.send(&bytes)?;
    let deadline = Instant::now() + timeout;
    let mut buffer = vec![0; MESSAGE_BYTES_MAX];
    let mut refused = None;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            let late = || io::Error::new(io::ErrorKind::TimedOut, "no answer in time").into();
            return Err(refused.map_or_else(late, Refused::Nonsense));
        }
        socket.set_read_timeout(Some(left))?;
        match socket.recv(&mut buffer) {
            Ok(length) => {
                let bytes = buffer.get(..length).unwrap_or_default().to_vec();
                match accept(bytes, id, &asked) {
                    Ok(asked) => return Ok(asked),
                    Err(why) => refused = Some(why),
                }
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Asks by TCP (RFC 7766), within `timeout`.
///
/// # Errors
/// No answer came.
pub fn ask_tcp(
    server: SocketAddr,
    question: &Question,
    wanted: Wanted,
    timeout: Duration,
) -> Result<Vec<u8>, Refused> {
    let asked = with_and_without_edns(timeout, |has_edns, left| {
        ask_tcp_once(server, question, wanted, has_edns, left)
    });
    asked.map(|asked| asked.message)
}

fn ask_tcp_once(
    server: SocketAddr,
    question: &Question,
    wanted: Wanted,
    has_edns: bool,
    timeout: Duration,
) -> Result<Asked, Refused> {
    let deadline = Instant::now() + timeout;
    let left = || match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
        left => Ok(left),
    };
    let mut stream = TcpStream::connect_timeout(&server, left()?)?;
    stream.set_write_timeout(Some(left()?))?;
    let (id, asked, bytes) = query(question, wanted, has_edns)?;
    let length = u16::try_from(bytes.len())
        .map_err(|_| io::ErrorKind::InvalidInput)
        .map_err(io::Error::from)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(&bytes);
    stream.write_all(&framed)?;
    let mut length = [0; 2];
    read_exact(&mut stream, &mut length, left)?;
    let mut answer = vec![0; u16::from_be_bytes(length).into()];
    read_exact(&mut stream, &mut answer, left)?;
    accept(answer, id, &asked).map_err(Refused::Nonsense)
}

/// Reads all of `buffer` by a deadline that one slow byte after the other does not move.
fn read_exact(
    stream: &mut TcpStream,
    mut buffer: &mut [u8],
    left: impl Fn() -> io::Result<Duration>,
) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.set_read_timeout(Some(left()?))?;
        match stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => buffer = buffer.get_mut(length..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use domain::base::Rtype;
    use domain::base::iana::Class;

    use super::*;

    fn question() -> Question {
        let name = Name::vec_from_str("Example.com").unwrap();
        Question { name, rtype: Rtype::A, class: Class::IN }
    }

    #[test]
    fn only_the_answer_to_this_very_question_is_believed() {
        let (id, asked, mut bytes) = query(&question(), Wanted::default(), true).unwrap();
        assert_eq!(accept(bytes.clone(), id, &asked), Err("the answer is to another question"));
        bytes[2] |= 0x80;
        assert!(!accept(bytes.clone(), id, &asked).unwrap().is_truncated);
        let other = id.wrapping_add(1);
        assert_eq!(accept(bytes.clone(), other, &asked), Err("the answer is to another question"));
        let mut lower = bytes.clone();
        lower[13] = b'e';
        assert_eq!(accept(lower, id, &asked), Err("the answer is about another name"));
        let mut other_type = bytes.clone();
        other_type[26] = 28;
        assert_eq!(accept(other_type, id, &asked), Err("the answer is about another name"));
        let mut truncated = bytes.clone();
        truncated[2] |= 2;
        assert!(accept(truncated, id, &asked).unwrap().is_truncated);
        for length in 0..bytes.len() {
            assert!(accept(bytes[..length].to_vec(), id, &asked).is_err(), "{length}");
        }
    }

    #[test]
    fn who_does_not_understand_a_question_need_not_repeat_it() {
        let (id, asked, bytes) = query(&question(), Wanted::default(), false).unwrap();
        assert!(Message::from_octets(bytes.clone()).unwrap().opt().is_none());
        let header = |rcode: u8| {
            let mut bytes = bytes[..12].to_vec();
            (bytes[2], bytes[3], bytes[5]) = (0x80, rcode, 0);
            bytes
        };
        for (rcode, is_answer) in [(1, true), (4, true), (0, false), (3, false), (5, false)] {
            assert_eq!(accept(header(rcode), id, &asked).is_ok(), is_answer, "{rcode}");
            assert!(accept(header(rcode), id.wrapping_add(1), &asked).is_err(), "{rcode}");
        }
    }

    #[test]
    fn servers_are_asked_to_say_what_they_have_proven() {
        for dnssec in [false, true] {
            let wanted = Wanted { dnssec, ..Wanted::default() };
            let (_, _, bytes) = query(&question(), wanted, true).unwrap();
            let message = Message::from_octets(bytes).unwrap();
            assert!(message.header().ad() && message.header().rd());
            assert_eq!(message.opt().unwrap().dnssec_ok(), dnssec);
        }
    }

    #[test]
    fn the_case_of_letters_is_a_coin_each() {
        let name = question().name;
        assert_eq!(with_case(&name, &[0; 32]).to_string(), "example.com");
        assert_eq!(with_case(&name, &[255; 32]).to_string(), "EXAMPLE.COM");
        assert_eq!(with_case(&name, &[0b1010_1010; 32]), name, "the name stays the same");
    }
}
