//! The names below `/dev/disk` that a block device deserves. Pure.
//!
//! The scheme is that of persistent block device names which people know from other
//! distributions: by what is on it (`by-uuid`, `by-label`), by its entry in the partition
//! table (`by-partuuid`, `by-partlabel`), by what it is (`by-id`) and by where it is
//! plugged in (`by-path`).

use std::collections::BTreeSet;

/// What is known of a block device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Its name in sysfs.
    pub(crate) name: String,
    /// Its directory below sysfs.
    pub(crate) devpath: String,
    /// Its number, if it is a partition.
    pub(crate) partition: Option<u32>,
    /// UUID and label of the file system on it.
    pub(crate) filesystem: Option<(String, String)>,
    /// UUID and label in the partition table.
    pub(crate) entry: Option<(String, String)>,
    /// Its disk's maker, as SCSI has it.
    pub(crate) vendor: Option<String>,
    /// The maker's name for the disk.
    pub(crate) model: Option<String>,
    /// The disk's serial number.
    pub(crate) serial: Option<String>,
    /// The disk's name in the world.
    pub(crate) wwid: Option<String>,
}

/// All links, relative to `/dev`.
pub(crate) fn of(facts: &Facts) -> BTreeSet<String> {
    let mut links = BTreeSet::new();
    let mut add = |by: &str, name: &str| {
        let name = encode(name);
        if !name.is_empty() {
            links.insert(format!("disk/by-{by}/{name}"));
        }
    };
    if let Some((uuid, label)) = &facts.filesystem {
        add("uuid", uuid);
        add("label", label);
    }
    if let Some((uuid, label)) = &facts.entry {
        add("partuuid", uuid);
        add("partlabel", label);
    }
    let part = facts.partition.map_or_else(String::new, |number| format!("-part{number}"));
    for id in ids(facts) {
        add("id", &format!("{id}{part}"));
    }
    if let Some(path) = path(&facts.devpath) {
        add("path", &format!("{path}{part}"));
    }
    links
}

/// Names of what it is: bus, model and serial number, and the name in the world.
fn ids(facts: &Facts) -> Vec<String> {
    let joined = |parts: &[&Option<String>]| {
        let parts: Vec<String> =
            parts.iter().filter_map(|part| part.as_deref()).map(one_word).collect();
        parts.join("_")
    };
    let mut ids = Vec::new();
    let serial = &facts.serial;
    let is_ata = facts.vendor.as_deref() == Some("ATA");
    match facts.name.get(..2) {
        Some("vd") if serial.is_some() => ids.push(format!("virtio-{}", joined(&[serial]))),
        Some("nv") if serial.is_some() => {
            ids.push(format!("nvme-{}", joined(&[&facts.model, serial])));
        }
        Some("sd" | "sr") if serial.is_some() && is_ata => {
            ids.push(format!("ata-{}", joined(&[&facts.model, serial])));
        }
        Some("sd" | "sr") if serial.is_some() => {
            ids.push(format!("scsi-{}", joined(&[&facts.vendor, &facts.model, serial])));
        }
        _ => {}
    }
    match facts.wwid.as_deref() {
        Some(wwid) if facts.name.starts_with("nvme") => ids.push(format!("nvme-{wwid}")),
        Some(wwid) => ids.extend(wwid.strip_prefix("naa.").map(|id| format!("wwn-0x{id}"))),
        None => {}
    }
    ids
}

/// Blanks of identification strings, which pad them, as underscores between the words.
fn one_word(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join("_")
}

