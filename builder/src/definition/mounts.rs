//! What is mounted beside the root: `[[mount]]` and `[data]`.
//!
//! Each becomes files of the image like any other: the description that `mounter`
//! reads, by the very parser that it has, and the service that keeps the mount.

use std::time::Duration;

use init_core::diagnostic::Place;
use init_core::mount::{MountDescription, MountKind, Source, parse_mount, service_name};
use init_core::name::ServiceName;

use super::checker::Checker;
use super::raw::{Located, Table, Value};
use super::resolved::{Binary, Directory, Disk, File, FileContent, Image, Tool};
use crate::arch::Arch;
use crate::tree::TreePath;

/// The program that keeps a mount.
const MOUNTER: &str = "/usr/sbin/mounter";

/// The mount and the service of the data partition.
const DATA: &str = "data";
const DATA_SERVICE: &str = "datapart";

/// What `datapart` reads.
const DATA_FILE: &str = "/usr/lib/data-partition.toml";

/// The link that `datapart` makes to the partition.
const DATA_DEVICE: &str = "/dev/disk/by-role/data";

/// Longest time from the request to end until a check is killed. `e2fsck` does not stop
/// before the journal is replayed: 1 GiB at most, at the 10 MB/s of a slow card.
const CHECK_STOP_TIMEOUT: &str = "2min";

/// Longest time that mounting takes once the device is there, its file system not checked.
const MOUNT_TIME_MAX: Duration = Duration::from_secs(120);

/// Longest name of a mount: that of its service begins with `mount-`.
const NAME_BYTES_MAX: usize = init_core::name::NAME_LENGTH_MAX - 6;

/// A mount to be written down.
struct Wanted {
    name: String,
    /// The description as it will stand in `mounts.d`.
    text: String,
    description: MountDescription,
    requires: Vec<String>,
    place: Place,
}

/// Adds to `image` what its mounts need: descriptions, services, mount points, programs.
pub(super) fn add(checker: &mut Checker<'_>, table: &Table, image: &mut Image) {
    let mut wanted: Vec<Wanted> =
        table.tables("mount").iter().filter_map(|entry| listed(checker, entry)).collect();
    if let Some(data) = data(checker, table, image) {
        image.has_data = true;
        if let Some(other) = wanted.iter().find(|other| other.name == DATA) {
            let message = "`mount` \"data\" is the name of the data partition's";
            checker.find(other.place.clone(), message);
        }
        wanted.push(data);
    }
    check_targets(checker, &wanted);
    let has_devices = image.services.iter().any(|service| service.value.as_str() == "devd");
    for mount in &wanted {
        let service = service_text(mount, &wanted, has_devices);
        add_file(image, &format!("/usr/lib/mounts.d/{}.toml", mount.name), &mount.text, mount);
        let path = format!("/usr/lib/services.d/{}.toml", service_name(&mount.name));
        add_file(image, &path, &service, mount);
        add_target(image, mount);
        image.mounts.push(Located { value: mount.description.kind, place: mount.place.clone() });
    }
    if let Some(first) = wanted.first() {
        add_mounter(image, &first.place);
    }
}

/// An entry of `[[mount]]`.
fn listed(checker: &mut Checker<'_>, entry: &Table) -> Option<Wanted> {
    let name = entry.text("name")?;
    if let Err(error) = ServiceName::new(name) {
        checker.find(entry.place_of("name"), error.to_string());
        return None;
    }
    if name.len() > NAME_BYTES_MAX {
        let message = format!("the name of a mount has at most {NAME_BYTES_MAX} characters");
        checker.find(entry.place_of("name"), message);
        return None;
    }
    let mut text = String::new();
    for key in ["description", "what", "where", "type", "device-timeout"] {
        if let Some(value) = entry.text(key).filter(|value| !value.is_empty()) {
            text.push_str(&format!("{key} = {}\n", quoted(value)));
        }
    }
    let options: Vec<&str> = entry.list("options").iter().map(|word| word.value.as_str()).collect();
    text.push_str(&format!("options = {}\n", list(&options)));
    for key in ["check", "grow"] {
        text.push_str(&format!("{key} = {}\n", entry.flag(key)));
    }
    let mut requires = Vec::new();
    for service in entry.list("requires") {
        match ServiceName::new(&service.value) {
            Ok(_) => requires.push(service.value.clone()),
            Err(error) => checker.find(service.place.clone(), error.to_string()),
        }
    }
    let description = parsed(checker, entry, &text)?;
    Some(Wanted { name: name.to_owned(), text, description, requires, place: entry.place.clone() })
}

