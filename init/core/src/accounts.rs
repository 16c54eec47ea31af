//! Users and groups out of `/etc/passwd` and `/etc/group` (passwd(5), group(5)).
//!
//! Text in, entries out: a static program has no name service to ask. Lines that are no
//! entries are passed over, as every C library does. Absent: passwords, NIS, nsswitch.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

/// The number that is no user's and no group's: (uid_t) -1. setresuid(2) and setresgid(2) take
/// it for "as it was", which would be root.
pub const NO_ID: u32 = u32::MAX;

/// A line of passwd(5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Numeric user id; never [`NO_ID`].
    pub uid: u32,
    /// Numeric id of the primary group; never [`NO_ID`].
    pub gid: u32,
    /// Home directory; `/` where the field is empty.
    pub home: String,
    /// Login shell; `/bin/sh` where the field is empty.
    pub shell: String,
}

/// A line of group(5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Group name.
    pub name: String,
    /// Numeric group id; never [`NO_ID`].
    pub gid: u32,
    /// Login names of its members beyond those whose primary group it is.
    pub members: Vec<String>,
}

/// The users in `passwd`.
pub fn users(passwd: &str) -> impl Iterator<Item = User> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = name(fields.next())?;
        let uid = id(fields.nth(1))?;
        let gid = id(fields.next())?;
        let or = |field: Option<&str>, default: &str| {
            field.filter(|field| !field.is_empty()).unwrap_or(default).to_owned()
        };
        let home = or(fields.nth(1), "/");
        Some(User { name, uid, gid, home, shell: or(fields.next(), "/bin/sh") })
    })
}

/// The groups in `group`.
pub fn groups(group: &str) -> impl Iterator<Item = Group> {
    group.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = name(fields.next())?;
        let gid = id(fields.nth(1))?;
        let members = fields.next().unwrap_or_default().trim().split(',');
        let members = members.filter(|member| !member.is_empty()).map(str::to_owned);
        Some(Group { name, gid, members: members.collect() })
    })
}

fn name(field: Option<&str>) -> Option<String> {
    field.filter(|name| !name.is_empty() && !name.starts_with('#')).map(str::to_owned)
}

/// A number that can be somebody's.
fn id(field: Option<&str>) -> Option<u32> {
    field?.parse().ok().filter(|id| *id != NO_ID)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_the_rest_is_passed_over() {
        let text = "root:x:0:0:root:/root:/bin/brush\n# comment\nbroken:x:zero:0::/:\n\
                    log:x:100:101::/run/log:\n\nshort:x:7:8\n:x:9:9::/:\n";
        let found: Vec<User> = users(text).collect();
        let names: Vec<_> = found.iter().map(|user| user.name.as_str()).collect();
        assert_eq!(names, ["root", "log", "short"]);
        assert_eq!((found[0].uid, found[0].shell.as_str()), (0, "/bin/brush"));
        assert_eq!((found[1].gid, found[1].shell.as_str()), (101, "/bin/sh"));
        assert_eq!((found[1].home.as_str(), found[2].home.as_str()), ("/run/log", "/"));
        let text = "wheel:x:10:root,anna\nempty:x:11:\nshort:x:12\nbad:x:y:\n#x:x:1:\n";
        let found: Vec<Group> = groups(text).collect();
        assert_eq!(found.iter().map(|group| group.gid).collect::<Vec<_>>(), [10, 11, 12]);
        assert_eq!(found[0].members, ["root", "anna"]);
        assert!(found[1].members.is_empty());
    }

    #[test]
    fn the_number_that_means_no_change_is_nobodys() {
        let passwd = "evil:x:4294967295:5::/:\nalso:x:5:4294967295::/:\n";
        assert_eq!(users(passwd).next(), None);
        assert_eq!(groups("evil:x:4294967295:ann\n").next(), None);
    }
}
