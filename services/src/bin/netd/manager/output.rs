//! What the manager wants done.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use services::network::netlink::Change;

use crate::dhcp4::message::Outgoing;
use crate::given::Given;

/// Something to do.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Output {
    /// Have the kernel change something.
    Change(Change),
    /// Set `/proc/sys/net/ipv4/conf/LINK/KEY`.
    Inet4 { link: String, key: &'static str, value: u32 },
    /// Set `/proc/sys/net/ipv6/conf/LINK/KEY`.
    Inet6 { link: String, key: &'static str, value: u32 },
    /// Begin or end to hear DHCP servers on a link.
    Listen4 { index: u32, on: bool },
    /// Send a DHCP message on a link.
    Send4 { index: u32, message: Outgoing },
    /// Ask on a link who has an address, and hear the answer.
    Probe { index: u32, address: Ipv4Addr },
    /// Begin or end to hear DHCPv6 servers on a link.
    Listen6 { index: u32, on: bool },
    /// Send a DHCPv6 message on a link.
    Send6 { index: u32, message: Vec<u8> },
    /// Ask the routers on a link to say again what they have.
    Solicit { index: u32 },
    /// What `/run/netd/resolv.conf` is to hold.
    Resolvers(String),
    /// What links were given for good, for the next start.
    Given(Given),
    /// The names of the links that a person has switched off, for the next start.
    HeldDown(BTreeSet<String>),
    /// Give the machine this name.
    Hostname(String),
    /// Say something.
    Log(String),
}
