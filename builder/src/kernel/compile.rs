//! Running the kernel's own `make`: configure, compile, install the results.
//!
//! Out of tree, so that the sources stay untouched. Everything that could make
//! two builds differ is fixed: user, host, time, build number, locale, and the
//! names of both directories. The object directory is kept between builds of
//! the same source and architecture: an interrupted or slightly changed build
//! goes on where it can, by kbuild's own dependency tracking.

use std::fs;
use std::path::{Path, PathBuf};

use crate::arch::Arch;
use crate::error::{Error, IoContext, Result};
use crate::host::Invocation;
use crate::shell::Shell;

use super::toolchain::Toolchain;

/// Who built it, as /proc/version tells it.
const BUILD_IDENTITY: &str = "keelson";
/// When it was built: the epoch, since the real time would be in the image.
const BUILD_TIMESTAMP: &str = "Thu Jan  1 00:00:00 UTC 1970";
/// Variables for `make` that keep out of the configuration, and so out of the
/// kernel, what the host happens to have besides the compiler: the target's C
/// library (`CC_CAN_LINK`; no user program is compiled with the kernel) and a
/// Rust compiler (`RUSTC_VERSION`; the kernel's Rust parts are not supported).
const INDEPENDENT_OF_HOST: [&str; 3] =
    ["USERCFLAGS=-nostdinc", "RUSTC=not-used", "BINDGEN=not-used"];
/// Flags of gcc alone. They leave out what it keeps for its messages: through which macros a
/// token came, and whether a text reads in both directions. A kernel is mostly headers, and
/// takes 6 % less time so; the objects are the same bytes.
const WITHOUT_DIAGNOSTICS: &str = "-ftrack-macro-expansion=0 -Wno-bidi-chars";
/// A flag of gcc for x86 alone. Where it optimizes for size, it writes every `memset` and
/// `memcpy` out as `rep stosb` and the like, some 7,000 in a kernel. To begin one takes as long
/// as tens of moves on a processor, and to emulate it takes a round for every byte: half a
/// second of a boot under QEMU goes into freeing the kernel's initial memory. The kernel's own
/// functions choose what is best for the processor.
const WITH_STRING_FUNCTIONS: &str = "-mstringop-strategy=libcall";
/// Variables of the caller's environment that kbuild would listen to.
const FOREIGN_VARIABLES: [&str; 20] = [
    "ARCH",
    "CC",
    "CFLAGS",
    "CROSS_COMPILE",
    "HOSTCFLAGS",
    "HOSTCXXFLAGS",
    "HOSTLDFLAGS",
    "KAFLAGS",
    "KBUILD_EXTMOD",
    "KBUILD_OUTPUT",
    "KBUILD_VERBOSE",
    "KCFLAGS",
    "KCONFIG_ALLCONFIG",
    "KCONFIG_CONFIG",
    "KCPPFLAGS",
    "LDFLAGS",
    "LLVM",
    "MAKEFLAGS",
    "USERLDFLAGS",
    "V",
];
/// The file that remembers how many objects the last full build had.
const OBJECT_COUNT: &str = ".keelson-object-count";
/// What `make modules_install` leaves beside the modules for compiling others: links to the
/// object directory and, before Linux 6.6, to the source.
const HOST_LINKS: [&str; 2] = ["build", "source"];
/// Objects per enabled option, measured on the default configuration; the
/// estimate before a first build.
const OBJECTS_PER_OPTION: f64 = 1.9;

/// A build of one kernel.
#[derive(Debug)]
pub struct Build<'a> {
    /// The architecture.
    pub arch: Arch,
    /// The compiler.
    pub toolchain: &'a Toolchain,
    /// The source tree, used read-only.
    pub source: &'a Path,
    /// The object directory.
    pub objects: &'a Path,
    /// Where the output of `make` is kept.
    pub log: &'a Path,
}

/// The flags of a build that are the same on every host; part of the cache key.
#[must_use]
pub fn fixed_settings(arch: Arch) -> String {
    let identity = [BUILD_IDENTITY, BUILD_TIMESTAMP, "1"];
    [&identity[..], gcc_flags(arch), &INDEPENDENT_OF_HOST[..]].concat().join("\n")
}

