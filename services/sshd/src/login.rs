//! Who may log in: accounts that are claimed, and the keys that open them.
//!
//! Read as root, before the login; afterwards the process is the user.

use std::io;
use std::net::SocketAddr;

use russh::keys::{Algorithm, HashAlg, PublicKey};
use services::people::accounts::{self, Group, User};
use services::people::admission::{self, Closed, NOLOGIN, Proof};
use services::people::identity::group_ids;
use services::people::shadow::{self, Shadow};
use services::privileges::become_person;

use crate::settings::Settings;
use crate::{authorized_keys, log};

/// Characters of a name that nobody has proven, in the log.
const NAME_SHOWN_MAX: usize = 64;

/// The tries of one connection to log in.
#[derive(Default)]
pub(crate) struct Tries {
    claim: Option<Claim>,
    in_vain: usize,
}

/// An account that somebody claims to own.
struct Claim {
    name: String,
    /// The account and its keys, or why it is closed.
    account: Result<(User, Vec<PublicKey>), String>,
}

impl Tries {
    /// Whether `key`, used by `algorithm`, opens the account `name`. If not, it counts.
    pub(crate) fn opens(
        &mut self,
        settings: &Settings,
        peer: SocketAddr,
        name: &str,
        key: &PublicKey,
        algorithm: &Algorithm,
    ) -> bool {
        let refusal = match &self.claim(settings, peer, name).account {
            Err(reason) => reason.clone(),
            Ok(_) if matches!(algorithm, Algorithm::Rsa { hash: None }) => {
                "the signature would be SHA-1".to_owned()
            }
            Ok((_, keys)) => match keys.iter().any(|known| known.key_data() == key.key_data()) {
                true => return true,
                false => "the key does not open the account".to_owned(),
            },
        };
        self.in_vain += 1;
        let print = key.fingerprint(HashAlg::Sha256);
        let name: String = name.chars().take(NAME_SHOWN_MAX).collect();
        log(format_args!("{peer}: refused {name:?} with {print}: {refusal}"));
        false
    }

    /// How many keys were offered in vain.
    pub(crate) fn in_vain(&self) -> usize {
        self.in_vain
    }

    /// The account that was claimed last, if it is open.
    pub(crate) fn user(&self) -> Option<&User> {
        self.claim.as_ref()?.account.as_ref().ok().map(|(user, _)| user)
    }

    fn claim(&mut self, settings: &Settings, peer: SocketAddr, name: &str) -> &Claim {
        if self.claim.as_ref().is_some_and(|claim| claim.name != name) {
            self.claim = None;
        }
        self.claim.get_or_insert_with(|| Claim {
            name: name.to_owned(),
            account: account(settings, name).map(|user| {
                let found = authorized_keys::of_user(settings, &user);
                for complaint in &found.complaints {
                    log(format_args!("{peer}: {complaint}"));
                }
                (user, found.keys)
            }),
        })
    }
}

/// The account `name`, if it is open to somebody with a key.
fn account(settings: &Settings, name: &str) -> Result<User, String> {
    let users = accounts::users().map_err(|error| format!("cannot read /etc/passwd: {error}"))?;
    let user = users.into_iter().find(|user| user.name == name).ok_or("there is no such user")?;
    let shadow = match rustix::process::geteuid().is_root() {
        true => Some(shadow_of(name)?),
        false => None,
    };
    match admission::closed(&user, shadow.as_ref(), Proof::Key) {
        None => {}
        Some(Closed::Account(refusal)) => return Err(refusal.as_str().to_owned()),
        Some(Closed::Everybody(_)) => return Err(format!("{NOLOGIN} is there")),
    }
    if !settings.allow_groups.is_empty() {
        let groups =
            accounts::groups().map_err(|error| format!("cannot read /etc/group: {error}"))?;
        let gids = group_ids(&user, &groups);
        let allowed = |group: &Group| settings.allow_groups.contains(&group.name);
        if !groups.iter().any(|group| allowed(group) && gids.contains(&group.gid)) {
            return Err("the user is in none of `allow-groups`".to_owned());
        }
    }
    rustix::fs::access(&user.shell, rustix::fs::Access::EXEC_OK)
        .map_err(|error| format!("the shell `{}` cannot be executed: {error}", user.shell))?;
    Ok(user)
}

fn shadow_of(name: &str) -> Result<Shadow, String> {
    let entries =
        shadow::entries().map_err(|error| format!("cannot read {}: {error}", shadow::SHADOW))?;
    let entry = entries.into_iter().find(|entry| entry.name == name);
    entry.ok_or_else(|| format!("no entry in {}", shadow::SHADOW))
}

/// Makes this process `user` for good.
///
/// # Errors
/// The kernel refuses, or the process is neither root's nor the user's.
pub(crate) fn become_user(user: &User) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() {
        // A server that somebody runs for himself.
        return match rustix::process::geteuid().as_raw() == user.uid {
            true => Ok(()),
            false => Err(io::Error::other("only root can become another user")),
        };
    }
    become_person(user, &accounts::groups()?)
}
