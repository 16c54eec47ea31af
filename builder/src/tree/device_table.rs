//! `rootfs/device_table.txt`: directories, modes, owners and nodes that git cannot hold.
//!
//! The format is that of Buildroot and makedevs: one entry per line, fields
//! apart by white space, `#` begins a comment.
//! ```text
//! path type mode uid gid [major minor [start increment count]]
//! ```
//! Types: `d` directory, `c` and `b` devices, `p` named pipe, `f` and `r` set
//! mode and owner of a file, or of a directory and all below it, that is there.
//! `-` stands for an empty field. The mode is octal, all else decimal.

use init_core::diagnostic::{Finding, Place};

use super::{FileTree, Node, NodeKind, TreePath};
use crate::error::{Error, Result};

/// Most nodes that one line may stand for.
const COUNT_MAX: u32 = 4096;

/// A line of the table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The path; for a series of nodes without its number.
    pub path: TreePath,
    /// What the line does.
    pub kind: RowKind,
    /// Permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// `FILE:LINE`, for messages.
    pub origin: String,
}

/// What a line does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowKind {
    /// Makes a directory.
    Directory,
    /// Sets mode and owner of what is there.
    Change,
    /// Sets mode and owner of what is there and of all below it; directories
    /// get the execute bits that fit their read bits.
    ChangeBelow,
    /// Makes a named pipe.
    Fifo,
    /// Makes character devices.
    Char(Numbers),
    /// Makes block devices.
    Block(Numbers),
}

/// The numbers of one node, or of a series.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Numbers {
    /// Major number.
    pub major: u32,
    /// Minor number of the first.
    pub minor: u32,
    /// The number in the first one's name.
    pub start: u32,
    /// What the minor number grows by.
    pub increment: u32,
    /// How many; 0 is one node without a number in its name.
    pub count: u32,
}

/// Reads a table that messages call `file`.
///
/// # Errors
/// With every line that is wrong.
pub fn parse(file: &str, text: &str) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    let mut findings = Vec::new();
    for (line, number) in text.lines().zip(1..) {
        let content = line.split('#').next().unwrap_or_default();
        let fields: Vec<&str> = content.split_whitespace().collect();
        if fields.is_empty() {
            continue;
        }
        match row(&fields, format!("{file}:{number}")) {
            Ok(row) => rows.push(row),
            Err(message) => {
                let place = Place { file: file.to_owned(), line: number, column: 1 };
                findings.push(Finding::new(place, message));
            }
        }
    }
    if findings.is_empty() {
        Ok(rows)
    } else {
        Err(Error::findings("the device table is wrong", findings))
    }
}

fn row(fields: &[&str], origin: String) -> Result<Row, String> {
    let [path, kind, mode, uid, gid, rest @ ..] = fields else {
        return Err(format!(
            "{} fields where at least 5 are needed: path type mode uid gid",
            fields.len()
        ));
    };
    if !path.starts_with('/') {
        return Err(format!("the path {path} is not absolute"));
    }
    if rest.len() > 5 {
        return Err(format!("{} fields where at most 10 are known", fields.len()));
    }
    let mode = u16::from_str_radix(mode, 8)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| format!("{mode:?} is no octal mode"))?;
    let kind = match *kind {
        "d" => RowKind::Directory,
        "f" => RowKind::Change,
        "r" => RowKind::ChangeBelow,
        "p" => RowKind::Fifo,
        "c" => RowKind::Char(numbers(rest)?),
        "b" => RowKind::Block(numbers(rest)?),
        other => return Err(format!("{other:?} is no type: use d, f, r, p, c or b")),
    };
    if !matches!(kind, RowKind::Char(_) | RowKind::Block(_)) && rest.iter().any(|f| *f != "-") {
        return Err("only c and b lines have device numbers".to_owned());
    }
    let path = TreePath::new(path).map_err(|error| error.to_string())?;
    let (uid, gid) = (number("uid", uid)?, number("gid", gid)?);
    Ok(Row { path, kind, mode, uid, gid, origin })
}

fn numbers(fields: &[&str]) -> Result<Numbers, String> {
    let field = |index: usize| fields.get(index).copied().filter(|field| *field != "-");
    let required = |index, name: &str| {
        field(index)
            .ok_or_else(|| format!("a device needs a {name} number"))
            .and_then(|field| number(name, field))
    };
    let optional =
        |index, name: &str, default| field(index).map_or(Ok(default), |field| number(name, field));
    let count = optional(4, "count", 0)?;
    if count > COUNT_MAX {
        return Err(format!("a count of {count} is more than the {COUNT_MAX} that are allowed"));
    }
    Ok(Numbers {
        major: required(0, "major")?,
        minor: required(1, "minor")?,
        start: optional(2, "start", 0)?,
        increment: optional(3, "increment", 1)?,
        count,
    })
}

fn number(name: &str, text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("the {name} {text:?} is no number"))
}

