//! `tar`, and `gzip` with it: what goes in, what comes out, and what nobody may bring in.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use tar::EntryType;

use crate::{feed, run, shell, stdout};

/// A tree with everything that is worth archiving.
fn sample(place: &Path) {
    let long = "long/".repeat(30) + &"n".repeat(120);
    for (name, content) in [("tree/a", "one\n"), ("tree/empty", ""), ("tree/sub/b", "two\n")] {
        let file = place.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, content).unwrap();
    }
    let file = place.join("tree").join(long);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, "far away\n").unwrap();
    fs::write(place.join("tree/big"), vec![7; 300_000]).unwrap();
    fs::set_permissions(place.join("tree/a"), fs::Permissions::from_mode(0o751)).unwrap();
    fs::set_permissions(place.join("tree/sub"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::hard_link(place.join("tree/a"), place.join("tree/same")).unwrap();
    symlink("sub/b", place.join("tree/link")).unwrap();
    symlink("nowhere", place.join("tree/dangling")).unwrap();
}

fn same(a: &Path, b: &Path) {
    let difference = Command::new("diff").args(["-r", "--no-dereference"]).args([a, b]).output();
    let difference = difference.unwrap();
    assert!(difference.status.success(), "{}", String::from_utf8_lossy(&difference.stdout));
    for name in ["a", "sub", "big"] {
        let (a, b) = (fs::metadata(a.join(name)).unwrap(), fs::metadata(b.join(name)).unwrap());
        assert_eq!((a.mode(), a.mtime()), (b.mode(), b.mtime()), "{name}");
    }
    let inode = |name: &str| fs::metadata(b.join(name)).unwrap().ino();
    assert_eq!(inode("a"), inode("same"), "one file by two names");
}

#[test]
fn a_tree_goes_into_an_archive_and_comes_out_the_same() {
    let place = tempfile::tempdir().unwrap();
    sample(place.path());
    for (create, extract) in [
        ("tar cf a.tar tree", "tar xf a.tar -C out"),
        ("tar czf a.tar tree", "tar xf a.tar -C out"),
        ("tar -c -z -f a.tar tree", "tar -xzf a.tar -C out"),
    ] {
        fs::create_dir(place.path().join("out")).unwrap();
        stdout(&run(place.path(), create));
        stdout(&run(place.path(), extract));
        same(&place.path().join("tree"), &place.path().join("out/tree"));
        fs::remove_dir_all(place.path().join("out")).unwrap();
    }
}

#[test]
fn others_read_what_tar_writes_and_the_other_way_round() {
    let place = tempfile::tempdir().unwrap();
    sample(place.path());
    let Ok(version) = Command::new("tar").arg("--version").output() else {
        println!("skipped: tar is not installed");
        return;
    };
    assert!(version.status.success());
    for directory in ["theirs", "ours"] {
        fs::create_dir(place.path().join(directory)).unwrap();
    }
    stdout(&run(place.path(), "tar czf ours.tgz tree"));
    let foreign = |words: &[&str]| {
        let output = Command::new("tar").args(words).current_dir(place.path()).output().unwrap();
        stdout(&output)
    };
    foreign(&["xzpf", "ours.tgz", "-C", "theirs"]);
    same(&place.path().join("tree"), &place.path().join("theirs/tree"));
    for format in ["gnu", "pax"] {
        foreign(&["--format", format, "-cf", "theirs.tar", "tree"]);
        stdout(&run(place.path(), "tar xpf theirs.tar -C ours"));
        same(&place.path().join("tree"), &place.path().join("ours/tree"));
    }
}

#[test]
fn names_are_listed_chosen_and_left_out() {
    let place = tempfile::tempdir().unwrap();
    sample(place.path());
    stdout(&run(place.path(), "tar cf a.tar --exclude long --exclude b* tree"));
    let names = stdout(&run(place.path(), "tar tf a.tar"));
    let names: Vec<&str> = names.lines().collect();
    let expected =
        ["tree", "tree/a", "tree/dangling", "tree/empty", "tree/link", "tree/same", "tree/sub"];
    assert_eq!(names, expected);
    let long = stdout(&run(place.path(), "tar tvf a.tar tree/link tree/same"));
    assert!(long.starts_with("lrwxrwxrwx ") && long.contains("tree/link -> sub/b"), "{long}");
    assert!(long.contains("tree/same link to tree/a"), "{long}");
    assert_eq!(stdout(&run(place.path(), "tar xOf a.tar tree/a")), "one\n");
    stdout(&run(place.path(), "tar xf a.tar --strip-components 1 tree/a"));
    assert_eq!(fs::read_to_string(place.path().join("a")).unwrap(), "one\n");
    let missing = run(place.path(), "tar xf a.tar nothing");
    assert_eq!(missing.status.code(), Some(1));
    let kept = run(place.path(), "tar xkf a.tar tree/a");
    assert_eq!(kept.status.code(), Some(1));
}

#[test]
fn letters_without_a_dash_take_the_words_behind_in_turn() {
    let place = tempfile::tempdir().unwrap();
    sample(place.path());
    fs::write(place.path().join("z"), "precious").unwrap();
    fs::create_dir(place.path().join("out")).unwrap();
    stdout(&run(place.path(), "tar cfz a.tgz tree"));
    assert_eq!(fs::read_to_string(place.path().join("z")).unwrap(), "precious");
    assert!(fs::read(place.path().join("a.tgz")).unwrap().starts_with(&[0x1f, 0x8b]));
    stdout(&run(place.path(), "tar Cxf out a.tgz tree/a"));
    assert_eq!(fs::read_to_string(place.path().join("out/tree/a")).unwrap(), "one\n");
    assert_eq!(run(place.path(), "tar cf").status.code(), Some(2));
}

#[test]
fn each_directory_is_for_the_names_behind_it() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path();
    for name in ["a/x", "a/deep/z", "b/x", "b/y", "here"] {
        let file = root.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, name).unwrap();
    }
    fs::write(root.join("list"), "y\n").unwrap();
    stdout(&run(root, "tar cf o.tar here -C a x -C deep z -C ../../b -T list"));
    assert_eq!(stdout(&run(root, "tar tf o.tar")), "here\nx\nz\ny\n");
    assert_eq!(stdout(&run(root, "tar xOf o.tar x y z")), "a/xa/deep/zb/y");
    stdout(&run(root, &format!("tar cf o.tar -C {0}/a x -C {0}/b y", root.display())));
    assert_eq!(stdout(&run(root, "tar xOf o.tar")), "a/xb/y");
    // Taken out, one after the other leads to one place.
    fs::create_dir_all(root.join("out/here")).unwrap();
    stdout(&run(root, "tar xf o.tar -C out -C here y"));
    assert_eq!(fs::read_to_string(root.join("out/here/y")).unwrap(), "b/y");
    for line in ["tar cf o.tar here -C a", "tar xf o.tar x -C out"] {
        assert_eq!(run(root, line).status.code(), Some(2), "{line}");
    }
    assert_eq!(stdout(&run(root, "tar tf o.tar")), "x\ny\n", "a refusal writes nothing");
}

