//! Giving up what root may do: for daemons that are started as root to set up
//! something and then need a few capabilities at most (capabilities(7)), and for who lets
//! people in.

use std::io;

use nix::unistd::{setgroups, setresgid, setresuid};
use rustix::process::{Gid, Uid, getuid};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

use crate::people::accounts::{self, Group, User};
use crate::people::identity::group_ids;
use crate::problem::{Context, Problem, Result};

/// Becomes `user`, with that user's primary group and no other, and keeps `kept` of
/// root's capabilities. Nothing it ever executes can get more. Does nothing for who
/// is not root. To be called before there is a second thread.
///
/// # Errors
/// There is no such user, or the kernel refuses.
pub fn become_user(user: &str, kept: CapabilitySet) -> Result<()> {
    if !getuid().is_root() {
        return Ok(());
    }
    let users = accounts::users().context(|| "cannot read `/etc/passwd`".to_owned())?;
    let account = users.into_iter().find(|one| one.name == user).ok_or_else(|| {
        Problem::new(format!("there is no user `{user}`"))
            .with_hint("add it to the image definition: [[user]] and [[group]]")
    })?;
    drop_to(account.uid, account.gid, kept).context(|| format!("cannot become `{user}`"))
}

/// Stays who it is and keeps `kept` of root's capabilities, for a daemon that has to own what
/// root owns. Nothing it ever executes can get more. Does nothing for who is not root. To be
/// called before there is a second thread.
///
/// # Errors
/// The kernel refuses.
pub fn keep_only(kept: CapabilitySet) -> Result<()> {
    if !getuid().is_root() {
        return Ok(());
    }
    limit_to(kept).context(|| "cannot give up capabilities".to_owned())
}

/// Becomes a person for good, with every thread (setuid(2), "C library/kernel
/// differences"): all groups and ids, and no way back.
///
/// # Errors
/// What the kernel says: only root may. Or it let the process become root again.
pub fn become_person(user: &User, groups: &[Group]) -> io::Result<()> {
    let gids: Vec<_> = group_ids(user, groups).into_iter().map(Into::into).collect();
    let (uid, gid) = (user.uid.into(), user.gid.into());
    setgroups(&gids)?;
    setresgid(gid, gid, gid)?;
    setresuid(uid, uid, uid)?;
    let root = 0.into();
    if uid != root && setresuid(root, root, root).is_ok() {
        return Err(io::Error::other("the way back to root is open"));
    }
    Ok(())
}

fn drop_to(uid: u32, gid: u32, kept: CapabilitySet) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    set_keep_capabilities(true)?;
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    limit_to(kept)
}

fn limit_to(kept: CapabilitySet) -> io::Result<()> {
    let sets =
        CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets)?;
    clear_ambient_capability_set()?;
    set_no_new_privs(true)?;
    Ok(())
}
