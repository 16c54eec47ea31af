//! An address with the length of its network's prefix: `192.0.2.7/24`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address and how many of its leading bits name the network.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Prefix {
    /// The address; its host part may be set.
    pub address: IpAddr,
    /// Length of the network's part in bits: 0 to 32, or to 128.
    pub length: u8,
}

impl Prefix {
    /// A prefix, `None` if `length` is more than the address has.
    #[must_use]
    pub fn new(address: IpAddr, length: u8) -> Option<Self> {
        (length <= bits(address)).then_some(Self { address, length })
    }

    /// Every destination of the family of `like`.
    #[must_use]
    pub fn everything(like: IpAddr) -> Self {
        match like {
            IpAddr::V4(_) => Self { address: Ipv4Addr::UNSPECIFIED.into(), length: 0 },
            IpAddr::V6(_) => Self { address: Ipv6Addr::UNSPECIFIED.into(), length: 0 },
        }
    }

    /// The network it lies in: the same prefix with no bit set behind it.
    #[must_use]
    pub fn network(self) -> Self {
        let address = match self.address {
            IpAddr::V4(address) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.length.min(32))).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
            }
            IpAddr::V6(address) => {
                let shift = 128 - u32::from(self.length.min(128));
                let mask = u128::MAX.checked_shl(shift).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
            }
        };
        Self { address, length: self.length }
    }

    /// Whether `address` lies in its network.
    #[must_use]
    pub fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && Self { address, length: self.length }.network() == self.network()
    }

    /// The address that reaches everybody in the network (RFC 919), where the
    /// family and the length have one.
    #[must_use]
    pub fn broadcast(self) -> Option<Ipv4Addr> {
        match self.address {
            IpAddr::V4(address) if self.length < 31 => {
                let host = u32::MAX.checked_shr(u32::from(self.length)).unwrap_or(0);
                Some(Ipv4Addr::from_bits(address.to_bits() | host))
            }
            _ => None,
        }
    }

    /// The prefix length that a netmask stands for; `None` if its bits are not
    /// all at the front.
    #[must_use]
    pub fn length_of_mask(mask: Ipv4Addr) -> Option<u8> {
        let bits = mask.to_bits();
        let length = bits.leading_ones();
        (length + bits.trailing_zeros() >= 32).then(|| u8::try_from(length).ok()).flatten()
    }
}

fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

/// `ADDRESS/LENGTH`; an address alone is the one host.
impl FromStr for Prefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr =
            address.parse().map_err(|_| format!("`{address}` is no IPv4 or IPv6 address"))?;
        let most = bits(address);
        let length = match length {
            None => most,
            Some(text) => text
                .parse()
                .ok()
                .filter(|length| *length <= most && !text.starts_with('+'))
                .ok_or_else(|| format!("`{text}` is no prefix length from 0 to {most}"))?,
        };
        Ok(Self { address, length })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    #[test]
    fn prefixes_are_read_and_written() {
        for text in ["192.0.2.7/24", "0.0.0.0/0", "2001:db8::1/64", "::/0", "10.0.0.1/32"] {
            assert_eq!(prefix(text).to_string(), text);
        }
        assert_eq!(prefix("10.0.0.1").length, 32);
        assert_eq!(prefix("::1").length, 128);
        for wrong in ["", "10.0.0", "10.0.0.1/33", "::1/129", "10.0.0.1/", "10.0.0.1/+8", "x/8"] {
            assert!(wrong.parse::<Prefix>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn networks_and_broadcasts() {
        for (text, network, broadcast) in [
            ("192.0.2.7/24", "192.0.2.0/24", Some("192.0.2.255")),
            ("192.0.2.7/0", "0.0.0.0/0", Some("255.255.255.255")),
            ("192.0.2.7/31", "192.0.2.6/31", None),
            ("192.0.2.7/32", "192.0.2.7/32", None),
            ("2001:db8:1:2:3::4/64", "2001:db8:1:2::/64", None),
            ("2001:db8::4/128", "2001:db8::4/128", None),
            ("2001:db8::4/0", "::/0", None),
        ] {
            assert_eq!(prefix(text).network().to_string(), network);
            assert_eq!(prefix(text).broadcast().map(|one| one.to_string()).as_deref(), broadcast);
        }
        assert!(prefix("192.0.2.0/24").contains("192.0.2.99".parse().unwrap()));
        assert!(!prefix("192.0.2.0/24").contains("192.0.3.1".parse().unwrap()));
        assert!(!prefix("0.0.0.0/0").contains("::1".parse().unwrap()));
    }

    #[test]
    fn netmasks_have_their_bits_at_the_front() {
        let length = |text: &str| Prefix::length_of_mask(text.parse().unwrap());
        assert_eq!(length("255.255.255.0"), Some(24));
        assert_eq!(length("0.0.0.0"), Some(0));
        assert_eq!(length("255.255.255.255"), Some(32));
        assert_eq!(length("255.0.255.0"), None);
        assert_eq!(length("0.0.0.255"), None);
    }
}
