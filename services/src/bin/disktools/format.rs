//! `mkfs.ext4` and `mkfs.fat`.

mod device;
mod fat;

use std::ffi::OsString;
use std::time::{SystemTime, UNIX_EPOCH};

use lexopt::{Arg, ValueExt as _};
use services::problem::{Context, Result};
use services::random;
use services::storage::ext4_format::{self, Ext4};

use crate::Outcome;
use device::Device;

const EXT4_HELP: &str = "\
Makes an empty ext4 on a device or in a file; what was in it is lost.

Usage: mkfs.ext4 [-L LABEL] [-F] DEVICE

Options:
  -L LABEL    its label, at most 16 bytes
  -F          even if there is a file system or a partition table already
  -h, --help  this text

Exit status: 0 done, 1 failed, 2 usage.
";

const FAT_HELP: &str = "\
Makes an empty FAT file system on a device or in a file; what was in it is lost.

Usage: mkfs.fat [-n LABEL] [-F 12|16|32] [-I] DEVICE

Options:
  -n LABEL    its label, at most 11 characters of ASCII
  -F SIZE     bits of an entry of its table [default: by the size of the device]
  -I          even if there is a file system or a partition table already
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
    run("mkfs.fat", FAT_HELP, words, |asked, device| {
        fat::make(&asked.label, asked.bits.as_deref(), device)
    })
}

fn run(
    tool: &str,
    help: &str,
    words: Vec<OsString>,
    make: fn(&Asked, Device) -> Result<()>,
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
    let force_option = if tool == "mkfs.fat" { "-I" } else { "-F" };
    let opened = device::open(device, (!asked.force).then_some(force_option));
    opened.and_then(|device| make(&asked, device)).into()
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

fn make_ext4(asked: &Asked, device: Device) -> Result<()> {
    let Device { mut file, size_bytes, .. } = device;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let ext4 = Ext4 {
        size_bytes,
        label: asked.label.clone(),
        uuid: random::uuid().context(|| "no random numbers".to_owned())?,
        now_s: i64::try_from(now).unwrap_or(0),
    };
    ext4_format::format(&ext4, &mut file)?;
    file.sync_all().context(|| "cannot write the file system".to_owned())
}