/// Carries out the lines in order.
///
/// # Errors
/// If a line changes what is not there, or makes what is there already.
pub fn apply(rows: &[Row], tree: &mut FileTree) -> Result<()> {
    for row in rows {
        let node =
            |kind| Node { uid: row.uid, gid: row.gid, ..Node::new(kind, row.mode, &*row.origin) };
        match row.kind {
            RowKind::Directory => tree.insert(row.path.clone(), node(NodeKind::Directory))?,
            RowKind::Fifo => tree.insert(row.path.clone(), node(NodeKind::Fifo))?,
            RowKind::Char(numbers) => insert_series(row, numbers, tree, |minor| {
                node(NodeKind::CharDevice { major: numbers.major, minor })
            })?,
            RowKind::Block(numbers) => insert_series(row, numbers, tree, |minor| {
                node(NodeKind::BlockDevice { major: numbers.major, minor })
            })?,
            RowKind::Change | RowKind::ChangeBelow => change(row, tree)?,
        }
    }
    Ok(())
}

fn insert_series(
    row: &Row,
    numbers: Numbers,
    tree: &mut FileTree,
    node: impl Fn(u32) -> Node,
) -> Result<()> {
    if numbers.count == 0 {
        return tree.insert(row.path.clone(), node(numbers.minor));
    }
    for index in 0..numbers.count {
        let mut path = row.path.as_bytes().to_vec();
        let number = numbers.start.saturating_add(index);
        path.extend_from_slice(number.to_string().as_bytes());
        let minor = numbers.minor.saturating_add(index.saturating_mul(numbers.increment));
        tree.insert(TreePath::new(path)?, node(minor))?;
    }
    Ok(())
}

fn change(row: &Row, tree: &mut FileTree) -> Result<()> {
    let mut paths = vec![row.path.clone()];
    if row.kind == RowKind::ChangeBelow {
        let below = [row.path.as_bytes(), b"/"].concat();
        paths.extend(
            tree.iter()
                .map(|(path, _)| path)
                .filter(|path| {
                    row.path.as_bytes().is_empty() || path.as_bytes().starts_with(&below)
                })
                .filter(|path| **path != row.path)
                .cloned(),
        );
    }
    for path in paths {
        let Some(node) = tree.get_mut(&path) else {
            let message = format!("{}: there is no {path} to change", row.origin);
            return Err(Error::definition(message));
        };
        if matches!(node.kind, NodeKind::Symlink(_) | NodeKind::HardLink(_)) {
            continue;
        }
        let is_directory = matches!(node.kind, NodeKind::Directory);
        let execute = (row.mode & 0o444) >> 2;
        let deep = row.kind == RowKind::ChangeBelow && is_directory;
        node.mode = if deep { row.mode | execute } else { row.mode };
        node.uid = row.uid;
        node.gid = row.gid;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Content;
    use super::*;

    fn tree(table: &str) -> Result<FileTree> {
        let mut tree = FileTree::new();
        let file = Node::new(NodeKind::File(Content::Bytes(b"x".as_slice().into())), 0o644, "test");
        tree.insert(TreePath::new("data/sub/file").unwrap(), file)?;
        apply(&parse("t.txt", table)?, &mut tree)?;
        Ok(tree)
    }

    fn shown(tree: &FileTree, path: &str) -> String {
        let node = tree.get(&TreePath::new(path).unwrap()).unwrap();
        format!("{:?} {:o} {}:{}", node.kind, node.mode, node.uid, node.gid)
    }

    #[test]
    fn every_type_of_line_does_its_work() {
        let tree = tree(
            "# a comment\n/tmp d 1777 0 0 - - - - -\n/dev/null c 666 0 0 1 3\n\
             /dev/vda b 660 0 6 254 0 1 1 2\n/run/pipe p 600 5 6\n\
             /data r 640 7 8\n/data/sub/file f 4755 0 0\n",
        )
        .unwrap();
        assert_eq!(shown(&tree, "/tmp"), "Directory 1777 0:0");
        assert_eq!(shown(&tree, "/dev/null"), "CharDevice { major: 1, minor: 3 } 666 0:0");
        assert_eq!(shown(&tree, "/dev/vda1"), "BlockDevice { major: 254, minor: 0 } 660 0:6");
        assert_eq!(shown(&tree, "/dev/vda2"), "BlockDevice { major: 254, minor: 1 } 660 0:6");
        assert_eq!(shown(&tree, "/run/pipe"), "Fifo 600 5:6");
        assert_eq!(shown(&tree, "/data/sub"), "Directory 750 7:8");
        assert!(shown(&tree, "/data/sub/file").ends_with(" 4755 0:0"));
    }

    #[test]
    fn all_wrong_lines_are_found_at_once() {
        let error = parse(
            "t.txt",
            "/a d\n/b x 755 0 0\nc d 755 0 0\n/d d 9 0 0\n/e c 600 0 0 5\n/f d 755 0 0 1 2\n\
             /g c 600 0 0 1 2 0 1 99999\n",
        )
        .unwrap_err();
        let text = error.to_string();
        for line in 1..=7 {
            assert!(text.contains(&format!("t.txt:{line}:1: ")), "line {line}: {text}");
        }
    }

    #[test]
    fn changing_what_is_not_there_names_the_line() {
        let error = tree("\n/nowhere f 644 0 0\n").unwrap_err();
        assert!(error.to_string().starts_with("t.txt:2: there is no /nowhere"), "{error}");
    }
}
