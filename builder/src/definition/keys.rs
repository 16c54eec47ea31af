//! Every key of an image definition: its type and unit, its default, how inheritance treats it.
//!
//! The reader refuses what is not listed here and takes the defaults from here,
//! and a test holds `docs/image-definition.md` to it.

use std::fmt;

/// A key of an image definition.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Dotted name; `[]` stands for each entry of an array of tables.
    pub name: &'static str,
    /// Type and unit.
    pub kind: Kind,
    /// What a later file of an `inherit` chain does to it.
    pub merge: Merge,
    /// What holds where nobody says anything.
    pub default: Default,
}

/// What holds for a key that is not written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Default {
    /// This value, as TOML.
    Toml(&'static str),
    /// Something that follows from other keys, in words.
    Derived(&'static str),
    /// Nothing: the key is optional.
    Nothing,
    /// The key must be written.
    Required,
}

/// The type and unit of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Text.
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of text.
    Texts,
    /// A list of these words.
    Words(&'static [&'static str]),
    /// `true` or `false`.
    Flag,
    /// A whole number in this range.
    Number(i64, i64),
    /// Bytes as text: `"64MiB"`.
    Size,
    /// Bytes as text, or `"minimal"`.
    SizeOrMinimal,
    /// File permissions as octal text: `"0644"`.
    Mode,
    /// A table.
    Table,
    /// An array of tables.
    Tables,
}

/// What a later file of an `inherit` chain does to a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Merge {
    /// It takes the value's place.
    Replace,
    /// It adds to the list; what is there already moves to its end.
    Append,
    /// As `Append`, before and behind the `--` of a kernel's command line each for itself.
    AppendParameters,
    /// Entries with the same name (and, for packages, architecture) or path take each other's
    /// place; others are added.
    ByName,
    /// Key by key, as each of them says.
    PerKey,
    /// It is not inherited.
    Own,
    /// It goes with the entry it belongs to.
    Entry,
}

const ARCHES: &[&str] = &["x86_64", "aarch64"];
const OUTPUTS: &[&str] = &["initramfs", "root", "uki", "disk", "qcow2", "iso"];
const DISK_INITRAMFS: &[&str] = &["none", "root", "system"];
const BUSES: &[&str] = &["virtio-blk", "virtio-scsi", "nvme", "sata", "ide"];
const PACKAGE_ARCHES: &[&str] = &["native", "i386"];
const MOUNTED: &[&str] = &["ext4", "vfat", "tmpfs", "bind", "overlay"];
const COMPRESSIONS: &[&str] = &["zstd", "gzip", "none"];
/// Largest uid or gid: the one above means "no change" to chown(2).
const ID_MAX: i64 = 0xffff_fffe;

const fn key(name: &'static str, kind: Kind, merge: Merge, default: Default) -> Key {
    Key { name, kind, merge, default }
}