/// The flags for what is written in C that clang does not know.
const fn gcc_flags(arch: Arch) -> &'static [&'static str] {
    match arch {
        Arch::X86_64 => &[WITHOUT_DIAGNOSTICS, WITH_STRING_FUNCTIONS],
        Arch::Aarch64 => &[WITHOUT_DIAGNOSTICS],
    }
}

impl Build<'_> {
    /// Writes the `.config` that the kernel makes of `options` (the text of
    /// merged fragments) on top of `tinyconfig`, and returns its text.
    ///
    /// # Errors
    /// If `make` fails.
    pub fn configure(&self, options: &str) -> Result<String> {
        let path = self.objects.join(".config");
        self.make(["tinyconfig"]).run()?;
        let mut text = fs::read_to_string(&path).at("read", &path)?;
        // The last line about an option counts (scripts/kconfig/confdata.c warns, no more).
        text.push_str(options);
        fs::write(&path, text).at("write", &path)?;
        self.make(["olddefconfig"]).run()?;
        fs::read_to_string(&path).at("read", &path)
    }

    /// Compiles the configured kernel, and with `has_modules` its modules.
    ///
    /// # Errors
    /// If the compiler fails; the error ends with its output.
    pub fn compile(&self, shell: &Shell, config: &str, has_modules: bool) -> Result<()> {
        let expected = self.expected_objects(config);
        let step = shell.counted_step(format!("compile kernel for {}", self.arch), expected);
        let mut objects = 0;
        let jobs = std::thread::available_parallelism().map_or(1, usize::from);
        let target = Path::new(self.image()).file_name().unwrap_or_default();
        let modules = has_modules.then_some("modules");
        self.make([]).arg(format!("-j{jobs}")).arg(target).args(modules).run_lines(|line| {
            if is_object(line) {
                objects += 1;
                step.set_position(objects.min(expected));
            }
        })?;
        let memory = self.objects.join(OBJECT_COUNT);
        if objects >= self.remembered_objects().unwrap_or(0) {
            fs::write(&memory, objects.to_string()).at("write", &memory)?;
        }
        step.done(format_args!("{objects} objects"));
        Ok(())
    }

    /// Copies what a build leaves into `into`: `vmlinuz`, `config`, `System.map`
    /// and `release`.
    ///
    /// # Errors
    /// If one is missing or cannot be written.
    pub fn install(&self, into: &Path) -> Result<()> {
        let files = [
            (self.image(), "vmlinuz"),
            (".config", "config"),
            ("System.map", "System.map"),
            ("include/config/kernel.release", "release"),
        ];
        for (from, to) in files {
            let from = self.objects.join(from);
            fs::copy(&from, into.join(to)).at("copy", &from)?;
        }
        Ok(())
    }

    /// Puts the modules into the new directory `into`, stripped of what only a
    /// debugger reads, with the kernel's own lists of them: what belongs at
    /// `/lib/modules/RELEASE` but for the indexes.
    ///
    /// # Errors
    /// If `make` fails.
    pub fn install_modules(&self, into: &Path) -> Result<()> {
        self.make(["modules_install"])
            .arg(format!("MODLIB={}", into.display()))
            .arg("INSTALL_MOD_STRIP=1")
            // The indexes are the builder's own: no host needs depmod.
            .arg("DEPMOD=true")
            .run()?;
        remove_host_links(into)
    }

    /// The image's path below the object directory.
    fn image(&self) -> &'static str {
        match self.arch {
            Arch::X86_64 => "arch/x86/boot/bzImage",
            Arch::Aarch64 => "arch/arm64/boot/Image",
        }
    }

    fn make<'t>(&self, targets: impl IntoIterator<Item = &'t str>) -> Invocation {
        let mut make = Invocation::new("make").log(self.log);
        for name in FOREIGN_VARIABLES {
            make = make.env_remove(name);
        }
        make = make
            .env("KBUILD_BUILD_USER", BUILD_IDENTITY)
            .env("KBUILD_BUILD_HOST", BUILD_IDENTITY)
            .env("KBUILD_BUILD_TIMESTAMP", BUILD_TIMESTAMP)
            .env("KBUILD_BUILD_VERSION", "1")
            // Set but empty: else a git checkout adds "+" (scripts/setlocalversion).
            .env("LOCALVERSION", "")
            .arg("-C")
            .arg(self.source)
            .arg(format!("O={}", self.objects.display()))
            .arg(format!("ARCH={}", self.arch.kernel()))
            .arg(format!("KCFLAGS={}", self.compiler_flags()))
            .arg(format!("KAFLAGS={}", self.prefix_maps()))
            .args(INDEPENDENT_OF_HOST);
        for (name, value) in &self.toolchain.variables {
            make = make.arg(format!("{name}={value}"));
        }
        make.args(targets)
    }

    /// Flags for what is written in C.
    fn compiler_flags(&self) -> String {
        let mut flags = vec![self.prefix_maps()];
        if self.toolchain.is_gnu {
            flags.extend(gcc_flags(self.arch).iter().map(|flag| (*flag).to_owned()));
        }
        flags.join(" ")
    }

    /// Flags that keep the names of this host's directories out of the objects.
    fn prefix_maps(&self) -> String {
        let directories = [self.objects, self.source];
        directories.map(|path| format!("-ffile-prefix-map={}=.", path.display())).join(" ")
    }

    fn remembered_objects(&self) -> Option<u64> {
        fs::read_to_string(self.objects.join(OBJECT_COUNT)).ok()?.trim().parse().ok()
    }

    fn expected_objects(&self, config: &str) -> u64 {
        let enabled = config.lines().filter(|line| line.ends_with("=y")).count();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "an estimate of some thousands"
        )]
        self.remembered_objects().unwrap_or((enabled as f64 * OBJECTS_PER_OPTION) as u64)
    }
}

