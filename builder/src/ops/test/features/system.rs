//! Features of the system itself: supervision, the log, the way down.

use super::climb::{LAST_WORDS, LAST_WORDS_FILE};
use super::{Disk, Feature, command, powered_off, says, second_boot, steps};
use crate::arch::Arch;
use crate::error::Result;
use crate::ops::guest::{Guest, Output};
use crate::ops::test::guest_checks::{self, Verdict};
use crate::ops::test::judge;
use crate::ops::test::ladder::Report;

pub(super) const FEATURES: &[Feature] = &[
    command(
        "Everything that starts at boot is up",
        "service-description.md#states",
        "svcctl --json list",
        guest_checks::all_up,
    ),
    steps(
        "A daemon that was killed comes back within its delay",
        "service-description.md#start-and-end",
        |guest, _| guest_checks::kill_and_wait(guest),
    ),
    command(
        "Stopping a service ends every process it has started",
        "service-description.md#start-and-end",
        guest_checks::TREE_COMMAND,
        guest_checks::tree_gone,
    ),
    command(
        "A service that is told to stop cleans up by commands of its own",
        "service-description.md#start-and-end",
        "svcctl start test-graceful && sleep 0.5 && svcctl stop test-graceful && \
         wc -l < /run/graceful",
        |_, output| match output.success()?.lines().last() {
            Some("1") => Ok(String::new()),
            _ => Err(output.text()),
        },
    ),
    steps(
        "A service that keeps crashing is given up at its limit",
        "service-description.md#start-and-end",
        |guest, _| guest_checks::crash_and_wait(guest),
    ),
    command(
        "A shell script says itself when its service is ready",
        "service-description.md#start-and-end",
        SCRIPT,
        |_, output| shows(output, "began with "),
    ),
    command(
        "A service begins with a umask, a nice value and an oom_score_adj of its own",
        "service-description.md#what-it-runs-with",
        SCRIPT,
        |_, output| shows(output, "began with 0027 5 -500"),
    ),
    command(
        "A service that takes more memory than it may is ended, and its reason says so",
        "service-description.md#limits",
        "svcctl start test-hungry; for i in 0 1 2 3 4 5 6 7 8 9; do \
            svcctl --json status test-hungry | grep -q '\"state\": \"failed\"' && break; sleep 1; \
         done; svcctl list | grep test-hungry",
        |_, output| shows(output, "killed by the kernel: out of memory"),
    ),
    command(
        "svcctl why says what a service is down for",
        "control-protocol.md#reasons",
        "svcctl why test-crash",
        guest_checks::why_crash,
    ),
    command(
        "The kernel's messages are in the log",
        "logging.md#files",
        "svcctl logs kernel -n 10000",
        has_kernel_version,
    ),
    command(
        "Settings of the kernel in files are in force after boot",
        "tools.md#settings-of-the-kernel",
        SETTINGS,
        |_, output| says(output, "1 1 1 2 1 0 2147483647\nrefused\n7\n"),
    ),
    powered_off("The root is clean after poweroff", "boot.md#shutdown", root_is_clean),
    second_boot(
        "What was written before poweroff is there at the next boot",
        "boot.md#shutdown",
        last_words,
    ),
];

/// Starts a script, which takes until it says that it is ready, and shows what else it said.
const SCRIPT: &str =
    "svcctl start test-script && svcctl status test-script; svcctl stop test-script";

/// Those that the image brings; a file of one's own, whose mistake does not keep its other lines
/// from counting.
const SETTINGS: &str = "\
    echo $(sysctl -n fs.protected_symlinks fs.protected_hardlinks fs.protected_fifos \
        fs.protected_regular kernel.dmesg_restrict net.ipv4.ping_group_range) && \
    mkdir -p /etc/sysctl.d && printf 'vm.nothing = 1\nvm.swappiness = 7\n' \
        > /etc/sysctl.d/own.conf && \
    { svcctl restart sysctl > /dev/null 2>&1 || echo refused; } && sysctl -n vm.swappiness; \
    rm /etc/sysctl.d/own.conf; svcctl restart sysctl > /dev/null";

/// Whether the command succeeded and printed `words` among other things.
fn shows(output: &Output, words: &str) -> Verdict {
    if output.success()?.contains(words) { Ok(String::new()) } else { Err(output.text()) }
}

fn has_kernel_version(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let line = text.lines().find(|line| line.contains("Linux version "));
    line.map(str::to_owned).ok_or_else(|| format!("{} lines without it", text.lines().count()))
}

fn last_words(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let found = guest.read(&format!("cat {LAST_WORDS_FILE}"))?;
    let is_there = found.trim_end() == LAST_WORDS;
    Ok(if is_there { Ok(String::new()) } else { Err(format!("it is {found:?}")) })
}

fn root_is_clean(report: &mut Report, disk: &Disk<'_>) -> Result<()> {
    let root = judge::root(disk.path, disk.scratch)?;
    judge::clean_root(report, disk.check, &root);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_the_kernels_first_line_is_noticed() {
        let right = "2026-01-31T12:34:56.123456Z <5> Linux version 6.12.1 (keelson)\nmore\n";
        assert!(has_kernel_version(Arch::X86_64, &Output::of(right)).is_ok());
        assert!(has_kernel_version(Arch::X86_64, &Output::of("init: started\n")).is_err());
        assert!(has_kernel_version(Arch::X86_64, &Output::of("")).is_err());
    }
}
