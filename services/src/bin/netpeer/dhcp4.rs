//! A DHCP server (RFC 2131) that grants one address after the other, by hardware
//! address, and keeps them until it ends.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use dhcproto::v4::{DhcpOption, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvFlags, recv};
use services::network::datagram;
use services::network::mac::Mac;
use services::network::netlink::view::Link;
use services::problem::{Context, Problem, Result};
use services::sys::{packet_socket, send_packet};

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;
/// Ethernet type of IPv4.
const IPV4: u16 = 0x0800;
/// Passes everything.
const PASS: services::sys::Instruction = (0x06, 0, 0, u32::MAX);

/// What to grant.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) first: Option<Ipv4Addr>,
    pub(crate) server: Ipv4Addr,
    pub(crate) lease_s: u32,
    pub(crate) dns: Vec<Ipv4Addr>,
    pub(crate) ntp: Vec<Ipv4Addr>,
    pub(crate) hostname: Option<String>,
    pub(crate) domain: Option<String>,
    pub(crate) names_gateway: bool,
    pub(crate) refuses: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            first: None,
            server: Ipv4Addr::UNSPECIFIED,
            lease_s: 0,
            dns: Vec::new(),
            ntp: Vec::new(),
            hostname: None,
            domain: None,
            names_gateway: false,
            refuses: false,
        }
    }
}

/// The server, with who has which address.
pub(crate) struct Server {
    fd: OwnedFd,
    index: u32,
    options: Options,
    granted: BTreeMap<Vec<u8>, Ipv4Addr>,
}

impl Server {
    /// Begins to listen, beneath IP, where no packet filter is in the way.
    pub(crate) fn open(link: &Link, options: Options) -> Result<Self> {
        let fd = packet_socket(link.index, IPV4, &[PASS])
            .context(|| format!("cannot listen on `{}`", link.name))?;
        Ok(Self { fd, index: link.index, options, granted: BTreeMap::new() })
    }

    /// Serves until something goes wrong.
    pub(crate) fn serve(mut self) -> Result<()> {
        let mut buffer = [MaybeUninit::uninit(); 4096];
        loop {
            poll(&mut [PollFd::new(&self.fd, PollFlags::IN)], None)
                .context(|| "cannot wait".to_owned())?;
            let Ok(((bytes, _), _)) = recv(&self.fd, &mut buffer[..], RecvFlags::DONTWAIT) else {
                continue;
            };
            let message = datagram::decode(bytes)
                .filter(|(_, destination, _)| destination.port() == SERVER_PORT)
                .and_then(|(.., message)| Message::decode(&mut Decoder::new(message)).ok());
            if let Some(answer) = message.as_ref().and_then(|message| self.answer(message)) {
                self.send(&answer)?;
            }
        }
    }

    fn answer(&mut self, asked: &Message) -> Option<Message> {
        let kind = asked.opts().msg_type()?;
        let mac = Mac::from_slice(asked.chaddr().get(..6)?)?;
        let address = self.address_of(asked.chaddr());
        let _ = writeln!(std::io::stderr(), "netpeer: {kind:?} of {mac}");
        let wanted = match asked.opts().get(OptionCode::RequestedIpAddress) {
            Some(DhcpOption::RequestedIpAddress(wanted)) => *wanted,
            _ => asked.ciaddr(),
        };
        let kind = match kind {
            MessageType::Discover if self.options.refuses => return None,
            MessageType::Discover => MessageType::Offer,
            MessageType::Request if self.options.refuses || wanted != address => MessageType::Nak,
            MessageType::Request => MessageType::Ack,
            _ => return None,
        };
        let none = Ipv4Addr::UNSPECIFIED;
        let granted = if kind == MessageType::Nak { none } else { address };
        let mut message =
            Message::new_with_id(asked.xid(), none, granted, none, none, asked.chaddr());
        message.set_opcode(Opcode::BootReply);
        message.opts_mut().insert(DhcpOption::MessageType(kind));
        message.opts_mut().insert(DhcpOption::ServerIdentifier(self.options.server));
        if kind != MessageType::Nak {
            self.add_options(&mut message);
        }
        Some(message)
    }

    fn address_of(&mut self, chaddr: &[u8]) -> Ipv4Addr {
        let first = self.options.first.unwrap_or(Ipv4Addr::UNSPECIFIED).to_bits();
        let next = u32::try_from(self.granted.len()).unwrap_or(u32::MAX);
        let next = Ipv4Addr::from_bits(first.wrapping_add(next));
        *self.granted.entry(chaddr.to_vec()).or_insert(next)
    }

    fn add_options(&self, message: &mut Message) {
        let options = &self.options;
        let into = message.opts_mut();
        into.insert(DhcpOption::AddressLeaseTime(options.lease_s));
        into.insert(DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)));
        if options.names_gateway {
            into.insert(DhcpOption::Router(vec![options.server]));
        }
        if !options.dns.is_empty() {
            into.insert(DhcpOption::DomainNameServer(options.dns.clone()));
        }
        if !options.ntp.is_empty() {
            into.insert(DhcpOption::NtpServers(options.ntp.clone()));
        }
        if let Some(name) = &options.hostname {
            into.insert(DhcpOption::Hostname(name.clone()));
        }
        if let Some(name) = &options.domain {
            into.insert(DhcpOption::DomainName(name.clone()));
        }
    }

    /// Everybody hears the answer: who has no address yet cannot be spoken to.
    fn send(&self, message: &Message) -> Result<()> {
        let mut bytes = Vec::new();
        message
            .encode(&mut Encoder::new(&mut bytes))
            .context(|| "cannot make an answer".to_owned())?;
        let source = SocketAddrV4::new(self.options.server, SERVER_PORT);
        let destination = SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT);
        let packet = datagram::encode(source, destination, &bytes)
            .ok_or_else(|| Problem::new("the answer is too long"))?;
        // A cable that is out loses packets; that is what it is for.
        let _ = send_packet(&self.fd, self.index, IPV4, Mac([0xff; 6]), &packet);
        Ok(())
    }
}
