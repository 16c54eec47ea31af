//! The description of a mount, `/usr/lib/mounts.d/NAME.toml`, and its reader:
//! the one parser for `mounter` and the builder. docs/devices-and-mounts.md has
//! the keys. Absent: swap, network file systems, automounting.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::diagnostic::Finding;
use crate::parse::reader::{Reader, Section, read_file};

/// Where descriptions are, and where the machine's own take their place.
pub const DIRECTORIES: [&str; 2] = ["/usr/lib/mounts.d", "/etc/mounts.d"];

/// Largest description file, in bytes.
pub const MOUNT_BYTES_MAX: usize = 16 * 1024;

/// Every key, in the order of the documentation.
pub const KEYS: &[&str] =
    &["description", "what", "where", "type", "options", "check", "grow", "device-timeout"];

/// What is mounted where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MountDescription {
    /// One line for people; may be empty.
    pub description: Box<str>,
    /// What is mounted.
    pub what: Source,
    /// Absolute path of the mount point.
    pub target: Box<str>,
    /// The file system.
    pub kind: MountKind,
    /// Options in the order given.
    pub options: Vec<Box<str>>,
    /// Whether a file system on a device is checked first.
    pub check: bool,
    /// Whether an ext4 is grown to the size of its device once it is mounted.
    pub grow: bool,
    /// Longest wait for the device.
    pub device_timeout: Duration,
}

/// Where a mount comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// A device, or for a bind mount a file or directory, by its path.
    Path(Box<str>),
    /// The file system with this UUID; lowercase.
    Uuid(Box<str>),
    /// The file system with this label.
    Label(Box<str>),
    /// The partition with this GUID; lowercase.
    PartitionUuid(Box<str>),
    /// The partition with this name.
    PartitionLabel(Box<str>),
    /// No device: memory, or other directories.
    Nothing,
}

/// A kind of file system that is mounted by description.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum MountKind {
    /// ext4.
    Ext4,
    /// FAT12, FAT16, FAT32 with long names.
    Vfat,
    /// Memory.
    Tmpfs,
    /// A directory or file that is somewhere else already.
    Bind,
    /// Directories on top of each other.
    Overlay,
}

impl MountKind {
    /// Every kind with the word that names it.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("ext4", Self::Ext4),
        ("vfat", Self::Vfat),
        ("tmpfs", Self::Tmpfs),
        ("bind", Self::Bind),
        ("overlay", Self::Overlay),
    ];

    /// The word that names it; the kernel's own name but for `bind`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Vfat => "vfat",
            Self::Tmpfs => "tmpfs",
            Self::Bind => "bind",
            Self::Overlay => "overlay",
        }
    }

    /// Whether it lies on a block device.
    #[must_use]
    pub const fn is_on_device(self) -> bool {
        matches!(self, Self::Ext4 | Self::Vfat)
    }

    /// The kernel option that it needs; `None` where every kernel has it.
    #[must_use]
    pub const fn kernel_option(self) -> Option<&'static str> {
        match self {
            Self::Ext4 => Some("EXT4_FS"),
            Self::Vfat => Some("VFAT_FS"),
            Self::Tmpfs => Some("TMPFS"),
            Self::Bind => None,
            Self::Overlay => Some("OVERLAY_FS"),
        }
    }
}

impl Source {
    /// Reads `/dev/…`, `UUID=…`, `LABEL=…`, `PARTUUID=…`, `PARTLABEL=…`. `None` if it is
    /// none of these.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.starts_with('/') {
            return Some(Self::Path(text.into()));
        }
        let (key, value) = text.split_once('=').filter(|(_, value)| !value.is_empty())?;
        match key {
            "UUID" => Some(Self::Uuid(value.to_lowercase().into())),
            "LABEL" => Some(Self::Label(value.into())),
            "PARTUUID" => Some(Self::PartitionUuid(value.to_lowercase().into())),
            "PARTLABEL" => Some(Self::PartitionLabel(value.into())),
            _ => None,
        }
    }
}

