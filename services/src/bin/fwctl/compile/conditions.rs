//! What a packet must be for a rule to apply, as expressions; and the sets that lists become.
//!
//! A single value or range is compared directly, several are looked up in a set without a
//! name, which lives and dies with its rule.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use crate::expression::{Base, Comparison, Expression, IPV4, IPV6, Meta};
use crate::rule_set::{Action, Direction, Interface, Masquerade, Network, Protocol, Rule};

/// Ranges of keys of the same length, as big-endian bytes; sorted, apart from each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Set {
    /// 1, 2, 4 or 16.
    pub(crate) key_bytes: usize,
    /// First and last key of each range.
    pub(crate) ranges: Vec<(u128, u128)>,
}

/// The sets of a program. A set's number in the batch is its place, from 1.
#[derive(Default)]
pub(super) struct Sets(Vec<Set>);

impl Sets {
    fn add(&mut self, set: Set) -> u32 {
        self.0.push(set);
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn into_list(self) -> Vec<Set> {
        self.0
    }
}

/// Conditions for one protocol and one family. An empty list is no condition.
#[derive(Clone, Debug, Default)]
pub(super) struct Conditions {
    pub(super) in_interface: Option<Interface>,
    pub(super) out_interface: Option<Interface>,
    pub(super) family: Option<u8>,
    pub(super) protocol: Option<Protocol>,
    /// Every protocol but this one.
    pub(super) other_than: Option<Protocol>,
    pub(super) from: Vec<Network>,
    pub(super) to: Vec<Network>,
    pub(super) source_ports: Vec<RangeInclusive<u16>>,
    pub(super) ports: Vec<RangeInclusive<u16>>,
    pub(super) icmp_types: Vec<(Protocol, u8)>,
}

/// Offsets and length of the addresses in a header: RFC 791, RFC 8200.
const fn addresses(family: u8) -> (u32, u32, u32) {
    if family == IPV4 { (12, 16, 4) } else { (8, 24, 16) }
}

impl Conditions {
    pub(super) fn of_protocol(protocol: Protocol) -> Self {
        Self { protocol: Some(protocol), ..Self::default() }
    }

    /// The conditions of a rule, once for each protocol and family that it names.
    pub(super) fn of_rule(rule: &Rule) -> Vec<Self> {
        // TCP is rejected in a way of its own. Its packets that are too many for a rate must
        // not come to the rule for the rest.
        let is_split = rule.protocols.is_empty() && rule.action == Action::Reject;
        let protocols: Vec<Option<Protocol>> = match rule.protocols.as_slice() {
            [] if is_split => vec![Some(Protocol::TCP), None],
            [] => vec![None],
            named => named.iter().copied().map(Some).collect(),
        };
        let mut found = Vec::new();
        for protocol in protocols {
            let other_than = (is_split && protocol.is_none()).then_some(Protocol::TCP);
            let icmp_types: Vec<(Protocol, u8)> =
                rule.icmp_types.iter().filter(|(of, _)| Some(*of) == protocol).copied().collect();
            if icmp_types.is_empty() && !rule.icmp_types.is_empty() {
                continue;
            }
            for (family, from, to) in families(&rule.from, &rule.to, protocol) {
                found.push(Self {
                    in_interface: rule.in_interface.clone(),
                    out_interface: rule.out_interface.clone(),
                    family,
                    protocol,
                    other_than,
                    from,
                    to,
                    source_ports: rule.source_ports.clone(),
                    ports: rule.ports.clone(),
                    icmp_types: icmp_types.clone(),
                });
            }
        }
        found
    }

    pub(super) fn of_masquerade(masquerade: &Masquerade) -> Vec<Self> {
        let families = families(&masquerade.from, &[], None).into_iter();
        let conditions = families.map(|(family, from, _)| Self {
            out_interface: Some(masquerade.out_interface.clone()),
            family,
            from,
            ..Self::default()
        });
        conditions.collect()
    }

