//! Kernel options that do not hold, and kernel sources that are damaged.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;

use builder::cache::file_sha256;

use crate::project::{Ending, Project, can_build_images, deb, has_kernel_tools, kernel_source};

#[test]
fn options_that_do_not_hold_stop_the_build_before_the_compile() {
    if !has_kernel_tools() {
        return;
    }
    let files = [
        ("kernel-config/fs.config", "# files\nCONFIG_EROFS_FS=y\nCONFIG_EROFSFS=y\n"),
        ("images/bad.toml", "[kernel]\noptions = [\"CONFIG_EROFS=y\"]\n"),
    ];
    let project = Project::new(&files);
    let source = kernel_source();
    let source = ["--kernel-source", source.to_str().unwrap()];
    for words in [&["kernel", "bad"][..], &["check", "bad"], &["image", "bad", "--offline"]] {
        let ending = project.run(&[words, &source].concat());
        ending.is(
            2,
            &[
                "kernel-config/fs.config:2:1: CONFIG_EROFS_FS was dropped: wanted y, got n\n  \
                 hint: EROFS_FS needs MISC_FILESYSTEMS, which is not set (fs/Kconfig:4); \
                 add CONFIG_MISC_FILESYSTEMS=y",
                "kernel-config/fs.config:3:1: CONFIG_EROFSFS is no option of this kernel: wanted y\n  hint: ",
                "write CONFIG_EROFS_FS, if that was meant",
                "images/bad.toml:2:12: CONFIG_EROFS is no option of this kernel: wanted y",
            ],
        );
        assert!(!ending.stderr.contains("compile"), "{}", ending.stderr);
    }
}

#[test]
fn a_kernel_without_what_its_disk_needs_stops_the_build_before_the_compile() {
    if !has_kernel_tools() {
        return;
    }
    let definition = "inherit = [\"base.toml\"]\noutputs = [\"disk\"]\n\
                      [disk]\nbuses = [\"nvme\"]\n";
    let options = "CONFIG_PROC_FS=y\nCONFIG_BLK_DEV_INITRD=y\n";
    let project =
        Project::new(&[("images/bad.toml", definition), ("kernel-config/base.config", options)]);
    let source = kernel_source();
    let source = ["--kernel-source", source.to_str().unwrap()];
    for words in [&["kernel", "bad"][..], &["check", "bad"], &["image", "bad", "--offline"]] {
        let ending = project.run(&[words, &source].concat());
        ending.is(
            2,
            &[
                "images/bad.toml:2:11: CONFIG_EFI_STUB was dropped: wanted y, got n",
                "images/bad.toml:2:11: CONFIG_EXT4_FS was dropped: wanted y, got n\n  hint: ",
                "images/bad.toml:4:10: CONFIG_BLK_DEV_NVME is no option of this kernel: wanted y",
            ],
        );
        assert!(!ending.stderr.contains("CONFIG_BLK_DEV_INITRD"), "{}", ending.stderr);
        assert!(!ending.stderr.contains("compile"), "{}", ending.stderr);
    }
}

/// The stand-in source as a tarball.
fn tarball() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all("linux-6.6.1", kernel_source()).unwrap();
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(&archive.into_inner().unwrap()).unwrap();
    encoder.finish().unwrap()
}

/// A project that pins the tarball, and the tarball's digest.
fn project_with_pin(tarball: &[u8]) -> (Project, String) {
    let project = Project::new(&[]);
    project.write("pinned", tarball);
    let sha256 = file_sha256(&project.path("pinned")).unwrap();
    let pin = fs::read_to_string(project.path("kernel-config/linux.toml")).unwrap();
    project.write("kernel-config/linux.toml", pin.replace(&"0".repeat(64), &sha256));
    (project, sha256)
}

/// The URL of a directory whose every file has this content.
fn serve(content: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _request = stream.read(&mut [0; 4096]);
            let length = content.len();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _client_went =
                stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&content));
        }
    });
    url
}

/// How a tarball is damaged on its way.
#[derive(Clone, Copy, Debug)]
enum Damage {
    OneFlippedByte,
    Truncation,
}

