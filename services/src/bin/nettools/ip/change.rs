//! What `ip` changes.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use netlink_packet_route::neighbour::NeighbourState;
use services::failure::Failure;
use services::network::mac::Mac;
use services::network::netlink::Change;
use services::network::netlink::change::{LinkSetting, NewLink};
use services::network::netlink::view::{Neighbour, Route};
use services::network::prefix::Prefix;
use services::problem::{Context, Problem};

use super::{Kernel, usage};
use crate::Result;

/// The words after a command, taken one after the other.
struct Words<'w>(std::slice::Iter<'w, &'w str>);

impl<'w> Words<'w> {
    fn next(&mut self) -> Option<&'w str> {
        self.0.next().copied()
    }

    /// The word that has to follow `after`.
    fn value(&mut self, after: &str) -> Result<&'w str> {
        self.next().ok_or_else(|| usage(format!("something is missing after `{after}`")))
    }

    /// Likewise, understood.
    fn parsed<T: FromStr>(&mut self, after: &str) -> Result<T> {
        let word = self.value(after)?;
        word.parse().map_err(|_| usage(format!("`{word}` cannot follow `{after}`")))
    }
}

fn make(kernel: &mut Kernel, change: &Change) -> Result<()> {
    Ok(change.make(&mut kernel.connection).context(|| "the kernel refuses".to_owned())?)
}

/// Makes the change where it makes something that is not there yet, as `add` says.
fn make_new(kernel: &mut Kernel, change: &Change) -> Result<()> {
    change.make_new(&mut kernel.connection).map_err(|error| {
        let problem = Problem::new(format!("the kernel refuses: {error}"));
        match error.kind() {
            ErrorKind::AlreadyExists => problem.with_hint("`replace` changes what is there"),
            _ => problem,
        }
    })?;
    Ok(())
}

fn unexpected(word: &str) -> Failure {
    usage(format!("`{word}` was not expected here"))
}

/// The address, where it is not of another family than the one asked for.
fn of_family(address: IpAddr, ipv4: Option<bool>) -> Result<IpAddr> {
    match ipv4 {
        Some(true) if !address.is_ipv4() => Err(usage(format!("`-4`, but {address} is IPv6"))),
        Some(false) if address.is_ipv4() => Err(usage(format!("`-6`, but {address} is IPv4"))),
        _ => Ok(address),
    }
}

pub(super) fn address(
    kernel: &mut Kernel,
    ipv4: Option<bool>,
    command: &str,
    words: &[&str],
) -> Result<()> {
    let mut words = Words(words.iter());
    let prefix: Prefix = words.parsed(command)?;
    of_family(prefix.address, ipv4)?;
    let mut index = None;
    while let Some(word) = words.next() {
        match word {
            "dev" => index = Some(kernel.link(words.value("dev")?)?.index),
            other => return Err(unexpected(other)),
        }
    }
    let index = index.ok_or_else(|| usage("`dev LINK` is missing"))?;
    let given = Change::AddAddress { index, prefix, valid_s: None, metric: None };
    match command {
        "add" => make_new(kernel, &given),
        "replace" => make(kernel, &given),
        "del" | "delete" => make(kernel, &Change::DeleteAddress { index, prefix }),
        other => Err(unexpected(other)),
    }
}

pub(super) fn link(kernel: &mut Kernel, command: &str, words: &[&str]) -> Result<()> {
    let mut words = Words(words.iter());
    match command {
        "add" => add_link(kernel, &mut words),
        "del" | "delete" => {
            let index = named_link(kernel, command, &mut words)?;
            make(kernel, &Change::DeleteLink(index))
        }
        "set" => {
            let index = named_link(kernel, command, &mut words)?;
            for setting in settings(kernel, &mut words)? {
                make(kernel, &Change::SetLink(index, setting))?;
            }
            Ok(())
        }
        other => Err(unexpected(other)),
    }
}

fn named_link(kernel: &Kernel, command: &str, words: &mut Words<'_>) -> Result<u32> {
    let name = match words.value(command)? {
        "dev" => words.value("dev")?,
        name => name,
    };
    Ok(kernel.link(name)?.index)
}

fn settings(kernel: &Kernel, words: &mut Words<'_>) -> Result<Vec<LinkSetting>> {
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        settings.push(match word {
            "up" => LinkSetting::Up(true),
            "down" => LinkSetting::Up(false),
            "mtu" => LinkSetting::Mtu(words.parsed("mtu")?),
            "address" => LinkSetting::Mac(words.parsed::<Mac>("address")?),
            "name" => LinkSetting::Name(words.value("name")?.to_owned()),
            "master" => LinkSetting::Controller(Some(kernel.link(words.value("master")?)?.index)),
            "nomaster" => LinkSetting::Controller(None),
            other => return Err(unexpected(other)),
        });
    }
    if settings.is_empty() { Err(usage("what is to be set?")) } else { Ok(settings) }
}

