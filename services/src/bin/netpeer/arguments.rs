//! The command line of `netpeer`.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use lexopt::Arg;
use services::network::prefix::Prefix;
use services::problem::{Problem, Result};

use crate::dhcp4::Options as Dhcp4;
use crate::dns::Options as Names;
use crate::ntp::Clock;
use crate::router::Options as Router;

pub(crate) const HELP: &str = "\
The other side of the network, for tests.

Usage: netpeer --link NAME [OPTIONS]
       netpeer --call ADDRESS:PORT TEXT
       netpeer --hold ADDRESS:PORT

The link:
      --link NAME            the link to serve; it is switched on
      --address A/LENGTH     an address it gets; may be given several times

DHCP:
      --dhcp ADDRESS         the first address to grant; each client gets the next
      --lease SECONDS        for how long [default: 3600]
      --server ADDRESS       the server's own address; needed with --dhcp
      --dns ADDRESS          a resolver to name; may be given several times
      --ntp ADDRESS          a time server to name; may be given several times
      --name NAME            the host name to give
      --domain NAME          the domain to name
      --no-gateway           do not name itself as the router
      --refuse               answer every request with no (DHCPNAK)

Router advertisements, every 2 s:
      --prefix P/64          the prefix to advertise
      --rdnss ADDRESS        a resolver to name; may be given several times
      --other                say that DHCPv6 knows more (the O flag)

DHCPv6, stateless:
      --dhcp6-dns ADDRESS    a resolver to name; may be given several times

Names, by UDP and TCP on port 53:
      --names-at ADDRESS     answer there; may be given several times
      --zone NAME            the zone; other names are refused [default: all]
      --record NAME=ADDRESS[+COUNT]
                             an address of a name, or COUNT in a row; may be given
                             several times; other names in the zone do not exist

Time (NTP):
      --clock ADDRESS:PORT=SECONDS[,SECONDS...]
                             answer there, so far ahead of this machine's clock
                             (behind it with a minus); every answer has the next
                             difference, the last one stays; may be given several times

Others:
      --echo PORT            answer on this TCP port with what was said
      --call ADDRESS:PORT TEXT
                             say something to such a port and print the answer
      --hold ADDRESS:PORT    count to such a port, a number each second, and print the
                             answers, until there is none
  -h, --help                 this text
";

/// What the command line asks for.
pub(crate) enum Task {
    /// Serve.
    Serve(Box<Settings>),
    /// Say something to somebody else's echo.
    Call(SocketAddr, String),
    /// Count to it.
    Hold(SocketAddr),
}

/// What to serve.
#[derive(Default)]
pub(crate) struct Settings {
    pub(crate) link: String,
    pub(crate) addresses: Vec<Prefix>,
    pub(crate) dhcp4: Option<Dhcp4>,
    pub(crate) router: Option<Router>,
    pub(crate) dhcp6_dns: Vec<Ipv6Addr>,
    pub(crate) names: Names,
    pub(crate) clocks: Vec<Clock>,
    pub(crate) echo_port: Option<u16>,
}

/// Reads the command line; `None` asks for help.
pub(crate) fn parse(mut parser: lexopt::Parser) -> Result<Option<Task>> {
    let mut settings = Settings::default();
    let mut dhcp = Dhcp4 { lease_s: 3600, names_gateway: true, ..Dhcp4::default() };
    let mut router = Router::default();
    let mut server = None;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("link") => settings.link = value(&mut parser)?,
            Arg::Long("address") => settings.addresses.push(value(&mut parser)?),
            Arg::Long("dhcp") => dhcp.first = Some(value(&mut parser)?),
            Arg::Long("lease") => dhcp.lease_s = value(&mut parser)?,
            Arg::Long("server") => server = Some(value::<Ipv4Addr>(&mut parser)?),
            Arg::Long("dns") => dhcp.dns.push(value(&mut parser)?),
            Arg::Long("ntp") => dhcp.ntp.push(value(&mut parser)?),
            Arg::Long("name") => dhcp.hostname = Some(value(&mut parser)?),
            Arg::Long("domain") => dhcp.domain = Some(value(&mut parser)?),
            Arg::Long("no-gateway") => dhcp.names_gateway = false,
            Arg::Long("refuse") => dhcp.refuses = true,
            Arg::Long("prefix") => router.prefix = Some(value(&mut parser)?),
            Arg::Long("rdnss") => router.rdnss.push(value(&mut parser)?),
            Arg::Long("other") => router.other = true,
            Arg::Long("dhcp6-dns") => settings.dhcp6_dns.push(value(&mut parser)?),
            Arg::Long("names-at") => settings.names.at.push(value(&mut parser)?),
            Arg::Long("zone") => settings.names.zone = value(&mut parser)?,
            Arg::Long("record") => settings.names.records.push(value(&mut parser)?),
            Arg::Long("clock") => settings.clocks.push(value(&mut parser)?),
            Arg::Long("echo") => settings.echo_port = Some(value(&mut parser)?),
            Arg::Long("call") => {
                return Ok(Some(Task::Call(value(&mut parser)?, value(&mut parser)?)));
            }
            Arg::Long("hold") => return Ok(Some(Task::Hold(value(&mut parser)?))),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected().into()),
        }
    }
    if settings.link.is_empty() {
        return Err(Problem::new("--link is missing"));
    }
    if dhcp.first.is_some() {
        dhcp.server = server.ok_or_else(|| Problem::new("--server is missing"))?;
        settings.dhcp4 = Some(dhcp);
    }
    settings.router = router.prefix.is_some().then_some(router);
    Ok(Some(Task::Serve(Box::new(settings))))
}

fn value<T: FromStr>(parser: &mut lexopt::Parser) -> Result<T> {
    let text = parser.value()?.to_string_lossy().into_owned();
    text.parse().map_err(|_| Problem::new(format!("`{text}` is not what was expected")))
}
