//! What services write: neither lost nor repeated, bounded, in order; and what is no pipe.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::bench::{Bench, Collector, INHERITING, LOGD, pipe, wait_until, write_numbers};

#[test]
fn a_killed_collector_loses_nothing() {
    let bench = Bench::new();
    let (reader, writer) = pipe();
    let numbers = write_numbers(writer, 100_000);
    let mut kills = 0;
    while !numbers.is_finished() {
        let collector = bench.start(&["--file-size=1048576"]);
        collector.send("numbers", &[&reader]);
        thread::sleep(Duration::from_millis(3 + u64::from(kills % 7)));
        let (status, _) = collector.end(Signal::KILL);
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9));
        kills += 1;
    }
    let last = bench.start(&["--file-size=1048576"]);
    last.send("numbers", &[&reader]);
    wait_until("the last line", || bench.read("numbers.log").ends_with("line 099999\n"));
    assert!(last.end(Signal::TERM).0.success());
    numbers.join().unwrap();
    assert!(kills >= 3, "only {kills} kills came before the end of the output");

    let mut expected = 0;
    let mut repeated = 0;
    for text in bench.texts("numbers") {
        let number: u32 = text.strip_prefix("line ").unwrap().parse().unwrap();
        assert!(number <= expected, "{expected} is missing after {kills} kills: {text}");
        repeated += u32::from(number < expected);
        expected = expected.max(number + 1);
    }
    assert_eq!(expected, 100_000);
    // A kill repeats at most what one turn takes from the pipe: 64 KiB of 12-byte lines.
    assert!(repeated <= kills * 5_462, "{repeated} lines came twice after {kills} kills");
    println!("{kills} kills, {repeated} lines came twice");
}

#[test]
fn an_orderly_restart_neither_loses_nor_repeats() {
    let bench = Bench::new();
    let (reader, writer) = pipe();
    let numbers = write_numbers(writer, 50_000);
    let mut restarts = 0;
    while !numbers.is_finished() {
        let collector = bench.start(&["--file-size=1048576"]);
        collector.send("numbers", &[&reader]);
        thread::sleep(Duration::from_millis(5));
        assert!(collector.end(Signal::TERM).0.success());
        restarts += 1;
    }
    numbers.join().unwrap();
    let last = bench.start(&["--file-size=1048576"]);
    last.send("numbers", &[&reader]);
    wait_until("the last line", || bench.read("numbers.log").ends_with("line 049999\n"));
    assert!(last.end(Signal::TERM).0.success());
    // A collector that ends logs the start of a line too, so lines may be in two pieces.
    let seen: String = bench.texts("numbers").concat();
    let written: String = (0..50_000).map(|n| format!("line {n:06}")).collect();
    assert!(seen == written, "after {restarts} restarts");
}

#[test]
fn files_stay_within_their_bound_and_keep_the_newest_lines() {
    let bench = Bench::new();
    let (reader, writer) = pipe();
    let collector = bench.start(&["--file-size=64"]);
    collector.send("chatty", &[&reader]);
    write_numbers(writer, 20_000).join().unwrap();
    wait_until("the last line", || bench.read("chatty.log").ends_with("line 019999\n"));
    assert!(collector.end(Signal::TERM).0.success());
    let (current, rotated) = (bench.read("chatty.log"), bench.read("chatty.log.1"));
    assert!(current.len() <= 65_536 && rotated.len() <= 65_536);
    assert!(current.len() + rotated.len() > 65_536);
    let texts = bench.texts("chatty");
    for (text, number) in texts.iter().zip(20_000 - texts.len()..) {
        assert_eq!(*text, format!("line {number:06}"));
    }
    let entries = fs::read_dir(bench.directory()).unwrap().count();
    assert_eq!(entries, 2, "two files for one service, no matter how much it says");
}

