//! A project small enough to build within seconds: an init that does nothing,
//! one service, and the stand-in kernel source of `tests/data/kernel`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use builder::arch::Arch;
use builder::host_needs::Needs;
use builder::shell::Shell;
use builder::userland::Toolchain;

/// What every project has, by path and content.
const FILES: [(&str, &str); 18] = [
    (
        "Cargo.toml",
        "[workspace]\nmembers = [\"init\", \"init/core\", \"services\"]\nresolver = \"3\"\n\
         [profile.guest]\ninherits = \"release\"\npanic = \"abort\"\nstrip = \"symbols\"\n\
         [profile.freestanding]\ninherits = \"guest\"\n",
    ),
    (
        "Cargo.lock",
        "version = 4\n[[package]]\nname = \"init\"\nversion = \"0.1.0\"\n\
         [[package]]\nname = \"init-core\"\nversion = \"0.1.0\"\n\
         [[package]]\nname = \"services\"\nversion = \"0.1.0\"\n",
    ),
    ("init/Cargo.toml", "[package]\nname = \"init\"\nversion = \"0.1.0\"\nedition = \"2024\"\n"),
    ("init/src/main.rs", "fn main() {}\n"),
    (
        "init/core/Cargo.toml",
        "[package]\nname = \"init-core\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    ),
    ("init/core/src/lib.rs", ""),
    (
        "services/Cargo.toml",
        "[package]\nname = \"services\"\nversion = \"0.1.0\"\nedition = \"2024\"\n",
    ),
    ("services/src/bin/ticker.rs", "fn main() {}\n"),
    ("builder/README.md", "What the builder's workspace has beside.\n"),
    ("builder/boot/uefi/README.md", "What would be compiled for UEFI.\n"),
    ("rootfs/device_table.txt", "/dev d 755 0 0 - - - - -\n"),
    (
        "rootfs/skeleton/usr/lib/services.d/ticker.toml",
        "description = \"Ticks\"\ncommand = [\"/usr/sbin/ticker\"]\n",
    ),
    (
        "kernel-config/linux.toml",
        "version = \"6.6.1\"\nurl = \"http://127.0.0.1:9/linux-6.6.1.tar.xz\"\nsha256 = \"@SHA256@\"\n\
         debian-packages = []\n",
    ),
    (
        "kernel-config/base.config",
        "CONFIG_PROC_FS=y\nCONFIG_BLK_DEV_INITRD=y\nCONFIG_EFI_STUB=y\n\
         CONFIG_BLOCK=y\nCONFIG_EFI_PARTITION=y\nCONFIG_EXT4_FS=y\n",
    ),
    ("kernel-config/required.config", "CONFIG_PROC_FS=y\n"),
    ("kernel-config/default.bootconfig", "kernel.rw\n"),
    (
        "images/base.toml",
        "[[user]]\nname = \"root\"\nuid = 0\n[[group]]\nname = \"root\"\ngid = 0\n",
    ),
    ("images/good.toml", "inherit = [\"base.toml\"]\n"),
];

/// A project, and a place beside it for what goes in and out.
pub(crate) struct Project {
    directory: tempfile::TempDir,
}

impl Project {
    /// With further files, by path and content, which may replace the usual ones.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let project = Self { directory: tempfile::tempdir().unwrap() };
        let digest = "0".repeat(64);
        for (path, text) in FILES {
            project.write(path, text.replace("@SHA256@", &digest));
        }
        for arch in Arch::ALL {
            project.write(&format!("kernel-config/{arch}.config"), "# nothing\n");
        }
        let bios = Path::new(env!("CARGO_MANIFEST_DIR")).join("boot/bios");
        for entry in fs::read_dir(bios).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            project.write(&format!("builder/boot/bios/{name}"), fs::read(&path).unwrap());
        }
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Puts a program of the project's own in front of the host's.
    pub(crate) fn program(&self, name: &str, text: &str) {
        let path = format!("bin/{name}");
        self.write(&path, text);
        fs::set_permissions(self.path(&path), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// The builder with these arguments, in this project and its own cache.
    pub(crate) fn builder(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_builder"));
        command.args(arguments).current_dir(self.directory.path());
        command.env("XDG_CACHE_HOME", self.path("cache")).env_remove("KEELSON_KERNEL_MIRROR");
        let path = std::env::var("PATH").unwrap();
        command.env("PATH", format!("{}:{path}", self.path("bin").display()));
        command.env_remove("KEELSON_USERLAND_TARGET").env_remove("SOURCE_DATE_EPOCH");
        // What is no kernel cannot be part of a unified kernel image.
        command.env("KEELSON_UEFI_STUB", "none");
        // Nor does any test ask a server that is not its own.
        command.env("KEELSON_DEBIAN_SNAPSHOT", "none");
        command
    }

    /// Runs the builder.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ending {
        Ending::of(&mut self.builder(arguments))
    }

    /// Builds an image with the stand-in kernel into `out/`.
    pub(crate) fn image(&self, name: &str) -> Ending {
        let source = kernel_source();
        let source = source.to_str().unwrap();
        self.run(&["image", name, "--offline", "--output", "out", "--kernel-source", source])
    }
}

/// The stand-in kernel source tree.
pub(crate) fn kernel_source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/kernel")
}

/// A Debian package of these files, a tar archive.
pub(crate) fn deb(files: &[u8]) -> Vec<u8> {
    let mut package = ar::Builder::new(Vec::new());
    for (member, bytes) in [("debian-binary", &b"2.0\n"[..]), ("data.tar", files)] {
        let header = ar::Header::new(member.into(), bytes.len() as u64);
        package.append(&header, bytes).unwrap();
    }
    package.into_inner().unwrap()
}

/// How a run ended.
pub(crate) struct Ending {
    pub(crate) code: Option<i32>,
    pub(crate) stderr: String,
}

impl Ending {
    pub(crate) fn of(command: &mut Command) -> Self {
        let output = command.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        Self { code: output.status.code(), stderr }
    }

    /// That it ended with this code and said all of this.
    #[track_caller]
    pub(crate) fn is(&self, code: i32, says: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.stderr);
        for expected in says {
            assert!(self.stderr.contains(expected), "{expected:?} is missing in:\n{}", self.stderr);
        }
    }
}

/// Whether this host can configure a kernel; if not, says what it lacks.
pub(crate) fn has_kernel_tools() -> bool {
    let needs = Needs::new().kernel(Arch::host().unwrap());
    let missing: Vec<String> = needs.missing().iter().map(|need| need.thing.to_string()).collect();
    if !missing.is_empty() {
        println!("skipped: {} is not installed", missing.join(", "));
    }
    missing.is_empty()
}

/// Whether this host can build an image, kernel and programs; if not, says what it lacks.
pub(crate) fn can_build_images() -> bool {
    let toolchain = Toolchain::find(&Shell::new(true), Arch::host().unwrap(), true);
    if let Err(error) = &toolchain {
        println!("skipped: a Rust target for static programs is not installed: {error}");
    }
    toolchain.is_ok() && has_kernel_tools()
}
