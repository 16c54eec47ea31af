//! The links that the file makes: when they are made, made anew, left alone and taken away.

use super::refused::{refusals, refuse};
use super::*;

#[test]
fn vlans_and_bridges_are_made_when_what_they_need_is_there() {
    let text = "[[bridge]]\nname = \"br0\"\n[[vlan]]\nname = \"lan\"\non = \"eth0\"\nid = 7\n\
        [[link]]\nmatch = { name = \"eth1\" }\nbridge = \"br0\"\n";
    let mut manager = Manager::new(parse_config("f", text).unwrap(), BTreeSet::new(), 1);
    assert!(words(&manager.time(s(0))).is_empty(), "it may be there, and is not listed yet");
    assert_eq!(words(&manager.all_links(Vec::new(), s(0))), ["make br0"]);
    let outputs = manager.link(link(2, "eth0", DOWN), None, s(0));
    assert_eq!(words(&outputs), ["make lan", "set 2 Up(true)"]);
    let outputs = manager.link(link(3, "eth1", DOWN), None, s(0));
    let expected = [
        "eth1/promote_secondaries = 1",
        "eth1/accept_ra = 2",
        "eth1/autoconf = 1",
        "eth1/disable_ipv6 = 0",
        "set 3 Up(true)",
    ];
    assert_eq!(words(&outputs), expected);
    let outputs = manager.link(bridge(4, "br0", false), None, s(0));
    assert_eq!(words(&outputs), ["set 3 Controller(Some(4))", "set 4 Up(true)"]);
    let outputs = manager.reload(Config::default(), s(1));
    assert!(words(&outputs).contains(&"unmake 4".to_owned()), "{outputs:?}");
}

#[test]
fn a_vlan_is_made_again_on_whatever_takes_its_parents_place() {
    let text = "[[vlan]]\nname = \"lan\"\non = \"eth0\"\nid = 7\n";
    let make = "make lan".to_owned();
    let mut manager = manager(text);
    assert!(words(&manager.link(link(2, "eth0", DOWN), None, s(0))).contains(&make));
    manager.link(vlan(3, "lan", 2, 7), None, s(0));
    // The VLAN goes first, while its parent still seems to be there.
    assert_eq!(words(&manager.event(Event::LinkGone(3), s(1))), std::slice::from_ref(&make));
    assert!(words(&manager.time(s(1))).is_empty(), "it is not asked for over and over");
    assert!(words(&manager.event(Event::LinkGone(2), s(1))).is_empty());
    let outputs = manager.link(link(4, "eth0", DOWN), None, s(2));
    assert!(words(&outputs).contains(&make), "{outputs:?}");
    let outputs = manager.link(link(4, "eth1", DOWN), None, s(3));
    assert!(!words(&outputs).contains(&make), "{outputs:?}");
}

const LAN: &str = "[[vlan]]\nname = \"lan\"\non = \"eth0\"\nid = 7\n";

/// A daemon that finds `eth0`, `eth1` and this link when it starts.
fn started(text: &str, found: Link) -> (Manager, Vec<Output>) {
    let mut manager = Manager::new(parse_config("f", text).unwrap(), BTreeSet::new(), 1);
    let links = [link(2, "eth0", up()), link(3, "eth1", up()), found];
    let outputs = manager.all_links(links.map(|link| (link, None)).into(), s(0));
    (manager, outputs)
}

fn reload(manager: &mut Manager, text: &str) -> Vec<String> {
    words(&manager.reload(parse_config("f", text).unwrap(), s(1)))
}

#[test]
fn what_is_there_as_the_file_has_it_is_not_touched_and_goes_with_its_table() {
    let (mut manager, outputs) = started(LAN, Link { flags: up(), ..vlan(4, "lan", 2, 7) });
    assert!(words(&outputs).is_empty(), "{outputs:?}");
    assert!(reload(&mut manager, LAN).is_empty());
    assert_eq!(reload(&mut manager, ""), ["unmake 4"]);
}

#[test]
fn nothing_is_set_of_a_link_that_goes() {
    let port = "[[bridge]]\nname = \"br0\"\n\
        [[link]]\nmatch = { name = \"lan\" }\nbridge = \"br0\"\nmtu = 1400\n";
    let mut manager = manager(&[LAN, port].concat());
    manager.link(link(2, "eth0", up()), None, s(0));
    manager.link(vlan(4, "lan", 2, 7), None, s(0));
    manager.link(bridge(5, "br0", false), None, s(0));
    let there = Link { flags: up(), mtu: 1400, controller: Some(5), ..vlan(4, "lan", 2, 7) };
    manager.link(there.clone(), None, s(0));
    let outputs = reload(&mut manager, "");
    assert!(outputs.contains(&"unmake 4".to_owned()), "{outputs:?}");
    assert!(!outputs.iter().any(|word| word.starts_with("set 4")), "{outputs:?}");
    assert!(words(&manager.link(there, None, s(1))).is_empty());
}

