//! Definitions as people write them, right and wrong.

use super::*;
use crate::arch::Arch;
use crate::definition::resolved::{CrateSource, Size};
use crate::definition::testing::{image, project};

/// What loading `a` out of these files says.
fn refusal(files: &[(&str, &str)]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let project = project(directory.path(), files);
    let error = load(&project, "a").unwrap_err();
    assert_eq!(error.kind(), crate::error::Kind::Definition, "{error}");
    error.to_string()
}

#[test]
fn an_empty_definition_is_the_defaults() {
    let directory = tempfile::tempdir().unwrap();
    let image = load(&project(directory.path(), &[("a.toml", "")]), "a").unwrap();
    assert_eq!(image.name, "a");
    assert_eq!(image.arches, Arch::ALL);
    assert!(image.outputs.initramfs && !image.outputs.disk);
    assert_eq!((image.root.size, image.root.free_bytes), (Size::Minimal, 16 << 20));
}

#[test]
fn parents_come_first_and_a_shared_one_once() {
    let directory = tempfile::tempdir().unwrap();
    let files = [
        ("base.toml", "hostname = \"base\"\n[kernel]\ncommand-line = [\"panic=10\"]\n"),
        ("x.toml", "inherit = [\"base.toml\"]\nhostname = \"x\"\n"),
        (
            "y.toml",
            "inherit = [\"base.toml\"]\n[kernel.x86_64]\ncommand-line = [\"console=ttyS0\"]",
        ),
        ("a.toml", "inherit = [\"x.toml\", \"y.toml\"]\n"),
    ];
    let image = load(&project(directory.path(), &files), "a").unwrap();
    assert_eq!(image.hostname, "x", "base is merged once, before x");
    let words =
        |arch| -> Vec<_> { image.kernel.parameters(arch).map(|word| word.value.clone()).collect() };
    assert_eq!(words(Arch::X86_64), ["panic=10", "console=ttyS0"]);
    assert_eq!(words(Arch::Aarch64), ["panic=10"]);
    let names: Vec<_> = image.sources.iter().filter_map(|path| path.file_name()).collect();
    assert_eq!(names, ["base.toml", "x.toml", "y.toml", "a.toml"]);
}

#[test]
fn a_cycle_is_named_file_by_file() {
    let text = refusal(&[
        ("a.toml", "inherit = [\"b.toml\"]"),
        ("b.toml", "inherit = [\"c.toml\"]"),
        ("c.toml", "\ninherit = [\"b.toml\"]"),
    ]);
    let expected = "images/c.toml:2:12: `inherit` goes in a circle: \
                    images/b.toml -> images/c.toml -> images/b.toml";
    assert!(text.contains(expected), "{text}");
}

#[test]
fn crates_are_pinned_and_their_commands_become_features_and_links() {
    let directory = tempfile::tempdir().unwrap();
    let text = "[[crate]]\nname = \"coreutils\"\nversion = \"=0.12.0\"\ndefault-features = false\n\
        commands = [\"ls\", \"cat\"]\nbinaries = [{ name = \"coreutils\" }]\n";
    let image = load(&project(directory.path(), &[("a.toml", text)]), "a").unwrap();
    let coreutils = &image.crates[0];
    assert_eq!(coreutils.source, CrateSource::Registry("0.12.0".into()));
    assert_eq!(coreutils.features, ["cat", "ls"]);
    let links: Vec<_> = coreutils.binaries[0].links.iter().map(ToString::to_string).collect();
    assert_eq!(links, ["/usr/bin/ls", "/usr/bin/cat"]);
}

