//! Trees of made-up ELF files and what the loader would miss in them.

use super::*;
use crate::arch::Arch;
use crate::tree::{Content, Node};

/// A minimal 64-bit ELF file with these properties.
#[derive(Default)]
struct Elf<'a> {
    machine: u16,
    interpreter: &'a str,
    needed: &'a [&'a str],
    rpath: &'a str,
    runpath: &'a str,
}

impl Elf<'_> {
    fn bytes(&self) -> Vec<u8> {
        let (strings, mut dynamic) = self.strings();
        let headers = 64 + 3 * 56;
        let interpreter = [self.interpreter.as_bytes(), &[0]].concat();
        let strings_at = headers + interpreter.len() as u64;
        let dynamic_at = (strings_at + strings.len() as u64).next_multiple_of(8);
        dynamic.extend([(5, strings_at), (10, strings.len() as u64), (0, 0)]);
        let machine = if self.machine == 0 { 62 } else { self.machine };
        let mut file = b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        for half in [3, machine, 1, 0] {
            file.extend_from_slice(&half.to_le_bytes());
        }
        for word in [0u64, 64, 0] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        for half in [0u16, 0, 64, 56, 3, 64, 0, 0] {
            file.extend_from_slice(&half.to_le_bytes());
        }
        let dynamic_len = dynamic.len() as u64 * 16;
        let interpreter_type: u32 = if self.interpreter.is_empty() { 0 } else { 3 };
        for (kind, at, len) in [
            (1u32, 0, dynamic_at + dynamic_len),
            (interpreter_type, headers, interpreter.len() as u64),
            (2, dynamic_at, dynamic_len),
        ] {
            file.extend_from_slice(&kind.to_le_bytes());
            file.extend_from_slice(&5u32.to_le_bytes());
            for word in [at, at, at, len, len, 8] {
                file.extend_from_slice(&word.to_le_bytes());
            }
        }
        file.extend_from_slice(&interpreter);
        file.extend_from_slice(&strings);
        file.resize(usize::try_from(dynamic_at).unwrap(), 0);
        for (tag, value) in dynamic {
            file.extend_from_slice(&tag.to_le_bytes());
            file.extend_from_slice(&value.to_le_bytes());
        }
        file
    }

    fn strings(&self) -> (Vec<u8>, Vec<(u64, u64)>) {
        let mut strings = vec![0u8];
        let mut dynamic = Vec::new();
        let named = self.needed.iter().map(|name| (1, *name));
        for (tag, text) in named.chain([(15, self.rpath), (29, self.runpath)]) {
            if !text.is_empty() {
                dynamic.push((tag, strings.len() as u64));
                strings.extend_from_slice(text.as_bytes());
                strings.push(0);
            }
        }
        (strings, dynamic)
    }
}

const GLIBC: &str = "/lib64/ld-linux-x86-64.so.2";

fn add(tree: &mut FileTree, path: &str, mode: u16, bytes: impl AsRef<[u8]>) {
    let kind = NodeKind::File(Content::Bytes(bytes.as_ref().into()));
    tree.insert(TreePath::new(path).unwrap(), Node::new(kind, mode, "the test")).unwrap();
}

/// Adds a library with these needs.
fn library(tree: &mut FileTree, path: &str, needed: &[&str]) {
    add(tree, path, 0o644, Elf { needed, ..Elf::default() }.bytes());
}

/// Adds a glibc program with these needs.
fn program(tree: &mut FileTree, path: &str, needed: &[&str]) {
    add(tree, path, 0o755, Elf { interpreter: GLIBC, needed, ..Elf::default() }.bytes());
}

fn link(tree: &mut FileTree, path: &str, target: &str) {
    let kind = NodeKind::Symlink(target.as_bytes().into());
    tree.insert(TreePath::new(path).unwrap(), Node::new(kind, 0o777, "the test")).unwrap();
}

fn problems(tree: &FileTree) -> Vec<String> {
    check(tree, Arch::X86_64).unwrap().iter().map(|p| format!("{} {}", p.path, p.message)).collect()
}

