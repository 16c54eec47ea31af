//! `gzip` that a signal ends.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SYSTOOLS: &str = env!("CARGO_BIN_EXE_systools");

fn names(place: &Path) -> Vec<String> {
    let entries = fs::read_dir(place).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A program that compresses what takes it long, and has begun. It gets the signals that whoever
/// runs the test has it ignore, as nohup(1) does.
fn begun(place: &Path, script: &str) -> Child {
    fs::File::create(place.join("a")).unwrap().set_len(1 << 40).unwrap();
    let child = Command::new("env")
        .args(["--default-signal", "sh", "-c", script])
        .env("SYSTOOLS", SYSTOOLS)
        .current_dir(place)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    while names(place).len() < 2 {
        assert!(Instant::now() < deadline, "it does not begin");
        sleep(Duration::from_millis(10));
    }
    child
}

fn send(signal: &str, child: &Child) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// The signal that has ended it.
fn ended_by(mut child: Child) -> Option<i32> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().unwrap() {
            return status.signal();
        }
        sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("it goes on");
}

#[test]
fn gzip_that_is_ended_leaves_the_file_alone() {
    for (signal, number) in [("-HUP", 1), ("-INT", 2), ("-TERM", 15)] {
        let place = tempfile::tempdir().unwrap();
        let child = begun(place.path(), "exec $SYSTOOLS gzip a");
        send(signal, &child);
        assert_eq!(ended_by(child), Some(number));
        assert_eq!(names(place.path()), ["a"], "{signal}");
    }
}

#[test]
fn gzip_is_not_ended_by_what_it_is_to_ignore() {
    let place = tempfile::tempdir().unwrap();
    let mut child = begun(place.path(), "trap '' HUP; exec $SYSTOOLS gzip a");
    send("-HUP", &child);
    sleep(Duration::from_millis(300));
    assert_eq!(child.try_wait().unwrap(), None);
    send("-TERM", &child);
    assert_eq!(ended_by(child), Some(15));
    assert_eq!(names(place.path()), ["a"]);
}
