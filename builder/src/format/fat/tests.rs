//! fsck.fat and mtools as judges, round trips, contiguity and what is refused.

use std::fs::File;

use super::*;
use crate::format::MIB;
use crate::format::sink::FileRegion;
use crate::format::source::Source;
use crate::format::testing::{EPOCH_S, Random, add, content, file, judge, path, plain_tree};
use crate::tree::{FileTree, NodeKind};

fn options(size: FatSize) -> FatOptions {
    FatOptions {
        size,
        volume_id: 0x1234_ABCD,
        label: "esp".into(),
        epoch_s: EPOCH_S,
        partition_lba: 2048,
    }
}

const FIT: FatSize = FatSize::Fit { free_bytes: 0 };

fn esp() -> FileTree {
    let mut tree = FileTree::new();
    add(&mut tree, "EFI/BOOT/BOOTX64.EFI", file(vec![7; 100_000]), 0o644);
    add(&mut tree, "loader/entries/keelson-6.6.119.conf", file("title Keelson\n"), 0o644);
    add(&mut tree, "initrd.img", file(vec![9; 5000]), 0o644);
    add(&mut tree, "empty", file(""), 0o644);
    tree
}

fn image(tree: &FileTree, size: FatSize) -> (tempfile::NamedTempFile, FatSummary) {
    let output = tempfile::NamedTempFile::new().unwrap();
    let summary = write(tree, &options(size), &mut FileRegion::whole(output.as_file())).unwrap();
    assert_eq!(output.as_file().metadata().unwrap().len(), summary.size_bytes);
    (output, summary)
}

#[test]
fn fsck_and_mtools_agree_for_every_type() {
    for (mib, type_name) in
        [(4, "FAT16"), (16, "FAT16"), (63, "FAT16"), (64, "FAT32"), (300, "FAT32")]
    {
        let (image, summary) = image(&esp(), FatSize::Fixed { bytes: mib * MIB });
        let reader = Reader::open(
            crate::format::source::FileSource::new(File::open(image.path()).unwrap()).unwrap(),
        )
        .unwrap();
        assert_eq!(
            (reader.type_name(), reader.label(), reader.volume_id()),
            (type_name, "ESP", 0x1234_ABCD)
        );
        if let Some(verdict) = judge("fsck.fat", &["-nv"], image.path()) {
            assert!(!verdict.to_lowercase().contains("differ"), "{verdict}");
            assert!(verdict.contains("2048 hidden sectors"), "{verdict}");
        }
        if let Some(list) = judge("mdir", &["-/", "-b", "-i"], image.path()) {
            for name in
                ["EFI/BOOT/BOOTX64.EFI", "loader/entries/keelson-6.6.119.conf", "initrd.img"]
            {
                assert!(list.contains(name), "{name} is missing in {list}");
            }
        }
        assert!(summary.free_bytes < mib * MIB);
    }
}

#[test]
fn files_lie_in_one_piece_where_the_summary_says() {
    let tree = esp();
    let mut bytes = Vec::new();
    let summary = write(&tree, &options(FIT), &mut bytes).unwrap();
    assert_eq!(summary.files.len(), 3, "the empty file lies nowhere");
    let reader = Reader::open(bytes.as_slice()).unwrap();
    for extent in &summary.files {
        let expected = content(&tree, tree.get(&extent.path).unwrap()).unwrap();
        let start = usize::try_from(extent.offset_bytes).unwrap();
        assert!(&bytes[start..start + expected.len()] == expected, "{}", extent.path);
        assert_eq!(extent.offset_bytes % SECTOR_BYTES, 0);
        let name = String::from_utf8(extent.path.as_bytes().to_vec()).unwrap();
        let entry = reader.find(&name).unwrap().unwrap();
        assert!(reader.is_contiguous(&entry).unwrap());
        let file = reader.content(&entry).unwrap();
        assert_eq!(file.len_bytes(), expected.len() as u64);
        // Across clusters, to the last byte and past it.
        for at in [0, expected.len() / 3, expected.len() - 1] {
            let mut part = vec![0; expected.len() - at];
            file.read_at(at as u64, &mut part).unwrap();
            assert!(part == expected[at..], "{} at {at}", extent.path);
            part.push(0);
            assert!(file.read_at(at as u64, &mut part).is_err());
        }
    }
}