/// A Debian-like tree with a program that has all it needs.
fn debian() -> FileTree {
    let mut tree = FileTree::new();
    link(&mut tree, "lib64", "usr/lib64");
    link(&mut tree, "lib", "usr/lib");
    let loader = "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2";
    link(&mut tree, "usr/lib64/ld-linux-x86-64.so.2", "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2");
    add(&mut tree, loader, 0o755, Elf::default().bytes());
    library(&mut tree, "usr/lib/x86_64-linux-gnu/libc.so.6", &["ld-linux-x86-64.so.2"]);
    program(&mut tree, "usr/bin/program", &["libc.so.6"]);
    tree
}

#[test]
fn a_complete_tree_has_no_problem() {
    assert_eq!(problems(&debian()), [""; 0]);
    require(&debian(), Arch::X86_64).unwrap();
}

#[test]
fn a_missing_loader_is_what_enoent_means() {
    let mut tree = FileTree::new();
    program(&mut tree, "init", &[]);
    assert_eq!(
        problems(&tree),
        [
            "/init needs /lib64/ld-linux-x86-64.so.2, which is not in the tree: the kernel would answer ENOENT"
        ]
    );
    let error = require(&tree, Arch::X86_64).unwrap_err();
    assert_eq!(error.kind().exit_code(), 2);
    let text = error.to_string();
    assert!(text.contains("1 file would not run") && text.contains("hint: link it statically"));
}

#[test]
fn all_problems_are_found_at_once_and_each_once() {
    let mut tree = debian();
    library(&mut tree, "usr/lib/libbroken.so", &["libgone.so.1"]);
    for name in ["usr/bin/a", "usr/bin/b"] {
        program(&mut tree, name, &["libbroken.so", "libx.so.2"]);
    }
    add(&mut tree, "usr/bin/foreign", 0o755, Elf { machine: 183, ..Elf::default() }.bytes());
    add(&mut tree, "usr/bin/script", 0o755, "#! /bin/bash -e\n");
    add(&mut tree, "usr/bin/relative", 0o755, "#!perl\n");
    add(&mut tree, "usr/share/example", 0o644, "#!/bin/none\n");
    add(&mut tree, "usr/bin/cut", 0o755, b"\x7FELF\x02\x01");
    assert_eq!(
        problems(&tree),
        [
            "/usr/bin/a needs the library libx.so.2, which is not in the tree",
            "/usr/bin/b needs the library libx.so.2, which is not in the tree",
            "/usr/bin/cut is a damaged ELF file: its class or version is unknown",
            "/usr/bin/foreign is for aarch64, and the image for x86_64",
            "/usr/bin/relative asks for the interpreter `perl`, which is no absolute path",
            "/usr/bin/script needs /bin/bash, which is not in the tree as a program: the kernel would answer ENOENT",
            "/usr/lib/libbroken.so needs the library libgone.so.1, which is not in the tree",
        ]
    );
}

#[test]
fn scripts_find_their_interpreter_through_links() {
    let mut tree = debian();
    link(&mut tree, "bin", "usr/bin");
    link(&mut tree, "usr/bin/sh", "program");
    add(&mut tree, "etc/rc", 0o755, "#!/bin/sh\n");
    assert_eq!(problems(&tree), [""; 0]);
    add(&mut tree, "usr/bin/data", 0o644, "x");
    add(&mut tree, "etc/rc2", 0o755, "#!/bin/data\n");
    assert_eq!(problems(&tree).len(), 1, "an interpreter must be executable");
}

