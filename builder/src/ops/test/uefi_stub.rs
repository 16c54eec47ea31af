//! Whether the UEFI stub starts what it was packed with, and says what is wrong:
//! each of its lines that OVMF and AAVMF can be made to show.
//!
//! The firmware's console is the stub's interface for these, so the serial line
//! is read here. Not provoked: sections that reach past the image, which these
//! firmwares refuse before the stub runs (its own tests have them), and firmware
//! that breaks the specification.

use std::path::Path;

use super::boots::{Boots, IMAGE};
use super::ladder::{Report, Rung};
use super::serial_line::{self, SERIAL};
use crate::arch::Arch;
use crate::boot::uefi;
use crate::cache::Cache;
use crate::error::{Error, IoContext, Result};
use crate::format::fat::{self, FatOptions, FatSize};
use crate::format::pe::{self, Addition};
use crate::format::uki::{COMMAND_LINE_MAX_BYTES, section};
use crate::host::Invocation;
use crate::qemu::accel;
use crate::qemu::accelerator::Accelerator;
use crate::qemu::board::Board;
use crate::qemu::firmware::{self, Variables};
use crate::qemu::machine::{board_arguments, console_device, program};
use crate::tree::{Content, FileTree, Node, NodeKind, TreePath};

/// Enough for firmware and kernel, in MiB.
const MEMORY_MIB: u32 = 256;

/// What images are made of.
struct Material {
    arch: Arch,
    stub: Vec<u8>,
    kernel: Vec<u8>,
    initramfs: Vec<u8>,
}

impl Material {
    /// The stub with these sections, right or wrong.
    fn image(&self, sections: &[(&str, &[u8])]) -> Result<Vec<u8>> {
        let additions: Vec<_> =
            sections.iter().map(|(name, content)| Addition { name, content }).collect();
        let mut image = Vec::new();
        pe::append(&self.stub, &additions, &mut image).map(|_layout| image)
    }

    /// A command line of `len_bytes` that ends, but for spaces, with a word the kernel
    /// does not know, and names. On x86_64 the kernel puts its own in front of it and
    /// cuts off what is too long then, so some spaces follow.
    fn command_line(&self, word: &str, len_bytes: usize) -> Vec<u8> {
        let mut line = format!("console={}", console_device(self.arch)).into_bytes();
        line.resize(len_bytes.saturating_sub(150).max(line.len() + 1), b' ');
        line.extend(word.as_bytes());
        line.resize(len_bytes.max(line.len()), b' ');
        line
    }
}

/// A case: the file that firmware starts, and what must then be on the serial line.
struct Case {
    name: &'static str,
    image: fn(&Material) -> Result<Vec<u8>>,
    expected: &'static str,
    /// What must not be there before.
    forbidden: Option<&'static str>,
}

const fn case(
    name: &'static str,
    expected: &'static str,
    image: fn(&Material) -> Result<Vec<u8>>,
) -> Case {
    Case { name, image, expected, forbidden: None }
}

const CASES: &[Case] = &[
    case(
        "a command line of 2,047 bytes reaches the kernel",
        "the-end\", will be passed to user space",
        |material| {
            let line = material.command_line("the-end", COMMAND_LINE_MAX_BYTES);
            material.image(&[(section::COMMAND_LINE, &line), (section::KERNEL, &material.kernel)])
        },
    ),
    case(
        "the kernel unpacks the initramfs and runs /init",
        "Run /init as init process",
        |material| {
            let line = material.command_line("", 0);
            material.image(&[
                (section::COMMAND_LINE, &line),
                (section::INITRAMFS, &material.initramfs),
                (section::KERNEL, &material.kernel),
            ])
        },
    ),
    Case {
        forbidden: Some("from-outside"),
        ..case(
            "load options are not looked at",
            "from-inside\", will be passed to user space",
            |material| {
                let line = material.command_line("from-inside", 0);
                let inner = material.image(&[
                    (section::COMMAND_LINE, &line),
                    (section::KERNEL, &material.kernel),
                ])?;
                let line = material.command_line("from-outside", 0);
                material.image(&[(section::COMMAND_LINE, &line), (section::KERNEL, &inner)])
            },
        )
    },
    case(
        "an initramfs of somebody else's",
        "keelson: an initramfs that is not this image's is offered to the kernel\r\n",
        |material| {
            let inner = material.image(&[(section::KERNEL, &material.kernel)])?;
            let initramfs = (section::INITRAMFS, material.initramfs.as_slice());
            material.image(&[initramfs, (section::KERNEL, &inner)])
        },
    ),
    case("no kernel", "keelson: this image holds no kernel (section .linux)\r\n", |material| {
        material.image(&[(section::COMMAND_LINE, b"quiet")])
    }),
    case(
        "a kernel that is cut off",
        "keelson: the firmware does not load the kernel: ",
        |material| {
            let kernel = &material.kernel[..material.kernel.len() / 2];
            material.image(&[(section::KERNEL, kernel)])
        },
    ),
    case(
        "a kernel whose header has changed",
        "keelson: the firmware does not load the kernel: ",
        |material| {
            let mut kernel = material.kernel.clone();
            kernel[0] ^= 0x10;
            material.image(&[(section::KERNEL, &kernel)])
        },
    ),
    case(
        "a kernel that gives up",
        "keelson: the kernel did not start: NOT_FOUND\r\n",
        |material| {
            // Another stub, which has no kernel and says so.
            let inner = material.image(&[])?;
            material.image(&[(section::KERNEL, &inner)])
        },
    ),
    case(
        "a command line that is too long",
        "keelson: the kernel command line cannot be passed on: it is longer than 2047 bytes\r\n",
        |material| {
            let line = material.command_line("", COMMAND_LINE_MAX_BYTES + 1);
            material.image(&[(section::COMMAND_LINE, &line), (section::KERNEL, &material.kernel)])
        },
    ),
    case(
        "a command line that the kernel would cut off",
        "keelson: the kernel command line cannot be passed on: it has a control character in it\r\n",
        |material| {
            let kernel = (section::KERNEL, material.kernel.as_slice());
            material.image(&[(section::COMMAND_LINE, b"ro\nrw"), kernel])
        },
    ),
];

