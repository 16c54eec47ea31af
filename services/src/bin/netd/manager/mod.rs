//! What `netd` decides, pure: what the kernel, servers and people say goes in with
//! the time, what is to be done comes out.
//!
//! Code map: [`link`] is one link and what was done to it, [`inet6`] its IPv6, [`desired`] what
//! it is to have, [`settle`] how it gets that, [`made`] the links that the file makes,
//! [`refused`] what the kernel did not do, [`retry`] when it is asked for again, [`status`] what
//! people are told, [`output`] the vocabulary.
//! Every input is followed by [`Manager::settle`], which makes up the difference between what
//! there is and what there should be.

mod desired;
mod inet6;
mod link;
mod made;
mod output;
mod refused;
mod retry;
mod settle;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use services::network::config::Config;
use services::network::netlink::Change;
use services::network::netlink::change::LinkSetting;
use services::network::netlink::event::Event;
use services::network::netlink::view::{Address, Link};

use crate::dhcp4::machine::Event as DhcpEvent;
use crate::dhcp4::message::Reply;
use crate::given::Given;
use crate::random::Random;
use crate::resolv;

pub(crate) use link::Managed;
use made::{ByName, Made};
pub(crate) use output::Output;
pub(crate) use refused::{Refused, describe};

/// The state of the network, as far as `netd` knows it.
#[derive(Debug)]
pub(crate) struct Manager {
    config: Config,
    links: BTreeMap<u32, Managed>,
    /// Whether it knows all links there are: before that none can be called missing.
    is_listed: bool,
    made: Made,
    /// Names of the links that a person has switched off.
    held_down: BTreeSet<String>,
    /// What the next start is told that links were given.
    given: Given,
    /// What a daemon before this one gave links that it has not seen yet.
    former: Given,
    random: Random,
    /// What resolv.conf holds.
    resolvers: Option<String>,
    hostname: Option<String>,
}

impl Manager {
    /// A manager that knows no link yet. `held_down` are the names of the links that a person
    /// has switched off before, `seed` decides pauses and transaction numbers.
    pub(crate) fn new(config: Config, held_down: BTreeSet<String>, seed: u64) -> Self {
        Self {
            config,
            links: BTreeMap::new(),
            is_listed: false,
            made: Made::default(),
            held_down,
            given: Given::default(),
            former: Given::default(),
            random: Random::new(seed),
            resolvers: None,
            hostname: None,
        }
    }

    /// A daemon before this one gave all this, and the links still have it.
    pub(crate) fn take_over(&mut self, given: Given) {
        self.former = given.clone();
        self.given = given;
    }

    /// Whether the readiness of this daemon is to wait for an address.
    pub(crate) fn waits_online(&self) -> Option<Duration> {
        (!self.config.wait_online.is_zero()).then_some(self.config.wait_online)
    }

    /// Whether somebody can be talked to from a link that the file is about.
    pub(crate) fn is_online(&self) -> bool {
        self.links.values().any(Managed::is_online)
    }

