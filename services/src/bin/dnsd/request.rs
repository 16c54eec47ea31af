//! What a program asks: its message, judged. Hostile messages get an error or no reply.

use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::{Message, ToName};
use services::network::dns::{Question, Wanted};

/// Bytes that every program takes by UDP (RFC 1035, 2.3.4).
const UDP_BYTES_MIN: u16 = 512;

/// A question that can be answered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    pub(crate) id: u16,
    pub(crate) question: Question,
    /// The flag RD, which a reply repeats.
    pub(crate) wants_recursion: bool,
    /// Whether the reply may say that the server has proven it: AD or DO was set (RFC 6840, 5.7).
    pub(crate) understands_ad: bool,
    pub(crate) wanted: Wanted,
    /// Whether it uses EDNS (RFC 6891), and so does the reply.
    pub(crate) has_edns: bool,
    /// How long a reply by UDP may be.
    pub(crate) udp_bytes: u16,
}

/// What to do with a message.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Parsed {
    Request(Box<Request>),
    /// It uses a version of EDNS other than 0: say so (RFC 6891, 6.1.3), nothing else.
    BadVersion(Box<Request>),
    /// Answer with this error, nothing else.
    Error {
        id: u16,
        opcode: Opcode,
        rcode: Rcode,
    },
    /// It is no question at all.
    Nothing,
}

/// Reads a message.
pub(crate) fn parse(bytes: &[u8]) -> Parsed {
    let Ok(message) = Message::from_octets(bytes) else { return Parsed::Nothing };
    let header = message.header();
    if header.qr() {
        // Answering an answer could go on for ever.
        return Parsed::Nothing;
    }
    let error = |rcode| Parsed::Error { id: header.id(), opcode: header.opcode(), rcode };
    if header.opcode() != Opcode::QUERY {
        return error(Rcode::NOTIMP);
    }
    let Ok(question) = message.sole_question() else { return error(Rcode::FORMERR) };
    if question.qclass() != Class::IN {
        return error(Rcode::REFUSED);
    }
    if message.iter().any(|record| record.is_err()) {
        return error(Rcode::FORMERR);
    }
    let opt = message.opt();
    let dnssec = opt.as_ref().is_some_and(|opt| opt.dnssec_ok());
    let udp_bytes = opt.as_ref().map_or(0, |opt| opt.udp_payload_size()).max(UDP_BYTES_MIN);
    let is_bad = opt.as_ref().is_some_and(|opt| opt.version() != 0);
    let request = Box::new(Request {
        id: header.id(),
        question: Question {
            name: question.qname().to_vec(),
            rtype: question.qtype(),
            class: question.qclass(),
        },
        wants_recursion: header.rd(),
        understands_ad: header.ad() || dnssec,
        wanted: Wanted { dnssec, unchecked: header.cd(), mixed_case: false },
        has_edns: opt.is_some(),
        udp_bytes,
    });
    if is_bad { Parsed::BadVersion(request) } else { Parsed::Request(request) }
}

#[cfg(test)]
pub(crate) mod tests {
    use domain::base::{MessageBuilder, Name, Rtype};

    use super::*;

    /// A message that asks for `name`.
    pub(crate) fn message(name: &str, rtype: Rtype, edns_bytes: Option<u16>) -> Vec<u8> {
        let mut message = MessageBuilder::new_vec();
        message.header_mut().set_id(7);
        message.header_mut().set_rd(true);
        let mut message = message.question();
        message.push((Name::vec_from_str(name).unwrap(), rtype)).unwrap();
        let mut message = message.additional();
        if let Some(bytes) = edns_bytes {
            let opt = message.opt(|opt| {
                opt.set_udp_payload_size(bytes);
                Ok(())
            });
            opt.unwrap();
        }
        message.finish()
    }

    pub(crate) fn request(name: &str, rtype: Rtype) -> Request {
        match parse(&message(name, rtype, Some(1232))) {
            Parsed::Request(request) => *request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn questions_are_read() {
        let request = request("A.example", Rtype::AAAA);
        assert_eq!((request.id, request.question.rtype), (7, Rtype::AAAA));
        assert_eq!(request.question.name.to_string(), "A.example", "the case stays");
        assert!(request.has_edns && request.wants_recursion && !request.understands_ad);
        let Parsed::Request(plain) = parse(&message("a", Rtype::A, None)) else { panic!() };
        assert_eq!((plain.has_edns, plain.udp_bytes), (false, 512));
        let Parsed::Request(small) = parse(&message("a", Rtype::A, Some(100))) else { panic!() };
        assert_eq!(small.udp_bytes, 512);
    }

    #[test]
    fn another_version_of_edns_is_noticed() {
        let mut bytes = message("a.example", Rtype::A, Some(1232));
        // The OPT record ends with the version, two bytes of flags and two of length.
        let at = bytes.len() - 5;
        bytes[at] = 1;
        assert!(matches!(parse(&bytes), Parsed::BadVersion(request) if request.has_edns));
    }

    #[test]
    fn what_is_no_question_is_refused_or_passed_over() {
        let good = message("a.example", Rtype::A, Some(1232));
        for length in 0..good.len() {
            assert!(!matches!(parse(&good[..length]), Parsed::Request(_)), "{length}");
        }
        let changed = |index: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[index] = value;
            parse(&bytes)
        };
        assert_eq!(changed(2, 0x81), Parsed::Nothing, "an answer");
        assert!(
            matches!(changed(2, 0x28), Parsed::Error { rcode: Rcode::NOTIMP, .. }),
            "an update"
        );
        assert!(
            matches!(changed(5, 2), Parsed::Error { rcode: Rcode::FORMERR, .. }),
            "two questions"
        );
        assert!(matches!(changed(26, 3), Parsed::Error { rcode: Rcode::REFUSED, .. }), "class CH");
        assert!(matches!(changed(12, 0xc0), Parsed::Error { rcode: Rcode::FORMERR, .. }), "a loop");
    }
}
