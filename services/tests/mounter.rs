//! `mounter` in a mount namespace of its own: what it keeps, and what ends it.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends where it fails, and says what it skips"
)]

use std::fs;
use std::process::{Command, Stdio};

/// Keeps a tmpfs at `$DIR/link/data`, where `link` is a symbolic link, as process `$M`.
const BEGIN: &str = r#"
set -e
mkdir "$DIR/real" "$DIR/other"; ln -s real "$DIR/link"
# until_so COMMAND…: waits until it succeeds, for at most 15 s.
until_so() { i=0; until eval "$@"; do i=$((i+1)); [ $i -lt 150 ] || { echo "never: $*"; exit 1; }; sleep 0.1; done; }
keep() { "$MOUNTER" "$DIR/data.toml" 2> "$DIR/said" & M=$!; until_so 'mountpoint -q "$DIR/real/data"'; }
ended() { wait $M && echo "ended: 0" || echo "ended: $?"; }
"#;

/// Runs a script as root of namespaces of its own and gives what it prints; `None` where the
/// host forbids that.
fn run(test: &str, script: &str) -> Option<String> {
    let allowed = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"])
        .stderr(Stdio::null())
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        println!("skipped: {test}: unshare(1) cannot mount a tmpfs here");
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("link/data");
    let text = format!("where = {:?}\ntype = \"tmpfs\"\noptions = [\"size=64k\"]\n", target);
    fs::write(directory.path().join("data.toml"), text).unwrap();
    let output = Command::new("unshare")
        .args(["-rm", "timeout", "60", "bash", "-c", &[BEGIN, script].concat()])
        .env("DIR", directory.path())
        .env("MOUNTER", env!("CARGO_BIN_EXE_mounter"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_mount_that_is_taken_away_ends_its_keeper() {
    let script = r#"
keep; umount "$DIR/real/data"; ended; cat "$DIR/said"
keep; mkdir "$DIR/real/moved"; mount --make-private / 2> /dev/null || true
mount --move "$DIR/real/data" "$DIR/real/moved"; ended
"#;
    let Some(text) = run("a mount that is taken away", script) else { return };
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "ended: 1", "{text}");
    assert!(lines[1].starts_with("mounter: error: /"), "{text}");
    assert!(
        lines[1].ends_with("/real/data is not mounted any more: somebody else has taken it away")
    );
    assert!(lines[2].starts_with("  hint: `svcctl stop`"), "{text}");
    assert_eq!(lines[3..], ["ended: 1"]);
}

#[test]
fn a_link_as_the_place_is_followed_by_the_unmount_too() {
    let script = r#"
mkdir "$DIR/elsewhere"; ln -s ../elsewhere "$DIR/real/data"
"$MOUNTER" "$DIR/data.toml" 2> "$DIR/said" & M=$!; until_so 'mountpoint -q "$DIR/elsewhere"'
# After a crash it takes over what is there.
kill -KILL $M; wait $M || true
"$MOUNTER" "$DIR/data.toml" 2>> "$DIR/said" & M=$!; sleep 0.5
grep -c "$DIR/elsewhere " /proc/self/mountinfo
kill $M; ended
mountpoint -q "$DIR/elsewhere" || echo unmounted
cat "$DIR/said"
"#;
    let Some(text) = run("a link as the place", script) else { return };
    assert_eq!(text, "1\nended: 0\nunmounted\n");
}

#[test]
fn other_changes_leave_it_alone_and_the_end_unmounts() {
    let script = r#"
keep
mount -t tmpfs none "$DIR/other"; umount "$DIR/other"
mount -o remount,ro,size=128k "$DIR/real/data"
mount -t tmpfs none "$DIR/real/data"; umount "$DIR/real/data"
sleep 0.3; kill -0 $M
kill $M; ended
mountpoint -q "$DIR/real/data" || echo unmounted
cat "$DIR/said"
"#;
    let Some(text) = run("other changes", script) else { return };
    assert_eq!(text, "ended: 0\nunmounted\n");
}

#[test]
fn the_end_leaves_what_others_have_mounted_on_top() {
    let script = r#"
here() { grep -c "$DIR/real/data " /proc/self/mountinfo; }
keep
mount -t tmpfs theirs "$DIR/real/data"
kill $M; ended; here; tail -n 1 /proc/self/mountinfo | grep -c theirs; cat "$DIR/said"
umount "$DIR/real/data"; here
# It takes over its own, and waits for the other one to go.
keep; sleep 0.3; mount -t tmpfs theirs "$DIR/real/data"
kill $M; sleep 0.5; here; umount "$DIR/real/data"; ended
mountpoint -q "$DIR/real/data" || echo unmounted
"#;
    let Some(text) = run("a mount on top", script) else { return };
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["ended: 1", "2", "1"], "{text}");
    assert!(lines[3].ends_with("/real/data: another mount is on top of it"), "{text}");
    assert!(lines[4].starts_with("  hint: it stays mounted: `umount /"), "{text}");
    assert_eq!(lines[5..], ["1", "2", "ended: 0", "unmounted"], "{text}");
}
