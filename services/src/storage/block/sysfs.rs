//! Block devices as sysfs shows them (Documentation/ABI/stable/sysfs-block).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Sectors of sysfs have this many bytes, whatever the device's own have.
pub const SECTOR_BYTES: u64 = 512;

/// A sysfs: `/sys`, or a tree that looks like it.
#[derive(Clone, Debug)]
pub struct Sysfs {
    root: PathBuf,
}

/// A block device.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockDevice {
    /// Its name in sysfs.
    pub name: String,
    /// Its node, such as `/dev/vda1`.
    pub node: String,
    /// Its directory below sysfs, such as `/devices/…/vda/vda1`, as uevents name it.
    pub devpath: String,
    /// Major and minor number.
    pub number: (u32, u32),
    /// Its size in bytes.
    pub size_bytes: u64,
    /// For a partition: its disk's name and its number, from 1.
    pub partition: Option<(String, u32)>,
    /// Whether writes are refused.
    pub read_only: bool,
    /// Whether its medium can be taken out.
    pub removable: bool,
    /// The disk's maker's name for it, where it tells.
    pub model: Option<String>,
    /// The disk's serial number, where it tells.
    pub serial: Option<String>,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self::at(Path::new("/sys"))
    }
}

impl Sysfs {
    /// The tree at `root`.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Every block device, sorted by name, empty drives among them. What vanishes while
    /// it is looked at is left out.
    ///
    /// # Errors
    /// What reading the directory says.
    pub fn devices(&self) -> io::Result<Vec<BlockDevice>> {
        let mut devices = Vec::new();
        for entry in fs::read_dir(self.root.join("class/block"))? {
            let name = entry?.file_name();
            devices.extend(name.to_str().and_then(|name| self.device(name)));
        }
        devices.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(devices)
    }

    /// The block device of this name, if it is there.
    #[must_use]
    pub fn device(&self, name: &str) -> Option<BlockDevice> {
        let link = self.root.join("class/block").join(name);
        let directory = fs::canonicalize(&link).ok()?;
        let (major, minor) = text(&directory, "dev")?.split_once(':').and_then(number_pair)?;
        let sectors: u64 = text(&directory, "size")?.parse().ok()?;
        let partition = match text(&directory, "partition") {
            Some(number) => {
                // The directory of a partition lies in that of its disk.
                let disk = directory.parent()?.file_name()?.to_str()?.to_owned();
                Some((disk, number.parse().ok()?))
            }
            None => None,
        };
        let disk = if partition.is_some() { directory.parent()? } else { &directory };
        let flag = |at: &Path, file| text(at, file).is_some_and(|text| text == "1");
        Some(BlockDevice {
            name: name.to_owned(),
            node: node(name),
            devpath: self.devpath(&directory)?,
            number: (major, minor),
            size_bytes: sectors.checked_mul(SECTOR_BYTES)?,
            read_only: flag(&directory, "ro"),
            removable: flag(disk, "removable"),
            model: text(disk, "device/model"),
            serial: text(disk, "serial").or_else(|| text(disk, "device/serial")),
            partition,
        })
    }

    /// The block device with this number.
    #[must_use]
    pub fn by_number(&self, (major, minor): (u32, u32)) -> Option<BlockDevice> {
        let link = self.root.join(format!("dev/block/{major}:{minor}"));
        self.device(fs::canonicalize(link).ok()?.file_name()?.to_str()?)
    }

    /// The path of `directory` as uevents have it: below sysfs, with a slash before it.
    fn devpath(&self, directory: &Path) -> Option<String> {
        let root = fs::canonicalize(&self.root).ok()?;
        Some(format!("/{}", directory.strip_prefix(root).ok()?.to_str()?))
    }

    /// What the attribute `file` of the device at `devpath` says, without blanks around it.
    /// `None` if it says nothing.
    #[must_use]
    pub fn attribute(&self, devpath: &str, file: &str) -> Option<String> {
        text(&self.root.join(devpath.trim_start_matches('/')), file)
    }
}

/// The node of a device: sysfs writes `!` where the node has a `/`.
#[must_use]
pub fn node(name: &str) -> String {
    format!("/dev/{}", name.replace('!', "/"))
}

fn number_pair((major, minor): (&str, &str)) -> Option<(u32, u32)> {
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// A file of sysfs without blanks around it; `None` if it is empty or not there.
fn text(directory: &Path, file: &str) -> Option<String> {
    let bytes = fs::read(directory.join(file)).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A sysfs with the disk `vda` and its partition `vda2`.
    pub(crate) fn made_up() -> (tempfile::TempDir, Sysfs) {
        let root = tempfile::tempdir().unwrap();
        let disk = root.path().join("devices/pci0000:00/0000:00:04.0/virtio1/block/vda");
        let partition = disk.join("vda2");
        for directory in ["class/block", "dev/block"] {
            fs::create_dir_all(root.path().join(directory)).unwrap();
        }
        fs::create_dir_all(&partition).unwrap();
        for (directory, number, size) in [(&disk, "254:0", "8192"), (&partition, "254:2", "2048")] {
            fs::write(directory.join("dev"), format!("{number}\n")).unwrap();
            fs::write(directory.join("size"), format!("{size}\n")).unwrap();
            fs::write(directory.join("ro"), "0\n").unwrap();
            let name = directory.file_name().unwrap();
            let link = root.path().join("class/block").join(name);
            std::os::unix::fs::symlink(directory, link).unwrap();
            let link = root.path().join("dev/block").join(number);
            std::os::unix::fs::symlink(directory, link).unwrap();
        }
        fs::write(partition.join("partition"), "2\n").unwrap();
        fs::write(disk.join("serial"), "keel 01\n").unwrap();
        let sysfs = Sysfs::at(root.path());
        (root, sysfs)
    }

    #[test]
    fn disks_and_partitions_are_described() {
        let (_root, sysfs) = made_up();
        let devices = sysfs.devices().unwrap();
        assert_eq!(devices.len(), 2);
        assert_eq!((devices[0].name.as_str(), devices[0].size_bytes), ("vda", 8192 * 512));
        assert_eq!(devices[0].serial.as_deref(), Some("keel 01"));
        assert_eq!(devices[1].partition, Some(("vda".to_owned(), 2)));
        assert_eq!(devices[1].node, "/dev/vda2");
        let devpath = "/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda2";
        assert_eq!(devices[1].devpath, devpath);
        assert_eq!(sysfs.by_number((254, 2)), Some(devices[1].clone()));
        assert_eq!(sysfs.by_number((254, 9)), None);
        assert_eq!(sysfs.device("vdb"), None);
    }

    #[test]
    fn a_slash_in_a_name_is_an_exclamation_mark_in_sysfs() {
        assert_eq!(node("cciss!c0d0p1"), "/dev/cciss/c0d0p1");
    }
}