#[test]
fn wrong_definitions_are_refused_with_place_and_remedy() {
    let table = [
        ("hostname = \"-x\"", "a.toml:1:12: \"-x\" is no host name"),
        ("services = [\"Logd\"]", "a.toml:1:13: 'L' cannot stand there in a service name"),
        ("arch = []", "a.toml:1:8: `arch` names no architecture"),
        ("inherit = [\"none.toml\"]", "a.toml:1:12: cannot inherit \"none.toml\""),
        ("overlays = [\"nowhere\"]", "a.toml:1:13: cannot find \"nowhere\""),
        ("root.label = \"seventeen-letters\"", "a.toml:1:14: a label has at most 16 bytes"),
        ("initramfs = { compression = \"gzip\", level = 12 }", "gzip has levels 1 to 9, not 12"),
        (
            "root.size = \"16385KiB\"",
            "a.toml:1:13: the size of a root is a multiple of 4 KiB\n  hint: make it \"16388KiB\"",
        ),
        (
            "root.size = \"17TiB\"",
            "a.toml:1:13: a root is smaller than 16 TiB\n  hint: give it less",
        ),
        ("root.size = \"16777215TiB\"", "a.toml:1:13: a root is smaller than 16 TiB"),
        ("root.free = \"16TiB\"", "a.toml:1:13: the free space of a root is smaller than 16 TiB"),
        ("disk.size = \"8000000TiB\"", "a.toml:1:13: a disk is smaller than 16 TiB\n  hint: "),
        ("disk.esp-size = \"2TiB\"", "a.toml:1:17: an EFI system partition is smaller than 2 TiB"),
        (
            "[[symlink]]\npath = \"/l\"\ntarget = \"\"",
            "a.toml:3:10: a link target has 1 to 4095 bytes and no NUL\n  hint: name the path",
        ),
        ("[[symlink]]\npath = \"/l\"\ntarget = \"a\\u0000b\"", "a.toml:3:10: a link target has"),
        ("kernel.command-line = [\"a b\"]", "\"a b\" is no kernel parameter"),
        ("kernel.command-line = [\"a=b -- c\"]", "the value of \"a\" has a space"),
        (
            "[[tool]]\nname = \"t\"\npath = \"bin/t\"",
            "a.toml:3:8: \"bin/t\" must be an absolute path",
        ),
        ("[[tool]]\nname = \"t\"\npath = \"/bin/../t\"", "has a `..`"),
        ("[[file]]\npath = \"/f\"", "a.toml:1:1: a file has either a `content` or a `source`"),
        (
            "[[file]]\npath = \"/f\"\ncontent = \"\"\nuser = \"rot\"\n[[user]]\nname = \"root\"\nuid = 0\n[[group]]\nname = \"root\"\ngid = 0",
            "there is no user \"rot\"\n  hint: did you mean \"root\"?",
        ),
        (
            "[[user]]\nname = \"u\"\nuid = 1\n",
            "a.toml:1:1: there is no group \"u\"\n  hint: describe it with [[group]]",
        ),
        (
            "[[group]]\nname = \"a\"\ngid = 1\n[[group]]\nname = \"b\"\ngid = 1",
            "a.toml:6:7: group b has the gid 1 of group a",
        ),
        (
            "[[crate]]\nname = \"c\"\nversion = \"1\"\nbinaries = [{ name = \"c\" }]",
            "a.toml:3:11: the version \"1\" is not exact",
        ),
        (
            "[[crate]]\nname = \"c\"\nversion = \"=1.0.0\"\nbinaries = []",
            "a.toml:4:12: crate c has no binaries",
        ),
        (
            "[[crate]]\nname = \"c\"\nbinaries = [{ name = \"c\" }]",
            "a crate has either a `version` or a `path`",
        ),
    ];
    for (text, expected) in table {
        let refusal = refusal(&[("a.toml", text)]);
        assert!(refusal.contains(expected), "{text}\n-> {refusal}");
    }
}

#[test]
fn a_link_target_is_as_long_as_the_kernel_takes() {
    let text = |len| format!("[[symlink]]\npath = \"/l\"\ntarget = \"{}\"\n", "x".repeat(len));
    let longer = refusal(&[("a.toml", &text(4096))]);
    assert!(longer.contains("a.toml:3:10: a link target has 1 to 4095 bytes"), "{longer}");
    assert_eq!(image(&text(4095)).unwrap().symlinks.len(), 1);
}

#[test]
fn a_misspelt_image_is_suggested() {
    let directory = tempfile::tempdir().unwrap();
    let project = project(directory.path(), &[("standard.toml", ""), ("minimal.toml", "")]);
    let error = load(&project, "standrad").unwrap_err();
    assert!(error.to_string().ends_with("hint: did you mean standard?"), "{error}");
}