/// Every key, in the order of the documentation.
pub const KEYS: &[Key] = &[
    key("description", Kind::Text, Merge::Replace, Default::Toml("\"\"")),
    key("inherit", Kind::Texts, Merge::Own, Default::Toml("[]")),
    key("arch", Kind::Words(ARCHES), Merge::Replace, Default::Toml("[\"x86_64\", \"aarch64\"]")),
    key("hostname", Kind::Text, Merge::Replace, Default::Toml("\"keelson\"")),
    key("outputs", Kind::Words(OUTPUTS), Merge::Replace, Default::Toml("[\"initramfs\"]")),
    key("services", Kind::Texts, Merge::Append, Default::Toml("[]")),
    key("overlays", Kind::Texts, Merge::Append, Default::Toml("[]")),
    key("kernel", Kind::Table, Merge::PerKey, Default::Nothing),
    key("kernel.fragments", Kind::Texts, Merge::Replace, Default::Toml("[\"default\"]")),
    key("kernel.options", Kind::Texts, Merge::Append, Default::Toml("[]")),
    key("kernel.command-line", Kind::Texts, Merge::AppendParameters, Default::Toml("[]")),
    key("kernel.x86_64", Kind::Table, Merge::PerKey, Default::Nothing),
    key("kernel.x86_64.fragments", Kind::Texts, Merge::Append, Default::Toml("[]")),
    key("kernel.x86_64.command-line", Kind::Texts, Merge::AppendParameters, Default::Toml("[]")),
    key("kernel.aarch64", Kind::Table, Merge::PerKey, Default::Nothing),
    key("kernel.aarch64.fragments", Kind::Texts, Merge::Append, Default::Toml("[]")),
    key("kernel.aarch64.command-line", Kind::Texts, Merge::AppendParameters, Default::Toml("[]")),
    key("initramfs", Kind::Table, Merge::PerKey, Default::Nothing),
    key(
        "initramfs.compression",
        Kind::Word(COMPRESSIONS),
        Merge::Replace,
        Default::Toml("\"zstd\""),
    ),
    key("initramfs.level", Kind::Number(1, 22), Merge::Replace, Default::Toml("8")),
    key("root", Kind::Table, Merge::PerKey, Default::Nothing),
    key("root.size", Kind::SizeOrMinimal, Merge::Replace, Default::Toml("\"minimal\"")),
    key("root.free", Kind::Size, Merge::Replace, Default::Toml("\"16MiB\"")),
    key("root.label", Kind::Text, Merge::Replace, Default::Toml("\"root\"")),
    key("disk", Kind::Table, Merge::PerKey, Default::Nothing),
    key("disk.size", Kind::SizeOrMinimal, Merge::Replace, Default::Toml("\"minimal\"")),
    key("disk.esp-size", Kind::SizeOrMinimal, Merge::Replace, Default::Toml("\"minimal\"")),
    key("disk.initramfs", Kind::Word(DISK_INITRAMFS), Merge::Replace, Default::Toml("\"none\"")),
    key("disk.buses", Kind::Words(BUSES), Merge::Replace, Default::Toml("[\"virtio-blk\"]")),
    key("disk.arch", Kind::Words(ARCHES), Merge::Replace, Default::Toml("[]")),
    key("tool", Kind::Tables, Merge::ByName, Default::Nothing),
    key("tool[].name", Kind::Text, Merge::Entry, Default::Required),
    key("tool[].path", Kind::Text, Merge::Entry, Default::Derived("`/usr/bin/NAME`")),
    key("tool[].links", Kind::Texts, Merge::Entry, Default::Toml("[]")),
    key("crate", Kind::Tables, Merge::ByName, Default::Nothing),
    key("crate[].name", Kind::Text, Merge::Entry, Default::Required),
    key("crate[].version", Kind::Text, Merge::Entry, Default::Nothing),
    key("crate[].path", Kind::Text, Merge::Entry, Default::Nothing),
    key("crate[].features", Kind::Texts, Merge::Entry, Default::Toml("[]")),
    key("crate[].default-features", Kind::Flag, Merge::Entry, Default::Toml("true")),
    key("crate[].commands", Kind::Texts, Merge::Entry, Default::Toml("[]")),
    key("crate[].descriptions", Kind::Texts, Merge::Entry, Default::Toml("[]")),
    key("crate[].binaries", Kind::Tables, Merge::Entry, Default::Required),
    key("crate[].binaries[].name", Kind::Text, Merge::Entry, Default::Required),
    key("crate[].binaries[].path", Kind::Text, Merge::Entry, Default::Derived("`/usr/bin/NAME`")),
    key("crate[].binaries[].links", Kind::Texts, Merge::Entry, Default::Toml("[]")),
    key("package", Kind::Tables, Merge::ByName, Default::Nothing),
    key("package[].name", Kind::Text, Merge::Entry, Default::Required),
    key("package[].arch", Kind::Word(PACKAGE_ARCHES), Merge::Entry, Default::Toml("\"native\"")),
    key("package[].version", Kind::Text, Merge::Entry, Default::Nothing),
    key("package[].paths", Kind::Texts, Merge::Entry, Default::Toml("[]")),
    key("package[].depends", Kind::Flag, Merge::Entry, Default::Toml("false")),
    key("package[].program", Kind::Text, Merge::Entry, Default::Nothing),
    key("package[].commands", Kind::Texts, Merge::Entry, Default::Toml("[]")),
    key("package[].replace", Kind::Flag, Merge::Entry, Default::Toml("false")),
    key("mount", Kind::Tables, Merge::ByName, Default::Nothing),
    key("mount[].name", Kind::Text, Merge::Entry, Default::Required),
    key("mount[].description", Kind::Text, Merge::Entry, Default::Toml("\"\"")),
    key("mount[].what", Kind::Text, Merge::Entry, Default::Nothing),
    key("mount[].where", Kind::Text, Merge::Entry, Default::Required),
    key("mount[].type", Kind::Word(MOUNTED), Merge::Entry, Default::Required),
    key("mount[].options", Kind::Texts, Merge::Entry, Default::Toml("[]")),
    key("mount[].check", Kind::Flag, Merge::Entry, Default::Toml("true")),
    key("mount[].grow", Kind::Flag, Merge::Entry, Default::Toml("false")),
    key("mount[].device-timeout", Kind::Text, Merge::Entry, Default::Toml("\"30s\"")),
    key("mount[].requires", Kind::Texts, Merge::Entry, Default::Toml("[]")),
    key("data", Kind::Table, Merge::PerKey, Default::Nothing),
    key("data.where", Kind::Text, Merge::Replace, Default::Nothing),
    key("data.label", Kind::Text, Merge::Replace, Default::Toml("\"data\"")),
    key("data.size-min", Kind::Size, Merge::Replace, Default::Toml("\"64MiB\"")),
    key("data.options", Kind::Texts, Merge::Replace, Default::Toml("[\"nosuid\", \"nodev\"]")),
    key("user", Kind::Tables, Merge::ByName, Default::Nothing),
    key("user[].name", Kind::Text, Merge::Entry, Default::Required),
    key("user[].uid", Kind::Number(0, ID_MAX), Merge::Entry, Default::Required),
    key("user[].group", Kind::Text, Merge::Entry, Default::Derived("the user's name")),
    key("user[].description", Kind::Text, Merge::Entry, Default::Toml("\"\"")),
    key("user[].home", Kind::Text, Merge::Entry, Default::Toml("\"/\"")),
    key("user[].shell", Kind::Text, Merge::Entry, Default::Toml("\"/usr/sbin/nologin\"")),
    key("user[].password", Kind::Text, Merge::Entry, Default::Toml("\"!\"")),
    key("user[].ssh-keys", Kind::Texts, Merge::Entry, Default::Toml("[]")),
    key("group", Kind::Tables, Merge::ByName, Default::Nothing),
    key("group[].name", Kind::Text, Merge::Entry, Default::Required),
    key("group[].gid", Kind::Number(0, ID_MAX), Merge::Entry, Default::Required),
    key("group[].members", Kind::Texts, Merge::Entry, Default::Toml("[]")),
    key("file", Kind::Tables, Merge::ByName, Default::Nothing),
    key("file[].path", Kind::Text, Merge::Entry, Default::Required),
    key("file[].content", Kind::Text, Merge::Entry, Default::Nothing),
    key("file[].source", Kind::Text, Merge::Entry, Default::Nothing),
    key("file[].mode", Kind::Mode, Merge::Entry, Default::Toml("\"0644\"")),
    key("file[].user", Kind::Text, Merge::Entry, Default::Toml("\"root\"")),
    key("file[].group", Kind::Text, Merge::Entry, Default::Toml("\"root\"")),
    key("file[].replace", Kind::Flag, Merge::Entry, Default::Toml("false")),
    key("directory", Kind::Tables, Merge::ByName, Default::Nothing),
    key("directory[].path", Kind::Text, Merge::Entry, Default::Required),
    key("directory[].mode", Kind::Mode, Merge::Entry, Default::Toml("\"0755\"")),
    key("directory[].user", Kind::Text, Merge::Entry, Default::Toml("\"root\"")),
    key("directory[].group", Kind::Text, Merge::Entry, Default::Toml("\"root\"")),
    key("symlink", Kind::Tables, Merge::ByName, Default::Nothing),
    key("symlink[].path", Kind::Text, Merge::Entry, Default::Required),
    key("symlink[].target", Kind::Text, Merge::Entry, Default::Required),
    key("symlink[].replace", Kind::Flag, Merge::Entry, Default::Toml("false")),
];

