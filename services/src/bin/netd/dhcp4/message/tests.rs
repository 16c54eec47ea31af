//! Messages written, read back, and broken.

use super::*;

const MAC: Mac = Mac([0x52, 0x54, 0, 0, 0, 1]);
const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 50);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn reply(kind: MessageType, options: &[DhcpOption]) -> Vec<u8> {
    let none = Ipv4Addr::UNSPECIFIED;
    let mut message = v4::Message::new_with_id(7, none, ADDRESS, SERVER, none, &MAC.0);
    message.set_opcode(Opcode::BootReply);
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    message.opts_mut().insert(DhcpOption::ServerIdentifier(SERVER));
    for option in options {
        message.opts_mut().insert(option.clone());
    }
    let mut bytes = Vec::new();
    message.encode(&mut Encoder::new(&mut bytes)).unwrap();
    bytes
}

fn ack(options: &[DhcpOption]) -> Option<Lease> {
    let with_time = [&[DhcpOption::AddressLeaseTime(80)], options].concat();
    match decode(&reply(MessageType::Ack, &with_time), MAC)? {
        Reply::Ack { transaction: 7, lease } => Some(*lease),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_said_has_the_fields_of_the_table_in_rfc_2131() {
    let client = Client { mac: MAC, hostname: Some("box") };
    let (transaction, seconds, address) = (9, 3, ADDRESS);
    let zero = Ipv4Addr::UNSPECIFIED;
    for (outgoing, kind, ciaddr, requested, server, asks) in [
        (
            Outgoing::Discover { transaction, seconds },
            MessageType::Discover,
            zero,
            false,
            false,
            true,
        ),
        (
            Outgoing::Request { transaction, seconds, address, server: Some(SERVER) },
            MessageType::Request,
            zero,
            true,
            true,
            true,
        ),
        (
            Outgoing::Request { transaction, seconds, address, server: None },
            MessageType::Request,
            zero,
            true,
            false,
            true,
        ),
        (
            Outgoing::Extend { transaction, seconds, address, server: Some(SERVER) },
            MessageType::Request,
            ADDRESS,
            false,
            false,
            true,
        ),
        (
            Outgoing::Decline { transaction, address, server: SERVER },
            MessageType::Decline,
            zero,
            true,
            true,
            false,
        ),
        (
            Outgoing::Release { transaction, address, server: SERVER },
            MessageType::Release,
            ADDRESS,
            false,
            true,
            false,
        ),
    ] {
        let bytes = outgoing.encode(client).unwrap();
        assert!(bytes.len() >= MESSAGE_BYTES_MIN);
        let message = v4::Message::decode(&mut Decoder::new(&bytes)).unwrap();
        assert_eq!((message.opts().msg_type(), message.xid()), (Some(kind), 9), "{outgoing:?}");
        assert_eq!((message.ciaddr(), message.chaddr()), (ciaddr, &MAC.0[..]), "{outgoing:?}");
        let has = |code| message.opts().get(code).is_some();
        assert_eq!(has(OptionCode::RequestedIpAddress), requested, "{outgoing:?}");
        assert_eq!(has(OptionCode::ServerIdentifier), server, "{outgoing:?}");
        assert_eq!(has(OptionCode::ParameterRequestList), asks, "{outgoing:?}");
        assert_eq!(has(OptionCode::Hostname), asks, "{outgoing:?}");
        assert_eq!(decode(&bytes, MAC), None, "a client's own message is no answer");
    }
}

#[test]
fn a_lease_is_read() {
    let network = "198.51.100.0/24".parse().unwrap();
    let lease = ack(&[
        DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)),
        DhcpOption::Router(vec![SERVER]),
        DhcpOption::DomainNameServer(vec![SERVER, Ipv4Addr::UNSPECIFIED]),
        DhcpOption::NtpServers(vec![SERVER]),
        DhcpOption::Hostname("box".to_owned()),
        DhcpOption::DomainName("example.org.".to_owned()),
        DhcpOption::InterfaceMtu(1400),
        DhcpOption::ClasslessStaticRoute(vec![(network, ADDRESS)]),
    ])
    .unwrap();
    assert_eq!(lease.prefix().to_string(), "192.0.2.50/24");
    assert_eq!((lease.routers, lease.dns, lease.ntp), (vec![SERVER], vec![SERVER], vec![SERVER]));
    assert_eq!(lease.hostname.as_deref(), Some("box"));
    assert_eq!(lease.search, ["example.org"]);
    assert_eq!(lease.mtu, Some(1400));
    assert_eq!(lease.routes, [("198.51.100.0/24".parse().unwrap(), ADDRESS)]);
    assert_eq!(lease.times, Times::new(80, None, None));
}