    /// When [`Self::time`] is due next.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.links.values().filter_map(Managed::deadline).min()
    }

    /// What resolv.conf is to hold.
    fn resolver_file(&self) -> String {
        let mut links: Vec<&Managed> =
            self.links.values().filter(|link| link.is_active()).collect();
        links.sort_by_key(|link| (link.metric(), link.link.index));
        resolv::file(&self.config, &links.iter().map(|link| link.resolvers()).collect::<Vec<_>>())
    }

    /// These are all the links there are, each with its driver.
    pub(crate) fn all_links(
        &mut self,
        links: Vec<(Link, Option<String>)>,
        now: Duration,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        for (link, driver) in links {
            self.take_link(link, driver, now, &mut outputs);
        }
        self.is_listed = true;
        self.former = Given::default();
        self.settle(now, &mut outputs);
        outputs
    }

    /// A link is there, with its driver, or has changed.
    pub(crate) fn link(
        &mut self,
        link: Link,
        driver: Option<String>,
        now: Duration,
    ) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.take_link(link, driver, now, &mut outputs);
        self.settle(now, &mut outputs);
        outputs
    }

    fn take_link(
        &mut self,
        link: Link,
        driver: Option<String>,
        now: Duration,
        outputs: &mut Vec<Output>,
    ) {
        match self.links.get_mut(&link.index) {
            Some(managed) => managed.change(link, &self.config, now, outputs),
            None => {
                let index = link.index;
                let seed = self.random.next_u64();
                let is_held_down = self.held_down.contains(&link.name);
                let mut managed = Managed::new(link, driver, is_held_down, seed);
                managed.take_over(&self.former);
                managed.adopt(&self.config, now, outputs);
                self.links.insert(index, managed);
            }
        }
    }

    /// Something else that the kernel says.
    pub(crate) fn event(&mut self, event: Event, now: Duration) -> Vec<Output> {
        let mut outputs = Vec::new();
        match event {
            // The driver has to be found out first: see [`Self::link`].
            Event::Link(_) => {}
            Event::LinkGone(index) => {
                if let Some(gone) = self.links.remove(&index) {
                    self.made.gone(&gone.link);
                    outputs.push(Output::Log(format!("{} is gone", gone.link.name)));
                    gone.close(&mut outputs);
                }
            }
            Event::Address(address) => self.on(address.index, |link| link.add_address(address)),
            Event::AddressGone(address) => {
                self.on(address.index, |link| link.remove_address(address.prefix));
            }
            Event::Inet6Flags { index, flags } => self.on(index, |link| link.inet6_flags(flags)),
            Event::Router { index, option } => self.on(index, |link| link.router(option, now)),
        }
        self.settle(now, &mut outputs);
        outputs
    }

    fn on(&mut self, index: u32, act: impl FnOnce(&mut Managed)) {
        if let Some(link) = self.links.get_mut(&index) {
            act(link);
        }
    }

    /// A DHCP server says something on a link.
    pub(crate) fn dhcp4(&mut self, index: u32, reply: Reply, now: Duration) -> Vec<Output> {
        self.dhcp4_event(index, DhcpEvent::Message(reply), now)
    }

    /// Somebody else answers for the address that a link was given.
    pub(crate) fn conflict(&mut self, index: u32, now: Duration) -> Vec<Output> {
        self.dhcp4_event(index, DhcpEvent::Conflict, now)
    }

    fn dhcp4_event(&mut self, index: u32, event: DhcpEvent, now: Duration) -> Vec<Output> {
        let mut outputs = Vec::new();
        if let Some(link) = self.links.get_mut(&index) {
            link.dhcp4(event, now, &mut outputs);
        }
        self.settle(now, &mut outputs);
        outputs
    }

    /// A DHCPv6 server says something on a link.
    pub(crate) fn dhcp6(&mut self, index: u32, bytes: &[u8], now: Duration) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.on(index, |link| link.dhcp6(bytes, now));
        self.settle(now, &mut outputs);
        outputs
    }

    /// A deadline may have passed.
    pub(crate) fn time(&mut self, now: Duration) -> Vec<Output> {
        let mut outputs = Vec::new();
        for link in self.links.values_mut() {
            link.time(now, &mut outputs);
        }
        self.settle(now, &mut outputs);
        outputs
    }

    /// The kernel has refused something that came out of here.
    pub(crate) fn refused(&mut self, refused: Refused) {
        self.made.refuse(&refused.change, &refused.why);
        if let Some(link) = refused.index().and_then(|index| self.links.get_mut(&index)) {
            link.refuse(refused);
        }
    }

    /// A person wants a lease extended. False without such a link.
    pub(crate) fn renew(&mut self, name: &str, now: Duration) -> Result<Vec<Output>, Refusal> {
        let link = self.find(name)?;
        if !link.has_dhcp() {
            return Err(Refusal::Failed(format!("{name} does not use DHCP")));
        }
        let index = link.link.index;
        Ok(self.dhcp4_event(index, DhcpEvent::Renew, now))
    }

    /// A person switches a link on or off.
    pub(crate) fn set_up(
        &mut self,
        name: &str,
        up: bool,
        now: Duration,
    ) -> Result<Vec<Output>, Refusal> {
        let link = self.find(name)?;
        let mut outputs = Vec::new();
        link.hold_down(!up, &mut outputs, now);
        let index = link.link.index;
        let is_new =
            if up { self.held_down.remove(name) } else { self.held_down.insert(name.to_owned()) };
        if is_new {
            outputs.push(Output::HeldDown(self.held_down.clone()));
        }
        outputs.push(Output::Change(Change::SetLink(index, LinkSetting::Up(up))));
        self.settle(now, &mut outputs);
        Ok(outputs)
    }

    fn find(&mut self, name: &str) -> Result<&mut Managed, Refusal> {
        let found = self.links.values_mut().find(|link| link.link.name == name);
        found.ok_or_else(|| Refusal::NoSuchLink(name.to_owned()))
    }

    /// The file says something new.
    pub(crate) fn reload(&mut self, config: Config, now: Duration) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.config = config;
        for link in self.links.values_mut() {
            link.adopt(&self.config, now, &mut outputs);
        }
        self.made.reload(&self.config, &by_name(&self.links), &mut outputs);
        self.settle(now, &mut outputs);
        outputs
    }

    /// This daemon is to end: leases are given back, the rest stays as it is.
    pub(crate) fn release(&mut self, now: Duration) -> Vec<Output> {
        let mut outputs = Vec::new();
        for link in self.links.values_mut() {
            link.release(now, &mut outputs);
        }
        self.settle(now, &mut outputs);
        outputs
    }

    /// Leases of a former life are over: nobody would renew them.
    pub(crate) fn found_addresses(&mut self, addresses: &[Address], now: Duration) -> Vec<Output> {
        let mut outputs = Vec::new();
        for address in addresses {
            self.on(address.index, |link| link.find_address(address, &mut outputs));
        }
        self.settle(now, &mut outputs);
        outputs
    }

    /// The address that a server gave a link.
    pub(crate) fn leased_address(&self, index: u32) -> Option<Ipv4Addr> {
        self.links.get(&index).and_then(Managed::leased_address)
    }

    /// Whether the answer to a probe on a link would still count at `now`.
    pub(crate) fn is_probing(&self, index: u32, now: Duration) -> bool {
        self.links.get(&index).is_some_and(|link| link.is_probing(now))
    }

    /// Makes up the difference between what there is and what there should be.
    fn settle(&mut self, now: Duration, outputs: &mut Vec<Output>) {
        if self.is_listed {
            self.made.settle(&self.config, &by_name(&self.links), outputs);
        }
        let indexes: BTreeMap<String, u32> =
            self.links.values().map(|link| (link.link.name.clone(), link.link.index)).collect();
        let stays = |link: &&mut Managed| !self.made.is_leaving(link.link.index);
        for link in self.links.values_mut().filter(stays) {
            link.settle(&indexes, now, outputs);
        }
        let mut given = Given::default();
        for link in self.links.values() {
            link.add_given(&mut given);
        }
        if self.given != given {
            outputs.push(Output::Given(given.clone()));
            self.given = given;
        }
        let resolvers = self.resolver_file();
        if self.resolvers.as_ref() != Some(&resolvers) {
            outputs.push(Output::Resolvers(resolvers.clone()));
            self.resolvers = Some(resolvers);
        }
        if self.config.hostname_from_lease {
            let name = self.links.values().find_map(Managed::leased_hostname);
            if name.is_some() && name != self.hostname {
                outputs.extend(name.clone().map(Output::Hostname));
                self.hostname = name;
            }
        }
    }
}

fn by_name(links: &BTreeMap<u32, Managed>) -> ByName<'_> {
    links.values().map(|link| (link.link.name.as_str(), &link.link)).collect()
}

/// Why a person's wish cannot be fulfilled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// There is no link of that name.
    NoSuchLink(String),
    /// Something else.
    Failed(String),
}

#[cfg(test)]
mod tests;
