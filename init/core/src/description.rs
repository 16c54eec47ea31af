//! What a service is: the checked content of `/usr/lib/services.d/NAME.toml`.
//!
//! The keys, units and defaults are described for people in
//! `docs/service-description.md`; the defaults live here and nowhere else.

mod packed;

use alloc::boxed::Box;
use core::time::Duration;

use crate::name::ServiceName;

pub use crate::signal::Signal;
pub use packed::PackedDescription;
pub(crate) use packed::Policy;

/// Where the target has its descriptions: the image's and the machine's. A file of the second
/// takes the place of the one of the same name in the first.
pub const DIRECTORIES: [&str; 2] = ["/usr/lib/services.d", "/etc/services.d"];

/// A checked service description. Names of other services need not exist:
/// that is for the graph to say. PID 1 keeps a [`PackedDescription`] of each.
#[derive(Clone, PartialEq, Debug)]
pub struct ServiceDescription {
    /// The name, which is the file's name without `.toml`.
    pub name: ServiceName,
    /// One line for people; may be empty.
    pub description: Box<str>,
    /// Program and arguments; the program is an absolute path. There is no shell.
    pub command: Box<[Box<str>]>,
    /// Whether it stays or ends.
    pub kind: ServiceKind,
    /// Whether it starts at boot (the default) or only when another service
    /// or a person asks for it.
    pub autostart: bool,
    /// Whether it receives the output pipes of the other services. At most one service does.
    pub log_collector: bool,
    /// Hard dependencies: started first; if one is not up, this one is not up.
    pub requires: Box<[ServiceName]>,
    /// Soft dependencies: started first when that is possible.
    pub wants: Box<[ServiceName]>,
    /// Order only: if both start, this one starts after them.
    pub after: Box<[ServiceName]>,
    /// Services that cannot be up while this one is.
    pub conflicts: Box<[ServiceName]>,
    /// What makes it ready.
    pub readiness: Readiness,
    /// What follows its end.
    pub restart: RestartPolicy,
    /// Pause before the first automatic restart; doubles each time. Default 200 ms.
    pub restart_delay: Duration,
    /// Where the doubling ends. Default 30 s.
    pub restart_delay_max: Duration,
    /// How many starts are too many. Default 5 within 10 s.
    pub start_limit: StartLimit,
    /// Longest time from start to ready; [`Duration::MAX`] for no limit. Default 30 s.
    pub start_timeout: Duration,
    /// Longest time from the stop signal to `SIGKILL`. Default 10 s.
    pub stop_timeout: Duration,
    /// What asks the main process to end. Default `SIGTERM`.
    pub stop_signal: Signal,
    /// User to run as; `None` is root.
    pub user: Option<Box<str>>,
    /// Group to run as; `None` is the user's own group, or root's.
    pub group: Option<Box<str>>,
    /// Variables beyond PID 1's own small environment (docs/boot.md), in file order.
    pub environment: Box<[(Box<str>, Box<str>)]>,
    /// Directory to start in. Default `/`.
    pub working_directory: Box<str>,
    /// Where its standard output and error go. Default `Log`; `Console` for the log collector.
    pub output: Output,
    /// Path of the terminal device that becomes its standard input, output and
    /// error and its controlling terminal, as a getty needs. `console` in a file
    /// is `/dev/console` here. Excludes `output`.
    pub terminal: Option<Box<str>>,
    /// What its processes inherit besides limits.
    pub attributes: Attributes,
    /// Resource limits.
    pub limits: Limits,
}

/// Whether a service stays or ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServiceKind {
    /// Runs until it is stopped.
    Daemon,
    /// Does its work and exits; it is up when it has exited with status 0.
    Oneshot,
}

/// What makes a started service ready.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Readiness {
    /// Its program was executed. The default for daemons.
    Started,
    /// It sent `READY=1` to `NOTIFY_SOCKET` (sd_notify(3)).
    Notify,
    /// It exited with status 0. The default for, and only for, oneshots.
    Exit,
}

/// What follows when a service ends by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RestartPolicy {
    /// It is started again, however it ended. Not for oneshots.
    Always,
    /// It is started again if it failed: a status other than 0, a signal, a timeout. The default.
    OnFailure,
    /// It stays down.
    Never,
}

/// More than `count` starts `within` a span of time is a failure for good.
/// A start that a person asked for begins a new count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StartLimit {
    /// How many starts are allowed; at least 1.
    pub count: u32,
    /// In what span.
    pub within: Duration,
}

/// Where a service's standard output and error go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// To the log collector; to the console where there is none. The default.
    Log,
    /// To `/dev/console`.
    Console,
    /// To `/dev/null`.
    Null,
}

/// What the main process of a service begins with and hands on to those that it makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attributes {
    /// The permissions that new files do not get (umask(2)).
    pub umask: u16,
    /// The nice value, from -20, which gets most processor time, to 19 (setpriority(2)).
    pub nice: i8,
    /// What is added when the kernel, out of memory, chooses whom to kill: from -1000, which is
    /// never killed, to 1000 (proc_pid_oom_score_adj(5)).
    pub oom_score_adjust: i16,
}

impl Default for Attributes {
    fn default() -> Self {
        Self { umask: 0o022, nice: 0, oom_score_adjust: 0 }
    }
}

/// Resource limits of a service; `None` leaves the kernel's default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    /// cgroup `memory.max`, in bytes.
    pub memory_max_bytes: Option<u64>,
    /// cgroup `pids.max`.
    pub tasks_max: Option<u32>,
    /// rlimits as (resource, soft and hard value), `u64::MAX` for unlimited.
    pub rlimits: Box<[(Resource, u64)]>,
}

/// The resources of setrlimit(2) that a description can limit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Resource {
    /// `RLIMIT_AS`, bytes
    AddressSpace,
    /// `RLIMIT_CORE`, bytes
    Core,
    /// `RLIMIT_CPU`, seconds
    Cpu,
    /// `RLIMIT_FSIZE`, bytes
    FileSize,
    /// `RLIMIT_MEMLOCK`, bytes
    LockedMemory,
    /// `RLIMIT_NOFILE`, file descriptors
    OpenFiles,
    /// `RLIMIT_NPROC`, processes of the user
    Processes,
    /// `RLIMIT_STACK`, bytes
    Stack,
}
