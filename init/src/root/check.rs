//! Whether the root file system is fit to be mounted.

use alloc::format;
use alloc::string::String;

use init_core::block_probe::{Condition, Filesystem};
use init_core::e2fsck::{self, Verdict};

use crate::console::Console;
use crate::errno::explain;
use crate::foreground::{self, Ended};
use crate::log;
use crate::shutdown;
use crate::sys::signal::SignalFd;

/// Checks the file system on `device` with `e2fsck -p` where the initramfs has
/// it, and otherwise says what the superblock says.
///
/// # Errors
/// What is wrong, if a person must repair it before it can be mounted.
pub(super) fn check(
    device: &str,
    found: Option<&Filesystem>,
    console: &Console,
    signals: &SignalFd,
) -> Result<(), String> {
    let Some(found) = found.filter(|found| found.kind == "ext4") else { return Ok(()) };
    if let Some(program) = e2fsck::PLACES.into_iter().find(|path| rustix::fs::stat(*path).is_ok()) {
        return match foreground::run(&[program, "-p", device], None, console, signals) {
            Ended::Status(status) => verdict(device, status.exit_status()),
            Ended::Interrupted(kind) => shutdown::finish(kind, signals),
            Ended::NotStarted(error) => {
                let errno = rustix::io::Errno::from_raw_os_error(error.errno);
                log::warning(format_args!(
                    "cannot run {program}, {device} goes unchecked: {}",
                    explain(errno)
                ));
                Ok(())
            }
        };
    }
    match found.condition {
        Condition::Clean => {}
        Condition::NeedsRecovery => {
            log::info(format_args!(
                "{device}: not cleanly unmounted, its journal will be replayed"
            ));
        }
        Condition::Unclean => log::warning(format_args!(
            "{device}: not cleanly unmounted and without a journal, and there is no e2fsck here"
        )),
        Condition::Errors => log::error(format_args!(
            "{device}: the kernel found errors in it, and there is no e2fsck here"
        )),
    }
    Ok(())
}

/// What e2fsck's exit status means for the boot.
fn verdict(device: &str, status: Option<i32>) -> Result<(), String> {
    match Verdict::of(status) {
        Verdict::Clean => {}
        Verdict::Corrected => log::warning(format_args!("{device}: e2fsck corrected errors")),
        Verdict::NeedsPerson => {
            let status = status.unwrap_or_default();
            return Err(format!(
                "{device}: e2fsck left errors that need a person (status {status})"
            ));
        }
        Verdict::Unchecked => {
            log::warning(format_args!("{device}: e2fsck could not check it (status {status:?})"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_left_behind_stop_the_boot() {
        for harmless in [Some(0), Some(1), Some(2), Some(3), Some(8), Some(16), Some(127), None] {
            assert_eq!(verdict("/dev/x", harmless), Ok(()), "{harmless:?}");
        }
        for grave in [4, 5, 12] {
            assert!(verdict("/dev/x", Some(grave)).unwrap_err().contains("need a person"));
        }
    }
}
