//! What it reads without PID 1: logs, and descriptions to check.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::process::Stdio;

use init_core::protocol::{Reply, Request};
use init_core::state::State;
use serde_json::json;

use crate::bench::{Bench, answer, assert_outcome, services};

#[test]
fn logs_are_shown_cut_and_for_programs() {
    let bench = Bench::new();
    let line = |n: u32| format!("2026-01-31T12:34:5{n}.000000Z line {n}\n");
    fs::write(bench.path("log/web.log.1"), [line(1), line(2)].concat()).unwrap();
    fs::write(bench.path("log/web.log"), [line(3), line(4)].concat()).unwrap();
    let all = [line(1), line(2), line(3), line(4)].concat();
    assert_outcome(&bench.run(&["logs", "web"]), &all, "", 0);
    let last = [line(2), line(3), line(4)].concat();
    assert_outcome(&bench.run(&["logs", "web", "-n3"]), &last, "", 0);
    assert_outcome(&bench.run(&["logs", "web", "-n0"]), "", "", 0);
    let json = "{\"text\":\"line 4\",\"time\":\"2026-01-31T12:34:54.000000Z\"}\n";
    assert_outcome(&bench.run(&["--json", "logs", "web", "-n1"]), json, "", 0);
    let quiet = "svcctl: warning: `logd` has not printed anything yet\n";
    assert_outcome(&bench.run(&["logs", "logd"]), "", quiet, 0);
    assert_eq!(bench.run(&["logs", "nobody"]).code, 4);
    fs::write(bench.path("control.log"), "secret\n").unwrap();
    let outside = bench.run(&["logs", "../control"]);
    assert_eq!((outside.code, outside.stdout.as_str()), (4, ""));
    fs::remove_dir_all(bench.path("log")).unwrap();
    let stderr = "\
svcctl: error: there are no logs: `PLACE/log` does not exist
  hint: output goes to the console unless a service with `log-collector = true` runs
";
    assert_outcome(&bench.run(&["logs", "logd", "-f"]), "", stderr, 1);
}

#[test]
fn a_log_that_nobody_collects_is_not_taken_for_silence() {
    let bench = Bench::with(|request| match request {
        Request::List => {
            let mut services = services();
            services[1].state = State::Failed;
            Reply::Services(services)
        }
        _ => answer(request),
    });
    let stderr = "svcctl: warning: there is no log of `web`: the log collector `logd` is not up; \
                  `svcctl why logd` explains it\n";
    assert_outcome(&bench.run(&["logs", "web"]), "", stderr, 0);
    assert_outcome(&bench.run(&["logs", "kernel"]), "", &stderr.replace("web", "kernel"), 0);
}

