//! The lists by which modules are found, below `/lib/modules/RELEASE`:
//! `modules.dep` (modules.dep(5)), `modules.alias` and `modules.softdep`
//! (modprobe.d(5) has their lines), and the kernel's own `modules.builtin.modinfo`.
//!
//! The builder writes them as depmod(8) does, `modprobe` and `devd` read them.
//! Absent: their binary forms, `modules.symbols`, `modules.devname`.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::modinfo::{Modinfo, canonical, name_of};

/// A module's file below the directory, `kernel/drivers/net/dummy.ko`, and what is in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Module {
    /// Its path.
    pub path: String,
    /// What it says.
    pub info: Modinfo,
}

/// The lists as text, a line each.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Lists {
    /// `modules.dep`: each module with all it needs, what is needed first being last.
    pub dep: String,
    /// `modules.alias`.
    pub alias: String,
    /// `modules.softdep`.
    pub softdep: String,
}

/// Writes the lists, in the order in which the modules are given.
///
/// # Errors
/// Every module that needs one that is not there, that needs itself, or that has
/// another one's name: fragments that name it.
pub fn write(modules: &[Module]) -> Result<Lists, Vec<String>> {
    let mut problems = Vec::new();
    let mut by_name = BTreeMap::new();
    for (index, module) in modules.iter().enumerate() {
        match name_of(&module.path) {
            None => problems.push(format!("{} is no module's path", module.path)),
            Some(name) => {
                if let Some(earlier) = by_name.insert(name.clone(), index) {
                    let earlier = modules.get(earlier).map_or("", |earlier| &earlier.path);
                    problems.push(format!("{} and {earlier} are both {name}", module.path));
                }
            }
        }
    }
    let mut lists = Lists::default();
    for (index, module) in modules.iter().enumerate() {
        match needed(modules, &by_name, index) {
            Ok(needed) => {
                let _ = write!(lists.dep, "{}:", module.path);
                for path in needed.iter().rev() {
                    let _ = write!(lists.dep, " {path}");
                }
                lists.dep.push('\n');
            }
            Err(problem) => problems.push(problem),
        }
        let name = name_of(&module.path).unwrap_or_default();
        for alias in module.info.values("alias").filter(|alias| is_word(alias)) {
            let _ = writeln!(lists.alias, "alias {alias} {name}");
        }
        for wishes in module.info.values("softdep") {
            let words: Vec<&str> = wishes.split_whitespace().collect();
            let _ = writeln!(lists.softdep, "softdep {name} {}", words.join(" "));
        }
    }
    if problems.is_empty() { Ok(lists) } else { Err(problems) }
}

/// The paths of all that a module needs, each behind what it needs itself.
fn needed<'a>(
    modules: &'a [Module],
    by_name: &BTreeMap<String, usize>,
    of: usize,
) -> Result<Vec<&'a str>, String> {
    let mut loaded: Vec<usize> = Vec::new();
    // Modules that wait for another, with what they still need.
    let mut waiting = alloc::vec![(of, needs(modules, by_name, of)?)];
    while let Some((module, rest)) = waiting.last_mut() {
        let module = *module;
        match rest.pop() {
            None => {
                loaded.push(module);
                waiting.pop();
            }
            Some(next) if loaded.contains(&next) => {}
            Some(next) if waiting.iter().any(|(module, _)| *module == next) => {
                let name = |index: usize| modules.get(index).and_then(|one| name_of(&one.path));
                let circle = waiting.iter().map(|(module, _)| *module).chain([next]);
                let circle: Vec<String> =
                    circle.skip_while(|index| *index != next).filter_map(name).collect();
                return Err(format!("modules need each other: {}", circle.join(" needs ")));
            }
            Some(next) => waiting.push((next, needs(modules, by_name, next)?)),
        }
    }
    loaded.pop();
    Ok(loaded.into_iter().filter_map(|index| Some(modules.get(index)?.path.as_str())).collect())
}

