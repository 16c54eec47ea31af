//! Lock files written, read and pruned, and wrong ones refused.

use super::*;

fn locked(name: &str, role: Role) -> Locked {
    let record = Record {
        name: name.into(),
        version: "1:2.3-4".into(),
        size_bytes: 5,
        sha256: "0f".repeat(32),
        provides: Vec::new(),
    };
    Lock::entry("amd64", record, role)
}

#[test]
fn what_is_written_is_read_and_has_one_order() {
    let mut lock = Lock::default();
    lock.add(locked("zz", Role::Dependency));
    lock.add(locked("aa", Role::NamedWithDependencies));
    let text = lock.text("x");
    assert_eq!(Lock::parse("x.lock", &text).unwrap(), lock);
    assert!(text.find("\"aa\"") < text.find("\"zz\""));
}

#[test]
fn roles_join_and_serve() {
    use Role::{Dependency, Named, NamedWithDependencies};
    let mut lock = Lock::default();
    lock.add(locked("aa", Dependency));
    assert!(lock.find("amd64", "aa", None, Named).is_none());
    lock.add(locked("aa", Named));
    assert!(lock.find("amd64", "aa", Some("1:2.3-4"), Named).is_some());
    assert!(lock.find("amd64", "aa", Some("1"), Named).is_none());
    assert!(lock.find("arm64", "aa", None, Named).is_none());
    assert!(lock.find("amd64", "aa", None, NamedWithDependencies).is_none());
    lock.add(locked("aa", NamedWithDependencies));
    lock.add(locked("aa", Dependency));
    assert!(lock.find("amd64", "aa", None, NamedWithDependencies).is_some());
    assert_eq!(lock.iter().count(), 1);
}

/// `tool` needs `libc` and `libtool`, and `more` what is given here.
fn with_needs(more: &[&str]) -> Lock {
    let mut lock = Lock::default();
    for name in ["libc", "libtool", "libmore"] {
        lock.add(locked(name, Role::Dependency));
    }
    for name in ["tool", "more"] {
        lock.add(locked(name, Role::NamedWithDependencies));
    }
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    lock.set_needs("amd64", "tool", names(&["libc", "libtool"]));
    lock.set_needs("amd64", "more", names(more));
    lock
}

/// What is left where the definition names these packages with `depends = true`.
fn pruned(lock: Lock, named: &[&str]) -> Vec<(String, Role)> {
    pruned_as(Role::NamedWithDependencies, lock, named)
}

fn pruned_as(role: Role, mut lock: Lock, named: &[&str]) -> Vec<(String, Role)> {
    lock.prune(|locked| named.contains(&&*locked.name).then_some(role));
    assert_eq!(Lock::parse("x.lock", &lock.text("x")).unwrap(), lock);
    lock.iter().map(|locked| (locked.name.clone(), locked.role)).collect()
}

#[test]
fn what_nobody_needs_any_more_goes() {
    use Role::{Dependency, Named, NamedWithDependencies};
    let of = |list: &[(&str, Role)]| -> Vec<(String, Role)> {
        list.iter().map(|(name, role)| ((*name).to_owned(), *role)).collect()
    };
    let lock = with_needs(&["libc", "libmore"]);
    assert_eq!(pruned(lock.clone(), &["tool", "more"]).len(), 5);
    assert_eq!(
        pruned(lock.clone(), &["tool"]),
        of(&[("libc", Dependency), ("libtool", Dependency), ("tool", NamedWithDependencies)])
    );
    assert_eq!(pruned(lock.clone(), &[]), []);
    assert_eq!(
        pruned_as(Named, lock, &["tool"]),
        of(&[("tool", Named)]),
        "who wants its dependencies again finds them lacking"
    );
    let needed = with_needs(&["libc", "libmore", "tool"]);
    assert_eq!(
        pruned(needed, &["more"]),
        of(&[
            ("libc", Dependency),
            ("libmore", Dependency),
            ("more", NamedWithDependencies),
            ("tool", Dependency),
        ])
    );
}

#[test]
fn a_lock_that_does_not_say_who_needs_what_keeps_every_dependency() {
    let lock = Lock { needs: BTreeMap::new(), ..with_needs(&[]) };
    assert!(!lock.text("x").contains("needs"));
    let left = pruned(lock.clone(), &["tool"]);
    assert_eq!(left.len(), 4, "all but the other package: {left:?}");
    assert_eq!(pruned(lock, &[]), []);
}

#[test]
fn a_wrong_file_is_told_with_its_place() {
    let mut lock = Lock::default();
    lock.add(locked("aa", Role::Named));
    lock.set_needs("amd64", "aa", BTreeSet::from(["libc".to_owned()]));
    let good = lock.text("x");
    for (from, to, says) in [
        ("format = 1", "format = 2", "its format is 2"),
        ("role = \"named\"", "role = \"nmaed\"", "unknown variant"),
        ("size-bytes", "size", "unknown field"),
        ("sha256 = \"0f", "sha256 = \"0F", "the sha256 of aa is none"),
        ("name = \"aa\"", "name = \"-oaa\"", "the name of -oaa is none"),
        ("libc", "Libc", "the name Libc is none"),
        ("packages = ", "package = ", "unknown field"),
        ("1:2.3-4", "1 2", "the version of aa is none"),
    ] {
        let error = Lock::parse("x.lock", &good.replace(from, to)).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("x.lock:"), "{from}: {error}");
        assert!(error.contains("hint: it is written by"), "{error}");
    }
}
