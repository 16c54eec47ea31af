//! Downloads: what is resumed, what is refused, who is asked next.

use std::fs;

use builder::cache::file_sha256;
use builder::download::{Failure, Wanted, fetch};
use builder::shell::Shell;

use crate::server::{Answer, Server, nobodys_url};

/// Content that is longer than any buffer on the way.
fn content() -> Vec<u8> {
    (0..400_000_u32).flat_map(u32::to_le_bytes).collect()
}

struct Case {
    directory: tempfile::TempDir,
    content: Vec<u8>,
    sha256: String,
}

impl Case {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let content = content();
        let whole = directory.path().join("whole");
        fs::write(&whole, &content).unwrap();
        let sha256 = file_sha256(&whole).unwrap();
        Self { directory, content, sha256 }
    }

    fn server(&self, answers: &[Answer]) -> Server {
        Server::start(self.content.clone(), answers.to_vec())
    }

    fn partial(&self) -> std::path::PathBuf {
        self.directory.path().join("partial")
    }

    fn fetch(&self, urls: &[String]) -> Result<(), Failure> {
        let wanted = Wanted { name: "f", sha256: &self.sha256, remedy: "fetch it again" };
        fetch(&Shell::new(true), &wanted, urls, &self.partial())
    }

    fn fetch_whole(&self, urls: &[String]) {
        self.fetch(urls).unwrap();
        assert!(fs::read(self.partial()).unwrap() == self.content, "the file is whole");
    }
}

#[test]
fn a_file_comes_whole() {
    let case = Case::new();
    let server = case.server(&[]);
    case.fetch_whole(&[server.url("f")]);
    assert_eq!(server.requests(), [None]);
}

#[test]
fn a_cut_connection_is_resumed_where_it_broke() {
    let case = Case::new();
    let server = case.server(&[Answer::Cut(100_000), Answer::Cut(50_000)]);
    case.fetch_whole(&[server.url("f")]);
    assert_eq!(server.requests(), [None, Some(100_000), Some(150_000)]);
}

#[test]
fn a_later_run_resumes_what_an_earlier_one_left() {
    let case = Case::new();
    fs::write(case.partial(), &case.content[..70_000]).unwrap();
    let server = case.server(&[]);
    case.fetch_whole(&[server.url("f")]);
    assert_eq!(server.requests(), [Some(70_000)]);
}

#[test]
fn a_complete_partial_file_is_recognised() {
    let case = Case::new();
    fs::write(case.partial(), &case.content).unwrap();
    let server = case.server(&[]);
    case.fetch_whole(&[server.url("f")]);
}

#[test]
fn a_damaged_beginning_is_found_and_fetched_again() {
    let case = Case::new();
    fs::write(case.partial(), vec![7; 70_000]).unwrap();
    let server = case.server(&[]);
    case.fetch_whole(&[server.url("f")]);
    assert_eq!(server.requests(), [Some(70_000), None]);
}

#[test]
fn a_server_that_knows_no_ranges_is_no_obstacle() {
    let case = Case::new();
    let server = case.server(&[Answer::Cut(100_000), Answer::IgnoreRange]);
    case.fetch_whole(&[server.url("f")]);
}

#[test]
fn wrong_bytes_are_refused_with_both_digests() {
    let case = Case::new();
    let server = case.server(&[Answer::Wrong]);
    let Err(Failure::Mismatch(error)) = case.fetch(&[server.url("f")]) else {
        panic!("wrong bytes were taken")
    };
    let text = error.to_string();
    assert!(text.contains(&format!("wanted sha256 {}", case.sha256)), "{text}");
    assert!(text.contains("got    sha256 "), "{text}");
    assert!(!case.partial().exists(), "nothing of it stays");
}

#[test]
fn wrong_bytes_from_one_server_leave_the_next_its_chance() {
    let case = Case::new();
    let (bad, good) = (case.server(&[Answer::Wrong]), case.server(&[]));
    case.fetch_whole(&[bad.url("f"), good.url("f")]);
}

#[test]
fn the_next_url_is_asked_when_one_has_not_the_file() {
    let case = Case::new();
    let (missing, mirror) = (case.server(&[Answer::Status(404)]), case.server(&[]));
    case.fetch_whole(&[nobodys_url("f"), missing.url("f"), mirror.url("f")]);
    assert_eq!(missing.requests().len(), 1, "a 404 is not tried again");
}

#[test]
fn when_nobody_has_it_every_reason_is_told() {
    let case = Case::new();
    let server = case.server(&[Answer::Status(503)]);
    let urls = [nobodys_url("f"), server.url("f")];
    let Err(Failure::Unreachable(reasons)) = case.fetch(&urls) else { panic!("who answered?") };
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].starts_with(&urls[0]), "{reasons:?}");
    assert!(reasons[1].contains("503"), "{reasons:?}");
}

#[test]
fn a_server_that_never_gets_anywhere_is_given_up() {
    let case = Case::new();
    let server = case.server(&vec![Answer::Cut(0); 20]);
    assert!(matches!(case.fetch(&[server.url("f")]), Err(Failure::Unreachable(_))));
    assert_eq!(server.requests().len(), 3);
}
