//! What is said of Debian packages that are wrong, gone, or not enough. The
//! archive is the test's own: an `apt-get` and an `apt-cache` of a few lines.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;

use builder::arch::Arch;
use builder::cache::file_sha256;

use crate::project::{Ending, Project, deb};

/// Answers like apt-get for the packages in the directory above it. It
/// downloads what is named and, asked to install, tells of what `needs/NAME`
/// lists there for it as well or, where that is missing, of the whole archive.
/// A name in `needs` without a package is one that others provide.
const APT_GET: &str = r#"#!/bin/sh
cd_to=$PWD; archive=$(dirname "$0")/../archive; uris=; all=; names=
while [ $# -gt 0 ]; do
    case $1 in
        -c | -o) shift ;;
        --print-uris) uris=1 ;;
        install) all=1 ;;
        update)
            state=$(sed -n 's/^Dir::State "\(.*\)";$/\1/p' "$conf")
            : > "$state/lists/x_Packages"
            [ -e "$archive/half" ] && { echo 'E: Mirror sync in progress?' >&2; exit 100; }
            exit 0 ;;
        download | -*) ;;
        *.conf) ;;
        *) names="$names $1" ;;
    esac
    case $1 in *.conf) conf=$1 ;; esac
    shift
done
for name in $names; do
    case $name in
        *=*) file=$archive/${name%%=*}_${name#*=}_all.deb ;;
        *) file=$(echo "$archive/${name}"_*.deb) ;;
    esac
    [ ! -e "$archive/lost/${name%%=*}" ] || { echo "E: Failed to fetch $name" >&2; lost=1; continue; }
    [ -e "$file" ] || [ "$all" -a -e "$archive/needs/$name" ] || { echo "E: Unable to locate package $name" >&2; exit 100; }
    [ "$uris" ] || cp "$file" "$cd_to/"
    [ "$all" ] || [ ! "$uris" ] || echo "'http://x/y' ${file##*/} 1 SHA256:0"
done
[ ! "$all" ] || for name in $names; do
    name=${name%%=*}
    [ ! -e "$archive/needs/$name" ] || { echo "$name"; cat "$archive/needs/$name"; continue; }
    for file in "$archive"/*.deb; do file=${file##*/}; echo "${file%%_*}"; done
done | sort -u | while read -r name; do
    for file in "$archive/$name"_*.deb; do [ ! -e "$file" ] || echo "'http://x/y' ${file##*/} 1 SHA256:0"; done
done
[ ! "$lost" ] || exit 100
"#;

const APT_CACHE: &str = r#"#!/bin/sh
archive=$(dirname "$0")/../archive
for word; do
    [ -e "$archive/${word%%=*}_${word#*=}_all.deb" ] || continue
    file=$archive/${word%%=*}_${word#*=}_all.deb
    echo "Package: ${word%%=*}"; echo "Version: ${word#*=}"; echo "Size: $(wc -c < "$file")"
    echo "SHA256: $(sha256sum "$file" | cut -d' ' -f1)"
    [ ! -e "$archive/provides/${word%%=*}" ] || cat "$archive/provides/${word%%=*}"; echo
done
"#;

/// A package of version 1 with these files: path and content.
fn package(project: &Project, name: &str, files: &[(&str, &[u8])]) {
    package_at(project, name, "1", files);
}

fn package_at(project: &Project, name: &str, version: &str, files: &[(&str, &[u8])]) {
    let mut data = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        // As bytes: the crate refuses to write what the builder must refuse to read.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_mode(0o755);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(content.len() as u64);
        header.set_cksum();
        data.append(&header, *content).unwrap();
    }
    let package = deb(&data.into_inner().unwrap());
    project.write(&format!("archive/{name}_{version}_all.deb"), package);
}

/// A project with an archive, and the image `bad` with these entries.
fn project(entries: &str) -> Project {
    let project = Project::new(&[("images/bad.toml", &definition(entries))]);
    project.program("apt-get", APT_GET);
    project.program("apt-cache", APT_CACHE);
    project
}

fn definition(entries: &str) -> String {
    let host = Arch::host().unwrap();
    format!("inherit = [\"base.toml\"]\narch = [\"{host}\"]\n{entries}")
}

/// Runs the builder where apt is the test's own.
fn run(project: &Project, arguments: &[&str]) -> Ending {
    run_with(project, "none", arguments)
}

