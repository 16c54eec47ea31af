//! What a file means, and what is said about one that is wrong.

use super::translation::{FORWARD_PORT_KEYS, MASQUERADE_KEYS};
use super::*;

fn messages(text: &str) -> Vec<String> {
    parse("f", text).unwrap_err().into_iter().map(|finding| finding.message).collect()
}

#[test]
fn an_empty_file_lets_out_and_not_in() {
    let rules = parse("f", "").unwrap();
    assert_eq!(rules, RuleSet::default());
    assert_eq!(rules.policies.input, Action::Drop);
    assert_eq!(rules.policies.output, Action::Accept);
    assert!(rules.implied.established && rules.implied.loopback);
}

#[test]
fn every_key_is_understood() {
    let rules = parse(
        "f",
        "[policy]\nin = \"reject\"\nlog = true\n[implied]\ndhcp-client = false\n\
         [[rule]]\nname = \"a\"\ndirection = \"forward\"\naction = \"drop\"\nprotocol = [\"tcp\", 17]\n\
         ports = [22, \"80-90\"]\nsource-ports = \"1-2\"\nfrom = \"10.0.0.0/8\"\nto = [\"10.0.0.1\", \"::/0\"]\n\
         in-interface = \"lan*\"\nout-interface = \"wan0\"\nrate = \"3/hour\"\nburst = 9\nlog = \"a: \"\n\
         [[rule]]\naction = \"accept\"\nprotocol = [\"icmp\", \"icmpv6\"]\nicmp-types = [\"echo-request\", 200]\n\
         [[masquerade]]\nout-interface = \"wan0\"\n\
         [[forward-port]]\nin-interface = \"wan0\"\nport = 80\nto = \"fd00::2\"\n\
         destination = \"2001:db8::1\"\n",
    )
    .unwrap();
    assert_eq!(rules.policies.input, Action::Reject);
    assert!(rules.policies.log && !rules.implied.dhcp_client);
    let rule = &rules.rules[0];
    assert_eq!(rule.protocols, [Protocol::TCP, Protocol::UDP]);
    assert_eq!(
        (rule.ports.as_slice(), rule.source_ports.as_slice()),
        (&[22..=22, 80..=90][..], &[1..=2][..])
    );
    assert_eq!(rule.rate, Some(Rate { packets: 3, per_seconds: 3600, burst: 9 }));
    assert!(rule.in_interface.as_ref().unwrap().is_prefix);
    let types = [(1, 8), (58, 128), (1, 200), (58, 200)].map(|(of, kind)| (Protocol(of), kind));
    assert_eq!(rules.rules[1].icmp_types, types);
    assert_eq!(rules.rules[1].name, "rule-2");
    let forwarded = &rules.forwarded_ports[0];
    assert_eq!((forwarded.port, forwarded.to_port), (80, 80));
    assert_eq!(forwarded.protocols, [Protocol::TCP]);
    assert_eq!(forwarded.in_interface, interface("wan0").unwrap());
    assert_eq!(forwarded.destination, [network("2001:db8::1").unwrap()]);
}

#[test]
fn what_is_wrong_with_a_rule_is_said() {
    let rule = "[[rule]]\naction = \"accept\"\n";
    for (text, message) in [
        ("", "a rule wants an \"action\": accept, drop or reject"),
        ("ports = 22", "only tcp, udp and sctp have ports"),
        ("protocol = \"icmp\"\nsource-ports = 22", "only tcp, udp and sctp have ports"),
        ("protocol = \"tcp\"\nports = 0", "neither a port nor a range of ports"),
        ("protocol = \"tcp\"\nports = \"9-8\"", "neither a port nor a range of ports"),
        ("protocol = \"tcp\"\nports = 70000", "neither a port nor a range of ports"),
        ("protocol = 256", "a protocol's number is from 0 to 255"),
        ("protocol = [6, \"tcp\"]", "tcp is named twice"),
        ("from = \"10.0.0.1/8\"", "\"10.0.0.1/8\" has bits beyond its prefix"),
        ("from = \"10.0.0.0/33\"", "\"10.0.0.0/33\" is no network"),
        ("from = \"fd00::/129\"", "\"fd00::/129\" is no network"),
        ("from = \"home\"", "\"home\" is no network"),
        (
            "from = \"10.0.0.0/8\"\nto = \"fd00::/8\"",
            "\"from\" and \"to\" are of different families: no packet has both",
        ),
        ("protocol = \"icmp\"\nfrom = \"fd00::/8\"", "no icmp packet has such an address"),
        ("icmp-types = 8", "only icmp and icmpv6 have \"icmp-types\""),
        ("protocol = \"icmp\"\nicmp-types = \"packet-too-big\"", "no type of such messages"),
        ("protocol = \"icmp\"\nicmp-types = 256", "no type of such messages"),
        ("out-interface = \"a\"", "a packet on its way in has none yet"),
        ("direction = \"out\"\nin-interface = \"a\"", "a packet on its way out has none yet"),
        (
            "in-interface = \"eth0:1\"",
            "\"rule 1.in-interface\": \"eth0:1\" is no interface's name, nor the start of one and `*`",
        ),
        (
            "in-interface = \"*\"",
            "\"rule 1.in-interface\": \"*\" is no interface's name, nor the start of one and `*`",
        ),
        ("burst = 3", "\"burst\" belongs to a \"rate\""),
        (
            "rate = \"3/week\"",
            "\"rule 1.rate\": a rate is such as \"10/second\", \"30/minute\", \"5/hour\" or \"1/day\"",
        ),
        ("rate = \"0/day\"", "\"rule 1.rate\": a rate is from 1 to 1000000 packets"),
        ("log = \"\"", "\"rule 1.log\": 1 to 64 printable ASCII characters"),
        ("name = \"policy\"", "\"rule 1.name\": \"policy\" is the name of what needs no rule"),
        ("name = \"A\"", "\"rule 1.name\": \"A\" is not 1 to 32 of a-z, 0-9, - and _"),
        (
            "name = \"x\"\n[[rule]]\nname = \"x\"\naction = \"drop\"",
            "the name \"x\" is given twice",
        ),
    ] {
        let start = if text.is_empty() { "[[rule]]\n" } else { rule };
        assert_eq!(messages(&format!("{start}{text}\n")), [message], "{text}");
    }
}

