//! Passwords against what shadow(5) keeps of them: yescrypt (`$y$`) and SHA-512 crypt
//! (`$6$`, crypt(5)). Both are computed by crates and compared in constant time.
//!
//! Absent: older algorithms, which an image definition refuses too.

use sha_crypt::{PasswordVerifier, ShaCrypt};
use yescrypt::Yescrypt;

/// Longest password that is looked at, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 512;

/// A hash that no password gives, of the usual cost: who has none costs as much to refuse.
const NOBODYS: &str = "$y$j9T$LdJMENpBABJJ3hIHjB1Bi.$...........................................";

/// Whether `password` is the one that `hash` was made of. Without a hash it is refused
/// after as much work as with one.
#[must_use]
pub fn is_right(password: &str, hash: Option<&str>) -> bool {
    let password = password.as_bytes();
    let too_long = password.len() > PASSWORD_BYTES_MAX;
    let password = password.get(..PASSWORD_BYTES_MAX).unwrap_or(password);
    let verified = match hash {
        Some(hash) if hash.starts_with("$y$") => verify(&Yescrypt::default(), password, hash),
        Some(hash) if hash.starts_with("$6$") => verify(&ShaCrypt::SHA512, password, hash),
        _ => {
            let _ = verify(&Yescrypt::default(), password, NOBODYS);
            false
        }
    };
    verified && !too_long
}

fn verify(by: &impl PasswordVerifier<str>, password: &[u8], hash: &str) -> bool {
    by.verify_password(password, hash).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_other_implementations_are_understood() {
        // By libxcrypt and OpenSSL.
        for (password, hash) in [
            (
                "pleaseletmein",
                "$y$j9T$LdJMENpBABJJ3hIHjB1Bi.$iofk68xbXBoXKsxTyMBCh2qkQuzQZ2Zik521F9TsTq6",
            ),
            ("secret", "$y$j75$abcdefgh1234$35Wj4XRiq69wx.bXHzwSFO5NsIOyCCWeo6QVzVr5q//"),
            (
                "Hello world!",
                "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            ),
            (
                "Hello world!",
                "$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.",
            ),
            (
                "pass word",
                "$6$abcdefgh$YN8B0zmx4g7gHNsAPRHBHL7/9D2xv7Ojh6WbPzJjQGPPjUs3FiTtHkWxn/GwRo78ZpAtbvjbXJsaUxh7djdaf0",
            ),
        ] {
            assert!(is_right(password, Some(hash)), "{hash}");
            assert!(!is_right(&password[1..], Some(hash)), "{hash}");
            assert!(!is_right(password, Some(&format!("!{hash}"))), "{hash}");
        }
    }

    #[test]
    fn what_is_no_hash_matches_nothing() {
        for hash in [None, Some(""), Some("!"), Some("*"), Some("x"), Some("$y$"), Some("$6$salt")]
        {
            for password in ["", "x", "!", "*"] {
                assert!(!is_right(password, hash), "{hash:?} {password:?}");
            }
        }
    }
}