#[test]
fn own_directories_are_searched_as_the_loader_does() {
    let cases: [(&str, &str, &str, bool); 6] = [
        ("$ORIGIN/../private", "", "opt/app/private/libp.so", true),
        ("", "${ORIGIN}/../private", "opt/app/private/libp.so", true),
        ("/srv/$LIB", "", "srv/lib64/libp.so", true),
        ("/srv/a", "/srv/b", "srv/a/libp.so", false),
        ("", "/srv/b:/srv/a", "srv/a/libp.so", true),
        ("", "", "srv/a/libp.so", false),
    ];
    for (rpath, runpath, place, is_found) in cases {
        let mut tree = debian();
        let elf = Elf { interpreter: GLIBC, needed: &["libp.so"], rpath, runpath, machine: 0 };
        add(&mut tree, "opt/app/bin/program", 0o755, elf.bytes());
        library(&mut tree, place, &[]);
        assert_eq!(problems(&tree).is_empty(), is_found, "{rpath} {runpath} {place}");
    }
}

#[test]
fn a_programs_rpath_counts_for_its_libraries_and_a_runpath_does_not() {
    for (rpath, runpath, is_found) in [("/srv", "", true), ("", "/srv", false)] {
        let mut tree = debian();
        let elf = Elf { interpreter: GLIBC, needed: &["liba.so"], rpath, runpath, machine: 0 };
        add(&mut tree, "usr/bin/two", 0o755, elf.bytes());
        library(&mut tree, "srv/liba.so", &["libb.so"]);
        library(&mut tree, "srv/libb.so", &[]);
        assert_eq!(problems(&tree).is_empty(), is_found, "{rpath} {runpath}");
    }
}

#[test]
fn configured_directories_count_only_with_a_cache() {
    let mut tree = debian();
    program(&mut tree, "usr/bin/configured", &["libc2.so"]);
    library(&mut tree, "usr/local/lib/libc2.so", &[]);
    add(&mut tree, "etc/ld.so.conf", 0o644, "include /etc/ld.so.conf.d/*.conf\n");
    add(&mut tree, "etc/ld.so.conf.d/local.conf", 0o644, "# local\n/usr/local/lib\n");
    let found = check(&tree, Arch::X86_64).unwrap();
    assert!(found.len() == 1 && found[0].hint.contains("ldconfig -r"), "{found:?}");
    add(&mut tree, "etc/ld.so.cache", 0o644, "");
    assert_eq!(problems(&tree), [""; 0]);
}

#[test]
fn musl_is_its_own_libc() {
    let mut tree = FileTree::new();
    let musl = "/lib/ld-musl-x86_64.so.1";
    add(&mut tree, musl, 0o755, Elf::default().bytes());
    let needed = &["libc.musl-x86_64.so.1", "libz.so.1"];
    let elf = Elf { interpreter: musl, needed, ..Elf::default() };
    add(&mut tree, "bin/program", 0o755, elf.bytes());
    let missing = "/bin/program needs the library libz.so.1, which is not in the tree";
    assert_eq!(problems(&tree), [missing]);
    library(&mut tree, "usr/local/lib/libz.so.1", &["libc.so"]);
    assert_eq!(problems(&tree), [""; 0]);
}

#[test]
fn a_library_of_another_machine_is_passed_over() {
    let mut tree = debian();
    program(&mut tree, "usr/bin/w", &["libw.so"]);
    let foreign = Elf { machine: 183, ..Elf::default() };
    add(&mut tree, "usr/lib64/libw.so", 0o644, foreign.bytes());
    let found = problems(&tree);
    assert_eq!(found.len(), 2, "the program misses it, and it is foreign itself: {found:?}");
    library(&mut tree, "usr/lib/libw.so", &[]);
    assert_eq!(problems(&tree), ["/usr/lib64/libw.so is for aarch64, and the image for x86_64"]);
}

#[test]
fn host_files_are_read_by_their_headers() {
    let path = std::env::current_exe().unwrap();
    let size_bytes = path.metadata().unwrap().len();
    let kind = NodeKind::File(Content::HostFile { path, size_bytes });
    let mut tree = FileTree::new();
    tree.insert(TreePath::new("init").unwrap(), Node::new(kind, 0o755, "the test")).unwrap();
    let found = check(&tree, Arch::host().unwrap()).unwrap();
    assert!(found.len() > 1, "its loader and its libraries: {found:?}");
    assert!(found.iter().any(|problem| problem.message.contains("the kernel would answer ENOENT")));
}
