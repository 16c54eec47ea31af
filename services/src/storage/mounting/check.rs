//! Whether a file system on a device is fit to be mounted.
//!
//! ext4 is checked by `e2fsck -p` where the system has it; otherwise what its superblock
//! says is passed on, and the kernel replays the journal. FAT is read by
//! [`super::fat`].
//!
//! `e2fsck` may take hours and must not be killed in the middle of a repair: who is asked to
//! end asks it, and waits for it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use init_core::block_probe::Condition;
use init_core::e2fsck::{self, Verdict};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use super::fat;
use crate::problem::{Context, Problem, Result};
use crate::storage::block::probe;

/// How a file system may be mounted, and what is to be said of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fitness {
    /// Whether it must not be written to.
    pub read_only: bool,
    /// What the log is to know, if anything.
    pub remark: Option<String>,
}

/// Checks the file system of `kind` (`ext4` or `vfat`) on the device `node`, unless and until
/// `termination` is readable.
///
/// # Errors
/// If it must not be mounted: there is none of that kind, the device cannot be read,
/// `e2fsck` left errors in it, or the check was ended.
pub fn check(node: &str, kind: &str, termination: BorrowedFd<'_>) -> Result<Fitness> {
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
        Some(found) if found.kind == "ext4" => ext4(node, found.condition, termination),
        _ => vfat(node),
    }
}

fn ext4(node: &str, condition: Condition, termination: BorrowedFd<'_>) -> Result<Fitness> {
    let Some(program) = e2fsck::PLACES.into_iter().find(|path| Path::new(path).exists()) else {
        return Ok(by_superblock(node, condition));
    };
    let ended = run(Command::new(program).args(["-p", node]), termination)
        .context(|| format!("cannot run `{program}`"))?;
    if ended.was_asked {
        return Err(Problem::new(format!("{node}: its check was ended on request"))
            .with_hint("the next start begins it anew; until then it is not mounted"));
    }
    verdict(node, ended.status.code(), ended.said.trim())
}

/// How a checker ended.
struct Ended {
    status: ExitStatus,
    said: String,
    /// Whether it was asked to before it was done.
    was_asked: bool,
}

/// Runs `checker` to its end. Once `termination` is readable it is asked to end, and waited
/// for all the same: what it has begun to repair, it completes.
fn run(checker: &mut Command, termination: BorrowedFd<'_>) -> io::Result<Ended> {
    let mut child = checker.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut said = Vec::new();
    let listened = listen(&mut child, termination, &mut said);
    // Not before it has ended may anything else be done with the device, whatever failed.
    let status = child.wait()?;
    let said = String::from_utf8_lossy(&said).into_owned();
    Ok(Ended { status, said, was_asked: listened? })
}

/// Takes what `child` says until it says no more. Returns whether it was asked to end.
fn listen(child: &mut Child, termination: BorrowedFd<'_>, said: &mut Vec<u8>) -> io::Result<bool> {
    let pid = Pid::from_child(child);
    let Some(mut output) = child.stdout.take() else { return Ok(false) };
    let mut was_asked = false;
    loop {
        let mut sources = vec![PollFd::new(&output, PollFlags::IN)];
        // The request stays readable: it is passed on once.
        sources.extend((!was_asked).then(|| PollFd::new(&termination, PollFlags::IN)));
        match poll(&mut sources, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let is_ready = |source: &PollFd<'_>| !source.revents().is_empty();
        let has_words = sources.first().is_some_and(is_ready);
        if sources.get(1).is_some_and(is_ready) {
            kill_process(pid, Signal::TERM)?;
            was_asked = true;
        }
        if has_words {
            let mut words = [0; 4096];
            match output.read(&mut words) {
                Ok(0) => return Ok(was_asked),
                Ok(length) => said.extend(words.iter().take(length)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// What e2fsck(8)'s exit status means for a file system that is not mounted.
fn verdict(node: &str, status: Option<i32>, said: &str) -> Result<Fitness> {
    let fit = |remark| Ok(Fitness { read_only: false, remark });
    match Verdict::of(status) {
        // What it has not looked into, it calls clean.
        Verdict::Clean if said.is_empty() || said.contains(": clean,") => fit(None),
        Verdict::Clean => fit(Some(format!("{node}: e2fsck found nothing to correct: {said}"))),
        Verdict::Corrected => fit(Some(format!("{node}: e2fsck corrected errors: {said}"))),
        Verdict::NeedsPerson => {
            Err(Problem::new(format!("{node}: e2fsck left errors that need a person: {said}"))
                .with_hint(format!("`e2fsck -f {node}` asks before each repair")))
        }
        Verdict::Unchecked => {
            fit(Some(format!("{node}: e2fsck could not check it (status {status:?})")))
        }
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
    use std::os::fd::AsFd;

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
            (Some(127), "", true),
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

    /// A check that nobody asks to end.
    fn unasked(node: &str, kind: &str) -> Result<Fitness> {
        let (quiet, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        check(node, kind, quiet.as_fd())
    }

    #[test]
    fn a_checker_is_heard_to_its_end() {
        let words =
            "i=0; while [ $i -lt 9000 ]; do echo 'a correction'; i=$((i + 1)); done; exit 1";
        let (quiet, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let ended = run(Command::new("sh").args(["-c", words]), quiet.as_fd()).unwrap();
        assert_eq!(ended.said.lines().count(), 9000);
        assert_eq!((ended.status.code(), ended.was_asked), (Some(1), false));
    }

    #[test]
    fn a_checker_that_is_to_end_is_asked_and_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let begun = place.path().join("begun");
        // It goes on with what it has in hand when it is asked.
        let words = format!(
            "trap 'sleep 0.3; echo completed; exit 33' TERM; : > '{}'; \
             while :; do sleep 0.05; done",
            begun.display()
        );
        let (reader, mut writer) = std::os::unix::net::UnixStream::pair().unwrap();
        let ended = std::thread::scope(|scope| {
            scope.spawn(move || {
                while !begun.exists() {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                io::Write::write_all(&mut writer, b"x").unwrap();
                writer
            });
            run(Command::new("sh").args(["-c", &words]), reader.as_fd()).unwrap()
        });
        assert_eq!((ended.status.code(), ended.was_asked), (Some(33), true));
        assert_eq!(ended.said, "completed\n");
    }

    #[test]
    fn what_is_no_such_file_system_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let node = file.path().to_str().unwrap();
        let problem = unasked(node, "ext4").unwrap_err();
        assert!(problem.message().ends_with("holds no ext4"), "{problem}");
        assert!(unasked("/nonexistent", "vfat").unwrap_err().message().starts_with("cannot read"));
    }

    #[test]
    fn a_damaged_fat_is_mounted_read_only() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(16 << 20).unwrap();
        fatfs::format_volume(file.as_file(), fatfs::FormatVolumeOptions::new()).unwrap();
        let node = file.path().to_str().unwrap();
        let clean = Fitness { read_only: false, remark: None };
        assert_eq!(unasked(node, "vfat").unwrap(), clean);
        assert!(unasked(node, "ext4").unwrap_err().message().ends_with("holds vfat, not ext4"));
        // The media byte of the first table, in a sector of its own behind the boot sector's.
        let mut boot = [0; 512];
        file.as_file().read_exact_at(&mut boot, 0).unwrap();
        let reserved = u64::from(u16::from_le_bytes([boot[14], boot[15]]));
        file.as_file().write_all_at(&[0], reserved * 512).unwrap();
        assert!(unasked(node, "vfat").unwrap().read_only);
    }
}
