//! Answers of a stateless DHCPv6 server (RFC 8415, 18.3.6).

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};

use dhcproto::v6::{DhcpOption, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use services::network::netlink::view::Link;
use services::problem::{Context, Result};

const SERVER_PORT: u16 = 547;
/// Every server and relay on the link.
const EVERY_SERVER: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// The server.
pub(crate) struct Server {
    socket: UdpSocket,
    dns: Vec<Ipv6Addr>,
}

impl Server {
    /// Begins to listen.
    pub(crate) fn open(link: &Link, dns: Vec<Ipv6Addr>) -> Result<Self> {
        let open = || -> std::io::Result<UdpSocket> {
            let address = SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, SERVER_PORT, 0, 0);
            let socket = UdpSocket::bind(address)?;
            socket.join_multicast_v6(&EVERY_SERVER, link.index)?;
            Ok(socket)
        };
        let socket = open().context(|| "cannot listen".to_owned())?;
        Ok(Self { socket, dns })
    }

    /// Serves until something goes wrong.
    pub(crate) fn serve(self) -> Result<()> {
        let mut buffer = [0; 2048];
        loop {
            let (length, client) =
                self.socket.recv_from(&mut buffer).context(|| "cannot receive".to_owned())?;
            let bytes = buffer.get(..length).unwrap_or_default();
            if let Some(answer) = self.answer(bytes) {
                // A client that has gone meanwhile.
                let _ = self.socket.send_to(&answer, client);
            }
        }
    }

    fn answer(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let asked = Message::decode(&mut Decoder::new(bytes)).ok()?;
        if asked.msg_type() != MessageType::InformationRequest {
            return None;
        }
        let mut message = Message::new_with_id(MessageType::Reply, asked.xid());
        let options = message.opts_mut();
        options.insert(DhcpOption::ServerId(vec![0, 3, 0, 1, 2, 0, 0, 0, 0, 1]));
        if let Some(client) = asked.opts().get(OptionCode::ClientId) {
            options.insert(client.clone());
        }
        options.insert(DhcpOption::DomainNameServers(self.dns.clone()));
        let mut answer = Vec::new();
        message.encode(&mut Encoder::new(&mut answer)).ok()?;
        Some(answer)
    }
}
