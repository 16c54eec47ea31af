//! `disktools` is what a person needs for disks, under five names: `lsblk`, `mount`, `umount`,
//! `mkfs.ext4`, `mkfs.fat`.
//!
//! Each does what its namesake elsewhere is mostly used for; docs/devices-and-mounts.md says
//! what that is. Absent: `/etc/fstab`, loop devices, mount propagation, and the less used
//! options. What is mounted for good is described in `mounts.d`.

mod format;
mod fs_type;
mod list;
mod mount;
mod mounts_json;
mod show;
mod umount;

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use services::problem::{Problem, Result};

/// How a tool ends.
enum Outcome {
    Done,
    /// The command line is wrong.
    Usage(Problem),
    Failed(Problem),
    /// There is no such device.
    NoSuch(Problem),
    /// It failed, and everything has been said already.
    Reported,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let called_as = arguments.next().unwrap_or_default();
    let name = Path::new(&called_as).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut words: Vec<OsString> = arguments.collect();
    let tool = if name == "disktools" && !words.is_empty() {
        words.remove(0).to_string_lossy().into_owned()
    } else {
        name
    };
    let outcome = match tool.as_str() {
        "lsblk" => list::run(words),
        "mount" => mount::run(words),
        "umount" => umount::run(words),
        "mkfs.ext4" => format::run_ext4(words),
        "mkfs.fat" | "mkfs.vfat" => format::run_fat(words),
        other => Outcome::Usage(
            Problem::new(format!("there is no disk tool `{other}`"))
                .with_hint("there are lsblk, mount, umount, mkfs.ext4 and mkfs.fat"),
        ),
    };
    let (problem, code) = match outcome {
        Outcome::Done => return ExitCode::SUCCESS,
        Outcome::Reported => return ExitCode::FAILURE,
        Outcome::Failed(problem) => (problem, 1),
        Outcome::Usage(problem) => (problem, 2),
        Outcome::NoSuch(problem) => (problem, 4),
    };
    problem.print(&tool);
    ExitCode::from(code)
}

impl Outcome {
    /// A wrong command line of `tool`.
    fn usage(tool: &str, error: impl ToString) -> Self {
        let hint = format!("`{tool} --help` shows how it is used");
        Self::Usage(Problem::new(error.to_string()).with_hint(hint))
    }

    /// Prints `text` as the whole output.
    fn print(text: &str) -> Self {
        let mut out = io::stdout().lock();
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            // Nobody reads any more, as in `lsblk | head -1`.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Self::Failed(Problem::new(format!("cannot write the output: {error}")))
            }
            _ => Self::Done,
        }
    }
}

impl From<Result<()>> for Outcome {
    fn from(result: Result<()>) -> Self {
        match result {
            Ok(()) => Self::Done,
            Err(problem) => Self::Failed(problem),
        }
    }
}