/// The same where packages that apt does not have are to be found at a URL.
fn run_with(project: &Project, snapshot: &str, arguments: &[&str]) -> Ending {
    let mut builder = project.builder(arguments);
    let ending = Ending::of(builder.env("KEELSON_DEBIAN_SNAPSHOT", snapshot));
    println!("{}: {}", arguments.join(" "), ending.stderr);
    ending
}

/// A web server that has these files and no others, by path; its URL. It ends with the test.
fn serve(files: Vec<(String, Vec<u8>)>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines =
                BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
            let request = lines.next().unwrap_or_default();
            let _headers = lines.take_while(|line| !line.is_empty()).count();
            let path = request.split(' ').nth(1).unwrap_or_default();
            let found = files.iter().find(|(name, _)| name == path);
            let (status, content) = found.map_or((404, &[][..]), |(_, content)| (200, content));
            let length = content.len();
            let head = format!(
                "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            // A client that has gone is no concern of the server's.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(content));
        }
    });
    url
}

fn tool(paths: &str) -> String {
    format!("[[package]]\nname = \"tool\"\n{paths}\n")
}

fn nothing_is_built(project: &Project) {
    let host = Arch::host().unwrap().as_str();
    assert!(!project.path("out/bad").join(host).join("vmlinuz").exists());
    for kind in ["kernel", "program"] {
        assert!(!project.path("cache/keelson").join(kind).exists(), "{kind}");
    }
}

#[test]
fn one_library_taken_from_a_tree_is_named_with_its_program() {
    let program = std::env::current_exe().unwrap();
    let facts = builder::elf::file_facts(&program).unwrap().unwrap();
    let loader = String::from_utf8(facts.interpreter.unwrap()).unwrap();
    let libraries = fs::canonicalize(&loader).unwrap().parent().unwrap().to_owned();
    let project = project(&(tool("depends = true")));
    let content = fs::read(&program).unwrap();
    let program = ("./usr/bin/tool", content.as_slice());
    package(&project, "tool", &[program]);
    let loader_path = format!(".{loader}");
    let mut files = vec![(loader_path, fs::read(&loader).unwrap())];
    for name in facts.needed {
        let name = String::from_utf8(name).unwrap();
        if !loader.ends_with(&name) {
            let content = fs::read(libraries.join(&name)).unwrap();
            files.push((format!("./usr/lib/{name}"), content));
        }
    }
    let files: Vec<(&str, &[u8])> =
        files.iter().map(|(path, content)| (path.as_str(), content.as_slice())).collect();
    package(&project, "libc6", &[&files[..], &[("./usr/share/x", b"x")]].concat());
    package(&project, "other", &[("./usr/bin/other", b"nobody needs it")]);
    run(&project, &["check", "bad"]).is(0, &["image bad for", "nothing wrong found"]);
    let lock = fs::read_to_string(project.path("images/bad.lock")).unwrap();
    assert!(lock.contains("name = \"libc6\"") && lock.contains("role = \"dependency\""), "{lock}");

    let narrow = "[[package]]\nname = \"libc6\"\npaths = [\"/usr/share/x\"]\n";
    project.write("images/bad.toml", definition(&(tool("depends = true") + narrow)));
    run(&project, &["check", "bad"]).is(0, &["nothing wrong found"]);

    let without = "[[package]]\nname = \"libc6\"\npaths = [\"!/usr/lib/libc.so.6\"]\n";
    project.write("images/bad.toml", definition(&(tool("depends = true") + without)));
    let says = [
        "/usr/bin/tool needs the library libc.so.6, which is not in the tree \
         (from images/bad.toml:3:1: package tool 1)",
        "hint: add the package that holds libc.so.6, or link statically",
    ];
    run(&project, &["check", "bad"]).is(2, &says);
    run(&project, &["image", "bad", "--output", "out"]).is(2, &says);
    nothing_is_built(&project);

    package(&project, "whole", &[&files[..], &[program]].concat());
    let own = "[[package]]\nname = \"whole\"\npaths = [\"/usr/bin\"]\ndepends = true\n";
    project.write("archive/needs/whole", "");
    project.write("images/bad.toml", definition(own));
    run(&project, &["check", "bad"]).is(0, &["nothing wrong found"]);
}

