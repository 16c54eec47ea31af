//! Mounting, growing and unmounting.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use init_core::mount::{MountDescription, MountKind};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags};
use services::problem::{Context, Problem, Result, warn};
use services::storage::block::sysfs::Sysfs;
use services::storage::mounting::check::check;
use services::storage::mounting::options::Options;
use services::storage::mounting::remount;
use services::storage::mounting::table::{self, Mounted};
use services::sys::resize_ext4;

use crate::watch::{Layer, Watch};
use crate::{PROGRAM, holders};

/// How long an unmount waits for the last user, shorter than the stop timeout of a service.
const UNMOUNT_WAIT: Duration = Duration::from_secs(8);

/// Mounts `source` as described and says in a few words what is where. Its check is ended
/// once `termination` is readable.
///
/// # Errors
/// If it must not or cannot be mounted, with what stands in the way.
pub(crate) fn establish(
    description: &MountDescription,
    source: &str,
    termination: BorrowedFd<'_>,
) -> Result<String> {
    let target = &*description.target;
    let there = table::at(target).context(|| "cannot read the table of mounts".to_owned())?;
    match there {
        Some(there) if is_the_same(description, source, &there) => {}
        _ => mount_anew(description, source, termination)?,
    }
    if description.grow {
        grow(source, target)?;
    }
    Ok(format!("{source} on {target}"))
}

/// Whether what is mounted there is what is asked for.
fn is_the_same(description: &MountDescription, source: &str, there: &Mounted) -> bool {
    match description.kind {
        MountKind::Ext4 | MountKind::Vfat => {
            let name = source.trim_start_matches("/dev/").replace('/', "!");
            let name = fs::canonicalize(source).map_or(name, |path| {
                path.to_string_lossy().trim_start_matches("/dev/").replace('/', "!")
            });
            let device = Sysfs::default().device(&name);
            device.is_some_and(|device| device.number == there.number)
        }
        MountKind::Tmpfs => there.kind == "tmpfs",
        MountKind::Overlay => there.kind == "overlay",
        MountKind::Bind => {
            use std::os::unix::fs::MetadataExt;
            let identity = |path: &str| fs::metadata(path).map(|found| (found.dev(), found.ino()));
            match (identity(source), identity(&there.target)) {
                (Ok(source), Ok(target)) => source == target,
                _ => false,
            }
        }
    }
}

fn mount_anew(
    description: &MountDescription,
    source: &str,
    termination: BorrowedFd<'_>,
) -> Result<()> {
    let target = &*description.target;
    let kind = description.kind.as_str();
    let mut options = Options::of(description.options.iter().map(AsRef::as_ref));
    if description.kind.is_on_device() && description.check {
        let fitness = check(source, kind, termination)?;
        if fitness.read_only {
            options.flags |= MountFlags::RDONLY;
        }
        if let Some(remark) = fitness.remark {
            warn(PROGRAM, remark);
        }
    }
    make_target(description, source)?;
    let failed = |error: io::Error| {
        let problem = Problem::new(format!("cannot mount {source} on {target} as {kind}: {error}"));
        match error.raw_os_error() {
            Some(libc::EINVAL) => problem.with_hint("`dmesg` says what the kernel did not like"),
            Some(libc::ENODEV) => problem.with_hint("the kernel lacks this file system"),
            _ => problem,
        }
    };
    if description.kind == MountKind::Bind {
        return remount::bind(source, target, &description.options).map_err(failed);
    }
    let data = CString::new(options.data).unwrap_or_default();
    rustix::mount::mount(source, target, kind, options.flags, data.as_c_str())
        .map_err(|errno| failed(errno.into()))
}

/// Makes the mount point where it is missing: a file for a bind mount of a file.
fn make_target(description: &MountDescription, source: &str) -> Result<()> {
    let target = Path::new(&*description.target);
    if target.exists() {
        return Ok(());
    }
    let made = if description.kind == MountKind::Bind && Path::new(source).is_file() {
        File::create(target).map(drop)
    } else {
        fs::create_dir_all(target)
    };
    made.context(|| format!("cannot make the mount point `{}`", target.display()))
        .map_err(|problem| problem.with_hint("on a read-only root, the image must have it"))
}

/// Lets the ext4 take all of its device.
fn grow(source: &str, target: &str) -> Result<()> {
    use std::io::{Seek, SeekFrom};
    let size_bytes = File::open(source)
        .and_then(|mut device| device.seek(SeekFrom::End(0)))
        .context(|| format!("cannot measure `{source}`"))?;
    let directory = File::open(target).context(|| format!("cannot open `{target}`"))?;
    let found = rustix::fs::fstatvfs(&directory).map_err(io::Error::from);
    let found = found.context(|| format!("cannot measure `{target}`"))?;
    // The kernel counts in the file system's own blocks, of 1 to 64 KiB.
    let blocks = size_bytes / found.f_frsize.max(1);
    // One that is as large as its device already is no error to the kernel.
    match resize_ext4(&directory, blocks) {
        Ok(()) => Ok(()),
        Err(error) => {
            let size = found.f_blocks * found.f_frsize / (1 << 20);
            let mib = size_bytes / (1 << 20);
            warn(
                PROGRAM,
                format_args!("{target} stays at {size} MiB of {mib}: cannot grow it: {error}"),
            );
            Ok(())
        }
    }
}

/// Unmounts what `watch` is about, waiting a while for its last user, and for what somebody has
/// mounted over it: an unmount would take that.
///
/// # Errors
/// If it is in use or covered even then, with who uses it; it stays mounted.
pub(crate) fn release(watch: &Watch) -> Result<()> {
    let target = watch.target();
    let deadline = Instant::now() + UNMOUNT_WAIT;
    loop {
        let layer = watch.layer()?;
        let unmounted = match layer {
            Layer::Gone => return Ok(()),
            Layer::Covered => Err(Errno::BUSY),
            Layer::Top => rustix::mount::unmount(target, UnmountFlags::NOFOLLOW),
        };
        match unmounted {
            // Whether it was this one, the table says.
            Ok(()) => {}
            // The last two also where somebody else has just unmounted it.
            Err(Errno::BUSY | Errno::INVAL | Errno::NOENT) if Instant::now() < deadline => {
                sleep(Duration::from_millis(50));
            }
            Err(Errno::BUSY) => return Err(still_used(target, layer)),
            Err(error) => {
                let error = io::Error::from(error);
                return Err(Problem::new(format!("cannot unmount {target}: {error}")));
            }
        }
    }
}

fn still_used(target: &str, layer: Layer) -> Problem {
    if layer == Layer::Covered {
        return Problem::new(format!("cannot unmount {target}: another mount is on top of it"))
            .with_hint(format!("it stays mounted: `umount {target}` takes the other one away"));
    }
    let who = match holders::of(target).as_slice() {
        [] => "something mounted below it, or the kernel".to_owned(),
        some => some.join(", "),
    };
    Problem::new(format!("cannot unmount {target}: in use by {who}"))
        .with_hint("it stays mounted until the system goes down")
}
