//! Paths, and trees whose entries come, clash and are replaced.

use super::*;

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

fn file(origin: &str) -> Node {
    Node::new(NodeKind::File(Content::Bytes(b"x".as_slice().into())), 0o644, origin)
}

#[test]
fn paths_are_normal_and_stay_inside() {
    assert_eq!(path("/usr//bin/./sh").as_bytes(), b"usr/bin/sh");
    assert_eq!(path("/usr/bin/sh").parent(), Some(path("usr/bin")));
    assert_eq!(path("usr").parent(), Some(TreePath::root()));
    assert_eq!(path("/usr/bin/sh").file_name(), b"sh");
    assert!(TreePath::new("usr/../../etc").is_err());
    assert!(TreePath::new(b"a\0b").is_err());
}

#[test]
fn parents_come_first_and_conflicts_name_both_sides() {
    let mut tree = FileTree::new();
    tree.insert(path("usr/bin/sh"), file("crate shell")).unwrap();
    let order: Vec<String> = tree.iter().map(|(path, _)| path.to_string()).collect();
    assert_eq!(order, ["/", "/usr", "/usr/bin", "/usr/bin/sh"]);
    let twice = tree.insert(path("usr/bin/sh"), file("overlay x")).unwrap_err().to_string();
    assert!(twice.contains("crate shell") && twice.contains("overlay x"), "{twice}");
    assert!(tree.insert(path("usr/bin/sh/x"), file("z")).is_err());
    tree.replace(path("usr/bin/sh"), file("overlay x")).unwrap();
    assert_eq!(&*tree.get(&path("usr/bin/sh")).unwrap().origin, "overlay x");
}

#[test]
fn replace_is_advised_only_where_it_would_help() {
    let directory = || Node::new(NodeKind::Directory, 0o755, "a directory");
    let hint = |taken: Node, add: &dyn Fn(&mut FileTree) -> Result<()>| {
        let mut tree = FileTree::new();
        tree.insert(path("x"), taken).unwrap();
        add(&mut tree).unwrap_err().to_string().lines().last().unwrap().to_owned()
    };
    let (go, mark) = ("hint: let one of the two go", ", or mark the later one as `replace`");
    let or_replace = |node: Node, replace| {
        move |tree: &mut FileTree| tree.insert_or_replace(path("x"), node.clone(), replace)
    };
    assert_eq!(hint(file("a"), &|tree| tree.insert(path("x"), file("program"))), go);
    assert_eq!(hint(file("a"), &or_replace(file("b"), false)), format!("{go}{mark}"));
    assert_eq!(hint(file("a"), &or_replace(directory(), false)), go);
    assert_eq!(hint(directory(), &or_replace(file("b"), false)), go);
    let no_way = format!("{go}: a directory gives way to nothing else");
    assert_eq!(hint(directory(), &or_replace(file("b"), true)), no_way);
    assert_eq!(hint(directory(), &|tree| tree.replace(path("x"), file("overlay"))), no_way);
}

/// Three names of one file, which has attributes of its own.
fn linked() -> FileTree {
    let mut perl = file("package perl-base");
    (perl.mode, perl.uid, perl.gid) = (0o4755, 7, 8);
    perl.xattrs.insert(b"user.x".to_vec(), b"1".to_vec());
    let link = || Node::new(NodeKind::HardLink(path("bin/perl")), 0o755, "package perl-base");
    let mut entries = vec![
        (path("bin"), Node::new(NodeKind::Directory, 0o755, "package perl-base")),
        (path("bin/perl"), perl),
        (path("bin/perl5.36.0"), link()),
    ];
    entries.reverse();
    let mut tree = FileTree::from_entries(entries).unwrap();
    tree.insert(path("zz/perl"), link()).unwrap();
    tree
}

/// That the file of [`linked`] is at `place`, whole, and has exactly this further name.
#[track_caller]
fn assert_moved(tree: &FileTree, place: &str, further: &str) {
    let node = tree.get(&path(place)).unwrap();
    assert!(matches!(&node.kind, NodeKind::File(content) if content.len() == 1), "{node:?}");
    assert_eq!((node.mode, node.uid, node.gid), (0o4755, 7, 8));
    assert_eq!((node.xattrs.len(), &*node.origin), (1, "package perl-base"));
    let link = tree.get(&path(further)).unwrap();
    let NodeKind::HardLink(target) = &link.kind else { panic!("{link:?}") };
    assert_eq!(tree.hard_link_target(target, link).unwrap().0, &path(place));
    let links = tree.iter().filter(|(_, node)| matches!(node.kind, NodeKind::HardLink(_)));
    assert_eq!(links.count(), 1);
}

#[test]
fn replacing_one_name_of_a_file_leaves_the_others_what_they_were() {
    for new in [
        Node::new(NodeKind::File(Content::Bytes(b"other".as_slice().into())), 0o755, "[[file]]"),
        Node::new(NodeKind::Symlink(b"perl5.36.0".as_slice().into()), 0o777, "[[symlink]]"),
    ] {
        let mut tree = linked();
        tree.replace(path("bin/perl"), new.clone()).unwrap();
        assert_eq!(tree.get(&path("bin/perl")).unwrap().origin, new.origin);
        assert_moved(&tree, "bin/perl5.36.0", "zz/perl");
    }
}

#[test]
fn the_names_of_a_file_can_be_replaced_one_after_another() {
    let mut tree = linked();
    tree.replace(path("bin/perl5.36.0"), file("first")).unwrap();
    let kind = |tree: &FileTree, at: &str| tree.get(&path(at)).unwrap().kind.clone();
    assert!(matches!(kind(&tree, "bin/perl"), NodeKind::File(_)));
    tree.replace(path("bin/perl"), file("second")).unwrap();
    let last = tree.get(&path("zz/perl")).unwrap();
    assert_eq!((last.mode, &*last.origin), (0o4755, "package perl-base"));
    // The new file has no part in what the old one was linked to, nor has the old one a name left.
    tree.replace(path("zz/perl"), Node::new(NodeKind::HardLink(path("bin/perl")), 0o644, "third"))
        .unwrap();
    tree.replace(path("bin/perl5.36.0"), file("fourth")).unwrap();
    tree.replace(path("bin/perl"), file("fifth")).unwrap();
    assert_eq!(&*tree.get(&path("zz/perl")).unwrap().origin, "second");
    assert_eq!(&*tree.get(&path("bin/perl5.36.0")).unwrap().origin, "fourth");
    assert!(tree.iter().all(|(_, node)| !matches!(node.kind, NodeKind::HardLink(_))));
}
