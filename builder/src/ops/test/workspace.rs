//! The rungs that Cargo climbs: format, lints, documentation, tests.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ladder::{Report, Rung};
use super::libtest::TestOutput;
use super::schedule::Company;
use crate::arch::Arch;
use crate::boot::uefi;
use crate::error::{Error, IoContext, Result};
use crate::host::Invocation;
use crate::shell::Shell;
use crate::userland::rust::RustCompiler;

/// Longest time of a call of Cargo. The longest takes about four minutes on two cores, from
/// nothing; what takes more than this hangs.
const LIMIT: Duration = Duration::from_secs(30 * 60);

/// A call of Cargo.
struct Call {
    rung: &'static str,
    words: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
    /// Whether it runs tests, whose results are counted one by one.
    is_test: bool,
}

const fn check(rung: &'static str, words: &'static [&'static str]) -> Call {
    Call { rung, words, environment: &[], is_test: false }
}

const fn tests(rung: &'static str, words: &'static [&'static str]) -> Call {
    Call { rung, words, environment: &[], is_test: true }
}

/// Cheapest first.
const CALLS: &[Call] = &[
    check("format", &["fmt", "--all", "--check"]),
    check("lint", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    Call {
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
        ..check("documentation", &["doc", "--workspace", "--no-deps"])
    },
    // Optimized, because the simulation runs 100,000 schedules.
    tests(
        "test init-core",
        &["test", "--no-fail-fast", "--profile", "host", "--package", "init-core"],
    ),
    // In one call, so that what they depend on is compiled once. All but `init`, whose
    // dependencies are those of a program without a standard library.
    tests(
        "test host",
        &[
            "test",
            "--no-fail-fast",
            "--package",
            "builder",
            "--package",
            "uefi-stub",
            "--package",
            "services",
            "--package",
            "sshd",
        ],
    ),
    tests("test init", &["test", "--no-fail-fast", "--package", "init"]),
];

/// The rungs, for the workspace in `root`. `offline` forbids to fetch Rust targets.
pub(super) fn rungs<'a>(shell: &'a Shell, root: &'a Path, offline: bool) -> Vec<Rung<'a>> {
    let rung = |call: &'static Call| {
        Rung::new(call.rung, move |report| climb(shell, root, call, report))
            .beside(Company::NoOtherCargo)
    };
    let mut rungs: Vec<_> = CALLS.iter().map(rung).collect();
    // Behind the host's lints, which leave out what is for firmware alone.
    let after = CALLS.iter().position(|call| call.rung == "lint").map_or(0, |index| index + 1);
    rungs.insert(
        after,
        Rung::new(UEFI_LINT, move |report| lint_for_uefi(shell, root, offline, report))
            .beside(Company::NoOtherCargo),
    );
    rungs
}

/// The rung that has clippy see the UEFI stub as firmware does.
const UEFI_LINT: &str = "lint uefi-stub";

fn lint_for_uefi(shell: &Shell, root: &Path, offline: bool, report: &mut Report) -> Result<()> {
    let log = log_file(root, UEFI_LINT)?;
    for arch in Arch::ALL {
        let triple = uefi::triple(arch);
        if RustCompiler::of_rustup(shell, &triple, offline).is_err() {
            report.skipped(&triple, format!("the Rust target {triple} is not installed"));
            continue;
        }
        let words = ["clippy", "--package", "uefi-stub", "--target", &triple];
        report.doing(format_args!("cargo {} -- -D warnings", words.join(" ")));
        let step = shell.step(format!("{UEFI_LINT} for {triple}"));
        let cargo = Invocation::new(cargo()).args(words).args(["--", "-D", "warnings"]);
        let result = cargo.current_dir(root).log(&log).limit(LIMIT).run();
        step.done("");
        report.check(&triple, result.map(|()| String::new()));
    }
    Ok(())
}

fn climb(shell: &Shell, root: &Path, call: &Call, report: &mut Report) -> Result<()> {
    report.doing(format_args!("cargo {}", call.words.join(" ")));
    let log = log_file(root, call.rung)?;
    let mut cargo =
        Invocation::new(cargo()).args(call.words).current_dir(root).log(&log).limit(LIMIT);
    for (name, value) in call.environment {
        cargo = cargo.env(name, value);
    }
    if call.is_test {
        cargo = cargo.args(["--", "--show-output"]);
    }
    let mut output = TestOutput::default();
    let step = shell.step(call.rung);
    let result = cargo.run_lines(|line| {
        output.line(line);
        step.set_message(line);
    });
    step.done("");
    if !call.is_test {
        report.check(call.rung, result.map(|()| String::new()));
        return Ok(());
    }
    for reason in &output.reasons {
        report.doing(format_args!("skipped: {reason}"));
    }
    let tally = output.tally();
    report.add(tally);
    match result {
        Err(_) if tally.failed > 0 => {
            // Counted already; named here, with what they said.
            let names: Vec<&str> = output.failed_tests.iter().map(String::as_str).collect();
            report.doing(format_args!("failed: {}", names.join(", ")));
            report.doing(format_args!("all they said is in {}", log.display()));
            Ok(())
        }
        Err(error) => Err(error),
        Ok(()) if tally.passed == 0 => Err(Error::failure("not a single test ran")),
        Ok(()) => Ok(()),
    }
}

/// The Cargo that runs the builder, so that one toolchain does everything.
pub(super) fn cargo() -> PathBuf {
    std::env::var_os("CARGO").map_or_else(|| "cargo".into(), PathBuf::from)
}

/// A fresh log file below Cargo's own directory, which is never committed.
pub(super) fn log_file(root: &Path, rung: &str) -> Result<PathBuf> {
    let directory = root.join("target/test-logs");
    std::fs::create_dir_all(&directory).at("create", &directory)?;
    let path = directory.join(format!("{}.log", rung.replace([' ', '/'], "-")));
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove", &path, &error))
        }
        _ => Ok(path),
    }
}
