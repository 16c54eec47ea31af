//! Services from start to end: readiness, restarts, failures, killing.

use std::io::Write as _;
use std::time::{Duration, Instant};

use init_core::event::Operation;
use init_core::name::ServiceName;
use init_core::protocol::{Reply, Request};

use crate::guest::{Guest, Kind, until};
use crate::helper;

const SLEEP: &str = "command = [\"/bin/sleep\", \"1000\"]\n";

fn shell(script: &str) -> String {
    format!("command = [\"/bin/sh\", \"-c\", '''{script}''']\n")
}

#[test]
fn services_start_in_order_and_get_what_was_promised() {
    let test = "services_start_in_order_and_get_what_was_promised";
    let show = "env > /t/env; ulimit -n > /t/limit; readlink /proc/self/fd/0 > /t/stdin; \
                pwd > /t/pwd; ps -o sid= -p $$ > /t/session; echo $$ >> /t/session; \
                cat /proc/mounts > /t/mounts; ls /proc/self/fd > /t/descriptors; echo done > /t/order";
    let second = shell(show)
        + "type = \"oneshot\"\nrequires = [\"first\"]\nworking-directory = \"/usr\"\n\
           environment = { COLOUR = \"blue\", TERM = \"dumb\" }\n[limits]\nopen-files = 77\n";
    let Some(guest) = Guest::boot(test, Kind::Ordinary, &[("first", SLEEP), ("second", &second)])
    else {
        return;
    };
    guest.wait_for_state("second", "completed");
    let states: Vec<_> =
        guest.list().iter().map(|one| (one.name.to_string(), one.state.to_string())).collect();
    let expected = [("first", "ready"), ("second", "completed")];
    assert_eq!(states, expected.map(|(name, state)| (name.to_owned(), state.to_owned())));

    let environment = guest.text("env");
    for line in ["PATH=/bin:/sbin:/usr/bin:/usr/sbin", "HOME=/root", "COLOUR=blue", "TERM=dumb"] {
        assert!(environment.lines().any(|found| found == line), "{line} in {environment}");
    }
    assert_eq!(guest.text("limit").trim(), "77");
    assert_eq!(guest.text("stdin").trim(), "/dev/null");
    assert_eq!(guest.text("pwd").trim(), "/usr");
    let session = guest.text("session");
    let ids: Vec<&str> = session.split_whitespace().collect();
    assert_eq!(ids.first(), ids.get(1), "a service leads its own session");
    // ls itself has one more open.
    assert_eq!(
        guest.text("descriptors").split_whitespace().count(),
        4,
        "{}",
        guest.text("descriptors")
    );
    for mount in ["proc /proc proc rw,nosuid,nodev,noexec", "tmpfs /run tmpfs rw,nosuid,nodev"] {
        assert!(guest.text("mounts").contains(mount), "{mount} in {}", guest.text("mounts"));
    }
    let boot = std::fs::read_to_string(guest.inside("/run/init/boot")).unwrap();
    assert!(boot.contains("complete_us=") && boot.contains("services_up=2"), "{boot}");
}

#[test]
fn each_service_begins_with_its_own_umask_nice_value_and_oom_score_adjust() {
    let test = "each_service_begins_with_its_own_umask_nice_value_and_oom_score_adjust";
    let show = |name: &str| {
        shell(&format!(
            "{{ umask; cut -d' ' -f19 /proc/self/stat; cat /proc/self/oom_score_adj; }} > /t/{name}"
        )) + "type = \"oneshot\"\n"
    };
    // One after the other and both at once: what one is given is not another's.
    let given = show("given") + "umask = \"0077\"\nnice = 3\noom-score-adjust = 300\n";
    let more = show("more") + "oom-score-adjust = 999\n";
    let plain = show("plain");
    let services = [("given", &*given), ("more", &*more), ("plain", &*plain)];
    let Some(guest) = Guest::boot(test, Kind::Ordinary, &services) else { return };
    for (name, expected) in [("given", "0077 3 300"), ("more", "0022 0 999"), ("plain", "0022 0 0")]
    {
        guest.wait_for_state(name, "completed");
        let text = guest.text(name);
        assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" "), expected, "{name}");
    }
}

