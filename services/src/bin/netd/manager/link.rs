//! One link: what the kernel says about it, what it was given, and the clients that
//! ask the network on its behalf.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use netlink_packet_route::link::LinkLayerType;
use services::network::config::{Appearance, Config, Ipv6, LinkConfig, LinkSort};
use services::network::netlink::Change;
use services::network::netlink::change::LinkSetting;
use services::network::netlink::view::{Address, Link, Route};
use services::network::prefix::Prefix;

use super::output::Output;
use super::refused::Refused;
use crate::dhcp4::lease::Lease;
use crate::dhcp4::machine::{Action, Event as DhcpEvent, Machine};
use crate::dhcp6::InformationClient;
use crate::resolv::{FromRouter, Resolvers};

/// A link, and what was done about it.
#[derive(Debug)]
pub(crate) struct Managed {
    pub(super) link: Link,
    driver: Option<String>,
    /// The entry of the file for it.
    pub(super) entry: Option<LinkConfig>,
    /// Whether it is to speak STP, if the file makes it a bridge.
    pub(super) stp: Option<bool>,
    /// Whether it is to be up: it has an entry, or something lies on it.
    pub(super) wanted: bool,
    /// A person has switched it off.
    pub(super) held_down: bool,
    /// Settings that were asked for; none is asked for twice, so that whoever changes
    /// one by hand has it.
    pub(super) asked: Vec<LinkSetting>,
    /// The MTU it had before this daemon gave it one.
    pub(super) former_mtu: Option<u32>,
    /// Whether the file makes it the port of a bridge, or did so last.
    pub(super) is_port: bool,
    pub(super) seed: u64,
    pub(super) dhcp: Option<Machine>,
    listens4: bool,
    /// How IPv6 was set last, also by an entry that is gone since.
    pub(super) ipv6: Option<Ipv6>,
    pub(super) dhcp6: Option<InformationClient>,
    pub(super) listens6: bool,
    /// The `IF_RA_*` bits and others.
    pub(super) inet6_flags: u32,
    pub(super) router: FromRouter,
    /// What the kernel says it has.
    pub(super) addresses: Vec<Address>,
    /// What this daemon gave it, with the moment from which its lifetime counts.
    pub(super) given: BTreeMap<Prefix, Option<Duration>>,
    /// What of that somebody else has taken away again. It stays away until the file is
    /// read again.
    pub(super) gone: BTreeSet<Prefix>,
    /// What this daemon set.
    pub(super) routes: Vec<Route>,
    /// What the one before it set.
    pub(super) former_routes: Vec<Route>,
    /// The kernel may not have the IPv4 routes: it takes them away with the last address,
    /// and refuses them before there is one.
    pub(super) doubts_routes4: bool,
    /// What it is to have, and the kernel has refused.
    pub(super) refused: Vec<Refused>,
}

impl Managed {
    pub(super) fn new(link: Link, driver: Option<String>, held_down: bool, seed: u64) -> Self {
        Self {
            link,
            driver,
            entry: None,
            stp: None,
            wanted: false,
            held_down,
            asked: Vec::new(),
            former_mtu: None,
            is_port: false,
            seed,
            dhcp: None,
            listens4: false,
            ipv6: None,
            dhcp6: None,
            listens6: false,
            inet6_flags: 0,
            router: FromRouter::default(),
            addresses: Vec::new(),
            given: BTreeMap::new(),
            gone: BTreeSet::new(),
            routes: Vec::new(),
            former_routes: Vec::new(),
            doubts_routes4: false,
            refused: Vec::new(),
        }
    }

    /// Looks up what the file says about it, and begins with that.
    pub(super) fn adopt(&mut self, config: &Config, now: Duration, outputs: &mut Vec<Output>) {
        let name = self.link.name.clone();
        let entry = (!self.link.is_loopback())
            .then(|| config.of_link(&self.appearance()).cloned())
            .flatten();
        self.wanted = self.link.is_loopback()
            || entry.is_some()
            || config.makes(&name)
            || config.carries(&name);
        let former = self.entry.as_ref().map(|entry| entry.ipv6);
        let ipv6 = entry.as_ref().map(|entry| entry.ipv6);
        if former.is_none() && ipv6.is_some() {
            // Or the kernel takes every address of a network away with its first one.
            let key = "promote_secondaries";
            outputs.push(Output::Inet4 { link: name, key, value: 1 });
        }
        if former != ipv6 {
            self.set_ipv6(ipv6, outputs);
        }
        let bridge = config.bridges.iter().find(|bridge| bridge.name == self.link.name);
        let stp = bridge.map(|bridge| bridge.stp);
        if self.entry != entry || self.stp != stp {
            self.asked.clear();
        }
        self.stp = stp;
        for prefix in std::mem::take(&mut self.gone) {
            self.given.remove(&prefix);
        }
        self.retry();
        self.entry = entry;
        if former != ipv6 {
            self.solicit(outputs);
        }
        self.adopt_dhcp(now, outputs);
    }

