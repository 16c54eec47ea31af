//! Who answers for names: what links bring, and the file in which programs look for
//! it (resolv.conf(5)). Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use services::network::config::Config;
use services::network::netlink::event::RouterOption;

/// Most entries kept of what routers say: an attacker on the link can say a lot.
const ROUTER_ENTRIES_MAX: usize = 16;
/// Most search domains that programs look at (resolv.conf(5)).
const SEARCH_MAX: usize = 6;

/// Resolvers and search domains, in order and each once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Resolvers {
    pub(crate) dns: Vec<String>,
    pub(crate) search: Vec<String>,
}

impl Resolvers {
    /// Adds what `link` brings. An address that only counts on a link is written with it.
    pub(crate) fn add(
        &mut self,
        link: &str,
        dns: impl IntoIterator<Item = IpAddr>,
        search: &[String],
    ) {
        let text = |address: IpAddr| match address {
            IpAddr::V6(one) if one.is_unicast_link_local() => format!("{one}%{link}"),
            other => other.to_string(),
        };
        self.merge(dns.into_iter().map(text), search.iter().cloned());
    }

    fn merge(
        &mut self,
        dns: impl IntoIterator<Item = String>,
        search: impl IntoIterator<Item = String>,
    ) {
        for (list, more) in
            [(&mut self.dns, dns.into_iter().collect()), (&mut self.search, Vec::from_iter(search))]
        {
            let more: Vec<String> = more;
            for one in more {
                if !list.contains(&one) {
                    list.push(one);
                }
            }
        }
    }
}

/// The content of resolv.conf: what the file says, then what links bring, best first.
pub(crate) fn file(config: &Config, links: &[Resolvers]) -> String {
    let mut all = Resolvers::default();
    all.add("", config.dns.iter().copied(), &config.search);
    for link in links {
        all.merge(link.dns.iter().cloned(), link.search.iter().cloned());
    }
    let mut text = String::from("# Written by netd: `netctl status` says where it comes from.\n");
    for server in &all.dns {
        let _ = writeln!(text, "nameserver {server}");
    }
    if !all.search.is_empty() {
        let search: Vec<&str> = all.search.iter().take(SEARCH_MAX).map(String::as_str).collect();
        let _ = writeln!(text, "search {}", search.join(" "));
    }
    text
}

/// The same for programs that ask `dnsd`, which asks those servers for them: its address, and the
/// domains to search, which a resolver of a program adds and no server can.
pub(crate) fn file_of_dnsd(file: &str) -> String {
    let kept = file.lines().filter(|line| !line.starts_with("nameserver "));
    let lines: Vec<String> = kept.map(|line| format!("{line}\n")).collect();
    format!("nameserver {DNSD}\n{}", lines.concat())
}

/// Where `dnsd` answers, unless it is told otherwise.
const DNSD: &str = "127.0.0.53";

/// What the routers of a link say, each with the time until which it counts; `None`
/// is for ever (RFC 8106, 5.1).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct FromRouter {
    dns: BTreeMap<Ipv6Addr, Option<Duration>>,
    search: BTreeMap<String, Option<Duration>>,
}

impl FromRouter {
    /// Takes what a router says at `now`.
    pub(crate) fn take(&mut self, option: RouterOption, now: Duration) {
        let until = |lifetime_s: u32| {
            (lifetime_s != u32::MAX).then(|| now + Duration::from_secs(lifetime_s.into()))
        };
        match option {
            RouterOption::Resolvers { addresses, lifetime_s } => {
                put(&mut self.dns, addresses, lifetime_s, until(lifetime_s));
            }
            RouterOption::SearchDomains { domains, lifetime_s } => {
                put(&mut self.search, domains, lifetime_s, until(lifetime_s));
            }
        }
    }

    /// The resolvers that count.
    pub(crate) fn resolvers(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.dns.keys().copied()
    }

    /// The domains to search.
    pub(crate) fn domains(&self) -> Vec<String> {
        self.search.keys().cloned().collect()
    }

    /// When the next one stops to count.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.dns.values().chain(self.search.values()).copied().flatten().min()
    }

    /// Forgets what no longer counts at `now`.
    pub(crate) fn expire(&mut self, now: Duration) {
        let counts = |until: &Option<Duration>| until.is_none_or(|until| now < until);
        self.dns.retain(|_, until| counts(until));
        self.search.retain(|_, until| counts(until));
    }
}

fn put<T: Ord>(
    known: &mut BTreeMap<T, Option<Duration>>,
    entries: Vec<T>,
    lifetime_s: u32,
    until: Option<Duration>,
) {
    for entry in entries {
        if lifetime_s == 0 {
            known.remove(&entry);
        } else if known.contains_key(&entry) || known.len() < ROUTER_ENTRIES_MAX {
            known.insert(entry, until);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_each_resolver_once_and_the_files_own_first() {
        let config = Config {
            dns: vec!["9.9.9.9".parse().unwrap()],
            search: vec!["home".to_owned()],
            ..Config::default()
        };
        let mut first = Resolvers::default();
        let dns = ["192.0.2.1", "9.9.9.9", "fe80::1"].map(|text| text.parse().unwrap());
        first.add("eth0", dns, &["lan".to_owned()]);
        let mut second = Resolvers::default();
        second.add("eth1", dns, &["lan".to_owned(), "home".to_owned()]);
        let text = file(&config, &[first, second]);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "nameserver 9.9.9.9",
                "nameserver 192.0.2.1",
                "nameserver fe80::1%eth0",
                "nameserver fe80::1%eth1",
                "search home lan",
            ]
        );
        let of_dnsd = file_of_dnsd(&text);
        let lines: Vec<&str> = of_dnsd.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines, ["nameserver 127.0.0.53", "search home lan"]);
    }

    #[test]
    fn what_routers_say_counts_for_its_time() {
        let address = |last| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
        let say = |last, lifetime_s| RouterOption::Resolvers {
            addresses: vec![address(last)],
            lifetime_s,
        };
        let s = Duration::from_secs;
        let mut router = FromRouter::default();
        router.take(say(1, 30), s(0));
        router.take(say(2, 60), s(0));
        router.take(say(3, u32::MAX), s(0));
        assert_eq!(router.deadline(), Some(s(30)));
        router.take(say(2, 0), s(1));
        router.expire(s(30));
        assert_eq!(router.resolvers().collect::<Vec<_>>(), [address(3)]);
        assert_eq!(router.deadline(), None);
        for last in 0..100 {
            router.take(say(last, 60), s(31));
        }
        assert_eq!(router.resolvers().count(), ROUTER_ENTRIES_MAX);
    }
}