/// The keys that may stand directly in the table of this dotted name, which is
/// empty for the file itself.
pub fn keys_in(table: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter_map(move |key| {
        let rest = match table {
            "" => key.name,
            _ => key.name.strip_prefix(table)?.strip_prefix('.')?,
        };
        (!rest.contains(['.', '['])).then_some(rest)
    })
}

/// The key of this dotted name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The definition from which every `inherit` chain starts: all defaults but
/// those of entries, which the reader fills in.
#[must_use]
pub fn defaults() -> String {
    KEYS.iter().filter(|key| !key.name.contains("[]")).fold(String::new(), |text, key| {
        match key.default {
            Default::Toml(value) => text + key.name + " = " + value + "\n",
            _ => text,
        }
    })
}

/// As the documentation and the messages name it.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = |words: &[&str]| {
            words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Text => write!(f, "text"),
            Self::Word(choice) => write!(f, "one of {}", words(choice)),
            Self::Texts => write!(f, "list of text"),
            Self::Words(choice) => write!(f, "list out of {}", words(choice)),
            Self::Flag => write!(f, "true or false"),
            Self::Number(low, high) => write!(f, "number from {low} to {high}"),
            Self::Size => write!(f, "size such as \"64MiB\""),
            Self::SizeOrMinimal => write!(f, "size such as \"64MiB\", or \"minimal\""),
            Self::Mode => write!(f, "octal mode such as \"0644\""),
            Self::Table => write!(f, "table"),
            Self::Tables => write!(f, "array of tables"),
        }
    }
}

