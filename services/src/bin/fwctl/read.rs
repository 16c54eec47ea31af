//! A rule set from the text of `/etc/firewall.toml`; `docs/firewall.md` has every key.

mod names;
mod translation;

use std::net::IpAddr;
use std::ops::{Range, RangeInclusive};

use init_core::diagnostic::Finding;
use services::config_file::{self, Reader, Section};
use services::network::config_reader::is_link_name;

use names::Names;

use crate::icmp;
use crate::rule_set::{
    Action, Direction, Implied, Interface, Network, Policies, Protocol, Rate, Rule, RuleSet,
};

const FILE_KEYS: [&str; 5] = ["policy", "implied", "rule", "masquerade", "forward-port"];
const POLICY_KEYS: [&str; 4] = ["in", "out", "forward", "log"];
const IMPLIED_KEYS: [&str; 4] = ["established", "loopback", "neighbour-discovery", "dhcp-client"];
const RULE_KEYS: [&str; 14] = [
    "name",
    "direction",
    "action",
    "protocol",
    "ports",
    "source-ports",
    "from",
    "to",
    "in-interface",
    "out-interface",
    "icmp-types",
    "rate",
    "burst",
    "log",
];

/// Names that `fwctl show` gives to what is there without a rule.
pub(crate) const RESERVED_NAMES: [&str; 7] = [
    "established",
    "invalid",
    "loopback",
    "neighbour-discovery",
    "dhcp-client",
    "forwarded-ports",
    "policy",
];

/// Most rules of a file: what is sent to the kernel at once stays bounded.
const RULES_MAX: usize = 1000;
/// Most elements of a list.
const ELEMENTS_MAX: usize = 4096;
/// Longest log prefix, in bytes; the kernel has room for 127.
const LOG_PREFIX_BYTES_MAX: usize = 64;
/// Packets that may come at once if the file does not say.
const BURST_DEFAULT: u32 = 5;

/// Reads the rule set in `text`, the content of `file`.
///
/// # Errors
/// Everything that is wrong with it.
pub(crate) fn parse(file: &str, text: &str) -> Result<RuleSet, Vec<Finding>> {
    config_file::parse(file, text, "docs/firewall.md", read)
}

fn read<'t>(reader: &mut Reader<'t>, root: &Section<'t>) -> RuleSet {
    reader.check_keys(root, &FILE_KEYS);
    let rules = reader.tables(root, "rule");
    if rules.len() > RULES_MAX {
        reader.report(root.span_of("rule"), format!("more than {RULES_MAX} rules"));
    }
    let masquerades = reader.tables(root, "masquerade");
    let forwarded_ports = reader.tables(root, "forward-port");
    let mut names = Names::default();
    names.imply("rule", &rules);
    names.imply("masquerade", &masquerades);
    names.imply("forward-port", &forwarded_ports);
    let rules = rules.iter().take(RULES_MAX).map(|section| {
        let name = names.of(reader, "rule", section);
        rule(reader, section, name)
    });
    let rules = rules.collect();
    let masquerades = masquerades.iter().filter_map(|section| {
        let name = names.of(reader, "masquerade", section);
        translation::masquerade(reader, section, name)
    });
    let masquerades = masquerades.collect();
    let forwarded_ports = forwarded_ports.iter().filter_map(|section| {
        let name = names.of(reader, "forward-port", section);
        translation::forwarded_port(reader, section, name)
    });
    let forwarded_ports = forwarded_ports.collect();
    RuleSet {
        policies: policies(reader, root),
        implied: implied(reader, root),
        rules,
        masquerades,
        forwarded_ports,
    }
}

fn policies<'t>(reader: &mut Reader<'t>, root: &Section<'t>) -> Policies {
    let mut policies = Policies::default();
    let Some(section) = reader.section(root, "policy") else { return policies };
    reader.check_keys(&section, &POLICY_KEYS);
    for (key, policy) in [
        ("in", &mut policies.input),
        ("out", &mut policies.output),
        ("forward", &mut policies.forward),
    ] {
        *policy = reader.word(&section, key, &Action::WORDS).unwrap_or(*policy);
    }
    policies.log = reader.boolean(&section, "log").unwrap_or(false);
    policies
}

fn implied<'t>(reader: &mut Reader<'t>, root: &Section<'t>) -> Implied {
    let Some(section) = reader.section(root, "implied") else { return Implied::default() };
    reader.check_keys(&section, &IMPLIED_KEYS);
    let mut is_wanted = |key| reader.boolean(&section, key).unwrap_or(true);
    Implied {
        established: is_wanted("established"),
        loopback: is_wanted("loopback"),
        neighbour_discovery: is_wanted("neighbour-discovery"),
        dhcp_client: is_wanted("dhcp-client"),
    }
}

