//! What is set of links, and put back when nobody wants it any longer.

use super::*;

const ETH0: &str = "[[link]]\nmatch = { name = \"eth0\" }\n";

fn reload(manager: &mut Manager, text: &str) -> Vec<String> {
    let outputs = manager.reload(parse_config("f", text).unwrap(), s(1));
    words(&outputs).into_iter().filter(|word| word.starts_with("set")).collect()
}

fn with_mtu(mtu: u32) -> Link {
    Link { mtu, ..link(2, "eth0", connected()) }
}

#[test]
fn the_mtu_from_before_is_back_when_the_file_has_none() {
    for without in [ETH0, ""] {
        let mut manager = manager(&[ETH0, "mtu = 1400\n"].concat());
        manager.link(with_mtu(1480), None, s(0));
        manager.link(with_mtu(1400), None, s(0));
        assert_eq!(reload(&mut manager, &[ETH0, "mtu = 1300\n"].concat()), ["set 2 Mtu(1300)"]);
        manager.link(with_mtu(1300), None, s(1));
        assert_eq!(reload(&mut manager, without), ["set 2 Mtu(1480)"]);
        manager.link(with_mtu(1480), None, s(2));
        manager.link(with_mtu(1200), None, s(3));
        assert!(reload(&mut manager, without).is_empty(), "by hand, and nobody else's wish");
    }
}

#[test]
fn the_mtu_of_a_lease_goes_with_it_and_comes_back_with_the_next() {
    let mut manager = bound(DHCP);
    manager.link(with_mtu(1400), None, s(0));
    let outputs = manager.time(s(80));
    assert!(words(&outputs).contains(&"set 2 Mtu(1500)".to_owned()), "{outputs:?}");
    manager.link(with_mtu(1500), None, s(80));
    let outputs = bind(&mut manager, &outputs, s(81));
    assert!(words(&outputs).contains(&"set 2 Mtu(1400)".to_owned()), "{outputs:?}");
}

#[test]
fn a_port_leaves_its_bridge_when_the_file_has_none() {
    let bridge_table = "[[bridge]]\nname = \"br0\"\n";
    let mut manager = manager(&[ETH0, "bridge = \"br0\"\n", bridge_table].concat());
    manager.link(bridge(4, "br0", false), None, s(0));
    manager.link(link(2, "eth0", connected()), None, s(0));
    manager.link(Link { controller: Some(4), ..link(2, "eth0", connected()) }, None, s(0));
    let without = [ETH0, bridge_table].concat();
    assert_eq!(reload(&mut manager, &without), ["set 2 Controller(None)"]);
    assert!(reload(&mut manager, &without).is_empty());
}

#[test]
fn a_link_that_a_person_switched_off_stays_off_after_a_start_until_it_is_switched_on() {
    let mut manager = bound(DHCP);
    let outputs = manager.set_up("eth0", false, s(1)).unwrap();
    assert!(words(&outputs).contains(&"keep off {\"eth0\"}".to_owned()), "{outputs:?}");
    let kept = outputs.into_iter().find_map(|output| match output {
        Output::HeldDown(names) => Some(names),
        _ => None,
    });
    let mut next = Manager::new(parse_config("f", DHCP).unwrap(), kept.unwrap(), 2);
    let outputs = next.all_links(vec![(link(2, "eth0", DOWN), None)], s(2));
    assert!(!words(&outputs).iter().any(|word| word.starts_with("set")), "{outputs:?}");
    assert_eq!(next.status(s(2))[0]["state"], "held-down");
    let outputs = next.set_up("eth0", true, s(3)).unwrap();
    assert_eq!(words(&outputs), ["keep off {}", "set 2 Up(true)", "set 2 Up(true)"]);
}
