//! What the kernel did not do, kept for as long as it is wanted: it is told to people, and
//! asked for again once something has changed that may have been the reason.

use services::network::netlink::Change;
use services::network::netlink::change::LinkSetting;

use super::link::Managed;

/// A change that the kernel refused.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Refused {
    pub(crate) change: Change,
    /// The kernel's word for it.
    pub(crate) why: String,
}

impl Refused {
    /// The link that it is about, if it is there already.
    pub(super) fn index(&self) -> Option<u32> {
        match &self.change {
            Change::SetLink(index, _) | Change::AddAddress { index, .. } => Some(*index),
            Change::ReplaceRoute(route) => route.index,
            _ => None,
        }
    }
}

impl Managed {
    /// The kernel has refused a change.
    pub(super) fn refuse(&mut self, refused: Refused) {
        if let Change::ReplaceRoute(route) = &refused.change {
            self.routes.retain(|one| one != route);
        }
        // The same address with another lifetime is the same wish.
        let subject = describe(&refused.change);
        self.refused.retain(|one| describe(&one.change) != subject);
        self.refused.push(refused);
    }

    /// Forgets that routes of a family were refused, so that they are asked for again.
    pub(super) fn retry_routes(&mut self, is_ipv4: bool) {
        self.refused.retain(|one| match &one.change {
            Change::ReplaceRoute(route) => route.destination.address.is_ipv4() != is_ipv4,
            _ => true,
        });
    }

    /// Forgets what was refused, so that all of it is asked for again.
    pub(super) fn retry(&mut self) {
        for one in std::mem::take(&mut self.refused) {
            match one.change {
                Change::AddAddress { prefix, .. } => {
                    self.given.remove(&prefix);
                }
                Change::SetLink(_, setting) => self.asked.retain(|asked| *asked != setting),
                // A route that was refused is not among those that were set.
                _ => {}
            }
        }
    }

    /// Forgets refusals of what is no longer wanted, or is there by now.
    pub(super) fn settle_refused(&mut self) {
        let routes = self.desired_routes();
        let Self { refused, given, addresses, asked, .. } = self;
        refused.retain(|one| match &one.change {
            Change::ReplaceRoute(route) => routes.contains(route),
            Change::AddAddress { prefix, .. } => {
                given.contains_key(prefix) && !addresses.iter().any(|one| one.prefix == *prefix)
            }
            Change::SetLink(_, setting) => asked.contains(setting),
            _ => false,
        });
    }
}

/// What a change does, in the words of an order.
pub(crate) fn describe(change: &Change) -> String {
    match change {
        Change::AddLink { name, .. } => format!("make the link {name}"),
        Change::DeleteLink(index) => format!("take link {index} away"),
        Change::SetLink(index, setting) => match setting {
            LinkSetting::Up(true) => format!("switch link {index} on"),
            LinkSetting::Up(false) => format!("switch link {index} off"),
            LinkSetting::Mtu(mtu) => format!("give link {index} the MTU {mtu}"),
            LinkSetting::Mac(mac) => format!("give link {index} the address {mac}"),
            LinkSetting::Name(name) => format!("give link {index} the name {name}"),
            LinkSetting::Controller(Some(bridge)) => {
                format!("make link {index} a port of link {bridge}")
            }
            LinkSetting::Controller(None) => format!("take link {index} out of its bridge"),
            LinkSetting::Stp(stp) => {
                format!("switch STP of link {index} {}", if *stp { "on" } else { "off" })
            }
        },
        Change::AddAddress { prefix, .. } => format!("set the address {prefix}"),
        Change::DeleteAddress { prefix, .. } => format!("take the address {prefix} away"),
        Change::AddRoute(route) | Change::ReplaceRoute(route) => {
            let via = route.gateway.map(|via| format!(" via {via}")).unwrap_or_default();
            format!("set the route to {}{via}", route.destination)
        }
        Change::DeleteRoute(route) => format!("take the route to {} away", route.destination),
        Change::SetNeighbour(_) | Change::DeleteNeighbour(_) => "change a neighbour".to_owned(),
    }
}
