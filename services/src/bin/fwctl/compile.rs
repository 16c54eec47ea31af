//! From a rule set to what the kernel runs: chains of rules made of expressions, and sets.
//!
//! One rule of the file becomes one rule of the kernel for each protocol and address family
//! that it names. All of them carry the same comment, by which `show` adds their counters up.

mod conditions;

use std::net::IpAddr;

use crate::expression::{Comparison, Connection, Expression, Meta, Rejection};
use crate::rule_set::{Action, Direction, Policies, Protocol, Rule, RuleSet};

use conditions::{Conditions, Sets};
pub(crate) use conditions::{Set, key};

/// What is sent to the kernel as one change.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Program {
    pub(crate) chains: Vec<Chain>,
    pub(crate) sets: Vec<Set>,
}

/// A list of rules that packets come through at one place.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Chain {
    pub(crate) name: &'static str,
    /// `filter` or `nat`.
    pub(crate) kind: &'static str,
    /// `enum nf_inet_hooks`.
    pub(crate) hook: u32,
    /// `enum nf_ip_hook_priorities`.
    pub(crate) priority: i32,
    /// Whether a packet that comes to the end is dropped.
    pub(crate) drops: bool,
    pub(crate) rules: Vec<KernelRule>,
}

/// A rule as the kernel has it.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct KernelRule {
    /// `NAME: TEXT`, shown by `fwctl show` and by nft(8).
    pub(crate) comment: String,
    pub(crate) expressions: Vec<Expression>,
}

const PREROUTING: u32 = 0;
const INPUT: u32 = 1;
const FORWARD: u32 = 2;
const OUTPUT: u32 = 3;
const POSTROUTING: u32 = 4;

const PRIORITY_DESTINATION_NAT: i32 = -100;
const PRIORITY_FILTER: i32 = 0;
const PRIORITY_SOURCE_NAT: i32 = 100;

/// Bits of `NFT_CT_STATE` (`NF_CT_STATE_BIT`) and of `NFT_CT_STATUS` (`IPS_DST_NAT`).
const STATE_INVALID: u32 = 1;
const STATE_ESTABLISHED_OR_RELATED: u32 = 2 | 4;
const STATUS_DESTINATION_CHANGED: u32 = 1 << 5;

/// How fast a rule without a rate of its own may log: nobody fills the log from outside.
const LOG_LIMIT: Expression = Expression::Limit { packets: 5, per_seconds: 1, burst: 20 };

/// Router and neighbour discovery, redirects (RFC 4861), and multicast listeners
/// (RFC 2710, RFC 3810).
const NEIGHBOUR_DISCOVERY: [u8; 9] = [130, 131, 132, 133, 134, 135, 136, 137, 143];

/// Compiles a rule set.
pub(crate) fn compile(rules: &RuleSet) -> Program {
    let mut sets = Sets::default();
    let directions = [Direction::In, Direction::Out, Direction::Forward];
    let mut chains: Vec<Chain> =
        directions.iter().map(|direction| filter_chain(rules, *direction, &mut sets)).collect();
    if !rules.forwarded_ports.is_empty() {
        let rules = forwarded_ports(rules, &mut sets);
        chains.push(nat_chain("prerouting", PREROUTING, PRIORITY_DESTINATION_NAT, rules));
    }
    if !rules.masquerades.is_empty() {
        let rules = masquerades(rules, &mut sets);
        chains.push(nat_chain("postrouting", POSTROUTING, PRIORITY_SOURCE_NAT, rules));
    }
    Program { chains, sets: sets.into_list() }
}

const fn nat_chain(name: &'static str, hook: u32, priority: i32, rules: Vec<KernelRule>) -> Chain {
    Chain { name, kind: "nat", hook, priority, drops: false, rules }
}

