//! Whether the BIOS loader says what is wrong: each of its messages, provoked on a
//! disk with the test image's kernel and initramfs, and odd BIOSes that are no failure.
//!
//! The serial line is the loader's interface for these, so it is read here. What
//! QEMU's BIOS never does, a boot sector of the test's own makes it do
//! (`odd_bios`). Not provoked: an A20 line that cannot be opened at all.

mod odd_bios;
mod trial;

use super::boots::{Boots, IMAGE, image_rung_name};
use super::ladder::{Report, Rung};
use crate::arch::Arch;
use crate::cache::Cache;
use crate::error::{Error, IoContext, Result};
use crate::format::{bios_boot, mib_ceil};
use crate::qemu::accel;
use odd_bios::{Map, OddBios, Parameters};
use trial::{Drive, Machine, Material, SECTOR_BYTES, Trial};

/// How much the loader reads at once.
const CHUNK_SECTORS: usize = 124;

/// A case: what is done to the disk or the machine, and what must then be on
/// the serial line.
struct Case {
    name: &'static str,
    provoke: fn(&mut Trial) -> Result<String>,
}

const fn case(name: &'static str, provoke: fn(&mut Trial) -> Result<String>) -> Case {
    Case { name, provoke }
}

/// A line of the loader's, whole.
#[expect(clippy::unnecessary_wraps, reason = "what a case returns")]
fn line(text: &str) -> Result<String> {
    Ok(format!("\nkeelson: {text}\r\n"))
}

/// What the kernel says first: the loader has done its work.
#[expect(clippy::unnecessary_wraps, reason = "what a case returns")]
fn kernel_starts() -> Result<String> {
    Ok("Linux version ".into())
}

