//! Reads `/etc/network.toml`, strictly: everything that is wrong is said at once.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::time::Duration;

use init_core::diagnostic::Finding;

use super::config::{
    BridgeConfig, Config, IPV6_MODES, Ipv6, LINK_SORTS, LinkConfig, Match, RouteConfig, VlanConfig,
};
use super::plain_name::plain_name;
use super::prefix::Prefix;
use crate::config_file::{Reader, Section, parse};

/// The page that lists the keys.
const PAGE: &str = "docs/network.md";

const FILE_KEYS: &[&str] = &["hostname", "wait-online", "dns", "search", "link", "vlan", "bridge"];
const LINK_KEYS: &[&str] = &[
    "match",
    "dhcp",
    "ipv6",
    "addresses",
    "gateway",
    "route",
    "metric",
    "mtu",
    "dns",
    "search",
    "bridge",
];
const MATCH_KEYS: &[&str] = &["name", "mac", "driver", "type"];
/// The least MTU that IPv6 runs on (RFC 8200, section 5), in bytes.
const IPV6_MTU_MIN: u32 = 1280;

/// Longest name of a link: `IFNAMSIZ` less the final zero.
const NAME_BYTES_MAX: usize = 15;

/// The link that every machine has.
const LOOPBACK: &str = "lo";

/// Longest time that others wait for an address.
const WAIT_ONLINE_MAX: Duration = Duration::from_secs(5 * 60);

/// Metric of the default routes of a link that does not say its own.
pub const METRIC_DEFAULT: u32 = 100;

/// Reads `text`, the content of `file`.
///
/// # Errors
/// Everything that is wrong, in the order of the file; never an empty list.
pub fn parse_config(file: &str, text: &str) -> Result<Config, Vec<Finding>> {
    parse(file, text, PAGE, read)
}

fn read<'t>(reader: &mut Reader<'t>, root: &Section<'t>) -> Config {
    reader.check_keys(root, FILE_KEYS);
    let words = [("keep", false), ("lease", true)];
    let vlans = read_each(reader, root, "vlan", placed(read_vlan));
    let bridges = read_each(reader, root, "bridge", placed(read_bridge));
    let config = Config {
        hostname_from_lease: reader.word(root, "hostname", &words).unwrap_or_default(),
        wait_online: reader
            .duration_within(root, "wait-online", Duration::ZERO, WAIT_ONLINE_MAX)
            .unwrap_or_default(),
        dns: resolvers(reader, root),
        search: domains(reader, root),
        links: read_each(reader, root, "link", read_link),
        vlans: vlans.iter().map(|(vlan, _)| vlan.clone()).collect(),
        bridges: bridges.iter().map(|(bridge, _)| bridge.clone()).collect(),
    };
    check_made_names(reader, &vlans, &bridges);
    check_vlans(reader, &vlans);
    check_ports(reader, root, &config);
    config
}

/// What was read, with where it stands.
type Placed<'t, T> = (T, Section<'t>);

/// A reader of tables that keeps where they stand.
fn placed<'t, T>(
    read: impl Fn(&mut Reader<'t>, &Section<'t>) -> Option<T>,
) -> impl Fn(&mut Reader<'t>, &Section<'t>) -> Option<Placed<'t, T>> {
    move |reader, section| Some((read(reader, section)?, *section))
}

fn read_each<'t, T>(
    reader: &mut Reader<'t>,
    root: &Section<'t>,
    key: &'static str,
    read: impl Fn(&mut Reader<'t>, &Section<'t>) -> Option<T>,
) -> Vec<T> {
    let sections = reader.tables(root, key);
    sections.iter().filter_map(|section| read(reader, section)).collect()
}

