//! Files every image has and no person writes: accounts, host name, release.

use crate::definition::Image;
use crate::definition::resolved::{Group, User};
use crate::error::Result;
use crate::tree::{Content, FileTree, Node, NodeKind, TreePath};

/// Days since 1970 of the last password change in shadow(5): 0 would ask for a
/// new one at once, and the day of the build must not show.
const PASSWORD_DAY: u32 = 1;

/// Adds the files. `/etc/hosts` and `/etc/os-release` give way to files of the
/// skeleton, accounts and host name do not: they have keys of their own.
pub(super) fn add(tree: &mut FileTree, image: &Image) -> Result<()> {
    let mut add = |path: &str, mode: u16, text: String| {
        let content = Content::Bytes(text.into_bytes().into());
        let origin = format!("image {}", image.name);
        tree.insert(TreePath::new(path)?, Node::new(NodeKind::File(content), mode, origin))
    };
    add("etc/passwd", 0o644, passwd(&image.users))?;
    add("etc/group", 0o644, group(&image.groups))?;
    add("etc/shadow", 0o600, shadow(&image.users))?;
    for user in image.users.iter().filter(|user| !user.ssh_keys.is_empty()) {
        let path = format!("etc/ssh/authorized_keys.d/{}", user.name);
        add(&path, 0o644, user.ssh_keys.join("\n") + "\n")?;
    }
    add("etc/hostname", 0o644, format!("{}\n", image.hostname))?;
    add("usr/lib/os-release", 0o644, os_release(image))
}

/// passwd(5)
fn passwd(users: &[User]) -> String {
    let line = |user: &User| {
        format!(
            "{}:x:{}:{}:{}:{}:{}\n",
            user.name, user.uid, user.gid, user.description, user.home, user.shell
        )
    };
    users.iter().map(line).collect()
}

/// group(5)
fn group(groups: &[Group]) -> String {
    let line =
        |group: &Group| format!("{}:x:{}:{}\n", group.name, group.gid, group.members.join(","));
    groups.iter().map(line).collect()
}

/// shadow(5)
fn shadow(users: &[User]) -> String {
    let line = |user: &User| format!("{}:{}:{PASSWORD_DAY}::::::\n", user.name, user.password);
    users.iter().map(line).collect()
}

/// os-release(5). Its readers are shells, hence the quotes.
pub(super) fn os_release(image: &Image) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "NAME=\"Keelson\"\nID=keelson\nPRETTY_NAME=\"Keelson {version} ({name})\"\n\
         VERSION_ID=\"{version}\"\nIMAGE_ID=\"{name}\"\n",
        name = image.name
    )
}