const CASES: &[Case] = &[
    case("an unchanged disk starts the kernel", |_| kernel_starts()),
    case("a changed stage 2", |trial| {
        let at = trial.stage2_at() + 1000;
        trial.flip(at);
        line("stage 2 has changed")
    }),
    case("a changed boot table", |trial| {
        let at = trial.table_at() + 100;
        trial.flip(at);
        line("the boot table has changed")
    }),
    case("no boot table", |trial| {
        let at = trial.table_at();
        trial.flip(at);
        line("the boot table has changed")
    }),
    case("a boot table of another version", |trial| {
        let at = trial.table_at() + 8;
        trial.disk[at] = 9;
        line("the boot table has version 9, which this loader does not know")
    }),
    case("a changed kernel", |trial| {
        let at = trial.kernel_at() + trial.kernel_len() / 2;
        trial.flip(at);
        line("the kernel has changed")
    }),
    case("a kernel whose last byte has changed", |trial| {
        let at = trial.kernel_at() + trial.kernel_len() - 1;
        trial.flip(at);
        line("the kernel has changed")
    }),
    case("a changed initramfs", |trial| {
        let at = trial.initramfs_at() + trial.initramfs_len() / 3;
        trial.flip(at);
        line("the initramfs has changed")
    }),
    case("a truncated disk", |trial| {
        let sectors = trial.initramfs_at() / SECTOR_BYTES + 100;
        trial.disk.truncate(sectors * SECTOR_BYTES);
        let end = trial.initramfs().end_lba();
        line(&format!("the disk has {sectors} sectors, the boot table asks for {end}"))
    }),
    case("a boot table that asks past the disk", |trial| {
        let mut table = trial.table.clone();
        table.kernel.first_lba = 0x0001_0000_0000_0000;
        let (sectors, end) = (trial.disk.len() / SECTOR_BYTES, table.kernel.end_lba());
        trial.install(&table)?;
        line(&format!("the disk has {sectors} sectors, the boot table asks for {end}"))
    }),
    case("a boot table that asks past any disk", |trial| {
        let mut table = trial.table.clone();
        table.kernel.first_lba = u64::MAX;
        let sectors = trial.disk.len() / SECTOR_BYTES;
        trial.install(&table)?;
        line(&format!("the disk has {sectors} sectors, the boot table asks for {}", u64::MAX))
    }),
    case("too little memory for the kernel", |trial| {
        trial.machine.memory_mib = 24;
        let needed = mib_ceil(trial.memory_needed_bytes());
        line(&format!("too little memory: {needed} MiB needed, 23 MiB found"))
    }),
    case("too little memory for the initramfs", |trial| {
        let needed = mib_ceil(trial.memory_needed_bytes());
        trial.machine.memory_mib = needed - 1;
        line(&format!("too little memory: {needed} MiB needed, {} MiB found", needed - 2))
    }),
    case("just enough memory", |trial| {
        trial.machine.memory_mib = mib_ceil(trial.memory_needed_bytes()) + 1;
        kernel_starts()
    }),
    case("a file that is no kernel", |trial| {
        let mut table = trial.table.clone();
        table.kernel = *trial.initramfs();
        trial.install(&table)?;
        line("the kernel is none that this loader can start")
    }),
    case("a kernel of an older protocol", |trial| {
        let at = trial.kernel_at() + 0x206;
        trial.disk[at..at + 2].copy_from_slice(&[0x09, 0x02]);
        trial.accept_kernel()?;
        line("the kernel is none that this loader can start")
    }),
    case("a command line too long for the kernel", |trial| {
        let at = trial.kernel_at() + 0x238;
        trial.disk[at..at + 4].copy_from_slice(&[7, 0, 0, 0]);
        trial.accept_kernel()?;
        let len = trial.table.command_line.len();
        line(&format!("the command line has {len} bytes, the kernel takes 7"))
    }),
    case("a command line of 2,047 bytes", |trial| {
        let mut table = trial.table.clone();
        // Not quite at its end: the kernel cuts off there what it has built in itself.
        table.command_line.resize(1900, b' ');
        table.command_line.extend(b"the-end");
        table.command_line.resize(bios_boot::COMMAND_LINE_BYTES_MAX, b' ');
        trial.install(&table)?;
        // A word that the kernel does not know it names, and passes on.
        Ok("the-end\", will be passed to user space".into())
    }),
    case("a disk that cannot be read where stage 2 is", |trial| {
        trial.machine.drive = Drive::Faulty { sector: trial.stage2_at() / SECTOR_BYTES };
        // What SeaBIOS answers for a virtio disk that failed.
        line("stage 2 cannot be read: BIOS status 0Ch")
    }),
    case("a disk that cannot be read further on", |trial| {
        // The message names the first sector of the read.
        let chunk = trial.kernel_at() / SECTOR_BYTES + 2 * CHUNK_SECTORS;
        trial.machine.drive = Drive::Faulty { sector: chunk + 7 };
        line(&format!("cannot read sector {chunk}: BIOS status 0Ch"))
    }),
    case("a BIOS without INT 13h extensions", |trial| {
        // As SeaBIOS is for floppy disks.
        trial.machine.drive = Drive::Floppy;
        line("the BIOS has no INT 13h extensions")
    }),
    case("a BIOS without a memory map", |trial| {
        trial.make_odd(&OddBios { map: Map::Missing, ..OddBios::default() });
        line("the BIOS has no memory map")
    }),
    case("a memory map in pieces that overlap", |trial| {
        let (map, place) = patchwork(trial.initramfs_len() as u64);
        trial.make_odd(&OddBios { map: Map::Own(map), ..OddBios::default() });
        Ok(format!("RAMDISK: [mem {place:#010x}-"))
    }),
    case("a BIOS that does not tell the disk's size", |trial| {
        trial.make_odd(&OddBios { parameters: Parameters::Missing, ..OddBios::default() });
        line("the BIOS does not tell the disk's size: status 20h")
    }),
    case("a disk with sectors of 4,096 bytes", |trial| {
        let parameters = Parameters::SectorBytes(4096);
        trial.make_odd(&OddBios { parameters, ..OddBios::default() });
        line("the disk has sectors of 4096 bytes, not 512 or 2048")
    }),
    case("a closed A20 line, which the BIOS opens", |trial| {
        trial.make_odd(&OddBios { closes_a20: true, ..OddBios::default() });
        kernel_starts()
    }),
    case("a closed A20 line, which the BIOS does not open", |trial| {
        let odd = OddBios { closes_a20: true, keeps_a20_closed: true, ..OddBios::default() };
        trial.make_odd(&odd);
        kernel_starts()
    }),
    case("a stage 2 that is read at the fourth attempt", |trial| {
        trial.make_odd(&OddBios { reads_failing: 3, ..OddBios::default() });
        kernel_starts()
    }),
    case("a stage 2 that is not", |trial| {
        trial.make_odd(&OddBios { reads_failing: 4, ..OddBios::default() });
        line("stage 2 cannot be read: BIOS status 20h")
    }),
    case("a kernel that is read at the fourth attempt", |trial| {
        trial.make_odd(&OddBios { reads_before: 2, reads_failing: 3, ..OddBios::default() });
        kernel_starts()
    }),
    case("a kernel that is not", |trial| {
        trial.make_odd(&OddBios { reads_before: 2, reads_failing: 4, ..OddBios::default() });
        let second_chunk = trial.kernel_at() / SECTOR_BYTES + CHUNK_SECTORS;
        line(&format!("cannot read sector {second_chunk}: BIOS status 20h"))
    }),
    case("the line is on the screen too", |trial| {
        trial.machine.has_screen = false;
        let at = trial.initramfs_at();
        trial.flip(at);
        line("the initramfs has changed")
    }),
];

