//! What the kernel says unasked: links come and go, addresses change, a router
//! has told something that the kernel leaves to programs.
//!
//! Source: include/uapi/linux/{rtnetlink,if_link,if_inet6}.h; RFC 8106 for the
//! options of a router, which come in `RTM_NEWNDUSEROPT`.

use std::net::Ipv6Addr;

use netlink_packet_core::{NetlinkMessage, NetlinkPayload};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::connection::{header_of, split, u16_at, u32_at};
use super::view::{Address, Link, inet6_flags_of};
use crate::network::plain_name::plain_name;

/// `RTNLGRP_LINK`, `_IPV4_IFADDR`, `_IPV6_IFADDR`, `_IPV6_IFINFO` and
/// `_ND_USEROPT`, as the bits that [`super::Connection::listen`] takes.
pub const GROUPS: u32 = 1 | 1 << 4 | 1 << 8 | 1 << 11 | 1 << 19;

/// `RTM_NEWNDUSEROPT`.
const ROUTER_OPTION_MESSAGE: u16 = 68;
/// Length of `struct nduseroptmsg`.
const ROUTER_OPTION_HEADER_BYTES: usize = 16;
/// Length of `struct nlmsghdr`.
const NETLINK_HEADER_BYTES: usize = 16;
/// Addresses of resolvers, and domains to search (RFC 8106, 5.1 and 5.2).
const OPTION_RDNSS: u8 = 25;
const OPTION_DNSSL: u8 = 31;
/// Most entries taken of one option: a router needs a few.
const ENTRIES_MAX: usize = 16;

/// Something has happened.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A link is new or has changed.
    Link(Box<Link>),
    /// A link is gone.
    LinkGone(u32),
    /// An address is new or has changed.
    Address(Address),
    /// An address is gone.
    AddressGone(Address),
    /// What IPv6 knows about a link has changed: the `IF_RA_*` bits and others.
    Inet6Flags {
        /// Index of the link.
        index: u32,
        /// `IF_RA_OTHERCONF` (0x80), `IF_RA_MANAGED` (0x40), …
        flags: u32,
    },
    /// A router says something that the kernel leaves to programs.
    Router {
        /// Index of the link.
        index: u32,
        /// What it says.
        option: RouterOption,
    },
}

/// What a router's advertisement holds for programs (RFC 8106).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RouterOption {
    /// Resolvers, for so many seconds; `u32::MAX` is for ever, 0 is no longer.
    Resolvers {
        /// Their addresses.
        addresses: Vec<Ipv6Addr>,
        /// Seconds.
        lifetime_s: u32,
    },
    /// Domains to search, likewise.
    SearchDomains {
        /// The domains, without a final dot.
        domains: Vec<String>,
        /// Seconds.
        lifetime_s: u32,
    },
}

/// The events in a datagram. What cannot be understood is passed over.
#[must_use]
pub fn decode(datagram: &[u8]) -> Vec<Event> {
    split(datagram).flat_map(decode_message).collect()
}

fn decode_message(bytes: &[u8]) -> Vec<Event> {
    if header_of(bytes).is_some_and(|header| header.message_type == ROUTER_OPTION_MESSAGE) {
        return decode_router(bytes.get(NETLINK_HEADER_BYTES..).unwrap_or_default());
    }
    let Ok(message) = NetlinkMessage::<RouteNetlinkMessage>::deserialize(bytes) else {
        return Vec::new();
    };
    let NetlinkPayload::InnerMessage(message) = message.payload else { return Vec::new() };
    let event = match &message {
        RouteNetlinkMessage::NewLink(message) => match message.header.interface_family {
            AddressFamily::Inet6 => {
                inet6_flags_of(message).map(|(index, flags)| Event::Inet6Flags { index, flags })
            }
            // A bridge tells about its ports in a family of its own.
            AddressFamily::Unspec => {
                Link::from_message(message).map(|link| Event::Link(Box::new(link)))
            }
            _ => None,
        },
        RouteNetlinkMessage::DelLink(message)
            if message.header.interface_family == AddressFamily::Unspec =>
        {
            Some(Event::LinkGone(message.header.index))
        }
        RouteNetlinkMessage::NewAddress(message) => {
            Address::from_message(message).map(Event::Address)
        }
        RouteNetlinkMessage::DelAddress(message) => {
            Address::from_message(message).map(Event::AddressGone)
        }
        _ => None,
    };
    event.into_iter().collect()
}

/// `struct nduseroptmsg` and the options behind it.
fn decode_router(bytes: &[u8]) -> Vec<Event> {
    let decode = || -> Option<Vec<Event>> {
        let length = usize::from(u16_at(bytes, 2)?);
        let index = u32_at(bytes, 4)?;
        let mut rest = bytes.get(ROUTER_OPTION_HEADER_BYTES..)?;
        rest = rest.get(..length.min(rest.len()))?;
        let mut events = Vec::new();
        while let [kind, units, ..] = rest {
            let size = usize::from(*units) * 8;
            if size == 0 {
                break;
            }
            let Some(option) = rest.get(..size) else { break };
            events
                .extend(decode_option(*kind, option).map(|option| Event::Router { index, option }));
            rest = rest.get(size..).unwrap_or_default();
        }
        Some(events)
    };
    decode().unwrap_or_default()
}

