//! Packages made up to be read, and to be refused.

use std::fs;

use super::*;

/// A tar archive of entries: path, type, mode, content or link target.
fn tar(entries: &[(&str, EntryType, u32, &str)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, mode, content) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_uid(7);
        header.set_gid(42);
        // As bytes: the crate refuses to write what it should refuse to read.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        let is_link = matches!(kind, EntryType::Symlink | EntryType::Link);
        if is_link {
            header.as_old_mut().linkname[..content.len()].copy_from_slice(content.as_bytes());
        }
        let data = if is_link { "" } else { content };
        header.set_size(data.len() as u64);
        header.set_cksum();
        builder.append(&header, data.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap()
}

fn package(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = ar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

fn read(package: &[u8]) -> (tempfile::TempDir, Result<Vec<Entry>, String>) {
    let directory = tempfile::tempdir().unwrap();
    let result = unpack_archive(package, directory.path()).map_err(|error| error.to_string());
    (directory, result)
}

const VERSION: (&str, &[u8]) = ("debian-binary", b"2.0\n");

#[test]
fn what_a_package_holds_is_read_in_any_compression() {
    let data = tar(&[
        ("./", EntryType::Directory, 0o755, ""),
        ("./usr/", EntryType::Directory, 0o750, ""),
        ("./usr/a", EntryType::Regular, 0o4755, "content"),
        ("./usr/b", EntryType::Symlink, 0o777, "/etc/../a"),
        ("./usr/c", EntryType::Link, 0o4755, "./usr/a"),
    ]);
    let zstd = zstd::encode_all(&data[..], 1).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, &data).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut xz = Vec::new();
    liblzma::read::XzEncoder::new(&data[..], 0).read_to_end(&mut xz).unwrap();
    for (name, bytes) in
        [("data.tar", &data), ("data.tar.zst", &zstd), ("data.tar.gz", &gzip), ("data.tar.xz", &xz)]
    {
        let package = package(&[VERSION, ("control.tar.xz", b"never read"), (name, bytes)]);
        let (directory, entries) = read(&package);
        let entries = entries.unwrap();
        let shown: Vec<String> = entries
            .iter()
            .map(|entry| format!("{} {:o} {}:{}", entry.path, entry.mode, entry.uid, entry.gid))
            .collect();
        assert_eq!(
            shown,
            ["usr 750 7:42", "usr/a 4755 7:42", "usr/b 777 7:42", "usr/c 4755 7:42"],
            "{name}"
        );
        assert_eq!(entries[2].kind, EntryKind::Symlink("/etc/../a".into()));
        assert_eq!(entries[3].kind, EntryKind::HardLink("usr/a".into()));
        let EntryKind::File { content, size_bytes: 7 } = &entries[1].kind else {
            panic!("{:?}", entries[1])
        };
        assert_eq!(fs::read_to_string(directory.path().join(content)).unwrap(), "content");
    }
}

#[test]
fn what_no_package_should_hold_is_refused() {
    let file = EntryType::Regular;
    let data = |path: &str, kind, content: &str| {
        package(&[VERSION, ("data.tar", &tar(&[(path, kind, 0o644, content)]))])
    };
    let good = data("./a", file, "content");
    for (name, bytes, says) in [
        ("a path out of it", data("./../../etc/passwd", file, "x"), "has a `..`"),
        ("a path through ..", data("a/../../b", file, "x"), "has a `..`"),
        ("a hard link out of it", data("a", EntryType::Link, "../../etc/passwd"), "has a `..`"),
        ("a link to nowhere", data("a", EntryType::Symlink, ""), "leads to no path"),
        ("a device", data("a", EntryType::Char, ""), "is of the type Char"),
        ("no archive", package(&[VERSION]), "has no file system archive"),
        ("another format", package(&[("debian-binary", b"3.0\n")]), "no package of format 2"),
        ("no package", package(&[("x", b"y")]), "no package of format 2"),
        ("one that is cut", good[..good.len() - 1024 - 509].to_vec(), "ends within a"),
    ] {
        let (directory, result) = read(&bytes);
        let error = result.expect_err(name);
        assert!(error.contains(says), "{name}: {error}");
        let above = directory.path().parent().unwrap();
        assert!(!above.join("etc/passwd").exists() || above.starts_with("/etc"), "{name}");
    }
}

#[test]
fn an_absolute_path_is_one_of_the_tree() {
    let data = tar(&[("/etc/x", EntryType::Regular, 0o644, "x")]);
    let (_, entries) = read(&package(&[VERSION, ("data.tar", &data)]));
    assert_eq!(entries.unwrap()[0].path, "etc/x");
}
