//! What a session of a user runs with: groups and environment. Shared by `login` and `sshd`.

use crate::people::accounts::{Group, User};

/// Where programs are looked for.
pub const PATH: &str = "/usr/bin:/usr/sbin:/bin:/sbin";

/// The ids of all groups of `user` in ascending order, the primary one among them.
#[must_use]
pub fn group_ids(user: &User, groups: &[Group]) -> Vec<u32> {
    let of_user = groups.iter().filter(|group| group.members.contains(&user.name));
    let mut gids: Vec<u32> = of_user.map(|group| group.gid).chain([user.gid]).collect();
    gids.sort_unstable();
    gids.dedup();
    gids
}

/// The environment of a new session of `user`; whatever was there before is no part of it.
#[must_use]
pub fn environment(user: &User) -> Vec<(&'static str, String)> {
    vec![
        ("HOME", user.home.clone()),
        ("LOGNAME", user.name.clone()),
        ("PATH", PATH.to_owned()),
        ("SHELL", user.shell.clone()),
        ("USER", user.name.clone()),
    ]
}

/// The name by which a shell knows that it is a login shell: `-` and its file's name.
#[must_use]
pub fn login_shell_name(shell: &str) -> String {
    format!("-{}", shell.rsplit('/').next().unwrap_or(shell))
}

#[cfg(test)]
mod tests {
    use super::*;
    use init_core::accounts::groups;

    #[test]
    fn groups_are_the_primary_one_and_those_with_the_user_as_a_member() {
        let user = User {
            name: "ann".into(),
            uid: 1000,
            gid: 1000,
            home: "/home/ann".into(),
            shell: "/bin/sh".into(),
        };
        let groups: Vec<Group> =
            groups("wheel:x:10:root,ann\nann:x:1000:ann\nx:x:11:anna\n").collect();
        assert_eq!(group_ids(&user, &groups), [10, 1000]);
        assert_eq!(group_ids(&user, &[]), [1000]);
        assert_eq!(login_shell_name("/bin/sh"), "-sh");
        assert_eq!(login_shell_name("sh"), "-sh");
    }
}
