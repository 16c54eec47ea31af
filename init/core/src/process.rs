//! How a process ended, and how one could not be started.
//!
//! Both are part of events and of reasons; they stand below either, and `Display` gives the
//! fragment that a person reads.

use core::fmt;

use crate::description::Signal;
use crate::errno::OsError;

/// How a process ended (waitid(2)).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ExitStatus {
    /// It exited with this status, 0 to 255.
    Code(u8),
    /// A signal ended it; `core_dumped` as `CLD_DUMPED` says.
    Signal {
        /// Which signal.
        signal: Signal,
        /// Whether the kernel wrote a core dump.
        core_dumped: bool,
    },
}

impl ExitStatus {
    /// Whether the process did what it was meant to: status 0.
    #[must_use]
    pub const fn is_success(self) -> bool {
        matches!(self, Self::Code(0))
    }

    /// Whether a process that was sent `signal` to end did so without trouble: success, the
    /// signal itself, or 128 and its number, which is what a shell makes of that (sh(1p)).
    #[must_use]
    pub const fn answers(self, signal: Signal) -> bool {
        match self {
            Self::Code(code) => code == 0 || code == 128 | signal.0,
            Self::Signal { signal: own, .. } => own.0 == signal.0,
        }
    }
}

/// `exited with status 1`, `killed by SIGSEGV (core dumped)`.
impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with status {code}"),
            Self::Signal { signal, core_dumped: false } => write!(f, "killed by {signal}"),
            Self::Signal { signal, core_dumped: true } => {
                write!(f, "killed by {signal} (core dumped)")
            }
        }
    }
}

/// What PID 1 did for a new process when it failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpawnStage {
    /// Creating the cgroup, or writing its limits.
    Cgroup,
    /// Giving the cgroup the controller that limits memory.
    MemoryController,
    /// Giving the cgroup the controller that limits tasks.
    PidsController,
    /// Creating pipes or opening the terminal.
    Output,
    /// clone3(2) itself.
    Clone,
    /// Looking up user or group.
    User,
    /// Setting user, group or supplementary groups.
    Credentials,
    /// setrlimit(2).
    Limits,
    /// Setting umask, nice value or what the kernel kills first.
    Attributes,
    /// chdir(2) to the working directory.
    WorkingDirectory,
    /// execve(2).
    Exec,
}

impl SpawnStage {
    /// Every stage.
    pub const ALL: [Self; 11] = [
        Self::Cgroup,
        Self::MemoryController,
        Self::PidsController,
        Self::Output,
        Self::Clone,
        Self::User,
        Self::Credentials,
        Self::Limits,
        Self::Attributes,
        Self::WorkingDirectory,
        Self::Exec,
    ];

    /// What could not be done at it. A [`SpawnError`]'s text begins so, and no two alike.
    #[must_use]
    pub const fn failure(self) -> &'static str {
        match self {
            Self::Cgroup => "cannot create its cgroup",
            Self::MemoryController => {
                "its memory-max needs the memory controller, which the kernel does not give"
            }
            Self::PidsController => {
                "its tasks-max needs the pids controller, which the kernel does not give"
            }
            Self::Output => "cannot open its output or terminal",
            Self::Clone => "cannot create its process",
            Self::User => "its user or group is not in /etc/passwd and /etc/group",
            Self::Credentials => "cannot become its user",
            Self::Limits => "cannot set its resource limits",
            Self::Attributes => "cannot set its nice value or oom_score_adj",
            Self::WorkingDirectory => "cannot enter its working directory",
            Self::Exec => "cannot execute its program",
        }
    }
}

/// A start that failed before the service's program ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpawnError {
    /// At what.
    pub stage: SpawnStage,
    /// With which error number (errno(3)).
    pub errno: i32,
}

/// `cannot execute its program: No such file or directory (os error 2)`.
impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.stage.failure())?;
        match self.stage {
            // Names are looked up in two files: what the kernel calls missing is not one of them.
            SpawnStage::User => Ok(()),
            _ => write!(f, ": {}", OsError(self.errno)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_failed_start_tells_its_stage() {
        for stage in SpawnStage::ALL {
            let text = SpawnError { stage, errno: 22 }.to_string();
            let told: Vec<_> = SpawnStage::ALL
                .into_iter()
                .filter(|other| text.starts_with(other.failure()))
                .collect();
            assert_eq!(told, [stage], "{text}");
        }
    }
}
