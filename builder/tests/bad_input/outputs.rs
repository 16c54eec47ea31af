//! Outputs that cannot be written: what was there before stays as it was.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use builder::arch::Arch;
use builder::cache::file_sha256;

use crate::mounts::{may_mount, remount, tmpfs};
use crate::project::{Project, can_build_images, has_kernel_tools, kernel_source};

const KIB: usize = 1024;

/// The text of a definition whose tree holds `images/content`.
fn definition(outputs: &str, more: &str) -> String {
    format!(
        "inherit = [\"base.toml\"]\noutputs = [\"{outputs}\"]\n{more}initramfs.compression = \"none\"\ndisk.buses = []\n\
         [[file]]\npath = \"/content\"\nsource = \"content\"\n"
    )
}

/// Every file of a directory with its digest, hidden ones included.
fn digests(directory: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, file_sha256(&path).unwrap())
        })
        .collect()
}

/// `OUT/<image>/<arch>/` of the image `bad`.
fn output(project: &Project) -> std::path::PathBuf {
    project.path("out/bad").join(Arch::host().unwrap().as_str())
}

#[test]
fn a_full_disk_leaves_the_last_good_outputs_and_nothing_else() {
    if !may_mount("outputs::a_full_disk_leaves_the_last_good_outputs_and_nothing_else")
        || !can_build_images()
    {
        return;
    }
    for outputs in ["initramfs", "root", "disk"] {
        println!("{outputs}");
        let project = Project::new(&[("images/bad.toml", &definition(outputs, ""))]);
        project.write("images/content", vec![1; 100 * KIB]);
        tmpfs(&project.path("out"), "size=4m");
        project.image("bad").is(0, &[]);
        let before = digests(&output(&project));

        project.write("images/content", vec![2; 6000 * KIB]);
        let ending = project.image("bad");
        ending.is(
            1,
            &[
                "cannot build image bad",
                "No space left on device",
                "hint: free space on ",
                "--output",
            ],
        );
        assert_eq!(digests(&output(&project)), before);

        remount(&project.path("out"), "size=64m");
        project.image("bad").is(0, &[]);
        let after = digests(&output(&project));
        assert!(before.keys().eq(after.keys()) && before != after, "{after:?}");
    }
}

#[test]
fn a_full_cache_is_told_and_leaves_no_half_of_anything() {
    if !may_mount("outputs::a_full_cache_is_told_and_leaves_no_half_of_anything") {
        return;
    }
    let project = Project::new(&[]);
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1024 * KIB as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "linux-6.6.1/big", &*vec![1; 1024 * KIB]).unwrap();
    project.write("mine.tar", archive.into_inner().unwrap());
    let cache = project.path("cache");
    tmpfs(&cache, "size=256k");
    project.run(&["kernel", "--kernel-source", "mine.tar"]).is(
        1,
        &[
            "cannot unpack into ",
            "No space left on device",
            "hint: free space on ",
            "XDG_CACHE_HOME",
        ],
    );
    let trees = fs::read_dir(cache.join("keelson/kernel-source")).unwrap();
    let directories = trees.filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(directories, 0, "no half of a tree");
}

#[test]
fn a_read_only_output_is_told_and_left_alone() {
    if !may_mount("outputs::a_read_only_output_is_told_and_left_alone") || !can_build_images() {
        return;
    }
    let project = Project::new(&[("images/bad.toml", &definition("initramfs", ""))]);
    project.write("images/content", "one");
    tmpfs(&project.path("out"), "size=4m");
    project.image("bad").is(0, &[]);
    let before = digests(&output(&project));
    remount(&project.path("out"), "ro");
    project.image("bad").is(0, &["is up to date"]);
    project.write("images/content", "two");
    project.image("bad").is(
        1,
        &[
            "cannot build image bad",
            "Read-only file system",
            "hint: choose a directory you can write to with --output",
        ],
    );
    assert_eq!(digests(&output(&project)), before);
}

#[test]
fn an_output_directory_that_is_a_file_is_told_before_anything_is_built() {
    let project = Project::new(&[("out", "somebody's\n")]);
    let ending = project.image("good");
    ending.is(1, &["cannot build image good", "cannot create out/good/", "directory", "hint: "]);
    assert!(!ending.stderr.contains("compile"), "{}", ending.stderr);
    assert_eq!(fs::read_to_string(project.path("out")).unwrap(), "somebody's\n");
}

#[test]
fn an_image_too_small_for_its_content_is_told_with_the_size_it_needs() {
    let text = definition("root", "root.size = \"16MiB\"\n");
    let project = Project::new(&[("images/bad.toml", &text)]);
    fs::File::create(project.path("images/content")).unwrap().set_len(32 << 20).unwrap();
    for ending in [project.run(&["check", "bad"]), project.image("bad")] {
        ending.is(
            2,
            &[
                "images/bad.toml:3:13: the root is too small for its files, before any program is added: it needs ",
                " MiB and has 16 MiB",
                "hint: give it a size of at least ",
            ],
        );
        assert!(!ending.stderr.contains("compile"), "{}", ending.stderr);
    }
    assert!(!output(&project).join("root.ext4").exists());
}

