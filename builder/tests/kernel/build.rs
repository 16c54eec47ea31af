//! `builder kernel` from fragments to image, with the stand-in source tree.

use std::fs;
use std::path::Path;

use crate::server::nobodys_url;
use crate::support::{Outcome, Workplace, can_build, tar, tree};

fn workplace(fragments: &[(&str, &str)]) -> Workplace {
    Workplace::new(&nobodys_url("linux-6.6.1.tar.xz"), &"0".repeat(64), fragments)
}

fn build(place: &Workplace, arguments: &[&str]) -> Outcome {
    let tree = tree();
    let mut all = arguments.to_vec();
    all.extend(["--kernel-source", tree.to_str().unwrap()]);
    place.kernel(&all)
}

const GOOD: (&str, &str) = ("base.config", "CONFIG_PROC_FS=y\nCONFIG_COUNT=8\n");

#[test]
fn a_kernel_is_built_once_and_then_found() {
    if !can_build() {
        return;
    }
    let place = workplace(&[GOOD, ("series/6.6.config", "CONFIG_COUNT=9\n")]);
    let first = build(&place, &[]);
    let text = first.ends_with(0);
    assert!(text.contains("2 options asked for, all kept") && text.contains("2 objects"), "{text}");
    let image = fs::read_to_string(first.stdout().trim()).unwrap();
    assert!(image.contains("CONFIG_COUNT=9\n"), "the series' fragment wins: {image}");
    assert!(image.contains("kernel.rw"), "built-in parameters: {image}");
    let second = build(&place, &[]);
    assert_eq!(first.stdout(), second.stdout());
    assert!(!second.ends_with(0).contains("compile"), "{}", second.stderr());
    place.write(
        "kernel-config/base.config",
        "CONFIG_PROC_FS=y\nCONFIG_COUNT=8\nCONFIG_MISC_FILESYSTEMS=y\n",
    );
    let third = build(&place, &[]);
    assert!(third.ends_with(0).contains("compile"), "{}", third.stderr());
    assert_ne!(first.stdout(), third.stdout(), "another configuration is another kernel");
}

#[test]
fn modules_are_kept_beside_their_kernel_with_the_lists_that_find_them() {
    if !can_build() {
        return;
    }
    let options = "CONFIG_PROC_FS=y\nCONFIG_MISC_FILESYSTEMS=y\nCONFIG_EROFS_FS=";
    let place = workplace(&[("base.config", &format!("{options}y\n"))]);
    let without = build(&place, &[]);
    assert!(!without.ends_with(0).contains("modules in"), "{}", without.stderr());
    let entry = Path::new(without.stdout().trim()).parent().unwrap().to_owned();
    assert!(!entry.join("modules").exists());
    place.write("kernel-config/base.config", &format!("CONFIG_MODULES=y\n{options}m\n"));
    let with = build(&place, &[]);
    assert!(with.ends_with(0).contains("2 modules in "), "{}", with.stderr());
    let modules = Path::new(with.stdout().trim()).parent().unwrap().join("modules");
    let read = |name: &str| fs::read_to_string(modules.join(name)).unwrap();
    assert_eq!(
        read("modules.dep"),
        "kernel/fs/erofs.ko: kernel/fs/erofs-help.ko\nkernel/fs/erofs-help.ko:\n"
    );
    assert_eq!(read("modules.alias"), "alias fs-erofs erofs\n");
    assert!(fs::symlink_metadata(modules.join("build")).is_err(), "a path of the host");
    let again = build(&place, &[]);
    assert!(!again.ends_with(0).contains("compile"), "{}", again.stderr());
    assert_eq!(with.stdout(), again.stdout());
}

#[test]
fn a_module_of_a_kernel_without_modules_is_told_before_the_compile() {
    if !can_build() {
        return;
    }
    let fragment = "CONFIG_PROC_FS=y\nCONFIG_MISC_FILESYSTEMS=y\nCONFIG_EROFS_FS=m\n";
    let text = build(&workplace(&[("base.config", fragment)]), &[]).ends_with(2);
    let expected = "kernel-config/base.config:3:1: CONFIG_EROFS_FS was changed: wanted m, got y\n  \
                    hint: this kernel is to have no modules; add CONFIG_MODULES=y";
    assert!(text.contains(expected) && !text.contains("compile kernel"), "{text}");
}

