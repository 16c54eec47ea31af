//! `system-check` on a small system with mounts of its own, in a mount namespace.

use std::fs;
use std::process::Command;

const SYSTEM_CHECK: &str = env!("CARGO_BIN_EXE_system-check");

#[test]
fn what_is_mounted_below_usr_is_not_of_the_image_and_is_left_out() {
    let is_allowed =
        Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "x", "/mnt"]).output();
    if !is_allowed.is_ok_and(|output| output.status.success()) {
        println!("skipped: the host forbids namespaces (unshare) or mounts in them");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let manifest = "keelson-manifest 1\nimage test\nmachine x\nkernel x\n\
        d 755 0 0 /usr\nd 755 0 0 /usr/share\n";
    fs::write(directory.path().join("manifest"), manifest).unwrap();
    let script = format!(
        "umask 022; mkdir -p root/usr/share && mount -t tmpfs x root/usr/share || exit 9; \
         touch root/usr/share/mounted root/usr/new; \
         {SYSTEM_CHECK} --only files --root root --manifest manifest"
    );
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", &script])
        .current_dir(directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "file /usr/new: it is not of the image\n2 files: 1 thing is off\n");
    assert_eq!(output.status.code(), Some(1));
}
