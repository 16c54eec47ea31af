//! Names of the types of ICMP and ICMPv6 messages (the IANA registries "ICMP Parameters" and
//! "ICMPv6 Parameters"), as far as a firewall has to do with them.

use crate::rule_set::Protocol;

/// Name, its type in ICMP, its type in ICMPv6.
const TYPES: [(&str, Option<u8>, Option<u8>); 13] = [
    ("echo-reply", Some(0), Some(129)),
    ("destination-unreachable", Some(3), Some(1)),
    ("packet-too-big", None, Some(2)),
    ("redirect", Some(5), Some(137)),
    ("echo-request", Some(8), Some(128)),
    ("time-exceeded", Some(11), Some(3)),
    ("parameter-problem", Some(12), Some(4)),
    ("timestamp-request", Some(13), None),
    ("timestamp-reply", Some(14), None),
    ("router-solicitation", Some(10), Some(133)),
    ("router-advertisement", Some(9), Some(134)),
    ("neighbour-solicitation", None, Some(135)),
    ("neighbour-advertisement", None, Some(136)),
];

const fn number(entry: &(&str, Option<u8>, Option<u8>), protocol: Protocol) -> Option<u8> {
    match protocol {
        Protocol::ICMP => entry.1,
        Protocol::ICMPV6 => entry.2,
        _ => None,
    }
}

/// What `word` is in each of `protocols` that has such messages.
pub(crate) fn types(word: &str, protocols: &[Protocol]) -> Vec<(Protocol, u8)> {
    let Some(entry) = TYPES.iter().find(|(name, ..)| *name == word) else { return Vec::new() };
    protocols.iter().filter_map(|one| Some((*one, number(entry, *one)?))).collect()
}

/// The words that mean something in `protocols`.
pub(crate) fn words(protocols: &[Protocol]) -> String {
    let known = |entry: &&(&str, Option<u8>, Option<u8>)| {
        protocols.iter().any(|protocol| number(entry, *protocol).is_some())
    };
    TYPES.iter().filter(known).map(|(name, ..)| *name).collect::<Vec<_>>().join(", ")
}