#[test]
fn a_vlan_with_another_number_or_on_another_link_is_made_anew() {
    for changed in [LAN.replace('7', "8"), LAN.replace("eth0", "eth1")] {
        let found = || Link { flags: up(), ..vlan(4, "lan", 2, 7) };
        let (mut manager, _) = started(LAN, found());
        assert_eq!(reload(&mut manager, &changed), ["unmake 4"]);
        assert!(words(&manager.link(found(), None, s(1))).is_empty(), "it is about to go");
        assert_eq!(words(&manager.event(Event::LinkGone(4), s(1))), ["make lan"]);
        let (_, outputs) = started(&changed, found());
        assert_eq!(words(&outputs), ["unmake 4"], "so does one from before the start");
    }
}

#[test]
fn a_vlan_that_is_to_be_a_bridge_is_made_anew() {
    let (mut manager, _) = started(LAN, Link { flags: up(), ..vlan(4, "lan", 2, 7) });
    assert_eq!(reload(&mut manager, "[[bridge]]\nname = \"lan\"\n"), ["unmake 4"]);
    assert_eq!(words(&manager.event(Event::LinkGone(4), s(1))), ["make lan"]);
}

#[test]
fn a_vlan_that_a_person_changed_stays_until_the_file_is_read_again() {
    let (mut manager, _) = started(LAN, Link { flags: up(), ..vlan(4, "lan", 2, 7) });
    manager.event(Event::LinkGone(4), s(0));
    let by_hand = Link { flags: up(), ..vlan(5, "lan", 2, 9) };
    assert!(words(&manager.link(by_hand, None, s(0))).is_empty());
    assert_eq!(reload(&mut manager, LAN), ["unmake 5"]);
}

#[test]
fn what_lies_on_a_vlan_that_is_made_anew_is_made_on_the_new_one() {
    let inner = "[[vlan]]\nname = \"inner\"\non = \"lan\"\nid = 9\n";
    let (mut manager, _) = started(&[inner, LAN].concat(), vlan(4, "lan", 2, 7));
    manager.link(vlan(5, "inner", 4, 9), None, s(0));
    assert_eq!(reload(&mut manager, &[inner, &LAN.replace('7', "8")].concat()), ["unmake 4"]);
    assert!(words(&manager.event(Event::LinkGone(5), s(1))).is_empty());
    assert_eq!(words(&manager.event(Event::LinkGone(4), s(1))), ["make lan"]);
    let outputs = manager.link(vlan(6, "lan", 2, 8), None, s(1));
    assert_eq!(words(&outputs), ["make inner", "set 6 Up(true)"]);
}

#[test]
fn a_bridge_is_told_whether_to_speak_stp_and_stays_the_same_one() {
    let text = |stp| format!("[[bridge]]\nname = \"br0\"\nstp = {stp}\n");
    let found = |stp| Link { flags: up(), ..bridge(4, "br0", stp) };
    let (mut manager, outputs) = started(&text(false), found(true));
    assert_eq!(words(&outputs), ["set 4 Stp(false)"]);
    for stp in [true, false, true] {
        manager.link(found(!stp), None, s(1));
        assert_eq!(reload(&mut manager, &text(stp)), [format!("set 4 Stp({stp})")]);
    }
}

#[test]
fn another_sort_of_link_of_that_name_is_left_alone_and_told() {
    for text in [LAN.replace("\"lan\"", "\"eth1\""), "[[bridge]]\nname = \"eth1\"\n".to_owned()] {
        let (mut manager, outputs) = started(&text, link(4, "eth4", DOWN));
        let changes = words(&outputs);
        assert!(!changes.iter().any(|word| word.contains("make")), "{changes:?}");
        assert_eq!(refusals(&manager), ["make the link eth1"]);
        let status = manager.status(s(1));
        assert_eq!(status[1]["refused"][0]["why"], "another sort of link has this name");
        assert!(!reload(&mut manager, "").iter().any(|word| word.contains("make")));
        assert!(refusals(&manager).is_empty());
    }
}

#[test]
fn a_vlan_on_a_link_that_is_not_there_is_told_until_it_comes() {
    let text = LAN.replace("eth0", "eth9");
    let (mut manager, _) = started(&text, link(4, "eth4", DOWN));
    assert_eq!(refusals(&manager), ["make the link lan"]);
    let status = manager.status(s(1));
    assert_eq!(status[3]["name"], "lan");
    assert_eq!(status[3]["state"], "missing");
    assert_eq!(status[3]["refused"][0]["why"], "there is no link eth9");
    let outputs = manager.link(link(5, "eth9", up()), None, s(2));
    assert_eq!(words(&outputs), ["make lan"]);
    assert!(refusals(&manager).is_empty());
}

#[test]
fn a_link_that_the_kernel_does_not_make_is_told_and_asked_for_again() {
    let (mut manager, outputs) = started(LAN, link(4, "eth4", DOWN));
    refuse(&mut manager, &outputs, |change| change == "make the link lan");
    assert_eq!(refusals(&manager), ["make the link lan"]);
    assert!(words(&manager.time(s(1))).is_empty());
    assert_eq!(manager.status(s(1))[3]["refused"][0]["why"], "no");
    assert_eq!(reload(&mut manager, LAN), ["make lan"]);
    assert!(refusals(&manager).is_empty());
}
