//! `datapart` sees to it that the root's disk has a data partition: made in the free space at
//! the first boot, grown when the disk has grown, found again after a new root was written.
//!
//! It touches the disk that the root is on and no other, and on it free space alone; `plan`
//! says why no power cut hurts. `mounter` mounts the partition and grows the file system.
//! docs/devices-and-mounts.md has the whole of it. Absent: more than one data partition,
//! encryption, shrinking, disks with sectors of other than 512 bytes.

mod disk;
mod plan;
mod table;
mod work;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use lexopt::Arg;
use services::config_file;
use services::problem::{Context, Problem, Result};
use services::program;

use disk::RootDisk;
use plan::Settings;

/// The name under which problems are reported.
const PROGRAM: &str = "datapart";

/// What the image says of its data partition.
const SETTINGS_FILE: &str = "/usr/lib/data-partition.toml";

/// The page that lists its keys.
const PAGE: &str = "docs/devices-and-mounts.md";

/// The link to the partition, for the mount.
const LINK: &str = "/dev/disk/by-role/data";

const HELP: &str = "\
Makes the data partition in the free space of the disk that the root is on, grows it when
the disk has grown, and links it as /dev/disk/by-role/data. Nothing else on the disk is
touched, and no other disk. /usr/lib/data-partition.toml says what it is called.

Usage: datapart

Options:
  -h, --help  this text

Exit status: 0 it is there, 1 failed, 2 usage.
";

fn main() -> ExitCode {
    program::run(PROGRAM, HELP, parse, |()| run())
}

fn parse(mut parser: lexopt::Parser) -> Result<Option<()>> {
    match parser.next()? {
        None => Ok(Some(())),
        Some(Arg::Short('h') | Arg::Long("help")) => Ok(None),
        Some(other) => Err(other.unexpected().into()),
    }
}

fn run() -> Result<()> {
    let settings = settings(SETTINGS_FILE, &config_file::load(Path::new(SETTINGS_FILE))?)?;
    let mut disk = RootDisk::open()?;
    let say = |text: &str| {
        let _ = writeln!(io::stdout(), "{text}");
    };
    let entry = work::complete(&mut disk, &settings, say)?;
    let device = disk.partition(entry.number).ok_or_else(|| {
        Problem::new(format!("the kernel does not show partition {}", entry.number))
            .with_hint("the next boot reads the table anew")
    })?;
    link(Path::new(LINK), &device.node).context(|| format!("cannot make `{LINK}`"))
}

fn settings(file: &str, text: &str) -> Result<Settings> {
    let settings = config_file::parse(file, text, PAGE, |reader, section| {
        reader.check_keys(section, &["label", "size-min"]);
        let label = reader.string(section, "label").unwrap_or("data").to_owned();
        let size_min_bytes = reader.size_bytes(section, "size-min").unwrap_or(64 << 20);
        Settings { label, size_min_bytes }
    });
    settings.map_err(|findings| config_file::problem(&findings))
}

/// Makes the link in one step, in the place of an older one.
fn link(path: &Path, node: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    std::os::unix::fs::symlink(node, &beside)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_and_mistakes_found() {
        let found = settings("d", "label = \"data\"\nsize-min = 67108864\n").unwrap();
        assert_eq!(found, Settings { label: "data".into(), size_min_bytes: 64 << 20 });
        assert!(settings("d", "lable = \"x\"\n").unwrap_err().message().contains("d:1:1"));
    }

    #[test]
    fn the_link_takes_the_place_of_an_older_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("by-role/data");
        link(&path, "/dev/vda3").unwrap();
        link(&path, "/dev/vda4").unwrap();
        assert_eq!(fs::read_link(&path).unwrap(), Path::new("/dev/vda4"));
    }
}
