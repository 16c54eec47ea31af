//! Which names may stand in files of lines and words, such as resolv.conf(5).

/// `text` without the dot at its end, if its labels are of letters, digits, `-` and `_` (RFC 1123,
/// 2.1, and the underscores people use). What else somebody on the network sends could be more
/// than a name where it is written down.
#[must_use]
pub fn plain_name(text: &str) -> Option<&str> {
    let name = text.strip_suffix('.').unwrap_or(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let label = |label: &str| (1..64).contains(&label.len()) && label.bytes().all(plain);
    (name.len() <= 253 && name.split('.').all(label)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_or_less_than_a_name_is_none() {
        for (text, name) in [
            ("lan", "lan"),
            ("example.org.", "example.org"),
            ("_dns-sd._udp.x1", "_dns-sd._udp.x1"),
        ] {
            assert_eq!(plain_name(text), Some(name));
        }
        let (label, long) = ("a".repeat(64), "a.".repeat(128));
        assert_eq!(plain_name(&long[2..]), Some(&long[2..255]));
        for text in [
            "",
            ".",
            "..",
            "a..b",
            "a..",
            ".a",
            "a b",
            "a\nnameserver 192.0.2.6",
            "a\0",
            "a/b",
            "\u{e9}",
            "a\\.b",
            &label,
            &long,
        ] {
            assert_eq!(plain_name(text), None, "{text:?}");
        }
    }
}
