//! Images written by the builder, as `inspect` sees them; damage and garbage.

use std::io::Write as _;

use super::*;
use crate::format::MIB;
use crate::format::bios_boot::{self, BootCode, Extent, Table};
use crate::format::bootconfig;
use crate::format::compress::{Compression, Encoder};
use crate::format::cpio::{self, CpioOptions, XattrPolicy};
use crate::format::ext4::{self, Ext4Options, Ext4Size};
use crate::format::fat::{self, FatOptions, FatSize};
use crate::format::gpt::{DiskOptions, Layout, PartitionOptions, partition_type};
use crate::format::guid::Guid;
use crate::format::{pe, uki};
use crate::tree::{Content, FileTree, Node, NodeKind, TreePath};
use sha2::{Digest, Sha256};

fn tree() -> FileTree {
    let mut tree = FileTree::new();
    let mut add = |path: &str, kind: NodeKind, mode: u16| {
        let node = Node::new(kind, mode, "the test");
        tree.insert(TreePath::new(path).unwrap(), node).unwrap();
    };
    let file = |text: &str| NodeKind::File(Content::Bytes(text.as_bytes().into()));
    add("usr/bin/shell", file("#!shell\n"), 0o4755);
    add("usr/bin/alias", NodeKind::HardLink(TreePath::new("usr/bin/shell").unwrap()), 0o755);
    add("bin", NodeKind::Symlink(b"usr/bin".as_slice().into()), 0o777);
    add("init", NodeKind::Symlink(b"/bin/shell".as_slice().into()), 0o777);
    add("dev/null", NodeKind::CharDevice { major: 1, minor: 3 }, 0o666);
    add("tmp", NodeKind::Directory, 0o1777);
    tree
}

fn archive(compression: Compression) -> Vec<u8> {
    let options = CpioOptions { mtime_s: 1, xattrs: XattrPolicy::Refuse };
    let mut encoder = Encoder::new(Vec::new(), compression).unwrap();
    cpio::write(&tree(), &options, &mut encoder).unwrap();
    encoder.finish().unwrap()
}

fn ext4_image() -> Vec<u8> {
    let mut tree = tree();
    let shell = tree.get_mut(&TreePath::new("usr/bin/shell").unwrap()).unwrap();
    shell.xattrs.insert(b"security.capability".to_vec(), vec![1, 0, 0, 2]);
    let options = Ext4Options {
        size: Ext4Size::Fit { free_bytes: 0 },
        uuid: Guid::derive("test", &[]),
        hash_seed: Guid::NIL,
        label: "root".into(),
        epoch_s: 1,
        reserved_percent: 0,
    };
    let mut image = Vec::new();
    ext4::write(&tree, &options, &mut image).unwrap();
    image
}

fn fat_image() -> Vec<u8> {
    fat_image_of(&[("EFI/BOOT/BOOTX64.EFI", b"kernel")])
}

fn fat_image_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tree = FileTree::new();
    for (path, content) in files {
        let kind = NodeKind::File(Content::Bytes((*content).into()));
        let path = TreePath::new(path).unwrap();
        tree.insert(path, Node::new(kind, 0o644, "the test")).unwrap();
    }
    let options = FatOptions {
        size: FatSize::Fit { free_bytes: 0 },
        volume_id: 0xABCD,
        label: "ESP".into(),
        epoch_s: 1,
        partition_lba: 0,
    };
    let mut image = Vec::new();
    fat::write(&tree, &options, &mut image).unwrap();
    image
}

fn disk() -> Vec<u8> {
    let contents = [
        ("esp", partition_type::ESP, fat_image()),
        ("root", partition_type::ROOT_X86_64, ext4_image()),
    ];
    let partitions = contents.iter().map(|(name, type_guid, content)| PartitionOptions {
        type_guid: *type_guid,
        guid: Guid::derive("partition", &[name.as_bytes()]),
        name: (*name).into(),
        attributes: 0,
        size_bytes: (content.len() as u64).next_multiple_of(MIB),
    });
    let options = DiskOptions {
        guid: Guid::derive("disk", &[]),
        partitions: partitions.collect(),
        size_bytes: None,
    };
    let layout = Layout::new(&options).unwrap();
    let mut disk = vec![0; usize::try_from(layout.disk_bytes()).unwrap()];
    for (partition, (_, _, content)) in layout.partitions().iter().zip(&contents) {
        let at = usize::try_from(partition.offset_bytes()).unwrap();
        disk[at..at + content.len()].copy_from_slice(content);
    }
    layout.write(&mut disk).unwrap();
    disk
}