fn read_link<'t>(reader: &mut Reader<'t>, section: &Section<'t>) -> Option<LinkConfig> {
    reader.check_keys(section, LINK_KEYS);
    let matching = match reader.section(section, "match") {
        Some(matching) => read_match(reader, &matching),
        None => {
            if section.get("match").is_none() {
                reader.report_hint(
                    section.span_of("match"),
                    "a link without `match`",
                    "say which links it is about: match = { name = \"eth0\" }",
                );
            }
            Match::default()
        }
    };
    let link = LinkConfig {
        matching,
        dhcp: reader.boolean(section, "dhcp").unwrap_or_default(),
        ipv6: reader.word(section, "ipv6", &IPV6_MODES).unwrap_or_default(),
        addresses: each(reader, section, "addresses", own_address),
        gateways: each(reader, section, "gateway", ip),
        routes: read_each(reader, section, "route", read_route),
        metric: number(reader, section, "metric", 0).unwrap_or(METRIC_DEFAULT),
        // 68 is the least that IPv4 allows (RFC 791).
        mtu: number(reader, section, "mtu", 68).filter(|mtu| *mtu <= 65_535),
        dns: resolvers(reader, section),
        search: domains(reader, section),
        bridge: link_name(reader, section, "bridge"),
    };
    check_link(reader, section, &link);
    Some(link)
}

fn read_match<'t>(reader: &mut Reader<'t>, section: &Section<'t>) -> Match {
    reader.check_keys(section, MATCH_KEYS);
    Match {
        name: reader.string(section, "name").map(str::to_owned),
        mac: reader.parsed(section, "mac", |text| text.parse()),
        driver: reader.string(section, "driver").map(str::to_owned),
        sort: reader.word(section, "type", &LINK_SORTS),
    }
}

fn read_route<'t>(reader: &mut Reader<'t>, section: &Section<'t>) -> Option<RouteConfig> {
    reader.check_keys(section, &["to", "via", "metric"]);
    let via = reader.parsed(section, "via", ip);
    let to = required(reader, section, "to")
        .then(|| reader.parsed(section, "to", |text| destination(text, via)))
        .flatten();
    let metric = number(reader, section, "metric", 0);
    if let (Some(to), Some(via)) = (to, via)
        && to.address.is_ipv4() != via.is_ipv4()
    {
        reader.report(section.span_of("via"), "`to` and `via` are of two families");
    }
    if metric == Some(0) && to.is_some_and(|to| to.address.is_ipv6()) {
        report_metric(reader, section);
    }
    Some(RouteConfig { to: to?, via, metric })
}

/// To the kernel an IPv6 route without a metric has one of its own choice, and 0 is none.
fn report_metric<'t>(reader: &mut Reader<'t>, section: &Section<'t>) {
    reader.report_hint(
        section.span_of("metric"),
        "no IPv6 route has the metric 0",
        "1 is the lowest; with 0 the kernel takes 1024",
    );
}

fn read_vlan<'t>(reader: &mut Reader<'t>, section: &Section<'t>) -> Option<VlanConfig> {
    reader.check_keys(section, &["name", "on", "id"]);
    let complete = ["name", "on", "id"].map(|key| required(reader, section, key));
    let name = link_name(reader, section, "name");
    let on = link_name(reader, section, "on");
    let id = reader.number(section, "id", 1, 4094).and_then(|id| u16::try_from(id).ok());
    if complete == [true; 3] { Some(VlanConfig { name: name?, on: on?, id: id? }) } else { None }
}

fn read_bridge<'t>(reader: &mut Reader<'t>, section: &Section<'t>) -> Option<BridgeConfig> {
    reader.check_keys(section, &["name", "stp"]);
    required(reader, section, "name");
    let stp = reader.boolean(section, "stp").unwrap_or_default();
    Some(BridgeConfig { name: link_name(reader, section, "name")?, stp })
}

fn required<'t>(reader: &mut Reader<'t>, section: &Section<'t>, key: &str) -> bool {
    let is_there = section.get(key).is_some();
    if !is_there {
        reader.report(section.span_of(key), format!("`{key}` is missing"));
    }
    is_there
}

