//! A firewall as a person means it: policies, rules, address translation.
//!
//! Plain data. [`crate::read`] makes it from TOML, [`crate::compile`] turns it into what the
//! kernel runs. Connection tracking is implied: a rule is about the first packet.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Everything that is in force together.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct RuleSet {
    pub(crate) policies: Policies,
    pub(crate) implied: Implied,
    pub(crate) rules: Vec<Rule>,
    pub(crate) masquerades: Vec<Masquerade>,
    pub(crate) forwarded_ports: Vec<ForwardedPort>,
}

/// What happens to a packet that no rule decides about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Policies {
    pub(crate) input: Action,
    pub(crate) output: Action,
    pub(crate) forward: Action,
    /// Whether what a policy refuses is logged.
    pub(crate) log: bool,
}

impl Default for Policies {
    fn default() -> Self {
        let (input, forward) = (Action::Drop, Action::Drop);
        Self { input, output: Action::Accept, forward, log: false }
    }
}

/// What is accepted without a rule, because little works without it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Implied {
    /// Packets of connections that were let through, and errors about them.
    pub(crate) established: bool,
    /// What the machine sends to itself.
    pub(crate) loopback: bool,
    /// IPv6 neighbour and router discovery (RFC 4861) and multicast listeners (RFC 3810).
    pub(crate) neighbour_discovery: bool,
    /// Leases of this machine (RFC 2131, RFC 8415).
    pub(crate) dhcp_client: bool,
}

impl Default for Implied {
    fn default() -> Self {
        Self { established: true, loopback: true, neighbour_discovery: true, dhcp_client: true }
    }
}

/// What happens to a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    Accept,
    /// Nobody is told.
    Drop,
    /// The sender is told: by a reset for TCP, else by an ICMP error.
    Reject,
}

impl Action {
    pub(crate) const WORDS: [(&'static str, Self); 3] =
        [("accept", Self::Accept), ("drop", Self::Drop), ("reject", Self::Reject)];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Drop => "drop",
            Self::Reject => "reject",
        }
    }
}

/// Which packets pass by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Direction {
    /// To this machine.
    In,
    /// From this machine.
    Out,
    /// Through this machine.
    Forward,
}

impl Direction {
    pub(crate) const WORDS: [(&'static str, Self); 3] =
        [("in", Self::In), ("out", Self::Out), ("forward", Self::Forward)];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
            Self::Forward => "forward",
        }
    }
}

/// A number of the IANA registry "Protocol Numbers".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Protocol(pub(crate) u8);

impl Protocol {
    pub(crate) const ICMP: Self = Self(1);
    pub(crate) const TCP: Self = Self(6);
    pub(crate) const UDP: Self = Self(17);
    pub(crate) const ICMPV6: Self = Self(58);

    pub(crate) const WORDS: [(&'static str, Self); 8] = [
        ("tcp", Self::TCP),
        ("udp", Self::UDP),
        ("icmp", Self::ICMP),
        ("icmpv6", Self::ICMPV6),
        ("igmp", Self(2)),
        ("gre", Self(47)),
        ("esp", Self(50)),
        ("sctp", Self(132)),
    ];

    /// Whether its header begins with the source and the destination port.
    pub(crate) const fn has_ports(self) -> bool {
        matches!(self.0, 6 | 17 | 132)
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::WORDS.iter().find(|(_, protocol)| protocol == self) {
            Some((word, _)) => f.write_str(word),
            None => write!(f, "protocol {}", self.0),
        }
    }
}

/// A rule: the packets that all its conditions hold for, and what happens to them. An empty
/// list is no condition.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) direction: Direction,
    pub(crate) action: Action,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) ports: Vec<RangeInclusive<u16>>,
    pub(crate) source_ports: Vec<RangeInclusive<u16>>,
    pub(crate) from: Vec<Network>,
    pub(crate) to: Vec<Network>,
    pub(crate) in_interface: Option<Interface>,
    pub(crate) out_interface: Option<Interface>,
    /// Types of ICMP messages, each of its protocol.
    pub(crate) icmp_types: Vec<(Protocol, u8)>,
    pub(crate) rate: Option<Rate>,
    /// What a record of the kernel's log begins with.
    pub(crate) log: Option<String>,
}

/// Addresses with a common prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Network {
    /// The first of them.
    pub(crate) address: IpAddr,
    /// How many bits they have in common: 0 to 32, or 0 to 128.
    pub(crate) prefix_bits: u8,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = if self.address.is_ipv4() { 32 } else { 128 };
        match self.prefix_bits == all {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.prefix_bits),
        }
    }
}

/// An interface's name, or what the names of several begin with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Whether `name` is only the beginning.
    pub(crate) is_prefix: bool,
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.name, if self.is_prefix { "*" } else { "" })
    }
}

/// How many packets a rule is for; what comes faster goes on to the next rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Rate {
    pub(crate) packets: u32,
    pub(crate) per_seconds: u32,
    /// How many may come at once.
    pub(crate) burst: u32,
}

impl Rate {
    pub(crate) const UNITS: [(&'static str, u32); 4] =
        [("second", 1), ("minute", 60), ("hour", 3600), ("day", 86_400)];
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = Self::UNITS.iter().find(|(_, seconds)| *seconds == self.per_seconds);
        write!(f, "{}/{}", self.packets, unit.map_or("second", |(unit, _)| unit))
    }
}

/// Packets that leave with the address of the interface by which they leave.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Masquerade {
    pub(crate) name: String,
    pub(crate) out_interface: Interface,
    pub(crate) from: Vec<Network>,
}

/// A port of this machine that is another machine's.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct ForwardedPort {
    pub(crate) name: String,
    /// What comes by another one is not meant: a router's clients have business elsewhere.
    pub(crate) in_interface: Interface,
    /// Of the family of `to`; empty for any.
    pub(crate) destination: Vec<Network>,
    pub(crate) protocols: Vec<Protocol>,
    pub(crate) port: u16,
    pub(crate) to: IpAddr,
    pub(crate) to_port: u16,
}