fn filter_chain(rules: &RuleSet, direction: Direction, sets: &mut Sets) -> Chain {
    let Policies { input, output, forward, log } = rules.policies;
    let (name, hook, policy) = match direction {
        Direction::In => ("in", INPUT, input),
        Direction::Out => ("out", OUTPUT, output),
        Direction::Forward => ("forward", FORWARD, forward),
    };
    let mut kernel_rules = implied(rules, direction, sets);
    for rule in rules.rules.iter().filter(|rule| rule.direction == direction) {
        compile_rule(rule, sets, &mut kernel_rules);
    }
    if log && policy != Action::Accept {
        let prefix = format!("firewall {name}: ");
        let expressions = vec![LOG_LIMIT, Expression::Log { prefix }];
        kernel_rules.push(KernelRule { comment: "policy: log".to_owned(), expressions });
    }
    let comment = format!("policy: {}", policy.word());
    // A chain's own policy cannot reject, and counts nothing.
    if policy == Action::Reject {
        let mut reset = Conditions::of_protocol(Protocol::TCP).expressions(sets);
        reset.extend([Expression::Counter, Expression::Reject(Rejection::TcpReset)]);
        kernel_rules.push(KernelRule { comment: comment.clone(), expressions: reset });
        let expressions = vec![Expression::Counter, Expression::Reject(Rejection::PortUnreachable)];
        kernel_rules.push(KernelRule { comment, expressions });
    } else {
        kernel_rules.push(KernelRule { comment, expressions: vec![Expression::Counter] });
    }
    let drops = policy != Action::Accept;
    Chain { name, kind: "filter", hook, priority: PRIORITY_FILTER, drops, rules: kernel_rules }
}

/// What is accepted, or dropped, before the first rule.
fn implied(rules: &RuleSet, direction: Direction, sets: &mut Sets) -> Vec<KernelRule> {
    let mut found = Vec::new();
    let mut add = |comment: &str, mut expressions: Vec<Expression>, verdict| {
        expressions.extend([Expression::Counter, verdict]);
        found.push(KernelRule { comment: comment.to_owned(), expressions });
    };
    if rules.implied.established {
        let established = any_bit(Connection::State, STATE_ESTABLISHED_OR_RELATED);
        add("established: accept", established, Expression::Accept);
    }
    // A packet of no connection is dropped on its way in; what this machine sends itself,
    // such as a reset, is its own business.
    if rules.implied.loopback && direction != Direction::Forward {
        let interface = match direction {
            Direction::In => Meta::InInterface,
            _ => Meta::OutInterface,
        };
        add("loopback: accept", conditions::interface(interface, "lo", false), Expression::Accept);
    }
    if rules.implied.neighbour_discovery && direction != Direction::Forward {
        let types = NEIGHBOUR_DISCOVERY.map(|kind| (Protocol::ICMPV6, kind)).to_vec();
        let conditions =
            Conditions { icmp_types: types, ..Conditions::of_protocol(Protocol::ICMPV6) };
        add("neighbour-discovery: accept", conditions.expressions(sets), Expression::Accept);
    }
    if rules.implied.established && direction != Direction::Out {
        add("invalid: drop", any_bit(Connection::State, STATE_INVALID), Expression::Drop);
    }
    if rules.implied.dhcp_client && direction != Direction::Forward {
        for conditions in conditions::dhcp_client(direction) {
            add("dhcp-client: accept", conditions.expressions(sets), Expression::Accept);
        }
    }
    if direction == Direction::Forward && !rules.forwarded_ports.is_empty() {
        let forwarded = any_bit(Connection::Status, STATUS_DESTINATION_CHANGED);
        add("forwarded-ports: accept", forwarded, Expression::Accept);
    }
    found
}

/// Holds if a connection has one of `bits`, which the kernel keeps as a number of its own order.
#[expect(clippy::host_endian_bytes, reason = "registers hold the kernel's numbers as they are")]
fn any_bit(key: Connection, bits: u32) -> Vec<Expression> {
    vec![
        Expression::Connection(key),
        Expression::Mask(bits.to_ne_bytes().to_vec()),
        Expression::Compare(Comparison::NotEqual, vec![0; 4]),
    ]
}

