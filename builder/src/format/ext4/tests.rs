//! e2fsck and dumpe2fs as judges, round trips, sizes and what is refused.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::MetadataExt;

use super::*;
use crate::format::MIB;
use crate::format::sink::FileRegion;
use crate::format::source::FileSource;
use crate::format::testing::{self, EPOCH_S, add, expected, file, full_tree, path, plain_tree};
use crate::tree::{FileTree, NodeKind};

fn options(size: Ext4Size) -> Ext4Options {
    Ext4Options {
        size,
        uuid: Guid::derive("test file system", &[]),
        hash_seed: Guid::derive("test hash seed", &[]),
        label: "testroot".into(),
        epoch_s: EPOCH_S,
        reserved_percent: 5,
    }
}

const FIT: Ext4Size = Ext4Size::Fit { free_bytes: 0 };

fn image(tree: &FileTree, size: Ext4Size) -> (tempfile::NamedTempFile, Ext4Summary) {
    let output = tempfile::NamedTempFile::new().unwrap();
    let summary = write(tree, &options(size), &mut FileRegion::whole(output.as_file())).unwrap();
    assert_eq!(output.as_file().metadata().unwrap().len(), summary.size_bytes);
    (output, summary)
}

fn open(image: &tempfile::NamedTempFile) -> Reader<FileSource> {
    Reader::open(FileSource::new(File::open(image.path()).unwrap()).unwrap()).unwrap()
}

fn kind(entry: &Entry) -> String {
    match &entry.kind {
        EntryKind::Directory => "directory".into(),
        EntryKind::File => format!("file {}", entry.size_bytes),
        EntryKind::Symlink { target } => format!("link {}", String::from_utf8_lossy(target)),
        EntryKind::CharDevice { major, minor } => format!("char {major}:{minor}"),
        EntryKind::BlockDevice { major, minor } => format!("block {major}:{minor}"),
        EntryKind::Fifo => "fifo".into(),
        EntryKind::Socket => "socket".into(),
    }
}

