//! The requests that change links, addresses, routes and neighbours.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope, CacheInfo,
};
use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, InfoKind, InfoVeth, InfoVlan, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage,
};
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Connection;
use super::view::{Neighbour, Route};
use crate::network::mac::Mac;
use crate::network::prefix::Prefix;

/// What makes something that is not there yet.
const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;
/// What makes something, in the place of what is there.
const REPLACE: u16 = NLM_F_CREATE | NLM_F_REPLACE;

/// Something to change.
#[derive(Clone, PartialEq, Debug)]
pub enum Change {
    /// Make a link.
    AddLink {
        /// Its name.
        name: String,
        /// What it is.
        kind: NewLink,
    },
    /// Take a link away.
    DeleteLink(u32),
    /// Change a link.
    SetLink(u32, LinkSetting),
    /// Give a link an address, or new lifetimes to one it has.
    AddAddress {
        /// Index of the link.
        index: u32,
        /// The address.
        prefix: Prefix,
        /// Seconds until it goes away; `None` is never.
        valid_s: Option<u32>,
        /// Metric of the route to its network; `None` is the kernel's choice.
        metric: Option<u32>,
    },
    /// Take an address away.
    DeleteAddress {
        /// Index of the link.
        index: u32,
        /// The address.
        prefix: Prefix,
    },
    /// Add a route.
    AddRoute(Route),
    /// Add a route, or take the place of one to the same destination.
    ReplaceRoute(Route),
    /// Take a route away.
    DeleteRoute(Route),
    /// Say who has an address, for good.
    SetNeighbour(Neighbour),
    /// Forget who has an address.
    DeleteNeighbour(Neighbour),
}

/// A link to make.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NewLink {
    /// An IEEE 802.1Q VLAN on another link.
    Vlan {
        /// Index of that link.
        parent: u32,
        /// Its number: 1 to 4094.
        id: u16,
    },
    /// A bridge.
    Bridge {
        /// Whether it speaks the spanning tree protocol.
        stp: bool,
    },
    /// A pair of links with a cable between them.
    Veth {
        /// Name of the other one.
        peer: String,
    },
    /// A link that leads nowhere.
    Dummy,
}

/// What can be changed about a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkSetting {
    /// Switch it on or off.
    Up(bool),
    /// Longest packet in bytes.
    Mtu(u32),
    /// Its address.
    Mac(Mac),
    /// Its name.
    Name(String),
    /// The bridge it is a port of, or none.
    Controller(Option<u32>),
    /// Whether it, a bridge, speaks the spanning tree protocol.
    Stp(bool),
}

impl Change {
    /// Makes the change.
    ///
    /// # Errors
    /// What the kernel answers. What is to be deleted and is not there is an error.
    pub fn make(&self, connection: &mut Connection) -> io::Result<()> {
        let (message, flags) = self.message();
        connection.request(message, flags).map(|_| ())
    }

    /// Makes the change if it makes something new; what is there already stays as it is.
    ///
    /// # Errors
    /// What the kernel answers: `EEXIST` if it is there already.
    pub fn make_new(&self, connection: &mut Connection) -> io::Result<()> {
        let (message, flags) = self.message();
        let flags = if flags == REPLACE { NEW } else { flags };
        connection.request(message, flags).map(|_| ())
    }

    fn message(&self) -> (RouteNetlinkMessage, u16) {
        match self {
            Self::AddLink { name, kind } => {
                (RouteNetlinkMessage::NewLink(new_link(name, kind)), NEW)
            }
            Self::DeleteLink(index) => (RouteNetlinkMessage::DelLink(link(*index)), 0),
            Self::SetLink(index, setting) => {
                let message = set_link(*index, setting);
                // What only some sorts of links have is not taken from the other message.
                match setting {
                    LinkSetting::Stp(_) => (RouteNetlinkMessage::NewLink(message), 0),
                    _ => (RouteNetlinkMessage::SetLink(message), 0),
                }
            }
            Self::AddAddress { index, prefix, valid_s, metric } => {
                let mut message = address(*index, *prefix);
                lifetimes(&mut message, *valid_s, *metric);
                (RouteNetlinkMessage::NewAddress(message), REPLACE)
            }
            Self::DeleteAddress { index, prefix } => {
                (RouteNetlinkMessage::DelAddress(address(*index, *prefix)), 0)
            }
            Self::AddRoute(one) => (RouteNetlinkMessage::NewRoute(route(one)), NEW),
            Self::ReplaceRoute(one) => (RouteNetlinkMessage::NewRoute(route(one)), REPLACE),
            Self::DeleteRoute(one) => (RouteNetlinkMessage::DelRoute(route(one)), 0),
            Self::SetNeighbour(one) => (RouteNetlinkMessage::NewNeighbour(neighbour(one)), REPLACE),
            Self::DeleteNeighbour(one) => (RouteNetlinkMessage::DelNeighbour(neighbour(one)), 0),
        }
    }
}