fn text(image: &[u8]) -> String {
    inspect(&image).unwrap().to_string()
}

fn take(image: &[u8], path: &str) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    extract(&image, path, &mut out).map(|()| out)
}

const ENTRIES: &str = "\
drwxr-xr-x     0     0          - /
lrwxrwxrwx     0     0          - /bin -> usr/bin
drwxr-xr-x     0     0          - /dev
crw-rw-rw-     0     0       1, 3 /dev/null
lrwxrwxrwx     0     0          - /init -> /bin/shell
drwxrwxrwt     0     0          - /tmp
drwxr-xr-x     0     0          - /usr
drwxr-xr-x     0     0          - /usr/bin
-rwsr-xr-x     0     0          8 /usr/bin/alias
";

#[test]
fn an_archive_is_listed_whatever_it_is_packed_with() {
    for (compression, name) in [
        (Compression::None, ""),
        (Compression::GZIP_DEFAULT, ", gzip"),
        (Compression::ZSTD_DEFAULT, ", zstd"),
    ] {
        let listing = text(&archive(compression));
        let expected = format!("cpio archive{name}: 10 entries at byte 0\n{ENTRIES}");
        assert!(listing.starts_with(&expected), "{listing}");
    }
}

#[test]
fn archives_behind_each_other_and_a_boot_configuration_are_all_seen() {
    let mut image = archive(Compression::None);
    let second = image.len();
    image.extend(archive(Compression::ZSTD_DEFAULT));
    image.extend([0; 5]);
    image.extend(archive(Compression::GZIP_DEFAULT));
    let line = "root=LABEL=x quiet console=tty0";
    let configuration = bootconfig::from_command_line(line).unwrap();
    image.extend(bootconfig::trailer(&configuration, image.len() as u64).unwrap());
    let Report::Cpio(report) = inspect(&image).unwrap() else { panic!("no archive") };
    let found: Vec<_> = report.members.iter().map(|m| (m.compression, m.entries.len())).collect();
    assert_eq!(found, [(None, 10), (Some("zstd"), 10), (Some("gzip"), 10)]);
    assert_eq!(report.members[1].offset_bytes, second as u64);
    assert_eq!(report.bootconfig.as_ref().unwrap().command_line.as_deref(), Some(line));
    assert_eq!(take(&image, "/init").unwrap(), b"#!shell\n");
    let at = image.len() - 30;
    image[at] ^= 1;
    let error = inspect(&image).map(|report| report.to_string());
    assert!(error.unwrap_err().to_string().contains("neither an archive nor"));
}