#[test]
fn the_start_of_a_line_waits_for_its_end_for_a_second() {
    let bench = Bench::new();
    let (reader, mut writer) = pipe();
    let collector = bench.start(&[]);
    collector.send("slow", &[&reader]);
    writer.write_all(b"whole\nin two ").unwrap();
    wait_until("the whole line", || bench.texts("slow") == ["whole"]);
    writer.write_all(b"pieces\n").unwrap();
    wait_until("the joined line", || bench.texts("slow") == ["whole", "in two pieces"]);
    let written = Instant::now();
    writer.write_all(b"prompt> ").unwrap();
    wait_until("the unfinished line", || bench.texts("slow").len() == 3);
    assert!(written.elapsed() >= Duration::from_millis(900), "{:?}", written.elapsed());
    assert_eq!(bench.texts("slow")[2], "prompt> ");
    // Nothing can end a line whose writers are gone.
    writer.write_all(b"last words").unwrap();
    let closed = Instant::now();
    drop(writer);
    wait_until("the last words", || bench.texts("slow").len() == 4);
    assert!(closed.elapsed() < Duration::from_millis(900), "{:?}", closed.elapsed());
    // 20,000 bytes without a newline are three records.
    let (reader, mut writer) = pipe();
    collector.send("long", &[&reader]);
    writer.write_all(&[b'x'; 20_000]).unwrap();
    drop(writer);
    wait_until("the long line", || bench.texts("long").len() == 3);
    assert_eq!(bench.texts("long").concat().len(), 20_000);
    assert!(collector.end(Signal::TERM).0.success());
}

#[test]
fn a_collector_that_ends_leaves_nothing_behind() {
    let bench = Bench::new();
    let collector = bench.start(&[]);
    let pipes: Vec<_> = (0..50).map(|_| pipe()).collect();
    for (number, (reader, _)) in pipes.iter().enumerate() {
        collector.send(&format!("service-{number}"), &[reader]);
    }
    wait_until("the last log", || bench.directory().join("service-49.log").exists());
    for (number, (_, writer)) in pipes.iter().enumerate() {
        write!(&*writer, "one\ntwo of {number}").unwrap();
    }
    assert!(collector.end(Signal::TERM).0.success());
    for number in 0..50 {
        let texts = bench.texts(&format!("service-{number}"));
        assert_eq!(texts, ["one".to_owned(), format!("two of {number}")]);
    }
}

#[test]
fn it_ends_when_pid_1_closes_the_socket() {
    let bench = Bench::new();
    let Collector { mut child, socket } = bench.start(&[]);
    drop(socket);
    assert!(child.wait().unwrap().success());
}

#[test]
fn nonsense_is_passed_over_by_name() {
    let bench = Bench::new();
    let (reader, mut writer) = pipe();
    let collector = bench.start(&[]);
    collector.send("../escape", &[&reader]);
    collector.send("nothing", &[]);
    collector.send("two", &[&reader, &reader]);
    collector.send(&"x".repeat(500), &[&reader]);
    collector.send("good", &[&reader]);
    writeln!(writer, "heard").unwrap();
    wait_until("the good one", || bench.texts("good") == ["heard"]);
    let (status, complaints) = collector.end(Signal::TERM);
    assert!(status.success());
    let complaints: Vec<_> = complaints.lines().collect();
    assert_eq!(complaints.len(), 4, "{complaints:?}");
    assert!(complaints[0].contains("\"../escape\"") && complaints[0].contains("'.'"));
    assert!(complaints[1].contains("carries 0 descriptors, not one"));
    assert!(complaints[2].contains("carries 2 descriptors, not one"));
    assert!(complaints[3].contains("too long"));
    assert_eq!(fs::read_dir(bench.directory()).unwrap().count(), 1);
}

#[test]
fn without_a_socket_it_says_who_starts_it() {
    for (value, message) in [
        (None, "LOG_SOCKET is not set"),
        (Some("x"), "no descriptor number"),
        (Some("99"), "(LOG_SOCKET)"),
    ] {
        let mut command = Command::new(LOGD);
        command.env_remove("LOG_SOCKET");
        command.envs(value.map(|value| ("LOG_SOCKET", value)));
        let guard = INHERITING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let output = command.output().unwrap();
        drop(guard);
        assert_eq!(output.status.code(), Some(1));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(message) && stderr.contains("hint: "), "{stderr}");
    }
}
