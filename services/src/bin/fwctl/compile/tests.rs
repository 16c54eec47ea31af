//! What rules become: how many, in which order, with which sets.

use super::*;
use crate::expression::Base;
use crate::read::parse;

fn chain(text: &str, name: &str) -> Chain {
    let program = compile(&parse("f", text).unwrap());
    program.chains.into_iter().find(|chain| chain.name == name).unwrap()
}

/// The rules of a chain that are no implied ones.
fn own(text: &str, name: &str) -> Vec<KernelRule> {
    let is_own = |rule: &KernelRule| {
        let name = rule.comment.split(':').next().unwrap_or_default();
        !crate::read::RESERVED_NAMES.contains(&name)
    };
    chain(text, name).rules.into_iter().filter(is_own).collect()
}

#[test]
fn a_rule_is_made_for_each_protocol_and_family() {
    for (conditions, count) in [
        ("", 1),
        ("protocol = [\"tcp\", \"udp\"]", 2),
        ("from = [\"10.0.0.0/8\", \"fd00::/8\"]", 2),
        ("from = [\"10.0.0.0/8\", \"fd00::/8\"]\nto = \"10.0.0.1\"", 1),
        ("protocol = [\"tcp\", \"udp\"]\nfrom = [\"10.0.0.0/8\", \"fd00::/8\"]", 4),
        ("protocol = [\"icmp\", \"icmpv6\"]\nfrom = [\"10.0.0.0/8\", \"fd00::/8\"]", 2),
        ("protocol = [\"icmp\", \"icmpv6\"]\nicmp-types = \"packet-too-big\"", 1),
        ("log = \"x\"", 2),
        ("log = \"x\"\nrate = \"1/day\"", 1),
    ] {
        let text = format!("[[rule]]\naction = \"accept\"\n{conditions}\n");
        assert_eq!(own(&text, "in").len(), count, "{conditions}");
    }
}

#[test]
fn a_rule_compares_before_it_counts_and_decides_last() {
    let text =
        "[[rule]]\naction = \"drop\"\nprotocol = \"tcp\"\nports = 22\nin-interface = \"eth0\"\n";
    let port = Expression::Payload { base: Base::Transport, offset: 2, length: 2 };
    let mut name = b"eth0".to_vec();
    name.resize(16, 0);
    assert_eq!(
        own(text, "in")[0].expressions,
        [
            Expression::Meta(Meta::InInterface),
            Expression::Compare(Comparison::Equal, name),
            Expression::Meta(Meta::Protocol),
            Expression::Compare(Comparison::Equal, vec![6]),
            port,
            Expression::Compare(Comparison::Equal, vec![0, 22]),
            Expression::Counter,
            Expression::Drop,
        ]
    );
}

#[test]
fn lists_become_sorted_sets_that_do_not_touch() {
    let text = "[[rule]]\naction = \"drop\"\nprotocol = \"tcp\"\nports = [90, \"80-85\", \"84-88\", 89, 22]\n";
    let program = compile(&parse("f", text).unwrap());
    let place = program.sets.iter().position(|set| set.key_bytes == 2).unwrap();
    assert_eq!(program.sets[place].ranges, [(22, 22), (80, 90)]);
    let number = u32::try_from(place + 1).unwrap();
    assert!(own(text, "in")[0].expressions.contains(&Expression::Lookup { set: number }));
}

#[test]
fn networks_are_ranges_of_addresses() {
    let text = "[[rule]]\naction = \"drop\"\nfrom = [\"0.0.0.0/0\", \"fd00::/8\"]\n";
    let rules = own(text, "in");
    let compared = |rule: &KernelRule| -> Vec<Vec<u8>> {
        let bytes = rule.expressions.iter().filter_map(|one| match one {
            Expression::Compare(_, bytes) => Some(bytes.clone()),
            _ => None,
        });
        bytes.collect()
    };
    assert_eq!(compared(&rules[0]), [vec![2], vec![0; 4], vec![255; 4]]);
    let (mut first, mut last) = (vec![0; 16], vec![255; 16]);
    (first[0], last[0]) = (0xfd, 0xfd);
    assert_eq!(compared(&rules[1]), [vec![10], first, last]);
}

