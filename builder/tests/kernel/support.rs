//! Source archives, a project and a host for the builder to work in.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use builder::cache::file_sha256;

/// The stand-in kernel source tree.
pub(crate) fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kernel")
}

/// The stand-in as a tar archive with one directory at its top.
pub(crate) fn tar() -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_dir_all("linux-6.6.1", tree()).unwrap();
    archive.into_inner().unwrap()
}

/// The same, compressed with xz.
pub(crate) fn tar_xz() -> Vec<u8> {
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(&tar()).unwrap();
    encoder.finish().unwrap()
}

/// A Debian source package with that archive inside.
pub(crate) fn package() -> Vec<u8> {
    let source = tar_xz();
    let mut data = tar::Builder::new(Vec::new());
    for (path, bytes) in [
        ("./usr/share/doc/x/copyright", &b"free"[..]),
        ("./usr/src/linux-source-6.12.tar.xz", &source),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        data.append_data(&mut header, path, bytes).unwrap();
    }
    let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 1);
    encoder.write_all(&data.into_inner().unwrap()).unwrap();
    let members = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar.xz", Vec::new()),
        ("data.tar.xz", encoder.finish().unwrap()),
    ];
    let mut package = ar::Builder::new(Vec::new());
    for (name, bytes) in members {
        package.append(&ar::Header::new(name.into(), bytes.len() as u64), &bytes[..]).unwrap();
    }
    package.into_inner().unwrap()
}

/// A file's name and bytes on disk, and its digest.
pub(crate) fn file(directory: &Path, name: &str, bytes: &[u8]) -> (PathBuf, String) {
    let path = directory.join(name);
    fs::write(&path, bytes).unwrap();
    let sha256 = file_sha256(&path).unwrap();
    (path, sha256)
}

/// A project with a kernel configuration of its own, and a place for caches.
pub(crate) struct Workplace {
    pub(crate) directory: tempfile::TempDir,
}

impl Workplace {
    /// With this pin and these fragments (name below `kernel-config/`, text).
    pub(crate) fn new(url: &str, sha256: &str, fragments: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let place = Self { directory };
        for path in ["images", "rootfs", "init/core", "kernel-config/series", "bin"] {
            fs::create_dir_all(place.path(path)).unwrap();
        }
        place.write("init/core/Cargo.toml", "");
        place.write(
            "kernel-config/linux.toml",
            &format!(
                "version = \"6.6.1\"\nurl = \"{url}\"\nsha256 = \"{sha256}\"\n\
                 debian-packages = [\"linux-source-6.12\"]\n"
            ),
        );
        place.write("kernel-config/required.config", "CONFIG_PROC_FS=y\n");
        place.write("kernel-config/default.bootconfig", "kernel.rw\n");
        for arch in ["x86_64", "aarch64"] {
            place.write(&format!("kernel-config/{arch}.config"), "# nothing\n");
        }
        for (name, text) in fragments {
            place.write(&format!("kernel-config/{name}"), text);
        }
        // Without a package nothing can be fetched from the host's distribution.
        place.program("apt-get", "echo 'E: no such package' >&2; exit 100");
        place
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        fs::write(self.path(path), text).unwrap();
    }

    /// Puts a shell script of this name in front of the host's programs.
    pub(crate) fn program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs `builder kernel` here.
    pub(crate) fn kernel(&self, arguments: &[&str]) -> Outcome {
        self.kernel_by_mirror(arguments, "")
    }

    /// The same with the URL of a mirror in the environment.
    pub(crate) fn kernel_by_mirror(&self, arguments: &[&str], mirror: &str) -> Outcome {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let output = Command::new(env!("CARGO_BIN_EXE_builder"))
            .arg("kernel")
            .args(arguments)
            .current_dir(self.directory.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("PATH", path)
            .env("KEELSON_KERNEL_MIRROR", mirror)
            .output()
            .unwrap();
        Outcome(output)
    }
}

/// How a run of the builder ended.
pub(crate) struct Outcome(Output);

impl Outcome {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Standard error of a run that must have ended with this code.
    #[track_caller]
    pub(crate) fn ends_with(&self, code: i32) -> String {
        let text = self.stderr();
        assert_eq!(self.0.status.code(), Some(code), "{text}");
        text
    }
}

/// Whether this host can configure a kernel at all; if not, says so.
pub(crate) fn can_build() -> bool {
    let arch = builder::arch::Arch::host().unwrap();
    let needs = builder::host_needs::Needs::new().kernel(arch);
    let missing: Vec<String> = needs.missing().iter().map(|need| need.thing.to_string()).collect();
    if !missing.is_empty() {
        println!("skipped: {} is not installed", missing.join(", "));
    }
    missing.is_empty()
}
