//! `mkfs.ext4` and `mkfs.fat`.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::time::{SystemTime, UNIX_EPOCH};

use lexopt::{Arg, ValueExt as _};
use services::problem::{Context, Problem, Result};
use services::storage::block::probe;
use services::storage::ext4_format::{self, Ext4, random_uuid};
use services::storage::mounting::table;

use crate::Outcome;

const EXT4_HELP: &str = "\
Makes an empty ext4 on a device or in a file; what was in it is lost.

Usage: mkfs.ext4 [-L LABEL] [-F] DEVICE

Options:
  -L LABEL    its label, at most 16 bytes
  -F          even if there is a file system already
  -h, --help  this text

Exit status: 0 done, 1 failed, 2 usage.
";

const FAT_HELP: &str = "\
Makes an empty FAT file system on a device or in a file; what was in it is lost.

Usage: mkfs.fat [-n LABEL] [-F 12|16|32] [-I] DEVICE

Options:
  -n LABEL    its label, at most 11 characters of ASCII
  -F SIZE     bits of an entry of its table [default: by the size of the device]
  -I          even if there is a file system already
  -h, --help  this text

Exit status: 0 done, 1 failed, 2 usage.
";

/// What the command line says.
#[derive(Default)]
struct Asked {
    label: String,
    force: bool,
    bits: Option<String>,
    device: Option<String>,
    help: bool,
}

pub(crate) fn run_ext4(words: Vec<OsString>) -> Outcome {
    run("mkfs.ext4", EXT4_HELP, words, make_ext4)
}

pub(crate) fn run_fat(words: Vec<OsString>) -> Outcome {
    run("mkfs.fat", FAT_HELP, words, make_fat)
}

fn run(
    tool: &str,
    help: &str,
    words: Vec<OsString>,
    make: fn(&Asked, File, u64) -> Result<()>,
) -> Outcome {
    let asked = match parse(tool, words) {
        Ok(asked) => asked,
        Err(error) => return Outcome::usage(tool, error),
    };
    if asked.help {
        return Outcome::print(help);
    }
    let Some(device) = &asked.device else {
        return Outcome::usage(tool, "the device is missing");
    };
    open(&asked, device).and_then(|(file, size_bytes)| make(&asked, file, size_bytes)).into()
}

fn parse(tool: &str, words: Vec<OsString>) -> std::result::Result<Asked, lexopt::Error> {
    let is_fat = tool == "mkfs.fat";
    let mut asked = Asked::default();
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Short('h') | Arg::Long("help") => asked.help = true,
            Arg::Short('n') if is_fat => asked.label = parser.value()?.string()?,
            Arg::Short('L') if !is_fat => asked.label = parser.value()?.string()?,
            Arg::Short('F') if is_fat => asked.bits = Some(parser.value()?.string()?),
            Arg::Short('I') if is_fat => asked.force = true,
            Arg::Short('F') => asked.force = true,
            Arg::Value(word) if asked.device.is_none() => asked.device = Some(word.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(asked)
}

/// Opens what is to be formatted, if nothing is lost by it that was not meant to be.
fn open(asked: &Asked, device: &str) -> Result<(File, u64)> {
    let mounts = table::mounted().context(|| "cannot read the table of mounts".to_owned())?;
    if let Some(mount) = mounts.iter().find(|mount| mount.source == *device) {
        return Err(Problem::new(format!("`{device}` is mounted at {}", mount.target))
            .with_hint(format!("`umount {}` first", mount.target)));
    }
    if let Some(found) = probe::filesystem(device).filter(|_| !asked.force) {
        let label =
            if found.label.is_empty() { String::new() } else { format!(" {:?}", found.label) };
        let option = if asked.bits.is_some() { "-I" } else { "-F (ext4) or -I (FAT)" };
        return Err(Problem::new(format!("`{device}` holds {}{label} already", found.kind))
            .with_hint(format!("{option} makes a new file system in its place")));
    }
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(device)
        .context(|| format!("cannot open `{device}`"))?;
    let size_bytes =
        file.seek(SeekFrom::End(0)).context(|| format!("cannot measure `{device}`"))?;
    file.rewind().context(|| format!("cannot measure `{device}`"))?;
    Ok((file, size_bytes))
}

fn make_ext4(asked: &Asked, mut file: File, size_bytes: u64) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let ext4 = Ext4 {
        size_bytes,
        label: asked.label.clone(),
        uuid: random_uuid().context(|| "no random numbers".to_owned())?,
        now_s: i64::try_from(now).unwrap_or(0),
    };
    ext4_format::format(&ext4, &mut file)?;
    file.sync_all().context(|| "cannot write the file system".to_owned())
}

fn make_fat(asked: &Asked, mut file: File, size_bytes: u64) -> Result<()> {
    let label = asked.label.to_ascii_uppercase();
    if label.len() > 11 || !label.is_ascii() || label.chars().any(char::is_control) {
        return Err(Problem::new(format!("{label:?} is no label of a FAT"))
            .with_hint("it has at most 11 characters of ASCII"));
    }
    let id = random_uuid().context(|| "no random numbers".to_owned())?;
    let mut options = fatfs::FormatVolumeOptions::new()
        .volume_id(u32::from_le_bytes([id[0], id[1], id[2], id[3]]));
    if !label.is_empty() {
        let mut bytes = [b' '; 11];
        for (byte, character) in bytes.iter_mut().zip(label.bytes()) {
            *byte = character;
        }
        options = options.volume_label(bytes);
    }
    options = match asked.bits.as_deref() {
        None => options,
        Some("12") => options.fat_type(fatfs::FatType::Fat12),
        Some("16") => options.fat_type(fatfs::FatType::Fat16),
        Some("32") => options.fat_type(fatfs::FatType::Fat32),
        Some(other) => {
            return Err(Problem::new(format!("there is no FAT{other}")).with_hint("12, 16 or 32"));
        }
    };
    let mib = size_bytes >> 20;
    fatfs::format_volume(&mut file, options)
        .context(|| format!("cannot make a FAT of {mib} MiB"))?;
    file.sync_all().context(|| "cannot write the file system".to_owned())
}
