//! What the kernel refuses: who is told, and when it is asked for again.

use super::*;

/// The kernel answers everything but what `refuses` is true of.
pub(super) fn refuse(manager: &mut Manager, outputs: &[Output], refuses: impl Fn(&str) -> bool) {
    for output in outputs {
        if let Output::Change(change) = output
            && refuses(&describe(change))
        {
            manager.refused(Refused { change: change.clone(), why: "no".to_owned() });
        }
    }
}

pub(super) fn refusals(manager: &Manager) -> Vec<String> {
    let links = manager.refusals();
    let of_links = links.as_array().unwrap().iter().flat_map(|link| {
        link["refused"].as_array().unwrap().iter().map(|one| one["change"].as_str().unwrap())
    });
    of_links.map(str::to_owned).collect()
}

const OFF_LINK: &str = "[[link]]\nmatch = { name = \"eth0\" }\nipv6 = \"static\"\n\
    addresses = [\"192.0.2.2/24\", \"2001:db8::2/64\"]\ngateway = [\"203.0.113.1\", \"2001:db8:1::1\"]\n";

fn refused_routes() -> Manager {
    let mut manager = manager(OFF_LINK);
    let outputs = manager.link(link(2, "eth0", connected()), None, s(0));
    refuse(&mut manager, &outputs, |change| change.starts_with("set the route"));
    manager
}

#[test]
fn a_route_that_is_refused_is_none_that_the_link_has() {
    let mut manager = refused_routes();
    let both =
        ["set the route to 0.0.0.0/0 via 203.0.113.1", "set the route to ::/0 via 2001:db8:1::1"];
    assert_eq!(refusals(&manager), both);
    let status = manager.status(s(1));
    assert_eq!(status[0]["routes"], serde_json::json!([]));
    assert_eq!(status[0]["refused"][0]["why"], "no");
    // Time alone changes nothing.
    assert!(words(&manager.time(s(100))).is_empty());
    assert_eq!(refusals(&manager), both);
}

#[test]
fn it_is_asked_for_again_when_an_address_of_its_family_comes() {
    let mut manager = refused_routes();
    let outputs = manager.event(Event::Address(address("2001:db8:1::2/64")), s(1));
    assert_eq!(words(&outputs), ["route ::/0 via 2001:db8:1::1"]);
    assert_eq!(refusals(&manager), ["set the route to 0.0.0.0/0 via 203.0.113.1"]);
    let outputs = manager.event(Event::Address(address("203.0.113.2/24")), s(2));
    assert_eq!(words(&outputs), ["route 0.0.0.0/0 via 203.0.113.1"]);
    assert!(refusals(&manager).is_empty());
    assert_eq!(manager.status(s(3))[0]["routes"][1]["to"], "::/0");
}

#[test]
fn a_new_file_asks_for_all_of_it_again_and_forgets_what_it_no_longer_has() {
    let text = OFF_LINK.replace("gateway =", "mtu = 65000\ngateway =");
    let mut manager = manager(&text);
    let outputs = manager.link(link(2, "eth0", connected()), None, s(0));
    refuse(&mut manager, &outputs, |change| !change.contains("192.0.2.2"));
    let all = [
        "give link 2 the MTU 65000",
        "set the address 2001:db8::2/64",
        "set the route to 0.0.0.0/0 via 203.0.113.1",
        "set the route to ::/0 via 2001:db8:1::1",
    ];
    assert_eq!(refusals(&manager), all);
    let outputs = manager.reload(parse_config("f", &text).unwrap(), s(1));
    assert_eq!(
        words(&outputs),
        [
            "set 2 Mtu(65000)",
            "+ 2001:db8::2/64",
            "route 0.0.0.0/0 via 203.0.113.1",
            "route ::/0 via 2001:db8:1::1"
        ]
    );
    refuse(&mut manager, &outputs, |_| true);
    assert_eq!(refusals(&manager), all);
    manager.reload(parse_config("f", DHCP).unwrap(), s(2));
    assert!(refusals(&manager).is_empty());
}

#[test]
fn an_address_that_came_by_another_way_is_refused_no_more() {
    let mut manager = manager(OFF_LINK);
    let outputs = manager.link(link(2, "eth0", connected()), None, s(0));
    refuse(&mut manager, &outputs, |change| change == "set the address 2001:db8::2/64");
    assert_eq!(refusals(&manager), ["set the address 2001:db8::2/64"]);
    manager.event(Event::Address(address("2001:db8::2/64")), s(1));
    assert!(refusals(&manager).is_empty());
}
