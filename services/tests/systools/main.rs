//! `systools` as people call it: the programs themselves, their output and status.

#![expect(clippy::unwrap_used, reason = "all of this file is test code")]

mod archives;
mod ended;
mod in_the_way;

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

fn run(place: &Path, line: &str) -> Output {
    feed(place, line, b"")
}

/// Runs a tool by `systools NAME …` with this on its standard input.
fn feed(place: &Path, line: &str, input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_systools"))
        .args(line.split_whitespace())
        .current_dir(place)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// Runs a shell's script, in which `$0` is `systools`.
fn shell(place: &Path, script: &str) -> Output {
    Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_systools")])
        .current_dir(place)
        .output()
        .unwrap()
}

fn stdout(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn ps_shows_this_process_and_its_own_parent() {
    let place = tempfile::tempdir().unwrap();
    let pid = std::process::id();
    let output = stdout(&run(place.path(), &format!("ps -o pid=,ppid= -p {pid}")));
    assert_eq!(output.split_whitespace().next().unwrap(), pid.to_string());
    let json = stdout(&run(place.path(), "ps -e -o pid,comm --json"));
    let list: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(list.as_array().unwrap().iter().any(|process| process["pid"] == pid));
    assert_eq!(run(place.path(), "ps -p 4194304").status.code(), Some(1));
}

#[test]
fn top_and_free_write_to_a_pipe() {
    let place = tempfile::tempdir().unwrap();
    let output = stdout(&run(place.path(), "top -b -n 2 -d 0.1"));
    assert_eq!(output.lines().filter(|line| line.starts_with("top - up ")).count(), 2);
    assert_eq!(run(place.path(), "top").status.code(), Some(1));
    let output = stdout(&run(place.path(), "free -m"));
    assert!(output.contains("Mem:") && output.contains("available"), "{output}");
}

/// What a tool shows on a terminal.
fn show(line: &str) -> String {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&person).unwrap();
    unlockpt(&person).unwrap();
    let name = ptsname(&person, Vec::new()).unwrap();
    let terminal: File = open(&*name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).unwrap().into();
    let mut command = Command::new(env!("CARGO_BIN_EXE_systools"));
    command
        .args(line.split_whitespace())
        .stdin(terminal.try_clone().unwrap())
        .stdout(terminal.try_clone().unwrap())
        .stderr(terminal);
    let mut child = command.spawn().unwrap();
    // It keeps the terminal open, which ends for the person once nobody does (EIO).
    drop(command);
    let mut shown = Vec::new();
    let _ = File::from(person).read_to_end(&mut shown);
    assert!(child.wait().unwrap().success());
    String::from_utf8(shown).unwrap()
}

#[test]
fn the_last_of_so_many_screens_of_top_stays() {
    let pid = std::process::id();
    let shown = show(&format!("top -n 2 -d 0.1 -p {pid}"));
    let (screens, left) = shown.split_once("\x1b[?1049l").unwrap();
    assert_eq!(screens.matches("top - up ").count(), 2);
    assert_eq!(left.matches("top - up ").count(), 1, "{left:?}");
    assert!(left.lines().any(|line| line.trim_start().starts_with(&pid.to_string())), "{left:?}");
    assert!(left.ends_with("\r\n") && !left.contains('\x1b'), "{left:?}");
}

#[test]
fn less_is_cat_in_a_pipe() {
    let place = tempfile::tempdir().unwrap();
    assert_eq!(stdout(&feed(place.path(), "less", b"one\ntwo\n")), "one\ntwo\n");
    assert_eq!(run(place.path(), "less missing").status.code(), Some(1));
}

#[test]
fn a_name_that_is_no_tool_is_a_wrong_command_line() {
    let place = tempfile::tempdir().unwrap();
    for (line, code) in [("", 2), ("nonsense", 2), ("resize", 1), ("gzip --nonsense", 2)] {
        assert_eq!(run(place.path(), line).status.code(), Some(code), "systools {line}");
    }
    let packed = feed(place.path(), "gzip", b"hello").stdout;
    assert_eq!(stdout(&feed(place.path(), "zcat", &packed)), "hello");
    assert_eq!(feed(place.path(), "gunzip", b"hello").status.code(), Some(1));
}

#[test]
fn names_in_errors_do_not_steer_the_terminal() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("plain\x1b[2J"), "x").unwrap();
    for line in [
        "less no\x1b[2J",
        "gzip no\x1b[2J",
        "gzip -l plain\x1b[2J",
        "gzip -v plain\x1b[2J",
        "tar xf no\x1b[2J",
        "tar cf /dev/null no\x1b[2J",
        "no\x1b[2J",
    ] {
        let output = run(place.path(), line);
        let all = [output.stdout, output.stderr].concat();
        let text = String::from_utf8(all).unwrap();
        assert!(text.contains("?[2J") && !text.contains('\x1b'), "{line:?}: {text:?}");
    }
}
