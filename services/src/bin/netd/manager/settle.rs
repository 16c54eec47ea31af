//! What is done to a link so that it has what it should have.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::time::Duration;

use services::network::netlink::Change;
use services::network::netlink::change::LinkSetting;
use services::network::netlink::view::Route;
use services::network::prefix::Prefix;

use super::link::Managed;
use super::output::Output;
use crate::given::Given;

impl Managed {
    /// A daemon before this one gave it its part of `former`: what is not wanted any longer is
    /// taken away, and the rest is given again, which changes nothing where it is still there.
    pub(super) fn take_over(&mut self, former: &Given) {
        let index = self.link.index;
        let addresses = former.addresses.iter().filter(|(of, _)| *of == index);
        // No lease began when the machine did, so none of them is as it is wanted.
        self.given.extend(addresses.map(|(_, prefix)| (*prefix, Some(Duration::ZERO))));
        let routes = former.routes.iter().filter(|route| route.index == Some(index));
        self.former_routes.extend(routes.cloned());
        self.ipv6 = former.ipv6.get(&index).copied();
    }

    /// Adds to `given` what it was given for good.
    pub(super) fn add_given(&self, given: &mut Given) {
        let index = self.link.index;
        let addresses = self.given.iter().filter(|(_, since)| since.is_none());
        given.addresses.extend(addresses.map(|(prefix, _)| (index, *prefix)));
        given.ipv6.extend(self.ipv6.map(|mode| (index, mode)));
        // Those of a lease go with its address.
        given.routes.extend(self.routes.iter().filter(|route| route.source.is_none()).cloned());
    }

    /// Makes up the difference between what it has and what it should have.
    pub(super) fn settle(
        &mut self,
        indexes: &BTreeMap<String, u32>,
        now: Duration,
        outputs: &mut Vec<Output>,
    ) {
        self.settle_dhcp6(now, outputs);
        self.settle_settings(indexes, outputs);
        self.settle_addresses(now, outputs);
        self.settle_routes(outputs);
        self.settle_refused();
    }

    fn settle_settings(&mut self, indexes: &BTreeMap<String, u32>, outputs: &mut Vec<Output>) {
        if self.held_down {
            return;
        }
        let mut wanted: Vec<LinkSetting> =
            self.wanted_mtu().into_iter().chain(self.wanted_controller(indexes)).collect();
        // The kernel says it of bridges alone.
        if let (Some(stp), Some(is)) = (self.stp, self.link.stp)
            && stp != is
        {
            wanted.push(LinkSetting::Stp(stp));
        }
        if self.wanted && !self.link.is_up() {
            wanted.push(LinkSetting::Up(true));
        }
        for setting in wanted {
            if !self.asked.contains(&setting) {
                // Of each sort the last one counts.
                self.asked.retain(|one| discriminant(one) != discriminant(&setting));
                self.asked.push(setting.clone());
                outputs.push(Output::Change(Change::SetLink(self.link.index, setting)));
            }
        }
    }

    /// The MTU of the file or the lease; when neither has one any longer, the one from before.
    fn wanted_mtu(&mut self) -> Option<LinkSetting> {
        let of_file = self.entry.as_ref().and_then(|entry| entry.mtu);
        let leased = self.lease().and_then(|lease| lease.mtu);
        let is = self.link.mtu;
        let mtu = match of_file.or(leased) {
            Some(mtu) => {
                if mtu != is {
                    self.former_mtu.get_or_insert(is);
                }
                Some(mtu)
            }
            None => self.former_mtu.take(),
        };
        mtu.filter(|mtu| *mtu != is).map(LinkSetting::Mtu)
    }

    /// The bridge of the file; when it has none any longer, none.
    fn wanted_controller(&mut self, indexes: &BTreeMap<String, u32>) -> Option<LinkSetting> {
        let bridge = self.entry.as_ref().and_then(|entry| entry.bridge.as_ref());
        let Some(name) = bridge else {
            return std::mem::take(&mut self.is_port).then_some(LinkSetting::Controller(None));
        };
        let index = indexes.get(name).copied()?;
        self.is_port = true;
        (self.link.controller != Some(index)).then_some(LinkSetting::Controller(Some(index)))
    }

    /// New addresses are given before old ones are taken away: with its last IPv4 address
    /// a link loses all its IPv4 routes.
    fn settle_addresses(&mut self, now: Duration, outputs: &mut Vec<Output>) {
        let index = self.link.index;
        let desired = self.desired_addresses(now);
        let is_unwanted = |prefix: &&Prefix| !desired.iter().any(|one| one.prefix == **prefix);
        // The same address with another length is in its own way.
        let is_in_the_way =
            |prefix: &Prefix| desired.iter().any(|one| one.prefix.address == prefix.address);
        let (first, last): (Vec<Prefix>, Vec<Prefix>) =
            self.given.keys().filter(is_unwanted).copied().partition(is_in_the_way);
        self.take_away(first, outputs);
        for one in desired {
            let former = self.given.insert(one.prefix, one.since);
            if former == Some(one.since) {
                continue;
            }
            if former.is_none() && one.prefix.address.is_ipv4() {
                self.doubts_routes4 = true;
            }
            outputs.push(Output::Change(Change::AddAddress {
                index,
                prefix: one.prefix,
                valid_s: one.valid_s,
                metric: Some(self.metric()),
            }));
        }
        self.take_away(last, outputs);
    }

    fn take_away(&mut self, addresses: Vec<Prefix>, outputs: &mut Vec<Output>) {
        let index = self.link.index;
        for prefix in addresses {
            self.given.remove(&prefix);
            self.gone.remove(&prefix);
            self.addresses.retain(|one| one.prefix != prefix);
            self.doubts_routes4 |= prefix.address.is_ipv4();
            // The kernel takes the routes that leave from it away as well.
            self.routes.retain(|route| route.source != Some(prefix.address));
            outputs.push(Output::Change(Change::DeleteAddress { index, prefix }));
        }
    }

    /// Routes that the kernel may have lost are set again: that changes nothing where it
    /// has them.
    fn settle_routes(&mut self, outputs: &mut Vec<Output>) {
        let desired = self.desired_routes();
        let former = std::mem::take(&mut self.former_routes).into_iter();
        let former = former.filter(|one| !desired.contains(one));
        outputs.extend(former.map(|route| Output::Change(Change::DeleteRoute(route))));
        let (mut kept, unwanted): (Vec<Route>, Vec<Route>) =
            std::mem::take(&mut self.routes).into_iter().partition(|one| desired.contains(one));
        outputs
            .extend(unwanted.into_iter().map(|route| Output::Change(Change::DeleteRoute(route))));
        if std::mem::take(&mut self.doubts_routes4) {
            self.retry_routes(true);
            kept.retain(|route| !route.destination.address.is_ipv4());
        }
        for route in desired {
            let change = Change::ReplaceRoute(route.clone());
            if self.refused.iter().any(|one| one.change == change) {
                continue;
            }
            if !kept.contains(&route) {
                outputs.push(Output::Change(change));
            }
            self.routes.push(route);
        }
    }
}
