//! The table of needs: thing, Debian package, purpose.
//!
//! A program is here when a build step calls it, not because a guide lists it;
//! the kernel's are those of Documentation/process/changes.rst that our
//! configurations reach.

use super::{Need, Thing};
use crate::arch::Arch;
use crate::host::gnu::CrossTools;

const fn program(name: &'static str, debian: &'static str, purpose: &'static str) -> Need {
    Need { thing: Thing::Program(name), debian, purpose }
}

const COMPILES_KERNEL: &str = "compiles the kernel";

/// For a kernel of `arch` on a host of `host`.
pub(super) fn kernel(host: Option<Arch>, arch: Arch) -> Vec<Need> {
    let mut needs = vec![
        program("make", "make", "runs the kernel's build"),
        program("flex", "flex", "builds the kernel's configuration program"),
        program("bison", "bison", "builds the kernel's configuration program"),
        program("bc", "bc", "computes the kernel's time constants"),
        program("perl", "perl", COMPILES_KERNEL),
        program("gcc", "gcc", COMPILES_KERNEL),
        program("ld", "binutils", COMPILES_KERNEL),
        // Not a dependency of gcc, and nothing compiles without it.
        Need { thing: Thing::Header("stdio.h"), debian: "libc6-dev", purpose: COMPILES_KERNEL },
    ];
    if arch == Arch::X86_64 {
        let purpose = "builds objtool, which checks the kernel's x86 code";
        needs.push(Need { thing: Thing::Header("gelf.h"), debian: "libelf-dev", purpose });
        needs.push(program("zstd", "zstd", "compresses the kernel"));
    }
    if let Some(tools) = CrossTools::needed(host, arch) {
        needs.push(program(tools.compiler, tools.compiler_package, COMPILES_KERNEL));
    }
    needs
}

/// For static Rust binaries of `arch` on a host of `host`. The Rust toolchain
/// itself runs the builder, so it is there.
pub(super) fn userland(host: Option<Arch>, arch: Arch) -> Vec<Need> {
    let purpose = "links build scripts and target binaries";
    let mut needs = vec![
        program("cc", "gcc", purpose),
        Need { thing: Thing::Header("stdio.h"), debian: "libc6-dev", purpose },
    ];
    if let Some(tools) = CrossTools::needed(host, arch) {
        let purpose = "compiles the C that crates bring";
        needs.push(program(tools.compiler, tools.compiler_package, purpose));
        // A header of that architecture alone: the host's own are no help.
        let thing = Thing::CrossHeader(arch, "bits/wordsize.h");
        needs.push(Need { thing, debian: tools.headers_package, purpose });
    }
    needs
}

/// For the BIOS loader, which x86 alone has, on a host of `host`.
pub(super) fn bios_loader(host: Option<Arch>, arch: Arch) -> Vec<Need> {
    if arch != Arch::X86_64 {
        return Vec::new();
    }
    let purpose = "assembles the BIOS loader";
    let (assembler, linker, package) = CrossTools::needed(host, arch)
        .map_or(("as", "ld", "binutils"), |tools| {
            (tools.assembler, tools.linker, tools.binutils_package)
        });
    vec![program(assembler, package, purpose), program(linker, package, purpose)]
}

/// For a guest of `arch`, booted by firmware or not.
pub(super) fn guest(arch: Arch, has_firmware: bool) -> Vec<Need> {
    let (qemu, package, firmware) = match arch {
        Arch::X86_64 => ("qemu-system-x86_64", "qemu-system-x86", "ovmf"),
        Arch::Aarch64 => ("qemu-system-aarch64", "qemu-system-arm", "qemu-efi-aarch64"),
    };
    let mut needs = vec![program(qemu, package, "runs guests")];
    if has_firmware {
        let purpose = "boots guests by UEFI";
        needs.push(Need { thing: Thing::Firmware(arch), debian: firmware, purpose });
    }
    needs
}

/// For tests that have another implementation judge the builder's formats.
pub(super) fn judges() -> Vec<Need> {
    vec![
        program("e2fsck", "e2fsprogs", "checks ext4"),
        program("dumpe2fs", "e2fsprogs", "reads ext4"),
        program("debugfs", "e2fsprogs", "reads ext4"),
        program("sgdisk", "gdisk", "checks GPT"),
        program("fsck.fat", "dosfstools", "checks FAT"),
        program("mdir", "mtools", "reads FAT"),
        program("cpio", "cpio", "reads cpio"),
        program("zstd", "zstd", "reads zstd"),
        program("gzip", "gzip", "reads gzip"),
        program("qemu-img", "qemu-utils", "checks qcow2"),
        program("xorriso", "xorriso", "reads ISO 9660"),
        program("objdump", "binutils", "reads PE"),
        program("ssh", "openssh-client", "logs in to guests"),
        program("unshare", "util-linux", "gives PID 1's tests a namespace"),
        program("ip", "iproute2", "lays cables between the tests' namespaces"),
    ]
}