/// What a module itself names as needed, last first.
fn needs(
    modules: &[Module],
    by_name: &BTreeMap<String, usize>,
    of: usize,
) -> Result<Vec<usize>, String> {
    let Some(module) = modules.get(of) else { return Ok(Vec::new()) };
    let find = |name: &str| {
        let index = by_name.get(&canonical(name)).copied();
        index.ok_or_else(|| format!("{} needs {name}, which is not there", module.path))
    };
    let mut needs = module.info.depends().map(find).collect::<Result<Vec<_>, _>>()?;
    needs.reverse();
    Ok(needs)
}

/// Whether it can stand in a line of words.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::is_whitespace)
}

/// A line of a list that is none, from 1.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BadLine {
    /// The line.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// A module of `modules.dep`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its path.
    pub path: String,
    /// The paths of all that it needs, in the order in which they are loaded.
    pub needs: Vec<String>,
}

/// Reads `modules.dep`: modules by their names.
///
/// # Errors
/// The first line that is none, or whose path leads out of the directory.
pub fn parse_dep(text: &str) -> Result<BTreeMap<String, Entry>, BadLine> {
    let mut entries = BTreeMap::new();
    for (line, number) in lines(text) {
        let bad = |message: &str| BadLine { line: number, message: message.to_owned() };
        let (path, needs) = line.split_once(':').ok_or_else(|| bad("there is no colon"))?;
        let mut needs: Vec<String> = needs.split_whitespace().map(str::to_owned).collect();
        if let Some(stray) = needs.iter().map(String::as_str).chain([path]).find(|one| !stays(one))
        {
            return Err(bad(&format!("`{stray}` is no path of a module below the directory")));
        }
        needs.reverse();
        let name = name_of(path).unwrap_or_default();
        entries.insert(name, Entry { path: path.to_owned(), needs });
    }
    Ok(entries)
}

/// Whether a path is that of a module below the directory.
fn stays(path: &str) -> bool {
    let is_inside = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    is_inside && name_of(path).is_some()
}

/// Reads `modules.alias`: patterns with the name of their module, in order.
///
/// # Errors
/// The first line that is none.
pub fn parse_alias(text: &str) -> Result<Vec<(String, String)>, BadLine> {
    let alias = |(line, number): (&str, usize)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["alias", pattern, module] => Ok((pattern.to_owned(), canonical(module))),
            _ => Err(BadLine { line: number, message: "it is no `alias PATTERN MODULE`".into() }),
        }
    };
    lines(text).map(alias).collect()
}

/// What is loaded beside a module, if it is there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wishes {
    /// Before it.
    pub pre: Vec<String>,
    /// After it.
    pub post: Vec<String>,
}

/// Reads `modules.softdep`: wishes by the module's name.
///
/// # Errors
/// The first line that is none.
pub fn parse_softdep(text: &str) -> Result<BTreeMap<String, Wishes>, BadLine> {
    let mut all: BTreeMap<String, Wishes> = BTreeMap::new();
    for (line, number) in lines(text) {
        let bad = || BadLine {
            line: number,
            message: "it is no `softdep MODULE pre: MODULE... post: MODULE...`".to_string(),
        };
        let mut words = line.split_whitespace();
        let (Some("softdep"), Some(module)) = (words.next(), words.next()) else {
            return Err(bad());
        };
        let wishes = all.entry(canonical(module)).or_default();
        let mut list = None;
        for word in words {
            match (word, &mut list) {
                ("pre:", _) => list = Some(true),
                ("post:", _) => list = Some(false),
                (module, Some(true)) => wishes.pre.push(module.to_owned()),
                (module, Some(false)) => wishes.post.push(module.to_owned()),
                (_, None) => return Err(bad()),
            }
        }
    }
    Ok(all)
}

/// Reads `modules.builtin.modinfo`, records `MODULE.KEY=VALUE`: what is built into the
/// kernel, by name, and the aliases of it.
#[must_use]
pub fn parse_builtin(bytes: &[u8]) -> BTreeMap<String, Vec<(String, String)>> {
    let mut all: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for (key, value) in Modinfo::of_section(bytes).records() {
        if let Some((module, key)) = key.split_once('.') {
            let records = all.entry(canonical(module)).or_default();
            records.push((key.to_owned(), value.to_owned()));
        }
    }
    all
}

