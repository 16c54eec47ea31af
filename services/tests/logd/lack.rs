//! Where something is missing: a log that cannot be opened, descriptors, room on the disk.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::bench::{Bench, Collector, LOGD, pipe, wait_until, write_numbers};

#[test]
fn a_log_that_cannot_be_opened_does_not_hold_up_its_service() {
    let bench = Bench::new();
    fs::create_dir_all(bench.directory().join("stuck.log")).unwrap();
    let collector = bench.start(&[]);
    let (reader, writer) = pipe();
    collector.send("stuck", &[&reader]);
    // Four times what the pipe holds.
    let numbers = write_numbers(writer.try_clone().unwrap(), 20_000);
    wait_until("the end of the output", || numbers.is_finished());
    wait_until("an empty pipe", || rustix::io::ioctl_fionread(&reader).unwrap() == 0);
    fs::remove_dir(bench.directory().join("stuck.log")).unwrap();
    writeln!(&writer, "room again").unwrap();
    wait_until("the line", || bench.read("stuck.log").ends_with("room again\n"));
    let dropped = "-- 20000 lines dropped: the log could not be written";
    assert_eq!(bench.texts("stuck"), [dropped, "room again"]);
    let (status, complaints) = collector.end(Signal::TERM);
    assert!(status.success());
    let complaints: Vec<_> = complaints.lines().collect();
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    assert!(complaints[0].contains("cannot open the log of `stuck`: "), "{complaints:?}");
    assert!(complaints[1].contains("output of `stuck` is lost: "), "{complaints:?}");
}

/// Starts a collector through a shell that limits its open files with `ulimit` first.
fn start_limited(bench: &Bench, limit: &str) -> Collector {
    let script = format!("ulimit {limit} && exec \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, LOGD, "--no-kernel-log", "--no-syslog", "--directory"]);
    command.arg(bench.directory());
    bench.start_command(command)
}

#[test]
fn it_opens_as_many_files_as_it_may() {
    let bench = Bench::new();
    let collector = start_limited(&bench, "-S -n 128");
    let pipes: Vec<_> = (0..100).map(|_| pipe()).collect();
    for (number, (reader, _)) in pipes.iter().enumerate() {
        collector.send(&format!("service-{number}"), &[reader]);
    }
    for (number, (_, writer)) in pipes.iter().enumerate() {
        writeln!(&*writer, "of {number}").unwrap();
    }
    for number in 0..100 {
        let name = format!("service-{number}");
        wait_until(&name, || bench.texts(&name) == [format!("of {number}")]);
    }
    let (status, complaints) = collector.end(Signal::TERM);
    assert_eq!((status.success(), complaints.as_str()), (true, ""));
}

#[test]
fn at_the_limit_on_open_files_it_says_what_is_missing() {
    let bench = Bench::new();
    let collector = start_limited(&bench, "-n 128");
    let pipes: Vec<_> = (0..100).map(|_| pipe()).collect();
    for (number, (reader, _)) in pipes.iter().enumerate() {
        collector.send(&format!("service-{number}"), &[reader]);
    }
    // Whoever came first is not harmed by the others.
    writeln!(&pipes[0].1, "heard").unwrap();
    wait_until("the first", || bench.texts("service-0") == ["heard"]);
    let (status, complaints) = collector.end(Signal::TERM);
    assert!(status.success());
    assert!(complaints.contains("descriptor did not arrive; is the limit on open files reached?"));
    assert!(!complaints.contains("too long"), "{complaints}");
}

/// Whether this host lets a test mount a tmpfs of its own.
fn can_mount() -> bool {
    let script = "mount -t tmpfs -o size=64k none /mnt";
    Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_costs_old_records_first_and_never_the_service() {
    if !can_mount() {
        println!("skipped: unshare cannot mount a tmpfs here");
        return;
    }
    let bench = Bench::new();
    fs::create_dir(bench.directory()).unwrap();
    // 128 KiB for two services that would take up to 256 KiB.
    let script = r#"mount -t tmpfs -o size=128k none "$1" && exec "$2" --directory "$1" --no-kernel-log --no-syslog --file-size 64"#;
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    command.arg(bench.directory()).arg(LOGD);
    let collector = bench.start_command(command);
    // The mount is seen from inside only.
    let inside = |name: &str| {
        let root = format!("/proc/{}/root", collector.child.id());
        Path::new(&root).join(bench.directory().strip_prefix("/").unwrap()).join(name)
    };
    let read = |name: &str| fs::read_to_string(inside(name)).unwrap_or_default();
    let (reader, writer) = pipe();
    collector.send("first", &[&reader]);
    write_numbers(writer, 3_000).join().unwrap();
    wait_until("the first service", || read("first.log").ends_with("line 002999\n"));
    assert!(inside("first.log.1").exists());
    // The second service finds the disk full; the first one's old records give way.
    let (reader, writer) = pipe();
    collector.send("second", &[&reader]);
    let numbers = write_numbers(writer.try_clone().unwrap(), 1_500);
    numbers.join().unwrap();
    wait_until("the second service", || read("second.log").ends_with("line 001499\n"));
    assert!(!inside("first.log.1").exists(), "the oldest rotated file gave way");
    // Now something else fills the disk for good: lines are dropped, counted, and the
    // service is never held up.
    let ballast = inside("ballast");
    let mut file = fs::File::create(&ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    write_numbers(writer.try_clone().unwrap(), 20_000).join().unwrap();
    wait_until("an empty pipe", || rustix::io::ioctl_fionread(&reader).unwrap() == 0);
    fs::remove_file(&ballast).unwrap();
    drop(file);
    writeln!(&writer, "room again").unwrap();
    wait_until("room again", || read("second.log").ends_with("room again\n"));
    let log = read("second.log.1") + &read("second.log");
    assert!(log.contains("lines dropped: the log could not be written\n"), "{log}");
    let whole = |line: &str| services::log_record::parse_line(line).is_some();
    assert!(log.lines().all(whole), "no torn records");
    let (status, complaints) = collector.end(Signal::TERM);
    assert!(status.success());
    assert!(complaints.contains("output of `second` is lost"), "{complaints}");
}
