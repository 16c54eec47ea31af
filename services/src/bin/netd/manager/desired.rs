//! What a link is to have: addresses and routes of the file and of the lease.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use netlink_packet_route::route::{RouteProtocol, RouteScope};
use services::network::netlink::view::Route;
use services::network::prefix::Prefix;

use super::link::Managed;
use crate::dhcp4::lease::Lease;

/// An address that a link is to have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Desired {
    pub(super) prefix: Prefix,
    /// When its lease was granted; `None` for an address of the file.
    pub(super) since: Option<Duration>,
    /// Seconds until it goes away; `None` is never.
    pub(super) valid_s: Option<u32>,
}

impl Managed {
    /// The addresses it is to have. None before it is up: IPv6 refuses them.
    pub(super) fn desired_addresses(&self, now: Duration) -> Vec<Desired> {
        let Some(entry) = self.entry.as_ref().filter(|_| self.link.is_up() && !self.held_down)
        else {
            return Vec::new();
        };
        let fixed = |prefix: &Prefix| Desired { prefix: *prefix, since: None, valid_s: None };
        let mut desired: Vec<Desired> = entry.addresses.iter().map(fixed).collect();
        if let Some(lease) = self.lease() {
            // Rounded up: this daemon is to take it away, with all that came by it, and
            // the kernel only where this daemon is dead.
            let left_s = |ends: Duration| {
                let left = ends.saturating_sub(now);
                let whole = left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0));
                u32::try_from(whole).unwrap_or(u32::MAX).max(1)
            };
            desired.push(Desired {
                prefix: lease.prefix(),
                since: Some(lease.since),
                valid_s: lease.ends().map(left_s),
            });
        }
        desired
    }

    /// The routes it is to have. None without a cable, so that another link's are used.
    pub(super) fn desired_routes(&self) -> Vec<Route> {
        let Some(entry) = self.entry.as_ref().filter(|_| self.is_connected()) else {
            return Vec::new();
        };
        let index = self.link.index;
        let mut routes = Vec::new();
        for route in &entry.routes {
            let mut one = Route::unicast(route.to, route.via, index);
            one.metric = Some(route.metric.unwrap_or(entry.metric));
            routes.push(one);
        }
        for gateway in &entry.gateways {
            let mut one = Route::unicast(Prefix::everything(*gateway), Some(*gateway), index);
            one.metric = Some(entry.metric);
            routes.push(one);
        }
        let has_gateway = entry.gateways.iter().any(IpAddr::is_ipv4);
        if let Some(lease) = self.lease() {
            routes.extend(lease_routes(lease, index, entry.metric, has_gateway));
        }
        // The kernel refuses a gateway while nothing says that it is on the link.
        let is4 = |route: &Route| route.destination.address.is_ipv4();
        if !self.has_ipv4() && !routes.iter().any(|route| is4(route) && route.gateway.is_none()) {
            routes.retain(|route| !is4(route));
        }
        // A gateway must be reached before anything is reached by it.
        routes.sort_by_key(|route| (route.gateway.is_some(), route.destination.length == 0));
        routes.dedup();
        routes
    }
}

/// The routes of a lease. Where it has classless routes, the routers do not count
/// (RFC 3442); where the file has a gateway, neither says where everything else goes.
fn lease_routes(lease: &Lease, index: u32, metric: u32, has_gateway: bool) -> Vec<Route> {
    let make = |to: Prefix, via: Option<Ipv4Addr>| {
        let mut route = Route::unicast(to, via.map(IpAddr::from), index);
        route.metric = Some(metric);
        route.protocol = RouteProtocol::Dhcp;
        route.source = Some(lease.address.into());
        route.scope = if via.is_some() { RouteScope::Universe } else { RouteScope::Link };
        route
    };
    let is_wanted = |to: &Prefix| !(has_gateway && to.length == 0);
    let default = Prefix::everything(Ipv4Addr::UNSPECIFIED.into());
    let mut routes = Vec::new();
    if lease.routes.is_empty() {
        let router = lease.routers.first().filter(|_| is_wanted(&default));
        if let Some(router) = router {
            if !lease.prefix().contains((*router).into()) {
                routes.push(make(Prefix { address: (*router).into(), length: 32 }, None));
            }
            routes.push(make(default, Some(*router)));
        }
    }
    for (to, via) in lease.routes.iter().filter(|(to, _)| is_wanted(to)) {
        // 0.0.0.0 is the link itself (RFC 3442, Local Subnet Routes).
        routes.push(make(*to, Some(*via).filter(|via| !via.is_unspecified())));
    }
    routes
}
