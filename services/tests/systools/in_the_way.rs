//! `tar` and the files that are there: those it meets on extracting, and those it cannot read.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use tar::EntryType;

use crate::archives::{archive, hostile, mode};
use crate::{feed, run, shell, stdout};

#[test]
fn a_name_that_cannot_be_linked_anew_keeps_its_file() {
    use EntryType::{Link, Regular};
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::write(at("a"), "one").unwrap();
    fs::hard_link(at("a"), at("b")).unwrap();
    stdout(&run(place.path(), "tar cf x.tar a a"));
    stdout(&run(place.path(), "tar xf x.tar"));
    assert_eq!(fs::read_to_string(at("a")).unwrap(), "one");

    let two = hostile(&[("t/b", Regular, "new"), ("t/a", Link, "t/b")]);
    fs::create_dir(at("t")).unwrap();
    fs::write(at("t/a"), "old").unwrap();
    assert_eq!(feed(place.path(), "tar x t/a", &two).status.code(), Some(1));
    assert_eq!(fs::read_to_string(at("t/a")).unwrap(), "old");
    stdout(&feed(place.path(), "tar x", &two));
    assert_eq!(fs::read_to_string(at("t/a")).unwrap(), "new");
    let inode = |name: &str| fs::metadata(at(name)).unwrap().ino();
    assert_eq!(inode("t/a"), inode("t/b"));
}

#[test]
fn what_cannot_be_read_to_its_end_is_said_and_the_rest_goes_in() {
    const NETWORK: &str = "/sys/devices/virtual/net/lo";
    // The speed of a link that has none is what a kernel does not tell (EINVAL).
    let can_read = |name: &str| fs::read(format!("{NETWORK}/{name}")).is_ok();
    if can_read("speed") || !can_read("mtu") {
        println!("skipped: {NETWORK} has no file that cannot be read to its end");
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let output = run(place.path(), &format!("tar cf x.tar -C {NETWORK} speed mtu"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot read `speed`: Invalid argument"), "{said}");
    assert!(!said.contains("output"), "{said}");
    assert_eq!(stdout(&run(place.path(), "tar tf x.tar")), "speed\nmtu\n");
    let mtu = stdout(&run(place.path(), "tar xOf x.tar mtu"));
    assert!(mtu.starts_with("65536\n"), "{mtu:?}");
}

#[test]
fn a_file_is_private_until_it_has_its_own_mode() {
    let place = tempfile::tempdir().unwrap();
    let content = "x".repeat(100_000);
    let private = archive(&[("key", EntryType::Regular, 0o600, &content)]);
    fs::write(place.path().join("a.tar"), private).unwrap();
    // It ends before it has a mode: no file may be larger than a few blocks.
    let script = "umask 0; trap '' XFSZ; ulimit -f 8; exec \"$0\" tar xf a.tar";
    let output = shell(place.path(), script);
    assert_eq!(output.status.code(), Some(1));
    let found = mode(&place.path().join("key"));
    assert_eq!(found, 0o600, "{found:o}");
}

#[test]
fn the_umask_is_there_again_after_a_file() {
    use EntryType::Regular;
    let place = tempfile::tempdir().unwrap();
    let script = "umask 027; exec \"$0\" tar x --no-same-permissions --no-same-owner -f a.tar";
    // Of the second, the directory has no entry and so no mode but what the umask leaves.
    let two = hostile(&[("a", Regular, "x"), ("late/b", Regular, "x")]);
    fs::write(place.path().join("a.tar"), two).unwrap();
    let output = shell(place.path(), script);
    stdout(&output);
    for (name, expected) in [("a", 0o640), ("late", 0o750), ("late/b", 0o640)] {
        let found = mode(&place.path().join(name));
        assert_eq!(found, expected, "{name}: {found:o}");
    }
}

#[test]
fn directories_that_are_there_are_no_old_files() {
    use EntryType::{Directory, Regular};
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::create_dir(at("there")).unwrap();
    fs::set_permissions(at("there"), fs::Permissions::from_mode(0o711)).unwrap();
    let archive = archive(&[
        ("there/", Directory, 0o777, ""),
        ("there/new", Regular, 0o644, "new"),
        ("made/file", Regular, 0o644, "new"),
        ("made/", Directory, 0o700, ""),
    ]);
    stdout(&feed(place.path(), "tar xkp", &archive));
    assert_eq!([mode(&at("there")), mode(&at("made"))], [0o711, 0o700]);
    let after = |path: &str| fs::metadata(at(path)).unwrap().mtime();
    assert_ne!(after("there"), 0, "its time is its own");
    assert_eq!(fs::read_to_string(at("there/new")).unwrap(), "new");

    fs::write(at("there/new"), "mine").unwrap();
    let again = feed(place.path(), "tar xkp", &archive);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(1), "{said}");
    assert_eq!(said.lines().filter(|line| line.contains("error")).count(), 2, "{said}");
    assert_eq!(fs::read_to_string(at("there/new")).unwrap(), "mine");

    fs::remove_dir_all(at("there")).unwrap();
    fs::write(at("there"), "a file").unwrap();
    assert_eq!(feed(place.path(), "tar xk there", &archive).status.code(), Some(1));
    assert_eq!(fs::read_to_string(at("there")).unwrap(), "a file");
}
