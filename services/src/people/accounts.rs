//! `/etc/passwd` and `/etc/group` (passwd(5), group(5)), read as plain text: a
//! static binary has no name service to ask. Absent: passwords, NIS, nsswitch.

use std::fs;
use std::io;
use std::path::Path;

/// A line of passwd(5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Numeric user id.
    pub uid: u32,
    /// Numeric id of the primary group.
    pub gid: u32,
    /// Home directory.
    pub home: String,
    /// Login shell; `/bin/sh` where the field is empty.
    pub shell: String,
}

/// A line of group(5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// Group name.
    pub name: String,
    /// Numeric group id.
    pub gid: u32,
    /// Login names of its members beyond those whose primary group it is.
    pub members: Vec<String>,
}

/// The users of `/etc/passwd`.
///
/// # Errors
/// What reading the file says.
pub fn users() -> io::Result<Vec<User>> {
    Ok(parse_users(&read(Path::new("/etc/passwd"))?))
}

/// The groups of `/etc/group`.
///
/// # Errors
/// What reading the file says.
pub fn groups() -> io::Result<Vec<Group>> {
    Ok(parse_groups(&read(Path::new("/etc/group"))?))
}

/// Reads a file that need not be UTF-8 throughout: a stranger's comment field must not
/// keep root from logging in.
fn read(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}

/// The users in `text`; lines that are no passwd(5) entries are passed over,
/// as every C library does.
#[must_use]
pub fn parse_users(text: &str) -> Vec<User> {
    text.lines().filter_map(parse_user).collect()
}

fn parse_user(line: &str) -> Option<User> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
    let _password = fields.next()?;
    let uid = fields.next()?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    let _comment = fields.next()?;
    let home = fields.next()?;
    let shell = fields.next().filter(|shell| !shell.is_empty()).unwrap_or("/bin/sh");
    Some(User { name: name.into(), uid, gid, home: home.into(), shell: shell.into() })
}

/// The groups in `text`; lines that are no group(5) entries are passed over.
#[must_use]
pub fn parse_groups(text: &str) -> Vec<Group> {
    text.lines().filter_map(parse_group).collect()
}

fn parse_group(line: &str) -> Option<Group> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|name| !name.is_empty() && !name.starts_with('#'))?;
    let _password = fields.next()?;
    let gid = fields.next()?.parse().ok()?;
    let members = fields.next().unwrap_or_default();
    let members = members.split(',').filter(|member| !member.is_empty()).map(str::to_owned);
    Some(Group { name: name.into(), gid, members: members.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_and_the_rest_is_passed_over() {
        let users = parse_users(
            "root:x:0:0:root:/root:/bin/brush\n# comment\nbroken:x:zero:0::/:\nlog:x:100:101::/run/log:\n\n",
        );
        assert_eq!(users.len(), 2);
        assert_eq!((users[0].uid, users[0].shell.as_str()), (0, "/bin/brush"));
        assert_eq!((users[1].gid, users[1].shell.as_str()), (101, "/bin/sh"));
        let groups = parse_groups("wheel:x:10:root,anna\nempty:x:11:\nshort:x:12\nbad:x:y:\n");
        assert_eq!(groups.len(), 3);
        assert_eq!(groups[0].members, ["root", "anna"]);
        assert!(groups[1].members.is_empty());
    }
}
