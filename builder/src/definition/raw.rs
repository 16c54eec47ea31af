//! Untrusted definitions: values with their places, and how later files change earlier ones.
//!
//! Merging follows the `merge` column of [`super::keys::KEYS`] and nothing else.

use std::collections::BTreeMap;

use init_core::diagnostic::{Finding, Place};

use super::keys::{KEYS, Merge};
use crate::command_line;
use crate::tree::TreePath;

/// The arrays whose entries take places of the tree: at a path there is one thing, of whatever kind.
const BY_PATH: [&str; 3] = ["file", "directory", "symlink"];

/// A value and where it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Located<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub place: Place,
}

/// A value of the type its key asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Text or a word.
    Text(String),
    /// Text or words.
    List(Vec<Located<String>>),
    /// Yes or no.
    Flag(bool),
    /// A number within its key's range.
    Number(i64),
    /// A size in bytes.
    Bytes(u64),
    /// Permission bits.
    Mode(u16),
    /// A table.
    Table(Table),
    /// An array of tables.
    Tables(Vec<Table>),
}

/// A table whose keys are all known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Where it starts.
    pub place: Place,
    entries: BTreeMap<String, Located<Value>>,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self { place, entries: BTreeMap::new() }
    }

    /// Sets a key.
    pub fn insert(&mut self, key: String, value: Located<Value>) {
        self.entries.insert(key, value);
    }

    /// The value of a key and its place.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Located<Value>> {
        self.entries.get(key)
    }

    /// The text of a key.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number of a key.
    #[must_use]
    pub fn number(&self, key: &str) -> Option<i64> {
        match self.get(key)?.value {
            Value::Number(number) => Some(number),
            _ => None,
        }
    }

    /// The list of a key; empty if it is not there.
    #[must_use]
    pub fn list(&self, key: &str) -> &[Located<String>] {
        match self.get(key).map(|located| &located.value) {
            Some(Value::List(list)) => list,
            _ => &[],
        }
    }

    /// The tables of a key; none if it is not there.
    #[must_use]
    pub fn tables(&self, key: &str) -> &[Self] {
        match self.get(key).map(|located| &located.value) {
            Some(Value::Tables(tables)) => tables,
            _ => &[],
        }
    }

    /// The table of a key.
    #[must_use]
    pub fn table(&self, key: &str) -> Option<&Self> {
        match &self.get(key)?.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Whether a key is there and `true`.
    #[must_use]
    pub fn flag(&self, key: &str) -> bool {
        matches!(self.get(key), Some(Located { value: Value::Flag(true), .. }))
    }

    /// Where a key's value is, or where the table starts.
    #[must_use]
    pub fn place_of(&self, key: &str) -> Place {
        self.get(key).map_or_else(|| self.place.clone(), |located| located.place.clone())
    }

    /// What tells an entry of an array of tables from the others: its name or
    /// path, and for a package that is not the image's own architecture's, which.
    #[must_use]
    pub fn identity(&self) -> Option<String> {
        let name = self.text("name").or_else(|| self.text("path"))?;
        Some(match self.text("arch") {
            None | Some("native") => name.to_owned(),
            Some(arch) => format!("{name}:{arch}"),
        })
    }

    /// Lets `later`, the next file of an `inherit` chain, change this one.
    /// Both are whole files.
    pub fn merge(&mut self, later: Self) {
        self.make_way(&later);
        self.merge_below("", later);
    }

    /// Takes out the entries whose paths `later` has something for, be it of another kind.
    fn make_way(&mut self, later: &Self) {
        let taken: Vec<TreePath> =
            BY_PATH.iter().flat_map(|key| later.tables(key)).filter_map(path_of).collect();
        for key in BY_PATH {
            let old = self.entries.get_mut(key).map(|located| &mut located.value);
            if let Some(Value::Tables(old)) = old {
                old.retain(|there| path_of(there).is_none_or(|path| !taken.contains(&path)));
            }
        }
    }

    fn merge_below(&mut self, name: &str, later: Self) {
        for (key, value) in later.entries {
            let dotted = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
            let rule = KEYS.iter().find(|rule| rule.name == dotted).map(|rule| rule.merge);
            match (rule, self.entries.get_mut(&key).map(|old| &mut old.value), value.value) {
                (Some(Merge::PerKey), Some(Value::Table(old)), Value::Table(new)) => {
                    old.merge_below(&dotted, new);
                }
                (Some(Merge::Append), Some(Value::List(old)), Value::List(new)) => {
                    append(old, new);
                }
                (Some(Merge::AppendParameters), Some(Value::List(old)), Value::List(new)) => {
                    append_parameters(old, new);
                }
                (Some(Merge::ByName), Some(Value::Tables(old)), Value::Tables(new)) => {
                    old.retain(|there| {
                        new.iter().all(|entry| entry.identity() != there.identity())
                    });
                    old.extend(new);
                }
                (_, _, new) => {
                    self.entries.insert(key, Located { value: new, place: value.place });
                }
            }
        }
    }

    /// Findings for entries of one file that have the same name or path.
    pub fn find_duplicates(&self, findings: &mut Vec<Finding>) {
        for key in KEYS.iter().filter(|key| key.merge == Merge::ByName) {
            let tables = self.tables(key.name);
            for (index, table) in tables.iter().enumerate() {
                let Some(identity) = table.identity() else { continue };
                if tables[..index].iter().any(|other| other.identity().as_ref() == Some(&identity))
                {
                    let message = format!("`{}` {identity:?} is described twice", key.name);
                    findings.push(Finding::new(table.place.clone(), message));
                }
            }
        }
        self.find_shared_paths(findings);
    }

    /// Findings for paths that one file has entries of two kinds for.
    fn find_shared_paths(&self, findings: &mut Vec<Finding>) {
        let mut known: BTreeMap<TreePath, (&str, &Self)> = BTreeMap::new();
        for kind in BY_PATH {
            for entry in self.tables(kind) {
                let Some(path) = path_of(entry) else { continue };
                let (other_kind, other) = *known.entry(path.clone()).or_insert((kind, entry));
                if other_kind != kind {
                    let message =
                        format!("the `{kind}` {path} is a `{other_kind}` too, at {}", other.place);
                    let finding = Finding::new(entry.place.clone(), message);
                    findings.push(finding.with_hint("let one of the two go"));
                }
            }
        }
    }
}

