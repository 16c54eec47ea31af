//! Messages between client and server (RFC 2131, RFC 2132): what is to be said
//! becomes bytes, bytes become what was said. Whatever does not fit is `None`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::{self, DhcpOption, Flags, HType, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use services::network::mac::Mac;
use services::network::plain_name::plain_name;
use services::network::prefix::Prefix;

use super::lease::{Lease, Times};

/// Longest message that is understood, in bytes of UDP payload; what is behind them is not read.
const MESSAGE_BYTES_MAX: u16 = 1472;
/// Length of a message before its options, with the magic cookie (RFC 2131, 2 and 3).
const HEADER_BYTES: usize = 240;
/// Shortest message that every server takes: a BOOTP message (RFC 1542, 2.1).
const MESSAGE_BYTES_MIN: usize = 300;
/// Most entries taken of one option but routes, of which none is left out without harm.
const ENTRIES_MAX: usize = 16;
/// Least MTU that IPv4 allows (RFC 791); a smaller one in a lease is not followed.
const MTU_MIN: u16 = 576;

/// Options without a length (RFC 2132, 3.1 and 3.2).
const PAD: u8 = 0;
const END: u8 = 255;

/// What is asked for.
const WANTED: [OptionCode; 11] = [
    OptionCode::SubnetMask,
    OptionCode::Router,
    OptionCode::DomainNameServer,
    OptionCode::Hostname,
    OptionCode::DomainName,
    OptionCode::InterfaceMtu,
    OptionCode::NtpServers,
    OptionCode::Renewal,
    OptionCode::Rebinding,
    OptionCode::DomainSearch,
    OptionCode::ClasslessStaticRoute,
];

/// What is read beside it.
const NEEDED: [OptionCode; 3] =
    [OptionCode::MessageType, OptionCode::ServerIdentifier, OptionCode::AddressLeaseTime];

/// What a client says. `seconds` is how long it has been trying.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outgoing {
    /// Who is there?
    Discover { transaction: u32, seconds: u16 },
    /// May I have this address, of this server, or again?
    Request { transaction: u32, seconds: u16, address: Ipv4Addr, server: Option<Ipv4Addr> },
    /// May I keep this address? Asked of one server, or of all.
    Extend { transaction: u32, seconds: u16, address: Ipv4Addr, server: Option<Ipv4Addr> },
    /// Somebody else has this address.
    Decline { transaction: u32, address: Ipv4Addr, server: Ipv4Addr },
    /// I no longer need this address.
    Release { transaction: u32, address: Ipv4Addr, server: Ipv4Addr },
}

/// An address that a server holds for us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Offer {
    pub(crate) address: Ipv4Addr,
    pub(crate) server: Ipv4Addr,
}

/// What a server says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    Offer { transaction: u32, offer: Offer },
    Ack { transaction: u32, lease: Box<Lease> },
    Nak { transaction: u32, server: Ipv4Addr },
}

impl Reply {
    /// The transaction it belongs to.
    pub(crate) fn transaction(&self) -> u32 {
        match self {
            Self::Offer { transaction, .. }
            | Self::Ack { transaction, .. }
            | Self::Nak { transaction, .. } => *transaction,
        }
    }
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Client<'c> {
    pub(crate) mac: Mac,
    /// The name it would like to be known by.
    pub(crate) hostname: Option<&'c str>,
}

impl Outgoing {
    /// The address it is sent from: one that may be used, or none yet.
    pub(crate) fn source(&self) -> Ipv4Addr {
        match self {
            Self::Extend { address, .. } | Self::Release { address, .. } => *address,
            _ => Ipv4Addr::UNSPECIFIED,
        }
    }

    /// The one server it is for; `None` is everybody.
    pub(crate) fn destination(&self) -> Option<Ipv4Addr> {
        match self {
            Self::Extend { server, .. } => *server,
            Self::Release { server, .. } => Some(*server),
            _ => None,
        }
    }

