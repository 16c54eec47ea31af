//! One call of Cargo for the target: its environment, its flags, its progress.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::rust::Compiler;
use crate::error::{Error, Result};
use crate::shell::Shell;

/// Settings a person may have in the environment that would change what is built.
const FOREIGN_VARIABLES: [&str; 6] = [
    "RUSTFLAGS",
    "CARGO_INCREMENTAL",
    "CARGO_TARGET_DIR",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_BOOTSTRAP",
];
/// The same by how their names begin: settings of profiles, and of `[build]` in general.
const FOREIGN_PREFIXES: [&str; 2] = ["CARGO_BUILD_", "CARGO_PROFILE_"];
/// What the `cc` crate and the compilers of C listen to, where a crate has C in it: they add
/// such flags to the builder's own.
const OF_C: [&str; 14] = [
    "AR",
    "ARFLAGS",
    "CC",
    "CFLAGS",
    "COMPILER_PATH",
    "CPATH",
    "CPPFLAGS",
    "CRATE_CC",
    "CXX",
    "CXXFLAGS",
    "C_INCLUDE_PATH",
    "LIBRARY_PATH",
    "RANLIB",
    "RANLIBFLAGS",
];
/// What a person may say all the same.
const JOBS: &str = "CARGO_BUILD_JOBS";

/// The profiles of the workspace's `Cargo.toml` for what runs on the target: programs, and what
/// does without the standard library.
pub(crate) const GUEST_PROFILE: &str = "guest";
pub(crate) const FREESTANDING_PROFILE: &str = "freestanding";

/// The release profile for crates that are not of the workspace, as variables:
/// what `[profile.guest]` in the workspace's `Cargo.toml` says, but optimized once
/// more as a whole. They are most of what an image weighs, and are compiled once
/// per version and not whenever somebody changes a line.
pub(super) const RELEASE_PROFILE: [(&str, &str); 7] = [
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "false"),
    ("CARGO_PROFILE_RELEASE_INCREMENTAL", "false"),
    ("CARGO_PROFILE_RELEASE_LTO", "fat"),
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "s"),
    ("CARGO_PROFILE_RELEASE_PANIC", "abort"),
    ("CARGO_PROFILE_RELEASE_STRIP", "symbols"),
];

/// A call of Cargo that builds for the target in a directory of its own.
pub(crate) struct CargoCall<'a> {
    /// Where progress goes.
    pub(crate) shell: &'a Shell,
    /// What compiles, and for what.
    pub(crate) compiler: &'a dyn Compiler,
    /// Whether it must do without the network.
    pub(crate) offline: bool,
    /// The step's name: "compile init".
    pub(crate) title: String,
    /// Where Cargo keeps its own state.
    pub(crate) target_directory: PathBuf,
    /// Host directories that must not show in the binaries, and their names there.
    pub(crate) prefixes: Vec<(PathBuf, &'static str)>,
    /// Where to run; the current directory if `None`.
    pub(crate) directory: Option<PathBuf>,
}