#[test]
fn a_disk_too_small_for_its_content_is_told_with_the_size_it_needs() {
    let more = "disk.size = \"24MiB\"\nkernel.options = [\"CONFIG_BIG=y\"]\n";
    let project = Project::new(&[("images/bad.toml", &definition("disk", more))]);
    let content = fs::File::create(project.path("images/content")).unwrap();
    content.set_len(32 << 20).unwrap();
    for ending in [project.run(&["check", "bad"]), project.image("bad")] {
        ending.is(
            2,
            &[
                "images/bad.toml:3:13: the disk is too small for its files, before any program is added: it needs ",
                " MiB and has 24 MiB",
                "hint: set disk.size to at least ",
            ],
        );
        assert!(!ending.stderr.contains("compile"), "{}", ending.stderr);
    }
    if !can_build_images() {
        return;
    }
    // Large enough for what is known before, but not with this kernel.
    content.set_len(11 << 20).unwrap();
    let ending = project.image("bad");
    ending.is(
        2,
        &[
            "cannot make disk.img",
            "images/bad.toml:3:13: the disk is too small: it needs ",
            " MiB and has 24 MiB",
            "hint: set disk.size to at least ",
        ],
    );
    assert!(!output(&project).join("disk.img").exists());
}

#[test]
fn an_efi_system_partition_too_small_is_told_before_any_program_is_compiled() {
    let text = definition("disk", "disk.esp-size = \"2MiB\"\n");
    let project = Project::new(&[("images/bad.toml", &text), ("images/content", "one")]);
    for ending in [project.run(&["check", "bad"]), project.image("bad")] {
        ending.is(
            2,
            &[
                "images/bad.toml:3:17: the EFI system partition is too small for any file: \
                 it needs 4 MiB and has 2 MiB",
                "hint: give it a size of at least 4 MiB",
            ],
        );
        assert!(!ending.stderr.contains("compile"), "{}", ending.stderr);
    }
    if !has_kernel_tools() {
        return;
    }
    let more = "disk.esp-size = \"6MiB\"\nkernel.options = [\"CONFIG_BIG=y\"]\n";
    project.write("images/bad.toml", definition("disk", more));
    let source = kernel_source();
    let arch = Arch::host().unwrap();
    let check =
        ["check", "bad", "--arch", arch.as_str(), "--kernel-source", source.to_str().unwrap()];
    project.run(&check).is(0, &["nothing wrong found"]);
    // The first build makes the kernel; from then on a check knows it too.
    for ending in [project.image("bad"), project.image("bad"), project.run(&check)] {
        ending.is(
            2,
            &[
                "images/bad.toml:3:17: the EFI system partition is too small for the kernel: it needs ",
                " MiB and has 6 MiB",
                "hint: give it a size of at least ",
            ],
        );
        assert!(!ending.stderr.contains("compile init"), "{}", ending.stderr);
    }
    assert!(!output(&project).join("disk.img").exists());
}

#[test]
fn outputs_that_need_the_uefi_stub_are_refused_without_it() {
    let host = Arch::host().unwrap();
    for (outputs, more, what) in [
        ("uki", "disk.initramfs = \"system\"\n", "a unified kernel image"),
        ("iso", "", "an ISO"),
        ("disk", "disk.initramfs = \"root\"\n", "an initramfs on the disk"),
        ("disk", "disk.arch = [\"x86_64\", \"aarch64\"]\n", "a disk for two architectures"),
    ] {
        let text = definition(outputs, more);
        let project = Project::new(&[("images/bad.toml", &text), ("images/content", "one")]);
        let ending = project.image("bad");
        ending.is(
            3,
            &[
                &format!("{what} needs the UEFI stub for "),
                "hint: run `rustup target add ",
                "_STUB unset",
            ],
        );
        assert!(!ending.stderr.contains("compile"), "{}", ending.stderr);
        assert!(!output(&project).join("vmlinuz").exists(), "{host}");
    }
}

#[test]
fn a_guest_that_has_nothing_to_boot_from_is_told_before_anything_is_built() {
    let text = definition("initramfs", "");
    let project = Project::new(&[("images/bad.toml", &text), ("images/content", "one")]);
    for (more, says) in [
        (&["--boot", "uefi"][..], "the image bad has no disk to boot from by UEFI"),
        (&["--keep-disk", "kept.img"], "the image bad has no disk that could be kept"),
        (&["--medium", "cd", "--bus", "virtio-scsi"], "the image bad has no medium cd"),
    ] {
        let ending = project.run(&[&["run", "bad", "--offline"], more].concat());
        ending.is(2, &[says, "hint: "]);
        assert!(!ending.stderr.contains("compile"), "{}", ending.stderr);
        assert!(!project.path("out").exists());
    }
}
