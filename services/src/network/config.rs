//! What `/etc/network.toml` says: the network this machine is to have.
//!
//! Pure: values and which links they are about. [`super::config_reader`] reads the
//! file; `docs/network.md` lists the keys.

use std::net::IpAddr;
use std::time::Duration;

use super::mac::Mac;
use super::prefix::Prefix;

/// Everything in the file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Config {
    /// Whether the host name comes from the lease.
    pub hostname_from_lease: bool,
    /// How long to wait for an address before saying `READY=1`; zero is not at all.
    pub wait_online: Duration,
    /// Resolvers beside those that links bring, asked first.
    pub dns: Vec<IpAddr>,
    /// Domains to search beside those that links bring.
    pub search: Vec<String>,
    /// What links get, first match first.
    pub links: Vec<LinkConfig>,
    /// VLANs to make.
    pub vlans: Vec<VlanConfig>,
    /// Bridges to make.
    pub bridges: Vec<BridgeConfig>,
}

/// Which links an entry is about: all that is given has to fit.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Match {
    /// Name, where `*` stands for anything.
    pub name: Option<String>,
    /// Hardware address.
    pub mac: Option<Mac>,
    /// The kernel's driver, such as `virtio_net`.
    pub driver: Option<String>,
    /// What sort of link it is.
    pub sort: Option<LinkSort>,
}

/// Sorts of links that a file can name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkSort {
    /// A network card, or what a hypervisor shows as one.
    Ethernet,
    /// A VLAN.
    Vlan,
    /// A bridge.
    Bridge,
    /// One end of a cable between two name spaces.
    Veth,
    /// A link that leads nowhere.
    Dummy,
}

/// The words of [`LinkSort`].
pub const LINK_SORTS: [(&str, LinkSort); 5] = [
    ("ethernet", LinkSort::Ethernet),
    ("vlan", LinkSort::Vlan),
    ("bridge", LinkSort::Bridge),
    ("veth", LinkSort::Veth),
    ("dummy", LinkSort::Dummy),
];

/// Where IPv6 addresses come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Ipv6 {
    /// From the network's routers, by the kernel (RFC 4862).
    #[default]
    Auto,
    /// From the file alone, beside the one that every link has.
    Static,
    /// There are none.
    Off,
}

/// The words of [`Ipv6`].
pub const IPV6_MODES: [(&str, Ipv6); 3] =
    [("auto", Ipv6::Auto), ("static", Ipv6::Static), ("off", Ipv6::Off)];

/// What links get.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LinkConfig {
    /// Which links.
    pub matching: Match,
    /// Whether to ask for an IPv4 address (RFC 2131).
    pub dhcp: bool,
    /// Where IPv6 addresses come from.
    pub ipv6: Ipv6,
    /// Addresses that it always has.
    pub addresses: Vec<Prefix>,
    /// Where default routes lead, at most one for each family.
    pub gateways: Vec<IpAddr>,
    /// Routes that it always has.
    pub routes: Vec<RouteConfig>,
    /// Metric of its default routes.
    pub metric: u32,
    /// Longest packet in bytes.
    pub mtu: Option<u32>,
    /// Resolvers to ask by it.
    pub dns: Vec<IpAddr>,
    /// Domains to search.
    pub search: Vec<String>,
    /// The bridge it is a port of.
    pub bridge: Option<String>,
}

/// A route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouteConfig {
    /// Whom it leads to.
    pub to: Prefix,
    /// Who passes packets on; `None` if they are on the link itself.
    pub via: Option<IpAddr>,
    /// Of two routes to the same place the lower one counts.
    pub metric: Option<u32>,
}

/// A VLAN (IEEE 802.1Q).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct VlanConfig {
    /// Name of its link.
    pub name: String,
    /// Name of the link it lies on.
    pub on: String,
    /// Its number: 1 to 4094.
    pub id: u16,
}

/// A bridge (IEEE 802.1D).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BridgeConfig {
    /// Name of its link.
    pub name: String,
    /// Whether it speaks the spanning tree protocol.
    pub stp: bool,
}

/// What a [`Match`] looks at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appearance<'l> {
    /// Name.
    pub name: &'l str,
    /// Hardware address.
    pub mac: Option<Mac>,
    /// The kernel's driver.
    pub driver: Option<&'l str>,
    /// What sort of link it is, if it is one that a file can name.
    pub sort: Option<LinkSort>,
}

impl Match {
    /// Whether it fits.
    #[must_use]
    pub fn fits(&self, link: &Appearance<'_>) -> bool {
        self.name.as_deref().is_none_or(|pattern| name_fits(pattern, link.name))
            && self.mac.is_none_or(|mac| link.mac == Some(mac))
            && self.driver.as_deref().is_none_or(|driver| link.driver == Some(driver))
            && self.sort.is_none_or(|sort| link.sort == Some(sort))
    }
}

impl Config {
    /// The entry for a link: the first that fits.
    #[must_use]
    pub fn of_link(&self, link: &Appearance<'_>) -> Option<&LinkConfig> {
        self.links.iter().find(|entry| entry.matching.fits(link))
    }

    /// Whether the file makes a link of this name.
    #[must_use]
    pub fn makes(&self, name: &str) -> bool {
        self.vlans.iter().any(|vlan| vlan.name == name)
            || self.bridges.iter().any(|bridge| bridge.name == name)
    }

    /// Whether something that the file makes lies on this link.
    #[must_use]
    pub fn carries(&self, name: &str) -> bool {
        self.vlans.iter().any(|vlan| vlan.on == name)
    }
}

/// Whether a name fits a pattern in which `*` stands for any text.
fn name_fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_patterns() {
        for (pattern, name, fits) in [
            ("eth0", "eth0", true),
            ("eth0", "eth01", false),
            ("eth*", "eth01", true),
            ("eth*", "enp0s1", false),
            ("*", "x", true),
            ("en*s*", "enp0s1", true),
            ("en*s*f1", "enp0s1f1", true),
            ("en*s*f1", "enp0s1f2", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(name_fits(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn all_that_is_given_has_to_fit_and_the_first_entry_counts() {
        let mac: Mac = "52:54:00:00:00:01".parse().unwrap();
        let link = Appearance {
            name: "eth0",
            mac: Some(mac),
            driver: Some("virtio_net"),
            sort: Some(LinkSort::Ethernet),
        };
        let name = Match { name: Some("eth*".to_owned()), ..Match::default() };
        for (matching, fits) in [
            (Match::default(), true),
            (name.clone(), true),
            (Match { mac: Some(mac), ..name.clone() }, true),
            (Match { mac: Some(Mac([0; 6])), ..name.clone() }, false),
            (Match { driver: Some("e1000".to_owned()), ..name.clone() }, false),
            (Match { sort: Some(LinkSort::Bridge), ..name.clone() }, false),
        ] {
            assert_eq!(matching.fits(&link), fits, "{matching:?}");
        }
        let entry = |metric| LinkConfig { matching: name.clone(), metric, ..LinkConfig::default() };
        let config = Config { links: vec![entry(1), entry(2)], ..Config::default() };
        assert_eq!(config.of_link(&link).map(|entry| entry.metric), Some(1));
    }
}