/// What `mounter` will make of the text.
fn parsed(checker: &mut Checker<'_>, entry: &Table, text: &str) -> Option<MountDescription> {
    match parse_mount("mount", text.as_bytes()) {
        Ok(description) => Some(description),
        Err(findings) => {
            for finding in findings {
                // The key that the finding is about, as its line in the text tells.
                let line = usize::try_from(finding.place.line).unwrap_or(1);
                let key = text.lines().nth(line - 1).and_then(|line| line.split(' ').next());
                let is_missing = finding.message.contains("missing");
                let key = key.filter(|_| !is_missing).unwrap_or("name");
                let place = entry.place_of(key);
                match finding.hint {
                    Some(hint) => checker.find_with_hint(place, finding.message, hint),
                    None => checker.find(place, finding.message),
                }
            }
            None
        }
    }
}

/// Whether a disk has a partition of this name, root or EFI system partition.
fn is_of_the_image(label: &str) -> bool {
    let mut of_roots = Arch::ALL.map(Some).into_iter().chain([None]).map(Disk::root_name);
    label == Disk::ESP_NAME || of_roots.any(|name| label == name)
}

/// The data partition: its mount, and what `datapart` reads and is started by.
fn data(checker: &mut Checker<'_>, table: &Table, image: &mut Image) -> Option<Wanted> {
    let data = table.table("data")?;
    let target = data.text("where")?;
    let place = data.place_of("where");
    let label = data.text("label")?;
    let good = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    if label.is_empty() || label.len() > 16 || !label.chars().all(good) {
        let message = format!("{label:?} is no label: 1 to 16 letters, digits, - and _");
        checker.find(data.place_of("label"), message);
    }
    if is_of_the_image(label) {
        let hint = "choose another, such as \"data\"";
        let message = format!("{label:?} is the name of a partition that the image has already");
        checker.find_with_hint(data.place_of("label"), message, hint);
    }
    let Some(Value::Bytes(size_min_bytes)) = data.get("size-min").map(|found| &found.value) else {
        return None;
    };
    if *size_min_bytes < 16 << 20 {
        let hint = "a smaller file system has no room for its journal";
        let place = data.place_of("size-min");
        checker.find_with_hint(place, "the data partition has at least 16 MiB", hint);
    }
    if !image.disk_has_root() {
        let hint = "add \"disk\" to `outputs`, with a root on it";
        checker.find_with_hint(place.clone(), "a data partition needs a disk", hint);
    }
    let options: Vec<&str> = data.list("options").iter().map(|word| word.value.as_str()).collect();
    let text = format!(
        "description = \"The data partition\"\nwhat = {}\nwhere = {}\ntype = \"ext4\"\n\
         options = {}\ngrow = true\n",
        quoted(DATA_DEVICE),
        quoted(target),
        list(&options)
    );
    let description = parsed(checker, data, &text)?;
    let requires = vec![DATA_SERVICE.to_owned()];
    let wanted = Wanted { name: DATA.to_owned(), text, description, requires, place };
    let settings = format!("label = {}\nsize-min = {size_min_bytes}\n", quoted(label));
    add_file(image, DATA_FILE, &settings, &wanted);
    if let Ok(value) = ServiceName::new(DATA_SERVICE)
        && image.services.iter().all(|service| service.value != value)
    {
        image.services.push(Located { value, place: wanted.place.clone() });
    }
    Some(wanted)
}

/// No two mounts at one place.
fn check_targets(checker: &mut Checker<'_>, wanted: &[Wanted]) {
    for (index, mount) in wanted.iter().enumerate() {
        let target = &mount.description.target;
        let before = wanted.iter().take(index);
        if let Some(other) = before.into_iter().find(|other| other.description.target == *target) {
            let message = format!("{} and {} are both mounted at {target}", other.name, mount.name);
            checker.find(mount.place.clone(), message);
        }
    }
}

