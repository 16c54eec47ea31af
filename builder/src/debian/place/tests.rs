//! Packages placed into trees: narrowed, shared, replaced, and needed.

use super::*;
use crate::debian::lock::{Locked, Role};

fn unpacked(directory: &std::path::Path, name: &str, files: &[(&str, EntryKind)]) -> Unpacked {
    let entries = files.iter().map(|(path, kind)| Entry {
        path: (*path).to_owned(),
        kind: kind.clone(),
        mode: 0o755,
        uid: 0,
        gid: 0,
    });
    Unpacked {
        locked: Locked {
            arch: "amd64".into(),
            name: name.into(),
            version: "1".into(),
            size_bytes: 0,
            sha256: String::new(),
            role: Role::Named,
        },
        directory: directory.to_owned(),
        entries: entries.collect(),
    }
}

fn file(directory: &std::path::Path, content: &str) -> EntryKind {
    std::fs::write(directory.join(content), content).unwrap();
    EntryKind::File { content: content.into(), size_bytes: content.len() as u64 }
}

fn merged_tree() -> FileTree {
    let mut tree = FileTree::new();
    let mut add = |path: &str, kind| {
        tree.insert(TreePath::new(path).unwrap(), Node::new(kind, 0o711, "the test")).unwrap();
    };
    add("usr/lib", NodeKind::Directory);
    add("lib", NodeKind::Symlink((*b"usr/lib").into()));
    tree
}

fn paths(tree: &FileTree) -> Vec<String> {
    tree.iter().skip(1).map(|(path, _)| path.to_string()).collect()
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::parse(text).unwrap()).collect()
}

#[test]
fn paths_go_where_links_lead_and_are_narrowed_by_either_name() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let package = unpacked(
        place,
        "p",
        &[
            ("lib", EntryKind::Directory),
            ("lib/x", EntryKind::Directory),
            ("lib/x/a.so", file(place, "a")),
            ("usr/bin/tool", file(place, "tool")),
            ("usr/share/doc/p/copyright", file(place, "doc")),
        ],
    );
    for (chosen, expected) in [
        (&[][..], &["/usr/bin", "/usr/bin/tool", "/usr/lib/x", "/usr/lib/x/a.so"][..]),
        (&["/lib"], &["/usr/lib/x", "/usr/lib/x/a.so"]),
        (&["/usr/lib/x/*.so"], &["/usr/lib/x", "/usr/lib/x/a.so"]),
        (&["!/lib/x/*.so"], &["/usr/bin", "/usr/bin/tool", "/usr/lib/x"]),
        (
            &["/usr", "!/usr/bin", "!/lib"],
            &["/usr/share", "/usr/share/doc", "/usr/share/doc/p", "/usr/share/doc/p/copyright"],
        ),
    ] {
        let mut tree = merged_tree();
        let unused = add(&mut tree, &package, &patterns(chosen), "x: package p 1", false).unwrap();
        assert_eq!(unused, Vec::<usize>::new(), "{chosen:?}");
        let mut found = paths(&tree);
        found.retain(|path| !["/lib", "/usr", "/usr/lib"].contains(&path.as_str()));
        assert_eq!(found, expected, "{chosen:?}");
        assert_eq!(tree.get_bytes(b"usr/lib").unwrap().mode, 0o711, "what is there stays");
    }
    let chosen = patterns(&["/usr/bin", "/nothing", "!/usr/none"]);
    let unused = add(&mut merged_tree(), &package, &chosen, "x", false).unwrap();
    assert_eq!(unused, [1, 2]);
}

#[test]
fn a_path_that_is_taken_is_refused_replaced_or_shared() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let one = unpacked(place, "p", &[("etc/x", file(place, "one")), ("etc/y", file(place, "y"))]);
    let other = unpacked(place, "p", &[("etc/x", file(place, "two"))]);
    let same = unpacked(place, "p", &[("etc/y", file(place, "y"))]);
    let mut tree = FileTree::new();
    add(&mut tree, &one, &[], "a.toml:1:1: package p 1", false).unwrap();
    add(&mut tree, &same, &[], "a.toml:2:1: package p 1", false).unwrap();
    let error = add(&mut tree, &other, &[], "a.toml:3:1: package p 1", false).unwrap_err();
    assert!(error.to_string().contains("/etc/x comes both from a.toml:1:1"), "{error}");
    add(&mut tree, &other, &[], "a.toml:3:1: package p 1", true).unwrap();
    assert!(tree.get_bytes(b"etc/x").unwrap().origin.starts_with("a.toml:3:1"));
}