/// Adds the entries of `new` behind all others, once: where the last one counts, as among kernel
/// options and overlays, that is the one that the later file has named.
fn append(old: &mut Vec<Located<String>>, new: Vec<Located<String>>) {
    for entry in new {
        old.retain(|there| there.value != entry.value);
        old.push(entry);
    }
}

/// Adds kernel parameters and, behind one `--`, the arguments of init.
fn append_parameters(old: &mut Vec<Located<String>>, new: Vec<Located<String>>) {
    let is_mark = |word: &&Located<String>| word.value == command_line::MARK;
    let mark = old.iter().chain(&new).find(is_mark).cloned();
    let (kernel, init) = command_line::split(std::mem::take(old), |word| &word.value);
    let (new_kernel, new_init) = command_line::split(new, |word| &word.value);
    *old = kernel;
    append(old, new_kernel);
    old.extend(mark);
    let mut arguments = init;
    append(&mut arguments, new_init);
    old.extend(arguments);
}

/// The path of an entry, however it is written: `/etc//hosts` is `/etc/hosts`.
fn path_of(entry: &Table) -> Option<TreePath> {
    TreePath::new(entry.text("path")?).ok()
}

#[cfg(test)]
mod tests {
    use super::super::reader::read;
    use super::*;

    fn table(text: &str) -> Table {
        let mut findings = Vec::new();
        let table = read("t.toml", text, &mut findings);
        assert_eq!(findings, []);
        table
    }

    fn words(table: &Table, key: &str) -> Vec<String> {
        table.list(key).iter().map(|entry| entry.value.clone()).collect()
    }

