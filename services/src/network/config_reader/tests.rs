//! What a good file means, and what a bad one is told.

use super::*;
use crate::network::config::LinkSort;

const GOOD: &str = r#"
hostname = "lease"
wait-online = "10s"
dns = "9.9.9.9"
search = ["example.org."]

[[link]]
match = { name = "eth*", mac = "52:54:00:00:00:01", driver = "virtio_net", type = "ethernet" }
dhcp = true
metric = 50
mtu = 1400

[[link]]
match = { name = "br0" }
ipv6 = "static"
addresses = ["192.0.2.2/24", "2001:db8::2/64"]
gateway = ["192.0.2.1", "2001:db8::1"]
dns = ["192.0.2.53", "2001:db8::53"]

[[link.route]]
to = "198.51.100.0/24"
via = "192.0.2.9"
metric = 7

[[link.route]]
to = "default"

[[link]]
match = { name = "eth1" }
bridge = "br0"

[[vlan]]
name = "lan.20"
on = "eth0"
id = 20

[[bridge]]
name = "br0"
stp = true
"#;

#[test]
fn a_file_is_read() {
    let config = parse_config("f", GOOD).unwrap();
    assert!(config.hostname_from_lease);
    assert_eq!(config.wait_online, Duration::from_secs(10));
    assert_eq!(config.search, ["example.org"]);
    let [first, second, third] = config.links.as_slice() else { panic!("{config:?}") };
    assert_eq!(first.matching.sort, Some(LinkSort::Ethernet));
    assert_eq!((first.dhcp, first.metric, first.mtu), (true, 50, Some(1400)));
    assert_eq!(first.ipv6, Ipv6::Auto);
    assert_eq!((second.dhcp, second.metric, second.ipv6), (false, METRIC_DEFAULT, Ipv6::Static));
    assert_eq!(second.addresses.len(), 2);
    assert_eq!(second.routes.len(), 2);
    assert_eq!(second.routes[0].metric, Some(7));
    assert_eq!(second.routes[1].to.to_string(), "0.0.0.0/0");
    assert_eq!(third.bridge.as_deref(), Some("br0"));
    assert_eq!(config.vlans, [VlanConfig { name: "lan.20".into(), on: "eth0".into(), id: 20 }]);
    assert_eq!(config.bridges, [BridgeConfig { name: "br0".into(), stp: true }]);
    assert!(config.makes("br0") && config.makes("lan.20") && !config.makes("eth0"));
    assert!(config.carries("eth0") && !config.carries("eth1"));
    assert_eq!(parse_config("f", ""), Ok(Config::default()));
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    for (text, expected) in [
        ("hostnam = \"x\"", "f:1:1: unknown key \"hostnam\"\n  hint: did you mean \"hostname\"?"),
        ("hostname = \"x\"", "f:1:12: \"hostname\" cannot be \"x\""),
        ("dns = [\"1.2.3\"]", "f:1:8: `dns`: `1.2.3` is no IPv4 or IPv6 address"),
        ("search = [\"a b\"]", "f:1:11: `search`: `a b` is no domain name"),
        ("[[link]]\ndhcp = true", "f:1:1: a link without `match`\n  hint: say which links"),
        ("[[link]]\nmatch = { nam = \"x\" }", "f:2:11: unknown key \"match.nam\""),
        ("[[link]]\nmatch = { mac = \"5\" }", "f:2:17: \"match.mac\": `5` is no hardware"),
        (
            "[[link]]\nmatch = {}\naddresses = [\"10.0.0.1\"]",
            "f:3:14: `addresses`: `10.0.0.1` has no prefix length",
        ),
        (
            "[[link]]\nmatch = {}\naddresses = [\"224.0.0.1/4\"]",
            "f:3:14: `addresses`: `224.0.0.1/4` cannot be the address of a link",
        ),
        (
            "[[link]]\nmatch = {}\ngateway = [\"10.0.0.1\", \"10.0.0.2\"]",
            "f:3:11: two gateways of one family",
        ),
        (
            "[[link]]\nmatch = {}\nipv6 = \"off\"\naddresses = [\"2001:db8::1/64\"]",
            "f:4:13: an IPv6 address with `ipv6 = \"off\"`",
        ),
        (
            "[[link]]\nmatch = {}\nmtu = 1279\naddresses = [\"2001:db8::1/64\"]",
            "f:3:7: IPv6 needs an MTU of 1280 (RFC 8200, 5)\n  hint: raise it",
        ),
        (
            "[[link]]\nmatch = {}\nmtu = 68\n[[link.route]]\nto = \"2001:db8::/32\"",
            "f:3:7: IPv6 needs an MTU of 1280 (RFC 8200, 5)\n  hint: raise it",
        ),
        (
            "[[link]]\nmatch = {}\n[[link.route]]\nto = \"10.0.0.1/8\"",
            "f:4:6: \"route 1.to\": `10.0.0.1/8` is no network: did you mean `10.0.0.0/8`?",
        ),
        ("[[link]]\nmatch = {}\n[[link.route]]\nvia = \"10.0.0.1\"", "f:3:1: `to` is missing"),
        (
            "[[link]]\nmatch = {}\n[[link.route]]\nto = \"::/0\"\nvia = \"10.0.0.1\"",
            "f:5:7: `to` and `via` are of two families",
        ),
        ("[[vlan]]\nname = \"a\"\non = \"b\"\nid = 4095", "f:4:6: \"vlan 1.id\" is from 1 to 4094"),
        (
            "[[vlan]]\nname = \"a\"\non = \"a\"\nid = 1",
            "f:3:6: the VLAN `a` lies on itself\n  hint: name the link",
        ),
        (
            "[[vlan]]\nname = \"a\"\non = \"c\"\nid = 5\n[[vlan]]\nname = \"b\"\non = \"c\"\nid = 5",
            "f:8:6: `a` and `b` are both the VLAN 5 on `c`\n  hint: leave one of them out",
        ),
        (
            "[[vlan]]\nname = \"lo\"\non = \"c\"\nid = 5",
            "f:2:8: `lo` is the loopback interface, which every machine has\n  hint: give",
        ),
        ("[[bridge]]\nname = \"lo\"", "f:2:8: `lo` is the loopback interface"),
        (
            "[[link]]\nmatch = {}\nmetric = 0\ngateway = \"2001:db8::1\"",
            "f:3:10: no IPv6 route has the metric 0\n  hint: 1 is the lowest",
        ),
        (
            "[[link]]\nmatch = {}\n[[link.route]]\nto = \"2001:db8::/32\"\nmetric = 0",
            "f:5:10: no IPv6 route has the metric 0",
        ),
        (
            "[[bridge]]\nname = \"a-name-that-is-too-long\"",
            "f:2:8: \"bridge 1.name\": `a-name-that-is-too-long` is no name of a link",
        ),
        ("[[bridge]]\nname = \"../x\"", "f:2:8: \"bridge 1.name\": `../x` is no name of a link"),
        ("[[bridge]]\nname=\"a\"\n[[bridge]]\nname=\"a\"", "f:4:6: two links are to be called `a`"),
        ("[[link]]\nmatch = {}\nbridge = \"b\"", "f:1:1: no [[bridge]] is called `b`"),
    ] {
        let findings = parse_config("f", text).unwrap_err();
        assert_eq!(findings.len(), 1, "{text}: {findings:?}");
        let found = findings[0].to_string();
        assert!(found.starts_with(expected), "{text}: {found}");
    }
}