#[test]
fn hard_links_stay_what_they_are_or_become_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let link = || EntryKind::HardLink("lib/a".into());
    let package = unpacked(place, "p", &[("lib/a", file(place, "a")), ("lib/b", link())]);
    let mut tree = merged_tree();
    add(&mut tree, &package, &[], "x", false).unwrap();
    let kind = &tree.get_bytes(b"usr/lib/b").unwrap().kind;
    assert!(matches!(kind, NodeKind::HardLink(target) if target.as_bytes() == b"usr/lib/a"));
    let mut tree = merged_tree();
    add(&mut tree, &package, &patterns(&["/lib/b"]), "x", false).unwrap();
    assert!(matches!(tree.get_bytes(b"usr/lib/b").unwrap().kind, NodeKind::File(_)));
    let broken = unpacked(place, "p", &[("lib/b", link())]);
    let error = add(&mut merged_tree(), &broken, &[], "x", false).unwrap_err();
    assert!(error.to_string().contains("is a hard link to /lib/a"), "{error}");
}

/// This test's own program, which is linked dynamically, and what the host has for it.
#[test]
fn what_programs_need_comes_from_dependencies_and_nothing_else_does() {
    let Some(arch) = crate::arch::Arch::host() else { return };
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let program = std::env::current_exe().unwrap();
    let facts = crate::elf::file_facts(&program).unwrap().unwrap();
    let loader = String::from_utf8(facts.interpreter.clone().unwrap()).unwrap();
    let copy = |name: &str, from: &std::path::Path| {
        let size_bytes = std::fs::copy(from, place.join(name)).unwrap();
        EntryKind::File { content: name.into(), size_bytes }
    };
    let real = std::fs::canonicalize(&loader).unwrap();
    let libraries = real.parent().unwrap();
    let triple = format!("lib/{arch}-linux-gnu");
    let mut files = vec![
        (format!("{triple}/ld.so"), copy("ld.so", &real)),
        (loader.trim_start_matches('/').to_owned(), EntryKind::Symlink(format!("/{triple}/ld.so"))),
        (format!("{triple}/unneeded.so.1"), copy("unneeded", &real)),
    ];
    for (number, library) in facts.needed.iter().enumerate() {
        let name = String::from_utf8(library.clone()).unwrap();
        if !loader.ends_with(&name) {
            files.push((
                format!("{triple}/{name}"),
                copy(&number.to_string(), &libraries.join(&name)),
            ));
        }
    }
    let files: Vec<(&str, EntryKind)> =
        files.iter().map(|(path, kind)| (path.as_str(), kind.clone())).collect();
    let mut package = unpacked(place, "libc6", &files);
    package.locked.arch = arch.debian().into();
    let mut tree = FileTree::new();
    let size_bytes = std::fs::metadata(&program).unwrap().len();
    let content = Content::HostFile { path: program, size_bytes };
    let node = Node::new(NodeKind::File(content), 0o755, "the test");
    tree.insert(TreePath::new("usr/bin/tool").unwrap(), node).unwrap();
    let other = unpacked(place, "other", &[("usr/bin/other", file(place, "o"))]);

    let stores = [&other, &package].map(|one| Store::new(one, &patterns(&["/none", "!/usr/x"])));
    let used = add_needed(&mut tree, arch.into(), &stores).unwrap();
    assert_eq!(used, [1]);
    assert_eq!(closure::check(&tree, arch).unwrap(), []);
    assert!(tree.get_bytes(format!("{triple}/ld.so").as_bytes()).is_some());
    assert!(!paths(&tree).iter().any(|path| path.contains("unneeded") || path.contains("other")));
}
