//! Translation of addresses: `[[masquerade]]` and `[[forward-port]]`.

use std::net::IpAddr;

use services::config_file::{Reader, Section};

use super::{interface, networks, port, protocols, required};
use crate::rule_set::{ForwardedPort, Interface, Masquerade, Network, Protocol};

pub(super) const MASQUERADE_KEYS: [&str; 3] = ["name", "out-interface", "from"];
pub(super) const FORWARD_PORT_KEYS: [&str; 7] =
    ["name", "in-interface", "destination", "protocol", "port", "to", "to-port"];

pub(super) fn masquerade<'t>(
    reader: &mut Reader<'t>,
    section: &Section<'t>,
    name: String,
) -> Option<Masquerade> {
    reader.check_keys(section, &MASQUERADE_KEYS);
    let from = networks(reader, section, "from");
    let missing = "masquerading wants \"out-interface\", the one towards the other network";
    required(reader, section, "out-interface", missing);
    let out_interface = reader.parsed(section, "out-interface", interface)?;
    Some(Masquerade { name, out_interface, from })
}

pub(super) fn forwarded_port<'t>(
    reader: &mut Reader<'t>,
    section: &Section<'t>,
    name: String,
) -> Option<ForwardedPort> {
    reader.check_keys(section, &FORWARD_PORT_KEYS);
    required(reader, section, "port", "\"port\" of this machine is missing");
    required(reader, section, "to", "\"to\", the machine that answers, is missing");
    let in_interface = in_interface(reader, section);
    let given = protocols(reader, section);
    let protocols = if given.is_empty() { vec![Protocol::TCP] } else { given };
    if protocols.iter().any(|protocol| !protocol.has_ports()) {
        reader.report(section.span_of("protocol"), "only tcp, udp and sctp have ports");
    }
    let destination = networks(reader, section, "destination");
    let to_port = port(reader, section, "to-port");
    let address =
        |text: &str| text.parse::<IpAddr>().map_err(|_| format!("{text:?} is no address"));
    let to = reader.parsed(section, "to", address);
    let port = port(reader, section, "port");
    let to = to?;
    check_families(reader, section, &destination, to);
    let port = port?;
    let to_port = to_port.unwrap_or(port);
    Some(ForwardedPort {
        name,
        in_interface: in_interface?,
        destination,
        protocols,
        port,
        to,
        to_port,
    })
}

/// Without one, a router would also catch what its clients send to that port of others.
fn in_interface<'t>(reader: &mut Reader<'t>, section: &Section<'t>) -> Option<Interface> {
    let key = "in-interface";
    if section.get(key).is_none() {
        let message = "forwarding a port wants \"in-interface\", the one towards those who ask";
        let hint = "such as in-interface = \"eth0\"; what comes by another one is left alone";
        reader.report_hint(section.span_of(key), message, hint);
    }
    reader.parsed(section, key, interface)
}

fn check_families<'t>(
    reader: &mut Reader<'t>,
    section: &Section<'t>,
    destination: &[Network],
    to: IpAddr,
) {
    if destination.iter().any(|network| network.address.is_ipv4() != to.is_ipv4()) {
        let message =
            "\"destination\" and \"to\" are of different families: a packet keeps its own";
        let hint = "write a [[forward-port]] for each family";
        reader.report_hint(section.span_of("destination"), message, hint);
    }
}