/// As the documentation says it.
impl fmt::Display for Merge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replace => "replace",
            Self::Append | Self::AppendParameters => "append",
            Self::ByName => "by name",
            Self::PerKey => "per key",
            Self::Own => "not inherited",
            Self::Entry => "with its entry",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The row of `docs/image-definition.md` that describes a key.
    fn row(document: &str, name: &str) -> Option<Vec<String>> {
        let start = format!("| `{name}` |");
        let line = document.lines().find(|line| line.starts_with(&start))?;
        Some(line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect())
    }

    #[test]
    fn every_key_is_documented_with_type_default_and_merge() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/image-definition.md");
        let document = std::fs::read_to_string(path).unwrap();
        let mut wrong = Vec::new();
        for key in KEYS {
            let kind = key.kind.to_string().replace(" such as \"64MiB\"", "");
            let kind = kind.replace(" such as \"0644\"", "");
            let default = match key.default {
                Default::Toml(value) => format!("`{value}`"),
                Default::Derived(words) => words.to_owned(),
                Default::Nothing => "none".to_owned(),
                Default::Required => "required".to_owned(),
            };
            let expected = [format!("`{}`", key.name), kind, default, key.merge.to_string()];
            match row(&document, key.name) {
                Some(row) if row[..4] == expected => {}
                row => wrong.push(format!("| {} | but has {row:?}", expected.join(" | "))),
            }
        }
        assert!(wrong.is_empty(), "docs/image-definition.md needs\n{}", wrong.join("\n"));
    }

    #[test]
    fn defaults_obey_the_rules() {
        let mut findings = Vec::new();
        super::super::reader::read("defaults", &defaults(), &mut findings);
        assert_eq!(findings, []);
    }
}