/// The service that keeps `mount`. It requires the mounts that it lies on or shows a part of.
fn service_text(mount: &Wanted, all: &[Wanted], has_devices: bool) -> String {
    let lies_on = |path: &str, other: &Wanted| {
        path.strip_prefix(&*other.description.target).is_some_and(|rest| rest.starts_with('/'))
    };
    let mut requires = mount.requires.clone();
    for other in all.iter().filter(|other| other.name != mount.name) {
        let shows = match &mount.description.what {
            Source::Path(path) if mount.description.kind == MountKind::Bind => {
                lies_on(path, other) || **path == *other.description.target
            }
            _ => false,
        };
        if shows || lies_on(&mount.description.target, other) {
            requires.push(service_name(&other.name));
        }
    }
    requires.sort();
    requires.dedup();
    let requires: Vec<&str> = requires.iter().map(String::as_str).collect();
    let after: &[&str] = if has_devices { &["devd"] } else { &[] };
    format!(
        "description = {}\ncommand = [\"{MOUNTER}\", {}]\nrequires = {}\nafter = {}\n\
         readiness = \"notify\"\n{}",
        quoted(&format!("{} mounted", mount.description.target)),
        quoted(&mount.name),
        list(&requires),
        list(after),
        timeouts(&mount.description)
    )
}

/// How long a mount may take. A check takes as long as the file system is large and damaged:
/// one that is killed at a deadline leaves a repair half done, and the next is killed as well.
/// `mounter` itself gives up when the device does not come.
fn timeouts(mount: &MountDescription) -> String {
    if mount.kind.is_on_device() && mount.check {
        return format!("start-timeout = \"infinity\"\nstop-timeout = \"{CHECK_STOP_TIMEOUT}\"\n");
    }
    let start_timeout_s = (mount.device_timeout + MOUNT_TIME_MAX).as_secs();
    format!("start-timeout = \"{start_timeout_s}s\"\n")
}

fn add_file(image: &mut Image, path: &str, text: &str, mount: &Wanted) {
    let Ok(path) = TreePath::new(path) else { return };
    image.files.push(File {
        path,
        content: FileContent::Text(text.to_owned()),
        mode: 0o644,
        uid: 0,
        gid: 0,
        replace: false,
        place: mount.place.clone(),
    });
}

/// The mount point, unless the definition has it with a mode of its own.
fn add_target(image: &mut Image, mount: &Wanted) {
    let Ok(path) = TreePath::new(mount.description.target.trim_start_matches('/')) else { return };
    if image.directories.iter().all(|directory| directory.path != path) {
        let place = mount.place.clone();
        image.directories.push(Directory { path, mode: 0o755, uid: 0, gid: 0, place });
    }
}

fn add_mounter(image: &mut Image, place: &Place) {
    let Ok(path) = TreePath::new(MOUNTER) else { return };
    if image.tools.iter().all(|tool| tool.binary.path != path) {
        let binary = Binary { name: "mounter".to_owned(), path, links: Vec::new() };
        image.tools.push(Tool { binary, place: place.clone() });
    }
}

fn list(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
    format!("[{}]", words.join(", "))
}