fn compile_rule(rule: &Rule, sets: &mut Sets, into: &mut Vec<KernelRule>) {
    let comment = format!("{}: {}", rule.name, describe(rule));
    for conditions in Conditions::of_rule(rule) {
        let mut expressions = conditions.expressions(sets);
        let log = rule.log.clone().map(|prefix| Expression::Log { prefix });
        match rule.rate {
            Some(rate) => {
                expressions.push(Expression::Limit {
                    packets: rate.packets.into(),
                    per_seconds: rate.per_seconds.into(),
                    burst: rate.burst,
                });
                expressions.push(Expression::Counter);
                expressions.extend(log);
            }
            None => {
                if let Some(log) = log {
                    // A rule of its own: the limit is for the log, not for the verdict.
                    let mut logging = conditions.expressions(sets);
                    logging.extend([LOG_LIMIT, log]);
                    let comment = comment.clone();
                    into.push(KernelRule { comment, expressions: logging });
                }
                expressions.push(Expression::Counter);
            }
        }
        expressions.push(match rule.action {
            Action::Accept => Expression::Accept,
            Action::Drop => Expression::Drop,
            Action::Reject if conditions.protocol == Some(Protocol::TCP) => {
                Expression::Reject(Rejection::TcpReset)
            }
            Action::Reject => Expression::Reject(Rejection::PortUnreachable),
        });
        into.push(KernelRule { comment: comment.clone(), expressions });
    }
}

fn forwarded_ports(rules: &RuleSet, sets: &mut Sets) -> Vec<KernelRule> {
    let mut found = Vec::new();
    for forwarded in &rules.forwarded_ports {
        let (family, address) = match forwarded.to {
            IpAddr::V4(address) => (crate::expression::IPV4, address.octets().to_vec()),
            IpAddr::V6(address) => (crate::expression::IPV6, address.octets().to_vec()),
        };
        let (port, to_port) = (forwarded.port, forwarded.to_port);
        let of = list(" of ", &forwarded.destination);
        let comment = format!(
            "{}: port {port}{of} in by {} to {} port {to_port}",
            forwarded.name, forwarded.in_interface, forwarded.to
        );
        for protocol in &forwarded.protocols {
            let conditions = Conditions {
                in_interface: Some(forwarded.in_interface.clone()),
                family: Some(family),
                to: forwarded.destination.clone(),
                ports: vec![port..=port],
                ..Conditions::of_protocol(*protocol)
            };
            let mut expressions = conditions.expressions(sets);
            let to = Expression::ForwardTo { family, address: address.clone(), port: to_port };
            expressions.extend([Expression::Counter, to]);
            found.push(KernelRule { comment: comment.clone(), expressions });
        }
    }
    found
}

fn masquerades(rules: &RuleSet, sets: &mut Sets) -> Vec<KernelRule> {
    let mut found = Vec::new();
    for masquerade in &rules.masquerades {
        let from = list(" from ", &masquerade.from);
        let comment =
            format!("{}: masquerade on {}{from}", masquerade.name, masquerade.out_interface);
        for conditions in Conditions::of_masquerade(masquerade) {
            let mut expressions = conditions.expressions(sets);
            expressions.extend([Expression::Counter, Expression::Masquerade]);
            found.push(KernelRule { comment: comment.clone(), expressions });
        }
    }
    found
}

/// A rule in a line, in the words of the file.
fn describe(rule: &Rule) -> String {
    let ranges = |word: &str, ranges: &[std::ops::RangeInclusive<u16>]| {
        let text = |range: &std::ops::RangeInclusive<u16>| match range.start() == range.end() {
            true => range.start().to_string(),
            false => format!("{}-{}", range.start(), range.end()),
        };
        list(word, &ranges.iter().map(text).collect::<Vec<_>>())
    };
    let mut text = rule.action.word().to_owned();
    text += &list(" ", &rule.protocols);
    text += &ranges(" port ", &rule.ports);
    text += &ranges(" source port ", &rule.source_ports);
    text += &list(" type ", &rule.icmp_types.iter().map(|(_, kind)| kind).collect::<Vec<_>>());
    text += &list(" from ", &rule.from);
    text += &list(" to ", &rule.to);
    text += &list(" in by ", rule.in_interface.as_slice());
    text += &list(" out by ", rule.out_interface.as_slice());
    text += &list(" up to ", rule.rate.as_slice());
    text
}

fn list<T: ToString>(word: &str, elements: &[T]) -> String {
    match elements {
        [] => String::new(),
        _ => word.to_owned() + &elements.iter().map(T::to_string).collect::<Vec<_>>().join(", "),
    }
}

#[cfg(test)]
mod tests;
