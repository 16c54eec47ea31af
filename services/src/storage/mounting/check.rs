//! Whether a file system on a device is fit to be mounted.
//!
//! ext4 is checked by `e2fsck -p` where the system has it; otherwise what its superblock
//! says is passed on, and the kernel replays the journal. FAT is read by
//! [`super::fat`].

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use init_core::block_probe::Condition;

use super::fat;
use crate::problem::{Context, Problem, Result};
use crate::storage::block::probe;

/// Where `e2fsck` may be.
const E2FSCK: [&str; 4] = ["/usr/sbin/e2fsck", "/sbin/e2fsck", "/usr/bin/e2fsck", "/bin/e2fsck"];

/// How a file system may be mounted, and what is to be said of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fitness {
    /// Whether it must not be written to.
    pub read_only: bool,
    /// What the log is to know, if anything.
    pub remark: Option<String>,
}

/// Checks the file system of `kind` (`ext4` or `vfat`) on the device `node`.
///
/// # Errors
/// If it must not be mounted: there is none of that kind, the device cannot be read, or
/// `e2fsck` left errors in it.
pub fn check(node: &str, kind: &str) -> Result<Fitness> {
    let found = probe::filesystem(node);
    match &found {
        Some(found) if found.kind == kind => {}
        Some(found) => {
            return Err(Problem::new(format!("`{node}` holds {}, not {kind}", found.kind)));
        }
        None => {
            File::open(node).context(|| format!("cannot read `{node}`"))?;
            return Err(Problem::new(format!("`{node}` holds no {kind}"))
                .with_hint(format!("`mkfs.{} {node}` makes one", kind.trim_start_matches('v'))));
        }
    }
    match found {
        Some(found) if found.kind == "ext4" => ext4(node, found.condition),
        _ => vfat(node),
    }
}

fn ext4(node: &str, condition: Condition) -> Result<Fitness> {
    let Some(program) = E2FSCK.into_iter().find(|path| Path::new(path).exists()) else {
        return Ok(by_superblock(node, condition));
    };
    let output = Command::new(program).args(["-p", node]).output();
    let output = output.context(|| format!("cannot run `{program}`"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    verdict(node, output.status.code(), said.trim())
}

/// What e2fsck(8)'s exit status means for a file system that is not mounted.
fn verdict(node: &str, status: Option<i32>, said: &str) -> Result<Fitness> {
    let fit = |remark| Ok(Fitness { read_only: false, remark });
    match status {
        // What it has not looked into, it calls clean.
        Some(0) if said.is_empty() || said.contains(": clean,") => fit(None),
        Some(0) => fit(Some(format!("{node}: e2fsck found nothing to correct: {said}"))),
        Some(1..4) => fit(Some(format!("{node}: e2fsck corrected errors: {said}"))),
        Some(status) if status & 4 != 0 => {
            Err(Problem::new(format!("{node}: e2fsck left errors that need a person: {said}"))
                .with_hint(format!("`e2fsck -f {node}` asks before each repair")))
        }
        status => fit(Some(format!("{node}: e2fsck could not check it (status {status:?})"))),
    }
}

fn by_superblock(node: &str, condition: Condition) -> Fitness {
    let remark = match condition {
        Condition::Clean => None,
        Condition::NeedsRecovery => {
            Some(format!("{node}: not cleanly unmounted, its journal will be replayed"))
        }
        Condition::Unclean => Some(format!(
            "{node}: not cleanly unmounted and without a journal, and there is no e2fsck here"
        )),
        Condition::Errors => {
            Some(format!("{node}: the kernel found errors in it, and there is no e2fsck here"))
        }
    };
    Fitness { read_only: false, remark }
}

fn vfat(node: &str) -> Result<Fitness> {
    let mut device = File::open(node).context(|| format!("cannot read `{node}`"))?;
    let size_bytes =
        device.seek(SeekFrom::End(0)).context(|| format!("cannot measure `{node}`"))?;
    let verdict = fat::check(size_bytes, |buffer, offset| device.read_exact_at(buffer, offset))
        .context(|| format!("cannot read `{node}`"))?;
    Ok(match verdict {
        fat::Verdict::Clean => Fitness { read_only: false, remark: None },
        fat::Verdict::Dirty => Fitness {
            read_only: false,
            remark: Some(format!("{node}: not cleanly unmounted, its tables are consistent")),
        },
        fat::Verdict::Damaged(reason) => Fitness {
            read_only: true,
            remark: Some(format!("{node}: {reason}; it is mounted read-only")),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_left_behind_keep_an_ext4_from_being_mounted() {
        for (status, text, said) in [
            (Some(0), "/dev/x: clean, 11/8192 files, 6938/32768 blocks", false),
            (Some(0), "", false),
            (Some(0), "/dev/x contains a file system with errors, check forced.", true),
            (Some(1), "", true),
            (Some(2), "", true),
            (Some(8), "", true),
            (None, "", true),
        ] {
            let fitness = verdict("/dev/x", status, text).unwrap();
            assert_eq!((fitness.remark.is_some(), fitness.read_only), (said, false), "{status:?}");
        }
        for status in [4, 5, 12] {
            assert!(
                verdict("/dev/x", Some(status), "").unwrap_err().to_string().contains("person")
            );
        }
    }

    #[test]
    fn what_is_no_such_file_system_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let node = file.path().to_str().unwrap();
        let problem = check(node, "ext4").unwrap_err();
        assert!(problem.message().ends_with("holds no ext4"), "{problem}");
        assert!(check("/nonexistent", "vfat").unwrap_err().message().starts_with("cannot read"));
    }

    #[test]
    fn a_damaged_fat_is_mounted_read_only() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(16 << 20).unwrap();
        fatfs::format_volume(file.as_file(), fatfs::FormatVolumeOptions::new()).unwrap();
        let node = file.path().to_str().unwrap();
        let clean = Fitness { read_only: false, remark: None };
        assert_eq!(check(node, "vfat").unwrap(), clean);
        assert!(check(node, "ext4").unwrap_err().message().ends_with("holds vfat, not ext4"));
        // The media byte of the first table, in a sector of its own behind the boot sector's.
        let mut boot = [0; 512];
        file.as_file().read_exact_at(&mut boot, 0).unwrap();
        let reserved = u64::from(u16::from_le_bytes([boot[14], boot[15]]));
        file.as_file().write_all_at(&[0], reserved * 512).unwrap();
        assert!(check(node, "vfat").unwrap().read_only);
    }
}
