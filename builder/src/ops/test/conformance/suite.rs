//! What is run of each suite, by what it is about.

use std::time::Duration;

use super::outcome::Outcomes;
use crate::error::Result;
use crate::ops::guest::Guest;

/// Where the guest has what runs the suites.
const RUNNERS: &str = "/usr/lib/conformance";
/// Where the guest gets the suite for shells.
pub(super) const SHELL_SUITE: &str = "/tmp/shell-suite";
/// How long the guest may take for a part: longer than its runner lets it.
const PART_TIMEOUT: Duration = Duration::from_mins(10);

/// Who wrote the tests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::ops::test) enum Suite {
    /// Python's own test suite. A part is a module, or a class of one.
    Python,
    /// Ours, for what Python has no interface to; written as Python's are.
    Keelson,
    /// yash's suite for any POSIX shell. A part is a file.
    Shell,
}

impl Suite {
    /// As the page calls it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::Keelson => "Keelson",
            Self::Shell => "yash",
        }
    }

    fn command(self, part: &str) -> String {
        // Byte code is kept, for there are many processes.
        let python = "PYTHONPYCACHEPREFIX=/var/tmp/python exec python3";
        match self {
            Self::Python | Self::Keelson => format!("{python} {RUNNERS}/python_suite.py {part}"),
            Self::Shell => format!("{python} {RUNNERS}/shell_suite.py {SHELL_SUITE} {part}"),
        }
    }

    /// The command line that gives the guest files of the suite for shells: names, and
    /// contents in hexadecimal.
    pub(super) fn take_command(files: &str) -> String {
        format!("exec python3 {RUNNERS}/shell_suite.py --take {SHELL_SUITE} {files}")
    }

    /// Runs one part.
    pub(in crate::ops::test) fn run(self, guest: &mut Guest, part: &str) -> Result<Outcomes> {
        let output = guest.run_within(&self.command(part), PART_TIMEOUT)?;
        let failure = (output.status != 0).then(|| {
            let said = String::from_utf8_lossy(&output.stderr);
            format!("its runner ended with status {}: {}", output.status, said.trim_end())
        });
        Ok(Outcomes::read(part, &output.text(), failure))
    }
}

/// What some parts of a suite are about.
pub(in crate::ops::test) struct Topic {
    /// For people.
    pub(in crate::ops::test) name: &'static str,
    pub(in crate::ops::test) suite: Suite,
    /// What the features show of it: parts, or single classes and tests of them. Words
    /// with blanks between.
    quick: &'static str,
    /// What the long ladder runs: everything. Words with blanks between.
    parts: &'static str,
}

impl Topic {
    /// What is quick.
    pub(super) fn quick_parts(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.quick.split_whitespace()
    }

    /// All its parts.
    pub(super) fn parts(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.parts.split_whitespace()
    }
}

/// Everything that is run.
pub(in crate::ops::test) const TOPICS: &[Topic] = &[
    Topic {
        name: "Processes and exit statuses",
        suite: Suite::Python,
        quick: "test.test_posix.PosixTester",
        parts: "test.test_posix test.test_popen test.test_os test.test_fork1 test.test_wait3 \
            test.test_wait4 test.test_subprocess.POSIXProcessTestCase",
    },
    Topic {
        name: "Signals",
        suite: Suite::Python,
        quick: "test.test_signal.PendingSignalsTests",
        parts: "test.test_signal.PosixTests test.test_signal.PendingSignalsTests \
            test.test_signal.WakeupSignalTests test.test_signal.SiginterruptTest \
            test.test_signal.ItimerTest test.test_signal.RaiseSignalTest \
            test.test_signal.PidfdSignalTest test.test_threadsignals",
    },
    Topic {
        name: "Terminals and job control",
        suite: Suite::Python,
        quick: "test.test_pty",
        parts: "test.test_pty test.test_openpty test.test_ioctl",
    },
    Topic {
        name: "Pipes, select and poll",
        suite: Suite::Python,
        quick: "test.test_select",
        parts: "test.test_pipes test.test_select test.test_epoll test.test_poll",
    },
    Topic {
        name: "Files, fifos and locks",
        suite: Suite::Python,
        quick: "test.test_fcntl",
        parts: "test.test_fcntl test.test_fileio test.test_tempfile test.test_shutil",
    },
    Topic {
        name: "Shared memory and semaphores",
        suite: Suite::Python,
        quick: "test.test_multiprocessing_fork.WithProcessesTestSharedMemory.\
            test_shared_memory_across_processes",
        parts: "test.test_mmap test.test_multiprocessing_fork.WithProcessesTestSharedMemory \
            test.test_multiprocessing_fork.WithProcessesTestSemaphore \
            test.test_multiprocessing_fork.WithProcessesTestCondition",
    },
    Topic {
        name: "Message queues",
        suite: Suite::Keelson,
        quick: "message_queues",
        parts: "message_queues",
    },
    Topic {
        name: "Look-ups of users and groups",
        suite: Suite::Python,
        quick: "test.test_pwd test.test_grp",
        parts: "test.test_pwd test.test_grp test.test_spwd",
    },
    Topic {
        name: "Limits, clocks and local sockets",
        suite: Suite::Python,
        quick: "",
        parts: "test.test_resource test.test_time test.test_socket.TestUnixDomain \
            test.test_socket.BasicSocketPairTest test.test_socket.SendmsgUnixStreamTest \
            test.test_socket.RecvmsgSCMRightsStreamTest",
    },
    Topic {
        name: "Shell: jobs, signals and traps",
        suite: Suite::Shell,
        quick: "",
        parts: "async-p.sh bg-p.sh fg-p.sh job-p.sh kill1-p.sh kill2-p.sh kill3-p.sh kill4-p.sh \
            ppid-p.sh trap-p.sh wait-p.sh",
    },
    Topic {
        name: "Shell: pipes, redirections and exit statuses",
        suite: Suite::Shell,
        quick: "",
        parts: "andor-p.sh errexit-p.sh error-p.sh exit-p.sh input-p.sh pipeline-p.sh redir-p.sh \
            return-p.sh umask-p.sh",
    },
    Topic {
        name: "Shell: the language",
        suite: Suite::Shell,
        quick: "",
        parts: "alias-p.sh arith-p.sh break-p.sh case-p.sh cmdsub-p.sh comment-p.sh continue-p.sh \
            fnmatch-p.sh for-p.sh fsplit-p.sh function-p.sh grouping-p.sh if-p.sh lineno-p.sh \
            param-p.sh path-p.sh quote-p.sh simple-p.sh tilde-p.sh until-p.sh while-p.sh",
    },
    Topic {
        name: "Shell: built-in utilities and options",
        suite: Suite::Shell,
        quick: "",
        parts: "builtins-p.sh cd-p.sh command-p.sh declutil-p.sh eval-p.sh exec-p.sh export-p.sh \
            false-p.sh getopts-p.sh nop-p.sh option-p.sh read-p.sh readonly-p.sh set-p.sh \
            shift-p.sh source-p.sh startup-p.sh true-p.sh unset-p.sh",
    },
];