#[test]
fn patterns_paths_and_archives_that_are_wrong_are_named() {
    let project = project(&tool("paths = [\"/usr/bin/tool\", \"/usr/bin/took\"]"));
    package(&project, "tool", &[("./usr/bin/tool", b"x")]);
    let says = ["images/bad.toml:5:27: the package tool 1 for", "has no such path", "hint: "];
    run(&project, &["check", "bad"]).is(2, &says);

    project.write("images/bad.toml", definition(&tool("paths = [\"usr\"]\ncommands = [\"x\"]")));
    run(&project, &["check", "bad"]).is(
        2,
        &[
            "images/bad.toml:5:10: \"usr\" must be an absolute path on the target",
            "images/bad.toml:6:12: `commands` are names of a program",
        ],
    );

    project.write("images/bad.toml", definition("[[package]]\nname = \"missing\"\n"));
    run(&project, &["check", "bad"]).is(1, &["Unable to locate package missing"]);

    package(&project, "evil", &[("./../../../evil", b"x")]);
    project.write("images/bad.toml", definition("[[package]]\nname = \"evil\"\n"));
    let says = ["cannot unpack the package evil_1_all.deb: ", "has a `..`"];
    run(&project, &["check", "bad"]).is(1, &says);
    nothing_is_built(&project);
}

#[test]
fn what_the_lock_says_is_what_is_taken() {
    let project = project(&tool(""));
    package(&project, "tool", &[("./usr/share/tool", b"x")]);
    for option in ["--locked", "--offline"] {
        let says = ["images/bad.lock does not lock tool", option, "hint: `cargo builder lock bad`"];
        run(&project, &["image", "bad", option]).is(2, &says);
    }
    assert!(!project.path("images/bad.lock").exists());
    run(&project, &["lock", "bad"]).is(0, &["images/bad.lock is written", "1 packages are locked"]);
    let good = fs::read_to_string(project.path("images/bad.lock")).unwrap();
    let digest = file_sha256(&project.path("archive/tool_1_all.deb")).unwrap();
    assert!(good.contains(&digest), "{good}");

    let other = good.replace(&digest, &"0".repeat(64));
    project.write("images/bad.lock", other);
    let says = ["tool 1 is not the pinned file", &digest, "`cargo builder lock IMAGE --update`"];
    run(&project, &["check", "bad"]).is(1, &says);

    project.write("images/bad.lock", good.replace("\"1\"", "\"0.9\""));
    let says = [
        "these packages cannot be had:\n  tool 0.9 has left the archive\n",
        "KEELSON_DEBIAN_SNAPSHOT=none",
        "hint: `cargo builder lock IMAGE --update`",
    ];
    run(&project, &["check", "bad"]).is(1, &says);
    run(&project, &["lock", "bad"]).is(0, &[]);
    let kept = fs::read_to_string(project.path("images/bad.lock")).unwrap();
    assert!(kept.contains("\"0.9\""), "without --update a version stays: {kept}");
    run(&project, &["lock", "bad", "--update"]).is(0, &["images/bad.lock is written"]);
    assert_eq!(fs::read_to_string(project.path("images/bad.lock")).unwrap(), good);

    project.write("images/bad.lock", good.replace("role", "rule"));
    let says = ["images/bad.lock:", "unknown field", "hint: it is written by `cargo builder lock`"];
    run(&project, &["check", "bad"]).is(2, &says);
}

/// `tool` and `more`, each with a library of its own and both with the C library.
fn with_dependencies() -> Project {
    let project = project(&tool("depends = true"));
    for name in ["tool", "more", "libc6", "libtool", "libmore"] {
        package(&project, name, &[(&format!("./usr/share/{name}"), b"x")]);
    }
    project.write("archive/needs/tool", "libc6\nlibtool\n");
    project.write("archive/needs/more", "libc6\nlibmore\n");
    project
}

const MORE: &str = "[[package]]\nname = \"more\"\ndepends = true\n";

fn lock_of(project: &Project) -> String {
    fs::read_to_string(project.path("images/bad.lock")).unwrap()
}

