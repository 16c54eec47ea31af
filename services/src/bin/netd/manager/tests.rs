//! Links that come, go and change, and what the manager does about it.

use netlink_packet_route::address::{AddressFlags, AddressScope};
use netlink_packet_route::link::{LinkFlags, LinkLayerType, State};
use services::network::config_reader::parse_config;
use services::network::mac::Mac;
use services::network::prefix::Prefix;

use super::*;
use crate::dhcp4::lease::{Lease, Times};
use crate::dhcp4::message::{Offer, Outgoing};

const DHCP: &str = "[[link]]\nmatch = { name = \"eth*\" }\ndhcp = true\n";

fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn manager(text: &str) -> Manager {
    let mut manager = Manager::new(parse_config("f", text).unwrap(), BTreeSet::new(), 1);
    manager.all_links(Vec::new(), s(0));
    manager
}

fn link(index: u32, name: &str, flags: LinkFlags) -> Link {
    Link {
        index,
        name: name.to_owned(),
        layer: LinkLayerType::Ether,
        kind: None,
        mac: Some(Mac([2, 0, 0, 0, 0, 1])),
        flags,
        mtu: 1500,
        state: State::Unknown,
        controller: None,
        parent: None,
        vlan_id: None,
        stp: None,
        statistics: None,
    }
}

fn bridge(index: u32, name: &str, stp: bool) -> Link {
    Link { kind: Some("bridge".to_owned()), stp: Some(stp), ..link(index, name, DOWN) }
}

fn vlan(index: u32, name: &str, parent: u32, id: u16) -> Link {
    let (kind, parent, vlan_id) = (Some("vlan".to_owned()), Some(parent), Some(id));
    Link { kind, parent, vlan_id, ..link(index, name, DOWN) }
}

fn address(prefix: &str) -> Address {
    Address {
        index: 2,
        prefix: prefix.parse().unwrap(),
        peer: None,
        scope: AddressScope::Universe,
        flags: AddressFlags::Permanent,
        valid_s: None,
        preferred_s: None,
        broadcast: None,
    }
}

const DOWN: LinkFlags = LinkFlags::empty();

fn up() -> LinkFlags {
    LinkFlags::Up
}

fn connected() -> LinkFlags {
    LinkFlags::Up | LinkFlags::LowerUp
}

/// What is done, in short words; questions to routers, the log, and the files that are kept but
/// which links are off are left out.
fn words(outputs: &[Output]) -> Vec<String> {
    let word = |output: &Output| match output {
        Output::Change(change) => Some(match change {
            Change::AddLink { name, .. } => format!("make {name}"),
            Change::DeleteLink(index) => format!("unmake {index}"),
            Change::SetLink(index, setting) => format!("set {index} {setting:?}"),
            Change::AddAddress { prefix, .. } => format!("+ {prefix}"),
            Change::DeleteAddress { prefix, .. } => format!("- {prefix}"),
            Change::ReplaceRoute(route) => {
                let via = route.gateway.map(|via| format!(" via {via}")).unwrap_or_default();
                format!("route {}{via}", route.destination)
            }
            Change::DeleteRoute(route) => format!("unroute {}", route.destination),
            other => format!("{other:?}"),
        }),
        Output::Inet4 { link, key, value } | Output::Inet6 { link, key, value } => {
            Some(format!("{link}/{key} = {value}"))
        }
        Output::Listen4 { on, .. } => Some(format!("dhcp {on}")),
        Output::Listen6 { on, .. } => Some(format!("dhcp6 {on}")),
        Output::Send4 { message, .. } => Some(message.name().to_owned()),
        Output::Send6 { .. } => Some("information-request".to_owned()),
        Output::Probe { address, .. } => Some(format!("probe {address}")),
        Output::HeldDown(names) => Some(format!("keep off {names:?}")),
        Output::Hostname(name) => Some(format!("hostname {name}")),
        Output::Resolvers(_) | Output::Given(_) => None,
        Output::Log(..) | Output::Solicit { .. } => None,
    };
    outputs.iter().filter_map(word).collect()
}

fn resolvers(outputs: &[Output]) -> Option<Vec<&str>> {
    outputs.iter().find_map(|output| match output {
        Output::Resolvers(text) => Some(text.lines().skip(1).collect()),
        _ => None,
    })
}

fn transaction(outputs: &[Output]) -> u32 {
    let found = outputs.iter().find_map(|output| match output {
        Output::Send4 {
            message:
                Outgoing::Discover { transaction, .. }
                | Outgoing::Request { transaction, .. }
                | Outgoing::Extend { transaction, .. },
            ..
        } => Some(*transaction),
        _ => None,
    });
    found.expect("nothing was sent")
}

