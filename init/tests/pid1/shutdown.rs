//! The end of the system.

use std::time::{Duration, Instant};

use init_core::event::ShutdownKind;
use init_core::protocol::Reply;

use crate::guest::{End, Guest, Kind, until};

/// Writes its name to `/t/ends` when it is asked to end.
fn leaver(name: &str) -> String {
    format!(
        "command = [\"/bin/sh\", \"-c\", \"trap 'echo {name} >> /t/ends; exit 0' TERM; echo > /t/{name}; while :; do read x < /tmp/never-{name}; done\"]\n"
    )
}

fn with_fifo(text: &str, name: &str) -> String {
    text.replace("echo >", &format!("mkfifo /tmp/never-{name}; exec 3<>/tmp/never-{name}; echo >"))
}

#[test]
fn a_signal_takes_services_down_in_reverse_order() {
    let test = "a_signal_takes_services_down_in_reverse_order";
    let base = with_fifo(&leaver("base"), "base");
    let middle = with_fifo(&leaver("middle"), "middle") + "requires = [\"base\"]\n";
    let top = with_fifo(&leaver("top"), "top") + "requires = [\"middle\"]\n";
    let services = [("base", &*base), ("middle", &*middle), ("top", &*top)];
    for (signal, end) in [
        ("TERM", End::PowerOff),
        ("INT", End::Restart),
        ("PWR", End::PowerOff),
        ("USR1", End::PowerOff),
    ] {
        let Some(mut guest) = Guest::boot(test, Kind::Ordinary, &services) else { return };
        until("all are up", || {
            ["base", "middle", "top"].iter().all(|name| guest.file(name).exists()).then_some(())
        });
        guest.signal(signal);
        assert_eq!(guest.wait_for_end(), end, "SIG{signal}; log:\n{}", guest.log());
        assert_eq!(guest.text("ends"), "top\nmiddle\nbase\n", "SIG{signal}");
    }
}

#[test]
fn who_refuses_to_die_does_not_hold_up_the_end() {
    let test = "who_refuses_to_die_does_not_hold_up_the_end";
    let stubborn = "command = [\"/bin/sh\", \"-c\", \"trap '' TERM; echo > /t/up; while :; do sleep 1; done\"]\nstop-timeout = \"200ms\"\n";
    for kind in [Kind::Ordinary, Kind::WithoutCgroup] {
        let Some(mut guest) = Guest::boot(test, kind, &[("stubborn", stubborn)]) else { return };
        until("it is up", || guest.file("up").exists().then_some(()));
        let start = Instant::now();
        assert_eq!(guest.shut_down(ShutdownKind::Reboot), Reply::Done);
        assert_eq!(guest.wait_for_end(), End::Restart, "log:\n{}", guest.log());
        assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    }
}

#[test]
fn the_end_may_be_asked_for_before_the_beginning() {
    let test = "the_end_may_be_asked_for_before_the_beginning";
    let slow = "command = [\"/bin/sh\", \"-c\", \"sleep 1000\"]\ntype = \"oneshot\"\nstart-timeout = \"0\"\n";
    for _ in 0..5 {
        let Some(mut guest) = Guest::boot(test, Kind::Ordinary, &[("slow", slow)]) else { return };
        // As soon as the process is there, and again: before PID 1 blocks
        // signals the kernel drops those that would kill a PID 1.
        for _ in 0..50 {
            let _ = std::process::Command::new("true").status();
            if !guest.try_signal("TERM") {
                break;
            }
        }
        assert_eq!(guest.wait_for_end(), End::PowerOff, "log:\n{}", guest.log());
    }
}

#[test]
fn without_anything_to_stand_on_the_system_restarts() {
    let test = "without_anything_to_stand_on_the_system_restarts";
    let start = Instant::now();
    let Some(mut guest) = Guest::boot(test, Kind::WithoutNull, &[]) else { return };
    assert_eq!(guest.wait_for_end(), End::Restart, "console:\n{}", guest.text("console"));
    // There is no log yet, so the reason is where a person would look for it.
    let console = guest.text("console");
    assert!(
        console.contains("init: no descriptor to stand on: No such file or directory"),
        "{console}"
    );
    assert!(start.elapsed() >= Duration::from_secs(10), "nobody can have read that");
}
