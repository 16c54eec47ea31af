//! `builder doctor` on a host whose programs are what the test says they are.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "all of this file is test code")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A host whose `PATH` is one directory, with the few programs the fakes themselves need.
struct FakeHost {
    directory: tempfile::TempDir,
}

impl FakeHost {
    fn new() -> Self {
        let host = Self { directory: tempfile::tempdir().unwrap() };
        fs::create_dir(host.bin()).unwrap();
        for program in ["env", "sh", "cat", "chmod"] {
            let real = ["/bin", "/usr/bin"].map(|bin| Path::new(bin).join(program));
            let real = real.into_iter().find(|path| path.exists()).unwrap();
            symlink(real, host.bin().join(program)).unwrap();
        }
        host
    }

    fn bin(&self) -> PathBuf {
        self.directory.path().join("bin")
    }

    fn script(&self, name: &str, body: &str) {
        let path = self.bin().join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// An apt-get that notes how it was called and "installs" flex and the x86 QEMU.
    fn with_apt(self) -> Self {
        let log = self.directory.path().join("apt.log");
        let bin = self.bin();
        self.script(
            "apt-get",
            &format!(
                "echo \"$DEBIAN_FRONTEND $*\" >> {log}\n\
                 case $1 in install)\n\
                 for p in flex qemu-system-x86_64; do echo '#!/bin/sh' > {bin}/$p; chmod +x {bin}/$p; done;;\n\
                 esac",
                log = log.display(),
                bin = bin.display()
            ),
        );
        self.script("sudo", "exec \"$@\"");
        self
    }

    fn apt_log(&self) -> String {
        fs::read_to_string(self.directory.path().join("apt.log")).unwrap_or_default()
    }

    fn doctor(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_builder"))
            .arg("doctor")
            .args(arguments)
            .env_clear()
            .env("PATH", self.bin())
            .env("HOME", self.directory.path())
            .output()
            .unwrap()
    }
}

fn is_debian() -> bool {
    let is = fs::read_to_string("/etc/os-release").unwrap_or_default().contains("debian");
    if !is {
        println!("skipped: this host is no Debian, and apt is not for it");
    }
    is
}

#[test]
fn everything_missing_is_named_at_once_and_the_exit_code_is_the_hosts() {
    let host = FakeHost::new();
    host.script("make", "");
    let output = host.doctor(&["--arch", "x86_64"]);
    assert_eq!(output.status.code(), Some(3));
    let table = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    for missing in ["flex", "bison", "gcc", "qemu-system-x86_64"] {
        assert!(errors.contains(&format!("\n  {missing} (")), "{missing}: {errors}");
        assert!(table.lines().any(|line| line.starts_with(&format!("missing  {missing} "))));
    }
    assert!(table.contains("ok       make "), "{table}");
    assert!(!errors.contains("  make ("), "{errors}");
    assert!(!errors.contains("aarch64"), "an architecture nobody asked for: {errors}");
    assert!(!errors.contains("apt-get"), "a host without apt-get: {errors}");
}

#[test]
fn install_asks_apt_for_exactly_what_is_missing() {
    if !is_debian() {
        return;
    }
    let host = FakeHost::new().with_apt();
    host.script("make", "");
    let output = host.doctor(&["--install", "--arch", "x86_64"]);
    let log = host.apt_log();
    let install = log.lines().find(|line| line.contains(" install ")).expect("apt was called");
    assert!(install.starts_with("noninteractive install --yes"), "{install}");
    let words: Vec<&str> = install.split_whitespace().collect();
    assert!(words.contains(&"flex") && words.contains(&"qemu-system-x86"), "{install}");
    assert!(!words.contains(&"make") && !words.contains(&"qemu-system-arm"), "{install}");
    // The fake brings two of the programs: the rest is still named, these are not.
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(errors.contains("  bison (") && !errors.contains("  flex ("), "{errors}");
}

#[test]
fn without_a_word_nothing_is_installed_and_the_command_is_shown() {
    if !is_debian() {
        return;
    }
    let host = FakeHost::new().with_apt();
    let output = host.doctor(&[]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(host.apt_log(), "");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("apt-get install --yes --no-install-recommends"), "{errors}");
}

#[test]
fn a_failing_apt_is_reported_with_what_it_said() {
    if !is_debian() {
        return;
    }
    let host = FakeHost::new().with_apt();
    host.script("apt-get", "echo 'E: Unable to locate package flex'; exit 100");
    let output = host.doctor(&["--install"]);
    assert_eq!(output.status.code(), Some(3));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("E: Unable to locate package flex"), "{errors}");
}
