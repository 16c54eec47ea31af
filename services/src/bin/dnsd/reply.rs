//! What a program gets: an answer of a server with the time it was kept taken off, an answer of
//! this machine, or an error. What does not fit is cut off with the flag TC, so that the
//! program asks by TCP.

use std::net::IpAddr;

use domain::base::iana::{Class, Opcode, OptRcode, Rcode};
use domain::base::message_builder::{AdditionalBuilder, AnswerBuilder, PushError};
use domain::base::{Message, MessageBuilder, Name, Record, Rtype, StaticCompressor, Ttl};
use domain::rdata::{A, Aaaa, AllRecordData, Ptr};
use services::network::dns::UDP_PAYLOAD_BYTES;

use crate::local::Local;
use crate::request::Request;

/// How long a program may keep what this machine knows itself: not long, files change.
const LOCAL_TTL: Ttl = Ttl::from_secs(10);

type Target = StaticCompressor<Vec<u8>>;

/// Only an error, to a message that was understood no further.
pub(crate) fn error(id: u16, opcode: Opcode, rcode: Rcode) -> Vec<u8> {
    let mut message = MessageBuilder::new_vec();
    let header = message.header_mut();
    header.set_id(id);
    header.set_qr(true);
    header.set_ra(true);
    header.set_opcode(opcode);
    header.set_rcode(rcode);
    message.finish()
}

/// That no server gave an answer.
pub(crate) fn failure(request: &Request) -> Vec<u8> {
    let build = || begin(request, Rcode::SERVFAIL, usize::MAX).and_then(|one| end(request, one));
    build().unwrap_or_else(|_| error(request.id, Opcode::QUERY, Rcode::SERVFAIL))
}

/// That only version 0 of EDNS is understood (RFC 6891, 6.1.3).
pub(crate) fn bad_version(request: &Request) -> Vec<u8> {
    let build = || {
        let message = begin(request, Rcode::NOERROR, usize::MAX)?;
        finish(request, message.additional(), OptRcode::BADVERS)
    };
    build().unwrap_or_else(|_| failure(request))
}

/// The answer of a server, `age_s` seconds later, in at most `limit` bytes.
pub(crate) fn from_answer(request: &Request, answer: &[u8], age_s: u32, limit: usize) -> Vec<u8> {
    let copied = copy(request, answer, age_s, limit);
    copied.or_else(|_| truncated(request)).unwrap_or_else(|_| failure(request))
}

/// What this machine knows itself, in at most `limit` bytes.
pub(crate) fn from_local(request: &Request, local: &Local, limit: usize) -> Vec<u8> {
    let rcode = match local {
        Local::Unknown => Rcode::NXDOMAIN,
        Local::Addresses(_) | Local::Name(_) => Rcode::NOERROR,
    };
    let build = || {
        let mut message = begin(request, rcode, limit)?;
        let name = &request.question.name;
        let place = (name, Class::IN, LOCAL_TTL);
        match local {
            Local::Addresses(addresses) => {
                for address in addresses {
                    match (address, request.question.rtype) {
                        (IpAddr::V4(address), Rtype::A) => {
                            message.push(Record::new(
                                place.0,
                                place.1,
                                place.2,
                                A::new(*address),
                            ))?;
                        }
                        (IpAddr::V6(address), Rtype::AAAA) => {
                            let data = Aaaa::new(*address);
                            message.push(Record::new(place.0, place.1, place.2, data))?;
                        }
                        _ => {}
                    }
                }
            }
            Local::Name(text) => {
                if let (Ok(target), Rtype::PTR) = (Name::vec_from_str(text), request.question.rtype)
                {
                    let data = Ptr::new(target);
                    message.push(Record::new(place.0, place.1, place.2, data))?;
                }
            }
            Local::Unknown => {}
        }
        end(request, message)
    };
    build().or_else(|_| truncated(request)).unwrap_or_else(|_| failure(request))
}

