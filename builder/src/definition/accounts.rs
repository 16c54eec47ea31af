//! The users and groups of a definition.

use init_core::diagnostic::Place;

use super::checker::Checker;
use super::raw::Table;
use super::resolved::{Group, User};
use super::{password, ssh_keys};
use crate::tree::TreePath;

/// Longest user or group name (useradd(8)).
const NAME_LENGTH_MAX: usize = 32;
/// -1 where ids have 16 bits (credentials(7)).
const NO_ID_OF_16_BITS: u32 = 65_535;

/// Users by uid and groups by gid. Every name and number stands for one account.
pub(super) fn resolve(checker: &mut Checker<'_>, table: &Table) -> (Vec<User>, Vec<Group>) {
    let mut groups = Vec::new();
    for entry in table.tables("group") {
        groups.extend(group(checker, entry, &groups));
    }
    let mut users = Vec::new();
    for entry in table.tables("user") {
        users.extend(user(checker, entry, &groups, &users));
    }
    for entry in table.tables("group") {
        for member in entry.list("members") {
            let known = users.iter().map(|user: &User| user.name.as_str());
            checker.mention("user", &member.value, &member.place, known);
        }
    }
    users.sort_by_key(|user: &User| user.uid);
    groups.sort_by_key(|group: &Group| group.gid);
    (users, groups)
}

fn group(checker: &mut Checker<'_>, table: &Table, others: &[Group]) -> Option<Group> {
    let name = account_name(checker, table)?;
    let gid = id(checker, table, "gid")?;
    if let Some(other) = others.iter().find(|other| other.gid == gid) {
        let message = format!("group {name} has the gid {gid} of group {}", other.name);
        checker.find(table.place_of("gid"), message);
    }
    let members = table.list("members").iter().map(|member| member.value.clone()).collect();
    Some(Group { name, gid, members })
}

fn user(
    checker: &mut Checker<'_>,
    table: &Table,
    groups: &[Group],
    others: &[User],
) -> Option<User> {
    let name = account_name(checker, table)?;
    let uid = id(checker, table, "uid")?;
    if let Some(other) = others.iter().find(|other| other.uid == uid) {
        let message = format!("user {name} has the uid {uid} of user {}", other.name);
        checker.find(table.place_of("uid"), message);
    }
    let group = table.text("group").unwrap_or(&name);
    let known = groups.iter().map(|group| group.name.as_str());
    checker.mention("group", group, &table.place_of("group"), known);
    let gid = groups.iter().find(|known| known.name == group).map(|known| known.gid);
    field(checker, table.text("description").unwrap_or_default(), &table.place_of("description"));
    if let Err((message, hint)) = password::check(table.text("password").unwrap_or_default()) {
        checker.find_with_hint(table.place_of("password"), format!("user {name}: {message}"), hint);
    }
    let home = target_path(checker, table, "home");
    let shell = target_path(checker, table, "shell");
    Some(User {
        uid,
        gid: gid?,
        description: table.text("description")?.to_owned(),
        home: home?,
        shell: shell?,
        password: table.text("password")?.to_owned(),
        ssh_keys: ssh_keys::read(checker, table),
        name,
    })
}

fn target_path(checker: &mut Checker<'_>, table: &Table, key: &str) -> Option<TreePath> {
    let text = table.text(key)?;
    let place = table.place_of(key);
    field(checker, text, &place);
    if text == "/" { Some(TreePath::root()) } else { checker.target_path(text, &place) }
}

/// A field of passwd(5) cannot have the character that separates fields.
fn field(checker: &mut Checker<'_>, text: &str, place: &Place) {
    if text.contains([':', '\n']) {
        checker.find(place.clone(), format!("{text:?} has a colon or a line break"));
    }
}

fn account_name(checker: &mut Checker<'_>, table: &Table) -> Option<String> {
    let name = table.text("name")?;
    let first = |c: char| c.is_ascii_lowercase() || c == '_';
    let rest = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    if name.len() > NAME_LENGTH_MAX || !name.starts_with(first) || !name.chars().all(rest) {
        let message = format!("{name:?} is no account name: a-z, 0-9, _ and -, a letter first");
        checker.find(table.place_of("name"), message);
    }
    Some(name.to_owned())
}

fn id(checker: &mut Checker<'_>, table: &Table, key: &str) -> Option<u32> {
    let id = table.number(key).and_then(|number| u32::try_from(number).ok());
    if id == Some(NO_ID_OF_16_BITS) {
        let message = format!("{key} {NO_ID_OF_16_BITS} means \"none\" to old system calls");
        checker.find(table.place_of(key), message);
    }
    id
}