fn link(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

fn new_link(name: &str, kind: &NewLink) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    let info = match kind {
        NewLink::Vlan { parent, id } => {
            message.attributes.push(LinkAttribute::Link(*parent));
            vec![
                LinkInfo::Kind(InfoKind::Vlan),
                LinkInfo::Data(InfoData::Vlan(vec![InfoVlan::Id(*id)])),
            ]
        }
        NewLink::Bridge { stp } => bridge_info(*stp),
        NewLink::Veth { peer } => {
            let mut other = LinkMessage::default();
            other.attributes.push(LinkAttribute::IfName(peer.clone()));
            vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(other))),
            ]
        }
        NewLink::Dummy => vec![LinkInfo::Kind(InfoKind::Dummy)],
    };
    message.attributes.push(LinkAttribute::LinkInfo(info));
    message
}

fn bridge_info(stp: bool) -> Vec<LinkInfo> {
    let state = if stp { BridgeStpState::KernelStp } else { BridgeStpState::Disabled };
    vec![
        LinkInfo::Kind(InfoKind::Bridge),
        LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::StpState(state)])),
    ]
}

fn set_link(index: u32, setting: &LinkSetting) -> LinkMessage {
    let mut message = link(index);
    match setting {
        LinkSetting::Up(up) => {
            message.header.change_mask = LinkFlags::Up;
            message.header.flags = if *up { LinkFlags::Up } else { LinkFlags::empty() };
        }
        LinkSetting::Mtu(mtu) => message.attributes.push(LinkAttribute::Mtu(*mtu)),
        LinkSetting::Mac(mac) => message.attributes.push(LinkAttribute::Address(mac.0.to_vec())),
        LinkSetting::Name(name) => message.attributes.push(LinkAttribute::IfName(name.clone())),
        LinkSetting::Controller(index) => {
            message.attributes.push(LinkAttribute::Controller(index.unwrap_or(0)));
        }
        LinkSetting::Stp(stp) => {
            message.attributes.push(LinkAttribute::LinkInfo(bridge_info(*stp)));
        }
    }
    message
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

fn address(index: u32, prefix: Prefix) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(prefix.address);
    message.header.prefix_len = prefix.length;
    message.header.index = index;
    message.header.scope = scope(prefix.address);
    message.attributes.push(AddressAttribute::Local(prefix.address));
    message.attributes.push(AddressAttribute::Address(prefix.address));
    message
}

/// How far an address is known, as RFC 3927 and RFC 4291 say.
fn scope(address: IpAddr) -> AddressScope {
    let (host, link) = match address {
        IpAddr::V4(one) => (one.is_loopback(), one.is_link_local()),
        IpAddr::V6(one) => (one.is_loopback(), one.is_unicast_link_local()),
    };
    if host {
        AddressScope::Host
    } else if link {
        AddressScope::Link
    } else {
        AddressScope::Universe
    }
}

fn lifetimes(message: &mut AddressMessage, valid_s: Option<u32>, metric: Option<u32>) {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let prefix = local.and_then(|address| Prefix::new(address, message.header.prefix_len));
    if let Some(broadcast) = prefix.and_then(Prefix::broadcast) {
        message.attributes.push(AddressAttribute::Broadcast(broadcast));
    }
    if let Some(metric) = metric {
        message.attributes.push(AddressAttribute::RoutePriority(metric));
    }
    match valid_s {
        Some(seconds) => {
            let mut info = CacheInfo::default();
            info.ifa_valid = seconds;
            info.ifa_preferred = seconds;
            message.attributes.push(AddressAttribute::CacheInfo(info));
        }
        None => message.attributes.push(AddressAttribute::Flags(AddressFlags::Permanent)),
    }
}

fn route(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = family(route.destination.address);
    header.destination_prefix_length = route.destination.length;
    header.protocol = route.protocol;
    header.scope = route.scope;
    header.kind = route.kind;
    header.table = u8::try_from(route.table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    let attributes = &mut message.attributes;
    if route.table > u32::from(u8::MAX) {
        attributes.push(RouteAttribute::Table(route.table));
    }
    if route.destination.length > 0 {
        let network = route.destination.network().address;
        attributes.push(RouteAttribute::Destination(RouteAddress::from(network)));
    }
    if let Some(gateway) = route.gateway {
        attributes.push(RouteAttribute::Gateway(RouteAddress::from(gateway)));
    }
    if let Some(source) = route.source {
        attributes.push(RouteAttribute::PrefSource(RouteAddress::from(source)));
    }
    if let Some(index) = route.index {
        attributes.push(RouteAttribute::Oif(index));
    }
    if let Some(metric) = route.metric {
        attributes.push(RouteAttribute::Priority(metric));
    }
    message
}

impl Route {
    /// A route of the main table through `gateway`, or to the link itself.
    #[must_use]
    pub fn unicast(destination: Prefix, gateway: Option<IpAddr>, index: u32) -> Self {
        let direct = gateway.is_none() && destination.address.is_ipv4();
        Self {
            destination,
            gateway,
            index: Some(index),
            metric: None,
            source: None,
            protocol: netlink_packet_route::route::RouteProtocol::Static,
            scope: if direct { RouteScope::Link } else { RouteScope::Universe },
            kind: RouteType::Unicast,
            table: u32::from(RouteHeader::RT_TABLE_MAIN),
        }
    }
}

fn neighbour(one: &Neighbour) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(one.address);
    message.header.ifindex = one.index;
    message.header.state = NeighbourState::Permanent;
    let destination = match one.address {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => address.into(),
    };
    message.attributes.push(NeighbourAttribute::Destination(destination));
    if let Some(mac) = one.mac {
        message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    }
    message
}