/// The header and the question. Room for an OPT record is left.
fn begin(
    request: &Request,
    rcode: Rcode,
    limit: usize,
) -> Result<AnswerBuilder<Target>, PushError> {
    let target = StaticCompressor::new(Vec::new());
    let mut message = MessageBuilder::from_target(target).map_err(|_| PushError::ShortBuf)?;
    let opt_bytes = if request.has_edns { OPT_BYTES } else { 0 };
    // The builder refuses what reaches its limit, not only what exceeds it.
    message.set_push_limit(limit.saturating_sub(opt_bytes).saturating_add(1));
    let header = message.header_mut();
    header.set_id(request.id);
    header.set_qr(true);
    header.set_rd(request.wants_recursion);
    header.set_ra(true);
    header.set_cd(request.wanted.unchecked);
    header.set_rcode(rcode);
    let mut message = message.question();
    let question = &request.question;
    message.push((&question.name, question.rtype, question.class))?;
    Ok(message.answer())
}

/// An OPT record without options.
const OPT_BYTES: usize = 11;

fn end(request: &Request, message: AnswerBuilder<Target>) -> Result<Vec<u8>, PushError> {
    let rcode = message.header().rcode().into();
    finish(request, message.additional(), rcode)
}

fn finish(
    request: &Request,
    mut message: AdditionalBuilder<Target>,
    rcode: OptRcode,
) -> Result<Vec<u8>, PushError> {
    message.clear_push_limit();
    if request.has_edns {
        message.opt(|opt| {
            opt.set_rcode(rcode);
            opt.set_udp_payload_size(UDP_PAYLOAD_BYTES);
            opt.set_dnssec_ok(request.wanted.dnssec);
            Ok(())
        })?;
    }
    Ok(message.finish().into_target())
}

fn truncated(request: &Request) -> Result<Vec<u8>, PushError> {
    let mut message = begin(request, Rcode::NOERROR, usize::MAX)?;
    message.header_mut().set_tc(true);
    end(request, message)
}