#[test]
fn what_is_new_does_not_come_with_versions_that_others_do_not_have() {
    let project = with_dependencies();
    run(&project, &["lock", "bad"]).is(0, &["3 packages are locked"]);
    let before = lock_of(&project);
    let old = project.path("archive/libc6_1_all.deb");
    let bytes = fs::read(&old).unwrap();
    fs::remove_file(&old).unwrap();
    package_at(&project, "libc6", "2", &[("./usr/share/libc6", b"new")]);
    run(&project, &["lock", "bad"]).is(0, &["3 packages are locked"]);

    let both = tool("depends = true") + MORE;
    project.write("images/bad.toml", definition(&both));
    let says = [
        "error: ",
        "the lock of image bad has other versions than what is new in it:\n  libc6 for ",
        ": 1 is locked, 2 is needed\n",
        "hint: `cargo builder lock bad --update`",
    ];
    for arguments in [&["lock", "bad"][..], &["check", "bad"]] {
        run(&project, arguments).is(1, &says);
        assert_eq!(lock_of(&project), before);
    }

    // A version that the definition fixes is not apt's to choose.
    fs::write(&old, bytes).unwrap();
    let fixed = both.clone() + "[[package]]\nname = \"libc6\"\nversion = \"1\"\n";
    project.write("images/bad.toml", definition(&fixed));
    run(&project, &["lock", "bad"]).is(0, &["5 packages are locked"]);
    assert!(!lock_of(&project).contains("version = \"2\""), "{}", lock_of(&project));

    fs::remove_file(&old).unwrap();
    project.write("images/bad.toml", definition(&both));
    run(&project, &["lock", "bad", "--update"]).is(0, &["5 packages are locked"]);
    let after = lock_of(&project);
    assert!(after.contains("name = \"libc6\"\nversion = \"2\""), "{after}");
    assert_eq!(after.matches("[[needs]]").count(), 2, "{after}");
}

#[test]
fn a_name_that_is_no_package_is_refused_before_anything_is_locked() {
    let project = with_dependencies();
    run(&project, &["lock", "bad"]).is(0, &["3 packages are locked"]);
    let before = lock_of(&project);
    project.write("archive/needs/virtual", "libc6\nmore\n");
    let entry = "[[package]]\nname = \"virtual\"\ndepends = true\n";
    project.write("images/bad.toml", definition(&(tool("depends = true") + entry)));
    for (provides, says) in [
        (
            "Provides: first (= 1), virtual\n",
            [
                "images/bad.toml:6:1: virtual is no package but a name that others provide",
                "hint: name the one that is wanted: more",
            ],
        ),
        (
            "",
            [
                "images/bad.toml:6:1: apt gives no package of the name virtual",
                "hint: packages.debian.org lists",
            ],
        ),
    ] {
        project.write("archive/provides/more", provides);
        for arguments in [&["lock", "bad"][..], &["lock", "bad", "--update"], &["check", "bad"]] {
            run(&project, arguments).is(2, &says);
            assert_eq!(lock_of(&project), before);
        }
    }
}

#[test]
fn what_nobody_needs_any_more_is_taken_out_without_asking_anybody() {
    let project = with_dependencies();
    run(&project, &["lock", "bad"]).is(0, &[]);
    let alone = lock_of(&project);
    project.write("images/bad.toml", definition(&tool("")));
    run(&project, &["lock", "bad"]).is(0, &["1 packages are locked"]);
    project.write("images/bad.toml", definition(&tool("depends = true")));
    run(&project, &["check", "bad"]).is(0, &["images/bad.lock is written"]);
    assert_eq!(lock_of(&project), alone, "who wants dependencies again has them again");
    project.write("images/bad.toml", definition(&(tool("depends = true") + MORE)));
    run(&project, &["lock", "bad"]).is(0, &["5 packages are locked"]);
    let added = lock_of(&project);
    run(&project, &["lock", "bad", "--update"]).is(0, &["5 packages are locked"]);
    assert_eq!(lock_of(&project), added, "resolved together as one after the other");

    fs::remove_dir_all(project.path("archive")).unwrap();
    fs::remove_dir_all(project.path("cache/keelson")).unwrap();
    project.write("images/bad.toml", definition(&tool("depends = true")));
    run(&project, &["lock", "bad"]).is(0, &["images/bad.lock is written", "3 packages are locked"]);
    assert_eq!(lock_of(&project), alone);
}