/// Reads the description in `bytes`, the content of `file`.
///
/// # Errors
/// All findings, in the order of the file; never an empty list.
pub fn parse_mount(file: &str, bytes: &[u8]) -> Result<MountDescription, Vec<Finding>> {
    read_file(file, bytes, MOUNT_BYTES_MAX, "docs/devices-and-mounts.md", read)
}

fn read<'t>(file: &Section<'t>, reader: &mut Reader<'t>) -> MountDescription {
    reader.check_keys(file, KEYS);
    let kind = reader.word(file, "type", &MountKind::WORDS);
    if file.get("type").is_none() {
        reader.report_hint(0..0, "\"type\" is missing", "for example type = \"ext4\"");
    }
    let kind = kind.unwrap_or(MountKind::Tmpfs);
    let flag = |reader: &mut Reader<'t>, key| reader.boolean(file, key).unwrap_or(false);
    let description = MountDescription {
        description: reader.string(file, "description").unwrap_or_default().into(),
        what: read_source(file, reader, kind),
        target: read_target(file, reader),
        kind,
        options: read_options(file, reader),
        check: reader.boolean(file, "check").unwrap_or(true),
        grow: flag(reader, "grow"),
        device_timeout: reader.duration(file, "device-timeout").unwrap_or(Duration::from_secs(30)),
    };
    if description.grow && kind != MountKind::Ext4 {
        let span = file.span_of("grow");
        reader.report(span, format!("\"grow\" is for ext4, not for {}", kind.as_str()));
    }
    description
}

fn read_source<'t>(file: &Section<'t>, reader: &mut Reader<'t>, kind: MountKind) -> Source {
    let needs = kind.is_on_device() || kind == MountKind::Bind;
    let Some(text) = reader.string(file, "what") else {
        if needs && file.get("what").is_none() {
            let example = match kind {
                MountKind::Bind => "name the directory: what = \"/data/home\"",
                _ => "name the device: what = \"LABEL=data\"",
            };
            reader.report_hint(0..0, format!("a {} needs \"what\"", kind.as_str()), example);
        }
        return Source::Nothing;
    };
    let span = file.span_of("what");
    match Source::parse(text) {
        _ if !needs => {
            reader.report(span, format!("a {} has no \"what\"", kind.as_str()));
            Source::Nothing
        }
        Some(Source::Path(path)) => Source::Path(path),
        Some(source) if kind != MountKind::Bind => source,
        _ => {
            let hint = match kind {
                MountKind::Bind => "write an absolute path",
                _ => "write a path, UUID=…, LABEL=…, PARTUUID=… or PARTLABEL=…",
            };
            reader.report_hint(span, format!("\"what\": {text:?} names nothing"), hint);
            Source::Nothing
        }
    }
}

fn read_target<'t>(file: &Section<'t>, reader: &mut Reader<'t>) -> Box<str> {
    let Some(text) = reader.string(file, "where") else {
        if file.get("where").is_none() {
            reader.report_hint(0..0, "\"where\" is missing", "for example where = \"/data\"");
        }
        return "/".into();
    };
    let mut parts = text.split('/').skip(1);
    let good = text.starts_with('/')
        && text.len() > 1
        && parts.all(|part| !part.is_empty() && part != "." && part != "..");
    if !good {
        let span = file.span_of("where");
        let hint = "write an absolute path other than \"/\", without \"..\" and a slash at its end";
        reader.report_hint(span, format!("\"where\": {text:?} is no mount point"), hint);
    }
    text.into()
}

fn read_options<'t>(file: &Section<'t>, reader: &mut Reader<'t>) -> Vec<Box<str>> {
    let mut options = Vec::new();
    for (text, span) in reader.strings(file, "options") {
        if text.is_empty() || text.contains([',', '\n']) {
            let hint = "each entry is one option: \"nodev\", \"size=64MiB\"";
            reader.report_hint(span, format!("\"options\": {text:?} is no option"), hint);
        }
        options.push(Box::from(text));
    }
    options
}