fn number<'t>(
    reader: &mut Reader<'t>,
    section: &Section<'t>,
    key: &str,
    least: u64,
) -> Option<u32> {
    let most = if key == "mtu" { 65_535 } else { u64::from(u32::MAX) };
    reader.number(section, key, least, most).and_then(|number| u32::try_from(number).ok())
}

/// Every string under `key`, understood by `meaning`.
fn each<'t, T>(
    reader: &mut Reader<'t>,
    section: &Section<'t>,
    key: &str,
    meaning: impl Fn(&str) -> Result<T, String>,
) -> Vec<T> {
    let texts = reader.one_or_more(section, key);
    let understand = |(text, span): (&str, Range<usize>)| match meaning(text) {
        Ok(value) => Some(value),
        Err(error) => {
            reader.report(span, format!("`{key}`: {error}"));
            None
        }
    };
    texts.into_iter().filter_map(understand).collect()
}

fn resolvers<'t>(reader: &mut Reader<'t>, section: &Section<'t>) -> Vec<IpAddr> {
    each(reader, section, "dns", ip)
}

fn domains<'t>(reader: &mut Reader<'t>, section: &Section<'t>) -> Vec<String> {
    each(reader, section, "search", domain)
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no IPv4 or IPv6 address"))
}

/// An address that a link can have, with its prefix length.
fn own_address(text: &str) -> Result<Prefix, String> {
    let prefix: Prefix = text.parse()?;
    if !text.contains('/') {
        return Err(format!("`{text}` has no prefix length: write `{text}/24`, say"));
    }
    if prefix.address.is_unspecified() || prefix.address.is_multicast() {
        return Err(format!("`{text}` cannot be the address of a link"));
    }
    Ok(prefix)
}

/// A network: no bit may be set behind its prefix. `default` is every address of the family
/// of `via`, and of IPv4 without it.
fn destination(text: &str, via: Option<IpAddr>) -> Result<Prefix, String> {
    if text == "default" {
        return Ok(Prefix::everything(via.unwrap_or(Ipv4Addr::UNSPECIFIED.into())));
    }
    let prefix: Prefix = text.parse()?;
    let network = prefix.network();
    if network != prefix {
        return Err(format!("`{text}` is no network: did you mean `{network}`?"));
    }
    Ok(prefix)
}

fn domain(text: &str) -> Result<String, String> {
    let name = plain_name(text).ok_or_else(|| format!("`{text}` is no domain name"))?;
    Ok(name.to_owned())
}

fn link_name<'t>(reader: &mut Reader<'t>, section: &Section<'t>, key: &str) -> Option<String> {
    reader.parsed(section, key, |text| match is_link_name(text) {
        true => Ok(text.to_owned()),
        false => Err(format!("`{text}` is no name of a link: 1 to {NAME_BYTES_MAX} letters")),
    })
}

/// Whether a link may be called so: what the kernel takes, without what is a pattern to it or
/// to the files here.
#[must_use]
pub fn is_link_name(text: &str) -> bool {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"/:*%".contains(&byte));
    (1..=NAME_BYTES_MAX).contains(&text.len()) && plain && text != "." && text != ".."
}