fn lease() -> Box<Lease> {
    Box::new(Lease {
        address: "192.0.2.50".parse().unwrap(),
        prefix_length: 24,
        server: "192.0.2.1".parse().unwrap(),
        since: Duration::ZERO,
        times: Times::new(80, None, None),
        routers: vec!["192.0.2.1".parse().unwrap()],
        routes: Vec::new(),
        dns: vec!["192.0.2.53".parse().unwrap()],
        ntp: Vec::new(),
        search: vec!["lab.example".to_owned()],
        hostname: Some("box".to_owned()),
        mtu: Some(1400),
    })
}

/// Link 2 with a cable goes through discover and request at `now`; what binding does.
fn bind(manager: &mut Manager, outputs: &[Output], now: Duration) -> Vec<Output> {
    let lease = lease();
    let number = transaction(outputs);
    let offer = Offer { address: lease.address, server: lease.server };
    let outputs = manager.dhcp4(2, Reply::Offer { transaction: number, offer }, now);
    assert_eq!(words(&outputs), ["request"]);
    manager.dhcp4(2, Reply::Ack { transaction: number, lease }, now)
}

fn bound(text: &str) -> Manager {
    let mut manager = manager(text);
    let outputs = manager.link(link(2, "eth0", connected()), None, s(0));
    bind(&mut manager, &outputs, s(0));
    manager
}

#[test]
fn loopback_is_switched_on_and_strangers_are_left_alone() {
    let mut manager = manager("");
    let loopback = link(1, "lo", LinkFlags::Loopback);
    assert_eq!(words(&manager.link(loopback, None, s(0))), ["set 1 Up(true)"]);
    assert!(words(&manager.link(link(2, "eth0", DOWN), None, s(0))).is_empty());
    assert!(words(&manager.link(link(2, "eth0", connected()), None, s(0))).is_empty());
}

#[test]
fn a_link_gets_its_lease_step_by_step() {
    let mut manager = manager(&["hostname = \"lease\"\n", DHCP].concat());
    assert_eq!(
        words(&manager.link(link(2, "eth0", DOWN), None, s(0))),
        [
            "eth0/promote_secondaries = 1",
            "eth0/accept_ra = 2",
            "eth0/autoconf = 1",
            "eth0/disable_ipv6 = 0",
            "set 2 Up(true)"
        ]
    );
    assert!(words(&manager.link(link(2, "eth0", up()), None, s(1))).is_empty());
    let outputs = manager.link(link(2, "eth0", connected()), None, s(2));
    assert_eq!(words(&outputs), ["dhcp true", "discover"]);
    let outputs = bind(&mut manager, &outputs, s(2));
    assert_eq!(
        words(&outputs),
        [
            "probe 192.0.2.50",
            "dhcp false",
            "set 2 Mtu(1400)",
            "+ 192.0.2.50/24",
            "route 0.0.0.0/0 via 192.0.2.1",
            "hostname box",
        ]
    );
    assert_eq!(resolvers(&outputs), Some(vec!["nameserver 192.0.2.53", "search lab.example"]));
    assert_eq!(manager.deadline(), Some(s(42)));
}

#[test]
fn a_renewal_sets_new_lifetimes_and_nothing_else() {
    let mut manager = bound(DHCP);
    let outputs = manager.time(s(40));
    assert_eq!(words(&outputs), ["dhcp true", "renew"]);
    let reply = Reply::Ack { transaction: transaction(&outputs), lease: lease() };
    let outputs = manager.dhcp4(2, reply, s(41));
    assert_eq!(words(&outputs), ["dhcp false", "+ 192.0.2.50/24"]);
    let lifetime = outputs.iter().find_map(|output| match output {
        Output::Change(Change::AddAddress { valid_s, .. }) => *valid_s,
        _ => None,
    });
    assert_eq!(lifetime, Some(79));
}

#[test]
fn an_expired_lease_takes_address_route_and_resolvers_away() {
    let mut manager = bound(DHCP);
    let outputs = manager.time(s(80));
    // The kernel takes the route away with the address it leaves from.
    assert_eq!(words(&outputs), ["dhcp true", "discover", "- 192.0.2.50/24"]);
    assert_eq!(resolvers(&outputs), Some(vec![]));
}

#[test]
fn without_its_cable_a_link_keeps_its_address_but_nothing_goes_there() {
    let mut manager = bound(DHCP);
    let outputs = manager.link(link(2, "eth0", up()), None, s(5));
    assert_eq!(words(&outputs), ["unroute 0.0.0.0/0"]);
    assert_eq!(resolvers(&outputs), Some(vec![]));
    let outputs = manager.link(link(2, "eth0", connected()), None, s(6));
    assert_eq!(words(&outputs), ["dhcp true", "request", "route 0.0.0.0/0 via 192.0.2.1"]);
    assert_eq!(resolvers(&outputs).map(|lines| lines.len()), Some(2));
}

