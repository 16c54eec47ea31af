//! A guest: a small tree of the host's programs, namespaces around it, PID 1 in it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use init_core::event::{Operation, ShutdownKind};
use init_core::name::ServiceName;
use init_core::protocol::{Reply, Request, Status, Summary};

/// Longest wait for anything. Far beyond what it takes: the host may be busy.
const PATIENCE: Duration = Duration::from_secs(20);

/// Makes the tree and becomes PID 1. `$1` is the guest's directory; `$2` is
/// `no-cgroup` if there shall be no cgroup v2, `no-null` if no `/dev/null`.
const SCRIPT: &str = r#"
set -e
root="$1/root"
mount -t tmpfs tmpfs "$root"
cd "$root"
mkdir -p dev proc sys run tmp t etc usr
for entry in /bin /sbin /lib /lib64; do
    if [ -L "$entry" ]; then cp -P "$entry" ".$entry"
    elif [ -d "$entry" ]; then mkdir ".$entry"; mount --rbind "$entry" ".$entry"; fi
done
mount --rbind /usr usr
mount --rbind "$1" t
for node in null zero full random urandom tty; do
    : > "dev/$node"; mount --bind "/dev/$node" "dev/$node"
done
: > dev/kmsg; mount --bind "$1/kmsg" dev/kmsg
: > dev/console; mount --bind "$1/console" dev/console
ln -s /t/services.d etc/services.d
# PID 1 cannot make it anew: a user namespace may make no nodes (mknod(2)).
if [ "$2" = no-null ]; then umount dev/null; rm dev/null; fi
if [ "$2" = no-cgroup ]; then
    mount -t sysfs sysfs sys
    mount -t tmpfs tmpfs sys/fs/cgroup
fi
exec chroot . /t/init
"#;

const UNSHARE: [&str; 11] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--fork",
    "--kill-child",
    "--pid",
    "--mount",
    "--net",
    "--uts",
    "--ipc",
    "--cgroup",
];

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A running guest. It dies with this value.
pub(crate) struct Guest {
    directory: tempfile::TempDir,
    cgroup: Option<PathBuf>,
    outer: Child,
    pid: u32,
}

/// How a guest is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// With a cgroup v2 if the host lets us have one.
    Ordinary,
    /// Without: process groups stand in.
    WithoutCgroup,
    /// Like an ordinary one, but for `/dev/null`.
    WithoutNull,
}

impl Kind {
    /// What [`SCRIPT`] calls it.
    const fn option(self) -> &'static str {
        match self {
            Self::Ordinary => "",
            Self::WithoutCgroup => "no-cgroup",
            Self::WithoutNull => "no-null",
        }
    }
}