#[test]
fn what_has_left_the_archive_is_had_from_the_one_that_keeps_everything() {
    let two = tool("") + "[[package]]\nname = \"other\"\n";
    let project = project(&two);
    for name in ["tool", "other"] {
        package(&project, name, &[(&format!("./usr/share/{name}"), b"x")]);
    }
    run(&project, &["lock", "bad"]).is(0, &[]);
    let gone = project.path("archive/tool_1_all.deb");
    let file = fs::read(&gone).unwrap();
    fs::remove_file(gone).unwrap();

    let list = "/mr/binary/tool/1/binfiles".to_owned();
    let json = |arch: &str| {
        format!(
            "{{\"binary\": \"tool\", \"result\": [{{\"architecture\": \"{arch}\", \"hash\": \"ab\"}}]}}"
        )
    };
    let gone = "these packages cannot be had:\n  tool 1 has left the archive\n";
    for (files, reason) in [
        (vec![], "/mr/binary/tool/1/binfiles: the server answered 404"),
        (vec![(list.clone(), b"<html>".to_vec())], "not the list that was asked for"),
        (vec![(list.clone(), json("mips").into_bytes())], "/binfiles: nothing for "),
        (vec![(list.clone(), json("all").into_bytes())], "/file/ab: the server answered 404"),
    ] {
        run_with(&project, &serve(files), &["check", "bad"]).is(1, &[gone, reason, "--update"]);
    }
    let with = |content: Vec<u8>| {
        serve(vec![(list.clone(), json("all").into_bytes()), ("/file/ab".to_owned(), content)])
    };
    let says = ["/file/ab is not the pinned file\n  wanted sha256 ", "--update"];
    run_with(&project, &with(b"other".to_vec()), &["check", "bad"]).is(1, &says);
    let says = ["tool 1 has left the archive: from http://127.0.0.1:", "nothing wrong found"];
    run_with(&project, &with(file), &["check", "bad"]).is(0, &says);
    run(&project, &["check", "bad", "--offline"]).is(0, &["nothing wrong found"]);
}

#[test]
fn what_the_archive_lists_but_does_not_deliver_is_had_from_there_as_well() {
    let project = project(&(tool("") + "[[package]]\nname = \"other\"\n"));
    for name in ["tool", "other"] {
        package(&project, name, &[(&format!("./usr/share/{name}"), b"x")]);
    }
    run(&project, &["lock", "bad"]).is(0, &[]);
    project.write("archive/lost/tool", "");
    let lost = "warning: not every package was delivered: ";
    let says =
        [lost, "Failed to fetch tool=1", "\n  tool 1 was not delivered\n", "hint: the archive"];
    run(&project, &["check", "bad"]).is(1, &says);

    let list = br#"{"result": [{"architecture": "all", "hash": "ab"}]}"#.to_vec();
    let file = fs::read(project.path("archive/tool_1_all.deb")).unwrap();
    let files =
        vec![("/mr/binary/tool/1/binfiles".to_owned(), list), ("/file/ab".to_owned(), file)];
    let says = [lost, "tool 1 was not delivered: from http://127.0.0.1:", "nothing wrong found"];
    run_with(&project, &serve(files), &["check", "bad"]).is(0, &says);
}

#[test]
fn an_archive_that_is_out_of_reach_counts_where_a_version_is_chosen() {
    let project = project(&tool(""));
    package(&project, "tool", &[("./usr/share/tool", b"x")]);
    run(&project, &["lock", "bad"]).is(0, &[]);
    let lock = fs::read_to_string(project.path("images/bad.lock")).unwrap();
    fs::remove_dir_all(project.path("cache/keelson")).unwrap();
    project.write("archive/half", "");

    let says = [
        "warning: going on without some package lists: ",
        "Mirror sync in progress?",
        "nothing wrong found",
    ];
    run(&project, &["check", "bad"]).is(0, &says);
    fs::remove_file(project.path("images/bad.lock")).unwrap();
    for arguments in [&["lock", "bad"][..], &["lock", "bad", "--update"]] {
        run(&project, arguments).is(1, &["error: ", "Mirror sync in progress?"]);
        assert!(!project.path("images/bad.lock").exists());
    }
    fs::remove_file(project.path("archive/half")).unwrap();
    run(&project, &["lock", "bad"]).is(0, &["images/bad.lock is written"]);
    assert_eq!(fs::read_to_string(project.path("images/bad.lock")).unwrap(), lock);
}

#[test]
fn what_is_not_on_this_host_is_named_as_not_checked() {
    let project = project(&tool(""));
    package(&project, "tool", &[("./usr/share/tool", b"x")]);
    run(&project, &["lock", "bad"]).is(0, &[]);
    let says = ["not checked: its tree: the cache lacks the", "packages tool"];
    run(&project, &["check", "bad", "--offline"]).is(0, &says);
    run(&project, &["check", "bad"]).is(0, &["nothing wrong found"]);
    fs::remove_dir_all(project.path("archive")).unwrap();
    fs::create_dir_all(project.path("archive")).unwrap();
    run(&project, &["check", "bad", "--offline"]).is(0, &["nothing wrong found"]);
    assert!(!Path::new("/usr/share/tool").exists());
}