#[test]
fn every_option_that_did_not_survive_is_told_before_the_compile() {
    if !can_build() {
        return;
    }
    let place = workplace(&[
        ("base.config", "CONFIG_PROC_FS=y\n"),
        ("fs.config", "# files\nCONFIG_EROFS_FS=y\nCONFIG_COUNT=100\nCONFIG_EROFSFS=y\n"),
    ]);
    let text = build(&place, &[]).ends_with(2);
    for expected in [
        "Linux 6.6.1 for",
        "kernel-config/fs.config:2:1: CONFIG_EROFS_FS was dropped: wanted y, got n\n  hint: EROFS_FS needs MISC_FILESYSTEMS, which is not set (fs/Kconfig:4); add CONFIG_MISC_FILESYSTEMS=y",
        "kernel-config/fs.config:3:1: CONFIG_COUNT was changed: wanted 100, got 64",
        "kernel-config/fs.config:4:1: CONFIG_EROFSFS is no option of this kernel: wanted y",
        "write CONFIG_EROFS_FS, if that was meant",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
    assert!(!text.contains("compile kernel"), "{text}");
}

#[test]
fn an_image_without_what_init_needs_is_refused() {
    if !can_build() {
        return;
    }
    let place = workplace(&[("base.config", "CONFIG_COUNT=8\n")]);
    let text = build(&place, &[]).ends_with(2);
    assert!(
        text.contains("kernel-config/required.config:1:1: CONFIG_PROC_FS was dropped"),
        "{text}"
    );
}

#[test]
fn malformed_fragments_are_told_all_at_once_and_before_anything_is_fetched() {
    let place = workplace(&[("base.config", "CONFIG_A = y\n"), ("net.config", "\nNET=y\n")]);
    let text = place.kernel(&[]).ends_with(2);
    assert!(text.contains("kernel-config/base.config:1:1: not an option"), "{text}");
    assert!(text.contains("kernel-config/net.config:2:1: not an option"), "{text}");
    assert!(!text.contains("download"), "{text}");
}

#[test]
fn a_failed_compile_shows_the_end_of_its_log_and_keeps_it() {
    if !can_build() {
        return;
    }
    let place = workplace(&[("base.config", "CONFIG_PROC_FS=y\nCONFIG_BREAK=y\n")]);
    let text = build(&place, &[]).ends_with(1);
    assert!(text.contains("init/main.c:7:1: error: the source is broken"), "{text}");
    let log = text.lines().find_map(|line| line.strip_prefix("hint: the whole log is ")).unwrap();
    assert!(fs::read_to_string(log).unwrap().contains("the source is broken"));
}

#[test]
fn a_kernel_whose_source_changed_while_it_was_built_is_not_kept() {
    if !can_build() {
        return;
    }
    let place = workplace(&[GOOD]);
    tar::Archive::new(&tar()[..]).unpack(place.directory.path()).unwrap();
    let changed = place.path("linux-6.6.1/fs/Kconfig");
    // The first of the compile's calls, which are those with `-j`, edits a file.
    place.program(
        "make",
        &format!(
            "case \"$*\" in *' -j'*) [ -e edited ] || echo '# edited' >> '{}'; : > edited;; esac\n\
             PATH=${{PATH#*:}}; exec make \"$@\"",
            changed.display()
        ),
    );
    let arguments = ["--kernel-source", "linux-6.6.1"];
    let text = place.kernel(&arguments).ends_with(1);
    assert!(
        text.contains("linux-6.6.1 changed while it was built: this kernel is not kept\nhint: "),
        "{text}"
    );
    let kept = fs::read_dir(place.path("cache/keelson/kernel")).unwrap();
    assert_eq!(kept.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count(), 0);
    let text = place.kernel(&arguments).ends_with(0);
    assert!(text.contains("compile kernel"), "{text}");
}

#[test]
fn gccs_headers_for_plugins_make_another_kernel() {
    if !can_build() {
        return;
    }
    let place = workplace(&[GOOD]);
    let gcc = place.path("gcc");
    place.program(
        "gcc",
        &format!(
            "case \"$1\" in -print-libgcc-file-name) echo '{}/libgcc.a'; exit;; esac\n\
             PATH=${{PATH#*:}}; exec gcc \"$@\"",
            gcc.display()
        ),
    );
    let without = build(&place, &[]);
    without.ends_with(0);
    let headers = gcc.join("plugin/include");
    fs::create_dir_all(&headers).unwrap();
    fs::write(headers.join("plugin-version.h"), "").unwrap();
    let with = build(&place, &[]);
    assert!(with.ends_with(0).contains("compile kernel"), "{}", with.stderr());
    assert_ne!(with.stdout(), without.stdout());
    fs::remove_dir_all(&headers).unwrap();
    assert_eq!(build(&place, &[]).stdout(), without.stdout(), "as if they had never been there");
}

#[test]
fn an_option_is_explained() {
    if !can_build() {
        return;
    }
    let place = workplace(&[GOOD]);
    let outcome = build(&place, &["why", "CONFIG_EROFS_FS"]);
    outcome.ends_with(0);
    let text = outcome.stdout();
    for expected in [
        "CONFIG_EROFS_FS is n, a tristate\n",
        "requested: by no fragment\n",
        "defined: fs/Kconfig:6 (EROFS)\n",
        "  depends on MISC_FILESYSTEMS: not met (fs/Kconfig:4)\n",
        "to set it: EROFS_FS needs MISC_FILESYSTEMS, which is not set (fs/Kconfig:4)\n",
    ] {
        assert!(text.contains(expected), "{expected:?} is missing in:\n{text}");
    }
    let text = build(&place, &["why", "EROFSFS"]).ends_with(2);
    assert!(
        text.contains("has no option EROFSFS\nhint: CONFIG_EROFS_FS, if that was meant"),
        "{text}"
    );
}