#[test]
fn readiness_is_what_the_service_says() {
    let ready = |helper| helper::service(helper) + "readiness = \"notify\"\n";
    let silent = SLEEP.to_owned()
        + "readiness = \"notify\"\nstart-timeout = \"300ms\"\nrestart = \"never\"\n";
    let brief = ready("ready-then-exit") + "restart = \"never\"\n";
    let services = [
        ("says", ready("ready")),
        ("child-says", ready("ready-by-child")),
        ("brief", brief),
        ("silent", silent),
    ];
    let services: Vec<(&str, &str)> =
        services.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let Some(guest) = Guest::boot("readiness_is_what_the_service_says", Kind::Ordinary, &services)
    else {
        return;
    };
    let status = guest.wait_for_state("says", "ready");
    assert_eq!(status.status_text, "on duty");
    if guest.has_cgroups("readiness_is_what_the_service_says: a child's message") {
        guest.wait_for_state("child-says", "ready");
    }
    let status = guest.wait_for_state("silent", "failed");
    assert_eq!(status.summary.reason_code, "start-timeout");
    // The message and the end come in one turn of the loop more often than not.
    let status = guest.wait_for("brief", |status| status.summary.pid.is_none());
    let path: Vec<&str> = status.history.iter().map(|change| change.to.as_str()).collect();
    assert!(path.contains(&"ready"), "{path:?}");
    assert_eq!(status.summary.reason_code, "killed");
}

#[test]
fn a_killed_daemon_comes_back_and_a_crash_loop_ends() {
    let test = "a_killed_daemon_comes_back_and_a_crash_loop_ends";
    let daemon = shell("exec sleep 1000") + "restart-delay = \"50ms\"\n";
    let crash = shell("exit 3")
        + "restart-delay = \"10ms\"\nstart-limit = { count = 3, within = \"10s\" }\n";
    let Some(guest) = Guest::boot(test, Kind::Ordinary, &[("daemon", &daemon), ("crash", &crash)])
    else {
        return;
    };
    let first = guest.wait_for_state("daemon", "ready").summary.pid;
    // The daemon runs `sleep`; its own name for it is its process id in the guest.
    let killer = guest.inside(&format!("/proc/{}", first.unwrap()));
    assert!(killer.exists());
    kill_in_guest(&guest, first.unwrap());
    let status = guest.wait_for("daemon", |status| {
        status.summary.state.is_up() && status.summary.pid.is_some() && status.summary.pid != first
    });
    assert_eq!(status.summary.restarts, 1);

    let status = guest.wait_for_state("crash", "failed");
    assert_eq!(status.summary.reason_code, "start-limit");
    assert!(status.summary.reason.contains("status 3"), "{}", status.summary.reason);
    assert!(guest.log().contains("crash: "), "{}", guest.log());
}

/// Kills a process of the guest by its id there.
fn kill_in_guest(guest: &Guest, pid: u32) {
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let root = std::fs::read_link(guest.inside("/proc/1/ns/pid")).unwrap();
    for entry in entries {
        let own = std::fs::read_link(entry.path().join("ns/pid")).ok();
        let status = std::fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let inner = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
        let inner = inner.and_then(|ids| ids.split_whitespace().next_back()?.parse().ok());
        if own.as_ref() == Some(&root) && inner == Some(pid) {
            let outer = entry.file_name();
            let killed =
                std::process::Command::new("kill").arg("-KILL").arg(outer).status().unwrap();
            assert!(killed.success());
            return;
        }
    }
    panic!("no process {pid} in the guest");
}

#[test]
fn what_cannot_start_says_at_which_stage() {
    let nowhere = SLEEP.to_owned() + "working-directory = \"/nowhere\"\nrestart = \"never\"\n";
    let stranger = SLEEP.to_owned() + "user = \"stranger\"\nrestart = \"never\"\n";
    let services = [
        ("absent", "command = [\"/bin/absent\"]\nrestart = \"never\"\n"),
        ("nowhere", &nowhere),
        ("stranger", &stranger),
        ("broken", "comand = [\"/bin/true\"]\n"),
        ("fine", SLEEP),
    ];
    let Some(guest) =
        Guest::boot("what_cannot_start_says_at_which_stage", Kind::Ordinary, &services)
    else {
        return;
    };
    for (name, code, text) in [
        ("absent", "spawn-failed", "No such file or directory"),
        ("nowhere", "spawn-failed", "directory"),
        ("stranger", "spawn-failed", "user"),
        ("broken", "bad-description", "/etc/services.d/broken.toml:1:1"),
    ] {
        let summary = guest.wait_for_state(name, "failed").summary;
        assert_eq!(summary.reason_code, code, "{name}");
        assert!(summary.reason.contains(text), "{name}: {}", summary.reason);
    }
    guest.wait_for_state("fine", "ready");
}

