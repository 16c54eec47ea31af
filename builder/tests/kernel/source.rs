//! Where the source comes from, and what is refused.

use std::fs;
use std::path::PathBuf;

use builder::cache::Cache;
use builder::error::Result;
use builder::kernel::pin::Pin;
use builder::kernel::source::{Source, SourceKind, SourceRequest, resolve};
use builder::shell::Shell;

use crate::server::{Server, nobodys_url};
use crate::support::{Workplace, file, package, tar, tar_xz, tree};

struct Case {
    directory: tempfile::TempDir,
    pin: Pin,
}

impl Case {
    /// A case whose pin is the stand-in's tarball at `url`.
    fn new(url: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (_, sha256) = file(directory.path(), "linux-6.6.1.tar.xz", &tar_xz());
        let pin = Pin {
            version: "6.6.1".into(),
            url: url.into(),
            sha256,
            mirrors: Vec::new(),
            debian_packages: Vec::new(),
        };
        Self { directory, pin }
    }

    fn resolve(&self, request: &SourceRequest) -> Result<Source> {
        resolve(&Shell::new(true), &self.cache(), &self.pin, request)
    }

    fn cache(&self) -> Cache {
        Cache::at(self.directory.path().join("cache")).unwrap()
    }

    fn given(&self, name: &str, bytes: &[u8]) -> SourceRequest {
        let (path, _) = file(self.directory.path(), name, bytes);
        SourceRequest { given: Some(path), ..SourceRequest::default() }
    }

    /// The tree of a source that must be the stand-in.
    fn assert_tree(&self, source: &Source) -> PathBuf {
        let tree = source.tree(&Shell::new(true), &self.cache()).unwrap();
        let ours = fs::read(crate::support::tree().join("fs/Kconfig")).unwrap();
        assert_eq!(fs::read(tree.join("fs/Kconfig")).unwrap(), ours);
        tree
    }
}

#[test]
fn a_release_is_fetched_once_and_then_found() {
    let server = Server::start(tar_xz(), Vec::new());
    let case = Case::new(&server.url("linux-6.6.1.tar.xz"));
    for request in [
        SourceRequest::default(),
        SourceRequest { offline: true, locked: true, ..SourceRequest::default() },
    ] {
        let source = case.resolve(&request).unwrap();
        assert_eq!(source.record.kind, SourceKind::Release);
        assert_eq!(source.record.version, "6.6.1");
        assert_eq!(source.record.origin, case.pin.url);
        case.assert_tree(&source);
    }
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn the_mirror_of_the_environment_is_asked_first_and_not_recorded() {
    let (mirror, origin) =
        (Server::start(tar_xz(), Vec::new()), Server::start(tar_xz(), Vec::new()));
    let case = Case::new(&origin.url("linux-6.6.1.tar.xz"));
    let request = SourceRequest { mirror: Some(mirror.url("pub/")), ..SourceRequest::default() };
    let source = case.resolve(&request).unwrap();
    assert_eq!((mirror.requests().len(), origin.requests().len()), (1, 0));
    assert_eq!(source.record.origin, case.pin.url);
}

#[test]
fn offline_asks_nobody() {
    let server = Server::start(tar_xz(), Vec::new());
    let case = Case::new(&server.url("linux-6.6.1.tar.xz"));
    let request = SourceRequest { offline: true, ..SourceRequest::default() };
    let error = case.resolve(&request).unwrap_err().to_string();
    assert!(error.contains("--offline") && error.contains("hint:"), "{error}");
    assert!(server.requests().is_empty());
}

#[test]
fn a_given_archive_may_have_any_compression() {
    let case = Case::new(&nobodys_url("linux-6.6.1.tar.xz"));
    let gzip = {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, &tar()).unwrap();
        encoder.finish().unwrap()
    };
    let zstd = zstd::encode_all(&tar()[..], 1).unwrap();
    for (name, bytes) in [
        ("a.tar", tar()),
        ("a.tar.gz", gzip),
        ("a.tar.zst", zstd),
        ("misnamed.zip", tar_xz().into_iter().collect()),
        ("linux-source.deb", package()),
    ] {
        let source =
            case.resolve(&case.given(name, &bytes)).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(source.record.version, "6.6.1", "{name}");
        case.assert_tree(&source);
    }
}

#[test]
fn the_pinned_tarball_is_the_release_wherever_it_lies() {
    let case = Case::new(&nobodys_url("linux-6.6.1.tar.xz"));
    let request = SourceRequest { locked: true, ..case.given("renamed.tar.xz", &tar_xz()) };
    assert_eq!(case.resolve(&request).unwrap().record.kind, SourceKind::Release);
}

#[test]
fn one_flipped_byte_in_the_pinned_tarball_is_told_with_both_digests() {
    let case = Case::new(&nobodys_url("linux-6.6.1.tar.xz"));
    let mut bytes = tar_xz();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let error = case.resolve(&case.given("linux-6.6.1.tar.xz", &bytes)).unwrap_err().to_string();
    assert!(error.contains(&format!("wanted sha256 {}", case.pin.sha256)), "{error}");
    // Under another name there is nothing to compare with, but xz notices.
    let error = case.resolve(&case.given("mine.tar.xz", &bytes)).unwrap_err().to_string();
    assert!(error.contains("damaged or truncated"), "{error}");
    assert!(case.directory.path().join("mine.tar.xz").exists(), "a person's file is never removed");
}