/// A memory map as badly kept as they come, and where in it an initramfs of this length
/// goes: out of order, in pieces, with an empty one, one beyond 4 GiB and one across, and
/// with ranges that are not usable where others say they are.
fn patchwork(initramfs_len: u64) -> (Vec<odd_bios::Range>, u64) {
    const USABLE: u32 = 1;
    const RESERVED: u32 = 2;
    const ACPI_DATA: u32 = 3;
    let (top, page) = (0x05FF_F000, 0x1000);
    // Above this there is room for half of it only.
    let hole = (top - initramfs_len / 2) / page * page;
    let map = vec![
        (0x0010_0000, 0x01F0_0000, USABLE),
        (0x0200_0000, 0x0400_0000, USABLE),
        (0x000F_0000, 0x0001_0000, RESERVED),
        (0, 0x0009_FC00, USABLE),
        (0x0300_0000, 0, USABLE),
        (hole, page, ACPI_DATA),
        (top, 0x0200_0000, RESERVED),
        (0xFEC0_0000, 0x2_0000_0000, RESERVED),
        (0x10_0000_0000, 0x1000_0000, RESERVED),
    ];
    // Its last word is filled up with as many as three zeros.
    (map, (hole - initramfs_len - 3) / page * page)
}

/// The rung; the loader is for x86 alone.
pub(super) fn rung<'a>(boots: &Boots<'a>) -> Rung<'a> {
    let boots = boots.clone();
    Rung::new("bios failures", move |report| climb(&boots, report))
        .after(image_rung_name(IMAGE, Arch::X86_64))
}

fn climb(boots: &Boots<'_>, report: &mut Report) -> Result<()> {
    let built = boots.build(Arch::X86_64)?;
    let cache = Cache::open()?;
    let Some(initramfs) = &built.initramfs else {
        return Err(Error::internal(format!("the image {IMAGE} has no initramfs")));
    };
    let code = crate::boot::bios::assemble(boots.shell, &cache, boots.project)?;
    let read = |path: &std::path::Path| std::fs::read(path).at("read", path);
    let material = Material {
        code,
        kernel: read(&built.kernel)?,
        initramfs: read(initramfs)?,
        odd_bios: crate::boot::bios::assemble_odd_bios(boots.shell, &cache, boots.project)?,
    };
    let accelerator = accel::choose(boots.shell, &cache, Arch::X86_64, boots.accel)?;
    let original = Trial::new(&material, Machine::new(accelerator))?;
    for case in CASES {
        let mut trial = original.clone();
        let expected = (case.provoke)(&mut trial)?;
        let verdict = trial.run(&expected)?;
        report.check(case.name, verdict);
    }
    Ok(())
}
