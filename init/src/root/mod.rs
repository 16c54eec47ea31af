//! From an initramfs to the real root: wait, find, check, mount, switch.
//!
//! Everything up to the switch can be tried again from a rescue shell. After it
//! `/` is somebody's disk: only `execve` is left, and only that is tried again.

mod check;
mod device;
mod switch;

use alloc::borrow::ToOwned as _;
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use init_core::cmdline::{CommandLine, RootSource};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{Mode, StatFs, StatVfsMountFlags, mkdir, statfs, statvfs};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount, mount_remount};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, netlink, socket_with};

use crate::boot_report::BootReport;
use crate::clock;
use crate::console::Console;
use crate::errno::explain;
use crate::foreground::{self, Waited};
use crate::sys::signal::SignalFd;
use crate::{files, log, rescue, shutdown};

/// Where the new root is mounted before it becomes `/`.
const NEW_ROOT: &str = "/sysroot";

/// Longest time between two looks for the root device, for where uevents are missed.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// After this time a person wants to know what PID 1 waits for.
const SILENCE: Duration = Duration::from_secs(2);

const RAMFS_MAGIC: i64 = 0x8584_58f6;
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// Switches to the root that the command line names and becomes its init;
/// returns if there is nothing to switch: no `root=`, or no initramfs.
pub(crate) fn switch(
    line: &CommandLine,
    report: &BootReport,
    console: &Console,
    signals: &SignalFd,
) {
    let Some(source) = line.root.as_ref().filter(|_| in_initramfs()) else { return };
    report.hand_over();
    let program = line.init.as_deref().unwrap_or("/sbin/init");
    while let Err(cause) = try_switch(source, program, line, console, signals) {
        rescue::enter(format_args!("{cause}"), console, signals);
    }
    loop {
        let cause = switch::execute(program, line.init.is_some());
        rescue::enter(format_args!("{cause}"), console, signals);
    }
}

/// Makes a root that the kernel mounted writable, unless `ro` asks otherwise.
pub(crate) fn make_writable(line: &CommandLine) {
    let read_only = statvfs("/").is_ok_and(|fs| fs.f_flag.contains(StatVfsMountFlags::RDONLY));
    if line.read_only || !read_only {
        return;
    }
    match mount_remount("/", MountFlags::empty(), c"") {
        Ok(()) => {}
        // EROFS, squashfs and the like can be nothing else.
        Err(Errno::ROFS | Errno::ACCESS) => log::info(format_args!("/ is read-only by nature")),
        Err(errno) => log::error(format_args!("cannot make / writable: {}", explain(errno))),
    }
}

/// Whether `/` is the kernel's own rootfs (Documentation/filesystems/ramfs-rootfs-initramfs.rst).
fn in_initramfs() -> bool {
    statfs("/").is_ok_and(|fs| is_in_memory(&fs))
}

fn is_in_memory(fs: &StatFs) -> bool {
    #[expect(clippy::useless_conversion, reason = "f_type is narrower on other targets")]
    let magic = i64::from(fs.f_type);
    magic == RAMFS_MAGIC || magic == TMPFS_MAGIC
}

/// Makes the root that is to be found `/`.
fn try_switch(
    source: &RootSource,
    program: &str,
    line: &CommandLine,
    console: &Console,
    signals: &SignalFd,
) -> Result<(), String> {
    let device = wait_for(source, line, signals)?;
    let found = device::filesystem(&device);
    check::check(&device, found.as_ref(), console, signals)?;
    mount_root(&device, found.map(|found| found.kind), line)?;
    log::info(format_args!("switching to {source} ({device}), {program}"));
    switch::switch(NEW_ROOT, program)
}

fn wait_for(source: &RootSource, line: &CommandLine, signals: &SignalFd) -> Result<String, String> {
    // Listening before looking: a device cannot appear unseen in between.
    let uevents = listen_for_uevents().ok();
    if !line.root_delay.is_zero() {
        pause(signals, None, line.root_delay);
    }
    let start = clock::now();
    let mut is_silent = true;
    loop {
        if let Some(device) = device::find(source) {
            return Ok(device);
        }
        if is_silent && clock::now().since(start) >= SILENCE {
            is_silent = false;
            let present = device::inventory();
            log::warning(format_args!(
                "waiting for the root {source}; block devices present: {present}"
            ));
        }
        if line.root_timeout.is_some_and(|timeout| clock::now().since(start) >= timeout) {
            let waited = clock::now().since(start).as_secs();
            let present = device::inventory();
            return Err(format!(
                "no root {source} after {waited} s; block devices present: {present}"
            ));
        }
        pause(signals, uevents.as_ref(), LOOK_INTERVAL);
        if let Some(socket) = &uevents {
            drain(socket);
        }
    }
}

/// Waits for a uevent or `timeout`; a signal that asks for the end is obeyed.
fn pause(signals: &SignalFd, uevents: Option<&OwnedFd>, timeout: Duration) {
    let other = uevents.map(|socket| socket.as_fd());
    if let Waited::Interrupted(kind) = foreground::pause(signals, other, Some(timeout)) {
        shutdown::finish(kind, signals);
    }
}

/// The kernel's own multicast group of uevents (group 1).
fn listen_for_uevents() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let protocol = Some(netlink::KOBJECT_UEVENT);
    let socket = socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, protocol)?;
    bind(&socket, &netlink::SocketAddrNetlink::new(0, 1))?;
    Ok(socket)
}

/// What the messages say does not matter: any of them is a reason to look.
fn drain(socket: &OwnedFd) {
    let mut message = [0_u8; 512];
    while rustix::io::read(socket, &mut message).is_ok_and(|length| length > 0) {}
}

fn mount_root(device: &str, found: Option<&str>, line: &CommandLine) -> Result<(), String> {
    match mkdir(NEW_ROOT, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(format!("cannot make {NEW_ROOT}: {}", explain(errno))),
    }
    let flags = if line.read_only { MountFlags::RDONLY } else { MountFlags::empty() };
    let options = CString::new(line.root_flags.as_str()).unwrap_or_default();
    let types = if line.root_types.is_empty() {
        found.map_or_else(disk_filesystems, |kind| vec![kind.to_owned()])
    } else {
        line.root_types.clone()
    };
    let mut failures = String::new();
    for kind in &types {
        match mount(device, NEW_ROOT, kind.as_str(), flags, options.as_c_str()) {
            Ok(()) => return Ok(()),
            Err(errno) => failures.push_str(&format!("; as {kind}: {}", explain(errno))),
        }
    }
    Err(format!("cannot mount {device} with options {:?}{failures}", line.root_flags))
}

/// The kernel's file systems that live on a device (proc_filesystems(5)).
fn disk_filesystems() -> Vec<String> {
    let text = files::read_text("/proc/filesystems").unwrap_or_default();
    let on_device = text.lines().filter(|line| !line.starts_with("nodev"));
    on_device.map(|line| line.trim().to_owned()).collect()
}
