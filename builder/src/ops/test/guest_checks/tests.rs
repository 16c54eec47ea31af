//! The judges themselves are judged: each by an output that is right and by
//! several that are wrong in one place.

use serde_json::json;

use super::*;

const MOUNTED: &str = "\
none / rootfs rw 0 0
proc /proc proc rw,nosuid,nodev,noexec,relatime 0 0
sysfs /sys sysfs rw,nosuid,nodev,noexec,relatime 0 0
devtmpfs /dev devtmpfs rw,nosuid,size=4096k 0 0
devpts /dev/pts devpts rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=666 0 0
tmpfs /dev/shm tmpfs rw,nosuid,nodev,relatime 0 0
tmpfs /run tmpfs rw,nosuid,nodev,relatime,mode=755 0 0
tmpfs /tmp tmpfs rw,nosuid,nodev,relatime 0 0
cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid,nodev,noexec,relatime,nsdelegate 0 0
";

#[test]
fn a_missing_mount_or_option_is_named() {
    mounts(Arch::X86_64, &Output::of(MOUNTED)).unwrap();
    for (change, to, named) in [
        ("proc rw,nosuid", "proc rw", "/proc is proc"),
        ("tmpfs /tmp", "tmpfs /other", "/tmp is not mounted"),
        ("cgroup2 rw", "cgroup rw", "/sys/fs/cgroup is cgroup"),
        ("gid=5,", "", "gid=5"),
    ] {
        let error = mounts(Arch::X86_64, &Output::of(&MOUNTED.replace(change, to))).unwrap_err();
        assert!(error.contains(named), "{error}");
    }
    assert!(mounts(Arch::X86_64, &Output::of("")).is_err());
}

#[test]
fn a_wrong_node_is_named() {
    nodes(Arch::X86_64, &Output::of(NODES)).unwrap();
    let error =
        nodes(Arch::X86_64, &Output::of(&NODES.replace("null 1:3", "null 1:5"))).unwrap_err();
    assert_eq!(error, "/dev/null 1:5 666 instead of /dev/null 1:3 666");
    assert!(nodes(Arch::X86_64, &Output::of(&NODES.replace("/proc/self/fd/2\n", ""))).is_err());
    assert!(nodes(Arch::X86_64, &Output::of(&format!("{NODES}more\n"))).is_err());
    let failed = Output { status: 1, ..Output::of(NODES) };
    assert!(nodes(Arch::X86_64, &failed).is_err());
}

#[test]
fn a_shared_object_in_pid_1_is_noticed() {
    let lone = "1000-2000 r-xp 0 00:02 7 /usr/bin/init\n2000-3000 rw-p 0 00:00 0 [stack]\n";
    lone_mapping(Arch::X86_64, &Output::of(lone)).unwrap();
    let two = format!("{lone}4000-5000 r-xp 0 00:02 8 /lib/libc.so\n");
    assert!(lone_mapping(Arch::X86_64, &Output::of(&two)).is_err());
    assert!(static_binary(Arch::X86_64, &Output::of("#!/bin/sh\n")).is_err());
}

#[test]
fn a_daemon_must_come_back_neither_early_nor_late() {
    let status = |up_us: u64, state: &str| {
        json!({ "state": state, "history": [
            { "to": "ready", "since_boot_us": 500_000 },
            { "to": "backoff", "since_boot_us": 1_000_000 },
            { "to": "waiting", "since_boot_us": 1_300_000 },
            { "to": "ready", "since_boot_us": up_us },
        ]})
    };
    assert!(comes_back(&status(1_320_000, "ready")).is_ok());
    assert!(comes_back(&status(1_200_000, "ready")).is_err(), "before its delay");
    assert!(comes_back(&status(3_000_000, "ready")).is_err(), "much too late");
    assert!(comes_back(&status(1_320_000, "failed")).is_err());
    assert!(comes_back(&json!({ "state": "ready", "history": [] })).is_err());
}

