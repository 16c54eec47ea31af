//! What `ip` prints: in the usual form, in short, and as JSON.

use std::fmt::Write as _;

use netlink_packet_route::address::{AddressFlags, AddressScope};
use netlink_packet_route::link::LinkFlags;
use netlink_packet_route::neighbour::NeighbourState;
use netlink_packet_route::route::{RouteProtocol, RouteScope, RouteType};
use serde_json::{Value, json};
use services::network::netlink::view::{self, Address, Link, Neighbour, Route};
use services::output::print;
use services::problem::Context;

use super::{Kernel, Options, usage};
use crate::Result;

/// The main table, and the one of local addresses (rtnetlink.h).
const TABLE_MAIN: u32 = 254;

fn asking() -> String {
    "cannot ask the kernel".to_owned()
}

/// The links that the words are about: `[dev] LINK`, or all.
fn chosen<'k>(kernel: &'k Kernel, words: &[&str]) -> Result<Vec<&'k Link>> {
    match words {
        [] => Ok(kernel.links.iter().collect()),
        ["dev", name] | [name] => Ok(vec![kernel.link(name)?]),
        _ => Err(usage("one link, or none for all")),
    }
}

pub(super) fn addresses(kernel: &mut Kernel, options: Options, words: &[&str]) -> Result<()> {
    let all = view::addresses(&mut kernel.connection).context(asking)?;
    let fits = |address: &Address| {
        options.ipv4.is_none_or(|ipv4| address.prefix.address.is_ipv4() == ipv4)
    };
    let mut text = String::new();
    let mut values = Vec::new();
    for link in chosen(kernel, words)? {
        let own: Vec<&Address> =
            all.iter().filter(|one| one.index == link.index && fits(one)).collect();
        if options.json {
            let mut value = link_json(kernel, link);
            value["addr_info"] = own.iter().map(|one| address_json(one)).collect();
            values.push(value);
        } else if options.brief {
            let own: Vec<String> = own.iter().map(|one| one.prefix.to_string()).collect();
            brief(&mut text, link, &own.join(" "));
        } else if options.ipv4.is_none() || !own.is_empty() {
            text.push_str(&link_text(kernel, link));
            own.iter().for_each(|one| text.push_str(&address_text(one, &link.name)));
        }
    }
    finish(options, &text, values)
}

pub(super) fn links(kernel: &Kernel, options: Options, words: &[&str]) -> Result<()> {
    let mut text = String::new();
    let mut values = Vec::new();
    for link in chosen(kernel, words)? {
        if options.json {
            values.push(link_json(kernel, link));
        } else if options.brief {
            brief(&mut text, link, &link.mac.map(|mac| mac.to_string()).unwrap_or_default());
        } else {
            text.push_str(&link_text(kernel, link));
        }
    }
    finish(options, &text, values)
}

fn finish(options: Options, text: &str, values: Vec<Value>) -> Result<()> {
    Ok(if options.json { print(&format!("{}\n", Value::from(values))) } else { print(text) }?)
}

fn brief(text: &mut String, link: &Link, rest: &str) {
    let line = format!("{:16} {:14} {rest}", link.name, state(link));
    let _ = writeln!(text, "{}", line.trim_end());
}

fn state(link: &Link) -> String {
    format!("{:?}", link.state).to_uppercase()
}

fn flags(link: &Link) -> Vec<String> {
    let lacks_carrier = link.is_up() && !link.has_carrier();
    let names = link.flags.iter_names().map(|(name, _)| match name {
        "LowerUp" => "LOWER_UP".to_owned(),
        other => other.to_uppercase(),
    });
    lacks_carrier.then(|| "NO-CARRIER".to_owned()).into_iter().chain(names).collect()
}

fn layer(link: &Link) -> &'static str {
    if link.flags.contains(LinkFlags::Loopback) { "loopback" } else { "ether" }
}

fn link_text(kernel: &Kernel, link: &Link) -> String {
    let mut text = format!("{}: {}", link.index, link.name);
    if let Some(parent) = link.parent.filter(|parent| *parent != 0) {
        let _ = write!(text, "@{}", kernel.name(parent));
    }
    let _ = write!(text, ": <{}> mtu {}", flags(link).join(","), link.mtu);
    if let Some(bridge) = link.controller {
        let _ = write!(text, " master {}", kernel.name(bridge));
    }
    let _ = writeln!(text, " state {}", state(link));
    let mac = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
    let _ = writeln!(text, "    link/{} {mac}", layer(link));
    if let (Some(kind), Some(id)) = (&link.kind, link.vlan_id) {
        let _ = writeln!(text, "    {kind} id {id}");
    }
    text
}

fn link_json(kernel: &Kernel, link: &Link) -> Value {
    let bytes = link.statistics.map(|all| {
        json!({
            "rx": { "bytes": all.rx_bytes, "packets": all.rx_packets, "errors": all.rx_errors },
            "tx": { "bytes": all.tx_bytes, "packets": all.tx_packets, "errors": all.tx_errors },
        })
    });
    json!({
        "ifindex": link.index,
        "ifname": link.name,
        "flags": flags(link),
        "mtu": link.mtu,
        "operstate": state(link),
        "link_type": layer(link),
        "address": link.mac.map(|mac| mac.to_string()),
        "master": link.controller.map(|index| kernel.name(index)),
        "link": link.parent.map(|index| kernel.name(index)),
        "linkinfo": { "info_kind": link.kind, "vlan_id": link.vlan_id },
        "stats64": bytes,
    })
}

