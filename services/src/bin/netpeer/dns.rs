//! Answers about the names of one zone, as the server that has it (RFC 1034, 4.3.2; RFC 1035),
//! by UDP and TCP. What the zone does not have is denied with its SOA record (RFC 2308), by
//! which resolvers know how long to remember that. Absent: all types but A and AAAA.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::message_builder::PushError;
use domain::base::{Message, MessageBuilder, Name, Rtype, Serial, ToName, Ttl};
use domain::rdata::{A, Aaaa, Soa};
use services::network::dns::{OwnName, Question, UDP_PAYLOAD_BYTES, plain};
use services::problem::{Context, Result};

use crate::listen;

const PORT: u16 = 53;
/// How long what is said may be remembered.
const TTL: Ttl = Ttl::from_secs(300);
/// The same of what is not there.
const NEGATIVE_TTL: Ttl = Ttl::from_secs(60);
/// Bytes that everybody takes by UDP (RFC 1035, 2.3.4).
const UDP_BYTES_MIN: u16 = 512;
const MESSAGE_BYTES_MAX: usize = 65_535;
/// Most addresses of a name: they fit a message.
const ADDRESSES_MAX: u32 = 200;
/// How long a connection may be silent while the others wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// A name and its addresses: `NAME=ADDRESS`, or `NAME=ADDRESS+COUNT` for as many in a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Record {
    name: OwnName,
    addresses: Vec<IpAddr>,
}

/// What is known, and where it is told.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) at: Vec<IpAddr>,
    pub(crate) zone: OwnName,
    pub(crate) records: Vec<Record>,
}

impl Default for Options {
    fn default() -> Self {
        Self { at: Vec::new(), zone: Name::root_vec(), records: Vec::new() }
    }
}

impl FromStr for Record {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let (name, addresses) = text.split_once('=').ok_or(())?;
        let name = Name::vec_from_str(name).map_err(|_| ())?;
        let (first, count) = addresses.split_once('+').unwrap_or((addresses, "1"));
        let count = count.parse().ok().filter(|count| (1..=ADDRESSES_MAX).contains(count));
        let (first, count) = (first.parse::<IpAddr>().map_err(|_| ())?, count.ok_or(())?);
        let after = |number: u32| match first {
            IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits().wrapping_add(number)).into(),
            IpAddr::V6(first) => {
                Ipv6Addr::from_bits(first.to_bits().wrapping_add(number.into())).into()
            }
        };
        Ok(Self { name, addresses: (0..count).map(after).collect() })
    }
}

/// The server of datagrams at one address.
pub(crate) struct Datagrams {
    socket: UdpSocket,
    options: Arc<Options>,
}

impl Datagrams {
    /// Begins to listen.
    pub(crate) fn open(at: IpAddr, options: &Arc<Options>) -> Result<Self> {
        let socket = listen::datagrams(SocketAddr::new(at, PORT))?;
        Ok(Self { socket, options: Arc::clone(options) })
    }

    /// Serves until something goes wrong.
    pub(crate) fn serve(self) -> Result<()> {
        let mut buffer = vec![0; MESSAGE_BYTES_MAX];
        loop {
            let (length, client) =
                self.socket.recv_from(&mut buffer).context(|| "cannot receive".to_owned())?;
            let question = buffer.get(..length).unwrap_or_default();
            if let Some(Answer { message, about }) = answer(&self.options, question, Way::Udp) {
                let _ = writeln!(io::stderr(), "netpeer: {about} by UDP");
                // A client that has gone meanwhile.
                let _ = self.socket.send_to(&message, client);
            }
        }
    }
}

/// The server of connections at one address.
pub(crate) struct Connections {
    listener: TcpListener,
    options: Arc<Options>,
}

impl Connections {
    /// Begins to listen.
    pub(crate) fn open(at: IpAddr, options: &Arc<Options>) -> Result<Self> {
        let listener = listen::connections(SocketAddr::new(at, PORT))?;
        Ok(Self { listener, options: Arc::clone(options) })
    }

    /// Serves until something goes wrong.
    pub(crate) fn serve(self) -> Result<()> {
        loop {
            let (stream, _) = self.listener.accept().context(|| "cannot accept".to_owned())?;
            // What becomes of one client is nothing to the others.
            let _ = serve_connection(stream, &self.options);
        }
    }
}

/// Questions and answers have their length before them (RFC 7766, 8). It ends with an error,
/// which is the client's leave or its silence.
fn serve_connection(mut stream: TcpStream, options: &Options) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    loop {
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut question = vec![0; u16::from_be_bytes(length).into()];
        stream.read_exact(&mut question)?;
        let answer = answer(options, &question, Way::Tcp);
        let Some(Answer { message, about }) = answer else { return Ok(()) };
        let _ = writeln!(io::stderr(), "netpeer: {about} by TCP");
        let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidData)?;
        stream.write_all(&[&length.to_be_bytes()[..], &message].concat())?;
    }
}

