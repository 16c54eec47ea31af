//! What the kernel says about links, addresses, routes and neighbours, as plain
//! data. What a message leaves out is `None`, never made up.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::Nla;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressScope};
use netlink_packet_route::link::{
    BridgeStpState, InfoBridge, InfoData, InfoVlan, LinkAttribute, LinkFlags, LinkInfo,
    LinkLayerType, LinkMessage, LinkProtoInfoInet6, State, Stats64,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::Connection;
use crate::network::mac::Mac;
use crate::network::prefix::Prefix;

/// `IFLA_INET6_FLAGS` (include/uapi/linux/if_link.h).
const INET6_FLAGS: u16 = 1;

/// A network interface.
#[derive(Clone, PartialEq, Debug)]
pub struct Link {
    /// The number the kernel knows it by, from 1.
    pub index: u32,
    /// Name, at most 15 bytes.
    pub name: String,
    /// What travels on it.
    pub layer: LinkLayerType,
    /// What made it, such as `vlan`, `bridge` or `veth`; `None` for a device.
    pub kind: Option<String>,
    /// Its own address.
    pub mac: Option<Mac>,
    /// `IFF_UP` and what else the kernel says about it.
    pub flags: LinkFlags,
    /// Longest packet in bytes.
    pub mtu: u32,
    /// RFC 2863.
    pub state: State,
    /// Index of the bridge it is a port of.
    pub controller: Option<u32>,
    /// Index of the link it lies on, for a VLAN; of its peer, for a veth.
    pub parent: Option<u32>,
    /// The VLAN's number.
    pub vlan_id: Option<u16>,
    /// Whether the bridge speaks the spanning tree protocol.
    pub stp: Option<bool>,
    /// Packets and bytes so far.
    pub statistics: Option<Stats64>,
}

impl Link {
    /// Whether somebody has switched it on.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.flags.contains(LinkFlags::Up)
    }

    /// Whether there is somebody at the other end of the cable.
    #[must_use]
    pub fn has_carrier(&self) -> bool {
        self.is_up() && self.flags.contains(LinkFlags::LowerUp)
    }

    /// Whether it is the loopback interface.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.flags.contains(LinkFlags::Loopback)
    }

    /// Reads what a message says; `None` if it does not even name a link.
    #[must_use]
    pub fn from_message(message: &LinkMessage) -> Option<Self> {
        let mut link = Self {
            index: message.header.index,
            name: String::new(),
            layer: message.header.link_layer_type,
            kind: None,
            mac: None,
            flags: message.header.flags,
            mtu: 0,
            state: State::Unknown,
            controller: None,
            parent: None,
            vlan_id: None,
            stp: None,
            statistics: None,
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => link.name.clone_from(name),
                LinkAttribute::Address(bytes) => link.mac = Mac::from_slice(bytes),
                LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
                LinkAttribute::OperState(state) => link.state = *state,
                LinkAttribute::Controller(index) => link.controller = Some(*index),
                LinkAttribute::Link(index) => link.parent = Some(*index),
                LinkAttribute::Stats64(statistics) => link.statistics = Some(*statistics),
                LinkAttribute::LinkInfo(infos) => link.read_info(infos),
                _ => {}
            }
        }
        (!link.name.is_empty()).then_some(link)
    }

    fn read_info(&mut self, infos: &[LinkInfo]) {
        for info in infos {
            match info {
                LinkInfo::Kind(kind) => self.kind = Some(kind.to_string()),
                LinkInfo::Data(InfoData::Vlan(data)) => {
                    self.vlan_id = data.iter().find_map(|one| match one {
                        InfoVlan::Id(id) => Some(*id),
                        _ => None,
                    });
                }
                LinkInfo::Data(InfoData::Bridge(data)) => {
                    self.stp = data.iter().find_map(|one| match one {
                        InfoBridge::StpState(state) => Some(*state != BridgeStpState::Disabled),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
    }
}

/// An address of a link.
#[derive(Clone, PartialEq, Debug)]
pub struct Address {
    /// Index of its link.
    pub index: u32,
    /// The address and its network.
    pub prefix: Prefix,
    /// The other end, where there is only one.
    pub peer: Option<IpAddr>,
    /// How far it is known.
    pub scope: AddressScope,
    /// Tentative, permanent, …
    pub flags: AddressFlags,
    /// Seconds from the message on until it goes away; `None` is never.
    pub valid_s: Option<u32>,
    /// Seconds from the message on until it is no longer chosen; `None` is never.
    pub preferred_s: Option<u32>,
    /// Who everybody in the network is.
    pub broadcast: Option<Ipv4Addr>,
}

impl Address {
    /// Whether others can be talked to from it: it is neither being checked for
    /// duplicates nor found to be one, and known beyond the link.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let unusable = AddressFlags::Tentative | AddressFlags::Dadfailed;
        self.scope == AddressScope::Universe
            && (!self.flags.intersects(unusable) || self.flags.contains(AddressFlags::Optimistic))
    }

    /// Reads what a message says; `None` if it has no address.
    #[must_use]
    pub fn from_message(message: &AddressMessage) -> Option<Self> {
        let header = &message.header;
        let (mut address, mut local, mut broadcast) = (None, None, None);
        let mut flags = AddressFlags::from_bits_retain(u32::from(header.flags.bits()));
        let (mut valid_s, mut preferred_s) = (None, None);
        let limited = |seconds: u32| (seconds != u32::MAX).then_some(seconds);
        for attribute in &message.attributes {
            match attribute {
                AddressAttribute::Address(one) => address = Some(*one),
                AddressAttribute::Local(one) => local = Some(*one),
                AddressAttribute::Broadcast(one) => broadcast = Some(*one),
                AddressAttribute::Flags(more) => flags = *more,
                AddressAttribute::CacheInfo(info) => {
                    valid_s = limited(info.ifa_valid);
                    preferred_s = limited(info.ifa_preferred);
                }
                _ => {}
            }
        }
        // Of a link with two ends, "address" is the other one.
        let own = local.or(address)?;
        Some(Self {
            index: header.index,
            prefix: Prefix::new(own, header.prefix_len)?,
            peer: address.filter(|address| *address != own),
            scope: header.scope,
            flags,
            valid_s,
            preferred_s,
            broadcast,
        })
    }
}

/// Where packets go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Whom it leads to.
    pub destination: Prefix,
    /// Who passes packets on.
    pub gateway: Option<IpAddr>,
    /// Index of the link they leave by.
    pub index: Option<u32>,
    /// Of two routes to the same place the lower one counts.
    pub metric: Option<u32>,
    /// The address they are sent from.
    pub source: Option<IpAddr>,
    /// Who made it.
    pub protocol: RouteProtocol,
    /// How far it leads.
    pub scope: RouteScope,
    /// Unicast, local, unreachable, …
    pub kind: RouteType,
    /// The table it stands in; 254 is the main one.
    pub table: u32,
}

impl Route {
    /// Reads what a message says; `None` for families other than IPv4 and IPv6.
    #[must_use]
    pub fn from_message(message: &RouteMessage) -> Option<Self> {
        let header = &message.header;
        let any: IpAddr = match header.address_family {
            AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
            AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
            _ => return None,
        };
        let mut route = Self {
            destination: Prefix::new(any, header.destination_prefix_length)?,
            gateway: None,
            index: None,
            metric: None,
            source: None,
            protocol: header.protocol,
            scope: header.scope,
            kind: header.kind,
            table: u32::from(header.table),
        };
        for attribute in &message.attributes {
            match attribute {
                RouteAttribute::Destination(address) => {
                    route.destination.address = ip(address).unwrap_or(any);
                }
                RouteAttribute::Gateway(address) => route.gateway = ip(address),
                RouteAttribute::PrefSource(address) => route.source = ip(address),
                RouteAttribute::Oif(index) => route.index = Some(*index),
                RouteAttribute::Priority(metric) => route.metric = Some(*metric),
                RouteAttribute::Table(table) => route.table = *table,
                _ => {}
            }
        }
        Some(route)
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}

/// Somebody on the same network.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Neighbour {
    /// Index of the link.
    pub index: u32,
    /// Its address.
    pub address: IpAddr,
    /// Its hardware address, when it is known.
    pub mac: Option<Mac>,
    /// How sure the kernel is.
    pub state: NeighbourState,
}

impl Neighbour {
    /// Reads what a message says; `None` for families other than IPv4 and IPv6.
    #[must_use]
    pub fn from_message(message: &NeighbourMessage) -> Option<Self> {
        let (mut address, mut mac) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                NeighbourAttribute::Destination(NeighbourAddress::Inet(one)) => {
                    address = Some(IpAddr::V4(*one));
                }
                NeighbourAttribute::Destination(NeighbourAddress::Inet6(one)) => {
                    address = Some(IpAddr::V6(*one));
                }
                NeighbourAttribute::LinkLayerAddress(bytes) => mac = Mac::from_slice(bytes),
                _ => {}
            }
        }
        let header = &message.header;
        Some(Self { index: header.ifindex, address: address?, mac, state: header.state })
    }
}