fn scope(scope: AddressScope) -> String {
    match scope {
        AddressScope::Universe => "global".to_owned(),
        AddressScope::Link => "link".to_owned(),
        AddressScope::Host => "host".to_owned(),
        other => format!("{}", u8::from(other)),
    }
}

fn notes(address: &Address) -> Vec<&'static str> {
    let known = [
        (AddressFlags::Tentative, "tentative"),
        (AddressFlags::Dadfailed, "dadfailed"),
        (AddressFlags::Deprecated, "deprecated"),
    ];
    let dynamic = (!address.flags.contains(AddressFlags::Permanent)).then_some("dynamic");
    let set = known.iter().filter(|(flag, _)| address.flags.contains(*flag));
    set.map(|(_, name)| *name).chain(dynamic).collect()
}

fn address_text(address: &Address, link: &str) -> String {
    let family = if address.prefix.address.is_ipv4() { "inet" } else { "inet6" };
    let mut text = format!("    {family} {}", address.prefix);
    if let Some(broadcast) = address.broadcast {
        let _ = write!(text, " brd {broadcast}");
    }
    let _ = write!(text, " scope {}", scope(address.scope));
    for note in notes(address) {
        let _ = write!(text, " {note}");
    }
    let seconds = |time: Option<u32>| match time {
        Some(seconds) => format!("{seconds}sec"),
        None => "forever".to_owned(),
    };
    let (valid, preferred) = (seconds(address.valid_s), seconds(address.preferred_s));
    let _ = writeln!(text, " {link}\n       valid_lft {valid} preferred_lft {preferred}");
    text
}

fn address_json(address: &Address) -> Value {
    json!({
        "family": if address.prefix.address.is_ipv4() { "inet" } else { "inet6" },
        "local": address.prefix.address.to_string(),
        "prefixlen": address.prefix.length,
        "scope": scope(address.scope),
        "flags": notes(address),
        "valid_life_time": address.valid_s.unwrap_or(u32::MAX),
        "preferred_life_time": address.preferred_s.unwrap_or(u32::MAX),
    })
}

pub(super) fn routes(kernel: &mut Kernel, options: Options, words: &[&str]) -> Result<()> {
    let table = match words {
        [] => Some(TABLE_MAIN),
        ["table", "all"] => None,
        ["table", number] => Some(number.parse().map_err(|_| usage("`table` takes a number"))?),
        _ => return Err(usage("`ip route show` takes `table N` or nothing")),
    };
    let all = view::routes(&mut kernel.connection).context(asking)?;
    let ipv4 = options.ipv4.unwrap_or(true);
    let shown = all.iter().filter(|route| {
        route.destination.address.is_ipv4() == ipv4 && table.is_none_or(|one| route.table == one)
    });
    let mut text = String::new();
    let mut values = Vec::new();
    for route in shown {
        if options.json {
            values.push(route_json(kernel, route));
        } else {
            text.push_str(&route_text(kernel, route));
        }
    }
    finish(options, &text, values)
}

fn destination(route: &Route) -> String {
    let whole = if route.destination.address.is_ipv4() { 32 } else { 128 };
    match route.destination.length {
        0 => "default".to_owned(),
        length if length == whole => route.destination.address.to_string(),
        _ => route.destination.to_string(),
    }
}

fn protocol(protocol: RouteProtocol) -> String {
    format!("{protocol:?}").to_lowercase()
}

fn route_text(kernel: &Kernel, route: &Route) -> String {
    let mut text = String::new();
    if route.kind != RouteType::Unicast {
        let _ = write!(text, "{} ", format!("{:?}", route.kind).to_lowercase());
    }
    text.push_str(&destination(route));
    if let Some(gateway) = route.gateway {
        let _ = write!(text, " via {gateway}");
    }
    if let Some(index) = route.index {
        let _ = write!(text, " dev {}", kernel.name(index));
    }
    let _ = write!(text, " proto {}", protocol(route.protocol));
    if route.scope == RouteScope::Link {
        text.push_str(" scope link");
    }
    if let Some(source) = route.source {
        let _ = write!(text, " src {source}");
    }
    if let Some(metric) = route.metric {
        let _ = write!(text, " metric {metric}");
    }
    text.push('\n');
    text
}

fn route_json(kernel: &Kernel, route: &Route) -> Value {
    json!({
        "dst": destination(route),
        "gateway": route.gateway.map(|gateway| gateway.to_string()),
        "dev": route.index.map(|index| kernel.name(index)),
        "protocol": protocol(route.protocol),
        "prefsrc": route.source.map(|source| source.to_string()),
        "metric": route.metric,
        "table": route.table,
    })
}

pub(super) fn neighbours(kernel: &mut Kernel, options: Options) -> Result<()> {
    let all = view::neighbours(&mut kernel.connection).context(asking)?;
    // Groups need no asking: they are nobody's neighbours.
    let fits = |one: &&Neighbour| {
        one.state != NeighbourState::Noarp
            && options.ipv4.is_none_or(|ipv4| one.address.is_ipv4() == ipv4)
    };
    let mut text = String::new();
    let mut values = Vec::new();
    for one in all.iter().filter(fits) {
        let (link, state) = (kernel.name(one.index), format!("{:?}", one.state).to_uppercase());
        let mac = one.mac.map(|mac| mac.to_string());
        if options.json {
            let address = one.address.to_string();
            values.push(json!({ "dst": address, "dev": link, "lladdr": mac, "state": [state] }));
        } else {
            let mac = mac.map(|mac| format!(" lladdr {mac}")).unwrap_or_default();
            let _ = writeln!(text, "{} dev {link}{mac} {state}", one.address);
        }
    }
    finish(options, &text, values)
}