#[test]
fn a_limit_without_its_controller_is_named() {
    let test = "a_limit_without_its_controller_is_named";
    let hungry = SLEEP.to_owned() + "restart = \"never\"\n[limits]\nmemory-max = \"64MiB\"\n";
    let many = SLEEP.to_owned() + "restart = \"never\"\n[limits]\ntasks-max = 5\n";
    let services = [("hungry", &*hungry), ("many", &*many), ("fine", SLEEP)];
    let Some(guest) = Guest::boot(test, Kind::Ordinary, &services) else { return };
    if !guest.has_cgroups(test) {
        return;
    }
    guest.wait_for_state("fine", "ready");
    let controllers = guest.inside("/sys/fs/cgroup/cgroup.controllers");
    let controllers = std::fs::read_to_string(controllers).unwrap();
    for (service, controller, key) in
        [("hungry", "memory", "memory-max"), ("many", "pids", "tasks-max")]
    {
        if controllers.split_whitespace().any(|one| one == controller) {
            println!("skipped: {test}: the host gives the controller {controller}");
            continue;
        }
        let summary = guest.wait_for_state(service, "failed").summary;
        let expected = format!("its {key} needs the {controller} controller, which the kernel");
        assert!(summary.reason.starts_with(&expected), "{}", summary.reason);
    }
}

#[test]
fn a_start_is_timed_from_its_own_process_on() {
    let test = "a_start_is_timed_from_its_own_process_on";
    // Between them they take PID 1 two seconds to start: none gets to its program, and for each
    // beyond the second it waits 100 ms.
    let slow = SLEEP.to_owned() + "autostart = false\n";
    let names: Vec<String> = (0..20).map(|number| format!("slow-{number:02}")).collect();
    let last = shell("sleep 0.2")
        + "type = \"oneshot\"\nautostart = false\nrestart = \"never\"\nstart-timeout = \"1s\"\n";
    let all = format!(
        "{SLEEP}autostart = false\nrequires = {:?}\n",
        [&names[..], &["zz".into()]].concat()
    );
    let mut services: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &*slow)).collect();
    services.extend([("zz", &*last), ("all", &*all), ("idle", SLEEP)]);
    let Some(guest) = Guest::boot(test, Kind::Ordinary, &services) else { return };
    if !guest.has_cgroups(test) {
        return;
    }
    guest.wait_for_state("idle", "ready");
    let freeze = guest.inside("/sys/fs/cgroup/services/cgroup.freeze");
    std::fs::write(&freeze, "1").unwrap();
    let mut stream = guest.connect();
    let name = ServiceName::new("all").unwrap();
    let start = Request::Operate { operation: Operation::Start, name };
    stream.write_all(&start.encode().unwrap()).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    // PID 1 answers when it is through with them.
    guest.list();
    std::fs::write(&freeze, "0").unwrap();
    let status = guest.wait_for("zz", |status| {
        status.ready.is_some() || status.summary.state.as_str() == "failed"
    });
    assert_eq!(status.summary.state.as_str(), "completed", "{}", status.summary.reason);
    assert_eq!(crate::guest::receive(&mut stream), Some(Reply::Done));
}

#[test]
fn a_stop_takes_the_whole_tree() {
    let test = "a_stop_takes_the_whole_tree";
    // Leaves its session and its parent, and ignores every polite request.
    let stubborn = shell(
        "trap '' TERM HUP; setsid sh -c 'trap \"\" TERM HUP; (while :; do sleep 4711; done) & wait' & \
         while :; do sleep 4711; done",
    ) + "stop-timeout = \"300ms\"\n";
    let Some(guest) = Guest::boot(test, Kind::Ordinary, &[("stubborn", &stubborn)]) else { return };
    if !guest.has_cgroups(test) {
        return;
    }
    let stragglers =
        || guest.processes().iter().filter(|(_, command)| command.contains("4711")).count();
    guest.wait_for_state("stubborn", "ready");
    until("the daemon has forked", || (stragglers() >= 4).then_some(()));
    assert!(guest.inside("/sys/fs/cgroup/services/stubborn").exists());
    let start = Instant::now();
    assert_eq!(guest.operate(Operation::Stop, "stubborn"), Reply::Done);
    assert!(start.elapsed() >= Duration::from_millis(300), "the stop timeout was not waited for");
    assert_eq!(stragglers(), 0, "{:?}", guest.processes());
    let changes = guest.status("stubborn").history;
    let codes: Vec<_> = changes.iter().map(|change| change.reason_code.as_str()).collect();
    assert_eq!(codes[codes.len() - 3..], ["requested", "stop-timeout", "requested"]);
    assert!(guest.log().contains("stubborn: stopping -> stopping (did not end"), "{}", guest.log());
    until("its cgroup is removed", || {
        (!guest.inside("/sys/fs/cgroup/services/stubborn").exists()).then_some(())
    });
    assert_eq!(guest.operate(Operation::Start, "stubborn"), Reply::Done);
}

