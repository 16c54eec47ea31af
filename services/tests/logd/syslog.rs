//! What programs say to syslog(3).

use std::fs;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::Signal;

use crate::bench::{Bench, wait_until};

/// The log that this process's own messages go to, and how they begin.
fn own_syslog() -> (&'static str, String) {
    let uid = rustix::process::geteuid();
    let name = if uid.is_root() { "syslog" } else { "syslog-users" };
    (name, format!("[{}] (uid {}): ", std::process::id(), uid.as_raw()))
}

#[test]
fn syslog_messages_are_logged_with_their_sender() {
    let bench = Bench::new();
    let path = bench.place.path().join("syslog");
    let option = format!("--syslog={}", path.display());
    let collector = bench.start(&[&option]);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(&path).unwrap();
    let (name, who) = own_syslog();
    let long = "x".repeat(20_000);
    for datagram in [
        &b"<85>Nov  7 12:00:01 sudo[1]: done\n"[..],
        b"<999>\xff\x1b[2J\nnext",
        b"",
        long.as_bytes(),
    ] {
        sender.send(datagram).unwrap();
    }
    wait_until("the last message", || bench.texts(name).len() == 4);
    let texts = bench.texts(name);
    assert_eq!(texts[0], format!("notice: sudo{who}done"));
    assert_eq!(texts[1], format!("notice: ?{who}<999>\\xff\\x1b[2J\\x0anext"));
    assert_eq!(texts[2], format!("notice: ?{who}"));
    assert!(
        texts[3].ends_with("x -- cut here") && texts[3].len() <= 8 * 1024,
        "{}",
        texts[3].len()
    );
    // Another one takes the place of a socket that was left behind, and goes on in the log.
    assert!(collector.end(Signal::KILL).1.is_empty());
    assert!(sender.send(b"<13>nobody listens").is_err());
    let collector = bench.start(&[&option]);
    sender.connect(&path).unwrap();
    sender.send(b"<11>again: here").unwrap();
    assert!(collector.end(Signal::TERM).0.success());
    assert_eq!(bench.texts(name)[4..], [format!("err: again{who}here")]);
}

#[test]
fn users_have_a_syslog_of_their_own_and_pass_no_files() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can send for somebody else");
        return;
    }
    let bench = Bench::new();
    let path = bench.place.path().join("syslog");
    let collector = bench.start(&["--file-size=64", &format!("--syslog={}", path.display())]);
    let sender = UnixDatagram::unbound().unwrap();
    sender.connect(&path).unwrap();
    sender.send(b"<13>root: first").unwrap();
    wait_until("the first message", || bench.texts("syslog").len() == 1);
    let files = || fs::read_dir(format!("/proc/{}/fd", collector.child.id())).unwrap().count();
    let before = files();
    for number in 0..3_000 {
        // Root may say that it is somebody else; the kernel holds others to the truth.
        let mut space =
            [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2), ScmCredentials(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let (pid, uid) = (rustix::process::getpid(), rustix::process::Uid::from_raw(1000));
        let somebody = rustix::net::UCred { pid, uid, gid: rustix::process::Gid::from_raw(1000) };
        assert!(control.push(SendAncillaryMessage::ScmCredentials(somebody)));
        let descriptors = [bench.notify.as_fd(), sender.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let payload = format!("<13>flood[{number}]: root: forged {}", "x".repeat(100));
        let payload = [IoSlice::new(payload.as_bytes())];
        sendmsg(&sender, &payload, &mut control, SendFlags::NOSIGNAL).unwrap();
    }
    sender.send(b"<13>root: last").unwrap();
    wait_until("the last message", || bench.texts("syslog").len() == 2);
    let (_, who) = own_syslog();
    assert_eq!(
        bench.texts("syslog"),
        [format!("notice: root{who}first"), format!("notice: root{who}last")]
    );
    let of_users = bench.texts("syslog-users");
    assert!(of_users.iter().all(
        |text| text.starts_with("notice: flood[") && text.contains("(uid 1000): root: forged")
    ));
    assert!(bench.directory().join("syslog-users.log.1").exists());
    // At work it may have another one open for a moment; of the flood there would be 6,000.
    assert!(files() <= before + 2, "files that come along are closed");
    assert!(collector.end(Signal::TERM).0.success());
}