/// An archive of entries with names as they are, which no decent program writes.
pub(super) fn hostile(entries: &[(&str, EntryType, &str)]) -> Vec<u8> {
    let with_mode = |&(name, kind, content)| (name, kind, 0o644, content);
    archive(&entries.iter().map(with_mode).collect::<Vec<_>>())
}

/// The same with modes. The last word is what links lead to and others contain.
pub(super) fn archive(entries: &[(&str, EntryType, u32, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind, mode, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        let is_link = kind.is_symlink() || kind.is_hard_link();
        if is_link {
            header.as_gnu_mut().unwrap().linkname[..content.len()]
                .copy_from_slice(content.as_bytes());
        }
        let content = if is_link { "" } else { content };
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append(&header, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

pub(super) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn nothing_in_an_archive_leads_out_of_the_directory() {
    use EntryType::{Fifo, Link, Regular, Symlink};
    let place = tempfile::tempdir().unwrap();
    let inside = place.path().join("inside");
    fs::write(place.path().join("secret"), "secret").unwrap();
    for entries in [
        &[("../evil", Regular, "x")][..],
        &[("a/../../evil", Regular, "x")],
        &[("door", Symlink, ".."), ("door/evil", Regular, "x")],
        &[("door", Symlink, "../evil"), ("door", Regular, "x")],
        &[("door", Symlink, "../evil"), ("door", Fifo, "")],
        &[("stolen", Link, "../secret")],
        &[("door", Symlink, ".."), ("stolen", Link, "door/secret")],
        &[("door", Symlink, ".."), ("copy", Link, "door"), ("copy/evil", Regular, "x")],
    ] {
        fs::create_dir(&inside).unwrap();
        let archive = hostile(entries);
        let output = feed(&inside, "tar x", &archive);
        assert!(!place.path().join("evil").exists(), "{entries:?}");
        let stolen = fs::read(inside.join("stolen")).unwrap_or_default();
        assert_ne!(stolen, b"secret", "{entries:?}");
        if entries[0].0 != "door" || entries[1].0 != "door" {
            assert_eq!(output.status.code(), Some(1), "{entries:?}");
        }
        fs::remove_dir_all(&inside).unwrap();
    }
    fs::create_dir(&inside).unwrap();
    let absolute = hostile(&[("/etc/x", Regular, "x")]);
    stdout(&feed(&inside, "tar x", &absolute));
    assert!(inside.join("etc/x").exists());
}

#[test]
fn directories_in_an_archive_never_change_what_links_lead_to() {
    use EntryType::{Directory, Link, Regular, Symlink};
    let place = tempfile::tempdir().unwrap();
    let (inside, outside) = (place.path().join("inside"), place.path().join("outside"));
    fs::create_dir_all(outside.join("deep")).unwrap();
    for directory in [&outside.join("deep"), &outside] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    }
    let before = |path: &Path| (mode(path), fs::metadata(path).unwrap().mtime());
    let untouched = [before(&outside), before(&outside.join("deep"))];
    let door = ("door", Symlink, 0o777, "../outside");
    for (entries, code) in [
        (&[door, ("door/", Directory, 0o777, "")][..], 0),
        (&[door, ("door/", Regular, 0o777, "")], 0),
        (&[door, ("copy", Link, 0, "door"), ("copy/", Directory, 0o777, "")], 0),
        (&[door, ("door/deep/", Directory, 0o777, "")], 1),
        (&[("door/", Directory, 0o777, ""), door], 1),
        (&[("a/door/", Directory, 0o777, ""), ("a", Symlink, 0, "../outside")], 1),
    ] {
        fs::create_dir(&inside).unwrap();
        let output = feed(&inside, "tar xp", &archive(entries));
        assert_eq!(output.status.code(), Some(code), "{entries:?}");
        let after = [before(&outside), before(&outside.join("deep"))];
        assert_eq!(after, untouched, "{entries:?}");
        if code == 0 {
            let made = inside.join(entries.last().unwrap().0.trim_end_matches('/'));
            assert!(fs::symlink_metadata(&made).unwrap().is_dir(), "{entries:?}");
            assert_eq!(mode(&made), 0o777, "{entries:?}");
        }
        fs::remove_dir_all(&inside).unwrap();
    }
}

#[test]
fn without_p_the_umask_takes_its_bits_and_private_directories_stay_private() {
    use EntryType::{Directory, Fifo, Regular};
    let place = tempfile::tempdir().unwrap();
    for (name, mode) in [("there", 0o711), ("shared", 0o2711)] {
        fs::create_dir(place.path().join(name)).unwrap();
        fs::set_permissions(place.path().join(name), fs::Permissions::from_mode(mode)).unwrap();
    }
    let archive = archive(&[
        ("private/", Directory, 0o700, ""),
        ("private/file", Regular, 0o666, "x"),
        ("late/file", Regular, 0o4777, "x"),
        ("late/", Directory, 0o1700, ""),
        ("open/", Directory, 0o777, ""),
        ("open/pipe", Fifo, 0o666, ""),
        ("sealed/", Directory, 0o500, ""),
        ("sealed/file", Regular, 0o600, "x"),
        ("there/", Directory, 0o777, ""),
        ("shared/", Directory, 0o777, ""),
        ("shared/below/", Directory, 0o777, ""),
    ]);
    fs::write(place.path().join("a.tar"), archive).unwrap();
    let script = "umask 027; exec \"$0\" tar xf a.tar --no-same-permissions --no-same-owner";
    stdout(&shell(place.path(), script));
    for (name, expected) in [
        ("private", 0o700),
        ("private/file", 0o640),
        ("late/file", 0o750),
        ("late", 0o700),
        ("open", 0o750),
        ("open/pipe", 0o640),
        ("sealed", 0o500),
        ("there", 0o711),
        ("shared", 0o2711),
        ("shared/below", 0o2750),
    ] {
        let found = mode(&place.path().join(name));
        assert_eq!(found, expected, "{name}: {found:o}, not {expected:o}");
    }
}

#[test]
fn global_headers_are_no_members() {
    use EntryType::{Regular, XGlobalHeader};
    let place = tempfile::tempdir().unwrap();
    let comment = "52 comment=0123456789012345678901234567890123456789\n";
    let archive = archive(&[
        ("pax_global_header", XGlobalHeader, 0o666, comment),
        ("a", Regular, 0o644, "one"),
    ]);
    assert_eq!(stdout(&feed(place.path(), "tar t", &archive)), "a\n");
    assert_eq!(stdout(&feed(place.path(), "tar xv", &archive)), "a\n");
    assert!(!place.path().join("pax_global_header").exists());
    assert_eq!(fs::read_to_string(place.path().join("a")).unwrap(), "one");
    let named = feed(place.path(), "tar t pax_global_header", &archive);
    assert_eq!(named.status.code(), Some(1));
}

#[test]
fn the_checksum_of_compressed_archives_is_looked_at() {
    let place = tempfile::tempdir().unwrap();
    sample(place.path());
    stdout(&run(place.path(), "tar czf a.tgz tree"));
    let whole = fs::read(place.path().join("a.tgz")).unwrap();
    let mut flipped = whole.clone();
    let checksum = whole.len() - 8;
    flipped[checksum] ^= 1;
    fs::create_dir(place.path().join("out")).unwrap();
    for broken in [&flipped[..], &whole[..checksum + 2]] {
        for line in ["tar t", "tar tz", "tar xz -C out", "tar xO tree/a"] {
            let output = feed(place.path(), line, broken);
            assert_eq!(output.status.code(), Some(1), "{line}");
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(message.contains("cannot read the archive"), "{message}");
        }
    }
    let sealed = mode(&place.path().join("out/tree/sub"));
    assert_eq!(sealed, 0o500, "directories are finished all the same: {sealed:o}");
    stdout(&feed(place.path(), "tar t", &whole));
}

#[test]
fn a_compressed_archive_may_be_filled_up_with_zeros() {
    let place = tempfile::tempdir().unwrap();
    sample(place.path());
    stdout(&run(place.path(), "tar czf a.tgz tree"));
    let mut bytes = fs::read(place.path().join("a.tgz")).unwrap();
    let listed = stdout(&feed(place.path(), "tar t", &bytes));
    bytes.resize(bytes.len().next_multiple_of(10_240), 0);
    fs::write(place.path().join("a.tgz"), &bytes).unwrap();
    assert_eq!(stdout(&run(place.path(), "tar tf a.tgz")), listed);
    stdout(&run(place.path(), "gzip -t a.tgz"));
    bytes.extend_from_slice(b"more");
    for line in ["tar t", "gzip -d"] {
        let output = feed(place.path(), line, &bytes);
        assert_eq!(output.status.code(), Some(1), "{line}");
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains("something follows the zeros"), "{message}");
    }
}

#[test]
fn damaged_archives_are_named_as_such() {
    let place = tempfile::tempdir().unwrap();
    sample(place.path());
    stdout(&run(place.path(), "tar cf a.tar tree"));
    stdout(&run(place.path(), "tar czf a.tgz tree"));
    for name in ["a.tar", "a.tgz"] {
        let bytes = fs::read(place.path().join(name)).unwrap();
        for broken in [&bytes[..bytes.len() / 2], &[0x55; 2_000]] {
            let output = feed(place.path(), "tar t", broken);
            assert_eq!(output.status.code(), Some(1), "{name}");
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(message.contains("cannot read the archive"), "{message}");
        }
    }
    let empty = run(place.path(), "tar cf x.tar");
    assert_eq!(empty.status.code(), Some(2));
}

#[test]
fn why_a_file_cannot_be_extracted_is_said() {
    let place = tempfile::tempdir().unwrap();
    sample(place.path());
    stdout(&run(place.path(), "tar cf a.tar tree/big"));
    // No file may be larger than a few blocks, which is as with a full disk.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" tar xf a.tar";
    let output = shell(place.path(), script);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message, "tar: error: cannot extract `tree/big`: File too large (os error 27)\n");
}

#[test]
fn an_archive_does_not_contain_itself() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("a"), "one").unwrap();
    for (script, archive) in [
        ("exec \"$0\" tar cf self.tar .", "self.tar"),
        ("exec \"$0\" tar czf \"$PWD/self.tgz\" \"$PWD\"", "self.tgz"),
        ("exec \"$0\" tar c . > self.tar", "self.tar"),
    ] {
        let output = shell(place.path(), script);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains(": file is the archive; not dumped\n"), "{script}: {message}");
        assert!(output.status.success(), "{script}: {message}");
        let names = stdout(&run(place.path(), &format!("tar tf {archive}")));
        assert!(names.ends_with("a\n") && !names.contains("self.t"), "{script}: {names}");
        fs::remove_file(place.path().join(archive)).unwrap();
    }
}
