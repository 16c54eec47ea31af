//! Servers of which some are silent, some answer half, and some know no EDNS.

use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use domain::base::iana::Rcode;
use domain::base::{Message, MessageBuilder, Ttl};

use super::*;

/// Starts a server that answers as `answer` says, which gets the message and what it asks for;
/// its address, and how often it was asked.
fn server(
    answer: impl Fn(&Message<Vec<u8>>, Rtype) -> Option<Vec<u8>> + Send + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            counter.fetch_add(1, Ordering::SeqCst);
            let message = Message::from_octets(buffer[..length].to_vec()).unwrap();
            let rtype = message.sole_question().unwrap().qtype();
            if let Some(answer) = answer(&message, rtype) {
                socket.send_to(&answer, from).unwrap();
            }
        }
    });
    (address, asked)
}

/// The answer to `message` that names an address.
fn answered(message: &Message<Vec<u8>>) -> Vec<u8> {
    let question = message.sole_question().unwrap();
    let name: OwnName = question.qname().to_vec();
    let answer = MessageBuilder::new_vec();
    let mut answer = answer.start_answer(message, Rcode::NOERROR).unwrap();
    let ttl = Ttl::from_secs(60);
    match question.qtype() {
        Rtype::A => answer.push((name, Class::IN, ttl, A::from_octets(192, 0, 2, 1))).unwrap(),
        _ => answer.push((name, Class::IN, ttl, Aaaa::new("::1".parse().unwrap()))).unwrap(),
    }
    answer.finish()
}

/// What a server says that cannot read the message: a header alone.
fn not_understood(message: &Message<Vec<u8>>, rcode: Rcode) -> Vec<u8> {
    let mut answer = MessageBuilder::new_vec();
    answer.header_mut().set_id(message.header().id());
    answer.header_mut().set_qr(true);
    answer.header_mut().set_rcode(rcode);
    answer.finish()
}

fn name() -> OwnName {
    Name::vec_from_str("a.example").unwrap()
}

fn both() -> [IpAddr; 2] {
    ["192.0.2.1".parse().unwrap(), "::1".parse().unwrap()]
}

#[test]
fn a_server_behind_a_silent_one_is_asked_in_time() {
    let (silent, _) = server(|_, _| None);
    let (right, _) = server(|message, _| Some(answered(message)));
    let started = Instant::now();
    let found = ask_each(&[silent, right], &name(), Duration::from_secs(2)).unwrap();
    assert_eq!(found, both());
    assert!(started.elapsed() < Duration::from_secs(2));
    assert!(ask_each(&[silent, silent], &name(), Duration::from_millis(200)).is_err());
    assert!(ask_each(&[], &name(), Duration::from_secs(1)).is_err());
}

#[test]
fn addresses_of_one_family_count_when_there_is_no_answer_for_the_other() {
    let (ipv4_alone, _) = server(|message, asked| (asked == Rtype::A).then(|| answered(message)));
    let found = ask_each(&[ipv4_alone], &name(), Duration::from_secs(1)).unwrap();
    assert_eq!(found, both()[..1]);
    // It says that there is more by TCP, and nobody is there.
    let (ipv6_alone, _) = server(|message, asked| {
        let mut answer = answered(message);
        answer[2] |= if asked == Rtype::A { 2 } else { 0 };
        Some(answer)
    });
    let found = ask_each(&[ipv6_alone], &name(), Duration::from_secs(5)).unwrap();
    assert_eq!(found, both()[1..]);
}

#[test]
fn a_server_that_knows_no_edns_is_asked_without_it() {
    for rcode in [Rcode::FORMERR, Rcode::NOTIMP] {
        let (old, asked) = server(move |message, _| {
            Some(match message.opt().is_some() {
                true => not_understood(message, rcode),
                false => answered(message),
            })
        });
        let question = Question { name: name(), rtype: Rtype::A, class: Class::IN };
        let answer = ask(old, &question, Instant::now() + Duration::from_secs(5)).unwrap();
        assert_eq!(addresses_in(&answer), both()[..1]);
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn a_server_that_understands_nothing_has_answered_all_the_same() {
    let (broken, asked) = server(|message, _| Some(not_understood(message, Rcode::FORMERR)));
    let question = Question { name: name(), rtype: Rtype::A, class: Class::IN };
    let started = Instant::now();
    let answer = ask(broken, &question, started + Duration::from_secs(5)).unwrap();
    assert_eq!(Message::from_octets(answer).unwrap().header().rcode(), Rcode::FORMERR);
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(started.elapsed() < Duration::from_secs(1), "nobody waits for another answer");
}