fn decode_option(kind: u8, option: &[u8]) -> Option<RouterOption> {
    // Type, length, two reserved bytes, then the lifetime in network order.
    let lifetime_s = u32::from_be_bytes(option.get(4..8)?.try_into().ok()?);
    let content = option.get(8..)?;
    match kind {
        OPTION_RDNSS => {
            let (addresses, _) = content.as_chunks::<16>();
            let addresses: Vec<Ipv6Addr> =
                addresses.iter().take(ENTRIES_MAX).map(|bytes| Ipv6Addr::from(*bytes)).collect();
            (!addresses.is_empty()).then_some(RouterOption::Resolvers { addresses, lifetime_s })
        }
        OPTION_DNSSL => {
            let domains = domains(content);
            (!domains.is_empty()).then_some(RouterOption::SearchDomains { domains, lifetime_s })
        }
        _ => None,
    }
}

/// Domain names as RFC 1035 3.1 has them, without compression, padded with zeros. One that is no
/// plain name is passed over.
fn domains(mut bytes: &[u8]) -> Vec<String> {
    let mut domains = Vec::new();
    let mut labels: Vec<&[u8]> = Vec::new();
    while let [length, rest @ ..] = bytes {
        let length = usize::from(*length);
        let Some((label, rest)) = rest.split_at_checked(length).filter(|_| length < 64) else {
            break;
        };
        bytes = rest;
        if length > 0 {
            labels.push(label);
        } else if domains.len() < ENTRIES_MAX {
            domains.extend(domain(&std::mem::take(&mut labels)));
        }
    }
    domains
}

fn domain(labels: &[&[u8]]) -> Option<String> {
    // A dot in a label is none between two.
    if labels.iter().any(|label| label.contains(&b'.')) {
        return None;
    }
    let text = String::from_utf8(labels.join(&b'.')).ok()?;
    plain_name(&text).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A datagram with a router's options for link 3.
    fn datagram(options: &[u8]) -> Vec<u8> {
        let mut body = vec![10, 0];
        body.extend(u16::try_from(options.len()).unwrap().to_le_bytes());
        body.extend(3_u32.to_le_bytes());
        body.extend([134, 0, 0, 0, 0, 0, 0, 0]);
        body.extend(options);
        let mut bytes = u32::try_from(body.len() + 16).unwrap().to_le_bytes().to_vec();
        bytes.extend([68, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(body);
        bytes
    }

    #[test]
    fn a_routers_resolvers_and_domains_are_read() {
        let mut options = vec![25, 3, 0, 0, 0, 0, 2, 88];
        options.extend("2001:db8::53".parse::<Ipv6Addr>().unwrap().octets());
        options.extend([31, 3, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        options.extend(b"\x03lan\x04home\0\x01x\0\0\0\0\0");
        let resolvers = RouterOption::Resolvers {
            addresses: vec!["2001:db8::53".parse().unwrap()],
            lifetime_s: 600,
        };
        let domains = RouterOption::SearchDomains {
            domains: vec!["lan.home".to_owned(), "x".to_owned()],
            lifetime_s: u32::MAX,
        };
        assert_eq!(
            decode(&datagram(&options)),
            [resolvers, domains].map(|option| Event::Router { index: 3, option })
        );
    }

    #[test]
    fn a_routers_domain_that_is_no_name_takes_no_other_with_it() {
        for bad in [&b"\x03a b\0"[..], b"\x03a.b\0", b"\x02\xc3\xa9\0", b"\0"] {
            let names = [b"\x03lan\0", bad, b"\x04home\0"].concat();
            assert_eq!(domains(&names), ["lan", "home"], "{bad:?}");
        }
        assert_eq!(domains(b"\x03lan\0\x04ho"), ["lan"], "cut off");
        assert_eq!(domains(&b"\x01a\0".repeat(99)).len(), ENTRIES_MAX);
    }

    #[test]
    fn what_ipv6_knows_about_a_link_is_read() {
        // struct ifinfomsg of link 3, and IFLA_PROTINFO with IFLA_INET6_FLAGS.
        let mut body = vec![10, 0, 1, 0, 3, 0, 0, 0];
        body.extend([0; 8]);
        body.extend([12, 0, 12, 0, 8, 0, 1, 0, 0xd0, 0, 0, 0x80]);
        let mut bytes = u32::try_from(body.len() + 16).unwrap().to_le_bytes().to_vec();
        bytes.extend([16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(body);
        assert_eq!(decode(&bytes), [Event::Inet6Flags { index: 3, flags: 0x8000_00d0 }]);
    }

    #[test]
    fn nonsense_of_a_router_is_passed_over() {
        for options in [
            &[][..],
            &[25, 0, 0, 0],
            &[25, 9, 0, 0, 0, 0, 0, 1],
            &[25, 1, 0, 0, 0, 0, 0, 1],
            &[31, 2, 0, 0, 0, 0, 0, 1, 99, b'a', b'b', 0, 0, 0, 0, 0],
            &[31, 2, 0, 0, 0, 0, 0, 1, 3, b'a', b'\n', b'b', 0, 0, 0, 0],
            &[31, 2, 0, 0, 0, 0, 0, 1, 3, b'a', b'.', b'b', 0, 0, 0, 0],
        ] {
            assert_eq!(decode(&datagram(options)), [], "{options:?}");
        }
        assert_eq!(decode(&[16, 0, 0, 0, 68, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), []);
    }
}
