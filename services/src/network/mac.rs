//! A hardware address as people write it: `52:54:00:12:34:56`.

use std::fmt;
use std::str::FromStr;

/// Six bytes that name a network card (IEEE 802).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// The address in `bytes`, if they are six.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// Two hexadecimal digits a byte, with `:` or `-` between them.
impl FromStr for Mac {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no hardware address such as 52:54:00:12:34:56");
        let parts: Vec<u8> = text
            .split([':', '-'])
            .map(|part| match part.as_bytes() {
                [a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                    u8::from_str_radix(part, 16).map_err(|_| wrong())
                }
                _ => Err(wrong()),
            })
            .collect::<Result<_, _>>()?;
        Self::from_slice(&parts).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_written() {
        let mac: Mac = "52-54-00-AB-cd-ef".parse().unwrap();
        assert_eq!(mac.to_string(), "52:54:00:ab:cd:ef");
        for wrong in
            ["", "52:54:00:ab:cd", "52:54:00:ab:cd:ef:00", "52:54:0:ab:cd:ef", "+1:54:00:ab:cd:ef"]
        {
            assert!(wrong.parse::<Mac>().is_err(), "{wrong}");
        }
    }
}
