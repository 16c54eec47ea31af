//! Files there and back, and everything that can be wrong with them.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use super::*;

fn gzip(line: &str, place: &Path) -> Result<()> {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap();
    let words = words
        .map(|word| if word.starts_with('-') { word.into() } else { place.join(word).into() })
        .collect();
    run(name, words)
}

#[test]
fn a_file_goes_there_and_back_with_mode_and_time() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("a");
    let text = "abc ".repeat(50_000);
    fs::write(&file, &text).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    File::open(&file).unwrap().set_modified(time).unwrap();
    gzip("gzip -9 a", place.path()).unwrap();
    assert!(!file.exists());
    let packed = place.path().join("a.gz");
    let metadata = fs::metadata(&packed).unwrap();
    assert!(metadata.len() < 2_000);
    assert_eq!(metadata.permissions().mode() & 0o777, 0o640);
    assert_eq!(metadata.modified().unwrap(), time);
    gzip("gunzip -k a.gz", place.path()).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), text);
    assert!(packed.exists());
    assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), time);
    // Both are there now: neither is replaced unless that is asked for.
    gzip("gzip a", place.path()).unwrap_err();
    assert!(file.exists());
    gzip("gzip -f a", place.path()).unwrap();
    assert!(!file.exists());
}

#[test]
fn damage_is_found_and_leaves_nothing_behind() {
    let place = tempfile::tempdir().unwrap();
    let noise: Vec<u8> =
        (0..100_000_u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect();
    fs::write(place.path().join("a"), noise).unwrap();
    gzip("gzip a", place.path()).unwrap();
    let packed = place.path().join("a.gz");
    let whole = fs::read(&packed).unwrap();
    gzip("gzip -t a.gz", place.path()).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 0x55;
    for (name, bytes) in [
        ("truncated", &whole[..whole.len() - 9]),
        ("flipped", &flipped[..]),
        ("no gzip", b"hello, world, and more"),
        ("empty header", &whole[..5]),
    ] {
        fs::write(&packed, bytes).unwrap();
        assert!(gzip("gzip -t a.gz", place.path()).is_err(), "{name}");
        assert!(gzip("gunzip a.gz", place.path()).is_err(), "{name}");
        assert!(packed.exists() && !place.path().join("a").exists(), "{name}");
    }
}

#[test]
fn what_is_there_stays_until_the_result_is_whole() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::write(at("a"), "new").unwrap();
    gzip("gzip -k a", place.path()).unwrap();
    fs::write(at("a"), "good").unwrap();
    let whole = fs::read(at("a.gz")).unwrap();
    fs::write(at("a.gz"), &whole[..whole.len() - 4]).unwrap();
    gzip("gunzip -f a.gz", place.path()).unwrap_err();
    assert_eq!(fs::read_to_string(at("a")).unwrap(), "good");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
    fs::write(at("a.gz"), &whole).unwrap();
    gzip("gunzip a.gz", place.path()).unwrap_err();
    assert_eq!(fs::read_to_string(at("a")).unwrap(), "good");
    gzip("gunzip -f a.gz", place.path()).unwrap();
    assert_eq!(fs::read_to_string(at("a")).unwrap(), "new");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn nothing_is_replaced_that_came_meanwhile() {
    let place = tempfile::tempdir().unwrap();
    let target = place.path().join("a");
    let ending = Ending::catch().unwrap();
    let draft = Draft::begin(&target, &ending).unwrap();
    fs::write(&target, "other").unwrap();
    let error = draft.publish(&target, false).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read_to_string(&target).unwrap(), "other");
    Draft::begin(&target, &ending).unwrap().publish(&target, true).unwrap();
    assert_eq!(fs::read_to_string(&target).unwrap(), "");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
}

#[test]
fn links_are_not_replaced_unless_that_is_asked_for() {
    let place = tempfile::tempdir().unwrap();
    let at = |name: &str| place.path().join(name);
    fs::write(at("a"), "text").unwrap();
    std::os::unix::fs::symlink("a", at("link")).unwrap();
    for line in ["gzip link", "gzip -k link"] {
        let Err(Failure::Reported(_)) = gzip(line, place.path()) else { panic!("{line}") };
        assert!(at("link").is_symlink() && !at("link.gz").exists(), "{line}");
    }
    gzip("gzip -f link", place.path()).unwrap();
    assert!(!at("link").is_symlink() && at("link.gz").exists() && at("a").exists());
    fs::hard_link(at("a"), at("b")).unwrap();
    gzip("gzip a", place.path()).unwrap_err();
    assert!(at("a").exists() && !at("a.gz").exists());
    gzip("gzip -k a", place.path()).unwrap();
    gzip("gzip -f a", place.path()).unwrap();
    assert!(!at("a").exists() && at("a.gz").exists() && at("b").exists());
    // What changes nothing follows links.
    std::os::unix::fs::symlink("a.gz", at("c.gz")).unwrap();
    for line in ["gzip -t c.gz", "gzip -l c.gz", "gunzip -c c.gz"] {
        gzip(line, place.path()).unwrap();
    }
}

#[test]
fn several_members_are_one_file() {
    let mut packed = Vec::new();
    for part in ["one ", "two"] {
        let header = GzBuilder::new();
        compress(part.as_bytes(), &mut packed, header, 6, Path::new("x")).unwrap();
    }
    let mut text = Vec::new();
    let sizes = expand(&packed[..], &mut text, Path::new("x")).unwrap();
    assert_eq!((text, sizes), (b"one two".to_vec(), (packed.len() as u64, 7)));
}

#[test]
fn names_follow_the_suffix() {
    for (mode, from, to) in [
        (Mode::Compress, "/x/a", Some("/x/a.gz")),
        (Mode::Compress, "/x/a.gz", None),
        (Mode::Expand, "/x/a.gz", Some("/x/a")),
        (Mode::Expand, "/x/a.tgz", Some("/x/a.tar")),
        (Mode::Expand, "/x/a", None),
        (Mode::Expand, "/x.gz/a", None),
        (Mode::Expand, ".gz", None),
    ] {
        let found = target(mode, Path::new(from)).ok();
        assert_eq!(found.as_deref(), to.map(Path::new), "{from}");
    }
}

#[test]
fn the_name_decides_what_is_done() {
    let parse = |name, line: &str| {
        let words = line.split_whitespace().map(OsString::from).collect();
        arguments::parse(name, words).unwrap().unwrap()
    };
    assert_eq!(parse("gzip", "").mode, Mode::Compress);
    assert_eq!(parse("gzip", "-dc x").mode, Mode::Expand);
    assert_eq!(parse("gunzip", "x").mode, Mode::Expand);
    assert!(parse("zcat", "x").to_stdout);
    assert_eq!((parse("gzip", "-9k").level, parse("gzip", "--fast").level), (9, 1));
    assert_eq!(parse("gzip", "").files, [PathBuf::from("-")]);
}