/// Lines that are no comments, with their numbers from 1.
fn lines(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let is_said = |(line, _): &(&str, usize)| !line.trim().is_empty() && !line.starts_with('#');
    text.lines().zip(1..).filter(is_said)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(path: &str, section: &str) -> Module {
        Module { path: path.into(), info: Modinfo::of_section(section.as_bytes()) }
    }

    #[test]
    fn what_is_written_is_read() {
        let modules = [
            module("kernel/fs/fat/vfat.ko", "alias=fs-vfat\0depends=fat,nls-x\0"),
            module("kernel/fs/fat/fat.ko", "depends=nls_x,base\0softdep=pre: a  b post: c\0"),
            module("kernel/nls-x.ko", "depends=base\0alias=two words\0"),
            module("kernel/base.ko", "depends=\0"),
        ];
        let lists = write(&modules).unwrap();
        assert_eq!(
            lists.dep,
            "kernel/fs/fat/vfat.ko: kernel/fs/fat/fat.ko kernel/nls-x.ko kernel/base.ko\n\
             kernel/fs/fat/fat.ko: kernel/nls-x.ko kernel/base.ko\n\
             kernel/nls-x.ko: kernel/base.ko\n\
             kernel/base.ko:\n"
        );
        assert_eq!(lists.alias, "alias fs-vfat vfat\n");
        assert_eq!(lists.softdep, "softdep fat pre: a b post: c\n");
        let entries = parse_dep(&lists.dep).unwrap();
        let needs = ["kernel/base.ko", "kernel/nls-x.ko", "kernel/fs/fat/fat.ko"];
        assert_eq!(entries["vfat"].needs, needs);
        assert_eq!(entries["nls_x"].path, "kernel/nls-x.ko");
        assert_eq!(parse_alias(&lists.alias).unwrap(), [("fs-vfat".into(), "vfat".into())]);
        let wishes = parse_softdep(&lists.softdep).unwrap();
        assert_eq!(wishes["fat"].pre, ["a", "b"]);
        assert_eq!(wishes["fat"].post, ["c"]);
    }

    #[test]
    fn modules_that_cannot_be_loaded_are_all_named() {
        let modules = [
            module("a.ko", "depends=b\0"),
            module("b.ko", "depends=c\0"),
            module("c.ko", "depends=b\0"),
            module("d.ko", "depends=gone\0"),
            module("x/d.ko", ""),
            module("e.txt", ""),
        ];
        let problems = write(&modules).unwrap_err().join("\n");
        for expected in [
            "x/d.ko and d.ko are both d",
            "e.txt is no module's path",
            "modules need each other: b needs c needs b",
            "modules need each other: c needs b needs c",
            "d.ko needs gone, which is not there",
        ] {
            assert!(problems.contains(expected), "{expected}: {problems}");
        }
    }

    #[test]
    fn lines_that_are_none_are_refused() {
        for (text, line) in [
            ("# comment\n\nkernel/a.ko", 3),
            ("kernel/a.ko: ../b.ko\n", 1),
            ("a.ko:\n/etc/passwd.ko:\n", 2),
            ("kernel//a.ko:\n", 1),
            ("kernel/a.o:\n", 1),
        ] {
            assert_eq!(parse_dep(text).unwrap_err().line, line, "{text}");
        }
        for text in ["alias a\n", "alias a b c\n", "options a b\n"] {
            assert_eq!(parse_alias(text).unwrap_err().line, 1, "{text}");
        }
        for text in ["softdep\n", "softdep a b\n", "alias a b\n"] {
            assert_eq!(parse_softdep(text).unwrap_err().line, 1, "{text}");
        }
        // One that names itself as needed is loaded once; no list can make a circle.
        assert_eq!(parse_dep("a.ko: b.ko\nb.ko: a.ko\n").unwrap()["a"].needs, ["b.ko"]);
    }

    #[test]
    fn what_is_built_in_has_records_by_module() {
        let all = parse_builtin(b"ext4.license=GPL\0ext4.alias=fs-ext4\0no-dot\0a-b.alias=x\0=\0");
        assert_eq!(all["ext4"][1], ("alias".to_owned(), "fs-ext4".to_owned()));
        assert!(all.contains_key("a_b") && all.len() == 2);
    }
}
