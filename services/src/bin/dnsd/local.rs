//! What needs no server: `/etc/hosts`, the names that stand for this machine (RFC 6761), and
//! the name that stands for nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use domain::base::Rtype;
use services::network::dns::{Hosts, Question, plain};

/// What this machine knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Local {
    /// The addresses of a name, of both families.
    Addresses(Vec<IpAddr>),
    /// The name of an address.
    Name(String),
    /// There is no such name.
    Unknown,
}

/// The answer to a question that nobody else is asked.
pub(crate) fn answer(question: &Question, hosts: &Hosts, hostname: &str) -> Option<Local> {
    let known = hosts.addresses(&question.name);
    if !known.is_empty() {
        return Some(Local::Addresses(known));
    }
    let name = plain(&question.name);
    let is_below = |zone: &str| name == zone || name.ends_with(&format!(".{zone}"));
    if is_below("localhost") || name == hostname.to_ascii_lowercase() {
        let (v4, v6) = (Ipv4Addr::LOCALHOST, Ipv6Addr::LOCALHOST);
        return Some(Local::Addresses(vec![v4.into(), v6.into()]));
    }
    if is_below("invalid") {
        return Some(Local::Unknown);
    }
    let address = reverse(&name).filter(|_| question.rtype == Rtype::PTR)?;
    match hosts.name(address) {
        Some(name) => Some(Local::Name(name.to_owned())),
        None if address.is_loopback() => Some(Local::Name("localhost".to_owned())),
        None => None,
    }
}

/// The address in a name below `in-addr.arpa` or `ip6.arpa` (RFC 1035, 3.5; RFC 3596, 2.5).
fn reverse(name: &str) -> Option<IpAddr> {
    if let Some(labels) = name.strip_suffix(".in-addr.arpa") {
        let octets: Vec<u8> =
            labels.rsplit('.').map(|label| label.parse().ok()).collect::<Option<_>>()?;
        return Some(IpAddr::from(<[u8; 4]>::try_from(octets).ok()?));
    }
    let labels = name.strip_suffix(".ip6.arpa")?;
    let digits: Vec<&str> = labels.rsplit('.').collect();
    if digits.len() != 32 || digits.iter().any(|digit| digit.len() != 1) {
        return None;
    }
    u128::from_str_radix(&digits.concat(), 16).ok().map(|bits| Ipv6Addr::from_bits(bits).into())
}

#[cfg(test)]
mod tests {
    use domain::base::Name;
    use domain::base::iana::Class;

    use super::*;

    fn ask(name: &str, rtype: Rtype) -> Option<Local> {
        let name = Name::vec_from_str(name).unwrap();
        let hosts = Hosts::parse("192.0.2.7 seven.example seven\n");
        answer(&Question { name, rtype, class: Class::IN }, &hosts, "Server")
    }

    #[test]
    fn this_machines_names_are_answered_here() {
        let seven = Some(Local::Addresses(vec!["192.0.2.7".parse().unwrap()]));
        assert_eq!(ask("SEVEN.example.", Rtype::AAAA), seven, "without an answer of that type");
        let here = ask("a.LocalHost", Rtype::A);
        assert!(matches!(&here, Some(Local::Addresses(both)) if both.len() == 2));
        assert_eq!(ask("server", Rtype::A), here);
        assert_eq!(ask("x.invalid", Rtype::A), Some(Local::Unknown));
        assert_eq!(ask("example.com", Rtype::A), None);
        assert_eq!(ask("notlocalhost", Rtype::A), None);
    }

    #[test]
    fn addresses_have_names() {
        let name = |text: &str| Some(Local::Name(text.to_owned()));
        assert_eq!(ask("7.2.0.192.in-addr.arpa", Rtype::PTR), name("seven.example"));
        assert_eq!(ask("1.0.0.127.in-addr.arpa", Rtype::PTR), name("localhost"));
        let zeros = "0.".repeat(31);
        assert_eq!(ask(&format!("1.{zeros}ip6.arpa"), Rtype::PTR), name("localhost"));
        for other in [
            "8.2.0.192.in-addr.arpa",
            "0.192.in-addr.arpa",
            "x.ip6.arpa",
            "256.2.0.192.in-addr.arpa",
        ] {
            assert_eq!(ask(other, Rtype::PTR), None, "{other}");
        }
    }
}