    /// Its name as RFC 2131 has it, for the log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Discover { .. } => "discover",
            Self::Request { .. } => "request",
            Self::Extend { server: Some(_), .. } => "renew",
            Self::Extend { .. } => "rebind",
            Self::Decline { .. } => "decline",
            Self::Release { .. } => "release",
        }
    }

    /// The message in bytes; `None` if it cannot be encoded.
    pub(crate) fn encode(&self, client: Client<'_>) -> Option<Vec<u8>> {
        let (kind, transaction, seconds, current) = match *self {
            Self::Discover { transaction, seconds } => {
                (MessageType::Discover, transaction, seconds, Ipv4Addr::UNSPECIFIED)
            }
            Self::Request { transaction, seconds, .. } => {
                (MessageType::Request, transaction, seconds, Ipv4Addr::UNSPECIFIED)
            }
            Self::Extend { transaction, seconds, address, .. } => {
                (MessageType::Request, transaction, seconds, address)
            }
            Self::Decline { transaction, .. } => {
                (MessageType::Decline, transaction, 0, Ipv4Addr::UNSPECIFIED)
            }
            Self::Release { transaction, address, .. } => {
                (MessageType::Release, transaction, 0, address)
            }
        };
        let none = Ipv4Addr::UNSPECIFIED;
        let mut message =
            v4::Message::new_with_id(transaction, current, none, none, none, &client.mac.0);
        message.set_secs(seconds);
        // The answer can be received before there is an address: by a packet socket.
        message.set_flags(Flags::default());
        message.set_htype(HType::Eth);
        self.add_options(&mut message, kind, client);
        let mut bytes = Vec::new();
        message.encode(&mut Encoder::new(&mut bytes)).ok()?;
        bytes.resize(bytes.len().max(MESSAGE_BYTES_MIN), 0);
        Some(bytes)
    }

    fn add_options(&self, message: &mut v4::Message, kind: MessageType, client: Client<'_>) {
        let options = message.opts_mut();
        options.insert(DhcpOption::MessageType(kind));
        // Type 1 is Ethernet (RFC 2132, 9.14).
        let identifier = [&[1][..], &client.mac.0].concat();
        options.insert(DhcpOption::ClientIdentifier(identifier));
        match *self {
            Self::Request { address, server, .. } => {
                options.insert(DhcpOption::RequestedIpAddress(address));
                if let Some(server) = server {
                    options.insert(DhcpOption::ServerIdentifier(server));
                }
            }
            Self::Decline { address, server, .. } => {
                options.insert(DhcpOption::RequestedIpAddress(address));
                options.insert(DhcpOption::ServerIdentifier(server));
            }
            Self::Release { server, .. } => {
                options.insert(DhcpOption::ServerIdentifier(server));
            }
            Self::Discover { .. } | Self::Extend { .. } => {}
        }
        if matches!(self, Self::Decline { .. } | Self::Release { .. }) {
            return;
        }
        options.insert(DhcpOption::MaxMessageSize(MESSAGE_BYTES_MAX));
        options.insert(DhcpOption::ParameterRequestList(WANTED.to_vec()));
        if let Some(hostname) = client.hostname {
            options.insert(DhcpOption::Hostname(hostname.to_owned()));
        }
    }
}

/// Reads a server's message to `mac`.
pub(crate) fn decode(bytes: &[u8], mac: Mac) -> Option<Reply> {
    let bytes = bytes.get(..MESSAGE_BYTES_MAX.into()).unwrap_or(bytes);
    // The magic cookie (RFC 2131, 3), which the crate does not look at.
    if bytes.get(236..240)? != [99, 130, 83, 99] {
        return None;
    }
    // `chaddr` of the crate trusts `hlen`, which is a stranger's.
    if bytes.get(2)? != &6 {
        return None;
    }
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let mut message = v4::Message::decode(&mut Decoder::new(header)).ok()?;
    for option in options(rest) {
        message.opts_mut().insert(option);
    }
    if message.opcode() != Opcode::BootReply || message.chaddr() != mac.0 {
        return None;
    }
    let transaction = message.xid();
    let option = |code| message.opts().get(code);
    let server = match option(OptionCode::ServerIdentifier) {
        Some(DhcpOption::ServerIdentifier(server)) => *server,
        _ => return None,
    };
    let address = message.yiaddr();
    match message.opts().msg_type()? {
        MessageType::Offer if can_be_ours(address) => {
            Some(Reply::Offer { transaction, offer: Offer { address, server } })
        }
        MessageType::Ack if can_be_ours(address) => {
            let lease = Box::new(read_lease(&message, address, server)?);
            Some(Reply::Ack { transaction, lease })
        }
        MessageType::Nak => Some(Reply::Nak { transaction, server }),
        _ => None,
    }
}

/// The options that are read, each decoded on its own: `dhcproto` 0.15 stops at the first one
/// that it cannot decode, and all behind it would be lost.
fn options(bytes: &[u8]) -> Vec<DhcpOption> {
    let is_read = |code: u8| {
        let code = OptionCode::from(code);
        WANTED.contains(&code) || NEEDED.contains(&code)
    };
    let wanted = joined(bytes).into_iter().filter(|(code, _)| is_read(*code));
    wanted.filter_map(|(code, value)| decode_option(code, &value)).collect()
}

