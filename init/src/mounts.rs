//! The file systems every program expects, mounted by PID 1 (docs/boot.md).
//!
//! What is mounted already stays: the kernel may have mounted `/dev`, which then
//! only gets the flags of the table, and after a switch of root everything has
//! come along. A mount that fails is
//! a record in the log and a poorer system, never the end of the boot.

use alloc::vec::Vec;
use core::ffi::CStr;

use rustix::fs::{AtFlags, CWD, Mode, StatxAttributes, StatxFlags, statx};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_remount};

use crate::errno::explain;
use crate::log;

/// One file system to mount.
struct Mount {
    kind: &'static str,
    target: &'static str,
    flags: MountFlags,
    /// Options to try in order: a kernel that does not know some gets fewer.
    options: &'static [&'static CStr],
}

const NOSUID_NODEV: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);
const NO_NOTHING: MountFlags = NOSUID_NODEV.union(MountFlags::NOEXEC);

/// In the order of mounting; docs/boot.md has the same table.
const MOUNTS: [Mount; 8] = [
    Mount { kind: "proc", target: "/proc", flags: NO_NOTHING, options: &[c""] },
    Mount { kind: "sysfs", target: "/sys", flags: NO_NOTHING, options: &[c""] },
    Mount { kind: "devtmpfs", target: "/dev", flags: MountFlags::NOSUID, options: &[c"mode=0755"] },
    Mount {
        kind: "devpts",
        target: "/dev/pts",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        options: &[c"mode=0620,ptmxmode=0666,gid=5", c"mode=0620,ptmxmode=0666"],
    },
    Mount { kind: "tmpfs", target: "/dev/shm", flags: NOSUID_NODEV, options: &[c"mode=1777"] },
    Mount { kind: "tmpfs", target: "/run", flags: NOSUID_NODEV, options: &[c"mode=0755"] },
    Mount { kind: "tmpfs", target: "/tmp", flags: NOSUID_NODEV, options: &[c"mode=1777"] },
    Mount {
        kind: "cgroup2",
        target: "/sys/fs/cgroup",
        flags: NO_NOTHING,
        options: &[c"nsdelegate,memory_recursiveprot", c"nsdelegate", c""],
    },
];

/// The file systems that move along when the root is switched, parents only:
/// what is mounted below them comes with them.
pub(crate) const MOVED: [&str; 5] = ["/dev", "/proc", "/sys", "/run", "/tmp"];

/// Mounts everything of the table. Returns what could not be mounted: there
/// may be no log yet to write it to.
pub(crate) fn mount_all() -> Vec<(&'static str, Errno)> {
    let failed = |mount: &Mount| mount.establish().err().map(|errno| (mount.target, errno));
    MOUNTS.iter().filter_map(failed).collect()
}

/// Writes to the log what [`mount_all`] returned.
pub(crate) fn report(failures: &[(&'static str, Errno)]) {
    for (target, errno) in failures {
        log::error(format_args!("cannot mount {target}: {}", explain(*errno)));
    }
}

impl Mount {
    fn establish(&self) -> Result<(), Errno> {
        if is_mount_point(self.target) {
            return self.tighten();
        }
        match rustix::fs::mkdir(self.target, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST | Errno::ROFS) => {}
            Err(errno) => return Err(errno),
        }
        match self.mount_as(self.kind) {
            // A kernel without devtmpfs: the nodes are made on a tmpfs.
            Err(Errno::NODEV) if self.kind == "devtmpfs" => self.mount_as("tmpfs"),
            other => other,
        }
    }

    /// The kernel may have mounted `/dev` (`CONFIG_DEVTMPFS_MOUNT`), and it does so
    /// without any flag.
    fn tighten(&self) -> Result<(), Errno> {
        if self.kind != "devtmpfs" {
            return Ok(());
        }
        match mount_remount(self.target, self.flags, c"mode=0755") {
            // Somebody outside this namespace mounted it, and theirs it stays.
            Err(Errno::PERM | Errno::INVAL) => Ok(()),
            other => other,
        }
    }

    fn mount_as(&self, kind: &str) -> Result<(), Errno> {
        let mut result = Ok(());
        for options in self.options {
            result = mount(kind, self.target, kind, self.flags, *options);
            match result {
                Ok(()) | Err(Errno::BUSY) => return Ok(()),
                Err(Errno::INVAL) => {}
                Err(_) => return result,
            }
        }
        result
    }
}

/// Whether something is mounted at `path` itself (`STATX_ATTR_MOUNT_ROOT`, Linux 5.8).
pub(crate) fn is_mount_point(path: &str) -> bool {
    statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, StatxFlags::empty())
        .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}
