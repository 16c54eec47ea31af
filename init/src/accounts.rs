//! Who a service runs as: users and groups by name or number.

use alloc::string::String;
use alloc::vec::Vec;

use init_core::accounts::{NO_ID, User, groups, users};

/// The user called `name`. A number is that id, with the primary group of its
/// entry or the same number; its name is empty where it has no entry.
pub(crate) fn find_user(passwd: &str, name: &str) -> Option<User> {
    match name.parse::<u32>() {
        Ok(NO_ID) => None,
        Ok(uid) => Some(users(passwd).find(|user| user.uid == uid).unwrap_or_else(|| User {
            name: String::new(),
            uid,
            gid: uid,
            home: "/".into(),
            shell: "/bin/sh".into(),
        })),
        Err(_) => users(passwd).find(|user| user.name == name),
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
        .filter(|entry| entry.members.iter().any(|member| member == user))
        .map(|entry| entry.gid)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\nlog:x:101:102::/:/bin/false\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:ann,log\nlog:x:102:\nadm:x:4:log\nbad:x:zz:log\n";

    #[test]
    fn users_by_name_and_by_number() {
        let log = users(PASSWD).nth(1).unwrap();
        assert_eq!((log.uid, log.gid, log.home.as_str()), (101, 102, "/"));
        assert_eq!(find_user(PASSWD, "log"), Some(log.clone()));
        assert_eq!(find_user(PASSWD, "101"), Some(log));
        let stranger = find_user(PASSWD, "7").unwrap();
        assert_eq!((stranger.name.as_str(), stranger.uid, stranger.gid), ("", 7, 7));
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
        assert_eq!(find_user("", "4294967295"), None);
        assert_eq!(find_group("", "4294967295"), None);
    }
}
