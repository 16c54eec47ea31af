//! IPv6 of a link: how it is set, what routers say about it, and the DHCPv6 servers that they
//! name.

use std::time::Duration;

use services::network::config::Ipv6;
use services::network::netlink::event::RouterOption;

use super::link::Managed;
use super::output::Output;
use crate::dhcp6::InformationClient;
use crate::resolv::FromRouter;

/// `IF_RA_OTHERCONF` and `IF_RA_MANAGED` (include/net/if_inet6.h): a router says
/// that a DHCPv6 server knows more.
const ROUTER_NAMES_DHCP6: u32 = 0x80 | 0x40;

impl Managed {
    /// IPv6 reads its settings when it begins on a link, so a change is a new beginning. Where
    /// it is off it begins: a daemon before this one, or an entry, may have wanted that.
    pub(super) fn set_ipv6(&mut self, mode: Option<Ipv6>, outputs: &mut Vec<Output>) {
        let Some(mode) = mode else { return };
        let restarts = self.ipv6.replace(mode).is_some_and(|former| former != mode);
        let mut set = |key, value| {
            outputs.push(Output::Inet6 { link: self.link.name.clone(), key, value });
        };
        if restarts || mode == Ipv6::Off {
            set("disable_ipv6", 1);
            // The kernel takes all of this away.
            self.router = FromRouter::default();
            self.given.retain(|prefix, _| prefix.address.is_ipv4());
            self.routes.retain(|route| route.destination.address.is_ipv4());
        }
        if mode == Ipv6::Off {
            return;
        }
        let auto = mode == Ipv6::Auto;
        // 2 is also where this machine passes packets on itself.
        set("accept_ra", if auto { 2 } else { 0 });
        set("autoconf", u32::from(auto));
        set("disable_ipv6", 0);
    }

    fn is_auto(&self) -> bool {
        self.entry.as_ref().is_some_and(|entry| entry.ipv6 == Ipv6::Auto)
    }

    /// Has routers repeat themselves: what they said before somebody listened is lost, and of a
    /// link that has been up already the kernel does not ask them.
    pub(super) fn solicit(&self, outputs: &mut Vec<Output>) {
        if self.is_auto() && self.is_connected() {
            outputs.push(Output::Solicit { index: self.link.index });
        }
    }

    pub(super) fn router(&mut self, option: RouterOption, now: Duration) {
        if self.is_auto() {
            self.router.take(option, now);
        }
    }

    /// What routers have told the kernel about this link. It is said only when it changes,
    /// so it has to be kept for when the cable is back.
    pub(super) fn inet6_flags(&mut self, flags: u32) {
        self.inet6_flags = flags;
    }

    /// Whether a DHCPv6 server is to be asked.
    fn wants_dhcp6(&self) -> bool {
        self.is_auto() && self.is_connected() && self.inet6_flags & ROUTER_NAMES_DHCP6 != 0
    }

    /// Begins or ends to ask DHCPv6 servers.
    pub(super) fn settle_dhcp6(&mut self, now: Duration, outputs: &mut Vec<Output>) {
        if !self.wants_dhcp6() {
            self.dhcp6 = None;
            self.listen6(false, outputs);
        } else if self.dhcp6.is_none() {
            self.dhcp6 = self.link.mac.map(|mac| InformationClient::new(mac, self.seed ^ 6, now));
        }
    }

    pub(super) fn dhcp6(&mut self, bytes: &[u8], now: Duration) {
        if let Some(client) = &mut self.dhcp6 {
            client.take(bytes, now);
        }
    }

    pub(super) fn listen6(&mut self, on: bool, outputs: &mut Vec<Output>) {
        if self.listens6 != on {
            self.listens6 = on;
            outputs.push(Output::Listen6 { index: self.link.index, on });
        }
    }
}
