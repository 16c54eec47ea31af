//! Output on its way to the log collector.

use std::collections::BTreeMap;

use crate::guest::{Guest, Kind, until};
use crate::helper;

const LINES: u32 = 400;

#[test]
fn a_restart_of_the_collector_loses_nothing() {
    // The collector of this test ends after every few reads.
    let collector = helper::service("collect")
        + "log-collector = true\nreadiness = \"notify\"\nrestart = \"always\"\n\
           restart-delay = \"1ms\"\nrestart-delay-max = \"1ms\"\n\
           start-limit = { count = 1000, within = \"1s\" }\n";
    let writer = |name: &str| {
        format!(
            "command = [\"/bin/sh\", \"-c\", \"i=0; while [ $i -lt {LINES} ]; do echo {name} $i; i=$((i+1)); done\"]\n\
             type = \"oneshot\"\n"
        )
    };
    let services = [("collector", collector), ("left", writer("left")), ("right", writer("right"))];
    let services: Vec<(&str, &str)> =
        services.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let Some(guest) =
        Guest::boot("a_restart_of_the_collector_loses_nothing", Kind::Ordinary, &services)
    else {
        return;
    };
    let wanted = usize::try_from(LINES).unwrap() * 2;
    // Reads cut lines where they like, but no writer's bytes change their order.
    let text = until("everything is collected", || {
        let text = guest.text("collected");
        (text.matches('\n').count() >= wanted).then_some(text)
    });
    let mut bytes: BTreeMap<&str, usize> = BTreeMap::new();
    for name in ["left", "right"] {
        let expected: usize = (0..LINES).map(|number| format!("{name} {number}\n").len()).sum();
        bytes.insert(name, expected);
    }
    assert_eq!(text.len(), bytes.values().sum::<usize>());
    let restarts = guest.status("collector").summary.restarts;
    assert!(restarts >= 2, "the collector was restarted {restarts} times only");
}

#[test]
fn no_instance_finds_its_output_as_the_last_one_left_it() {
    let test = "no_instance_finds_its_output_as_the_last_one_left_it";
    let leaves = |file: &str| {
        format!(
            "command = [\"/t/helper\", \"--exact\", \"helper::helper\"]\n\
             environment = {{ PID1_HELPER = \"leave-nonblocking\", FILE = \"/t/{file}\" }}\n\
             restart = \"always\"\nrestart-delay = \"1ms\"\n\
             start-limit = {{ count = 3, within = \"1h\" }}\n"
        )
    };
    let (pipe, console) = (leaves("pipe"), leaves("consoled") + "output = \"console\"\n");
    let collector = "command = [\"/bin/sleep\", \"1000\"]\nlog-collector = true\n";
    let services = [("pipe", &*pipe), ("console", &*console), ("collector", collector)];
    let Some(guest) = Guest::boot(test, Kind::Ordinary, &services) else { return };
    for (service, file) in [("pipe", "pipe"), ("console", "consoled")] {
        guest.wait_for_state(service, "failed");
        assert_eq!(guest.text(file), "waits\n".repeat(3), "{service}");
    }
}

#[test]
fn without_a_collector_output_goes_to_the_console() {
    let test = "without_a_collector_output_goes_to_the_console";
    let speaks =
        "command = [\"/bin/sh\", \"-c\", \"echo aloud; echo complaint >&2\"]\ntype = \"oneshot\"\n";
    let mute = "command = [\"/bin/sh\", \"-c\", \"echo in vain\"]\ntype = \"oneshot\"\noutput = \"null\"\n";
    let Some(guest) = Guest::boot(test, Kind::Ordinary, &[("speaks", speaks), ("mute", mute)])
    else {
        return;
    };
    guest.wait_for_state("speaks", "completed");
    guest.wait_for_state("mute", "completed");
    let console = guest.text("console");
    assert!(console.contains("aloud") && console.contains("complaint"), "{console}");
    assert!(!console.contains("in vain"), "{console}");
}