#[test]
fn vlans_that_lie_on_each_other_are_each_told() {
    let vlans = |all: [(&str, &str); 4]| {
        let one = |((name, on), id): ((&str, &str), u8)| {
            format!("[[vlan]]\nname = \"{name}\"\non = \"{on}\"\nid = {id}\n")
        };
        all.into_iter().zip(1..).map(one).collect::<String>()
    };
    let circle = vlans([("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")]);
    let findings = parse_config("f", &circle).unwrap_err();
    let found: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[2].starts_with("f:11:6: the VLAN `c` lies on itself by way of others"));
    assert!(parse_config("f", &vlans([("a", "b"), ("b", "c"), ("c", "e"), ("d", "a")])).is_ok());
}

#[test]
fn the_default_route_is_of_the_family_of_its_gateway() {
    for (via, to) in [("via = \"2001:db8::1\"", "::/0"), ("via = \"192.0.2.1\"", "0.0.0.0/0")] {
        let text = format!("[[link]]\nmatch = {{}}\n[[link.route]]\nto = \"default\"\n{via}");
        let config = parse_config("f", &text).unwrap();
        assert_eq!(config.links[0].routes[0].to.to_string(), to);
    }
}

#[test]
fn the_metric_0_is_for_ipv4() {
    let text = "[[link]]\nmatch = {}\nmetric = 0\ngateway = \"192.0.2.1\"";
    assert_eq!(parse_config("f", text).unwrap().links[0].metric, 0);
}