#[test]
fn a_wrong_action_hides_no_other_mistake() {
    let text = "[[rule]]\naction = \"acept\"\nports = 22\n[[rule]]\nout-interface = \"a\"\n";
    let expected = [
        "\"rule 1.action\" cannot be \"acept\"",
        "only tcp, udp and sctp have ports",
        "a rule wants an \"action\": accept, drop or reject",
        "a packet on its way in has none yet",
    ];
    assert_eq!(messages(text), expected);
    let text = "[[forward-port]]\nin-interface = \"a\"\nport = 0\nto = \"::1\"\n\
                destination = \"192.0.2.1\"\n";
    assert_eq!(messages(text).len(), 2);
}

#[test]
fn a_name_that_another_rule_has_by_its_place_is_told_where_it_is_given() {
    let [named, unnamed] = ["name = \"rule-2\"\naction = \"drop\"", "action = \"drop\""];
    let text = format!("[[rule]]\n{named}\n[[rule]]\n{unnamed}\n");
    let [finding] = parse("f", &text).unwrap_err().try_into().unwrap();
    assert_eq!(finding.message, "\"rule-2\" is the name of one that has none, by its place");
    assert_eq!((finding.place.line, finding.place.column), (2, 8));
    let own_place = format!("[[rule]]\n{unnamed}\n[[rule]]\n{named}\n");
    assert_eq!(parse("f", &own_place).unwrap().rules[1].name, "rule-2");
}

#[test]
fn translation_wants_to_know_where() {
    assert_eq!(
        messages("[[masquerade]]\n")[0].split(',').next(),
        Some("masquerading wants \"out-interface\"")
    );
    let forward = messages("[[forward-port]]\nprotocol = \"icmp\"\n");
    assert_eq!(forward.len(), 4, "{forward:?}");
    let forward = "[[forward-port]]\nin-interface = \"wan0\"\nport = 1\n";
    for (text, message) in [
        ("to = \"x\"", "\"forward-port 1.to\": \"x\" is no address"),
        (
            "to = \"fd00::2\"\ndestination = [\"2001:db8::1\", \"192.0.2.1\"]",
            "\"destination\" and \"to\" are of different families: a packet keeps its own",
        ),
    ] {
        assert_eq!(messages(&format!("{forward}{text}\n")), [message], "{text}");
    }
}

#[test]
fn a_port_is_forwarded_for_one_interface() {
    let text = "[policy]\n[[forward-port]]\nport = 443\nto = \"10.0.0.2\"\n";
    let [finding] = parse("f", text).unwrap_err().try_into().unwrap();
    assert!(finding.message.contains("wants \"in-interface\""), "{finding:?}");
    assert!(finding.hint.unwrap().contains("in-interface = "));
    assert_eq!((finding.place.line, finding.place.column), (2, 1));
    let any = text.replace("port = 443", "port = 443\nin-interface = \"*\"");
    assert_eq!(messages(&any).len(), 1, "every interface is none");
}

#[test]
fn lists_are_bounded() {
    let ports = vec!["1"; ELEMENTS_MAX + 1].join(",");
    let text = format!("[[rule]]\naction = \"drop\"\nprotocol = \"tcp\"\nports = [{ports}]\n");
    assert_eq!(messages(&text), ["a list has at most 4096 elements"]);
    let rules = "[[rule]]\naction = \"drop\"\n".repeat(RULES_MAX + 1);
    assert_eq!(messages(&rules), ["more than 1000 rules"]);
}

#[test]
fn the_page_has_every_key() {
    let page = include_str!("../../../../../docs/firewall.md");
    let keys = [
        &FILE_KEYS[..],
        &POLICY_KEYS,
        &IMPLIED_KEYS,
        &RULE_KEYS,
        &MASQUERADE_KEYS,
        &FORWARD_PORT_KEYS,
    ];
    for key in keys.concat() {
        let ways = [format!("| `{key}` |"), format!("[[{key}]]"), format!("[{key}]")];
        assert!(ways.iter().any(|way| page.contains(way)), "{key}");
    }
}