/// Where the disk is plugged in; `None` for one that is nowhere, as a loop device.
fn path(devpath: &str) -> Option<String> {
    let parts: Vec<&str> = devpath.split('/').collect();
    let mut found: Vec<String> = Vec::new();
    let mut pci: Option<&str> = None;
    for (index, part) in parts.iter().enumerate() {
        let previous = index.checked_sub(1).and_then(|before| parts.get(before)).copied();
        if previous == Some("platform") {
            found.push(format!("platform-{part}"));
        } else if is_pci_address(part) {
            pci = Some(part);
        } else if let Some(number) = part.strip_prefix("ata").filter(|rest| is_number(rest)) {
            found.extend(pci.take().map(|address| format!("pci-{address}")));
            found.push(format!("ata-{number}"));
        } else if let Some(address) = scsi_address(part) {
            // An ATA disk is a SCSI disk to the kernel as well.
            if !found.last().is_some_and(|last| last.starts_with("ata-")) {
                found.extend(pci.take().map(|address| format!("pci-{address}")));
                found.push(format!("scsi-{address}"));
            }
        } else if let Some(namespace) = nvme_namespace(part) {
            found.extend(pci.take().map(|address| format!("pci-{address}")));
            found.push(format!("nvme-{namespace}"));
        }
    }
    found.extend(pci.map(|address| format!("pci-{address}")));
    (!found.is_empty()).then(|| found.join("-"))
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `0000:00:04.0`: domain, bus, device and function.
fn is_pci_address(part: &str) -> bool {
    let pattern = "[0-9a-f][0-9a-f][0-9a-f][0-9a-f]:[0-9a-f][0-9a-f]:[0-9a-f][0-9a-f].[0-7]";
    services::glob::matches(pattern, part)
}

/// Host, channel, target and unit; the host's number says nothing that lasts.
fn scsi_address(part: &str) -> Option<String> {
    let numbers: Vec<&str> = part.split(':').collect();
    match numbers[..] {
        [_, channel, target, unit] if numbers.iter().all(|number| is_number(number)) => {
            Some(format!("0:{channel}:{target}:{unit}"))
        }
        _ => None,
    }
}

/// `nvme0n1`, and not its partition `nvme0n1p2` or its controller `nvme0`.
fn nvme_namespace(part: &str) -> Option<&str> {
    let (controller, namespace) = part.strip_prefix("nvme")?.split_once('n')?;
    (is_number(controller) && is_number(namespace)).then_some(namespace)
}

/// A text as a file name that no shell and no terminal trips over: what is neither a
/// letter, a digit, one of `#+-.:=@_` nor beyond ASCII is written `\xHH`.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_alphanumeric() || "#+-.:=@_".contains(c) || (!c.is_ascii() && !c.is_control())
        {
            encoded.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                encoded.push_str(&format!("\\x{byte:02x}"));
            }
        }
    }
    if encoded.chars().all(|c| c == '.') { String::new() } else { encoded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_told_by_what_lasts() {
        for (devpath, expected) in [
            ("/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda1", Some("pci-0000:00:04.0")),
            (
                "/devices/pci0000:00/0000:00:01.0/0000:02:00.0/virtio0/block/vdb",
                Some("pci-0000:02:00.0"),
            ),
            (
                "/devices/pci0000:00/0000:00:1f.2/ata3/host2/target2:0:0/2:0:0:0/block/sda",
                Some("pci-0000:00:1f.2-ata-3"),
            ),
            (
                "/devices/pci0000:00/0000:00:05.0/virtio2/host6/target6:0:1/6:0:1:0/block/sdb",
                Some("pci-0000:00:05.0-scsi-0:0:1:0"),
            ),
            (
                "/devices/pci0000:00/0000:00:06.0/nvme/nvme0/nvme0n1/nvme0n1p2",
                Some("pci-0000:00:06.0-nvme-1"),
            ),
            (
                "/devices/platform/4010000000.pcie/pci0000:00/0000:00:02.0/virtio0/block/vda",
                Some("platform-4010000000.pcie-pci-0000:00:02.0"),
            ),
            (
                "/devices/platform/a003e00.virtio_mmio/virtio0/block/vda",
                Some("platform-a003e00.virtio_mmio"),
            ),
            ("/devices/virtual/block/loop0", None),
        ] {
            assert_eq!(path(devpath).as_deref(), expected, "{devpath}");
        }
    }

    #[test]
    fn a_partition_has_all_of_its_names() {
        let facts = Facts {
            name: "vda2".into(),
            devpath: "/devices/pci0000:00/0000:00:04.0/virtio1/block/vda/vda2".into(),
            partition: Some(2),
            filesystem: Some(("aaaa-bbbb".into(), "my data".into())),
            entry: Some(("0102".into(), "root".into())),
            serial: Some("keel 01 ".into()),
            ..Facts::default()
        };
        let links: Vec<_> = of(&facts).into_iter().collect();
        assert_eq!(
            links,
            [
                "disk/by-id/virtio-keel_01-part2",
                "disk/by-label/my\\x20data",
                "disk/by-partlabel/root",
                "disk/by-partuuid/0102",
                "disk/by-path/pci-0000:00:04.0-part2",
                "disk/by-uuid/aaaa-bbbb",
            ]
        );
    }

    #[test]
    fn disks_are_named_by_their_bus() {
        let text = |text: &str| Some(text.to_owned());
        let base =
            Facts { model: text("QEMU HARDDISK"), serial: text("QM0001"), ..Facts::default() };
        for (name, vendor, wwid, expected) in [
            ("sda", "ATA", None, &["ata-QEMU_HARDDISK_QM0001"][..]),
            ("sda", "QEMU", None, &["scsi-QEMU_QEMU_HARDDISK_QM0001"]),
            ("sda", "ATA", Some("naa.5000c5"), &["ata-QEMU_HARDDISK_QM0001", "wwn-0x5000c5"]),
            ("nvme0n1", "", Some("eui.01"), &["nvme-QEMU_HARDDISK_QM0001", "nvme-eui.01"]),
            ("loop0", "", None, &[]),
        ] {
            let facts = Facts { name: name.into(), vendor: text(vendor), ..base.clone() };
            assert_eq!(ids(&Facts { wwid: wwid.map(str::to_owned), ..facts }), expected, "{name}");
        }
    }

    #[test]
    fn no_label_leads_out_of_its_directory() {
        for (label, expected) in [
            ("../../etc/passwd", "..\\x2f..\\x2fetc\\x2fpasswd"),
            ("..", ""),
            ("", ""),
            ("a\nb", "a\\x0ab"),
            ("Größe", "Größe"),
            ("a\\b", "a\\x5cb"),
            ("\u{85}", "\\xc2\\x85"),
        ] {
            assert_eq!(encode(label), expected, "{label:?}");
        }
    }
}
