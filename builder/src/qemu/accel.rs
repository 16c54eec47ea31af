//! Whether KVM works here, found out by running a guest under it.
//!
//! /dev/kvm may be there, open, accept a guest and then hang it, as inside some
//! virtual machines. So a guest of a few instructions must run to its end
//! first. The verdict is kept for as long as the host is up.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::accelerator::Accelerator;
use super::board::Board;
use super::machine::{board_arguments, program};
use super::probe_guest::{CONSOLE_BYTE, CONSOLE_BYTES, probe_guest};
use crate::arch::Arch;
use crate::cache::{Cache, KeyBuilder};
use crate::error::{Error, IoContext, Result};
use crate::host::Invocation;
use crate::shell::Shell;

const DEVICE: &str = "/dev/kvm";
/// A working accelerator needs a tenth of a second.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the probe's process is asked whether it has ended.
const PROBE_PERIOD: Duration = Duration::from_millis(10);
const VERDICT_FILE: &str = "verdict";
const WORKS: &str = "works";

/// What the person asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Choice {
    /// KVM where it works, otherwise TCG
    Auto,
    /// KVM, or an error that says why not
    Kvm,
    /// QEMU's translator
    Tcg,
}

impl Choice {
    /// Its word on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

/// The accelerator for a guest of `arch`. A fallback is announced once.
///
/// # Errors
/// If KVM was asked for and does not work here.
pub fn choose(shell: &Shell, cache: &Cache, arch: Arch, choice: Choice) -> Result<Accelerator> {
    static ANNOUNCED: AtomicBool = AtomicBool::new(false);
    if choice == Choice::Tcg {
        return Ok(Accelerator::Tcg);
    }
    match (kvm_obstacle(shell, cache, arch)?, choice) {
        (None, _) => Ok(Accelerator::Kvm),
        (Some(obstacle), Choice::Kvm) => {
            Err(Error::host(format!("kvm cannot be used: {obstacle}"))
                .hint("use `--accel auto` or `--accel tcg`"))
        }
        (Some(obstacle), _) => {
            if !ANNOUNCED.swap(true, Ordering::Relaxed) {
                shell.note(format_args!(
                    "guests run under TCG, which is slower than KVM: {obstacle}"
                ));
            }
            Ok(Accelerator::Tcg)
        }
    }
}

/// Why a guest of `arch` cannot run under KVM; `None` if it can.
fn kvm_obstacle(shell: &Shell, cache: &Cache, arch: Arch) -> Result<Option<String>> {
    if Arch::host() != Some(arch) {
        return Ok(Some(format!("the host is no {arch} machine")));
    }
    if let Err(error) = std::fs::File::options().read(true).write(true).open(DEVICE) {
        let remedy = match error.kind() {
            std::io::ErrorKind::PermissionDenied => " (join the group `kvm`)",
            _ => "",
        };
        return Ok(Some(format!("{DEVICE} cannot be opened: {error}{remedy}")));
    }
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if arch == Arch::X86_64 && !has_hardware_virtualization(&cpuinfo) {
        let why = "the processor offers no virtualization (neither vmx nor svm in /proc/cpuinfo)";
        return Ok(Some(why.to_owned()));
    }
    remembered_probe(shell, cache, arch)
}

/// Whether a processor of /proc/cpuinfo has VT-x or AMD-V. Without them,
/// /dev/kvm is the work of an outer hypervisor that emulates it in parts.
fn has_hardware_virtualization(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().filter(|line| line.starts_with("flags"));
    flags.flat_map(str::split_whitespace).any(|flag| flag == "vmx" || flag == "svm")
}

fn remembered_probe(shell: &Shell, cache: &Cache, arch: Arch) -> Result<Option<String>> {
    let boot_id = Path::new("/proc/sys/kernel/random/boot_id");
    let key = KeyBuilder::new("kvm probe 1")
        .part("arch", arch.as_str())
        .part("boot", std::fs::read(boot_id).at("read", boot_id)?)
        .finish();
    let entry = cache.find_or_make(shell, "kvm-probe", &key, |directory| {
        let verdict = match probe(arch, Accelerator::Kvm) {
            Ok(()) => WORKS.to_owned(),
            Err(error) => error.to_string(),
        };
        let path = directory.join(VERDICT_FILE);
        std::fs::write(&path, verdict).at("write", &path)
    })?;
    let path = entry.join(VERDICT_FILE);
    let verdict = std::fs::read_to_string(&path).at("read", &path)?;
    Ok((verdict != WORKS).then_some(verdict))
}

/// Runs the probe guest.
///
/// # Errors
/// If it has not run to its end in time, or QEMU cannot run it.
pub fn probe(arch: Arch, accelerator: Accelerator) -> Result<()> {
    let directory = tempfile::tempdir()
        .map_err(|error| Error::failure(format!("cannot create a directory: {error}")))?;
    let guest = probe_guest(arch);
    let firmware = directory.path().join("firmware");
    std::fs::write(&firmware, &guest.firmware).at("write", &firmware)?;
    let console = directory.path().join("console");
    let serial = format!("file:{}", console.display());
    let mut qemu = Invocation::new(program(arch))
        .args(board_arguments(Board::of(arch), accelerator))
        .args(guest.arguments)
        .arg("-bios")
        .arg(&firmware)
        .args(["-serial", serial.as_str()])
        .spawn(Stdio::null(), Stdio::null(), Stdio::null())?;
    let started = Instant::now();
    let status = loop {
        match qemu.child().try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if started.elapsed() < PROBE_TIMEOUT => std::thread::sleep(PROBE_PERIOD),
            Ok(None) => {
                let limit = PROBE_TIMEOUT.as_secs();
                return Err(Error::failure(format!(
                    "{} hung a test guest for {limit} s",
                    accelerator.as_str()
                )));
            }
            Err(error) => return Err(Error::failure(format!("cannot wait for qemu: {error}"))),
        }
    };
    let written = std::fs::read(&console).unwrap_or_default();
    if status.code() == Some(guest.exit_code) && written == [CONSOLE_BYTE; CONSOLE_BYTES] {
        return Ok(());
    }
    Err(Error::failure(format!(
        "a test guest under {} ended with {status} after {} of {CONSOLE_BYTES} bytes",
        accelerator.as_str(),
        written.len()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::find_program;

    #[test]
    fn the_probe_guests_run_to_their_end() {
        for arch in Arch::ALL {
            if find_program(program(arch)).is_none() {
                println!("skipped: {} is not installed", program(arch));
                continue;
            }
            probe(arch, Accelerator::Tcg).unwrap();
        }
    }

    #[test]
    fn another_architecture_is_never_asked_of_kvm() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().to_owned()).unwrap();
        let shell = Shell::new(true);
        let foreign = Arch::ALL.into_iter().find(|arch| Some(*arch) != Arch::host()).unwrap();
        let error = choose(&shell, &cache, foreign, Choice::Kvm).unwrap_err();
        assert_eq!(error.kind(), crate::error::Kind::Host);
        let fallback = choose(&shell, &cache, foreign, Choice::Auto).unwrap();
        assert_eq!(fallback, Accelerator::Tcg);
    }

    #[test]
    fn flags_are_words() {
        assert!(has_hardware_virtualization("model name: x\nflags\t\t: fpu vmx sse\n"));
        assert!(has_hardware_virtualization("flags : svm\n"));
        assert!(!has_hardware_virtualization("flags : fpu svm_lock\nbugs : vmx\n"));
        assert!(!has_hardware_virtualization(""));
    }
}
