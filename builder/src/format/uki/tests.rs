//! Sections in their order and at whole sectors, and every reason to refuse.

use super::*;
use crate::format::pe::{Headers, machine};
use crate::format::testing::judge;

/// A file that is for x86 what the writer looks at in a kernel.
pub(crate) fn kernel() -> Vec<u8> {
    let mut kernel = pe::tests::application(machine::X86_64);
    // In the padding behind the section table.
    kernel[0x202..0x208].copy_from_slice(b"HdrS\x0F\x02");
    kernel[0x238..0x23C].copy_from_slice(&2047u32.to_le_bytes());
    kernel
}

/// An image of small parts.
pub(crate) fn image() -> (Layout, Vec<u8>) {
    let (stub, kernel, initramfs) =
        (pe::tests::application(machine::X86_64), kernel(), b"070701 and so on".to_vec());
    let parts = Parts { initramfs: Some(&initramfs), ..parts(&stub, &kernel) };
    let mut out = Vec::new();
    (write(&parts, &mut out).unwrap(), out)
}

fn parts<'a>(stub: &'a [u8], kernel: &'a Vec<u8>) -> Parts<'a> {
    Parts {
        stub,
        kernel,
        initramfs: None,
        command_line: "console=ttyS0 root=LABEL=ü",
        release: "6.6.119",
        os_release: "ID=keelson\n",
    }
}

fn names(file: &[u8]) -> Vec<String> {
    Headers::read(&file).unwrap().sections.into_iter().map(|section| section.name).collect()
}

#[test]
fn kernel_and_initramfs_lie_at_whole_sectors_where_the_layout_says() {
    let (layout, out) = image();
    assert_eq!(
        names(&out),
        [".text", ".data", ".osrel", ".cmdline", ".uname", ".initrd", ".linux"]
    );
    let part = |range: &Range<u64>| {
        assert_eq!(range.start % 2048, 0);
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
        out[start..end].to_vec()
    };
    assert_eq!(part(&layout.kernel), kernel());
    assert_eq!(part(layout.initramfs.as_ref().unwrap()), b"070701 and so on");
    assert_eq!(layout.len_bytes, out.len() as u64);
    assert_eq!(image(), (layout, out), "the same parts give the same bytes");
}

#[test]
fn objdump_finds_the_texts() {
    let (_, out) = image();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), out).unwrap();
    let dump = ["-s", "-j", ".cmdline", "-j", ".uname"];
    let Some(dump) = judge("objdump", &dump, file.path()) else { return };
    assert!(dump.contains("console=ttyS0 ro") && dump.contains("6.6.119"), "{dump}");
}

#[test]
fn what_is_empty_is_left_out() {
    let (stub, kernel, nothing) =
        (pe::tests::application(machine::X86_64), kernel(), Vec::<u8>::new());
    let parts = Parts {
        command_line: "",
        os_release: "",
        initramfs: Some(&nothing),
        ..parts(&stub, &kernel)
    };
    let mut out = Vec::new();
    let layout = write(&parts, &mut out).unwrap();
    assert_eq!(names(&out), [".text", ".data", ".uname", ".linux"]);
    assert_eq!(layout.initramfs, None);
}

#[test]
fn a_command_line_fits_whole_or_is_refused() {
    let (stub, kernel) = (pe::tests::application(machine::X86_64), kernel());
    let mut older = kernel.clone();
    older[0x206] = 5;
    let mut short = kernel.clone();
    short[0x238..0x23C].copy_from_slice(&100u32.to_le_bytes());
    let arm = pe::tests::application(machine::AARCH64);
    for (stub, kernel, max_bytes) in
        [(&stub, &kernel, 2047), (&stub, &older, 255), (&stub, &short, 100), (&arm, &arm, 2047)]
    {
        let longest = "x".repeat(max_bytes);
        let parts = Parts { command_line: &longest, ..parts(stub, kernel) };
        assert!(write(&parts, &mut Vec::new()).is_ok(), "{max_bytes}");
        let longer = "x".repeat(max_bytes + 1);
        let parts = Parts { command_line: &longer, ..parts };
        let error = write(&parts, &mut Vec::new()).unwrap_err();
        assert_eq!(error.kind().exit_code(), 2);
        let wanted =
            format!("the command line has {} bytes, not at most {max_bytes}", max_bytes + 1);
        assert!(error.to_string().contains(&wanted), "{error}");
    }
    for bad in ["a\nb", "a\0b", "\u{7f}"] {
        let error = check_command_line(bad).unwrap_err().to_string();
        assert!(error.contains("control character"), "{error}");
    }
    assert!(check_command_line(&"x".repeat(2047)).is_ok());
    assert!(check_command_line(&"x".repeat(2048)).is_err());
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let (stub, mut kernel) = (pe::tests::application(machine::X86_64), kernel());
    kernel[0] = 0;
    let parts = Parts { command_line: "a\nb", ..parts(&stub, &kernel) };
    let error = write(&parts, &mut Vec::new()).unwrap_err().to_string();
    for part in ["no EFI stub", "control character", "hint: set CONFIG_EFI_STUB=y"] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
    let arm = pe::tests::application(machine::AARCH64);
    let parts = Parts { kernel: &arm, command_line: "", ..parts };
    let error = write(&parts, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("the kernel is for aarch64 and the UEFI stub for x86_64"), "{error}");
    let parts = Parts { stub: b"no PE file", ..parts };
    let error = write(&parts, &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("no PE file"), "{error}");
}