#[test]
fn logs_are_followed_across_a_rotation() {
    let bench = Bench::new();
    let (current, rotated) = (bench.path("log/web.log"), bench.path("log/web.log.1"));
    fs::write(&current, "one\n").unwrap();
    let mut child = bench.command(&["logs", "-f", "web"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut expect = |text: &str| {
        let mut bytes = vec![0; text.len()];
        out.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), text);
    };
    expect("one\n");
    let mut file = fs::OpenOptions::new().append(true).open(&current).unwrap();
    file.write_all(b"two\nthr").unwrap();
    expect("two\n");
    file.write_all(b"ee\n").unwrap();
    expect("three\n");
    fs::write(bench.path("log/other.log"), "not this\n").unwrap();
    file.write_all(b"four\n").unwrap();
    fs::rename(&current, &rotated).unwrap();
    fs::write(&current, "five\n").unwrap();
    expect("four\nfive\n");
    let mut file = fs::OpenOptions::new().append(true).open(&current).unwrap();
    file.write_all(b"six\n").unwrap();
    expect("six\n");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn check_finds_mistakes_with_their_places() {
    let bench = Bench::new();
    let directory = bench.path("services.d");
    fs::create_dir(&directory).unwrap();
    let write = |file: &str, text: &str| fs::write(directory.join(file), text).unwrap();
    write("web.toml", "command = [\"/bin/web\"]\nrequires = [\"db\"]\n");
    write("db.toml", "command = [\"/bin/db\"]\n");
    write("README", "no description\n");
    let directory = directory.to_str().unwrap();
    let outcome = bench.run(&["check", directory]);
    assert_outcome(&outcome, "2 service descriptions, nothing wrong\n", "", 0);

    write("db.toml", "comand = [\"/bin/db\"]\n");
    write("web.toml", "command = [\"/bin/web\"]\nrequires = [\"bd\"]\n");
    write("Bad Name.toml", "command = [\"/bin/x\"]\n");
    let outcome = bench.run(&["check", directory]);
    assert_eq!(outcome.code, 1);
    for expected in [
        "PLACE/services.d/Bad Name.toml:1:1: error: 'B' cannot stand there",
        "PLACE/services.d/db.toml:1:1: error: ",
        "PLACE/services.d/web.toml:2:13: error: ",
        "  hint: ",
    ] {
        assert!(outcome.stdout.contains(expected), "{expected}\n{}", outcome.stdout);
    }
    let (value, code) = bench.json(&["check", directory]);
    assert_eq!(code, 1);
    let web = value.as_array().unwrap().iter().find(|one| one["line"] == 2).unwrap();
    assert_eq!((&web["column"], &web["severity"]), (&json!(13), &json!("error")));

    // A later file overrides an earlier one of the same name.
    let fixed = bench.path("db.toml");
    fs::write(&fixed, "command = [\"/bin/db\"]\n").unwrap();
    let outcome = bench.run(&["check", directory, fixed.to_str().unwrap()]);
    assert!(!outcome.stdout.contains("db.toml"), "{}", outcome.stdout);
    let missing = bench.run(&["check", bench.path("none.toml").to_str().unwrap()]);
    let message = "PLACE/none.toml:1:1: error: the file cannot be read: No such file";
    assert!(missing.stdout.contains(message), "{}", missing.stdout);
    assert_eq!(missing.code, 1);
}

#[test]
fn what_cannot_be_read_hides_no_mistake_and_takes_no_memory() {
    let bench = Bench::new();
    let directory = bench.path("services.d");
    fs::create_dir(&directory).unwrap();
    let at = |file: &str| directory.join(file);
    fs::write(at("web.toml"), "comand = [\"/bin/web\"]\n").unwrap();
    fs::write(at("large.toml"), "# ä\n".repeat(1 << 20)).unwrap();
    symlink("/nowhere", at("gone.toml")).unwrap();
    symlink("/dev/zero", at("endless.toml")).unwrap();
    let pipe_mode = rustix::fs::Mode::RUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe.toml"), pipe_mode).unwrap();
    let outcome = bench.run(&["check", directory.to_str().unwrap()]);
    let stdout = "\
PLACE/services.d/endless.toml:1:1: error: the file cannot be read: it is no regular file
  hint: it is to be a regular file or a link to one
PLACE/services.d/gone.toml:1:1: error: the file cannot be read: \
No such file or directory (os error 2)
  hint: the symbolic link leads nowhere
PLACE/services.d/large.toml:1:1: error: the file is larger than 64 KiB
PLACE/services.d/pipe.toml:1:1: error: the file cannot be read: it is no regular file
  hint: it is to be a regular file or a link to one
PLACE/services.d/web.toml:1:1: error: ";
    assert!(outcome.stdout.starts_with(stdout), "{}", outcome.stdout);
    assert_eq!(outcome.code, 1);
}

#[test]
fn the_descriptions_of_the_skeleton_have_no_mistakes() {
    let skeleton = concat!(env!("CARGO_MANIFEST_DIR"), "/../rootfs/skeleton/usr/lib/services.d");
    let outcome = Bench::new().run(&["check", skeleton]);
    assert_eq!((outcome.stderr.as_str(), outcome.code), ("", 0), "{}", outcome.stdout);
    assert!(outcome.stdout.ends_with("nothing wrong\n"), "{}", outcome.stdout);
}
