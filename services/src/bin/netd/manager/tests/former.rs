//! What a daemon before this one gave links, and the file no longer has.

use super::*;

/// What the next start is told after a life with `STATIC`, and one lease.
fn given() -> Given {
    let text = STATIC.replace("mtu = 1500", "dhcp = true");
    let mut manager = manager(&text);
    let mut outputs = manager.link(link(2, "eth0", connected()), None, s(0));
    outputs.extend(bind(&mut manager, &outputs.clone(), s(0)));
    outputs.extend(manager.release(s(1)));
    let kept = outputs.into_iter().rev().find_map(|output| match output {
        Output::Given(given) => Some(given),
        _ => None,
    });
    kept.unwrap()
}

/// What the next one does, which finds a link with the file `text`.
fn done(text: &str, found: Link) -> Vec<String> {
    let mut next = Manager::new(parse_config("f", text).unwrap(), BTreeSet::new(), 2);
    next.take_over(given());
    words(&next.all_links(vec![(found, None)], s(2)))
}

fn taken(words: &[String]) -> Vec<&str> {
    let is_taken = |word: &&str| word.starts_with("- ") || word.starts_with("unroute ");
    words.iter().map(String::as_str).filter(is_taken).collect()
}

#[test]
fn what_the_file_still_has_is_given_again_and_nothing_is_taken() {
    let words = done(STATIC, link(2, "eth0", connected()));
    assert_eq!(taken(&words), [""; 0]);
    for given in ["+ 192.0.2.2/24", "route 198.51.100.0/24 via 192.0.2.9"] {
        assert!(words.contains(&given.to_owned()), "{words:?}");
    }
}

#[test]
fn what_the_file_no_longer_has_is_taken_away() {
    let changed = STATIC.replace("192.0.2.2/24", "192.0.2.3/24").replace("192.0.2.9", "192.0.2.8");
    let words = done(&changed, link(2, "eth0", connected()));
    assert_eq!(taken(&words), ["- 192.0.2.2/24", "unroute 198.51.100.0/24"]);
    let (new, old) = ("+ 192.0.2.3/24".to_owned(), "- 192.0.2.2/24".to_owned());
    let place = |word: &String| words.iter().position(|one| one == word);
    assert!(place(&new) < place(&old), "{words:?}");
    let all = [
        "- 192.0.2.2/24",
        "- 2001:db8::2/64",
        "unroute 198.51.100.0/24",
        "unroute 0.0.0.0/0",
        "unroute ::/0",
    ];
    assert_eq!(taken(&done("", link(2, "eth0", connected()))), all);
}

#[test]
fn a_link_that_took_the_place_of_another_loses_nothing() {
    assert_eq!(taken(&done("", link(3, "eth0", connected()))), [""; 0]);
}

#[test]
fn another_mode_of_ipv6_begins_anew_and_the_same_does_not() {
    let restarts = |text: &str| {
        done(text, link(2, "eth0", connected())).contains(&"eth0/disable_ipv6 = 1".to_owned())
    };
    assert!(!restarts(STATIC));
    assert!(restarts(&STATIC.replace("static", "auto")));
}

#[test]
fn what_was_taken_away_is_not_told_to_the_next_one() {
    let mut next = Manager::new(Config::default(), BTreeSet::new(), 2);
    next.take_over(given());
    let outputs = next.all_links(vec![(link(2, "eth0", connected()), None)], s(2));
    let nothing = Given { ipv6: given().ipv6, ..Given::default() };
    assert!(outputs.contains(&Output::Given(nothing)), "{outputs:?}");
    assert!(!given().addresses.iter().any(|(_, one)| *one == lease().prefix()));
}