/// The rungs: of the host's architecture, or with `is_long` of every one.
pub(super) fn rungs<'a>(boots: &Boots<'a>, is_long: bool) -> Vec<Rung<'a>> {
    boots.arches_of(is_long).map(|arch| boots.rung("uefi stub", arch, climb)).collect()
}

fn climb(boots: &Boots<'_>, arch: Arch, report: &mut Report) -> Result<()> {
    let (shell, offline) = (boots.shell, boots.build.offline);
    let built = boots.build(arch)?;
    let Some(initramfs) = &built.initramfs else {
        return Err(Error::internal(format!("the image {IMAGE} has no initramfs")));
    };
    let cache = Cache::open()?;
    let Some(stub) = uefi::stub(shell, &cache, boots.project, arch, offline)? else {
        report.skipped("the UEFI stub", "there is none on this host");
        return Ok(());
    };
    if firmware::find(arch).is_none() {
        report.skipped("the UEFI stub", format!("UEFI firmware for {arch} is not installed"));
        return Ok(());
    }
    let read = |path: &Path| std::fs::read(path).at("read", path);
    let (stub, kernel, initramfs) = (read(&stub.path)?, read(&built.kernel)?, read(initramfs)?);
    let material = Material { arch, stub, kernel, initramfs };
    let accelerator = accel::choose(shell, &cache, arch, boots.accel)?;
    for case in CASES {
        let image = (case.image)(&material)?;
        let verdict = boot(arch, accelerator, image, case.expected)?;
        report.check(case.name, verdict.and_then(|said| judge(case, &said)));
    }
    Ok(())
}

fn judge(case: &Case, said: &str) -> Result<String, String> {
    match case.forbidden.filter(|word| said.contains(word)) {
        Some(word) => Err(format!("{word:?} has come to the kernel")),
        None => Ok(case.expected.trim().to_owned()),
    }
}

/// Has the firmware start an application from a disk that is one file system.
fn boot(
    arch: Arch,
    accelerator: Accelerator,
    image: Vec<u8>,
    expected: &str,
) -> Result<Result<String, String>> {
    let directory = tempfile::tempdir()
        .map_err(|error| Error::failure(format!("cannot make a directory: {error}")))?;
    // A temporary directory has no comma in its path, which QEMU would take apart.
    let path = |name: &str| directory.path().join(name).display().to_string();
    let disk = directory.path().join("disk");
    std::fs::write(&disk, file_system(arch, image)?).at("write", &disk)?;
    let (code, _) = firmware::prepare(arch, Variables::None, directory.path())?;
    let code = code.display();
    let qemu = Invocation::new(program(arch))
        .args(board_arguments(Board::of(arch), accelerator))
        .args(["-no-reboot", "-m", &format!("{MEMORY_MIB}M")])
        .args(["-serial", &format!("file:{}", path(SERIAL))])
        .args(["-drive", &format!("if=pflash,unit=0,format=raw,readonly=on,file={code}")])
        .args(["-drive", &format!("if=none,id=disk,format=raw,file={}", path("disk"))])
        .args(["-device", "virtio-blk-pci,drive=disk,bootindex=0"]);
    serial_line::wait_for(qemu, directory.path(), expected, 1)
}

/// A FAT with `image` at the removable-media path.
fn file_system(arch: Arch, image: Vec<u8>) -> Result<Vec<u8>> {
    let kind = NodeKind::File(Content::Bytes(image.into()));
    let mut tree = FileTree::new();
    tree.insert(TreePath::new(arch.removable_path())?, Node::new(kind, 0o644, "the trial"))?;
    let options = FatOptions {
        size: FatSize::Fit { free_bytes: 0 },
        volume_id: 0,
        label: "ESP".into(),
        epoch_s: 0,
        partition_lba: 0,
    };
    let mut file_system = Vec::new();
    fat::write(&tree, &options, &mut file_system)?;
    Ok(file_system)
}
