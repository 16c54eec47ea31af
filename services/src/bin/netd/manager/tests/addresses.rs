//! Addresses that come and go, and the routes that the kernel takes away with them.

use super::*;

const GATEWAY: &str =
    "[[link]]\nmatch = { name = \"eth0\" }\ndhcp = true\ngateway = \"192.0.2.9\"\n";
const ROUTE: &str = "route 0.0.0.0/0 via 192.0.2.9";

fn file(text: &str) -> Config {
    parse_config("f", text).unwrap()
}

#[test]
fn a_gateway_of_the_file_waits_for_the_leased_address() {
    let mut manager = manager(GATEWAY);
    let outputs = manager.link(link(2, "eth0", connected()), None, s(0));
    assert!(!words(&outputs).contains(&ROUTE.to_owned()), "{outputs:?}");
    let outputs = bind(&mut manager, &outputs, s(0));
    assert_eq!(words(&outputs)[3..], ["+ 192.0.2.50/24", ROUTE]);
}

#[test]
fn a_gateway_that_was_refused_beside_another_address_is_set_with_the_leased_one() {
    let fixed = "addresses = [\"198.51.100.3/24\"]\n";
    let mut manager = manager(&[GATEWAY, fixed].concat());
    let outputs = manager.link(link(2, "eth0", connected()), None, s(0));
    assert!(words(&outputs).contains(&ROUTE.to_owned()), "{outputs:?}");
    let outputs = bind(&mut manager, &outputs, s(0));
    assert_eq!(words(&outputs)[3..], ["+ 192.0.2.50/24", ROUTE]);
}

#[test]
fn a_gateway_behind_a_route_of_the_link_needs_no_address() {
    let text = "[[link.route]]\nto = \"192.0.2.9/32\"\n";
    let mut manager = manager(&[GATEWAY, text].concat());
    let outputs = manager.link(link(2, "eth0", connected()), None, s(0));
    assert!(words(&outputs).ends_with(&["route 192.0.2.9/32".to_owned(), ROUTE.to_owned()]));
}

#[test]
fn a_lease_that_comes_back_brings_the_files_routes_back() {
    let mut manager = bound(GATEWAY);
    let outputs = manager.time(s(80));
    let expected = ["dhcp true", "discover", "- 192.0.2.50/24", "unroute 0.0.0.0/0"];
    assert_eq!(words(&outputs), expected);
    let outputs = bind(&mut manager, &outputs, s(81));
    assert!(words(&outputs).ends_with(&["+ 192.0.2.50/24".to_owned(), ROUTE.to_owned()]));
}

#[test]
fn routes_are_set_again_beside_a_lease_that_goes() {
    let fixed = "addresses = [\"192.0.2.3/24\"]\n";
    let mut manager = bound(&[GATEWAY, fixed].concat());
    let outputs = manager.time(s(80));
    assert_eq!(words(&outputs)[2..], ["- 192.0.2.50/24", ROUTE]);
}

#[test]
fn from_dhcp_to_an_address_of_the_file_the_new_one_comes_first() {
    let mut manager = bound(GATEWAY);
    let text = GATEWAY.replace("dhcp = true", "addresses = [\"192.0.2.3/24\"]");
    let outputs = manager.reload(file(&text), s(1));
    assert_eq!(words(&outputs), ["release", "+ 192.0.2.3/24", "- 192.0.2.50/24", ROUTE]);
}

#[test]
fn the_same_address_with_another_length_makes_room_first() {
    let mut manager = manager(STATIC);
    manager.link(link(2, "eth0", connected()), None, s(0));
    let text = STATIC.replace("2001:db8::2/64", "2001:db8::2/48");
    let outputs = manager.reload(file(&text), s(1));
    assert_eq!(words(&outputs), ["- 2001:db8::2/64", "+ 2001:db8::2/48"]);
}

#[test]
fn an_address_that_goes_puts_the_ipv4_routes_in_doubt() {
    let mut manager = manager(STATIC);
    manager.link(link(2, "eth0", connected()), None, s(0));
    let again = ["route 198.51.100.0/24 via 192.0.2.9", "route 0.0.0.0/0 via 192.0.2.1"];
    let own = || Event::Address(address("192.0.2.2/24"));
    assert!(words(&manager.event(own(), s(1))).is_empty(), "it was given with its routes");
    assert_eq!(words(&manager.event(Event::Address(address("192.0.2.7/24")), s(1))), again);
    assert_eq!(words(&manager.event(Event::AddressGone(address("192.0.2.7/24")), s(2))), again);
    assert!(words(&manager.event(own(), s(3))).is_empty(), "it has only changed");
}

#[test]
fn an_address_that_a_person_takes_away_stays_away_until_the_file_is_read_again() {
    let mut manager = manager(STATIC);
    manager.link(link(2, "eth0", connected()), None, s(0));
    let one = address("192.0.2.2/24");
    manager.event(Event::Address(one.clone()), s(1));
    let outputs = manager.event(Event::AddressGone(one), s(2));
    assert_eq!(words(&outputs), ["unroute 198.51.100.0/24", "unroute 0.0.0.0/0"]);
    assert!(words(&manager.time(s(3))).is_empty());
    assert_eq!(
        words(&manager.reload(file(STATIC), s(4))),
        ["+ 192.0.2.2/24", "route 198.51.100.0/24 via 192.0.2.9", "route 0.0.0.0/0 via 192.0.2.1"]
    );
}
