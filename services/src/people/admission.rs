//! Whether an account is open to who has proven to be its owner, by shadow(5) and nologin(5).
//!
//! Absent: the proof itself, and what only one of those who ask looks at, as groups.

use std::path::Path;

use crate::bounded_file;
use crate::people::accounts::User;
use crate::people::shadow::{self, Refusal, Shadow};

/// While this exists only root gets in; its text is for everybody else.
pub const NOLOGIN: &str = "/etc/nologin";

/// Most of that text that is shown, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// What somebody proves by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Proof {
    /// The account's password.
    Password,
    /// A key, which does not grow old with the password.
    Key,
}

/// Why an account is closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Closed {
    /// For its line in shadow(5).
    Account(Refusal),
    /// For everybody but root, with this text.
    Everybody(String),
}

/// Why `user` does not get in now, whatever the proof; `None` if the account is open. Without
/// its line in shadow(5) that does not count: a server that is not root cannot read it, and
/// serves nobody but who started it.
#[must_use]
pub fn closed(user: &User, shadow: Option<&Shadow>, proof: Proof) -> Option<Closed> {
    closed_by(Path::new(NOLOGIN), shadow::today(), user, shadow, proof)
}

fn closed_by(
    nologin: &Path,
    today: u64,
    user: &User,
    shadow: Option<&Shadow>,
    proof: Proof,
) -> Option<Closed> {
    match (shadow.and_then(|shadow| shadow.refusal(today)), proof) {
        (None, _) | (Some(Refusal::PasswordExpired), Proof::Key) => {}
        (Some(refusal), _) => return Some(Closed::Account(refusal)),
    }
    if user.uid == 0 { None } else { text_of(nologin).map(Closed::Everybody) }
}

/// What everybody but root is told in place of a login; `None` while all may log in.
#[must_use]
pub fn notice() -> Option<String> {
    text_of(Path::new(NOLOGIN))
}

/// Whatever is there keeps people out, also what cannot be read as text.
fn text_of(nologin: &Path) -> Option<String> {
    nologin.exists().then(|| {
        let bytes = bounded_file::read(nologin, TEXT_BYTES_MAX).unwrap_or_default();
        let text = bytes.get(..TEXT_BYTES_MAX).unwrap_or(&bytes);
        String::from_utf8_lossy(text).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn user(uid: u32) -> User {
        User { name: "u".into(), uid, gid: uid, home: "/".into(), shell: "/bin/sh".into() }
    }

    #[test]
    fn an_account_is_closed_by_its_own_line_for_both_proofs_but_an_old_password() {
        use Refusal::{AccountExpired, Locked, PasswordExpired};
        let nologin = Path::new("/nowhere/nologin");
        for (line, by_password, by_key) in [
            ("u:$6$x$y:1::::::", None, None),
            ("u:!$6$x$y:1::::::", Some(Locked), Some(Locked)),
            ("u:$6$x$y:1:::::100:", Some(AccountExpired), Some(AccountExpired)),
            ("u:$6$x$y:1:0:98::::", Some(PasswordExpired), None),
        ] {
            let shadow = shadow::parse(line).pop();
            for (proof, refusal) in [(Proof::Password, by_password), (Proof::Key, by_key)] {
                for uid in [0, 1000] {
                    let found = closed_by(nologin, 100, &user(uid), shadow.as_ref(), proof);
                    assert_eq!(found, refusal.map(Closed::Account), "{line} {proof:?} {uid}");
                }
            }
        }
    }

    #[test]
    fn only_root_gets_in_while_nologin_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let nologin = directory.path().join("nologin");
        let told = |uid| closed_by(&nologin, 100, &user(uid), None, Proof::Key);
        assert_eq!(told(1000), None);
        fs::write(&nologin, "back at noon\n").unwrap();
        assert_eq!(told(1000), Some(Closed::Everybody("back at noon\n".into())));
        assert_eq!(told(0), None);
        fs::write(&nologin, vec![b'x'; TEXT_BYTES_MAX + 10]).unwrap();
        assert_eq!(told(1000), Some(Closed::Everybody("x".repeat(TEXT_BYTES_MAX))));
        fs::remove_file(&nologin).unwrap();
        fs::create_dir(&nologin).unwrap();
        assert_eq!(told(1000), Some(Closed::Everybody(String::new())));
        assert_eq!(told(0), None);
    }
}
