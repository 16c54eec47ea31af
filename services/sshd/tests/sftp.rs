//! File transfer by the bytes of the protocol, for what OpenSSH's client does not send.

#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const INIT: u8 = 1;
const OPEN: u8 = 3;
const WRITE_DATA: u8 = 6;
const SET_ATTRIBUTES: u8 = 10;
const REMOVE: u8 = 13;
const MKDIR: u8 = 14;
const SYMLINK: u8 = 20;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;

const READ: u32 = 0x01;
const WRITE: u32 = 0x02;
const APPEND: u32 = 0x04;
const CREATE: u32 = 0x08;
const TRUNCATE: u32 = 0x10;
const EXCLUDE: u32 = 0x20;

/// The server of one transfer, which works in a directory.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    fn start(directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sshd"));
        command.arg("sftp").current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = Self(command.spawn().unwrap());
        server.ask(INIT, &[&3_u32.to_be_bytes()]);
        server
    }

    /// Sends a packet; the type of the answer, and what is behind that.
    fn ask(&mut self, kind: u8, parts: &[&[u8]]) -> (u8, Vec<u8>) {
        let body = parts.concat();
        let length = u32::try_from(1 + body.len()).unwrap().to_be_bytes();
        let packet = [&length[..], &[kind], &body].concat();
        self.0.stdin.as_mut().unwrap().write_all(&packet).unwrap();
        let output = self.0.stdout.as_mut().unwrap();
        let mut length = [0; 4];
        output.read_exact(&mut length).unwrap();
        let mut answer = vec![0; u32::from_be_bytes(length).try_into().unwrap()];
        output.read_exact(&mut answer).unwrap();
        let rest = answer.split_off(1);
        (answer[0], rest)
    }

    /// Sends a request that has an id.
    fn request(&mut self, kind: u8, parts: &[&[u8]]) -> (u8, Vec<u8>) {
        let (kind, rest) = self.ask(kind, &[&1_u32.to_be_bytes(), &parts.concat()]);
        (kind, rest[4..].to_vec())
    }

    fn open(&mut self, name: &[u8], flags: u32) -> (u8, Vec<u8>) {
        self.request(OPEN, &[&string(name), &flags.to_be_bytes(), &NO_ATTRIBUTES])
    }
}

const NO_ATTRIBUTES: [u8; 4] = [0; 4];
/// The flag that says that a size follows.
const SIZE: u32 = 1;

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// Whether an answer says that a request failed, and this of why.
fn failed((kind, rest): &(u8, Vec<u8>), why: &str) -> bool {
    *kind == STATUS && rest[..4] != [0; 4] && String::from_utf8_lossy(rest).contains(why)
}

#[test]
fn names_that_are_not_utf_8_are_refused_and_are_not_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let mut server = Server::start(directory.path());
    let why = "a name is not UTF-8";
    for name in [&b"a\xe4.txt"[..], b"a\xf6.txt"] {
        let opened = server.open(name, WRITE | CREATE | TRUNCATE);
        assert!(failed(&opened, why), "{opened:?}");
        let made = server.request(MKDIR, &[&string(name), &NO_ATTRIBUTES]);
        assert!(failed(&made, why), "{made:?}");
        for (target, link) in [(name, &b"link"[..]), (b"target", name)] {
            let linked = server.request(SYMLINK, &[&string(target), &string(link)]);
            assert!(failed(&linked, why), "{linked:?}");
        }
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 0, "something was made");
    fs::write(directory.path().join("a\u{fffd}.txt"), "kept").unwrap();
    assert!(failed(&server.request(REMOVE, &[&string(b"a\xe4.txt")]), why));
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1, "another file was removed");
}

#[test]
fn files_are_opened_by_each_combination_of_flags() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let mut server = Server::start(directory.path());
    let cases = [
        ("read, made", None, READ | CREATE, Some("")),
        ("read, there", Some("old"), READ | CREATE, Some("old")),
        ("appended", Some("old"), WRITE | APPEND | CREATE, Some("oldnew")),
        ("appended from nothing", Some("old"), WRITE | APPEND | CREATE | TRUNCATE, Some("new")),
        ("appended and no more said", Some("old"), APPEND, Some("oldnew")),
        ("over the beginning", Some("older"), READ | WRITE, Some("newer")),
        ("another is there", Some("old"), WRITE | CREATE | EXCLUDE, None),
        ("nothing is there", None, WRITE, None),
    ];
    for (name, before, flags, after) in cases {
        let _ = fs::remove_file(&file);
        before.iter().for_each(|text| fs::write(&file, text).unwrap());
        let (kind, handle) = server.open(b"file", flags);
        assert_eq!(kind == HANDLE, after.is_some(), "{name}: {handle:?}");
        if let Some(after) = after {
            let offset = 0_u64.to_be_bytes();
            let wrote = server.request(WRITE_DATA, &[&handle, &offset, &string(b"new")]);
            assert_eq!(wrote.1[..4] == [0; 4], flags & (WRITE | APPEND) != 0, "{name}");
            assert_eq!(fs::read_to_string(&file).unwrap(), after, "{name}");
        }
    }
}

#[test]
fn an_open_file_is_cut_where_its_path_would_not_open_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    let mut server = Server::start(directory.path());
    fs::write(&file, "long").unwrap();
    let size = [&SIZE.to_be_bytes()[..], &2_u64.to_be_bytes()].concat();
    // To root every path opens; that what was opened to read alone is not written shows the same.
    let (_, readable) = server.open(b"file", READ);
    let refused = server.request(SET_ATTRIBUTES, &[&readable, &size]);
    assert!(failed(&refused, ""), "{refused:?}");
    let (_, writable) = server.open(b"file", WRITE);
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o400)).unwrap();
    let cut = server.request(SET_ATTRIBUTES, &[&writable, &size]);
    assert_eq!((cut.1[..4].to_vec(), fs::read(&file).unwrap()), (vec![0; 4], b"lo".to_vec()));
}
