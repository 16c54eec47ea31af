//! How long answers are kept, and what goes when there is no room.

use domain::base::iana::Class;
use domain::base::{MessageBuilder, Name, Serial, Ttl};
use domain::rdata::A;

use super::*;
use crate::request::tests::request;

const NAME: &str = "a.example";

/// An answer with addresses of these TTLs, and with a SOA record of a TTL and a minimum.
fn message(rcode: Rcode, ttls: &[u32], soa: Option<(u32, u32)>) -> Vec<u8> {
    let name = || Name::vec_from_str(NAME).unwrap();
    let mut message = MessageBuilder::new_vec();
    message.header_mut().set_rcode(rcode);
    let mut message = message.question();
    message.push((name(), Rtype::A)).unwrap();
    let mut message = message.answer();
    for ttl in ttls {
        message
            .push((name(), Class::IN, Ttl::from_secs(*ttl), A::from_octets(192, 0, 2, 1)))
            .unwrap();
    }
    let mut message = message.authority();
    if let Some((ttl, minimum)) = soa {
        let seconds = Ttl::from_secs;
        let data = Soa::new(
            name(),
            name(),
            Serial(1),
            seconds(1),
            seconds(1),
            seconds(1),
            seconds(minimum),
        );
        message.push((name(), Class::IN, seconds(ttl), data)).unwrap();
    }
    message.finish()
}

#[test]
fn an_answer_is_kept_for_its_shortest_ttl_and_what_is_not_there_as_the_zone_says() {
    let cases = [
        (message(Rcode::NOERROR, &[300, 60], None), Some(60)),
        (message(Rcode::NOERROR, &[0], None), None),
        (message(Rcode::NOERROR, &[9_999_999], None), Some(86_400)),
        (message(Rcode::NOERROR, &[1 << 31], None), Some(86_400)),
        (message(Rcode::NXDOMAIN, &[], Some((900, 30))), Some(30)),
        (message(Rcode::NXDOMAIN, &[], Some((20, 30))), Some(20)),
        (message(Rcode::NXDOMAIN, &[], Some((90_000, 90_000))), Some(3600)),
        (message(Rcode::NXDOMAIN, &[], None), None),
        (message(Rcode::NOERROR, &[], Some((900, 30))), Some(30)),
        (message(Rcode::NOERROR, &[], None), None),
        (message(Rcode::SERVFAIL, &[300], None), None),
        (Vec::new(), None),
    ];
    let question = request(NAME, Rtype::A).question;
    for (index, (message, seconds)) in cases.into_iter().enumerate() {
        let expected = seconds.map(Duration::from_secs);
        assert_eq!(lifetime(&question, &message), expected, "case {index}");
    }
    let other = request(NAME, Rtype::AAAA).question;
    let alias = message(Rcode::NOERROR, &[300], Some((900, 30)));
    assert_eq!(lifetime(&other, &alias), Some(Duration::from_secs(30)), "an alias to nothing");
}

#[test]
fn an_entry_ages_and_goes() {
    let mut cache = Cache::new(10, 10_000);
    let asked = request(NAME, Rtype::A);
    let key = Key::new(&asked);
    let start = Instant::now();
    let answer = message(Rcode::NOERROR, &[60], None);
    cache.keep(key.clone(), &asked.question, &answer, start);
    let after = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(cache.find(&key, after(59)), Some(Remembered::Answer(answer, 59)));
    assert_eq!(cache.find(&key, after(60)), None);
    assert_eq!(cache.bytes, 0);
    cache.keep_failure(key.clone(), start);
    assert_eq!(cache.find(&key, start), Some(Remembered::Failure));
    assert_eq!(cache.find(&key, after(1)), None);
}

#[test]
fn questions_are_one_whatever_their_case_but_not_whatever_they_want() {
    let key = |name, rtype| Key::new(&request(name, rtype));
    assert_eq!(key("A.Example", Rtype::A), key("a.example", Rtype::A));
    assert_ne!(key("a.example", Rtype::A), key("a.example", Rtype::AAAA));
    let mut signed = request("a.example", Rtype::A);
    signed.wanted.dnssec = true;
    assert_ne!(Key::new(&signed), key("a.example", Rtype::A));
}

#[test]
fn entries_and_bytes_are_bounded_and_the_least_used_goes_first() {
    let now = Instant::now();
    let answer = message(Rcode::NOERROR, &[60], None);
    let asked = |number: usize| request(&format!("{number}.example"), Rtype::A);
    for (entries_max, bytes_max) in [(3, 1 << 20), (1000, 3 * (answer.len() + 11 + ENTRY_BYTES))] {
        let mut cache = Cache::new(entries_max, bytes_max);
        for number in 0..3 {
            cache.keep(Key::new(&asked(number)), &asked(number).question, &answer, now);
        }
        assert!(cache.find(&Key::new(&asked(0)), now).is_some());
        cache.keep(Key::new(&asked(3)), &asked(3).question, &answer, now);
        let left: Vec<usize> = (0..4)
            .filter(|number| cache.entries.contains_key(&Key::new(&asked(*number))))
            .collect();
        assert_eq!(left, [0, 2, 3]);
        assert!(cache.bytes <= bytes_max);
    }
    let mut none = Cache::new(0, 0);
    none.keep(Key::new(&asked(0)), &asked(0).question, &answer, now);
    assert!(none.entries.is_empty());
}
