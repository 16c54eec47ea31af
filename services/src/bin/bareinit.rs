//! `rdinit=/usr/sbin/bareinit`: the barest boot to `execd`. `builder bench boot` holds PID 1
//! against it. For bench images only.
//!
//! It asks of the kernel what PID 1 cannot do without: the same mounts, the loopback
//! interface, the sockets, a cgroup and the same program in it. What PID 1 does besides
//! (nodes, descriptions, the supervisor, pidfds, pipes, records) is left out on purpose, and
//! whatever fails ends it, which is the kernel's panic.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::ExitCode;
use std::time::Duration;

use init_core::protocol::CONTROL_SOCKET;
use rustix::mount::{MountFlags, mount};
use rustix::process::{Pid, WaitOptions, getpid, wait};
use rustix::time::{ClockId, clock_gettime};
use services::problem::{Context, Problem, Result};
use services::sys::{Program, loopback_up, vfork_exec};

/// Where the service says that it is ready.
const NOTIFY_SOCKET: &str = "/run/init/notify";
/// PID 1's account of the boot, for who asks.
const BOOT_FILE: &str = "/run/init/boot";
/// The cgroup of the service.
const CGROUP: &str = "/sys/fs/cgroup/services/execd";

const NOSUID_NODEV: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV);
const NO_NOTHING: MountFlags = NOSUID_NODEV.union(MountFlags::NOEXEC);
const NOSUID_NOEXEC: MountFlags = MountFlags::NOSUID.union(MountFlags::NOEXEC);

/// Type, target, flags and options of what PID 1 mounts (docs/boot.md).
const MOUNTS: [(&str, &str, MountFlags, &CStr); 8] = [
    ("proc", "/proc", NO_NOTHING, c""),
    ("sysfs", "/sys", NO_NOTHING, c""),
    ("devtmpfs", "/dev", MountFlags::NOSUID, c"mode=0755"),
    ("devpts", "/dev/pts", NOSUID_NOEXEC, c"mode=0620,ptmxmode=0666,gid=5"),
    ("tmpfs", "/dev/shm", NOSUID_NODEV, c"mode=1777"),
    ("tmpfs", "/run", NOSUID_NODEV, c"mode=0755"),
    ("tmpfs", "/tmp", NOSUID_NODEV, c"mode=1777"),
    ("cgroup2", "/sys/fs/cgroup", NO_NOTHING, c"nsdelegate,memory_recursiveprot"),
];

fn main() -> ExitCode {
    let started = monotonic_now();
    if getpid() != Pid::INIT {
        Problem::new("it mounts and starts what PID 1 does, and is not PID 1")
            .with_hint("`builder bench boot` boots a guest with rdinit=/usr/sbin/bareinit")
            .print("bareinit");
        return ExitCode::FAILURE;
    }
    match boot(started) {
        Ok(()) => reap(),
        Err(problem) => {
            problem.print("bareinit");
            ExitCode::FAILURE
        }
    }
}

fn boot(started: Duration) -> Result<()> {
    for (kind, target, flags, options) in MOUNTS {
        let mounted = match fs::create_dir(target) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => mount(kind, target, kind, flags, options).map_err(io::Error::from),
        };
        mounted.context(|| format!("cannot mount {target}"))?;
    }
    loopback_up().context(|| "cannot bring up the loopback interface".to_owned())?;
    let (notify, _control) = sockets().context(|| "cannot make the sockets".to_owned())?;
    fs::create_dir_all(CGROUP).context(|| format!("cannot make {CGROUP}"))?;
    start_service().context(|| "cannot start execd".to_owned())?;
    wait_until_ready(&notify).context(|| "cannot wait for execd".to_owned())?;
    let (started_us, complete_us) = (started.as_micros(), monotonic_now().as_micros());
    let report = format!("started_us={started_us}\ncomplete_us={complete_us}\n");
    fs::write(BOOT_FILE, report).context(|| format!("cannot write {BOOT_FILE}"))
}

fn sockets() -> io::Result<(UnixDatagram, UnixListener)> {
    fs::create_dir("/run/init")?;
    Ok((UnixDatagram::bind(NOTIFY_SOCKET)?, UnixListener::bind(CONTROL_SOCKET)?))
}

fn start_service() -> io::Result<()> {
    let environment =
        vec![c"NOTIFY_SOCKET=/run/init/notify".to_owned(), c"PATH=/usr/bin:/usr/sbin".to_owned()];
    let program = Program::new(vec![c"/usr/sbin/execd".to_owned()], environment);
    let program = program.ok_or(io::ErrorKind::InvalidInput)?;
    let pid = vfork_exec(&program)?;
    fs::write(format!("{CGROUP}/cgroup.procs"), pid.as_raw_nonzero().to_string())
}

fn wait_until_ready(notify: &UnixDatagram) -> io::Result<()> {
    let mut message = [0; 64];
    while !notify.recv(&mut message).map(|length| message[..length].starts_with(b"READY=1"))? {}
    Ok(())
}

fn monotonic_now() -> Duration {
    clock_gettime(ClockId::Monotonic).try_into().unwrap_or_default()
}

/// Goes on until the machine is switched off.
fn reap() -> ! {
    loop {
        if wait(WaitOptions::empty()).is_err() {
            rustix::event::pause();
        }
    }
}