/// All links, by index.
///
/// # Errors
/// What the kernel answers.
pub fn links(connection: &mut Connection) -> io::Result<Vec<Link>> {
    let entries = connection.dump(&RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let link = |entry: &RouteNetlinkMessage| match entry {
        RouteNetlinkMessage::NewLink(message) => Link::from_message(message),
        _ => None,
    };
    let mut links: Vec<Link> = entries.iter().filter_map(link).collect();
    links.sort_by_key(|link| link.index);
    Ok(links)
}

/// What IPv6 knows about the links, by index: the `IF_RA_*` bits and others.
///
/// # Errors
/// What the kernel answers.
pub fn inet6_flags(connection: &mut Connection) -> io::Result<Vec<(u32, u32)>> {
    let mut message = LinkMessage::default();
    message.header.interface_family = AddressFamily::Inet6;
    let entries = connection.dump(&RouteNetlinkMessage::GetLink(message))?;
    let flags = |entry: &RouteNetlinkMessage| match entry {
        RouteNetlinkMessage::NewLink(message) => inet6_flags_of(message),
        _ => None,
    };
    Ok(entries.iter().filter_map(flags).collect())
}

/// A link's index with what IPv6 knows about it; `None` if a message does not say.
pub(super) fn inet6_flags_of(message: &LinkMessage) -> Option<(u32, u32)> {
    let flags = message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::ProtoInfoInet6(infos) => infos.iter().find_map(|info| match info {
            LinkProtoInfoInet6::Other(one) if one.kind() == INET6_FLAGS => {
                let mut value = [0; 4];
                (one.value_len() == value.len()).then(|| {
                    one.emit_value(&mut value);
                    u32::from_le_bytes(value)
                })
            }
            _ => None,
        }),
        _ => None,
    })?;
    Some((message.header.index, flags))
}

