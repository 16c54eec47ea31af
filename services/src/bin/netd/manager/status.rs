//! What people and programs are told about the links.

use std::time::Duration;

use netlink_packet_route::address::AddressFlags;
use serde_json::{Value, json};
use services::network::prefix::Prefix;

use super::Manager;
use super::link::Managed;
use super::refused::{Refused, describe};

impl Manager {
    /// Everything about every link, and what can be said about those that could not be made.
    pub(crate) fn status(&self, now: Duration) -> Value {
        let mut links: Vec<&Managed> = self.links.values().collect();
        links.sort_by_key(|link| (!link.link.is_loopback(), link.link.index));
        let there = links.iter().map(|link| link.status(self.refusals_of(link), now));
        let missing = self.missing().map(|(name, why)| self.status_of_missing(name, why));
        there.chain(missing).collect()
    }

    /// What the kernel refuses to do, link by link.
    pub(crate) fn refusals(&self) -> Value {
        let there = self.links.values().map(|link| (&link.link.name, self.refusals_of(link)));
        let missing = self.missing().map(|(name, why)| (name, vec![not_made(name, why)]));
        let refused = there.chain(missing).filter(|(_, refused)| !refused.is_empty());
        refused.map(|(name, refused)| json!({ "name": name, "refused": refused })).collect()
    }

    fn refusals_of(&self, link: &Managed) -> Vec<Value> {
        let name = &link.link.name;
        let made = self.made.failed().get(name).map(|why| not_made(name, why));
        made.into_iter().chain(link.refused.iter().map(refusal)).collect()
    }

    /// The links that could not be made, each with the reason.
    fn missing(&self) -> impl Iterator<Item = (&String, &String)> {
        let is_there = |name: &str| self.links.values().any(|link| link.link.name == name);
        self.made.failed().iter().filter(move |(name, _)| !is_there(name))
    }

    fn status_of_missing(&self, name: &str, why: &str) -> Value {
        let is_bridge = self.config.bridges.iter().any(|bridge| bridge.name == name);
        json!({
            "name": name,
            "type": if is_bridge { "bridge" } else { "vlan" },
            "state": "missing",
            "configured": true,
            "up": false,
            "carrier": false,
            "addresses": [],
            "routes": [],
            "refused": [not_made(name, why)],
            "dns": [],
            "search": [],
        })
    }
}

impl Managed {
    fn status(&self, refused: Vec<Value>, now: Duration) -> Value {
        let resolvers = self.resolvers();
        let dhcp = self.dhcp.as_ref().map(|machine| {
            json!({
                "state": machine.state_name(),
                "lease": machine.lease().map(|lease| lease.to_json(now)),
            })
        });
        let routes: Vec<Value> = self
            .routes
            .iter()
            .map(|route| {
                json!({
                    "to": route.destination.to_string(),
                    "via": route.gateway.map(|gateway| gateway.to_string()),
                    "metric": route.metric,
                })
            })
            .collect();
        json!({
            "name": self.link.name,
            "index": self.link.index,
            "type": self.type_name(),
            "mac": self.link.mac.map(|mac| mac.to_string()),
            "mtu": self.link.mtu,
            "state": self.state_name(),
            "configured": self.entry.is_some(),
            "up": self.link.is_up(),
            "carrier": self.link.has_carrier(),
            "driver": self.driver(),
            "addresses": self.addresses.iter().map(|one| self.address(one)).collect::<Vec<_>>(),
            "routes": routes,
            "refused": refused,
            "dns": resolvers.dns,
            "search": resolvers.search,
            "dhcp": dhcp,
            "dhcp6": self.dhcp6.as_ref().map(|client| match client.information() {
                Some(_) => "answered",
                None => "asking",
            }),
        })
    }

    fn type_name(&self) -> &str {
        if self.link.is_loopback() {
            "loopback"
        } else {
            self.link.kind.as_deref().unwrap_or("ethernet")
        }
    }

    /// Its state in a word, as `netctl list` shows it.
    fn state_name(&self) -> &'static str {
        if self.held_down {
            "held-down"
        } else if self.link.is_loopback() {
            if self.link.is_up() { "up" } else { "down" }
        } else if self.entry.is_none() {
            "unmanaged"
        } else if !self.link.is_up() {
            "down"
        } else if !self.link.has_carrier() {
            "no-cable"
        } else if self.is_online() {
            "online"
        } else if self.entry.as_ref().is_some_and(|entry| entry.bridge.is_some()) {
            "port"
        } else {
            "configuring"
        }
    }

    fn address(&self, one: &services::network::netlink::view::Address) -> Value {
        let prefix: Prefix = one.prefix;
        let lease = self.leased_address();
        let source = if lease.is_some_and(|lease| prefix.address == lease) {
            "dhcp"
        } else if self.given.contains_key(&prefix) {
            "file"
        } else if one.valid_s.is_some() {
            "router"
        } else {
            "kernel"
        };
        json!({
            "address": prefix.to_string(),
            "source": source,
            "usable": one.is_usable(),
            "duplicate": one.flags.contains(AddressFlags::Dadfailed),
        })
    }
}

fn not_made(name: &str, why: &str) -> Value {
    json!({ "change": format!("make the link {name}"), "why": why })
}

fn refusal(refused: &Refused) -> Value {
    json!({ "change": describe(&refused.change), "why": refused.why })
}