    #[test]
    fn later_files_replace_append_and_merge_as_the_keys_say() {
        let mut base = table(
            "hostname = \"a\"\noutputs = [\"disk\"]\nservices = [\"x\", \"y\"]\n\
             [kernel]\ncommand-line = [\"a\"]\n[root]\nsize = \"1MiB\"\nlabel = \"old\"\n\
             [[user]]\nname = \"u\"\nuid = 1\n[[user]]\nname = \"v\"\nuid = 2\n",
        );
        base.merge(table(
            "hostname = \"b\"\noutputs = [\"root\"]\nservices = [\"y\", \"z\"]\n\
             [kernel]\ncommand-line = [\"b\"]\n[root]\nlabel = \"new\"\n\
             [[user]]\nname = \"u\"\nuid = 9\n",
        ));
        assert_eq!(base.text("hostname"), Some("b"));
        assert_eq!(words(&base, "outputs"), ["root"]);
        assert_eq!(words(&base, "services"), ["x", "y", "z"]);
        assert_eq!(words(base.table("kernel").unwrap(), "command-line"), ["a", "b"]);
        let root = base.table("root").unwrap();
        assert_eq!(root.text("label"), Some("new"));
        assert_eq!(root.get("size").unwrap().value, Value::Bytes(1 << 20));
        let users: Vec<_> = base.tables("user").iter().filter_map(Table::identity).collect();
        assert_eq!(users, ["v", "u"]);
        assert_eq!(base.tables("user")[1].get("uid").unwrap().value, Value::Number(9));
    }

    #[test]
    fn what_is_named_again_counts_as_named_last() {
        let list = |words| table(&format!("[kernel]\ncommand-line = [{words}]\n"));
        let mut merged = list("\"panic=10\", \"console=tty0\", \"console=ttyS0\"");
        merged.merge(list("\"panic=0\""));
        merged.merge(list("\"panic=10\", \"console=tty0\""));
        let kernel = merged.table("kernel").unwrap();
        let expected = ["console=ttyS0", "panic=0", "panic=10", "console=tty0"];
        assert_eq!(words(kernel, "command-line"), expected);
        assert_eq!(kernel.list("command-line")[3].place.line, 2);
    }

    #[test]
    fn arguments_of_init_stay_behind_the_parameters_of_later_files() {
        for (base, later, expected) in [
            ("\"a\", \"--\", \"x\"", "\"b\"", "a b -- x"),
            ("\"a\"", "\"b\", \"--\", \"x\"", "a b -- x"),
            ("\"a\", \"--\", \"x\"", "\"x\", \"--\", \"x\", \"a\"", "a x -- x a"),
            ("\"a\", \"--\", \"x\", \"--\", \"y\"", "\"b\"", "a b -- x y"),
        ] {
            for section in ["kernel", "kernel.x86_64", "kernel.aarch64"] {
                let list = |words| table(&format!("[{section}]\ncommand-line = [{words}]\n"));
                let mut base = list(base);
                base.merge(list(later));
                let mut table = &base;
                for name in section.split('.') {
                    table = table.table(name).unwrap();
                }
                assert_eq!(words(table, "command-line").join(" "), expected, "{section}");
            }
        }
    }

    #[test]
    fn what_a_later_file_has_for_a_path_is_all_there_is_at_it() {
        let kinds = ["[[file]]\ncontent = \"\"", "[[directory]]", "[[symlink]]\ntarget = \"x\""];
        for old in kinds {
            for new in kinds {
                let mut base = table(&format!("{old}\npath = \"/a\"\n{old}\npath = \"/b\"\n"));
                base.merge(table(&format!("{new}\npath = \"//a\"\n")));
                let mut paths: Vec<_> = BY_PATH
                    .iter()
                    .flat_map(|key| base.tables(key))
                    .map(|entry| entry.text("path").unwrap())
                    .collect();
                paths.sort_unstable();
                assert_eq!(paths, ["//a", "/b"], "{old}\n{new}");
            }
        }
    }

    #[test]
    fn a_path_with_two_kinds_of_things_in_one_file_is_found() {
        let mut findings = Vec::new();
        let text = "[[symlink]]\npath = \"/a\"\ntarget = \"x\"\nreplace = true\n\
                    [[file]]\npath = \"/a\"\ncontent = \"\"\n";
        table(text).find_duplicates(&mut findings);
        let texts: Vec<_> = findings.iter().map(ToString::to_string).collect();
        let expected = "t.toml:1:1: the `symlink` /a is a `file` too, at t.toml:5:1\n  \
                        hint: let one of the two go";
        assert_eq!(texts, [expected]);
    }

    #[test]
    fn an_entry_described_twice_in_one_file_is_found() {
        let mut findings = Vec::new();
        table("[[tool]]\nname = \"a\"\n[[tool]]\nname = \"a\"\n").find_duplicates(&mut findings);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].to_string().starts_with("t.toml:3:1: `tool` \"a\""), "{}", findings[0]);
    }
}
