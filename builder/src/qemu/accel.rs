//! Whether KVM works here, found out by running a guest under it.
//!
//! /dev/kvm may be there, open, accept a guest and then hang it, as inside some
//! virtual machines. So a guest of a few instructions must run to its end
//! first. The verdict is kept for as long as the host is up and QEMU the same;
//! what kept the guest from being tried may have passed by the next time.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::ValueEnum;

use super::accelerator::Accelerator;
use super::board::Board;
use super::machine::{board_arguments, program};
use super::probe_guest::{CONSOLE_BYTE, CONSOLE_BYTES, probe_guest};
use crate::arch::Arch;
use crate::cache::{Cache, Key, KeyBuilder, memo};
use crate::error::{Error, IoContext, Result};
use crate::host::{Invocation, Running, find_program};
use crate::shell::Shell;

const DEVICE: &str = "/dev/kvm";
/// A working accelerator needs a tenth of a second.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the probe's process is asked whether it has ended.
const PROBE_PERIOD: Duration = Duration::from_millis(10);
/// The verdict that is no obstacle.
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
    match (kvm_obstacle(shell, cache, arch), choice) {
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
fn kvm_obstacle(shell: &Shell, cache: &Cache, arch: Arch) -> Option<String> {
    if Arch::host() != Some(arch) {
        return Some(format!("the host is no {arch} machine"));
    }
    if let Err(error) = std::fs::File::options().read(true).write(true).open(DEVICE) {
        let remedy = match error.kind() {
            std::io::ErrorKind::PermissionDenied => " (join the group `kvm`)",
            _ => "",
        };
        return Some(format!("{DEVICE} cannot be opened: {error}{remedy}"));
    }
    let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if arch == Arch::X86_64 && !has_hardware_virtualization(&cpuinfo) {
        let why = "the processor offers no virtualization (neither vmx nor svm in /proc/cpuinfo)";
        return Some(why.to_owned());
    }
    remembered_probe(shell, cache, arch)
}

/// Whether a processor of /proc/cpuinfo has VT-x or AMD-V. Without them,
/// /dev/kvm is the work of an outer hypervisor that emulates it in parts.
fn has_hardware_virtualization(cpuinfo: &str) -> bool {
    let flags = cpuinfo.lines().filter(|line| line.starts_with("flags"));
    flags.flat_map(str::split_whitespace).any(|flag| flag == "vmx" || flag == "svm")
}

/// The verdict of [`probe`], which is kept. That it could not be tried is true for this run.
fn remembered_probe(shell: &Shell, cache: &Cache, arch: Arch) -> Option<String> {
    static UNTRIED: OnceLock<String> = OnceLock::new();
    if let Some(why) = UNTRIED.get() {
        return Some(why.clone());
    }
    let Some(qemu) = find_program(program(arch)) else {
        return Some(format!("the program {} is not installed", program(arch)));
    };
    let verdict = verdict_key(arch, &qemu)
        .and_then(|key| verdict(shell, cache, &key, || probe(&qemu, arch, Accelerator::Kvm)));
    verdict.unwrap_or_else(|error| Some(UNTRIED.get_or_init(|| error.to_string()).clone()))
}

/// What the verdict depends on: the running kernel and its modules, and QEMU.
fn verdict_key(arch: Arch, qemu: &Path) -> Result<Key> {
    let boot_id = Path::new("/proc/sys/kernel/random/boot_id");
    let key = KeyBuilder::new("kvm probe 2")
        .part("arch", arch.as_str())
        .part("boot", std::fs::read(boot_id).at("read", boot_id)?);
    Ok(memo::identity(key, qemu)?.finish())
}

/// The verdict that is remembered under `key`, else the one of `probe`, whose error is not kept.
fn verdict(
    shell: &Shell,
    cache: &Cache,
    key: &Key,
    probe: impl FnOnce() -> Result<Option<String>>,
) -> Result<Option<String>> {
    let found = || Ok(probe()?.unwrap_or_else(|| WORKS.to_owned()));
    let verdict = memo::recall(shell, cache, key, found)?;
    Ok((verdict != WORKS).then_some(verdict))
}

/// Runs the probe guest: why it did not get to its end as it should, `None` if it did.
///
/// # Errors
/// If that says nothing of the accelerator: the guest could not be started, or has taken too
/// long, as it may on a busy host.
fn probe(qemu: &Path, arch: Arch, accelerator: Accelerator) -> Result<Option<String>> {
    let directory = tempfile::tempdir()
        .map_err(|error| Error::failure(format!("cannot create a directory: {error}")))?;
    let guest = probe_guest(arch);
    let firmware = directory.path().join("firmware");
    std::fs::write(&firmware, &guest.firmware).at("write", &firmware)?;
    let console = directory.path().join("console");
    let serial = format!("file:{}", console.display());
    let mut qemu = Invocation::new(qemu)
        .args(board_arguments(Board::of(arch), accelerator))
        .args(guest.arguments)
        .arg("-bios")
        .arg(&firmware)
        .args(["-serial", serial.as_str()])
        .spawn(Stdio::null(), Stdio::null(), Stdio::null())?;
    let name = accelerator.as_str();
    let Some(status) = wait(&mut qemu, PROBE_TIMEOUT)? else {
        let limit = PROBE_TIMEOUT.as_secs();
        return Err(Error::failure(format!("{name} hung a test guest for {limit} s")));
    };
    let written = std::fs::read(&console).unwrap_or_default();
    if status.code() == Some(guest.exit_code) && written == [CONSOLE_BYTE; CONSOLE_BYTES] {
        return Ok(None);
    }
    let bytes = written.len();
    let why = format!(
        "a test guest under {name} ended with {status} after {bytes} of {CONSOLE_BYTES} bytes"
    );
    // Any other status is of QEMU, which had no memory or found the device busy, or was killed.
    let is_of_guest = status.code().is_some_and(|code| code == 0 || code == guest.exit_code);
    if is_of_guest { Ok(Some(why)) } else { Err(Error::failure(why)) }
}

/// Waits for QEMU to end: how it did, `None` if it takes longer than `limit`.
fn wait(qemu: &mut Running, limit: Duration) -> Result<Option<ExitStatus>> {
    let started = Instant::now();
    loop {
        let status = qemu
            .child()
            .try_wait()
            .map_err(|error| Error::failure(format!("cannot wait for qemu: {error}")))?;
        if status.is_some() || started.elapsed() >= limit {
            return Ok(status);
        }
        std::thread::sleep(PROBE_PERIOD);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_guests_run_to_their_end() {
        for arch in Arch::ALL {
            let Some(qemu) = find_program(program(arch)) else {
                println!("skipped: {} is not installed", program(arch));
                continue;
            };
            assert_eq!(probe(&qemu, arch, Accelerator::Tcg).unwrap(), None);
        }
    }

    #[test]
    fn a_guest_that_ends_wrongly_is_a_verdict_and_one_that_is_not_started_is_none() {
        // Programs that end as QEMU would, whatever their arguments.
        let probe = |name: &str| {
            let stand_in = find_program(name).unwrap_or_else(|| name.into());
            probe(&stand_in, Arch::X86_64, Accelerator::Kvm)
        };
        let why = probe("true").unwrap().unwrap();
        assert!(why.contains("under kvm ended with exit status: 0 after 0 of"), "{why}");
        let error = probe("false").unwrap_err().to_string();
        assert!(error.contains("under kvm ended with exit status: 1 after 0 of"), "{error}");
        assert!(probe("/nonexistent/qemu").is_err());
    }

    #[test]
    fn a_guest_that_takes_too_long_has_no_status() {
        let start = |name: &str, argument: &str| {
            let invocation = Invocation::new(name).arg(argument);
            invocation.spawn(Stdio::null(), Stdio::null(), Stdio::null()).unwrap()
        };
        assert!(wait(&mut start("sleep", "60"), PROBE_PERIOD).unwrap().is_none());
        let status = wait(&mut start("sleep", "0"), Duration::from_secs(60)).unwrap();
        assert!(status.unwrap().success());
    }

    #[test]
    fn a_verdict_is_kept_and_an_accident_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::at(directory.path().join("c")).unwrap();
        let shell = Shell::new(true);
        let qemu = directory.path().join("qemu");
        std::fs::write(&qemu, "1").unwrap();
        let key = || verdict_key(Arch::X86_64, &qemu).unwrap();
        let asked = |probe: fn() -> Result<Option<String>>| verdict(&shell, &cache, &key(), probe);
        let accident = || Err(Error::failure("no space left"));
        assert!(asked(accident).unwrap_err().to_string().contains("no space left"));
        assert_eq!(asked(|| Ok(Some("it hangs".into()))).unwrap().as_deref(), Some("it hangs"));
        assert_eq!(asked(accident).unwrap().as_deref(), Some("it hangs"));
        std::fs::write(&qemu, "another").unwrap();
        assert_eq!(asked(|| Ok(None)).unwrap(), None);
        assert_eq!(asked(accident).unwrap(), None);
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
