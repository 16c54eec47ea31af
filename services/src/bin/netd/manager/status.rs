//! What people and programs are told about the links.

use std::time::Duration;

use netlink_packet_route::address::AddressFlags;
use serde_json::{Value, json};
use services::network::prefix::Prefix;

use super::Manager;
use super::link::Managed;
use super::refused::{Refused, describe};

impl Manager {
    /// Everything about every link, by name.
    pub(crate) fn status(&self, now: Duration) -> Value {
        let mut links: Vec<&Managed> = self.links.values().collect();
        links.sort_by_key(|link| (!link.link.is_loopback(), link.link.index));
        links.iter().map(|link| link.status(now)).collect()
    }

    /// What the kernel refuses to do, link by link.
    pub(crate) fn refusals(&self) -> Value {
        let of = |link: &Managed| link.refused.iter().map(refusal).collect::<Vec<_>>();
        let refused = self.links.values().filter(|link| !link.refused.is_empty());
        refused.map(|link| json!({ "name": link.link.name, "refused": of(link) })).collect()
    }
}

impl Managed {
    fn status(&self, now: Duration) -> Value {
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
            "refused": self.refused.iter().map(refusal).collect::<Vec<_>>(),
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

fn refusal(refused: &Refused) -> Value {
    json!({ "change": describe(&refused.change), "why": refused.why })
}
