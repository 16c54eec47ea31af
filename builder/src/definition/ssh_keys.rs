//! Public SSH keys of users: given in the definition, or in files on the host.
//!
//! What `sshd` would pass over is an error here: options before a key, kinds it does not
//! take, and above all private keys.

use std::fs;

use init_core::diagnostic::Place;

use super::checker::Checker;
use super::raw::Table;

/// Kinds that `sshd` takes (RFC 8709, RFC 5656, RFC 8332).
const KINDS: [&str; 5] =
    ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];

/// The keys of a user, a line each. An entry with a blank is a key, any other a file.
pub(super) fn read(checker: &mut Checker<'_>, table: &Table) -> Vec<String> {
    let mut keys = Vec::new();
    for entry in table.list("ssh-keys") {
        if entry.value.trim().contains(' ') {
            keys.extend(key(checker, &entry.value, &entry.place, ""));
            continue;
        }
        let Some(path) = checker.host_path(&entry.value, &entry.place) else { continue };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                checker
                    .find(entry.place.clone(), format!("cannot read {:?}: {error}", entry.value));
                continue;
            }
        };
        let mut is_empty = true;
        for (index, line) in text.lines().enumerate() {
            if !line.trim().is_empty() && !line.trim_start().starts_with('#') {
                is_empty = false;
                let place = format!("{}:{}: ", entry.value, index + 1);
                let Some(key) = key(checker, line, &entry.place, &place) else { break };
                keys.push(key);
            }
        }
        if is_empty {
            checker.find(entry.place.clone(), format!("{:?} has no key", entry.value));
        }
    }
    keys
}

fn key(checker: &mut Checker<'_>, line: &str, place: &Place, inside: &str) -> Option<String> {
    match check(line) {
        Ok(()) => Some(line.trim().to_owned()),
        Err((message, hint)) => {
            checker.find_with_hint(place.clone(), format!("{inside}{message}"), hint);
            None
        }
    }
}

fn check(line: &str) -> Result<(), (String, &'static str)> {
    if line.contains("PRIVATE KEY") {
        let hint = "the public one is in the file of the same name that ends in `.pub`";
        return Err(("this is a private key".to_owned(), hint));
    }
    let hint = "a line of `ssh-keygen -t ed25519`'s `.pub` file: kind, key, comment";
    let mut words = line.split_whitespace();
    let kind = words.next().unwrap_or_default();
    if !KINDS.contains(&kind) {
        let kinds = KINDS.join(", ");
        return Err((format!("{kind:?} is no kind of key: it is one of {kinds}"), hint));
    }
    if line.contains(['\n', '\r']) {
        return Err(("a key is one line".to_owned(), hint));
    }
    let blob = words.next().and_then(decode).unwrap_or_default();
    let inner = blob.split_first_chunk::<4>().and_then(|(length, rest)| {
        rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)
    });
    match inner {
        Some((name, key)) if name == kind.as_bytes() && !key.is_empty() => Ok(()),
        _ => Err((format!("the {kind} key is cut off or misspelt"), hint)),
    }
}

/// Decodes base64 (RFC 4648, section 4), padding included.
fn decode(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 {
        return None;
    }
    let (mut bits, mut count) = (0_u32, 0);
    let mut bytes = Vec::new();
    for digit in digits.bytes() {
        let value = ALPHABET.iter().position(|known| *known == digit)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_le_bytes()[0]);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf";

    #[test]
    fn a_key_with_or_without_a_comment_is_taken() {
        assert_eq!(check(KEY), Ok(()));
        assert_eq!(check(&format!("{KEY} ann at home")), Ok(()));
    }

    #[test]
    fn what_is_no_plain_public_key_is_refused() {
        for (line, word) in [
            ("-----BEGIN OPENSSH PRIVATE KEY-----", "private"),
            (&format!("restrict {KEY}"), "no kind"),
            (&KEY.replacen("ssh-ed25519", "ssh-dss", 1), "no kind"),
            (&KEY.replacen("ssh-ed25519", "ssh-rsa", 1), "misspelt"),
            (&KEY[..KEY.len() - 1], "misspelt"),
            ("ssh-ed25519 AAAA", "misspelt"),
            ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5", "misspelt"),
            ("ssh-ed25519 A_AA", "misspelt"),
            ("ssh-ed25519 /////w==", "misspelt"),
            ("ssh-ed25519 ", "misspelt"),
            (&format!("{KEY}\n{KEY}"), "one line"),
            ("", "no kind"),
        ] {
            let (message, _) = check(line).unwrap_err();
            assert!(message.contains(word), "{line}: {message}");
        }
    }

    #[test]
    fn base64_is_decoded() {
        for (text, bytes) in [
            ("", Some(&b""[..])),
            ("Zg==", Some(b"f")),
            ("Zm8=", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm9vYmFy", Some(b"foobar")),
            ("Zg", None),
            ("Z===", None),
            ("Zm 9", None),
        ] {
            assert_eq!(decode(text).as_deref(), bytes, "{text}");
        }
    }
}
