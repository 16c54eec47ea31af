//! `systools` as people call it: the programs themselves, their output and status.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn run(place: &Path, line: &str) -> Output {
    feed(place, line, b"")
}

/// Runs a tool by `systools NAME …` with this on its standard input.
fn feed(place: &Path, line: &str, input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_systools"))
        .args(line.split_whitespace())
        .current_dir(place)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn stdout(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

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

/// An archive of entries with names as they are, which no decent program writes.
fn hostile(entries: &[(&str, tar::EntryType, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o644);
        let is_file = kind.is_file();
        if !is_file {
            header.as_gnu_mut().unwrap().linkname[..content.len()]
                .copy_from_slice(content.as_bytes());
        }
        header.set_size(if is_file { content.len() as u64 } else { 0 });
        header.set_cksum();
        archive.append(&header, if is_file { content.as_bytes() } else { b"" }).unwrap();
    }
    archive.into_inner().unwrap()
}

#[test]
fn nothing_in_an_archive_leads_out_of_the_directory() {
    use tar::EntryType::{Link, Regular, Symlink};
    let place = tempfile::tempdir().unwrap();
    let inside = place.path().join("inside");
    fs::write(place.path().join("secret"), "secret").unwrap();
    for entries in [
        &[("../evil", Regular, "x")][..],
        &[("a/../../evil", Regular, "x")],
        &[("door", Symlink, ".."), ("door/evil", Regular, "x")],
        &[("door", Symlink, "../evil"), ("door", Regular, "x")],
        &[("stolen", Link, "../secret")],
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
fn ps_shows_this_process_and_its_own_parent() {
    let place = tempfile::tempdir().unwrap();
    let pid = std::process::id();
    let output = stdout(&run(place.path(), &format!("ps -o pid=,ppid= -p {pid}")));
    assert_eq!(output.split_whitespace().next().unwrap(), pid.to_string());
    let json = stdout(&run(place.path(), "ps -e -o pid,comm --json"));
    let list: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(list.as_array().unwrap().iter().any(|process| process["pid"] == pid));
    assert_eq!(run(place.path(), "ps -p 4194304").status.code(), Some(1));
}

#[test]
fn top_and_free_write_to_a_pipe() {
    let place = tempfile::tempdir().unwrap();
    let output = stdout(&run(place.path(), "top -b -n 2 -d 0.1"));
    assert_eq!(output.lines().filter(|line| line.starts_with("top - up ")).count(), 2);
    assert_eq!(run(place.path(), "top").status.code(), Some(1));
    let output = stdout(&run(place.path(), "free -m"));
    assert!(output.contains("Mem:") && output.contains("available"), "{output}");
}

#[test]
fn less_is_cat_in_a_pipe() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(stdout(&feed(place.path(), "less", b"one\ntwo\n")), "one\ntwo\n");
    assert_eq!(run(place.path(), "less missing").status.code(), Some(1));
}

#[test]
fn a_name_that_is_no_tool_is_a_wrong_command_line() {
    let place = tempfile::tempdir().unwrap();
    for (line, code) in [("", 2), ("nonsense", 2), ("resize", 1), ("gzip --nonsense", 2)] {
        assert_eq!(run(place.path(), line).status.code(), Some(code), "systools {line}");
    }
    let packed = feed(place.path(), "gzip", b"hello").stdout;
    assert_eq!(stdout(&feed(place.path(), "zcat", &packed)), "hello");
    assert_eq!(feed(place.path(), "gunzip", b"hello").status.code(), Some(1));
}
