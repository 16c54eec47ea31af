//! Whether `builder run` tells a guest's endings apart: the builder itself is
//! run, and its exit code and message are looked at.

use super::boots::Boots;
use super::ladder::{Report, Rung};
use crate::arch::Arch;
use crate::error::Result;
use crate::qemu::ending::{EXIT_DIED, EXIT_EMULATOR, EXIT_PANIC, EXIT_TIMEOUT};

/// A way to end a guest, and what `builder run` must say of it.
struct Case {
    name: &'static str,
    arguments: &'static [&'static str],
    exit_code: u8,
    message: &'static str,
}

const fn case(
    name: &'static str,
    arguments: &'static [&'static str],
    exit_code: u8,
    message: &'static str,
) -> Case {
    Case { name, arguments, exit_code, message }
}

const CASES: &[Case] = &[
    case("a command's status is the builder's", &["--exec", "exit 7"], 7, "ended with status 7"),
    case(
        "a panic",
        &["--exec", "echo c > /proc/sysrq-trigger"],
        EXIT_PANIC,
        "the guest's kernel panicked: sysrq triggered crash",
    ),
    // Idle as PID 1: the kernel is well, and nothing ever answers.
    case(
        "a hang",
        &["--exec", "true", "--parameter", "rdinit=/usr/sbin/idle", "--timeout", "20"],
        EXIT_TIMEOUT,
        "the guest hangs",
    ),
    case("a death", &["--exec", "reboot; sleep 60"], EXIT_DIED, "the guest died"),
    case(
        "a QEMU that does not start",
        &["--exec", "true", "--", "-no-such-option"],
        EXIT_EMULATOR,
        "did not start",
    ),
];

/// One rung per architecture.
pub(super) fn rungs<'a>(boots: &Boots<'a>) -> Vec<Rung<'a>> {
    boots.arches.iter().map(|&arch| boots.rung("endings", arch, climb)).collect()
}

fn climb(boots: &Boots<'_>, arch: Arch, report: &mut Report) -> Result<()> {
    boots.build(arch)?;
    for case in CASES {
        report.doing(format_args!("builder run {}", case.arguments.join(" ")));
        let output = boots.builder_run(arch)?.args(case.arguments).observe()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        let code = output.status.code();
        let verdict = if code == Some(case.exit_code.into()) && errors.contains(case.message) {
            Ok(format!("exit code {}", case.exit_code))
        } else {
            Err(format!("{} instead of {}: {errors}", output.status, case.exit_code))
        };
        report.check(case.name, verdict);
    }
    Ok(())
}