/// The values of options by their codes, the parts of one in their order (RFC 3396).
fn joined(mut bytes: &[u8]) -> BTreeMap<u8, Vec<u8>> {
    let mut values: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    while let [code, rest @ ..] = bytes {
        bytes = match (*code, rest) {
            (PAD, _) => rest,
            (END, _) => break,
            (_, [length, rest @ ..]) => {
                let Some((value, rest)) = rest.split_at_checked((*length).into()) else { break };
                values.entry(*code).or_default().extend(value);
                rest
            }
            _ => break,
        };
    }
    values
}

fn decode_option(code: u8, value: &[u8]) -> Option<DhcpOption> {
    // A part has its length in a byte.
    let part = |part: &[u8]| [&[code, u8::try_from(part.len()).unwrap_or(u8::MAX)], part].concat();
    let bytes: Vec<u8> = value.chunks(u8::MAX.into()).flat_map(part).collect();
    DhcpOption::decode(&mut Decoder::new(&bytes)).ok()
}

fn can_be_ours(address: Ipv4Addr) -> bool {
    !address.is_unspecified()
        && !address.is_broadcast()
        && !address.is_multicast()
        && !address.is_loopback()
}

fn read_lease(message: &v4::Message, address: Ipv4Addr, server: Ipv4Addr) -> Option<Lease> {
    let option = |code| message.opts().get(code);
    let seconds = match option(OptionCode::AddressLeaseTime)? {
        DhcpOption::AddressLeaseTime(seconds) => *seconds,
        _ => return None,
    };
    let renewal = match option(OptionCode::Renewal) {
        Some(DhcpOption::Renewal(seconds)) => Some(*seconds),
        _ => None,
    };
    let rebinding = match option(OptionCode::Rebinding) {
        Some(DhcpOption::Rebinding(seconds)) => Some(*seconds),
        _ => None,
    };
    let prefix_length = match option(OptionCode::SubnetMask) {
        Some(DhcpOption::SubnetMask(mask)) => Prefix::length_of_mask(*mask)?,
        _ => class_prefix_length(address),
    };
    let addresses = |code| match option(code) {
        Some(
            DhcpOption::Router(list)
            | DhcpOption::DomainNameServer(list)
            | DhcpOption::NtpServers(list),
        ) => list.iter().copied().filter(|one| can_be_ours(*one)).take(ENTRIES_MAX).collect(),
        _ => Vec::new(),
    };
    Some(Lease {
        address,
        prefix_length,
        server,
        since: Duration::ZERO,
        times: Times::new(seconds, renewal, rebinding),
        routers: addresses(OptionCode::Router),
        routes: routes(message),
        dns: addresses(OptionCode::DomainNameServer),
        ntp: addresses(OptionCode::NtpServers),
        search: search(message),
        hostname: match option(OptionCode::Hostname) {
            Some(DhcpOption::Hostname(name)) => host_name(name),
            _ => None,
        },
        mtu: match option(OptionCode::InterfaceMtu) {
            Some(DhcpOption::InterfaceMtu(mtu)) if *mtu >= MTU_MIN => Some(u32::from(*mtu)),
            _ => None,
        },
    })
}

/// The prefix length of an address's class (RFC 791), where no mask is given.
fn class_prefix_length(address: Ipv4Addr) -> u8 {
    match address.octets() {
        [0..128, ..] => 8,
        [128..192, ..] => 16,
        _ => 24,
    }
}

/// Classless routes (RFC 3442).
fn routes(message: &v4::Message) -> Vec<(Prefix, Ipv4Addr)> {
    let Some(DhcpOption::ClasslessStaticRoute(list)) =
        message.opts().get(OptionCode::ClasslessStaticRoute)
    else {
        return Vec::new();
    };
    list.iter()
        .filter_map(|(network, via)| {
            let prefix = Prefix::new(network.addr().into(), network.prefix_len())?;
            Some((prefix.network(), *via))
        })
        .collect()
}

/// The search list (RFC 3397), or the one domain (RFC 2132, 3.17).
fn search(message: &v4::Message) -> Vec<String> {
    let list: Vec<String> = match message.opts().get(OptionCode::DomainSearch) {
        Some(DhcpOption::DomainSearch(names)) => {
            names.iter().take(ENTRIES_MAX).map(ToString::to_string).collect()
        }
        _ => Vec::new(),
    };
    let domain = match message.opts().get(OptionCode::DomainName) {
        Some(DhcpOption::DomainName(name)) => Some(name.clone()),
        _ => None,
    };
    let names = if list.is_empty() { domain.into_iter().collect() } else { list };
    names.iter().filter_map(|name| host_name(name)).collect()
}

/// A name, without the zeros that some servers end it with.
fn host_name(text: &str) -> Option<String> {
    plain_name(text.trim_end_matches('\0')).map(str::to_owned)
}

#[cfg(test)]
mod tests;