#[test]
fn what_could_hurt_is_left_out() {
    let lease = ack(&[
        DhcpOption::Hostname("a b\n".to_owned()),
        DhcpOption::DomainName("x\nnameserver 6.6.6.6".to_owned()),
        DhcpOption::InterfaceMtu(68),
        DhcpOption::Router(vec![Ipv4Addr::BROADCAST, Ipv4Addr::LOCALHOST]),
    ])
    .unwrap();
    assert_eq!((lease.hostname, lease.mtu), (None, None));
    assert!(lease.search.is_empty() && lease.routers.is_empty());
    assert_eq!(lease.prefix_length, 24, "by class");
    assert!(ack(&[DhcpOption::SubnetMask(Ipv4Addr::new(255, 0, 255, 0))]).is_none());
}

#[test]
fn every_route_counts_and_the_default_one_behind_many() {
    let via = SERVER;
    let mut routes: Vec<_> =
        (0..40_u8).map(|third| (format!("198.18.{third}.0/24").parse().unwrap(), via)).collect();
    routes.push(("0.0.0.0/0".parse().unwrap(), via));
    // 40 of 8 bytes each: more than one part of an option holds.
    let lease = ack(&[DhcpOption::ClasslessStaticRoute(routes)]).unwrap();
    assert_eq!(lease.routes.len(), 41);
    assert_eq!(lease.routes[40], (Prefix::everything(via.into()), via));
}

#[test]
fn an_option_that_cannot_be_read_takes_no_other_with_it() {
    let good = reply(
        MessageType::Ack,
        &[DhcpOption::Hostname("box".to_owned()), DhcpOption::AddressLeaseTime(80)],
    );
    let lease = |bytes: &[u8]| match decode(bytes, MAC) {
        Some(Reply::Ack { lease, .. }) => Some(lease),
        _ => None,
    };
    assert_eq!(lease(&good).unwrap().hostname.as_deref(), Some("box"));
    let at = good.windows(5).position(|bytes| bytes == b"\x0c\x03box").unwrap();
    // In Latin-1, and before the lease time.
    let mut latin = good.clone();
    latin[at + 4] = 0xe9;
    assert!(at < good.windows(3).position(|bytes| bytes == [51, 4, 0]).unwrap());
    let found = lease(&latin).unwrap();
    assert_eq!((found.hostname, found.times), (None, Times::new(80, None, None)));
    // An option that nobody asked for, and that is no number of agents.
    let stranger = [&good[..at], &[82, 1, 0xff], &good[at..]].concat();
    assert_eq!(lease(&stranger).unwrap().hostname.as_deref(), Some("box"));
}

#[test]
fn messages_for_others_and_broken_ones_are_not_taken() {
    let good = reply(MessageType::Ack, &[DhcpOption::AddressLeaseTime(80)]);
    assert!(decode(&good, MAC).is_some());
    assert!(decode(&good, Mac([0; 6])).is_none());
    assert!(decode(&reply(MessageType::Ack, &[]), MAC).is_none(), "no lease time");
    for (at, value) in [(0, 1), (2, 16), (2, 255), (28, 0), (236, 0)] {
        let mut bytes = good.clone();
        bytes[at] = value;
        assert!(decode(&bytes, MAC).is_none(), "{at}");
    }
    let mut nobody = good.clone();
    nobody[16..20].fill(0);
    assert!(decode(&nobody, MAC).is_none(), "no address");
    // Whatever is cut off or changed: no panic.
    for at in 0..good.len() {
        decode(&good[..at], MAC);
        for value in [0, 1, 127, 255] {
            let mut bytes = good.clone();
            bytes[at] = value;
            decode(&bytes, MAC);
        }
    }
}