impl Guest {
    /// Boots a guest with these services (name, description), or says by name
    /// what is skipped and why.
    pub(crate) fn boot(test: &str, kind: Kind, services: &[(&str, &str)]) -> Option<Self> {
        if !may_unshare() {
            println!("skipped: {test}: the host forbids user namespaces (unshare)");
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        fs::create_dir(path.join("root")).unwrap();
        fs::create_dir(path.join("services.d")).unwrap();
        for (name, text) in services {
            fs::write(path.join(format!("services.d/{name}.toml")), text).unwrap();
        }
        for file in ["kmsg", "console"] {
            fs::write(path.join(file), "").unwrap();
        }
        fs::copy(env!("CARGO_BIN_EXE_init"), path.join("init")).unwrap();
        fs::copy(std::env::current_exe().unwrap(), path.join("helper")).unwrap();

        let cgroup = if kind == Kind::WithoutCgroup { None } else { make_cgroup() };
        let enter = cgroup.as_deref().map_or(String::from(":"), |cgroup| {
            format!("echo $$ > '{}/cgroup.procs'", cgroup.display())
        });
        let mut outer = Command::new("sh");
        outer
            .args(["-c", &format!("{enter}; exec \"$@\""), "sh"])
            .args(UNSHARE)
            .args(["sh", "-c", SCRIPT, "sh"])
            .arg(path)
            .arg(kind.option())
            .stdin(Stdio::null())
            .stdout(Stdio::null());
        let outer = outer.spawn().unwrap();
        let pid = until("PID 1 exists", || child_of(outer.id()));
        Some(Self { directory, cgroup, outer, pid })
    }

    /// Whether services have cgroups here; says what is skipped if not.
    pub(crate) fn has_cgroups(&self, test: &str) -> bool {
        if self.cgroup.is_none() {
            println!("skipped: {test}: the host has no cgroup v2 that can be written to");
        }
        self.cgroup.is_some()
    }

    /// A file that the guest sees in `/t`.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The text of a file that the guest writes in `/t`.
    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&fs::read(self.file(name)).unwrap_or_default()).into_owned()
    }

    /// What PID 1 has logged.
    pub(crate) fn log(&self) -> String {
        self.text("kmsg")
    }

    /// The host's path of a path in the guest.
    pub(crate) fn inside(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid))
    }

    /// A connection to the control socket.
    pub(crate) fn connect(&self) -> UnixStream {
        let path = self.inside("/run/init/control");
        let stream = until("the control socket answers", || UnixStream::connect(&path).ok());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Asks PID 1.
    pub(crate) fn ask(&self, request: &Request) -> Reply {
        let mut stream = self.connect();
        stream.write_all(&request.encode().unwrap()).unwrap();
        receive(&mut stream).unwrap_or_else(|| panic!("no reply; log:\n{}", self.log()))
    }

    /// All services.
    pub(crate) fn list(&self) -> Vec<Summary> {
        match self.ask(&Request::List) {
            Reply::Services(services) => services,
            other => panic!("{other:?}"),
        }
    }

    /// One service.
    pub(crate) fn status(&self, name: &str) -> Status {
        match self.ask(&Request::Status { name: ServiceName::new(name).unwrap() }) {
            Reply::Service(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Does something with a service and waits for its end.
    pub(crate) fn operate(&self, operation: Operation, name: &str) -> Reply {
        self.ask(&Request::Operate { operation, name: ServiceName::new(name).unwrap() })
    }

    /// Waits until a service's status is as wanted, and returns it.
    pub(crate) fn wait_for(&self, name: &str, wanted: impl Fn(&Status) -> bool) -> Status {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status(name);
            if wanted(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "{status:#?}\nlog:\n{}", self.log());
            sleep(Duration::from_millis(10));
        }
    }

    /// Waits until a service is in `state`.
    pub(crate) fn wait_for_state(&self, name: &str, state: &str) -> Status {
        self.wait_for(name, |status| status.summary.state.as_str() == state)
    }

    /// Sends a signal to PID 1, as the host's root would.
    pub(crate) fn signal(&self, name: &str) {
        assert!(self.try_signal(name));
    }

    /// The same; false if PID 1 is gone.
    pub(crate) fn try_signal(&self, name: &str) -> bool {
        let mut kill = Command::new("kill");
        kill.args(["-s", name, &self.pid.to_string()]).stderr(Stdio::null());
        kill.status().unwrap().success()
    }

    /// Asks for the end of the system.
    pub(crate) fn shut_down(&self, kind: ShutdownKind) -> Reply {
        self.ask(&Request::Shutdown { kind })
    }

    /// Waits for the end of PID 1. The kernel ends a namespace's PID 1 with
    /// `SIGINT` where it would power off, with `SIGHUP` where it would restart
    /// (reboot(2)); unshare passes that on.
    pub(crate) fn wait_for_end(&mut self) -> End {
        let status = until("PID 1 ends", || self.outer.try_wait().unwrap());
        let number = status.signal().or_else(|| status.code().map(|code| code - 128));
        match number {
            Some(2) => End::PowerOff,
            Some(1) => End::Restart,
            _ => End::Other(status),
        }
    }

    /// The processes of the guest, as its own `/proc` shows them: state letter and command line.
    pub(crate) fn processes(&self) -> Vec<(char, String)> {
        let proc = self.inside("/proc");
        let Ok(entries) = fs::read_dir(&proc) else { return Vec::new() };
        let describe = |path: &Path| {
            let stat = fs::read_to_string(path.join("stat")).ok()?;
            let state = stat.rsplit(") ").next()?.chars().next()?;
            let command = fs::read(path.join("cmdline")).ok()?;
            Some((state, String::from_utf8_lossy(&command).replace('\0', " ")))
        };
        entries
            .filter_map(Result::ok)
            .filter(|entry| {
                entry.file_name().to_string_lossy().starts_with(|c: char| c.is_ascii_digit())
            })
            .filter_map(|entry| describe(&entry.path()))
            .collect()
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // unshare takes PID 1 along (--kill-child), and PID 1 its namespace.
        let _ = self.outer.kill();
        let _ = self.outer.wait();
        if let Some(cgroup) = &self.cgroup {
            remove_cgroup(cgroup);
        }
    }
}

/// How a guest ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    PowerOff,
    Restart,
    Other(ExitStatus),
}

/// A reply, or `None` if the connection ends before it.
pub(crate) fn receive(stream: &mut UnixStream) -> Option<Reply> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut body = vec![0; usize::try_from(u32::from_le_bytes(length)).unwrap()];
    stream.read_exact(&mut body).ok()?;
    Some(Reply::decode(&body).unwrap())
}

/// Waits until `look` finds something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(Duration::from_millis(5));
    }
}

fn may_unshare() -> bool {
    let [program, arguments @ ..] = UNSHARE;
    let probe = Command::new(program).args(arguments).arg("true").stderr(Stdio::null()).status();
    probe.is_ok_and(|status| status.success())
}

/// The child of `outer` once it has become PID 1 of its namespace.
fn child_of(outer: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).ok()?;
    let pid = children.split_whitespace().next()?.parse().ok()?;
    let command = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    (command.trim() == "init").then_some(pid)
}

/// A cgroup of our own on the host, which becomes the root of the guest's.
fn make_cgroup() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("keelson-test-{}-{number}", std::process::id());
    let path = Path::new(line.split(' ').nth(4)?).join(own).join(name);
    fs::create_dir(&path).ok()?;
    path.join("cgroup.kill").exists().then_some(path)
}

fn remove_cgroup(path: &Path) {
    let _ = fs::write(path.join("cgroup.kill"), "1");
    for _ in 0..200 {
        remove_children(path);
        if fs::remove_dir(path).is_ok() {
            return;
        }
        sleep(Duration::from_millis(5));
    }
}

fn remove_children(path: &Path) {
    for child in fs::read_dir(path).into_iter().flatten().filter_map(Result::ok) {
        if child.path().is_dir() {
            remove_children(&child.path());
            let _ = fs::remove_dir(child.path());
        }
    }
}