/// Copies the records of all sections but EDNS's own.
fn copy(request: &Request, answer: &[u8], age_s: u32, limit: usize) -> Result<Vec<u8>, PushError> {
    let source = Message::from_octets(answer).map_err(|_| PushError::ShortBuf)?;
    let damaged = |_| PushError::ShortBuf;
    let mut message = begin(request, source.header().rcode(), limit)?;
    message.header_mut().set_ad(source.header().ad() && request.understands_ad);
    let aged = |ttl: Ttl| Ttl::from_secs(ttl.as_secs().saturating_sub(age_s));
    for record in source.answer().map_err(damaged)?.flatten() {
        let record = record.into_any_record::<AllRecordData<_, _>>().map_err(damaged)?;
        message.push((record.owner(), record.class(), aged(record.ttl()), record.data()))?;
    }
    let mut message = message.authority();
    for record in source.authority().map_err(damaged)?.flatten() {
        let record = record.into_any_record::<AllRecordData<_, _>>().map_err(damaged)?;
        message.push((record.owner(), record.class(), aged(record.ttl()), record.data()))?;
    }
    let mut message = message.additional();
    for record in source.additional().map_err(damaged)?.flatten() {
        if record.rtype() == Rtype::OPT {
            continue;
        }
        let record = record.into_any_record::<AllRecordData<_, _>>().map_err(damaged)?;
        message.push((record.owner(), record.class(), aged(record.ttl()), record.data()))?;
    }
    finish(request, message, source.header().rcode().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::tests::request;

    /// An answer with `count` addresses that may be kept for 300 seconds.
    fn answer(count: u8) -> Vec<u8> {
        let asked = request("a.example", Rtype::A);
        let mut message = begin(&asked, Rcode::NOERROR, usize::MAX).unwrap();
        message.header_mut().set_ad(true);
        for last in 0..count {
            let data = A::new([192, 0, 2, last].into());
            let place = (&asked.question.name, Class::IN, Ttl::from_secs(300), data);
            message.push(place).unwrap();
        }
        end(&asked, message).unwrap()
    }

    #[test]
    fn an_answer_gets_the_programs_number_and_loses_its_age() {
        let asked = request("A.example", Rtype::A);
        let bytes = from_answer(&asked, &answer(2), 100, 512);
        let reply = Message::from_octets(bytes).unwrap();
        assert_eq!(reply.header().id(), 7);
        assert!(reply.header().qr() && reply.header().ra() && !reply.header().ad());
        assert_eq!(reply.sole_question().unwrap().qname().to_string(), "A.example");
        let ttls: Vec<u32> =
            reply.answer().unwrap().flatten().map(|record| record.ttl().as_secs()).collect();
        assert_eq!(ttls, [200, 200]);
        assert_eq!(reply.opt().unwrap().udp_payload_size(), UDP_PAYLOAD_BYTES);
        let late = from_answer(&asked, &answer(1), 1000, 512);
        let late = Message::from_octets(late).unwrap();
        assert_eq!(late.answer().unwrap().flatten().next().unwrap().ttl().as_secs(), 0);
    }

    #[test]
    fn a_version_that_is_not_understood_is_answered_in_the_one_that_is() {
        let reply = Message::from_octets(bad_version(&request("a.example", Rtype::A))).unwrap();
        let opt = reply.opt().unwrap();
        assert_eq!(opt.rcode(reply.header()), OptRcode::BADVERS);
        assert_eq!((opt.version(), reply.header().id(), reply.header().qr()), (0, 7, true));
        assert_eq!(reply.header_counts().ancount(), 0);
        let other = Message::from_octets(failure(&request("a.example", Rtype::A))).unwrap();
        assert_eq!(other.opt().unwrap().rcode(other.header()), OptRcode::SERVFAIL);
    }

    #[test]
    fn what_does_not_fit_is_cut_off_and_says_so() {
        let asked = request("a.example", Rtype::A);
        let whole = from_answer(&asked, &answer(60), 0, 65_535);
        assert!(whole.len() > 512 && !Message::from_octets(whole).unwrap().header().tc());
        let cut = from_answer(&asked, &answer(60), 0, 512);
        assert!(cut.len() <= 512);
        let cut = Message::from_octets(cut).unwrap();
        assert!(cut.header().tc());
        assert_eq!(cut.header_counts().ancount(), 0);
        let exact = from_answer(&asked, &answer(3), 0, 10_000).len();
        let fits = from_answer(&asked, &answer(3), 0, exact);
        assert!(!Message::from_octets(fits).unwrap().header().tc());
        let one_less = from_answer(&asked, &answer(3), 0, exact - 1);
        assert!(Message::from_octets(one_less).unwrap().header().tc());
    }

    #[test]
    fn this_machines_answers_are_of_the_type_that_was_asked() {
        let both = Local::Addresses(vec!["127.0.0.1".parse().unwrap(), "::1".parse().unwrap()]);
        for (rtype, count) in [(Rtype::A, 1), (Rtype::AAAA, 1), (Rtype::MX, 0)] {
            let bytes = from_local(&request("localhost", rtype), &both, 512);
            let reply = Message::from_octets(bytes).unwrap();
            assert_eq!(
                (reply.header().rcode(), reply.header_counts().ancount()),
                (Rcode::NOERROR, count)
            );
        }
        let bytes = from_local(&request("x.invalid", Rtype::A), &Local::Unknown, 512);
        assert_eq!(Message::from_octets(bytes).unwrap().header().rcode(), Rcode::NXDOMAIN);
    }

    #[test]
    fn a_damaged_answer_is_a_failure_and_no_panic() {
        let asked = request("a.example", Rtype::A);
        let good = answer(3);
        for length in 0..good.len() {
            from_answer(&asked, &good[..length], 0, 512);
        }
        for index in 0..good.len() {
            let mut bad = good.clone();
            bad[index] ^= 0xff;
            from_answer(&asked, &bad, 0, 512);
        }
    }
}