/// By what a question came, and its answer goes.
#[derive(Clone, Copy)]
enum Way {
    Udp,
    Tcp,
}

/// An answer, and what it is about for the log.
struct Answer {
    message: Vec<u8>,
    about: String,
}

/// The answer to a message; `None` to what is no question.
fn answer(options: &Options, bytes: &[u8], way: Way) -> Option<Answer> {
    let asked = Message::from_octets(bytes).ok()?;
    if asked.header().qr() {
        return None;
    }
    let question = question_of(&asked);
    let (rcode, addresses) = find(options, &asked, question.as_ref());
    let about = match &question {
        Some(Question { name, rtype, .. }) => format!("{rtype} of {}: {rcode}", plain(name)),
        None => format!("{rcode}"),
    };
    let write = |addresses| write(options, &asked, question.as_ref(), rcode, addresses).ok();
    let message = write(Some(&addresses))?;
    let offered = asked.opt().map_or(0, |opt| opt.udp_payload_size());
    let limit: usize = match way {
        Way::Udp => offered.clamp(UDP_BYTES_MIN, UDP_PAYLOAD_BYTES).into(),
        Way::Tcp => MESSAGE_BYTES_MAX,
    };
    // Cut off, it has the client ask by TCP.
    let message = if message.len() <= limit { message } else { write(None)? };
    Some(Answer { message, about })
}

/// The question with its letters as they came, unless there is another number of them than one.
fn question_of(asked: &Message<&[u8]>) -> Option<Question> {
    let question = asked.sole_question().ok()?;
    Some(Question {
        name: question.qname().to_vec(),
        rtype: question.qtype(),
        class: question.qclass(),
    })
}

/// What is known about a question.
fn find(
    options: &Options,
    asked: &Message<&[u8]>,
    question: Option<&Question>,
) -> (Rcode, Vec<IpAddr>) {
    if asked.header().opcode() != Opcode::QUERY {
        return (Rcode::NOTIMP, Vec::new());
    }
    let Some(Question { name, rtype, class }) = question else {
        return (Rcode::FORMERR, Vec::new());
    };
    if *class != Class::IN || !name.ends_with(&options.zone) {
        return (Rcode::REFUSED, Vec::new());
    }
    let mut records = options.records.iter().filter(|record| record.name == *name).peekable();
    if records.peek().is_none() && *name != options.zone {
        return (Rcode::NXDOMAIN, Vec::new());
    }
    let of_type = |address: &&IpAddr| match **address {
        IpAddr::V4(_) => *rtype == Rtype::A,
        IpAddr::V6(_) => *rtype == Rtype::AAAA,
    };
    (
        Rcode::NOERROR,
        records.flat_map(|record| &record.addresses).filter(of_type).copied().collect(),
    )
}

/// The message with these addresses; without them it says that they are too long.
fn write(
    options: &Options,
    asked: &Message<&[u8]>,
    question: Option<&Question>,
    rcode: Rcode,
    addresses: Option<&[IpAddr]>,
) -> std::result::Result<Vec<u8>, PushError> {
    let mut message = MessageBuilder::new_vec();
    let header = message.header_mut();
    header.set_id(asked.header().id());
    header.set_qr(true);
    header.set_opcode(asked.header().opcode());
    header.set_aa(true);
    header.set_rd(asked.header().rd());
    header.set_tc(addresses.is_none());
    header.set_rcode(rcode);
    let mut message = message.question();
    if let Some(Question { name, rtype, class }) = question {
        message.push((name, *rtype, *class))?;
    }
    let mut message = message.answer();
    let is_known = [Rcode::NOERROR, Rcode::NXDOMAIN].contains(&rcode);
    if let Some(Question { name, .. }) = question {
        for address in addresses.unwrap_or_default() {
            match address {
                IpAddr::V4(address) => message.push((name, Class::IN, TTL, A::new(*address)))?,
                IpAddr::V6(address) => message.push((name, Class::IN, TTL, Aaaa::new(*address)))?,
            }
        }
    }
    let mut message = message.authority();
    if is_known && addresses.is_some_and(<[IpAddr]>::is_empty) {
        let zone = &options.zone;
        let soa = Soa::new(zone, zone, Serial(1), TTL, TTL, TTL, NEGATIVE_TTL);
        message.push((zone, Class::IN, NEGATIVE_TTL, soa))?;
    }
    let mut message = message.additional();
    if asked.opt().is_some() {
        message.opt(|opt| {
            opt.set_udp_payload_size(UDP_PAYLOAD_BYTES);
            Ok(())
        })?;
    }
    Ok(message.finish())
}

#[cfg(test)]
mod tests {
    use services::network::dns::addresses_in;

    use super::*;