#[test]
fn a_tree_must_have_been_there_and_be_gone() {
    let text = |before: &str, after: &str| {
        Output::of(&format!("done\nbefore\n{before}\nafter\n{after}\n"))
    };
    assert!(tree_gone(Arch::X86_64, &text("init\nmisbehave\nmisbehave", "init\nsh")).is_ok());
    assert!(tree_gone(Arch::X86_64, &text("init\nmisbehave\nmisbehave", "misbehave")).is_err());
    assert!(tree_gone(Arch::X86_64, &text("init\nmisbehave", "init")).is_err(), "no grandchild");
    assert!(tree_gone(Arch::X86_64, &Output::of("")).is_err());
}

#[test]
fn a_crash_loop_must_end_at_its_limit_for_that_reason() {
    let status = |state: &str, reason: &str, starts: usize| {
        let history = vec![json!({ "to": "starting" }); starts];
        json!({ "state": state, "reason_code": reason, "history": history })
    };
    assert!(crash_loop(&status("failed", "start-limit", 3)).is_ok());
    assert!(crash_loop(&status("backoff", "killed", 3)).is_err());
    assert!(crash_loop(&status("failed", "killed", 1)).is_err());
    assert!(crash_loop(&status("failed", "start-limit", 4)).is_err());
}

#[test]
fn answers_must_come_be_many_and_in_time() {
    let report = |ok: bool, count: u64, lived_us: u64| {
        let report = json!({
            "command_succeeded": ok, "answers": count,
            "median_us": 1, "longest_us": 300_000, "longest_lived_us": lived_us,
        });
        Output::of(&report.to_string())
    };
    let verdict = answered_in_time;
    assert!(verdict(&report(true, 50, 100_000)).unwrap().contains("longest 300000"));
    assert!(verdict(&report(true, 50, 100_001)).is_err());
    assert!(verdict(&report(true, 2, 1)).is_err());
    assert!(verdict(&report(false, 50, 1)).is_err());
    assert!(verdict(&Output::of("{}")).is_err());
    assert!(verdict(&Output { status: 1, ..report(true, 50, 1) }).is_err());
}

#[test]
fn what_took_too_long_is_measured_again_and_told() {
    let told = |verdicts: [Verdict; 3]| {
        let mut verdicts = verdicts.into_iter();
        let verdict = until_in_time(|| Ok(verdicts.next().unwrap())).unwrap();
        (verdict, verdicts.len())
    };
    let (good, bad) = (|| Ok("fast".to_owned()), || Err("slow".to_owned()));
    assert_eq!(told([good(), bad(), bad()]), (good(), 2));
    assert_eq!(told([bad(), good(), bad()]), (Ok("slow; once more: fast".to_owned()), 1));
    let always = Err("slow; once more: slow; once more: slow".to_owned());
    assert_eq!(told([bad(), bad(), bad()]), (always, 0));
}

#[test]
fn zombies_are_counted_whatever_their_name() {
    let table = [
        ("1 (init) S 0 1\n9 (a b) R 1\n", true),
        ("1 (init) S 0\n7 (x) Z) Z 1\n", false),
        ("", false),
    ];
    for (text, is_fine) in table {
        assert_eq!(no_zombies(Arch::X86_64, &Output::of(text)).is_ok(), is_fine, "{text:?}");
    }
}

#[test]
fn every_boot_service_must_be_up() {
    let list = |up: bool| {
        let service = |name: &str, up: bool, reason: &str| json!({ "name": name, "up": up, "reason_code": reason });
        Output::of(
            &json!([
                service("execd", true, "became-ready"),
                service("logd", up, "exited"),
                service("getty", true, "became-ready"),
                service("more", true, "became-ready"),
                service("test-crash", false, "not-started"),
            ])
            .to_string(),
        )
    };
    assert!(all_up(Arch::X86_64, &list(true)).is_ok());
    assert_eq!(all_up(Arch::X86_64, &list(false)).unwrap_err(), "down: logd");
    assert!(all_up(Arch::X86_64, &Output::of("[]")).is_err());
}