#[test]
fn files_are_taken_out_through_links_and_by_any_name() {
    let (archive, ext4, disk) = (archive(Compression::ZSTD_DEFAULT), ext4_image(), disk());
    for image in [&archive, &ext4, &disk] {
        for path in ["/init", "init", "/usr/bin/shell", "usr/bin/alias"] {
            assert_eq!(take(image, path).unwrap(), b"#!shell\n", "{path}");
        }
        for path in ["/none", "/usr", "/dev/null", "/init/x"] {
            let error = take(image, path).unwrap_err();
            assert_eq!(error.kind().exit_code(), 2, "{path}: {error}");
        }
    }
    assert_eq!(take(&disk, "esp:/efi/boot/bootx64.efi").unwrap(), b"kernel");
    assert_eq!(take(&disk, "/EFI/BOOT/BOOTX64.EFI").unwrap(), b"kernel");
    assert_eq!(take(&disk, "2:/init").unwrap(), b"#!shell\n");
    let error = take(&disk, "esp:/init").unwrap_err().to_string();
    assert!(error.contains("has no file /init"), "{error}");
    assert!(take(br#"{"a": 1}"#, "/x").unwrap_err().to_string().contains("holds no files"));
}

#[test]
fn a_disk_shows_its_table_and_what_is_in_its_partitions() {
    let listing = text(&disk());
    for line in [
        "GPT disk, 22 MiB, GUID ",
        "partition 1, `esp`: 4 MiB at 1 MiB, EFI system, PARTUUID ",
        "FAT16 file system, room for 4 MiB, label `ESP`, volume 0000abcd",
        "-          6 /EFI/BOOT/BOOTX64.EFI",
        "partition 2, `root`: 16 MiB at 5 MiB, Linux root (x86_64), PARTUUID ",
        "ext4 file system, 16 MiB, ",
        "-rwsr-xr-x     0     0          8 /usr/bin/shell [security.capability]",
    ] {
        assert!(listing.contains(line), "{line} is missing in\n{listing}");
    }
    let json = serde_json::to_value(inspect(&disk()).unwrap()).unwrap();
    let root = &json["partitions"][1]["content"];
    assert_eq!((json["format"].as_str(), root["format"].as_str()), (Some("gpt"), Some("ext4")));
    let shell = root["entries"].as_array().unwrap().iter().find(|e| e["path"] == "/usr/bin/shell");
    assert_eq!(shell.unwrap()["xattrs"]["security.capability"], "01000002");
}

#[test]
fn kernels_are_known_by_their_headers() {
    let mut kernel = vec![0; 8192];
    let mut put = |at: usize, bytes: &[u8]| kernel[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"MZ");
    put(0x3C, &[0x40, 0, 0, 0]);
    put(0x40, b"PE\0\0");
    put(0x1F1, &[3]);
    put(0x202, b"HdrS\x0F\x02");
    put(0x20E, &0x400u16.to_le_bytes());
    put(0x600, b"6.6.119 (keelson@builder) #1 SMP\0");
    put(0x236, &[1]);
    put(0x238, &2047u32.to_le_bytes());
    put(0x248, &0x10u32.to_le_bytes());
    put(4 * 512 + 0x10, &[0x28, 0xB5, 0x2F, 0xFD]);
    let Report::BzImage(report) = inspect(&kernel).unwrap() else { panic!("no bzImage") };
    assert_eq!(report.release.as_deref(), Some("6.6.119 (keelson@builder) #1 SMP"));
    assert_eq!((report.boot_protocol.as_str(), report.compression), ("2.15", Some("zstd")));
    assert!(report.is_64 && report.has_efi_stub && report.command_line_max_bytes == 2047);

    let mut image = vec![0; 3 * 1024 * 1024];
    image[56..60].copy_from_slice(b"ARM\x64");
    image[24] = 0b1010;
    image[100..120].copy_from_slice(b"Linux version %s (%s");
    // Over the border of two steps of the search.
    let text = b"Linux version 6.6.119 (x) #1 SMP\n\0";
    let at = 1024 * 1024 - 7;
    image[at..at + text.len()].copy_from_slice(text);
    let Report::ArmImage(report) = inspect(&image).unwrap() else { panic!("no Image") };
    assert_eq!(report.release.as_deref(), Some("6.6.119 (x) #1 SMP"));
    assert_eq!((report.page_kib, report.has_efi_stub), (Some(4), false));
}

#[test]
fn a_bios_loader_is_shown_with_what_it_boots_and_what_is_wrong() {
    let mut disk = disk();
    let kernel = Extent::of(&disk, MIB + 512, 700).unwrap();
    let table = Table { kernel, initramfs: None, command_line: b"quiet a=\x1B[2J".to_vec() };
    let mut mbr = vec![0; bios_boot::MBR_CODE_BYTES];
    mbr[412..416].copy_from_slice(b"KEEL");
    let code = BootCode { cd: mbr.clone(), mbr, stage2: vec![1; 1024] };
    assert!(!text(&disk).contains("BIOS"));
    bios_boot::install(&code, &table, &mut disk).unwrap();
    let expected = format!(
        "BIOS loader: stage 2 at sector 34, 2 sectors, checksum {}\n\
         kernel:        700 bytes at sector 2049, checksum {}\n\
         command line:  quiet a=\\u{{1b}}[2J\n",
        bios_boot::Checksum::of(&code.stage2),
        kernel.checksum
    );
    let listing = text(&disk);
    assert!(listing.contains(&expected), "{listing}");
    disk[1024 * 1024 + 600] ^= 1;
    let listing = text(&disk);
    assert!(listing.contains("problem: the kernel has changed\nkernel: "), "{listing}");
    let json = serde_json::to_value(inspect(&disk).unwrap()).unwrap();
    assert_eq!(json["bios_loader"]["kernel"]["first_lba"], 2049);
    assert_eq!(json["bios_loader"]["problems"][0], "the kernel has changed");
}

#[test]
fn unified_kernel_images_are_shown_with_their_texts_by_themselves_and_in_a_file_system() {
    let (layout, uki) = uki::tests::image();
    let sha256 = |bytes: &[u8]| crate::cache::hex(&Sha256::digest(bytes));
    let os_release_at = pe::Headers::read(&uki).unwrap().section(".osrel").unwrap().offset_bytes;
    let listing = text(&uki);
    for line in [
        format!("unified kernel image for x86_64, {} bytes\n", uki.len()),
        format!(".osrel           11 bytes at {os_release_at:>9}, SHA-256 "),
        "\n    ID=keelson\n".into(),
        "\n    console=ttyS0 root=LABEL=ü\n".into(),
        format!("SHA-256 {}\n    6.6.119\n", sha256(b"6.6.119")),
        format!("at {:>9}, SHA-256 {}\n", layout.kernel.start, sha256(&uki::tests::kernel())),
    ] {
        assert!(listing.contains(&line), "{line} is missing in\n{listing}");
    }
    assert_eq!(take(&uki, ".linux").unwrap(), uki::tests::kernel());
    assert_eq!(take(&uki, ".uname").unwrap(), b"6.6.119");
    let error = take(&uki, ".dtb").unwrap_err();
    assert_eq!(error.kind().exit_code(), 2);
    assert!(error.to_string().contains("no section .dtb"), "{error}");

    let application = pe::tests::application(pe::machine::AARCH64);
    assert!(text(&application).starts_with("UEFI application for aarch64, "));
    let image = fat_image_of(&[
        ("EFI/BOOT/BOOTX64.EFI", &uki),
        ("EFI/BOOT/BOOTAA64.EFI", &application),
        ("EFI/KERNEL.EFI", &uki::tests::kernel()),
        ("EFI/broken.efi", b"kernel"),
        ("EFI/notes.txt", b"MZ"),
    ]);
    let expected = [
        format!("\n/EFI/BOOT/BOOTAA64.EFI: {}", text(&application)),
        format!("\n/EFI/BOOT/BOOTX64.EFI: {listing}"),
        format!("\n/EFI/KERNEL.EFI: {}", text(&uki::tests::kernel())),
        "\n/EFI/broken.efi: ".into(),
    ];
    let found = text(&image);
    assert!(found.contains(&expected.concat()), "{found}");
    let json = serde_json::to_value(inspect(&image).unwrap()).unwrap();
    let sections = &json["efi_files"][1]["content"]["sections"];
    assert_eq!(sections[3]["text"], "console=ttyS0 root=LABEL=ü");
}

#[test]
fn content_of_the_same_length_differs_by_its_digest() {
    let changed = |image: &[u8], content: &[u8]| {
        let at = image.windows(content.len()).position(|window| window == content).unwrap();
        let mut image = image.to_vec();
        image[at] ^= 1;
        image
    };
    for (image, content, expected) in [
        (archive(Compression::None), "#!shell", &["members 1 /usr/bin/alias"][..]),
        (fat_image(), "kernel", &["/EFI/BOOT/BOOTX64.EFI"]),
        (disk(), "#!shell", &["partition 2 /usr/bin/alias", "partition 2 /usr/bin/shell"]),
    ] {
        let other = changed(&image, content.as_bytes());
        let found = differences(&inspect(&image).unwrap(), &inspect(&other).unwrap()).unwrap();
        assert_eq!(found, []);
        let [old, new] = [&image, &other].map(|image| inspect_content(image).unwrap());
        let found = differences(&old, &new).unwrap();
        let places: Vec<String> = found.iter().map(|one| one.place.join(" ")).collect();
        let expected: Vec<String> =
            expected.iter().map(|place| format!("{place} sha256")).collect();
        assert_eq!(places, expected);
    }
}

#[test]
fn programs_and_manifests_are_shown() {
    let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let listing = text(&program);
    assert!(
        listing.contains("static:       no") && listing.contains("needs:        libc.so"),
        "{listing}"
    );
    let manifest = br#" {"image": "standard", "outputs": []}"#.to_vec();
    assert!(text(&manifest).contains("\"standard\""));
}

#[test]
fn garbage_is_an_error_with_a_hint() {
    for (garbage, part) in [
        (b"".to_vec(), "the file is empty"),
        (b"hello".to_vec(), "nothing that is known here"),
        ([&b"QFI\xFB\0\0\0\x03"[..], &[0; 4096], b"EFI PART", &[0; 504]].concat(), "qcow2 format"),
        (vec![0xA5; 100_000], "nothing that is known here"),
        (b"{ not json".to_vec(), "begins like JSON"),
        (b"070701garbage".to_vec(), "damaged"),
        (b"\x7FELF\x02\x01\x01".to_vec(), "damaged"),
        (b"\xFD7zXZ\0...".to_vec(), "compressed with xz"),
    ] {
        let error = inspect(&garbage).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let mut encoder = Encoder::new(Vec::new(), Compression::GZIP_DEFAULT).unwrap();
    encoder.write_all(b"no archive").unwrap();
    let error = inspect(&encoder.finish().unwrap()).unwrap_err().to_string();
    assert!(error.contains("the gzip data holds no cpio archive"), "{error}");
}

#[test]
fn control_characters_in_names_do_not_reach_the_terminal() {
    let mut tree = FileTree::new();
    let kind = NodeKind::File(Content::Bytes(b"".as_slice().into()));
    let path = TreePath::new(b"evil\x1b[2Jname\n").unwrap();
    tree.insert(path, Node::new(kind, 0o644, "the test")).unwrap();
    let mut image = Vec::new();
    let options = CpioOptions { mtime_s: 1, xattrs: XattrPolicy::Refuse };
    cpio::write(&tree, &options, &mut image).unwrap();
    assert!(text(&image).contains("/evil\\u{1b}[2Jname\\n"), "{}", text(&image));
}

#[test]
fn damage_of_any_kind_is_survived() {
    let mut state = 99u64;
    let mut random = |below: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let images = [
        archive(Compression::None),
        archive(Compression::ZSTD_DEFAULT),
        archive(Compression::GZIP_DEFAULT),
        ext4_image(),
        fat_image(),
        uki::tests::image().1,
        disk(),
    ];
    let mut refused = 0;
    for mut image in images {
        let marked: Vec<usize> = (0..image.len()).filter(|at| image[*at] != 0).collect();
        for _ in 0..60 {
            let undo: Vec<(usize, u8)> = (0..=random(5))
                .map(|_| {
                    let at = marked[random(marked.len())];
                    let old = image[at];
                    image[at] = random(256).to_le_bytes()[0];
                    (at, old)
                })
                .collect();
            refused += u32::from(inspect(&image).map(|report| report.to_string()).is_err());
            let _either = take(&image, "/init");
            for (at, old) in undo.into_iter().rev() {
                image[at] = old;
            }
        }
        for _ in 0..10 {
            let cut = image[..random(image.len())].to_vec();
            let _either = inspect(&cut);
        }
    }
    assert!(refused > 0);
}