#[test]
fn a_conflict_is_declined() {
    let mut manager = bound(DHCP);
    assert!(manager.is_probing(2, s(1)) && !manager.is_probing(2, s(9)));
    let outputs = manager.conflict(2, s(1));
    assert_eq!(words(&outputs), ["decline", "- 192.0.2.50/24"]);
}

#[test]
fn a_link_that_was_pulled_out_is_forgotten_and_found_again() {
    let mut manager = bound(DHCP);
    let outputs = manager.event(Event::LinkGone(2), s(5));
    assert!(words(&outputs).is_empty());
    assert_eq!(resolvers(&outputs), Some(vec![]));
    assert_eq!(manager.deadline(), None);
    let outputs = manager.link(link(3, "eth0", DOWN), None, s(6));
    assert_eq!(words(&outputs).last().map(String::as_str), Some("set 3 Up(true)"));
}

#[test]
fn what_a_person_changes_by_hand_stays() {
    let mut manager = manager(DHCP);
    manager.link(link(2, "eth0", DOWN), None, s(0));
    manager.link(link(2, "eth0", connected()), None, s(0));
    let outputs = manager.link(link(2, "eth0", DOWN), None, s(1));
    assert!(!words(&outputs).iter().any(|word| word.starts_with("set")), "{outputs:?}");
}

const STATIC: &str = "[[link]]\nmatch = { name = \"eth0\" }\nipv6 = \"static\"\nmtu = 1500\n\
    addresses = [\"192.0.2.2/24\", \"2001:db8::2/64\"]\n\
    gateway = [\"192.0.2.1\", \"2001:db8::1\"]\ndns = \"192.0.2.53\"\n\
    [[link.route]]\nto = \"198.51.100.0/24\"\nvia = \"192.0.2.9\"\n";

#[test]
fn addresses_and_routes_of_the_file_are_set_once_the_link_is_up() {
    let mut manager = manager(STATIC);
    assert_eq!(
        words(&manager.link(link(2, "eth0", DOWN), None, s(0))),
        [
            "eth0/promote_secondaries = 1",
            "eth0/accept_ra = 0",
            "eth0/autoconf = 0",
            "eth0/disable_ipv6 = 0",
            "set 2 Up(true)"
        ]
    );
    let outputs = manager.link(link(2, "eth0", connected()), None, s(0));
    assert_eq!(
        words(&outputs),
        [
            "+ 192.0.2.2/24",
            "+ 2001:db8::2/64",
            "route 198.51.100.0/24 via 192.0.2.9",
            "route 0.0.0.0/0 via 192.0.2.1",
            "route ::/0 via 2001:db8::1",
        ]
    );
    assert!(manager.time(s(1000)).is_empty());
}

#[test]
fn a_new_file_changes_what_is_different_and_nothing_else() {
    let mut manager = manager(STATIC);
    manager.link(link(2, "eth0", connected()), None, s(0));
    let changed = STATIC.replace("192.0.2.2/24", "192.0.2.3/24").replace("192.0.2.9", "192.0.2.8");
    let outputs = manager.reload(parse_config("f", &changed).unwrap(), s(1));
    assert_eq!(
        words(&outputs),
        [
            "+ 192.0.2.3/24",
            "- 192.0.2.2/24",
            "unroute 198.51.100.0/24",
            "route 198.51.100.0/24 via 192.0.2.8",
            "route 0.0.0.0/0 via 192.0.2.1",
        ]
    );
    assert!(words(&manager.reload(parse_config("f", &changed).unwrap(), s(2))).is_empty());
    let outputs = manager.reload(Config::default(), s(3));
    assert!(words(&outputs).contains(&"- 192.0.2.3/24".to_owned()), "{outputs:?}");
}

#[test]
fn dhcp_that_is_no_longer_wanted_is_given_back() {
    let mut manager = bound(DHCP);
    let without = DHCP.replace("true", "false");
    let outputs = manager.reload(parse_config("f", &without).unwrap(), s(1));
    assert_eq!(words(&outputs), ["release", "- 192.0.2.50/24"]);
}

#[test]
fn a_router_with_the_o_flag_makes_the_link_ask_by_dhcpv6() {
    let mut manager = manager(DHCP);
    manager.link(link(2, "eth0", connected()), None, s(0));
    manager.event(Event::Inet6Flags { index: 2, flags: 0x80 }, s(1));
    let outputs = manager.time(s(2));
    assert!(words(&outputs).ends_with(&["dhcp6 true".into(), "information-request".into()]));
    let outputs = manager.event(Event::Inet6Flags { index: 2, flags: 0 }, s(3));
    assert_eq!(words(&outputs), ["dhcp6 false"]);
}