impl CargoCall<'_> {
    /// Runs Cargo with `arguments`, showing how many crates are done.
    pub(crate) fn run(self, arguments: &[String]) -> Result<()> {
        let rust = self.compiler.rust();
        let home = cargo_home()?;
        let mut prefixes = vec![
            (home.join("registry/src"), "/registry"),
            (home.clone(), "/cargo"),
            (self.target_directory.clone(), "/target"),
        ];
        prefixes.extend(self.prefixes);
        let mut flags = self.compiler.flags();
        flags.extend(rust.path_flags(&prefixes));
        let log = self.target_directory.with_extension("log");
        let _no_old_log = std::fs::remove_file(&log);
        let mut invocation = rust
            .cargo()
            .args(arguments)
            .args(["--target", &rust.triple])
            .arg("--target-dir")
            .arg(&self.target_directory)
            .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"))
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_TERM_PROGRESS_WHEN", "always")
            .env("CARGO_TERM_PROGRESS_WIDTH", "100")
            // A crate that asks git for its version must not find the host's repositories.
            .env("GIT_CEILING_DIRECTORIES", &home)
            .log(&log);
        let of_host = std::env::vars_os().map(|(name, _)| name);
        for variable in of_host.filter(|name| is_foreign(name)) {
            invocation = invocation.env_remove(variable);
        }
        let profile = RELEASE_PROFILE.map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (name, value) in profile.into_iter().chain(self.compiler.c_variables(&prefixes)) {
            invocation = invocation.env(name, value);
        }
        if self.offline {
            invocation = invocation.arg("--offline");
        }
        if let Some(directory) = &self.directory {
            invocation = invocation.current_dir(directory);
        }
        let step = self.shell.step(&self.title);
        let mut crates = 0;
        invocation.run_lines(|line| {
            if let Some((done, total, rest)) = progress(line) {
                crates = total;
                step.set_message(format!("{done}/{total} crates: {rest}"));
            }
        })?;
        step.done(if crates == 0 { String::new() } else { format!("{crates} crates") });
        Ok(())
    }
}

/// Whether a variable of the caller's would change what is built.
fn is_foreign(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let is_setting = FOREIGN_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    FOREIGN_VARIABLES.contains(&&*name) || is_of_c(&name) || is_setting && name != JOBS
}

/// Whether it is one of [`OF_C`], perhaps for the target, the host or one triple alone.
fn is_of_c(name: &str) -> bool {
    let for_all = ["TARGET_", "HOST_"].iter().find_map(|kind| name.strip_prefix(kind));
    let name = for_all.unwrap_or(name);
    OF_C.iter().any(|variable| {
        name.strip_prefix(variable).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    })
}

/// Reads Cargo's own bar: `    Building [==>   ] 12/34: libc, rustix(build)`.
fn progress(line: &str) -> Option<(u32, u32, &str)> {
    let (_, counts) = line.trim_start().strip_prefix("Building [")?.split_once("] ")?;
    let (counts, rest) = counts.split_once(':').unwrap_or((counts, ""));
    let (done, total) = counts.split_once('/')?;
    Some((done.trim().parse().ok()?, total.trim().parse().ok()?, rest.trim()))
}

/// Where Cargo keeps the registry.
pub(super) fn cargo_home() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let home = set("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".cargo")))
        .ok_or_else(|| Error::host("there is no place for Cargo's registry").hint("set HOME"))?;
    Ok(std::path::absolute(&home).unwrap_or(home))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_the_bytes_is_not_handed_on() {
        for (name, expected) in [
            ("RUSTFLAGS", true),
            ("CARGO_PROFILE_RELEASE_OVERFLOW_CHECKS", true),
            ("CARGO_BUILD_RUSTC_WRAPPER", true),
            ("CARGO_BUILD_JOBS", false),
            ("CFLAGS", true),
            ("TARGET_CFLAGS", true),
            ("CFLAGS_x86_64_unknown_linux_musl", true),
            ("CC_FORCE_DISABLE", true),
            ("CRATE_CC_NO_DEFAULTS", true),
            ("C_INCLUDE_PATH", true),
            ("CARGO_HTTP_PROXY", false),
            ("CCACHE_DIR", false),
            ("PATH", false),
        ] {
            assert_eq!(is_foreign(OsStr::new(name)), expected, "{name}");
        }
    }

    #[test]
    fn the_bar_is_read_and_other_lines_are_not() {
        let line = "    Building [=========>                 ] 13/34: rustix(build), libc     ";
        assert_eq!(progress(line), Some((13, 34, "rustix(build), libc")));
        assert_eq!(progress("    Building [=>    ] 3/34"), Some((3, 34, "")));
        assert_eq!(progress("   Compiling zmij v1.0.23"), None);
        assert_eq!(progress("    Building something [x"), None);
    }
}