/// A basic string of TOML.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use init_core::parse::parse_description;

    use crate::definition::testing::image as load_text;

    fn file<'i>(image: &'i Image, path: &str) -> &'i str {
        let path = TreePath::new(path).unwrap();
        let found = image.files.iter().find(|file| file.path == path);
        match &found.unwrap_or_else(|| panic!("no {path}")).content {
            FileContent::Text(text) => text,
            FileContent::Source(_) => panic!("{path} is a host file"),
        }
    }

    #[test]
    fn the_data_partition_is_none_that_the_image_has() {
        let text = |label: &str| {
            format!("outputs = [\"disk\"]\n[data]\nwhere = \"/data\"\nlabel = \"{label}\"\n")
        };
        for label in ["esp", "root", "root-x86_64", "root-aarch64"] {
            let error = load_text(&text(label)).unwrap_err().to_string();
            assert!(error.contains("images/a.toml:4:9: "), "{error}");
            assert!(error.contains("a partition that the image has already"), "{error}");
        }
        load_text(&text("rooted")).unwrap();
    }

    #[test]
    fn a_mount_becomes_a_description_and_a_service_that_are_right() {
        let image = load_text(
            "services = [\"devd\"]\noutputs = [\"disk\"]\n\
             [[mount]]\nname = \"scratch\"\nwhere = \"/scratch\"\ntype = \"tmpfs\"\n\
             options = [\"size=1m\"]\n\
             [[mount]]\nname = \"home\"\nwhat = \"/data/home\"\nwhere = \"/home\"\ntype = \"bind\"\n\
             [data]\nwhere = \"/data\"\n",
        )
        .unwrap();
        for name in ["scratch", "home", "data"] {
            let text = file(&image, &format!("usr/lib/mounts.d/{name}.toml"));
            parse_mount(name, text.as_bytes()).unwrap();
            let service = ServiceName::new(&service_name(name)).unwrap();
            let text = file(&image, &format!("usr/lib/services.d/{service}.toml"));
            parse_description(&service, name, text).unwrap();
        }
        let home = file(&image, "usr/lib/services.d/mount-home.toml");
        assert!(home.contains("requires = [\"mount-data\"]"), "{home}");
        assert!(home.contains("after = [\"devd\"]"), "{home}");
        let data = file(&image, "usr/lib/services.d/mount-data.toml");
        assert!(data.contains("requires = [\"datapart\"]"), "{data}");
        assert_eq!(
            file(&image, "usr/lib/data-partition.toml"),
            "label = \"data\"\nsize-min = 67108864\n"
        );
        assert!(image.services.iter().any(|service| service.value.as_str() == "datapart"));
        let home = TreePath::new("home").unwrap();
        assert!(image.directories.iter().any(|directory| directory.path == home));
        assert_eq!(image.tools.iter().filter(|tool| tool.binary.name == "mounter").count(), 1);
    }

    #[test]
    fn a_check_has_all_the_time_it_needs_and_nothing_else_has() {
        let image = load_text(
            "[[mount]]\nname = \"disk\"\nwhat = \"LABEL=a\"\nwhere = \"/a\"\ntype = \"ext4\"\n\
             [[mount]]\nname = \"stick\"\nwhat = \"LABEL=b\"\nwhere = \"/b\"\ntype = \"vfat\"\n\
             device-timeout = \"5s\"\ncheck = false\n\
             [[mount]]\nname = \"scratch\"\nwhere = \"/c\"\ntype = \"tmpfs\"\n",
        )
        .unwrap();
        for (name, start, stop_s) in [
            ("disk", Duration::MAX, 120),
            ("stick", Duration::from_secs(125), 10),
            ("scratch", Duration::from_secs(150), 10),
        ] {
            let service = ServiceName::new(&service_name(name)).unwrap();
            let text = file(&image, &format!("usr/lib/services.d/{service}.toml"));
            let service = parse_description(&service, name, text).unwrap();
            let timeouts = (service.start_timeout, service.stop_timeout);
            assert_eq!(timeouts, (start, Duration::from_secs(stop_s)), "{name}");
        }
    }

    #[test]
    fn mistakes_are_placed_in_the_definition() {
        for (text, expected) in [
            ("[[mount]]\nname = \"a\"\nwhere = \"/a\"\ntype = \"ext4\"\n", "a ext4 needs \"what\""),
            ("[[mount]]\nname = \"A\"\nwhere = \"/a\"\ntype = \"tmpfs\"\n", ":2:8: "),
            (
                "[[mount]]\nname = \"a\"\nwhere = \"a\"\ntype = \"tmpfs\"\n",
                ":3:9: \"where\": \"a\" is no",
            ),
            (
                "[[mount]]\nname = \"a\"\nwhere = \"/a\"\ntype = \"tmpfs\"\n\
                 [[mount]]\nname = \"b\"\nwhere = \"/a\"\ntype = \"tmpfs\"\n",
                "a and b are both mounted at /a",
            ),
            ("[data]\nwhere = \"/data\"\n", ":2:9: a data partition needs a disk"),
            (
                "outputs = [\"disk\"]\n[data]\nwhere = \"/data\"\nsize-min = \"1MiB\"\n",
                ":4:12: the data partition has at least 16 MiB",
            ),
            (
                "outputs = [\"disk\"]\n[data]\nwhere = \"/data\"\nlabel = \"a b\"\n",
                ":4:9: \"a b\" is no label",
            ),
        ] {
            let error = load_text(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}:\n{error}");
        }
    }

    #[test]
    fn strings_are_toml() {
        assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
    }
}
