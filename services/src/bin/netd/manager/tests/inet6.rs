//! IPv6 of links: switched on and off, and what routers are asked.

use super::*;

/// `STATIC` with another word for `ipv6`, or none.
fn with(mode: &str) -> Config {
    let mode = if mode.is_empty() { String::new() } else { format!("ipv6 = \"{mode}\"\n") };
    parse_config("f", &STATIC.replace("ipv6 = \"static\"\n", &mode)).unwrap()
}

fn is_asked(outputs: &[Output]) -> bool {
    outputs.contains(&Output::Solicit { index: 2 })
}

#[test]
fn addresses_and_routes_that_go_with_a_new_beginning_of_ipv6_are_given_again() {
    let mut manager = manager(STATIC);
    manager.link(link(2, "eth0", connected()), None, s(0));
    for (mode, accept_ra, autoconf) in [("auto", 2, 1), ("static", 0, 0)] {
        assert_eq!(
            words(&manager.reload(with(mode), s(1))),
            [
                "eth0/disable_ipv6 = 1".to_owned(),
                format!("eth0/accept_ra = {accept_ra}"),
                format!("eth0/autoconf = {autoconf}"),
                "eth0/disable_ipv6 = 0".to_owned(),
                "+ 2001:db8::2/64".to_owned(),
                "route ::/0 via 2001:db8::1".to_owned(),
            ]
        );
    }
}

#[test]
fn ipv6_that_somebody_before_switched_off_is_switched_on() {
    let text = STATIC.replace("\"static\"", "\"off\"").replace(", \"2001:db8::2/64\"", "");
    let off = || parse_config("f", &text).unwrap();
    for mode in ["auto", "static"] {
        // Another daemon has ended with `off`.
        let mut next = Manager::new(with(mode), BTreeSet::new(), 2);
        let outputs = next.all_links(vec![(link(2, "eth0", connected()), None)], s(0));
        assert!(words(&outputs).contains(&"eth0/disable_ipv6 = 0".to_owned()), "{outputs:?}");
        // This one did, and had no entry in between.
        next.reload(off(), s(1));
        next.reload(Config::default(), s(2));
        let outputs = next.reload(with(mode), s(3));
        assert!(words(&outputs).contains(&"eth0/disable_ipv6 = 0".to_owned()), "{outputs:?}");
        assert!(words(&outputs).contains(&"route ::/0 via 2001:db8::1".to_owned()));
    }
}

#[test]
fn an_entry_that_was_gone_and_is_back_as_another_begins_anew() {
    let mut manager = manager(STATIC);
    manager.link(link(2, "eth0", connected()), None, s(0));
    manager.reload(Config::default(), s(1));
    let same = words(&manager.reload(with("static"), s(2)));
    assert!(!same.contains(&"eth0/disable_ipv6 = 1".to_owned()), "{same:?}");
    manager.reload(Config::default(), s(3));
    let other = words(&manager.reload(with("auto"), s(4)));
    assert!(other.contains(&"eth0/disable_ipv6 = 1".to_owned()), "{other:?}");
}

#[test]
fn routers_are_asked_of_a_link_that_is_up_and_of_one_whose_cable_is_back() {
    let mut first = Manager::new(with(""), BTreeSet::new(), 2);
    let outputs = first.all_links(vec![(link(2, "eth0", connected()), None)], s(0));
    assert!(is_asked(&outputs), "at the start");
    assert!(!is_asked(&first.time(s(1))) && !is_asked(&first.reload(with(""), s(1))), "once");
    assert!(!is_asked(&first.link(link(2, "eth0", up()), None, s(2))));
    assert!(is_asked(&first.link(link(2, "eth0", connected()), None, s(3))));
    assert!(!is_asked(&first.reload(with("static"), s(4))));
    let mut later = manager("");
    assert!(!is_asked(&later.link(link(2, "eth0", connected()), None, s(0))));
    assert!(is_asked(&later.reload(with("auto"), s(1))), "newly adopted");
    let mut without_cable = manager(DHCP);
    assert!(!is_asked(&without_cable.link(link(2, "eth0", up()), None, s(0))));
}
