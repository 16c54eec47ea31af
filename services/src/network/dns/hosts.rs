//! `/etc/hosts` (hosts(5)): names that need no server.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::Path;

use super::{OwnName, plain};

/// Longest file that is read, in bytes.
const FILE_BYTES_MAX: usize = 1 << 20;

/// Names with their addresses, and addresses with their first names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Hosts {
    addresses: BTreeMap<String, Vec<IpAddr>>,
    names: BTreeMap<IpAddr, String>,
}

impl Hosts {
    /// Reads the file; one that is not there is empty.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_default();
        Self::parse(&String::from_utf8_lossy(bytes.get(..FILE_BYTES_MAX).unwrap_or(&bytes)))
    }

    /// The entries in `text`; lines that are none are passed over.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut hosts = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
                continue;
            };
            for name in words {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                hosts.names.entry(address).or_insert_with(|| name.clone());
                let addresses = hosts.addresses.entry(name).or_default();
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
        hosts
    }

    /// The addresses of a name.
    #[must_use]
    pub fn addresses(&self, name: &OwnName) -> Vec<IpAddr> {
        self.addresses.get(&plain(name)).cloned().unwrap_or_default()
    }

    /// The first name of an address.
    #[must_use]
    pub fn name(&self, address: IpAddr) -> Option<&str> {
        self.names.get(&address).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use domain::base::Name;

    use super::*;

    #[test]
    fn entries_are_read_and_the_rest_is_passed_over() {
        let text = "127.0.0.1\tlocalhost Local # comment\n::1 localhost\nnonsense x\n192.0.2.1\n#";
        let hosts = Hosts::parse(text);
        let of = |name: &str| hosts.addresses(&Name::vec_from_str(name).unwrap());
        assert_eq!(of("LocalHost").len(), 2);
        assert_eq!(of("local.").len(), 1);
        assert!(of("x").is_empty());
        assert_eq!(hosts.name("127.0.0.1".parse().unwrap()), Some("localhost"));
        assert_eq!(hosts.name("192.0.2.1".parse().unwrap()), None);
    }
}