    /// Begins or ends to ask DHCP servers, as its entry says.
    fn adopt_dhcp(&mut self, now: Duration, outputs: &mut Vec<Output>) {
        if !self.entry.as_ref().is_some_and(|entry| entry.dhcp) {
            self.release(now, outputs);
            self.dhcp = None;
        } else if self.dhcp.is_none() {
            self.dhcp = Some(Machine::new(self.seed));
            if self.is_connected() {
                self.dhcp4(DhcpEvent::Connected, now, outputs);
            }
        }
    }

    /// How it looks to a `match`.
    fn appearance(&self) -> Appearance<'_> {
        let sort = match self.link.kind.as_deref() {
            None if self.link.layer == LinkLayerType::Ether => Some(LinkSort::Ethernet),
            Some("vlan") => Some(LinkSort::Vlan),
            Some("bridge") => Some(LinkSort::Bridge),
            Some("veth") => Some(LinkSort::Veth),
            Some("dummy") => Some(LinkSort::Dummy),
            _ => None,
        };
        let driver = self.driver.as_deref();
        Appearance { name: &self.link.name, mac: self.link.mac, driver, sort }
    }

    /// The kernel says something new about it.
    pub(super) fn change(
        &mut self,
        link: Link,
        config: &Config,
        now: Duration,
        outputs: &mut Vec<Output>,
    ) {
        let had_carrier = self.link.has_carrier();
        let was_up = self.link.is_up();
        let renamed = link.name != self.link.name;
        self.link = link;
        if renamed {
            self.adopt(config, now, outputs);
        }
        if was_up && !self.link.is_up() {
            // The kernel takes all of this away with the link.
            self.routes.clear();
            self.given.retain(|prefix, _| prefix.address.is_ipv4());
            self.router = FromRouter::default();
        }
        if had_carrier == self.link.has_carrier() {
            return;
        }
        let what = if had_carrier { "has lost its carrier" } else { "has carrier" };
        if self.entry.is_some() {
            let name = &self.link.name;
            outputs.push(Output::Log(format!("{name} {what}")));
        }
        let event = if had_carrier { DhcpEvent::Disconnected } else { DhcpEvent::Connected };
        self.dhcp4(event, now, outputs);
        self.solicit(outputs);
    }

    /// Whether packets can leave by it.
    pub(super) fn is_connected(&self) -> bool {
        self.link.has_carrier() && !self.held_down
    }

    /// Whether the file is about it and packets can leave by it.
    pub(super) fn is_active(&self) -> bool {
        self.entry.is_some() && self.is_connected()
    }

    pub(super) fn is_online(&self) -> bool {
        self.is_active() && self.addresses.iter().any(Address::is_usable)
    }

    pub(super) fn metric(&self) -> u32 {
        self.entry.as_ref().map_or(u32::MAX, |entry| entry.metric)
    }

    /// The kernel's driver, if a device is behind it.
    pub(super) fn driver(&self) -> Option<&str> {
        self.driver.as_deref()
    }

    pub(super) fn has_dhcp(&self) -> bool {
        self.dhcp.is_some()
    }

    pub(super) fn lease(&self) -> Option<&Lease> {
        self.dhcp.as_ref().and_then(Machine::lease)
    }

    pub(super) fn leased_hostname(&self) -> Option<String> {
        self.lease().and_then(|lease| lease.hostname.clone())
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        let dhcp = self.dhcp.as_ref().and_then(Machine::deadline);
        let dhcp6 = self.dhcp6.as_ref().map(InformationClient::deadline);
        [dhcp, dhcp6, self.router.deadline()].into_iter().flatten().min()
    }

    pub(super) fn time(&mut self, now: Duration, outputs: &mut Vec<Output>) {
        self.dhcp4(DhcpEvent::Time, now, outputs);
        self.router.expire(now);
        if let Some(message) = self.dhcp6.as_mut().and_then(|client| client.time(now)) {
            self.listen6(true, outputs);
            outputs.push(Output::Send6 { index: self.link.index, message });
        }
    }

    /// Has the DHCP client take an event, and does as it says.
    pub(super) fn dhcp4(&mut self, event: DhcpEvent, now: Duration, outputs: &mut Vec<Output>) {
        let index = self.link.index;
        let Some(machine) = &mut self.dhcp else { return };
        let name = &self.link.name;
        let actions = machine.step(event, now);
        // Who speaks has to hear the answer.
        let listens = machine.listens();
        if listens && !self.listens4 {
            outputs.push(Output::Listen4 { index, on: true });
        }
        for action in actions {
            outputs.push(match action {
                Action::Send(message) => Output::Send4 { index, message },
                Action::Probe(address) => Output::Probe { index, address },
                Action::Use(lease) => {
                    let text = match lease.times.expiry {
                        Some(expiry) => format!("for {} s", expiry.as_secs()),
                        None => "for ever".to_owned(),
                    };
                    let (prefix, server) = (lease.prefix(), lease.server);
                    Output::Log(format!("{name} has {prefix} {text} from {server}"))
                }
                Action::Drop(why) => Output::Log(format!("{name} has lost its address: {why}")),
            });
        }
        if !listens && self.listens4 {
            outputs.push(Output::Listen4 { index, on: false });
        }
        self.listens4 = listens;
    }

    pub(super) fn add_address(&mut self, address: Address) {
        let prefix = address.prefix;
        let is_known = self.addresses.iter().any(|one| one.prefix == prefix);
        let was_gone = self.gone.remove(&prefix);
        // Of an address that this daemon gives, the routes are set with it.
        let is_ours = self.given.contains_key(&prefix) && !was_gone;
        if prefix.address.is_ipv4() && !is_known && !is_ours {
            self.doubts_routes4 = true;
        }
        if !is_known {
            self.retry_routes(prefix.address.is_ipv4());
        }
        self.addresses.retain(|one| one.prefix != prefix);
        self.addresses.push(address);
    }

    /// An address is gone: by a person, by its time, or as this daemon wanted it.
    pub(super) fn remove_address(&mut self, prefix: Prefix) {
        if self.given.contains_key(&prefix) {
            self.gone.insert(prefix);
        }
        let is_known = self.addresses.iter().any(|one| one.prefix == prefix);
        if is_known && prefix.address.is_ipv4() {
            self.doubts_routes4 = true;
        }
        self.addresses.retain(|one| one.prefix != prefix);
    }

    /// Whether it has an IPv4 address: the kernel's word, and what it was given just now.
    pub(super) fn has_ipv4(&self) -> bool {
        let given = self.given.keys().filter(|prefix| !self.gone.contains(prefix));
        let known = self.addresses.iter().map(|address| &address.prefix);
        given.chain(known).any(|prefix| prefix.address.is_ipv4())
    }

    /// There is an address from before this daemon was started. If it was a lease,
    /// nobody would renew it.
    pub(super) fn find_address(&mut self, address: &Address, outputs: &mut Vec<Output>) {
        let prefix = address.prefix;
        self.add_address(address.clone());
        let is_lease = prefix.address.is_ipv4() && address.valid_s.is_some();
        if is_lease && self.entry.is_some() && !self.given.contains_key(&prefix) {
            let index = self.link.index;
            outputs.push(Output::Change(Change::DeleteAddress { index, prefix }));
        }
    }

    /// A person switches it off, or no longer does.
    pub(super) fn hold_down(&mut self, down: bool, outputs: &mut Vec<Output>, now: Duration) {
        if down {
            self.release(now, outputs);
        }
        self.held_down = down;
        self.asked.clear();
    }

    /// Gives the lease back.
    pub(super) fn release(&mut self, now: Duration, outputs: &mut Vec<Output>) {
        self.dhcp4(DhcpEvent::Release, now, outputs);
    }

    /// It is gone: nobody listens on it any more.
    pub(super) fn close(self, outputs: &mut Vec<Output>) {
        let index = self.link.index;
        if self.listens4 {
            outputs.push(Output::Listen4 { index, on: false });
        }
        if self.listens6 {
            outputs.push(Output::Listen6 { index, on: false });
        }
    }

    /// The resolvers that it brings.
    pub(super) fn resolvers(&self) -> Resolvers {
        let mut resolvers = Resolvers::default();
        if let Some(entry) = &self.entry {
            resolvers.add(&self.link.name, entry.dns.iter().copied(), &entry.search);
        }
        if let Some(lease) = self.lease() {
            let dns = lease.dns.iter().copied().map(IpAddr::from);
            resolvers.add(&self.link.name, dns, &lease.search);
        }
        let dns = self.router.resolvers().map(IpAddr::from);
        resolvers.add(&self.link.name, dns, &self.router.domains());
        if let Some(information) = self.dhcp6.as_ref().and_then(InformationClient::information) {
            let dns = information.dns.iter().copied().map(IpAddr::from);
            resolvers.add(&self.link.name, dns, &information.search);
        }
        resolvers
    }

    /// Whether somebody may still say that its address is theirs.
    pub(super) fn is_probing(&self, now: Duration) -> bool {
        self.dhcp.as_ref().is_some_and(|machine| machine.is_probing(now))
    }

    /// The address by which a server can be spoken to directly.
    pub(super) fn leased_address(&self) -> Option<Ipv4Addr> {
        self.lease().map(|lease| lease.address)
    }
}
