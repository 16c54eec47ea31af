//! The single files, directories and links of a definition.

use super::checker::Checker;
use super::raw::{Table, Value};
use super::resolved::{Directory, File, FileContent, Group, Symlink, User};
use crate::tree::LINK_TARGET_MAX_BYTES;

/// The accounts that entries may belong to.
pub(super) struct Owners<'a> {
    /// Users of the image.
    pub(super) users: &'a [User],
    /// Groups of the image.
    pub(super) groups: &'a [Group],
}

impl Owners<'_> {
    /// The uid and gid an entry asks for; root's where it says nothing.
    fn of(&self, checker: &mut Checker<'_>, table: &Table) -> (u32, u32) {
        let mut uid = 0;
        if let Some(name) = table.text("user") {
            let known = self.users.iter().map(|user| user.name.as_str());
            checker.mention("user", name, &table.place_of("user"), known);
            uid = self.users.iter().find(|user| user.name == name).map_or(0, |user| user.uid);
        }
        let mut gid = 0;
        if let Some(name) = table.text("group") {
            let known = self.groups.iter().map(|group| group.name.as_str());
            checker.mention("group", name, &table.place_of("group"), known);
            gid = self.groups.iter().find(|group| group.name == name).map_or(0, |group| group.gid);
        }
        (uid, gid)
    }
}

/// Every `[[file]]`.
pub(super) fn files(checker: &mut Checker<'_>, owners: &Owners<'_>, table: &Table) -> Vec<File> {
    let entries = table.tables("file").iter();
    entries.filter_map(|entry| file(checker, owners, entry)).collect()
}

fn file(checker: &mut Checker<'_>, owners: &Owners<'_>, table: &Table) -> Option<File> {
    let path = table.text("path")?;
    let path = checker.target_path(path, &table.place_of("path"));
    let content = match (table.text("content"), table.text("source")) {
        (Some(text), None) => Some(FileContent::Text(text.to_owned())),
        (None, Some(source)) => {
            checker.host_path(source, &table.place_of("source")).map(FileContent::Source)
        }
        _ => {
            let message = "a file has either a `content` or a `source`";
            checker.find(table.place.clone(), message);
            None
        }
    };
    let (uid, gid) = owners.of(checker, table);
    Some(File {
        path: path?,
        content: content?,
        mode: mode(table)?,
        uid,
        gid,
        replace: table.flag("replace"),
        place: table.place.clone(),
    })
}

/// Every `[[directory]]`.
pub(super) fn directories(
    checker: &mut Checker<'_>,
    owners: &Owners<'_>,
    table: &Table,
) -> Vec<Directory> {
    let mut directories = Vec::new();
    for entry in table.tables("directory") {
        let Some(path) = entry.text("path") else { continue };
        let path = checker.target_path(path, &entry.place_of("path"));
        let (uid, gid) = owners.of(checker, entry);
        let place = entry.place.clone();
        let Some(mode) = mode(entry) else { continue };
        directories.extend(path.map(|path| Directory { path, mode, uid, gid, place }));
    }
    directories
}

/// Every `[[symlink]]`.
pub(super) fn symlinks(checker: &mut Checker<'_>, table: &Table) -> Vec<Symlink> {
    let mut symlinks = Vec::new();
    for entry in table.tables("symlink") {
        let Some(path) = entry.text("path") else { continue };
        let path = checker.target_path(path, &entry.place_of("path"));
        let Some(target) = entry.text("target") else { continue };
        if target.is_empty() || target.len() > LINK_TARGET_MAX_BYTES || target.contains('\0') {
            let message =
                format!("a link target has 1 to {LINK_TARGET_MAX_BYTES} bytes and no NUL");
            let hint = "name the path that the link is to lead to, such as \"../run/hosts\"";
            checker.find_with_hint(entry.place_of("target"), message, hint);
        }
        let target = target.to_owned();
        let replace = entry.flag("replace");
        let place = entry.place.clone();
        symlinks.extend(path.map(|path| Symlink { path, target, replace, place }));
    }
    symlinks
}

fn mode(table: &Table) -> Option<u16> {
    match table.get("mode")?.value {
        Value::Mode(mode) => Some(mode),
        _ => None,
    }
}