fn add_link(kernel: &mut Kernel, words: &mut Words<'_>) -> Result<()> {
    let (mut name, mut parent, mut kind) = (None, None, None);
    let (mut id, mut peer) = (None, None);
    while let Some(word) = words.next() {
        match word {
            "name" => name = Some(words.value("name")?),
            "link" => parent = Some(kernel.link(words.value("link")?)?.index),
            "type" => kind = Some(words.value("type")?),
            "id" => id = Some(words.parsed::<u16>("id")?),
            "peer" => {
                peer = Some(match words.value("peer")? {
                    "name" => words.value("name")?,
                    name => name,
                });
            }
            other if name.is_none() => name = Some(other),
            other => return Err(unexpected(other)),
        }
    }
    let name = name.ok_or_else(|| usage("the new link's name is missing"))?.to_owned();
    let kind = match (kind, parent, id, peer) {
        (Some("dummy"), ..) => NewLink::Dummy,
        (Some("bridge"), ..) => NewLink::Bridge { stp: false },
        (Some("veth"), .., Some(peer)) => NewLink::Veth { peer: peer.to_owned() },
        (Some("vlan"), Some(parent), Some(id @ 1..=4094), _) => NewLink::Vlan { parent, id },
        (Some("veth"), ..) => return Err(usage("a veth needs `peer NAME`")),
        (Some("vlan"), ..) => return Err(usage("a vlan needs `link LINK` and `id` 1 to 4094")),
        _ => return Err(usage("the type is one of dummy, bridge, veth, vlan")),
    };
    make(kernel, &Change::AddLink { name, kind })
}

/// Where a route leads. `default` is of the gateway's family; without one, of the family
/// that is asked for.
fn destination(text: &str, via: Option<IpAddr>, ipv4: Option<bool>) -> Result<Prefix> {
    if text != "default" {
        let network: Prefix = text.parse().map_err(usage)?;
        of_family(network.address, ipv4)?;
        return Ok(network);
    }
    Ok(Prefix::everything(via.unwrap_or(match ipv4 {
        Some(false) => Ipv6Addr::UNSPECIFIED.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    })))
}

pub(super) fn route(
    kernel: &mut Kernel,
    ipv4: Option<bool>,
    command: &str,
    words: &[&str],
) -> Result<()> {
    let mut words = Words(words.iter());
    let to = words.value(command)?;
    let (mut via, mut index, mut metric, mut source) = (None, None, None, None);
    while let Some(word) = words.next() {
        match word {
            "via" => via = Some(of_family(words.parsed("via")?, ipv4)?),
            "dev" => index = Some(kernel.link(words.value("dev")?)?.index),
            "metric" => metric = Some(words.parsed::<u32>("metric")?),
            "src" => source = Some(of_family(words.parsed("src")?, ipv4)?),
            other => return Err(unexpected(other)),
        }
    }
    let destination = destination(to, via, ipv4)?;
    if via.is_none() && index.is_none() && command != "del" && command != "delete" {
        return Err(usage("`via ADDRESS` or `dev LINK` is missing"));
    }
    let mut route = Route::unicast(destination, via, index.unwrap_or_default());
    route.index = index;
    route.metric = metric;
    route.source = source;
    match command {
        "add" => make_new(kernel, &Change::AddRoute(route)),
        "replace" => make(kernel, &Change::ReplaceRoute(route)),
        "del" | "delete" => make(kernel, &Change::DeleteRoute(any_maker(route))),
        other => Err(unexpected(other)),
    }
}

/// The same route, whoever has made it and whatever its scope.
fn any_maker(mut route: Route) -> Route {
    route.protocol = netlink_packet_route::route::RouteProtocol::Unspec;
    route.scope = netlink_packet_route::route::RouteScope::NoWhere;
    route
}

pub(super) fn neighbour(
    kernel: &mut Kernel,
    ipv4: Option<bool>,
    command: &str,
    words: &[&str],
) -> Result<()> {
    let mut words = Words(words.iter());
    let address = of_family(words.parsed(command)?, ipv4)?;
    let (mut index, mut mac) = (None, None);
    while let Some(word) = words.next() {
        match word {
            "dev" => index = Some(kernel.link(words.value("dev")?)?.index),
            "lladdr" => mac = Some(words.parsed::<Mac>("lladdr")?),
            other => return Err(unexpected(other)),
        }
    }
    let index = index.ok_or_else(|| usage("`dev LINK` is missing"))?;
    let one = Neighbour { index, address, mac, state: NeighbourState::Permanent };
    match command {
        "add" | "replace" if mac.is_none() => Err(usage("`lladdr MAC` is missing")),
        "add" => make_new(kernel, &Change::SetNeighbour(one)),
        "replace" => make(kernel, &Change::SetNeighbour(one)),
        "del" | "delete" => make(kernel, &Change::DeleteNeighbour(one)),
        other => Err(unexpected(other)),
    }
}
