//! Router advertisements (RFC 4861, 4.2), with resolvers (RFC 8106).

use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::Duration;

use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, ipproto, sendto, socket_with, sockopt,
};
use services::network::netlink::view::Link;
use services::network::prefix::Prefix;
use services::problem::{Context, Result};

/// Everybody on the link.
const EVERYBODY: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// Pause between two advertisements.
const PAUSE: Duration = Duration::from_secs(2);
/// How long what is said counts, in seconds.
const LIFETIME_S: u32 = 600;
/// The O flag.
const OTHER: u8 = 0x40;

/// What to advertise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    pub(crate) prefix: Option<Prefix>,
    pub(crate) rdnss: Vec<Ipv6Addr>,
    pub(crate) other: bool,
}

/// The router.
pub(crate) struct Router {
    fd: OwnedFd,
    index: u32,
    message: Vec<u8>,
}

impl Router {
    /// Prepares to speak on a link.
    pub(crate) fn open(link: &Link, options: Options) -> Result<Self> {
        let open = || -> std::io::Result<OwnedFd> {
            let fd = socket_with(
                AddressFamily::INET6,
                SocketType::RAW,
                SocketFlags::CLOEXEC,
                Some(ipproto::ICMPV6),
            )?;
            sockopt::set_ipv6_multicast_if(&fd, link.index)?;
            // Whoever hears it knows by this that no router has passed it on.
            sockopt::set_ipv6_multicast_hops(&fd, 255)?;
            Ok(fd)
        };
        let fd = open().context(|| format!("cannot speak on `{}`", link.name))?;
        Ok(Self { fd, index: link.index, message: encode(&options) })
    }

    /// Speaks every two seconds.
    pub(crate) fn serve(self) -> Result<()> {
        loop {
            let address = SocketAddrV6::new(EVERYBODY, 0, 0, self.index);
            // A link without a cable, or whose own address is still being checked.
            let _ = sendto(&self.fd, &self.message, SendFlags::empty(), &address);
            thread::sleep(PAUSE);
        }
    }
}

/// The advertisement; the kernel fills in its checksum.
fn encode(options: &Options) -> Vec<u8> {
    let flags = if options.other { OTHER } else { 0 };
    // Type 134, hop limit 64, router lifetime, then times that are left to clients.
    let mut message = vec![134, 0, 0, 0, 64, flags];
    message.extend(u16::try_from(LIFETIME_S).unwrap_or(u16::MAX).to_be_bytes());
    message.extend([0; 8]);
    if let Some(Prefix { address: std::net::IpAddr::V6(address), length }) =
        options.prefix.map(Prefix::network)
    {
        // On the link, and good for addresses.
        message.extend([3, 4, length, 0xc0]);
        message.extend(LIFETIME_S.to_be_bytes());
        message.extend(LIFETIME_S.to_be_bytes());
        message.extend([0; 4]);
        message.extend(address.octets());
    }
    if !options.rdnss.is_empty() {
        let units = 1 + 2 * options.rdnss.len();
        message.extend([25, u8::try_from(units).unwrap_or(u8::MAX), 0, 0]);
        message.extend(LIFETIME_S.to_be_bytes());
        for address in &options.rdnss {
            message.extend(address.octets());
        }
    }
    message
}