    fn options() -> Options {
        let records = ["peer.lab.example=10.77.0.1", "peer.lab.example=2001:db8:77::1"];
        let many = "many.lab.example=2001:db8:77::100+100";
        Options {
            at: Vec::new(),
            zone: Name::vec_from_str("lab.example").unwrap(),
            records: records.iter().chain([&many]).map(|text| text.parse().unwrap()).collect(),
        }
    }

    fn question(name: &str, rtype: Rtype) -> Vec<u8> {
        let mut message = MessageBuilder::new_vec();
        message.header_mut().set_id(7);
        message.header_mut().set_rd(true);
        let mut message = message.question();
        message.push((Name::vec_from_str(name).unwrap(), rtype)).unwrap();
        let mut message = message.additional();
        let opt = message.opt(|opt| {
            opt.set_udp_payload_size(4096);
            Ok(())
        });
        opt.unwrap();
        message.finish()
    }

    fn ask(name: &str, rtype: Rtype, way: Way) -> Message<Vec<u8>> {
        let answer = answer(&options(), &question(name, rtype), way).unwrap();
        Message::from_octets(answer.message).unwrap()
    }

    #[test]
    fn the_zones_names_have_their_addresses() {
        for (name, rtype, wanted) in [
            ("peer.lab.example", Rtype::A, vec!["10.77.0.1"]),
            ("PEER.lab.Example", Rtype::AAAA, vec!["2001:db8:77::1"]),
            ("peer.lab.example", Rtype::MX, vec![]),
            ("lab.example", Rtype::A, vec![]),
        ] {
            let found = ask(name, rtype, Way::Udp);
            let header = found.header();
            assert_eq!((header.id(), header.rcode()), (7, Rcode::NOERROR), "{name}");
            assert!(header.qr() && header.aa() && header.rd() && !header.ra());
            assert_eq!(
                found.sole_question().unwrap().qname().to_string(),
                name,
                "letter by letter"
            );
            let wanted: Vec<IpAddr> = wanted.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(addresses_in(found.as_slice()), wanted, "{name}");
            assert_eq!(found.header_counts().nscount(), u16::from(wanted.is_empty()));
        }
    }

    #[test]
    fn what_is_not_there_is_denied_and_other_zones_are_refused() {
        let denied = ask("nowhere.lab.example", Rtype::A, Way::Udp);
        assert_eq!(denied.header().rcode(), Rcode::NXDOMAIN);
        let soa = denied.authority().unwrap().limit_to::<Soa<_>>().next().unwrap().unwrap();
        assert_eq!(soa.data().minimum(), NEGATIVE_TTL);
        for name in ["example", "peer.lab.example.org", "notlab.example"] {
            assert_eq!(ask(name, Rtype::A, Way::Udp).header().rcode(), Rcode::REFUSED, "{name}");
        }
    }

    #[test]
    fn a_long_answer_is_for_tcp() {
        let cut = ask("many.lab.example", Rtype::AAAA, Way::Udp);
        assert!(cut.header().tc() && addresses_in(cut.as_slice()).is_empty());
        let whole = ask("many.lab.example", Rtype::AAAA, Way::Tcp);
        assert_eq!((whole.header().tc(), addresses_in(whole.as_slice()).len()), (false, 100));
    }

    #[test]
    fn hostile_messages_do_no_harm() {
        let good = question("peer.lab.example", Rtype::A);
        let rcode = |bytes: &[u8]| {
            let answer = answer(&options(), bytes, Way::Udp)?;
            Some(Message::from_octets(answer.message).unwrap().header().rcode())
        };
        for length in 0..good.len() {
            assert_ne!(rcode(&good[..length]), Some(Rcode::NXDOMAIN), "{length}");
        }
        for index in 0..good.len() {
            for value in [0, 1, 0x3f, 0x80, 0xc0, 0xff] {
                let mut bad = good.clone();
                bad[index] = value;
                let _ = rcode(&bad);
            }
        }
        let changed = |index: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[index] = value;
            rcode(&bytes)
        };
        assert_eq!(changed(2, 0x81), None, "an answer");
        assert_eq!(changed(2, 0x28), Some(Rcode::NOTIMP), "an update");
        assert_eq!(changed(5, 2), Some(Rcode::FORMERR), "two questions");
        assert_eq!(changed(12, 0xc0), Some(Rcode::FORMERR), "a loop");
    }

    #[test]
    fn records_are_read_as_they_are_typed() {
        let record: Record = "a.example=10.0.0.255+2".parse().unwrap();
        let wanted: [IpAddr; 2] = ["10.0.0.255".parse().unwrap(), "10.0.1.0".parse().unwrap()];
        assert_eq!(record.addresses, wanted);
        for wrong in ["", "a", "a=", "a=b", "a=10.0.0.1+0", "a=10.0.0.1+201", "a..b=10.0.0.1"] {
            assert!(wrong.parse::<Record>().is_err(), "{wrong}");
        }
    }
}
