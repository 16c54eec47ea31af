//! Small and read-only file systems without root: a test starts itself again
//! in a user and mount namespace of its own, where it may mount (`unshare(1)`).

use std::path::Path;
use std::process::Command;

/// Set where the test runs in its own namespaces.
const VARIABLE: &str = "KEELSON_TEST_MAY_MOUNT";

/// Whether the caller may mount. If not, the test of this name has been run
/// where it may, or could not be, which is said; there is nothing left to do.
#[track_caller]
pub(crate) fn may_mount(test: &str) -> bool {
    if std::env::var_os(VARIABLE).is_some() {
        return true;
    }
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--mount", "--"]);
    let probe = Command::new(unshare.get_program()).args(unshare.get_args()).arg("true").output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        println!("skipped: unshare is not installed or may not make user namespaces");
        return false;
    }
    let output = unshare
        .arg(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(VARIABLE, "")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{test} failed in its own namespaces");
    assert!(text.contains("1 passed"), "there is no test {test}");
    false
}

/// Mounts an empty tmpfs with these mount options.
pub(crate) fn tmpfs(at: &Path, options: &str) {
    std::fs::create_dir_all(at).unwrap();
    mount(&["-t", "tmpfs", "-o", options, "tmpfs"], at);
}

/// Changes the options of a mount.
pub(crate) fn remount(at: &Path, options: &str) {
    mount(&["-o", &format!("remount,{options}")], at);
}

fn mount(arguments: &[&str], at: &Path) {
    let status = Command::new("mount").args(arguments).arg(at).status().unwrap();
    assert!(status.success(), "mount {arguments:?} {}", at.display());
}