/// Takes out of a directory of modules what is a path of this host.
fn remove_host_links(directory: &Path) -> Result<()> {
    for name in HOST_LINKS {
        let link = directory.join(name);
        match fs::remove_file(&link) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).at("remove", &link);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a line of kbuild's output tells of one more object: `  CC      init/main.o`.
fn is_object(line: &str) -> bool {
    matches!(line.split_whitespace().next(), Some("CC" | "AS"))
}

/// The release string of an installed kernel: `6.6.119-keelson`.
///
/// # Errors
/// If `directory` holds no installed kernel.
pub fn release(directory: &Path) -> Result<String> {
    let path: PathBuf = directory.join("release");
    let text = fs::read_to_string(&path).at("read", &path)?;
    match text.trim() {
        "" => Err(Error::internal(format!("{} is empty", path.display()))),
        release => Ok(release.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_gcc_is_given_its_own_flags() {
        let flags = |arch, is_gnu| {
            let toolchain = Toolchain { identity: String::new(), variables: Vec::new(), is_gnu };
            let [source, objects, log] = ["/s", "/o", "/l"].map(Path::new);
            let build = Build { arch, toolchain: &toolchain, source, objects, log };
            build.compiler_flags()
        };
        let maps = "-ffile-prefix-map=/o=. -ffile-prefix-map=/s=.";
        for arch in [Arch::X86_64, Arch::Aarch64] {
            assert_eq!(flags(arch, false), maps);
            let of_gcc = gcc_flags(arch).join(" ");
            assert_eq!(flags(arch, true), format!("{maps} {of_gcc}"));
            assert!(gcc_flags(arch).iter().all(|flag| fixed_settings(arch).contains(flag)));
        }
    }

    #[test]
    fn no_link_to_the_host_stays_beside_the_modules() {
        let directory = tempfile::tempdir().unwrap();
        let [host, modules] = ["host", "modules"].map(|name| directory.path().join(name));
        for path in [&host, &modules] {
            fs::create_dir(path).unwrap();
        }
        fs::write(host.join("Makefile"), "").unwrap();
        fs::write(modules.join("modules.order"), "").unwrap();
        // As before Linux 6.6, as since then, and with nothing left to do.
        for links in [&["build", "source"][..], &["build"], &[]] {
            for name in links {
                std::os::unix::fs::symlink(&host, modules.join(name)).unwrap();
            }
            remove_host_links(&modules).unwrap();
            let left: Vec<_> =
                fs::read_dir(&modules).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, ["modules.order"]);
        }
        assert!(host.join("Makefile").exists());
    }

    #[test]
    fn objects_are_told_from_other_lines() {
        let lines = ["  CC      init/main.o", "  AS      arch/x86/entry/entry_64.o"];
        assert!(lines.into_iter().all(is_object));
        let others = ["  LD      vmlinux.o", "  HOSTCC  scripts/x", "warning: CC is old", ""];
        assert!(!others.into_iter().any(is_object));
    }
}
