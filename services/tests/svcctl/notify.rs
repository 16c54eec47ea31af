//! What a script of a service tells PID 1.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::bench::SVCCTL;

/// `svcctl notify` with `words`, called by a service whose readiness socket is `socket`.
fn notify(socket: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(SVCCTL);
    command.arg("notify").args(words).env("NOTIFY_SOCKET", socket).stderr(Stdio::piped());
    command
}

#[test]
fn it_ends_when_pid_1_has_taken_what_it_said() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let receive = || {
        let mut bytes = [0; 100];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let words = ["--ready", "--status", "3 peers\nREADY=0"];
    let mut running = notify(&path, &words).spawn().unwrap();
    assert_eq!(receive(), "READY=1\nSTATUS=3 peers READY=0\n");
    thread::sleep(Duration::from_millis(200));
    assert!(running.try_wait().unwrap().is_none(), "what is behind it was not taken");
    // The kernel closes the descriptor that comes along: nobody makes room for it.
    assert_eq!(receive(), "BARRIER=1");
    assert!(running.wait().unwrap().success());
}

#[test]
fn nobody_to_tell_is_a_failure_with_a_remedy() {
    let place = tempfile::tempdir().unwrap();
    let missing = place.path().join("missing");
    let mut unasked = notify(&missing, &["--ready"]);
    unasked.env_remove("NOTIFY_SOCKET");
    for (mut command, said) in [
        (notify(&missing, &["--ready"]), "cannot tell PID 1: No such file"),
        (unasked, "NOTIFY_SOCKET is not set"),
    ] {
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(said) && text.contains("hint: "), "{text}");
    }
}
