//! The smallest guests that show whether an accelerator works: a few
//! instructions as firmware, no operating system.
//!
//! Each writes to memory and reads it back, sends [`CONSOLE_BYTES`] to its
//! serial port, which leaves the guest each time, and ends the machine. An
//! accelerator that starts a guest and then hangs it does not get that far.

use crate::arch::Arch;

/// What the guest writes to its serial port.
pub(super) const CONSOLE_BYTE: u8 = b'K';
/// How often.
pub(super) const CONSOLE_BYTES: usize = 1024;

/// A guest and how it ends when all is well.
#[derive(Debug)]
pub(super) struct ProbeGuest {
    /// The image for `-bios`.
    pub(super) firmware: Vec<u8>,
    /// What the machine needs besides its board.
    pub(super) arguments: &'static [&'static str],
    /// QEMU's exit status.
    pub(super) exit_code: i32,
}

/// The guest for `arch`.
pub(super) fn probe_guest(arch: Arch) -> ProbeGuest {
    match arch {
        Arch::X86_64 => ProbeGuest {
            firmware: x86_firmware(),
            arguments: &["-m", "16M", "-device", "isa-debug-exit,iobase=0x501,iosize=2"],
            // isa-debug-exit: (value << 1) | 1, with the value 0x10.
            exit_code: 33,
        },
        Arch::Aarch64 => ProbeGuest {
            firmware: AARCH64_CODE.iter().flat_map(|word| word.to_le_bytes()).collect(),
            arguments: &["-m", "64M"],
            exit_code: 0,
        },
    }
}

/// QEMU takes x86 firmware in units of 64 KiB, and the first instruction is 16 bytes before its end.
const X86_FIRMWARE_BYTES: usize = 64 * 1024;
/// Where [`X86_CODE`] is put; it names addresses of its own.
const X86_CODE_OFFSET: usize = 0xff00;
const X86_RESET_OFFSET: usize = 0xfff0;
/// `jmp X86_CODE_OFFSET`
const X86_RESET_CODE: [u8; 3] = [0xe9, 0x0d, 0xff];

#[rustfmt::skip]
const X86_CODE: [u8; 118] = [
    // 16-bit: into protected mode.
    0xfa,                                           // cli
    0x2e, 0x66, 0x0f, 0x01, 0x16, 0x70, 0xff,       // lgdtl %cs:0xff70
    0x0f, 0x20, 0xc0,                               // mov %cr0, %eax
    0x0c, 0x01,                                     // or $1, %al
    0x0f, 0x22, 0xc0,                               // mov %eax, %cr0
    0x66, 0xea, 0x18, 0xff, 0x0f, 0x00, 0x08, 0x00, // ljmpl $8, $0xfff18
    // 32-bit, at 0xfff18: memory, an instruction that always exits, the port.
    0x66, 0xb8, 0x10, 0x00,                         // mov $0x10, %ax
    0x8e, 0xd8,                                     // mov %ax, %ds
    0xc7, 0x05, 0x00, 0x10, 0x00, 0x00, 0x4c, 0x45, 0x45, 0x4b, // movl $0x4b45454c, 0x1000
    0x31, 0xc0,                                     // xor %eax, %eax
    0x0f, 0xa2,                                     // cpuid
    0x81, 0x3d, 0x00, 0x10, 0x00, 0x00, 0x4c, 0x45, 0x45, 0x4b, // cmpl $0x4b45454c, 0x1000
    0x75, 0x1b,                                     // jne hang
    0xb9, 0x00, 0x04, 0x00, 0x00,                   // mov $1024, %ecx
    0x66, 0xba, 0xf8, 0x03,                         // mov $0x3f8, %dx
    0xb0, 0x4b,                                     // mov $'K', %al
    0xee,                                           // again: out %al, (%dx)
    0x88, 0x81, 0x00, 0x00, 0x0c, 0x00,             // mov %al, 0xc0000(%ecx), which is not memory
    0xe2, 0xf7,                                     // loop again
    0x66, 0xba, 0x01, 0x05,                         // mov $0x501, %dx
    0xb0, 0x10,                                     // mov $0x10, %al
    0xee,                                           // out %al, (%dx)
    0xf4,                                           // hang: hlt
    0xeb, 0xfd,                                     // jmp hang
    // Three segment descriptors at 0xfff58: none, flat code, flat data; then the table's own.
    0x66, 0x90,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xff, 0xff, 0x00, 0x00, 0x00, 0x9b, 0xcf, 0x00,
    0xff, 0xff, 0x00, 0x00, 0x00, 0x93, 0xcf, 0x00,
    0x17, 0x00, 0x58, 0xff, 0x0f, 0x00,
];

fn x86_firmware() -> Vec<u8> {
    let mut image = vec![0; X86_FIRMWARE_BYTES];
    image[X86_CODE_OFFSET..X86_CODE_OFFSET + X86_CODE.len()].copy_from_slice(&X86_CODE);
    image[X86_RESET_OFFSET..X86_RESET_OFFSET + X86_RESET_CODE.len()]
        .copy_from_slice(&X86_RESET_CODE);
    image
}

/// For the board `virt`: memory at 0x40000000, PL011 at 0x09000000, PSCI by HVC.
const AARCH64_CODE: [u32; 16] = [
    0xd2a8_0001, // mov x1, #0x40000000
    0x5280_0962, // mov w2, #'K'
    0xb901_0022, // str w2, [x1, #256]
    0xb941_0023, // ldr w3, [x1, #256]
    0x6b03_005f, // cmp w2, w3
    0x5400_0121, // b.ne hang
    0xd2a1_2001, // mov x1, #0x9000000
    0x5280_8003, // mov w3, #1024
    0xb900_0022, // again: str w2, [x1]
    0x7100_0463, // subs w3, w3, #1
    0x54ff_ffc1, // b.ne again
    0x5280_0100, // mov w0, #0x8
    0x72b0_8000, // movk w0, #0x8400, lsl #16: PSCI SYSTEM_OFF (Arm DEN 0022)
    0xd400_0002, // hvc #0
    0xd503_207f, // hang: wfi
    0x17ff_ffff, // b hang
];