impl Damage {
    fn of(self, mut bytes: Vec<u8>) -> Vec<u8> {
        let middle = bytes.len() / 2;
        match self {
            Self::OneFlippedByte => bytes[middle] ^= 1,
            Self::Truncation => bytes.truncate(middle),
        }
        bytes
    }
}

#[test]
fn a_damaged_tarball_is_refused_from_the_command_line_and_from_the_network() {
    let good = tarball();
    for damage in [Damage::OneFlippedByte, Damage::Truncation] {
        println!("{damage:?}");
        let (project, wanted) = project_with_pin(&good);
        let bad = damage.of(good.clone());
        project.write("linux-6.6.1.tar.xz", &bad);
        let got = file_sha256(&project.path("linux-6.6.1.tar.xz")).unwrap();
        let digests = format!("wanted sha256 {wanted}\n  got    sha256 {got}");
        let remedy = "hint: the file is damaged or another one; fetch it again";

        let given = ["kernel", "--kernel-source", "linux-6.6.1.tar.xz"];
        project.run(&given).is(1, &["linux-6.6.1.tar.xz is not the pinned file", &digests, remedy]);
        assert!(project.path("linux-6.6.1.tar.xz").exists(), "a person's file is never removed");

        let mut fetching = project.builder(&["kernel", "--locked"]);
        fetching.env("KEELSON_KERNEL_MIRROR", serve(bad.clone()));
        let ending = Ending::of(&mut fetching);
        ending.is(1, &["linux-6.6.1.tar.xz is not the pinned file", &digests, remedy]);
        assert_eq!(files_below(&project.path("cache"), "linux-"), [""; 0], "nothing of it is kept");

        // Under a name of its own it is not compared with the pin: its own checksums tell.
        project.write("mine.tar.xz", &bad);
        let given = ["kernel", "--kernel-source", "mine.tar.xz"];
        project.run(&given).is(
            1,
            &[
                "mine.tar.xz: the archive is damaged or truncated",
                "hint: remove that file and fetch it again",
            ],
        );
        assert_eq!(files_below(&project.path("cache"), "Makefile"), [""; 0], "no half of a tree");
    }
}

/// A Debian source package with the tarball inside.
fn package() -> Vec<u8> {
    let source = tarball();
    let mut data = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(source.len() as u64);
    header.set_mode(0o644);
    data.append_data(&mut header, "./usr/src/linux-source-6.12.tar.xz", &source[..]).unwrap();
    deb(&data.into_inner().unwrap())
}

#[test]
fn an_image_of_the_distributions_kernel_says_so_until_the_pinned_one_is_here() {
    if !can_build_images() {
        return;
    }
    let (project, _) = project_with_pin(&tarball());
    let pin = fs::read_to_string(project.path("kernel-config/linux.toml")).unwrap();
    let with_package = pin.replace("packages = []", "packages = [\"linux-source-6.12\"]");
    project.write("kernel-config/linux.toml", with_package);
    project.write("package", package());
    let definition = "inherit = [\"base.toml\"]\ninitramfs.compression = \"none\"\n";
    project.write("images/good.toml", definition);
    let name = "linux-source-6.12_6.12.9-1_all.deb";
    let download = format!("#!/bin/sh\ncp '{}' {name}\n", project.path("package").display());
    project.program("apt-get", &download);
    let image = || project.run(&["image", "good", "--output", "out"]);
    let note = format!("kernel source: {name} of the distribution");

    image().is(0, &["warning: Linux 6.6.1 is out of reach", name]);
    image().is(0, &["is up to date", &note]);
    let mut fetching = project.builder(&["kernel", "--locked"]);
    fetching.env("KEELSON_KERNEL_MIRROR", serve(tarball()));
    Ending::of(&mut fetching).is(0, &[]);
    let ending = image();
    ending.is(0, &[]);
    assert!(!ending.stderr.contains("is up to date"), "{}", ending.stderr);
    assert!(!ending.stderr.contains(&note), "{}", ending.stderr);
    let ending = image();
    ending.is(0, &["is up to date"]);
    assert!(!ending.stderr.contains(&note), "{}", ending.stderr);
}

/// The files below a directory whose name begins so.
fn files_below(directory: &Path, beginning: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path, beginning));
        } else if path.file_name().unwrap().to_string_lossy().starts_with(beginning) {
            found.push(path.display().to_string());
        }
    }
    found
}