#[test]
fn every_kind_of_entry_survives_and_e2fsck_is_content() {
    for seed in 0..12 {
        let mut tree = full_tree(seed);
        let capability = vec![1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let node = tree.get_mut(&path("bin/sh")).unwrap();
        node.xattrs.insert(b"security.capability".to_vec(), capability.clone());
        node.xattrs.insert(b"user.long".to_vec(), vec![7; 2000]);
        let (image, _) = image(&tree, FIT);
        testing::judge("e2fsck", &["-fn"], image.path());
        let reader = open(&image);
        let mut entries = BTreeMap::new();
        reader
            .walk(|entry| {
                entries.insert(entry.path.clone(), entry);
                Ok(())
            })
            .unwrap();
        assert_eq!(entries.remove(b"lost+found".as_slice()).unwrap().mode, 0o700);
        assert_eq!(entries.len(), tree.len(), "seed {seed}");
        for (at, node) in tree.iter() {
            let entry = &entries[at.as_bytes()];
            let found = (kind(entry), entry.mode, entry.uid, entry.gid);
            assert_eq!(found, expected(&tree, node), "seed {seed}, {at}");
            assert_eq!(entry.mtime_s, i64::from(EPOCH_S));
            if let Some(bytes) = testing::content(&tree, node) {
                let mut content = Vec::new();
                reader.copy_content(entry, &mut content).unwrap();
                assert!(content == bytes, "seed {seed}: content of {at}");
            }
        }
        let shell = &entries[b"zz/last".as_slice()];
        assert_eq!((shell.nlink, shell.inode), (3, entries[b"bin/sh".as_slice()].inode));
        assert!(shell.xattrs.contains(&(b"security.capability".to_vec(), capability)));
        assert_eq!(reader.find(b"bin/alias").unwrap().unwrap().inode, shell.inode);
        assert_eq!(reader.find(b"bin/none").unwrap(), None);
        assert_eq!(reader.find(b"bin/sh/none").unwrap(), None);
    }
}

#[test]
fn parameters_are_what_dumpe2fs_sees() {
    let mut tree = FileTree::new();
    add(&mut tree, "f", file("x"), 0o644);
    let (image, summary) = image(&tree, Ext4Size::Fit { free_bytes: 100 * MIB });
    assert!(summary.free_bytes >= 100 * MIB && summary.free_bytes < 102 * MIB, "{summary:?}");
    let Some(dump) = testing::judge("dumpe2fs", &["-h"], image.path()) else { return };
    let uuid = options(FIT).uuid.to_string();
    for line in [
        "Filesystem volume name:   testroot",
        &format!("Filesystem UUID:          {uuid}"),
        "Filesystem state:         clean",
        "Filesystem created:       Tue Jan  2 03:04:06 2024",
        &format!("Free blocks:              {}", summary.free_bytes / BLOCK_BYTES),
        &format!("Inode count:              {}", summary.inodes),
    ] {
        assert!(dump.contains(line), "{line} is missing in\n{dump}");
    }
}

#[test]
fn equal_trees_give_equal_bytes_and_holes_stay_holes() {
    let tree = plain_tree(4);
    let (first, summary) = image(&tree, Ext4Size::Fixed { bytes: 300 * MIB });
    let (second, _) = image(&tree, Ext4Size::Fixed { bytes: 300 * MIB });
    let bytes = std::fs::read(first.path()).unwrap();
    assert!(bytes == std::fs::read(second.path()).unwrap());
    let mut in_memory = Vec::new();
    write(&tree, &options(Ext4Size::Fixed { bytes: 300 * MIB }), &mut in_memory).unwrap();
    assert!(bytes == in_memory);
    let on_disk = first.as_file().metadata().unwrap().blocks() * 512;
    let used = summary.size_bytes - summary.free_bytes;
    assert!(on_disk < used, "{on_disk} bytes on disk for {used} used: the journal is a hole");
}

#[test]
fn the_least_size_that_fits_is_found_for_any_tree() {
    for seed in 100..140 {
        let (image, summary) = image(&plain_tree(seed), FIT);
        if seed % 8 == 0 {
            testing::judge("e2fsck", &["-fn"], image.path());
        }
        let room = if summary.size_bytes == SIZE_MIN_BYTES { 16 * MIB } else { 2 * MIB };
        assert!(summary.free_bytes < room, "seed {seed}: {summary:?}");
    }
}

#[test]
fn many_files_and_large_directories_fit_what_was_measured() {
    // Beyond 32768 inodes a second block group is needed for them alone.
    for (count, free_max) in [(20_000, 4 * MIB), (36_000, 30 * MIB)] {
        let mut tree = FileTree::new();
        for number in 0..count {
            let name = format!("flat/{}{number}", "long-name-".repeat(number % 20));
            add(&mut tree, &name, file(if number % 3 == 0 { "x" } else { "" }), 0o644);
        }
        for number in 0..4000 {
            add(&mut tree, &format!("deep/{}/{number}/leaf", number % 70), file("leaf"), 0o644);
        }
        let (image, summary) = image(&tree, FIT);
        testing::judge("e2fsck", &["-fn"], image.path());
        assert!(summary.free_bytes < free_max, "{summary:?}");
        let mut found = 0;
        open(&image)
            .walk(|_| {
                found += 1;
                Ok(())
            })
            .unwrap();
        assert_eq!(found, tree.len() + 1, "everything and lost+found");
    }
}

#[test]
fn a_file_over_several_block_groups_arrives_whole() {
    let directory = tempfile::tempdir().unwrap();
    let host = directory.path().join("large");
    let large = File::create(&host).unwrap();
    let len = 700 * MIB + 12_345;
    large.set_len(len).unwrap();
    for at in (0..len).step_by(97 * 1024 * 1024) {
        std::os::unix::fs::FileExt::write_all_at(&large, &at.to_le_bytes(), at).unwrap();
    }
    let mut tree = FileTree::new();
    let content = crate::tree::Content::HostFile { path: host, size_bytes: len };
    add(&mut tree, "large", NodeKind::File(content), 0o644);
    let (image, summary) = image(&tree, FIT);
    testing::judge("e2fsck", &["-fn"], image.path());
    assert!(summary.free_bytes < 4 * MIB, "{summary:?}");
    let reader = open(&image);
    let entry = reader.find(b"large").unwrap().unwrap();
    assert_eq!(entry.size_bytes, len);
    let mut content = Marks { position: 0 };
    reader.copy_content(&entry, &mut content).unwrap();
    assert_eq!(content.position, len);
}

/// Checks the marks of the large file as it streams by.
struct Marks {
    position: u64,
}

impl std::io::Write for Marks {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let step = 97 * 1024 * 1024;
        let mark = self.position.next_multiple_of(step);
        if let Some(found) =
            usize::try_from(mark - self.position).ok().and_then(|at| bytes.get(at..at + 8))
        {
            assert_eq!(found, mark.to_le_bytes(), "mark at {mark}");
        }
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_image_too_small_says_what_it_needs() {
    let mut tree = FileTree::new();
    add(&mut tree, "big", file(vec![1; 30 * 1024 * 1024]), 0o644);
    let fails = |bytes| {
        let small = options(Ext4Size::Fixed { bytes });
        write(&tree, &small, &mut Vec::new()).unwrap_err().to_string()
    };
    let error = fails(20 * MIB);
    let needed = image(&tree, FIT).1.size_bytes;
    let sizes = format!("it needs {} MiB and has 20 MiB", needed / MIB);
    assert!(error.contains(&sizes) && error.contains("hint: give it a size"), "{error}");
    image(&tree, Ext4Size::Fixed { bytes: needed });
    assert!(fails(needed - MIB).contains("too small"));
    assert!(fails(MIB).contains("too small"));
    assert!(fails(20 * MIB + 1).contains("no multiple of 4096"));
}

#[test]
fn what_ext4_cannot_hold_is_an_error_that_names_every_path() {
    let mut tree = FileTree::new();
    add(&mut tree, "lost+found/x", file("x"), 0o644);
    add(&mut tree, "empty-link", NodeKind::Symlink(Box::default()), 0o777);
    add(&mut tree, "node", NodeKind::CharDevice { major: 5000, minor: 0 }, 0o600);
    let latin = crate::tree::TreePath::new(b"caf\xE9").unwrap();
    tree.insert(latin, crate::tree::Node::new(file("x"), 0o644, "the test")).unwrap();
    add(&mut tree, "odd", file("x"), 0o644);
    tree.get_mut(&path("odd")).unwrap().xattrs.insert(b"nonsense".to_vec(), vec![]);
    let mut wrong = options(FIT);
    wrong.label = "seventeen letters".into();
    let error = write(&tree, &wrong, &mut Vec::new()).unwrap_err().to_string();
    for part in ["/lost+found: ", "/empty-link: ", "/node: ", "/caf", "/odd: ", "the label"] {
        assert!(error.contains(part), "{part} is missing in: {error}");
    }
    let mut tree = FileTree::new();
    add(&mut tree, "lost+found", NodeKind::Directory, 0o700);
    let (image, _) = image(&tree, FIT);
    testing::judge("e2fsck", &["-fn"], image.path());
}

#[test]
fn a_file_of_holes_without_end_is_not_read() {
    let mut tree = FileTree::new();
    add(&mut tree, "endless", file(""), 0o644);
    let (image, _) = image(&tree, FIT);
    let set_size = format!("set_inode_field /endless size {}", 1_u64 << 62);
    if testing::judge("debugfs", &["-w", "-R", &set_size], image.path()).is_none() {
        return;
    }
    let reader = open(&image);
    let entry = reader.find(b"endless").unwrap().unwrap();
    let error = reader.copy_content(&entry, &mut std::io::sink()).unwrap_err();
    assert!(error.to_string().contains("/endless has 4611686018427387904 bytes"), "{error}");
}

#[test]
fn damaged_images_end_in_an_error_not_in_a_panic() {
    let mut good = Vec::new();
    write(&full_tree(6), &options(FIT), &mut good).unwrap();
    let mut random = testing::Random(11);
    // Damage where the metadata is; contents have no structure to damage.
    let metadata: Vec<usize> = (0..good.len()).filter(|at| good[*at] != 0).collect();
    let mut refused = 0;
    let rounds = 300;
    for _ in 0..rounds {
        let mut bad = std::mem::take(&mut good);
        let mut undo = Vec::new();
        for _ in 0..random.below(6) + 1 {
            let at = metadata[random.index(metadata.len())];
            undo.push((at, bad[at]));
            bad[at] = random.byte();
        }
        let walked = Reader::open(bad.as_slice()).and_then(|reader| {
            reader.walk(|entry| match entry.kind {
                EntryKind::File => reader.copy_content(&entry, &mut std::io::sink()),
                _ => Ok(()),
            })
        });
        refused += u32::from(walked.is_err());
        for (at, byte) in undo.into_iter().rev() {
            bad[at] = byte;
        }
        good = bad;
    }
    assert!(refused > 0);
}
