//! Does what the manager decided. What cannot be done is said, and the rest goes on.

use std::fs;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use services::network::mac::Mac;
use services::network::netlink::view::Link;
use services::network::netlink::{Change, Connection};
use services::problem::{Problem, warn};
use services::whole_file;

use crate::PROGRAM;
use crate::dhcp4::message::{Client, Outgoing};
use crate::given;
use crate::held_down;
use crate::manager::{self, Output, Refused};
use crate::resolv;
use crate::sockets::{Kind, Sockets};

/// The edge to the system.
pub(crate) struct Edge {
    pub(crate) kernel: Connection,
    pub(crate) sockets: Sockets,
    run: PathBuf,
    /// Links by index, for their hardware addresses.
    pub(crate) macs: std::collections::BTreeMap<u32, Mac>,
}

impl Edge {
    /// An edge whose files are in `run`.
    pub(crate) fn new(kernel: Connection, run: PathBuf) -> Self {
        Self { kernel, sockets: Sockets::default(), run, macs: Default::default() }
    }

    /// Does everything in order, and tells what the kernel refused to change.
    pub(crate) fn perform(&mut self, outputs: Vec<Output>) -> Vec<Refused> {
        let mut refused = Vec::new();
        for output in outputs {
            let what = describe(&output);
            let change = match &output {
                Output::Change(change) => Some(change.clone()),
                _ => None,
            };
            if let Err(error) = self.one(output) {
                warn(PROGRAM, format_args!("cannot {what}: {error}"));
                refused.extend(change.map(|change| Refused { change, why: error.to_string() }));
            }
        }
        refused
    }

    fn one(&mut self, output: Output) -> io::Result<()> {
        match output {
            Output::Change(change) => ignore_missing(&change, change.make(&mut self.kernel)),
            Output::Inet4 { link, key, value } => set_inet("ipv4", &link, key, value),
            Output::Inet6 { link, key, value } => set_inet("ipv6", &link, key, value),
            Output::Listen4 { index, on: true } => self.sockets.listen4(index),
            Output::Listen4 { index, on: false } => {
                self.sockets.close(index, Kind::Dhcp4);
                Ok(())
            }
            Output::Listen6 { index, on: true } => self.sockets.listen6(index),
            Output::Listen6 { index, on: false } => {
                self.sockets.close(index, Kind::Dhcp6);
                Ok(())
            }
            Output::Send4 { index, message } => self.send4(index, &message),
            Output::Send6 { index, message } => self.sockets.send6(index, &message),
            Output::Solicit { index } => {
                let mac = self.macs.get(&index).copied();
                ignore_absent_ipv6(self.sockets.solicit(index, mac))
            }
            Output::Probe { index, address } => {
                let mac = self.mac(index)?;
                self.sockets.probe(index, mac, address)
            }
            Output::Resolvers(text) => {
                let of_dnsd = resolv::file_of_dnsd(&text);
                whole_file::write(&self.run.join("resolv.conf"), text.as_bytes(), 0o644)?;
                whole_file::write(&self.run.join("dnsd-resolv.conf"), of_dnsd.as_bytes(), 0o644)
            }
            Output::Given(given) => given::write(&self.run, &given),
            Output::HeldDown(names) => held_down::write(&self.run, &names),
            Output::Hostname(name) => {
                rustix::system::sethostname(name.as_bytes()).map_err(io::Error::from)
            }
            Output::Log(message) => {
                let _ = writeln!(io::stderr(), "{PROGRAM}: {message}");
                Ok(())
            }
        }
    }

    fn mac(&self, index: u32) -> io::Result<Mac> {
        self.macs.get(&index).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn send4(&mut self, index: u32, message: &Outgoing) -> io::Result<()> {
        let hostname = hostname();
        let client = Client { mac: self.mac(index)?, hostname: hostname.as_deref() };
        let bytes = message.encode(client).ok_or(io::ErrorKind::InvalidInput)?;
        let source: Ipv4Addr = message.source();
        match message.destination() {
            Some(server) => self.sockets.unicast4(index, source, server, &bytes),
            None => self.sockets.broadcast4(index, source, &bytes),
        }
    }
}

/// What is to be deleted and is not there is as it should be.
fn ignore_missing(change: &Change, result: io::Result<()>) -> io::Result<()> {
    let deletes = matches!(
        change,
        Change::DeleteAddress { .. } | Change::DeleteRoute(_) | Change::DeleteLink(_)
    );
    // For a route, an address, a link.
    let missing = [Errno::SRCH, Errno::ADDRNOTAVAIL, Errno::NODEV];
    let is_missing =
        |error: &io::Error| Errno::from_io_error(error).is_some_and(|it| missing.contains(&it));
    match result {
        Err(error) if deletes && is_missing(&error) => Ok(()),
        other => other,
    }
}

/// A kernel or a link without IPv6 has no routers to ask, and of a link whose own address is
/// still being checked (`EADDRNOTAVAIL`) the kernel asks them itself.
fn ignore_absent_ipv6(result: io::Result<()>) -> io::Result<()> {
    let absent = [Errno::AFNOSUPPORT, Errno::NETUNREACH, Errno::ADDRNOTAVAIL];
    match result {
        Err(error) if Errno::from_io_error(&error).is_some_and(|it| absent.contains(&it)) => Ok(()),
        other => other,
    }
}

fn describe(output: &Output) -> String {
    match output {
        Output::Change(change) => manager::describe(change),
        Output::Inet4 { link, key, .. } => format!("set IPv4's {key} of {link}"),
        Output::Inet6 { link, key, .. } => format!("set IPv6's {key} of {link}"),
        Output::Listen4 { index, .. } => format!("hear DHCP servers on link {index}"),
        Output::Listen6 { index, .. } => format!("hear DHCPv6 servers on link {index}"),
        Output::Send4 { index, message } => {
            format!("send a DHCP {} on link {index}", message.name())
        }
        Output::Send6 { index, .. } => format!("send a DHCPv6 request on link {index}"),
        Output::Solicit { index } => format!("ask the routers on link {index}"),
        Output::Probe { address, .. } => format!("ask who has {address}"),
        Output::Resolvers(_) => "write resolv.conf".to_owned(),
        Output::Given(_) => "keep what links were given".to_owned(),
        Output::HeldDown(_) => "keep which links are switched off".to_owned(),
        Output::Hostname(name) => format!("set the host name {name}"),
        Output::Log(..) => String::new(),
    }
}

/// Sets one of the settings that a protocol has of a link. A kernel without the protocol
/// has none.
fn set_inet(protocol: &str, link: &str, key: &str, value: u32) -> io::Result<()> {
    let base = Path::new("/proc/sys/net").join(protocol).join("conf");
    if !base.exists() {
        return Ok(());
    }
    fs::write(base.join(link).join(key), value.to_string())
}

/// The name of this machine, if it has one worth telling.
fn hostname() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    (!name.is_empty() && name != "localhost" && name != "(none)").then_some(name)
}

/// The kernel's driver of a link, if a device is behind it.
pub(crate) fn driver(link: &Link) -> Option<String> {
    let target = fs::read_link(format!("/sys/class/net/{}/device/driver", link.name)).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

/// A problem in one line, for answers over the control socket.
pub(crate) fn one_line(problem: &Problem) -> String {
    problem.to_string().split_whitespace().collect::<Vec<_>>().join(" ")
}