fn rule<'t>(reader: &mut Reader<'t>, section: &Section<'t>, name: String) -> Rule {
    reader.check_keys(section, &RULE_KEYS);
    required(reader, section, "action", "a rule wants an \"action\": accept, drop or reject");
    let direction = reader.word(section, "direction", &Direction::WORDS);
    let protocols = protocols(reader, section);
    let rule = Rule {
        name,
        direction: direction.unwrap_or(Direction::In),
        ports: ports(reader, section, "ports"),
        source_ports: ports(reader, section, "source-ports"),
        from: networks(reader, section, "from"),
        to: networks(reader, section, "to"),
        in_interface: reader.parsed(section, "in-interface", interface),
        out_interface: reader.parsed(section, "out-interface", interface),
        icmp_types: icmp_types(reader, section, &protocols),
        rate: rate(reader, section),
        log: reader.parsed(section, "log", log_prefix),
        // Without one the file is wrong, and what else is wrong is to be said with it.
        action: reader.word(section, "action", &Action::WORDS).unwrap_or(Action::Drop),
        protocols,
    };
    check_rule(reader, section, &rule);
    rule
}

/// Conditions that contradict each other.
fn check_rule<'t>(reader: &mut Reader<'t>, section: &Section<'t>, rule: &Rule) {
    let portless = rule.protocols.is_empty() || rule.protocols.iter().any(|one| !one.has_ports());
    for (key, given) in [("ports", &rule.ports), ("source-ports", &rule.source_ports)] {
        if !given.is_empty() && portless {
            let hint = "add protocol = \"tcp\", \"udp\" or [\"tcp\", \"udp\"]";
            reader.report_hint(section.span_of(key), "only tcp, udp and sctp have ports", hint);
        }
    }
    let wrong_way = match rule.direction {
        Direction::In => rule.out_interface.as_ref().map(|_| "out-interface"),
        Direction::Out => rule.in_interface.as_ref().map(|_| "in-interface"),
        Direction::Forward => None,
    };
    if let Some(key) = wrong_way {
        let direction = rule.direction.word();
        reader
            .report(section.span_of(key), format!("a packet on its way {direction} has none yet"));
    }
    let has = |networks: &[Network], v4: bool| {
        networks.is_empty() || networks.iter().any(|network| network.address.is_ipv4() == v4)
    };
    if ![true, false].iter().any(|v4| has(&rule.from, *v4) && has(&rule.to, *v4)) {
        let message = "\"from\" and \"to\" are of different families: no packet has both";
        reader.report(section.span_of("from"), message);
    }
    for (protocol, v4) in [(Protocol::ICMP, true), (Protocol::ICMPV6, false)] {
        let fits = has(&rule.from, v4) && has(&rule.to, v4);
        if rule.protocols.contains(&protocol) && !fits {
            let message = format!("no {protocol} packet has such an address");
            reader.report(section.span_of("protocol"), message);
        }
    }
}

fn required<'t>(reader: &mut Reader<'t>, section: &Section<'t>, key: &str, message: &str) {
    if section.get(key).is_none() {
        reader.report(section.span_of(key), message);
    }
}

fn port<'t>(reader: &mut Reader<'t>, section: &Section<'t>, key: &str) -> Option<u16> {
    reader.number(section, key, 1, u16::MAX.into()).and_then(|port| port.try_into().ok())
}

fn protocols<'t>(reader: &mut Reader<'t>, section: &Section<'t>) -> Vec<Protocol> {
    let mut found = Vec::new();
    for element in reader.elements(section, "protocol") {
        let protocol = if let Some(word) = element.get_ref().as_str() {
            reader.one_of(section, "protocol", word, element.span(), &Protocol::WORDS)
        } else if let Some(number) = element.get_ref().as_integer() {
            let number = u8::from_str_radix(number.as_str(), number.radix());
            if number.is_err() {
                reader.report(element.span(), "a protocol's number is from 0 to 255");
            }
            number.ok().map(Protocol)
        } else {
            reader.wrong_type(section, "protocol", element, "a name or a number");
            None
        };
        match protocol {
            Some(protocol) if found.contains(&protocol) => {
                reader.report(element.span(), format!("{protocol} is named twice"));
            }
            Some(protocol) => found.push(protocol),
            None => {}
        }
    }
    found
}

fn ports<'t>(
    reader: &mut Reader<'t>,
    section: &Section<'t>,
    key: &str,
) -> Vec<RangeInclusive<u16>> {
    let elements = reader.elements(section, key);
    bounded(reader, section, key, elements.len());
    let mut found = Vec::new();
    for element in elements.into_iter().take(ELEMENTS_MAX) {
        let value = element.get_ref();
        let range = match (value.as_integer(), value.as_str()) {
            (Some(number), _) => {
                let port = u16::from_str_radix(number.as_str(), number.radix()).ok();
                port.filter(|port| *port > 0).map(|port| port..=port)
            }
            (None, Some(text)) => port_range(text),
            (None, None) => None,
        };
        match range {
            Some(range) => found.push(range),
            None => {
                let hint = "a port is 1 to 65535, a range is such as \"8000-8010\"";
                reader.report_hint(element.span(), "neither a port nor a range of ports", hint);
            }
        }
    }
    found
}

fn port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first > 0 && first <= last).then_some(first..=last)
}