#[test]
fn a_truncated_archive_is_damaged_at_whatever_length() {
    let case = Case::new(&nobodys_url("linux-6.6.1.tar.xz"));
    let zstd = zstd::encode_all(&tar()[..], 1).unwrap();
    for (name, bytes) in [("a.tar.xz", tar_xz()), ("a.tar.zst", zstd), ("a.deb", package())] {
        for length in [bytes.len() / 3, bytes.len() - 2] {
            let error = case.resolve(&case.given(name, &bytes[..length])).unwrap_err().to_string();
            assert!(error.contains("damaged or truncated"), "{name} {length}: {error}");
            assert!(error.contains("hint:"), "{error}");
        }
    }
}

#[test]
fn what_is_no_archive_of_sources_is_told_apart_from_a_damaged_one() {
    let case = Case::new(&nobodys_url("linux-6.6.1.tar.xz"));
    let text = b"root:x:0:0:root:/root:/bin/bash\n".repeat(40);
    let compressed = zstd::encode_all(&text[..], 1).unwrap();
    for (name, bytes) in [("passwd", &text), ("passwd.zst", &compressed)] {
        let error = case.resolve(&case.given(name, bytes)).unwrap_err().to_string();
        let place = format!("{name}: it is neither a tar archive nor a Debian package\nhint: name");
        assert!(error.contains(&place), "{error}");
    }
}

#[test]
fn a_given_tree_is_used_where_it_is_and_keyed_by_content() {
    let case = Case::new(&nobodys_url("linux-6.6.1.tar.xz"));
    let request = SourceRequest { given: Some(tree()), ..SourceRequest::default() };
    let source = case.resolve(&request).unwrap();
    assert_eq!(source.record.kind, SourceKind::Directory);
    assert_eq!(source.record.origin, "directory", "no path of the host");
    assert_eq!(case.assert_tree(&source), tree().canonicalize().unwrap());
    let locked = SourceRequest { locked: true, ..request };
    assert!(case.resolve(&locked).unwrap_err().to_string().contains("--locked"));
}

#[test]
fn what_is_no_kernel_source_is_said_to_be_none() {
    let case = Case::new(&nobodys_url("linux-6.6.1.tar.xz"));
    let missing =
        SourceRequest { given: Some("/no/such/place".into()), ..SourceRequest::default() };
    let error = case.resolve(&missing).unwrap_err().to_string();
    assert!(error.contains("/no/such/place") && error.contains("hint:"), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let request = SourceRequest { given: Some(empty.path().into()), ..SourceRequest::default() };
    let error = case.resolve(&request).unwrap_err().to_string();
    assert!(error.contains("is no kernel source tree"), "{error}");
}

#[test]
fn an_archive_cannot_write_outside_of_its_place() {
    let case = Case::new(&nobodys_url("linux-6.6.1.tar.xz"));
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o644);
    let name = b"../../escaped";
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_cksum();
    archive.append(&header, &b"x"[..]).unwrap();
    let error = case.resolve(&case.given("evil.tar", &archive.into_inner().unwrap())).unwrap_err();
    assert!(error.to_string().contains("outside of itself"), "{error}");
}

#[test]
fn the_fallback_is_announced_remembered_and_refused_when_locked() {
    let place = Workplace::new(&nobodys_url("linux-6.6.1.tar.xz"), &"0".repeat(64), &[]);
    let (deb, _) = file(place.directory.path(), "package", &package());
    place.program(
        "apt-get",
        &format!(
            "case \"$*\" in *'download linux-source-6.12') echo ran >> {0}/apt.log; \
             cp {1} linux-source-6.12_6.12.9-1~deb12u1_all.deb;; *) exit 100;; esac",
            place.directory.path().display(),
            deb.display()
        ),
    );
    let text = place.kernel(&["why", "PROC_FS", "--locked"]).ends_with(1);
    assert!(text.contains("--locked refuses") && text.contains("KEELSON_KERNEL_MIRROR"), "{text}");
    let text = place.kernel(&["why", "PROC_FS", "--offline"]).ends_with(1);
    assert!(text.contains("--offline"), "{text}");
    assert!(!place.path("apt.log").exists(), "neither asked the distribution");
    if !crate::support::can_build() {
        return;
    }
    let text = place.kernel(&["why", "PROC_FS"]).ends_with(0);
    assert!(
        text.contains("warning: Linux 6.6.1 is out of reach")
            && text.contains("linux-source-6.12_6.12.9-1~deb12u1_all.deb"),
        "{text}"
    );
    let text = place.kernel(&["why", "PROC_FS"]).ends_with(0);
    assert!(text.contains("--locked tries again"), "said again: {text}");
    assert_eq!(fs::read_to_string(place.path("apt.log")).unwrap(), "ran\n", "but fetched once");
    let mirror = nobodys_url("");
    let text = place.kernel_by_mirror(&["why", "PROC_FS", "--offline"], &mirror).ends_with(0);
    assert!(text.contains("--locked tries again"), "offline the mirror is not asked: {text}");
    let text = place.kernel_by_mirror(&["why", "PROC_FS"], &mirror).ends_with(0);
    assert!(text.contains("warning: Linux 6.6.1 is out of reach"), "else it is: {text}");
}