/// What fits together in one `[[link]]` and what does not.
fn check_link<'t>(reader: &mut Reader<'t>, section: &Section<'t>, link: &LinkConfig) {
    for family in [true, false] {
        if link.gateways.iter().filter(|gateway| gateway.is_ipv4() == family).count() > 1 {
            reader.report_hint(
                section.span_of("gateway"),
                "two gateways of one family",
                "give the second one as a `route` with a higher metric",
            );
        }
    }
    let has_ipv6 = link.gateways.iter().any(IpAddr::is_ipv6)
        || link.addresses.iter().any(|one| one.address.is_ipv6());
    let ipv6_routes = || link.routes.iter().filter(|route| route.to.address.is_ipv6());
    if link.metric == 0 && (has_ipv6 || ipv6_routes().any(|route| route.metric.is_none())) {
        report_metric(reader, section);
    }
    // Below it the kernel has no IPv6 on the link, and refuses each address and route by itself.
    if link.mtu.is_some_and(|mtu| mtu < IPV6_MTU_MIN) && (has_ipv6 || ipv6_routes().count() > 0) {
        reader.report_hint(
            section.span_of("mtu"),
            format!("IPv6 needs an MTU of {IPV6_MTU_MIN} (RFC 8200, 5)"),
            "raise it, or leave out the link's IPv6 addresses, routes and gateway",
        );
    }
    if link.ipv6 == Ipv6::Off && link.addresses.iter().any(|one| one.address.is_ipv6()) {
        reader.report(section.span_of("addresses"), "an IPv6 address with `ipv6 = \"off\"`");
    }
    if link.bridge.is_some() && (link.dhcp || !link.addresses.is_empty()) {
        reader.report_hint(
            section.span_of("bridge"),
            "the port of a bridge has no addresses of its own",
            "give them to the bridge, in a [[link]] that matches its name",
        );
    }
}

/// What fits together among the names of the links that the file makes.
fn check_made_names<'t>(
    reader: &mut Reader<'t>,
    vlans: &[Placed<'t, VlanConfig>],
    bridges: &[Placed<'t, BridgeConfig>],
) {
    let vlans = vlans.iter().map(|(vlan, section)| (vlan.name.as_str(), section));
    let bridges = bridges.iter().map(|(bridge, section)| (bridge.name.as_str(), section));
    let mut names: Vec<&str> = Vec::new();
    for (name, section) in vlans.chain(bridges) {
        let place = section.span_of("name");
        if names.contains(&name) {
            reader.report(place, format!("two links are to be called `{name}`"));
        } else if name == LOOPBACK {
            reader.report_hint(
                place,
                format!("`{name}` is the loopback interface, which every machine has"),
                "give the link another name",
            );
        }
        names.push(name);
    }
}

/// What fits together among VLANs: no two are the same one, and none comes to lie on itself.
fn check_vlans<'t>(reader: &mut Reader<'t>, vlans: &[Placed<'t, VlanConfig>]) {
    for (place, (vlan, section)) in vlans.iter().enumerate() {
        let (name, on, id) = (&vlan.name, &vlan.on, vlan.id);
        let mut former = vlans.iter().take(place);
        if let Some((other, _)) = former.find(|(one, _)| one.on == *on && one.id == id) {
            reader.report_hint(
                section.span_of("id"),
                format!("`{}` and `{name}` are both the VLAN {id} on `{on}`", other.name),
                "leave one of them out, or give it another `id`",
            );
        }
        let below = |one: &VlanConfig| {
            vlans.iter().map(|(other, _)| other).find(|other| other.name == one.on)
        };
        // After as many steps as there are VLANs each has been seen.
        let mut all_below = std::iter::successors(below(vlan), |one| below(one)).take(vlans.len());
        if all_below.any(|one| one.name == *name) {
            let round = if on == name { "" } else { " by way of others" };
            reader.report_hint(
                section.span_of("on"),
                format!("the VLAN `{name}` lies on itself{round}"),
                "name the link whose cable its packets are to take",
            );
        }
    }
}

/// Ports need their bridge.
fn check_ports<'t>(reader: &mut Reader<'t>, root: &Section<'t>, config: &Config) {
    for link in &config.links {
        let Some(bridge) = &link.bridge else { continue };
        if !config.bridges.iter().any(|one| one.name == *bridge) {
            reader.report_hint(
                root.span_of("link"),
                format!("no [[bridge]] is called `{bridge}`"),
                format!("add [[bridge]] with name = \"{bridge}\""),
            );
        }
    }
}

#[cfg(test)]
mod tests;