#[test]
fn any_tree_survives_a_round_trip() {
    for seed in 0..25 {
        let tree = plain_tree(seed);
        let free_bytes = if seed % 3 == 0 { 70 * MIB } else { 0 };
        let (image, summary) = image(&tree, FatSize::Fit { free_bytes });
        assert!(summary.free_bytes >= free_bytes);
        if seed % 4 == 0 {
            judge("fsck.fat", &["-n"], image.path());
        }
        let bytes = std::fs::read(image.path()).unwrap();
        let reader = Reader::open(bytes.as_slice()).unwrap();
        let mut count = 0;
        reader
            .walk(|entry| {
                count += 1;
                let node = tree.get(&path(&entry.path)).unwrap();
                assert_eq!(entry.is_directory, matches!(node.kind, NodeKind::Directory));
                assert_eq!(entry.mtime_s, Some(i64::from(EPOCH_S)));
                let mut found = Vec::new();
                reader.copy_content(&entry, &mut found).unwrap();
                assert!(
                    found == content(&tree, node).unwrap_or_default(),
                    "seed {seed}, {}",
                    entry.path
                );
                Ok(())
            })
            .unwrap();
        assert_eq!(count, tree.len() - 1, "seed {seed}");
        let mut again = Vec::new();
        write(&tree, &options(FatSize::Fit { free_bytes }), &mut again).unwrap();
        assert!(again == bytes, "seed {seed}: equal trees give equal bytes");
    }
}

#[test]
fn a_file_system_too_small_says_what_it_needs() {
    let mut tree = FileTree::new();
    add(&mut tree, "kernel", file(vec![1; 10 * 1024 * 1024]), 0o644);
    let fails = |bytes| {
        write(&tree, &options(FatSize::Fixed { bytes }), &mut Vec::new()).unwrap_err().to_string()
    };
    let needed = image(&tree, FIT).1.size_bytes / MIB;
    let error = fails(8 * MIB);
    assert!(error.contains(&format!("it needs {needed} MiB and has 8 MiB")), "{error}");
    image(&tree, FatSize::Fixed { bytes: needed * MIB });
    assert!(fails((needed - 1) * MIB).contains("too small"));
    let lacking = |bytes| lacking(&tree, "ESP", bytes).unwrap();
    for too_small in [0, MIB, 8 * MIB, (needed - 1) * MIB] {
        assert_eq!(lacking(too_small), Some(needed * MIB), "{too_small}");
    }
    for enough in [needed * MIB, 64 * MIB] {
        assert_eq!(lacking(enough), None, "{enough}");
    }
    assert!(fails(MIB).contains("at least 4 MiB"));
    assert!(fails(8 * MIB + 1).contains("no multiple of 512"));
}

#[test]
fn what_fat_cannot_hold_is_an_error_that_names_every_path() {
    let mut tree = esp();
    add(&mut tree, "link", NodeKind::Symlink(b"x".as_slice().into()), 0o777);
    add(&mut tree, "EFI/boot", file("x"), 0o644);
    add(&mut tree, "a:b", file("x"), 0o644);
    let error = write(&tree, &options(FIT), &mut Vec::new()).unwrap_err().to_string();
    for part in ["/link: FAT has only", "/EFI/boot: ", "only in case", "/a:b: "] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
    let mut wrong = options(FIT);
    wrong.label = "twelve chars".into();
    assert!(write(&esp(), &wrong, &mut Vec::new()).is_err());
    let mut crowded = FileTree::new();
    for number in 0..600 {
        add(&mut crowded, &format!("F{number}"), file(""), 0o644);
    }
    let error = write(&crowded, &options(FIT), &mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("at most 512 entries"), "{error}");
    let (large, _) = image(&crowded, FatSize::Fixed { bytes: 64 * MIB });
    judge("fsck.fat", &["-n"], large.path());
}

#[test]
fn damaged_file_systems_end_in_an_error_not_in_a_panic() {
    let mut good = Vec::new();
    write(&plain_tree(9), &options(FIT), &mut good).unwrap();
    let mut random = Random(13);
    for _ in 0..1000 {
        let mut undo = Vec::new();
        for _ in 0..random.below(6) + 1 {
            // The boot sector, the FATs and the directories come first.
            let at = random.index(200_000);
            undo.push((at, good[at]));
            good[at] = random.byte();
        }
        let _either = Reader::open(good.as_slice()).and_then(|reader| {
            let mut left = 10_000;
            reader.walk(|entry| {
                left -= 1;
                if left == 0 {
                    return Err(crate::error::Error::failure("enough"));
                }
                reader.is_contiguous(&entry).map(|_| ())
            })
        });
        for (at, byte) in undo.into_iter().rev() {
            good[at] = byte;
        }
    }
}