/// As people write it: `LABEL=data`, `/dev/vda3`.
impl core::fmt::Display for Source {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Uuid(uuid) => write!(f, "UUID={uuid}"),
            Self::Label(label) => write!(f, "LABEL={label}"),
            Self::PartitionUuid(uuid) => write!(f, "PARTUUID={uuid}"),
            Self::PartitionLabel(label) => write!(f, "PARTLABEL={label}"),
            Self::Nothing => f.write_str("none"),
        }
    }
}

/// The name of the service that keeps the mount `name`.
#[must_use]
pub fn service_name(name: &str) -> String {
    format!("mount-{name}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    fn findings(text: &str) -> String {
        let found = parse_mount("m.toml", text.as_bytes()).unwrap_err();
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_description_is_read_with_its_defaults() {
        let text = "what = \"LABEL=data\"\nwhere = \"/data\"\ntype = \"ext4\"\n";
        let found = parse_mount("m.toml", text.as_bytes()).unwrap();
        assert_eq!(found.what, Source::Label("data".into()));
        assert_eq!((&*found.target, found.kind), ("/data", MountKind::Ext4));
        assert!(found.check && !found.grow && found.options.is_empty());
        assert_eq!(found.device_timeout, Duration::from_secs(30));
        let text = "where = \"/scratch\"\ntype = \"tmpfs\"\noptions = [\"size=1m\", \"nodev\"]\n";
        let found = parse_mount("m.toml", text.as_bytes()).unwrap();
        assert_eq!((found.what, found.options.len()), (Source::Nothing, 2));
    }

    #[test]
    fn each_mistake_is_found_with_its_place() {
        for (text, expected) in [
            ("", "m.toml:1:1: \"type\" is missing"),
            ("type = \"ext4\"\nwhere = \"/x\"\n", "m.toml:1:1: a ext4 needs \"what\""),
            ("type = \"ext5\"", "m.toml:1:8: \"type\" cannot be \"ext5\""),
            ("type = \"tmpfs\"\nwhere = \"x\"", "m.toml:2:9: \"where\": \"x\" is no mount point"),
            ("type = \"tmpfs\"\nwhere = \"/a/../b\"", "m.toml:2:9: \"where\""),
            ("type = \"tmpfs\"\nwhere = \"/a/\"", "m.toml:2:9: \"where\""),
            ("type = \"tmpfs\"\nwhere = \"/\"", "m.toml:2:9: \"where\""),
            ("type = \"tmpfs\"\nwhat = \"/x\"\nwhere = \"/a\"", "m.toml:2:8: a tmpfs has no"),
            ("type = \"bind\"\nwhat = \"LABEL=x\"\nwhere = \"/a\"", "names nothing"),
            ("type = \"vfat\"\nwhat = \"UUID=\"\nwhere = \"/a\"", "names nothing"),
            ("type = \"tmpfs\"\nwhere = \"/a\"\noptions = [\"a,b\"]", "m.toml:3:12: \"options\""),
            ("type = \"tmpfs\"\nwhere = \"/a\"\ngrow = true", "m.toml:3:8: \"grow\" is for ext4"),
            ("tpye = \"tmpfs\"", "did you mean \"type\"?"),
            ("colour = 1", "docs/devices-and-mounts.md lists the keys"),
        ] {
            assert!(findings(text).contains(expected), "{text:?}:\n{}", findings(text));
        }
    }

    #[test]
    fn sources_are_what_people_write() {
        for text in ["/dev/vda3", "UUID=0a-b", "LABEL=Data", "PARTUUID=ab", "PARTLABEL=My disk"] {
            assert_eq!(Source::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Source::parse("UUID=ABCD"), Some(Source::Uuid("abcd".into())));
        for text in ["", "data", "LABEL=", "NAME=x"] {
            assert_eq!(Source::parse(text), None, "{text:?}");
        }
    }
}
