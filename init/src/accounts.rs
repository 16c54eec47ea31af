//! Users and groups out of `/etc/passwd` and `/etc/group` (passwd(5), group(5)).
//!
//! Pure text in, ids out. Absent: NSS, LDAP and every other source, for PID 1
//! is statically linked and must work before any of them.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use init_core::description::NO_ID;

/// A user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct User {
    /// Login name; empty for a number without an entry.
    pub(crate) name: String,
    /// Its id.
    pub(crate) uid: u32,
    /// Its primary group.
    pub(crate) gid: u32,
    /// Its home directory; `/` for a number without an entry.
    pub(crate) home: String,
}

/// A number that can be somebody's.
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|id| *id != NO_ID)
}

/// The user called `name`. A number is that id, with the primary group of its
/// entry or the same number.
pub(crate) fn find_user(passwd: &str, name: &str) -> Option<User> {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let uid = id(fields.nth(1)?)?;
        let gid = id(fields.next()?)?;
        let home = fields.nth(1).filter(|home| !home.is_empty()).unwrap_or("/").to_owned();
        Some(User { name: name.to_owned(), uid, gid, home })
    };
    let mut entries = passwd.lines().filter_map(entry);
    match name.parse::<u32>() {
        Ok(NO_ID) => None,
        Ok(uid) => Some(entries.find(|user| user.uid == uid).unwrap_or_else(|| User {
            name: String::new(),
            uid,
            gid: uid,
            home: String::from("/"),
        })),
        Err(_) => entries.find(|user| user.name == name),
    }
}

/// The id of the group called `name`, or `name` itself if it is a number.
pub(crate) fn find_group(group: &str, name: &str) -> Option<u32> {
    match name.parse::<u32>() {
        Ok(NO_ID) => None,
        Ok(gid) => Some(gid),
        Err(_) => groups(group).find(|entry| entry.name == name).map(|entry| entry.gid),
    }
}

/// The groups that list `user` as a member.
pub(crate) fn groups_of(group: &str, user: &str) -> Vec<u32> {
    groups(group)
        .filter(|entry| entry.members.split(',').any(|member| !user.is_empty() && member == user))
        .map(|entry| entry.gid)
        .collect()
}

struct Group<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

fn groups(text: &str) -> impl Iterator<Item = Group<'_>> {
    text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let gid = id(fields.nth(1)?)?;
        Some(Group { name, gid, members: fields.next().unwrap_or_default().trim() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\nlog:x:101:102::/:/bin/false\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:ann,log\nlog:x:102:\nadm:x:4:log\nbad:x:zz:log\n";

    #[test]
    fn users_by_name_and_by_number() {
        let log = User { name: "log".into(), uid: 101, gid: 102, home: "/".into() };
        assert_eq!(find_user(PASSWD, "log"), Some(log.clone()));
        assert_eq!(find_user(PASSWD, "101"), Some(log));
        let stranger = User { name: String::new(), uid: 7, gid: 7, home: "/".into() };
        assert_eq!(find_user(PASSWD, "7"), Some(stranger));
        assert_eq!(find_user(PASSWD, "lo"), None);
        assert_eq!(find_user("", "root"), None);
    }

    #[test]
    fn groups_and_their_members() {
        assert_eq!(find_group(GROUP, "wheel"), Some(10));
        assert_eq!(find_group(GROUP, "55"), Some(55));
        assert_eq!(find_group(GROUP, "nobody"), None);
        assert_eq!(groups_of(GROUP, "log"), [10, 4]);
        assert_eq!(groups_of(GROUP, ""), [0; 0]);
    }

    #[test]
    fn the_number_that_means_no_change_is_nobodys() {
        let passwd = "evil:x:4294967295:5::/:\nalso:x:5:4294967295::/:\n";
        for name in ["4294967295", "evil", "also"] {
            assert_eq!(find_user(passwd, name), None, "{name}");
        }
        let group = "evil:x:4294967295:ann\n";
        assert_eq!(find_group(group, "4294967295"), None);
        assert_eq!(find_group(group, "evil"), None);
        assert_eq!(groups_of(group, "ann"), [0; 0]);
    }
}
