//! `lsblk`: block devices, what is on them, and where it is mounted.

use std::ffi::OsString;

use lexopt::Arg;
use serde_json::{Value, json};
use services::problem::Problem;
use services::storage::block::probe;
use services::storage::block::sysfs::{BlockDevice, Sysfs};
use services::storage::mounting::table;

use crate::Outcome;

const HELP: &str = "\
Lists block devices: disks with their partitions, what is on them, where it is mounted.

Usage: lsblk [--json] [DEVICE...]

Options:
      --json  for programs; sizes are in bytes
  -h, --help  this text

Exit status: 0 done, 1 failed, 2 usage, 4 no such device.
";

/// What is shown of a device.
struct Row {
    device: BlockDevice,
    filesystem: Option<init_core::block_probe::Filesystem>,
    entry: Option<probe::PartitionEntry>,
    mounted_at: Vec<String>,
}

pub(crate) fn run(words: Vec<OsString>) -> Outcome {
    let mut json = false;
    let mut names = Vec::new();
    let mut parser = lexopt::Parser::from_args(words);
    loop {
        match parser.next() {
            Ok(None) => break,
            Ok(Some(Arg::Long("json") | Arg::Short('J'))) => json = true,
            Ok(Some(Arg::Short('h') | Arg::Long("help"))) => return Outcome::print(HELP),
            Ok(Some(Arg::Value(word))) => names.push(word.to_string_lossy().into_owned()),
            Ok(Some(other)) => return Outcome::usage("lsblk", other.unexpected()),
            Err(error) => return Outcome::usage("lsblk", error),
        }
    }
    let rows = match rows(&Sysfs::default(), &names) {
        Ok(rows) => rows,
        Err(outcome) => return outcome,
    };
    if json {
        let devices: Vec<Value> = rows.iter().map(value).collect();
        return Outcome::print(&format!("{:#}\n", json!({ "blockdevices": devices })));
    }
    Outcome::print(&text(&rows))
}

/// The devices that are not empty, or those that are asked for with their partitions.
fn rows(sysfs: &Sysfs, names: &[String]) -> Result<Vec<Row>, Outcome> {
    let failed = |error| Outcome::Failed(Problem::new(format!("cannot look at devices: {error}")));
    let mut devices = sysfs.devices().map_err(failed)?;
    let mounts = table::mounted().map_err(failed)?;
    if names.is_empty() {
        devices.retain(|device| device.size_bytes > 0);
    } else {
        let mut wanted = Vec::new();
        for name in names {
            let path = std::fs::canonicalize(name);
            let node = path.map_or_else(|_| format!("/dev/{name}"), |p| p.display().to_string());
            match devices.iter().find(|device| device.node == node) {
                Some(device) => wanted.push(device.name.clone()),
                None => {
                    let problem = Problem::new(format!("there is no block device `{name}`"));
                    return Err(Outcome::NoSuch(
                        problem.with_hint("`lsblk` lists those there are"),
                    ));
                }
            }
        }
        devices.retain(|device| {
            let disk = device.partition.as_ref().map(|(disk, _)| disk);
            wanted.contains(&device.name) || disk.is_some_and(|disk| wanted.contains(disk))
        });
    }
    let row = |device: BlockDevice| {
        let here = mounts.iter().filter(|mount| mount.number == device.number);
        Row {
            filesystem: probe::filesystem(&device.node),
            entry: probe::partition_entry(sysfs, &device),
            mounted_at: here.map(|mount| mount.target.clone()).collect(),
            device,
        }
    };
    Ok(devices.into_iter().map(row).collect())
}

fn value(row: &Row) -> Value {
    let Row { device, filesystem, entry, mounted_at } = row;
    let or_none = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "name": device.name,
        "node": device.node,
        "number": format!("{}:{}", device.number.0, device.number.1),
        "size_bytes": device.size_bytes,
        "kind": kind(device),
        "disk": device.partition.as_ref().map(|(disk, _)| disk),
        "read_only": device.read_only,
        "removable": device.removable,
        "model": device.model,
        "serial": device.serial,
        "filesystem": filesystem.as_ref().map(|found| found.kind),
        "label": filesystem.as_ref().and_then(|found| or_none(&found.label)),
        "uuid": filesystem.as_ref().and_then(|found| or_none(&found.uuid)),
        "partuuid": entry.as_ref().map(|entry| &entry.uuid),
        "partlabel": entry.as_ref().and_then(|entry| or_none(&entry.label)),
        "mounted_at": mounted_at,
    })
}

const fn kind(device: &BlockDevice) -> &'static str {
    if device.partition.is_some() { "part" } else { "disk" }
}

fn text(rows: &[Row]) -> String {
    let mut lines =
        vec![["NAME", "SIZE", "TYPE", "FSTYPE", "LABEL", "MOUNTED AT"].map(str::to_owned)];
    for (index, row) in rows.iter().enumerate() {
        let disk = row.device.partition.as_ref().map(|(disk, _)| disk);
        let next = rows.get(index + 1).and_then(|next| next.device.partition.as_ref());
        let branch = match disk {
            None => "",
            Some(disk) if next.is_some_and(|(other, _)| other == disk) => "├─",
            Some(_) => "└─",
        };
        let label = |found: &init_core::block_probe::Filesystem| found.label.clone();
        lines.push([
            format!("{branch}{}", row.device.name),
            size(row.device.size_bytes),
            kind(&row.device).to_owned(),
            row.filesystem.as_ref().map_or_else(String::new, |found| found.kind.to_owned()),
            row.filesystem.as_ref().map_or_else(String::new, label),
            row.mounted_at.join(" "),
        ]);
    }
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..6).map(|column| width(column).unwrap_or(0)).collect();
    let line = |cells: &[String; 6]| {
        let cells = cells.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column == 1 { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

/// A size in its largest unit, with one digit behind the point where it is below ten.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "K", "M", "G", "T", "P"];
    let (mut whole, mut rest, mut unit) = (bytes, 0, 0);
    while whole >= 1024 && unit + 1 < UNITS.len() {
        rest = whole % 1024;
        whole /= 1024;
        unit += 1;
    }
    let tenth = rest * 10 / 1024;
    let name = UNITS.get(unit).unwrap_or(&"");
    if whole < 10 && tenth > 0 {
        format!("{whole}.{tenth}{name}")
    } else {
        format!("{whole}{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        for (bytes, expected) in [
            (0, "0B"),
            (512, "512B"),
            (1536, "1.5K"),
            (1 << 20, "1M"),
            (512 << 20, "512M"),
            ((3 << 30) + (512 << 20), "3.5G"),
            (u64::MAX, "16383P"),
        ] {
            assert_eq!(size(bytes), expected, "{bytes}");
        }
    }

    #[test]
    fn partitions_hang_on_their_disk() {
        let row = |name: &str, partition: Option<u32>| Row {
            device: BlockDevice {
                name: name.into(),
                node: format!("/dev/{name}"),
                devpath: String::new(),
                number: (254, 0),
                size_bytes: 1 << 20,
                partition: partition.map(|number| ("vda".to_owned(), number)),
                read_only: false,
                removable: false,
                model: None,
                serial: None,
            },
            filesystem: None,
            entry: None,
            mounted_at: vec!["/".into()],
        };
        let shown = text(&[row("vda", None), row("vda1", Some(1)), row("vda2", Some(2))]);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "NAME    SIZE  TYPE  FSTYPE  LABEL  MOUNTED AT");
        assert_eq!(lines[1], "vda       1M  disk                 /");
        assert!(lines[2].starts_with("├─vda1") && lines[3].starts_with("└─vda2"));
    }
}
