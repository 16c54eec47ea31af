//! What a definition may say of a password: hashes that `login` can compare, never the password.

/// Longest field, in bytes (crypt(5): a hash is at most 384).
const LENGTH_MAX: usize = 385;

/// Whether `text` can stand in shadow(5): empty, `!`, `*`, or a hash by yescrypt or SHA-512
/// crypt (crypt(5)), locked by a `!` before it.
///
/// # Errors
/// What is wrong, and what to do.
pub(super) fn check(text: &str) -> Result<(), (String, &'static str)> {
    if matches!(text, "" | "!" | "*") {
        return Ok(());
    }
    let hint = "`mkpasswd --method=yescrypt` (Debian package whois) or `openssl passwd -6` makes a hash of a password";
    let hash = text.strip_prefix('!').unwrap_or(text);
    let is_right = match hash.split('$').collect::<Vec<_>>().as_slice() {
        ["", "y", parameters, salt, digest] => {
            is_word(parameters) && is_word(salt) && is_digest(digest, YESCRYPT_DIGEST)
        }
        ["", "6", salt, digest] => is_salt_of_6(salt) && is_digest(digest, SHA_512_DIGEST),
        ["", "6", rounds, salt, digest] => {
            rounds.strip_prefix("rounds=").is_some_and(is_rounds)
                && is_salt_of_6(salt)
                && is_digest(digest, SHA_512_DIGEST)
        }
        ["", _, ..] => {
            let message =
                "the password's hash is by neither yescrypt ($y$) nor SHA-512 crypt ($6$)";
            return Err((message.to_owned(), hint));
        }
        // Not shown: it may be somebody's password.
        _ => {
            let message =
                "the password is given as text: everybody who has the image could read it";
            return Err((message.to_owned(), hint));
        }
    };
    match is_right && text.len() <= LENGTH_MAX {
        true => Ok(()),
        false => Err(("the password's hash is cut off or misspelt".to_owned(), hint)),
    }
}

/// Characters of a yescrypt digest: 256 bits.
const YESCRYPT_DIGEST: usize = 43;
/// Characters of a SHA-512 crypt digest.
const SHA_512_DIGEST: usize = 86;

/// Whether it is of the alphabet of crypt(5).
fn is_word(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"./".contains(&c))
}

fn is_digest(text: &str, length: usize) -> bool {
    text.len() == length && is_word(text)
}

fn is_salt_of_6(text: &str) -> bool {
    text.len() <= 16 && is_word(text)
}

/// As many rounds as the algorithm allows (its specification, section "rounds=").
fn is_rounds(text: &str) -> bool {
    text.parse().is_ok_and(|rounds: u32| (1000..=999_999_999).contains(&rounds))
}

#[cfg(test)]
mod tests {
    use super::*;

    const Y: &str = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7";
    const SIX: &str = "$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";

    #[test]
    fn hashes_and_words_are_taken() {
        let rounds = SIX.replacen("$6$", "$6$rounds=5000$", 1);
        for text in ["", "!", "*", Y, SIX, &rounds, &format!("!{Y}")] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn text_other_algorithms_and_cut_hashes_are_refused() {
        for (text, word) in [
            ("secret", "as text"),
            ("!secret", "as text"),
            ("x:y", "as text"),
            ("$1$salt$qJH7.N4xYta3aEG/dfqo/0", "neither"),
            ("$2b$05$abcdefghijklmnopqrstuu5Lo0g67CiD3M4RpN1BmBb4Crp5w7dbK", "neither"),
            ("$6$salt", "neither"),
            (&Y[..Y.len() - 1], "cut off"),
            (&SIX[..SIX.len() - 1], "cut off"),
            (&SIX.replacen("saltstring", "salt:string", 1), "cut off"),
            (&SIX.replacen("$6$", "$6$rounds=5$", 1), "cut off"),
            ("$y$j9T$salt$a\nb", "cut off"),
        ] {
            let (message, _) = check(text).unwrap_err();
            assert!(message.contains(word), "{text}: {message}");
            assert!(!message.contains("secret"));
        }
    }
}