    /// The expressions that hold for such packets, in an order from cheap to dear.
    pub(super) fn expressions(&self, sets: &mut Sets) -> Vec<Expression> {
        let mut found = Vec::new();
        let interfaces =
            [(Meta::InInterface, &self.in_interface), (Meta::OutInterface, &self.out_interface)];
        for (meta, wanted) in interfaces {
            if let Some(wanted) = wanted {
                found.extend(interface(meta, &wanted.name, wanted.is_prefix));
            }
        }
        if let Some(family) = self.family {
            found.push(Expression::Meta(Meta::Family));
            found.push(Expression::Compare(Comparison::Equal, vec![family]));
            let (source, destination, length) = addresses(family);
            for (offset, networks) in [(source, &self.from), (destination, &self.to)] {
                let load = Expression::Payload { base: Base::Network, offset, length };
                found.extend(one_of(load, length, networks.iter().map(address_range), sets));
            }
        }
        let protocols =
            [(Comparison::Equal, self.protocol), (Comparison::NotEqual, self.other_than)];
        for (comparison, protocol) in protocols {
            if let Some(protocol) = protocol {
                found.push(Expression::Meta(Meta::Protocol));
                found.push(Expression::Compare(comparison, vec![protocol.0]));
            }
        }
        for (offset, ports) in [(0, &self.source_ports), (2, &self.ports)] {
            let load = Expression::Payload { base: Base::Transport, offset, length: 2 };
            let ranges = ports.iter().map(|range| ((*range.start()).into(), (*range.end()).into()));
            found.extend(one_of(load, 2, ranges, sets));
        }
        let load = Expression::Payload { base: Base::Transport, offset: 0, length: 1 };
        let types = self.icmp_types.iter().map(|(_, kind)| ((*kind).into(), (*kind).into()));
        found.extend(one_of(load, 1, types, sets));
        found
    }
}

/// The families that packets can be of, with what is left of both lists for each.
fn families(
    from: &[Network],
    to: &[Network],
    protocol: Option<Protocol>,
) -> Vec<(Option<u8>, Vec<Network>, Vec<Network>)> {
    let of_icmp = match protocol {
        Some(Protocol::ICMP) => Some(IPV4),
        Some(Protocol::ICMPV6) => Some(IPV6),
        _ => None,
    };
    if from.is_empty() && to.is_empty() {
        return vec![(of_icmp, Vec::new(), Vec::new())];
    }
    let mut found = Vec::new();
    for family in [IPV4, IPV6].into_iter().filter(|one| of_icmp.is_none_or(|only| only == *one)) {
        let is_of = |network: &&Network| network.address.is_ipv4() == (family == IPV4);
        let of_family = |all: &[Network]| all.iter().filter(is_of).copied().collect::<Vec<_>>();
        let (mine_from, mine_to) = (of_family(from), of_family(to));
        let is_left = |all: &[Network], mine: &[Network]| all.is_empty() || !mine.is_empty();
        if is_left(from, &mine_from) && is_left(to, &mine_to) {
            found.push((Some(family), mine_from, mine_to));
        }
    }
    found
}

/// Holds for one interface, or for all whose names begin so.
pub(super) fn interface(meta: Meta, name: &str, is_prefix: bool) -> Vec<Expression> {
    let mut bytes = name.as_bytes().to_vec();
    if !is_prefix {
        // IFNAMSIZ: the NUL bytes behind the name are compared too.
        bytes.resize(16, 0);
    }
    vec![Expression::Meta(meta), Expression::Compare(Comparison::Equal, bytes)]
}

/// A lease of this machine: DHCPv4 from a server to a client (RFC 2131, 4.1), and DHCPv6 from a
/// link-local address (RFC 8415, 7.2), or their opposites.
pub(super) fn dhcp_client(direction: Direction) -> [Conditions; 2] {
    let link_local =
        vec![Network { address: IpAddr::V6(0xfe80_u128.rotate_right(16).into()), prefix_bits: 10 }];
    let udp = || Conditions::of_protocol(Protocol::UDP);
    let port = |port: u16| vec![port..=port];
    let is_out = direction == Direction::Out;
    let (from, to) = if is_out { (68, 67) } else { (67, 68) };
    let v4 = Conditions { family: Some(IPV4), source_ports: port(from), ports: port(to), ..udp() };
    let v6 = Conditions { family: Some(IPV6), from: link_local, ..udp() };
    let v6 = match is_out {
        true => Conditions { source_ports: port(546), ports: port(547), ..v6 },
        // A server may answer from any port.
        false => Conditions { ports: port(546), ..v6 },
    };
    [v4, v6]
}

fn address_range(network: &Network) -> (u128, u128) {
    let (first, all): (u128, u32) = match network.address {
        IpAddr::V4(address) => (address.to_bits().into(), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let free_bits = all.saturating_sub(network.prefix_bits.into());
    let free = u128::MAX.checked_shr(128 - free_bits).unwrap_or(0);
    (first, first | free)
}

/// Holds if what `load` loads is in one of `ranges`; nothing if there are none.
fn one_of(
    load: Expression,
    key_bytes: u32,
    ranges: impl Iterator<Item = (u128, u128)>,
    sets: &mut Sets,
) -> Vec<Expression> {
    let ranges = merged(ranges.collect());
    let key_bytes = usize::try_from(key_bytes).unwrap_or(16);
    match ranges.as_slice() {
        [] => Vec::new(),
        [(first, last)] if first == last => {
            vec![load, Expression::Compare(Comparison::Equal, key(*first, key_bytes))]
        }
        [(first, last)] => vec![
            load,
            Expression::Compare(Comparison::AtLeast, key(*first, key_bytes)),
            Expression::Compare(Comparison::AtMost, key(*last, key_bytes)),
        ],
        _ => vec![load, Expression::Lookup { set: sets.add(Set { key_bytes, ranges }) }],
    }
}

/// The last `key_bytes` bytes of a key.
pub(crate) fn key(value: u128, key_bytes: usize) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    bytes.get(bytes.len().saturating_sub(key_bytes)..).unwrap_or_default().to_vec()
}

/// The same keys as sorted ranges that do not touch: the kernel refuses ranges that overlap.
fn merged(mut ranges: Vec<(u128, u128)>) -> Vec<(u128, u128)> {
    ranges.sort_unstable();
    let mut found: Vec<(u128, u128)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match found.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => found.push((first, last)),
        }
    }
    found
}