#[test]
fn a_service_may_leave_cgroups_behind() {
    let test = "a_service_may_leave_cgroups_behind";
    let nested = shell(
        "mkdir -p /sys/fs/cgroup/services/nested/a/b && echo 0 > /sys/fs/cgroup/services/nested/a/b/cgroup.procs; exec sleep 1000",
    );
    let Some(guest) = Guest::boot(test, Kind::Ordinary, &[("nested", &nested)]) else { return };
    if !guest.has_cgroups(test) {
        return;
    }
    let inner = guest.inside("/sys/fs/cgroup/services/nested/a/b");
    until("the service has its own cgroup", || inner.exists().then_some(()));
    assert_eq!(guest.operate(Operation::Stop, "nested"), Reply::Done);
    until("all of it is removed", || {
        (!guest.inside("/sys/fs/cgroup/services/nested").exists()).then_some(())
    });
}

#[test]
fn without_cgroups_the_process_group_is_killed() {
    let test = "without_cgroups_the_process_group_is_killed";
    let group =
        shell("trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 4712; done' & wait; wait")
            + "stop-timeout = \"200ms\"\n";
    let Some(guest) = Guest::boot(test, Kind::WithoutCgroup, &[("group", &group)]) else { return };
    guest.wait_for_state("group", "ready");
    assert!(guest.log().contains("no cgroup v2"), "{}", guest.log());
    until("the daemon has forked", || {
        guest.processes().iter().any(|(_, command)| command.contains("4712")).then_some(())
    });
    assert_eq!(guest.operate(Operation::Stop, "group"), Reply::Done);
    let left = guest.processes();
    assert!(!left.iter().any(|(_, command)| command.contains("4712")), "{left:?}");
    assert_eq!(guest.operate(Operation::Start, "group"), Reply::Done);
}

#[test]
fn without_cgroups_a_group_that_was_empty_already_is_gone() {
    let test = "without_cgroups_a_group_that_was_empty_already_is_gone";
    let once = shell("exit 0") + "type = \"oneshot\"\n";
    let plain = shell("exec sleep 1000");
    let services = [("once", &*once), ("plain", &*plain)];
    let Some(guest) = Guest::boot(test, Kind::WithoutCgroup, &services) else { return };
    guest.wait_for_state("once", "completed");
    guest.wait_for_state("plain", "ready");
    assert_eq!(guest.operate(Operation::Stop, "plain"), Reply::Done);
    assert_eq!(guest.status("plain").summary.state.as_str(), "stopped");
}

#[test]
fn orphans_are_reaped_while_clients_are_served() {
    let test = "orphans_are_reaped_while_clients_are_served";
    // Each inner shell leaves one orphan that waits for a word to end.
    let storm = shell(
        "mkfifo /tmp/go; i=0; while [ $i -lt 500 ]; do (read x < /tmp/go &) ; i=$((i+1)); done; \
         echo up > /t/storm; sleep 1; exec 3<>/tmp/go; exec 3>&-; sleep 1000",
    );
    let Some(guest) = Guest::boot(test, Kind::Ordinary, &[("storm", &storm)]) else { return };
    until("the orphans wait", || guest.file("storm").exists().then_some(()));
    let mut slowest = Duration::ZERO;
    until("the orphans are gone", || {
        let start = Instant::now();
        guest.list();
        slowest = slowest.max(start.elapsed());
        (guest.processes().len() < 10).then_some(())
    });
    let zombies = guest.processes().iter().filter(|(state, _)| *state == 'Z').count();
    assert_eq!(zombies, 0);
    assert!(slowest < Duration::from_secs(2), "a list took {slowest:?}");
}
