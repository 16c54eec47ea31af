//! The end of the system, once all services are down: kill what is left,
//! sync, unmount, reboot(2). Nothing here may fail for good: every step that
//! does not work is recorded and the next one follows.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use init_core::event::ShutdownKind;
use init_core::mountinfo::{self, Mounted};
use rustix::fs::{CWD, Mode, OFlags, openat, sync};
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};

use crate::errno::explain;
use crate::foreground::{self, Waited};
use crate::sys::power;
use crate::sys::reap::{self, Reap};
use crate::sys::signal::{self, SignalFd};
use crate::{clock, files, log};

/// How long what belongs to no service may take to end after `SIGTERM`.
const TERM_TIME: Duration = Duration::from_secs(2);

/// How long the kernel may take to end what got `SIGKILL`.
const KILL_TIME: Duration = Duration::from_secs(5);

/// Mount points that are needed until the end, and hold nothing that could be lost.
const KEPT: [&str; 4] = ["/", "/proc", "/sys", "/dev"];

/// How much of the list of mounts is read.
const MOUNTINFO_BYTES_MAX: usize = 1024 * 1024;

/// File systems without a disk behind them: whether they can be unmounted does not matter.
const WITHOUT_DISK: [&str; 11] = [
    "proc", "sysfs", "devtmpfs", "devpts", "tmpfs", "ramfs", "rootfs", "cgroup2", "mqueue", "bpf",
    "overlay",
];

/// Ends the system.
pub(crate) fn finish(kind: ShutdownKind, signals: &SignalFd) -> ! {
    kill_the_rest(signals);
    sync();
    unmount_all();
    sync();
    log::info(format_args!(
        "{}",
        match kind {
            ShutdownKind::PowerOff => "power off",
            ShutdownKind::Reboot => "reboot",
            ShutdownKind::Halt => "halt",
        }
    ));
    let errno = power::end(kind);
    log::error(format_args!(
        "the kernel refuses to end the system: {}; it is safe to switch it off",
        explain(errno)
    ));
    loop {
        while let Reap::Child(_) = reap::next() {}
        foreground::pause(signals, None, None);
    }
}

fn kill_the_rest(signals: &SignalFd) {
    for (number, time) in [(libc::SIGTERM, TERM_TIME), (libc::SIGKILL, KILL_TIME)] {
        if no_children_within(Duration::ZERO, signals) {
            return;
        }
        signal::send_to_all(number);
        // A stopped process takes a SIGTERM only once it goes on.
        signal::send_to_all(libc::SIGCONT);
        if no_children_within(time, signals) {
            return;
        }
    }
    log::error(format_args!("some processes cannot be killed; going on without them"));
}

/// Reaps until nobody is left; false if somebody still is after `time`.
fn no_children_within(time: Duration, signals: &SignalFd) -> bool {
    let deadline = clock::now().after(time);
    loop {
        match reap::next() {
            Reap::Child(_) => {}
            Reap::NoChildren => return true,
            Reap::AllAlive => {
                let left = deadline.since(clock::now());
                if left.is_zero() {
                    return false;
                }
                // Asked again to end: that is what happens already.
                let _: Waited = foreground::pause(signals, None, Some(left));
            }
        }
    }
}

fn unmount_all() {
    let content = match files::read(mountinfo::PATH, MOUNTINFO_BYTES_MAX) {
        Ok(content) => content,
        Err(errno) => {
            log::error(format_args!(
                "cannot read {}: {}; only / is secured",
                mountinfo::PATH,
                explain(errno)
            ));
            Vec::new()
        }
    };
    let mounts: Vec<Mounted> = mountinfo::parse(&content).collect();
    let is_kept = |mount: &&Mounted| KEPT.iter().any(|kept| kept.as_bytes() == mount.target);
    for mount in mounts.iter().rev().filter(|mount| !is_kept(mount)) {
        let Err(errno) = unmount(&*mount.target, UnmountFlags::NOFOLLOW) else { continue };
        if !is_without_disk(mount) {
            let target = String::from_utf8_lossy(&mount.target);
            log::warning(format_args!("cannot unmount {target}: {}", explain(errno)));
            secure(&mount.target);
        }
    }
    let root = mounts.iter().rev().find(|mount| mount.target == b"/");
    if !root.is_some_and(is_without_disk) {
        secure(b"/");
    }
}

fn is_without_disk(mount: &Mounted) -> bool {
    WITHOUT_DISK.contains(&mount.kind.as_str())
}

/// Leaves a file system that stays mounted clean on disk: read-only, or frozen
/// where something still has a file open for writing.
fn secure(path: &[u8]) {
    let Err(errno) = mount_remount(path, MountFlags::RDONLY, c"") else { return };
    let frozen = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|directory| power::freeze(rustix::fd::AsFd::as_fd(&directory)));
    let path = String::from_utf8_lossy(path);
    match frozen {
        Ok(()) => log::warning(format_args!(
            "{path} cannot be made read-only ({}): frozen",
            explain(errno)
        )),
        Err(freeze) => log::error(format_args!(
            "{path} can neither be made read-only ({}) nor be frozen ({}): it may need a check",
            explain(errno),
            explain(freeze)
        )),
    }
}