/// All addresses, in the kernel's order.
///
/// # Errors
/// What the kernel answers.
pub fn addresses(connection: &mut Connection) -> io::Result<Vec<Address>> {
    let entries = connection.dump(&RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    let address = |entry: &RouteNetlinkMessage| match entry {
        RouteNetlinkMessage::NewAddress(message) => Address::from_message(message),
        _ => None,
    };
    Ok(entries.iter().filter_map(address).collect())
}

/// The routes of every table, IPv4 first.
///
/// # Errors
/// What the kernel answers.
pub fn routes(connection: &mut Connection) -> io::Result<Vec<Route>> {
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut message = RouteMessage::default();
        message.header.address_family = family;
        let entries = connection.dump(&RouteNetlinkMessage::GetRoute(message))?;
        routes.extend(entries.iter().filter_map(|entry| match entry {
            RouteNetlinkMessage::NewRoute(message) => Route::from_message(message),
            _ => None,
        }));
    }
    Ok(routes)
}

/// Everybody the kernel has talked to, in its order.
///
/// # Errors
/// What the kernel answers.
pub fn neighbours(connection: &mut Connection) -> io::Result<Vec<Neighbour>> {
    let entries =
        connection.dump(&RouteNetlinkMessage::GetNeighbour(NeighbourMessage::default()))?;
    let neighbour = |entry: &RouteNetlinkMessage| match entry {
        RouteNetlinkMessage::NewNeighbour(message) => Neighbour::from_message(message),
        _ => None,
    };
    Ok(entries.iter().filter_map(neighbour).collect())
}
