//! What the kernel refused of a link, kept for as long as it is wanted: it is told to people,
//! and asked for again once something has changed that may have been the reason.

use services::network::netlink::Change;

use super::link::Managed;
use super::refused::{Refused, describe};

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