fn bounded<'t>(reader: &mut Reader<'t>, section: &Section<'t>, key: &str, count: usize) {
    if count > ELEMENTS_MAX {
        reader.report(section.span_of(key), format!("a list has at most {ELEMENTS_MAX} elements"));
    }
}

fn networks<'t>(reader: &mut Reader<'t>, section: &Section<'t>, key: &str) -> Vec<Network> {
    let texts: Vec<(&str, Range<usize>)> = reader.one_or_more(section, key);
    bounded(reader, section, key, texts.len());
    let mut found = Vec::new();
    for (text, span) in texts.into_iter().take(ELEMENTS_MAX) {
        match network(text) {
            Ok(network) => found.push(network),
            Err((message, hint)) => reader.report_hint(span, message, hint),
        }
    }
    found
}

/// A network such as `192.0.2.0/24`, or a single address.
pub(crate) fn network(text: &str) -> Result<Network, (String, String)> {
    let hint = || "such as \"192.0.2.0/24\", \"2001:db8::/32\" or an address".to_owned();
    let no_network = || (format!("{text:?} is no network"), hint());
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| no_network())?;
    let all: u8 = if address.is_ipv4() { 32 } else { 128 };
    let prefix_bits = match bits {
        Some(bits) => bits.parse().ok().filter(|bits| *bits <= all).ok_or_else(no_network)?,
        None => all,
    };
    let first = first_address(address, prefix_bits);
    if first != address {
        let message = format!("{text:?} has bits beyond its prefix");
        return Err((message, format!("the network is \"{first}/{prefix_bits}\"")));
    }
    Ok(Network { address, prefix_bits })
}

fn first_address(address: IpAddr, prefix_bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix_bits)).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix_bits)).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    }
}

fn interface(text: &str) -> Result<Interface, String> {
    let (name, is_prefix) = match text.strip_suffix('*') {
        Some(start) => (start, true),
        None => (text, false),
    };
    match is_link_name(name) {
        true => Ok(Interface { name: name.to_owned(), is_prefix }),
        false => Err(format!("{text:?} is no interface's name, nor the start of one and `*`")),
    }
}

fn icmp_types<'t>(
    reader: &mut Reader<'t>,
    section: &Section<'t>,
    protocols: &[Protocol],
) -> Vec<(Protocol, u8)> {
    if section.get("icmp-types").is_none() {
        return Vec::new();
    }
    let is_icmp = |protocol: &Protocol| [Protocol::ICMP, Protocol::ICMPV6].contains(protocol);
    if protocols.is_empty() || !protocols.iter().all(is_icmp) {
        let hint = "add protocol = \"icmp\", \"icmpv6\" or [\"icmp\", \"icmpv6\"]";
        let span = section.span_of("icmp-types");
        reader.report_hint(span, "only icmp and icmpv6 have \"icmp-types\"", hint);
        return Vec::new();
    }
    let mut found = Vec::new();
    for element in reader.elements(section, "icmp-types") {
        let value = element.get_ref();
        let types = match (value.as_integer(), value.as_str()) {
            (Some(number), _) => {
                let number = u8::from_str_radix(number.as_str(), number.radix()).ok();
                number.map(|number| protocols.iter().map(|one| (*one, number)).collect())
            }
            (None, Some(word)) => Some(icmp::types(word, protocols)),
            (None, None) => None,
        };
        match types {
            Some(types) if !types.is_empty() => found.extend(types),
            _ => {
                let hint = format!("a number from 0 to 255, or {}", icmp::words(protocols));
                reader.report_hint(element.span(), "no type of such messages", hint);
            }
        }
    }
    found
}

fn rate<'t>(reader: &mut Reader<'t>, section: &Section<'t>) -> Option<Rate> {
    let burst = reader.number(section, "burst", 1, 100_000);
    if section.get("rate").is_none() && burst.is_some() {
        reader.report(section.span_of("burst"), "\"burst\" belongs to a \"rate\"");
    }
    let wanted = "a rate is such as \"10/second\", \"30/minute\", \"5/hour\" or \"1/day\"";
    let (packets, per_seconds) = reader.parsed(section, "rate", |text| {
        let (packets, unit) = text.split_once('/').ok_or(wanted)?;
        let packets: u32 = packets.parse().map_err(|_| wanted)?;
        let unit = Rate::UNITS.iter().find(|(word, _)| *word == unit).ok_or(wanted)?;
        match (1..=1_000_000).contains(&packets) {
            true => Ok((packets, unit.1)),
            false => Err("a rate is from 1 to 1000000 packets".to_owned()),
        }
    })?;
    let burst = burst.and_then(|burst| burst.try_into().ok()).unwrap_or(BURST_DEFAULT);
    Some(Rate { packets, per_seconds, burst })
}

fn log_prefix(text: &str) -> Result<String, String> {
    let fits = (1..=LOG_PREFIX_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    match fits {
        true => Ok(text.to_owned()),
        false => Err(format!("1 to {LOG_PREFIX_BYTES_MAX} printable ASCII characters")),
    }
}

#[cfg(test)]
mod tests;
