//! The end of the system, once all services are down: kill what is left,
//! sync, unmount, reboot(2). Nothing here may fail for good: every step that
//! does not work is recorded and the next one follows.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use init_core::event::ShutdownKind;
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

/// A line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
#[derive(PartialEq, Eq, Debug)]
struct MountPoint {
    path: String,
    kind: String,
}

fn unmount_all() {
    let text = match files::read_text("/proc/self/mountinfo") {
        Ok(text) => text,
        Err(errno) => {
            log::error(format_args!(
                "cannot read /proc/self/mountinfo: {}; only / is secured",
                explain(errno)
            ));
            String::new()
        }
    };
    let mounts: Vec<MountPoint> = text.lines().filter_map(MountPoint::parse).collect();
    for mount in mounts.iter().rev().filter(|mount| !KEPT.contains(&mount.path.as_str())) {
        let Err(errno) = unmount(mount.path.as_str(), UnmountFlags::NOFOLLOW) else { continue };
        if !mount.is_without_disk() {
            log::warning(format_args!("cannot unmount {}: {}", mount.path, explain(errno)));
            secure(&mount.path);
        }
    }
    let root = mounts.iter().rev().find(|mount| mount.path == "/");
    if !root.is_some_and(MountPoint::is_without_disk) {
        secure("/");
    }
}

/// Leaves a file system that stays mounted clean on disk: read-only, or frozen
/// where something still has a file open for writing.
fn secure(path: &str) {
    let Err(errno) = mount_remount(path, MountFlags::RDONLY, c"") else { return };
    let frozen = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .and_then(|directory| power::freeze(rustix::fd::AsFd::as_fd(&directory)));
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

impl MountPoint {
    fn parse(line: &str) -> Option<Self> {
        let (mount, source) = line.split_once(" - ")?;
        let path = unescape(mount.split(' ').nth(4)?);
        Some(Self { path, kind: source.split(' ').next()?.to_owned() })
    }

    fn is_without_disk(&self) -> bool {
        WITHOUT_DISK.contains(&self.kind.as_str())
    }
}

/// The kernel writes space, tab, newline and backslash as `\` and three octal digits.
fn unescape(text: &str) -> String {
    let mut pieces = text.split('\\');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match (digits, piece.get(3..)) {
            (Some(byte), Some(rest)) => {
                plain.push(char::from(byte));
                plain.push_str(rest);
            }
            _ => {
                plain.push('\\');
                plain.push_str(piece);
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mountinfo_lines_are_read() {
        let line = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 - ext4 /dev/root rw";
        let expected = MountPoint { path: "/mnt 2".into(), kind: "ext4".into() };
        assert_eq!(MountPoint::parse(line), Some(expected));
        assert_eq!(MountPoint::parse("36 35 98:0 / /"), None);
        assert_eq!(unescape("a\\134b\\9"), "a\\b\\9");
    }
}