#[test]
fn tcp_is_rejected_by_a_reset_and_the_rest_by_an_error() {
    let text = "[[rule]]\naction = \"reject\"\nprotocol = [\"tcp\", \"udp\"]\n";
    let ends: Vec<_> =
        own(text, "in").iter().map(|rule| rule.expressions.last().unwrap().clone()).collect();
    assert_eq!(
        ends,
        [Expression::Reject(Rejection::TcpReset), Expression::Reject(Rejection::PortUnreachable)]
    );
    let rules = own("[[rule]]\naction = \"reject\"\nrate = \"1/day\"\n", "in");
    let [tcp, rest] = rules.as_slice() else { panic!("{rules:?}") };
    let is_tcp = |comparison| Expression::Compare(comparison, vec![Protocol::TCP.0]);
    assert!(tcp.expressions.contains(&is_tcp(Comparison::Equal)));
    assert_eq!(tcp.expressions.last(), Some(&Expression::Reject(Rejection::TcpReset)));
    // What comes faster than the first one's rate is none of the second's business.
    assert!(rest.expressions.contains(&is_tcp(Comparison::NotEqual)));
    assert_eq!(rest.expressions.last(), Some(&Expression::Reject(Rejection::PortUnreachable)));
    let policy = chain("[policy]\nin = \"reject\"\n", "in");
    assert!(policy.drops, "what is rejected goes no further");
    let is_rejected = |rule: &&KernelRule| rule.comment == "policy: reject";
    assert_eq!(policy.rules.iter().filter(is_rejected).count(), 2);
}

#[test]
fn what_is_implied_can_be_left_out() {
    assert_eq!(chain("", "in").rules.len(), 7);
    let text = "[implied]\nestablished = false\nloopback = false\nneighbour-discovery = false\n\
                dhcp-client = false\n";
    assert_eq!(chain(text, "in").rules.len(), 1, "the policy's counter is left");
}

#[test]
fn translation_has_chains_of_its_own() {
    let text = "[[masquerade]]\nout-interface = \"wan0\"\n[[forward-port]]\nin-interface = \"wan0\"\nport = 80\nto = \"10.0.0.2\"\n";
    let program = compile(&parse("f", text).unwrap());
    let names: Vec<_> = program.chains.iter().map(|chain| (chain.name, chain.kind)).collect();
    assert_eq!(names[3..], [("prerouting", "nat"), ("postrouting", "nat")]);
    let forward = chain(text, "forward");
    assert!(forward.rules.iter().any(|rule| rule.comment == "forwarded-ports: accept"));
    assert_eq!(compile(&RuleSet::default()).chains.len(), 3);
}

#[test]
fn only_what_comes_by_the_interface_to_the_destination_is_forwarded() {
    let text = "[[forward-port]]\nname = \"web\"\nin-interface = \"lan0\"\nport = 443\n\
                to = \"10.0.0.2\"\ndestination = \"192.0.2.1\"\n";
    let rules = own(text, "prerouting");
    let [rule] = rules.as_slice() else { panic!("{rules:?}") };
    let comment = "web: port 443 of 192.0.2.1 in by lan0 to 10.0.0.2 port 443";
    assert_eq!(rule.comment, comment);
    let mut conditions = conditions::interface(Meta::InInterface, "lan0", false);
    conditions.extend([
        Expression::Meta(Meta::Family),
        Expression::Compare(Comparison::Equal, vec![crate::expression::IPV4]),
        Expression::Payload { base: Base::Network, offset: 16, length: 4 },
        Expression::Compare(Comparison::Equal, vec![192, 0, 2, 1]),
    ]);
    assert_eq!(rule.expressions[..conditions.len()], conditions);
}