#[test]
fn dhcpv6_is_asked_again_when_the_cable_is_back_and_nobody_repeats_the_flags() {
    let mut manager = manager(DHCP);
    manager.link(link(2, "eth0", connected()), None, s(0));
    manager.event(Event::Inet6Flags { index: 2, flags: 0x40 }, s(1));
    assert!(words(&manager.time(s(2))).contains(&"dhcp6 true".to_owned()));
    let outputs = manager.link(link(2, "eth0", up()), None, s(3));
    assert_eq!(words(&outputs).last().map(String::as_str), Some("dhcp6 false"));
    assert!(!words(&manager.time(s(5))).contains(&"dhcp6 true".to_owned()), "without a cable");
    manager.link(link(2, "eth0", connected()), None, s(6));
    let outputs = manager.time(s(7));
    assert!(words(&outputs).ends_with(&["dhcp6 true".into(), "information-request".into()]));
    let fixed = [DHCP, "ipv6 = \"static\"\n"].concat();
    let outputs = manager.reload(parse_config("f", &fixed).unwrap(), s(8));
    assert!(words(&outputs).contains(&"dhcp6 false".to_owned()), "{outputs:?}");
}

#[test]
fn a_link_is_online_with_a_usable_address_and_a_cable() {
    let mut manager = manager(DHCP);
    manager.link(link(2, "eth0", connected()), None, s(0));
    assert!(!manager.is_online());
    let address = |flags, scope| Address {
        index: 2,
        prefix: "192.0.2.50/24".parse().unwrap(),
        peer: None,
        scope,
        flags,
        valid_s: None,
        preferred_s: None,
        broadcast: None,
    };
    let permanent = AddressFlags::Permanent;
    for (one, online) in [
        (address(permanent, AddressScope::Link), false),
        (address(permanent | AddressFlags::Tentative, AddressScope::Universe), false),
        (address(permanent, AddressScope::Universe), true),
    ] {
        manager.event(Event::Address(one.clone()), s(0));
        assert_eq!(manager.is_online(), online, "{one:?}");
    }
    manager.link(link(2, "eth0", up()), None, s(1));
    assert!(!manager.is_online());
}

#[test]
fn a_lease_of_a_former_life_is_taken_away() {
    let mut manager = manager(DHCP);
    manager.link(link(2, "eth0", connected()), None, s(0));
    let prefix: Prefix = "192.0.2.77/24".parse().unwrap();
    let former = Address {
        index: 2,
        prefix,
        peer: None,
        scope: AddressScope::Universe,
        flags: AddressFlags::empty(),
        valid_s: Some(60),
        preferred_s: Some(60),
        broadcast: None,
    };
    let fixed =
        Address { valid_s: None, prefix: "192.0.2.78/24".parse().unwrap(), ..former.clone() };
    let outputs = manager.found_addresses(&[former, fixed], s(0));
    assert_eq!(words(&outputs), ["- 192.0.2.77/24"]);
}

#[test]
fn people_renew_and_switch_links_by_name() {
    let mut manager = bound(DHCP);
    assert_eq!(words(&manager.renew("eth0", s(1)).unwrap()), ["dhcp true", "renew"]);
    assert_eq!(manager.renew("eth9", s(1)), Err(Refusal::NoSuchLink("eth9".to_owned())));
    let outputs = manager.set_up("eth0", false, s(2)).unwrap();
    let done = words(&outputs);
    assert!(done.contains(&"release".to_owned()) && done.contains(&"set 2 Up(false)".to_owned()));
    manager.link(link(2, "eth0", DOWN), None, s(2));
    let outputs = manager.set_up("eth0", true, s(3)).unwrap();
    assert!(words(&outputs).contains(&"set 2 Up(true)".to_owned()));
    manager.link(link(1, "lo", LinkFlags::Loopback | LinkFlags::Up), None, s(3));
    assert!(matches!(manager.renew("lo", s(3)), Err(Refusal::Failed(_))));
}

#[test]
fn leases_are_given_back_at_the_end_and_the_rest_stays() {
    let mut manager = bound(&[DHCP, "addresses = [\"198.51.100.2/24\"]\n"].concat());
    assert_eq!(words(&manager.release(s(5))), ["release", "- 192.0.2.50/24"]);
}

#[test]
fn the_status_says_where_things_come_from() {
    let manager = bound(DHCP);
    let status = manager.status(s(10));
    let link = &status[0];
    assert_eq!(
        (link["name"].as_str(), link["state"].as_str()),
        (Some("eth0"), Some("configuring"))
    );
    assert_eq!(link["dhcp"]["lease"]["expires_in_s"], 70);
    assert_eq!(link["dhcp"]["lease"]["renewal_in_s"], 30);
    assert_eq!(link["dns"][0], "192.0.2.53");
    assert_eq!(link["routes"][0]["via"], "192.0.2.1");
}

mod addresses;
mod former;
mod inet6;
mod made;
mod refused;
mod settings;
