//! `fwctl` against the kernel of this host, in a network namespace of its own: what passes,
//! what is counted, and that a trial takes itself back.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test ends where it fails, and says what it skips"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const FWCTL: &str = env!("CARGO_BIN_EXE_fwctl");

/// Blocks port 7000 on the loopback interface, which is otherwise let through.
const CLOSED: &str = "[implied]\nloopback = false\n[[rule]]\nname = \"shut\"\naction = \"drop\"\n\
    protocol = \"tcp\"\nports = 7000\n[[rule]]\nname = \"rest\"\naction = \"accept\"\n";
/// Lets everything through, and counts port 7000.
const OPEN: &str = "[implied]\nloopback = false\n[policy]\nin = \"accept\"\n[[rule]]\nname = \"seen\"\n\
    action = \"accept\"\nprotocol = \"tcp\"\nports = 7000\n";

/// Says `open` if a packet to port 7000 is answered (nobody listens, so by a reset), else `shut`.
const PROBE: &str = "probe() { timeout 1 bash -c '</dev/tcp/127.0.0.1/7000' 2>/dev/null; \
    if [ $? = 124 ]; then echo shut; else echo open; fi; }\n";

/// Runs a script as root of namespaces of its own; `None` where that is forbidden.
fn script(directory: &Path, test: &str, lines: &str) -> Option<String> {
    let is_allowed =
        Command::new("unshare").args(["-rn", "ip", "link", "set", "lo", "up"]).output();
    if !is_allowed.is_ok_and(|output| output.status.success()) {
        println!("skipped: {test}: the host forbids namespaces (unshare) or has no ip(8)");
        return None;
    }
    fs::write(directory.join("closed.toml"), CLOSED).unwrap();
    fs::write(directory.join("open.toml"), OPEN).unwrap();
    let text =
        format!("{PROBE}ip link set lo up\nfw() {{ {FWCTL} --state state \"$@\"; }}\n{lines}");
    let output = Command::new("unshare")
        .args(["-rn", "bash", "-c", &text])
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    Some(String::from_utf8(output.stdout).unwrap())
}

#[test]
fn rules_replace_each_other_and_count() {
    let directory = tempfile::tempdir().unwrap();
    let lines = "probe; fw apply closed.toml && probe; fw apply open.toml && probe; \
                 fw --json show; fw off && probe; fw show";
    let Some(text) = script(directory.path(), "rules", lines) else { return };
    let (before, rest) = text.split_once('{').unwrap();
    assert_eq!(before, "open\nshut\nopen\n");
    let (json, after) = rest.rsplit_once('}').unwrap();
    assert_eq!(after, "\nopen\nno rules are in force: everything passes\n");
    let shown: serde_json::Value = serde_json::from_str(&format!("{{{json}}}")).unwrap();
    let chain = &shown["chains"][0];
    assert_eq!((chain["name"].as_str(), chain["policy"].as_str()), (Some("in"), Some("accept")));
    let rules = chain["rules"].as_array().unwrap();
    let seen = rules.iter().find(|rule| rule["name"] == "seen").unwrap();
    assert_eq!(seen["packets"], 1, "{seen}");
    assert!(rules.iter().all(|rule| rule["name"] != "shut"), "nothing of the former rules is left");
}

#[test]
fn a_trial_takes_itself_back_although_its_session_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    // The session is killed with everything in its process group, as a lost terminal would.
    let lines = "fw apply open.toml; \
        setsid bash -c 'trap \"\" HUP; \"$0\" --state state try closed.toml --seconds 5 >/dev/null; \
            kill -KILL 0' \"$FWCTL\"; probe; fw show | head -1; fw apply --help >/dev/null; \
        fw try open.toml 2>&1 | head -1; sleep 6; probe; fw show | head -1; \
        fw confirm 2>/dev/null; echo $?";
    let lines = format!("FWCTL={FWCTL}; {lines}");
    let Some(text) = script(directory.path(), "a trial", &lines) else { return };
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "shut");
    assert!(lines[1].starts_with("on trial: taken back in "), "{text}");
    assert_eq!(lines[2], "fwctl: error: another trial is under way");
    assert_eq!(lines[3..], ["open", "in, policy accept", "4"]);
}

#[test]
fn a_confirmed_trial_stays_and_one_on_nothing_goes_back_to_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let lines = "fw try closed.toml --seconds 5 && fw confirm && sleep 6; probe; fw off; \
                 fw try closed.toml --seconds 5; sleep 6; fw show";
    let Some(text) = script(directory.path(), "confirmed", lines) else { return };
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[1], "shut");
    assert_eq!(lines[3], "no rules are in force: everything passes");
}

#[test]
fn rules_that_cannot_be_remembered_end_a_trial_all_the_same() {
    let directory = tempfile::tempdir().unwrap();
    // In the place of a full disk: a directory where the file would be.
    let lines = "mkdir -p state/applied.toml/in-the-way; \
        fw try closed.toml --seconds 5 >/dev/null; fw apply open.toml 2>&1; echo $?; \
        fw show | head -1; sleep 6; fw show | head -1";
    let Some(text) = script(directory.path(), "not remembered", lines) else { return };
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("fwctl: error: cannot write "), "{text}");
    assert!(lines[1].contains("the rules are in force"), "{text}");
    assert_eq!(lines[2..], ["1", "in, policy accept", "in, policy accept"], "{text}");
}

#[test]
fn a_wrong_file_changes_nothing_and_closes_what_was_open_if_asked() {
    let directory = tempfile::tempdir().unwrap();
    let lines = "echo 'rule = 1' > wrong.toml; fw apply wrong.toml 2>/dev/null; echo $?; probe; \
        fw apply --or-close wrong.toml 2>/dev/null; echo $?; fw show | head -1; \
        fw apply open.toml; fw apply --or-close wrong.toml 2>/dev/null; fw show | head -1";
    let Some(text) = script(directory.path(), "a wrong file", lines) else { return };
    let expected = ["1", "open", "1", "in, policy drop", "in, policy accept"];
    assert_eq!(text.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn thousands_of_addresses_are_one_change() {
    let directory = tempfile::tempdir().unwrap();
    let networks: Vec<String> =
        (0..4000).map(|number| format!("\"10.{}.{}.0/25\"", number / 250, number % 250)).collect();
    let text = format!("[[rule]]\naction = \"drop\"\nfrom = [{}]\n", networks.join(","));
    fs::write(directory.path().join("many.toml"), text).unwrap();
    let lines = "fw apply many.toml && fw --json show | grep -c rule-1";
    let Some(text) = script(directory.path(), "addresses", lines) else { return };
    assert_eq!(text, "1\n");
}

/// The packets that a rule of `fwctl --json show` has counted.
fn counted(shown: &serde_json::Value, chain: &str, rule: &str) -> u64 {
    let named = |list: &serde_json::Value, name: &str| {
        list.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
    };
    named(&named(&shown["chains"], chain)["rules"], rule)["packets"].as_u64().unwrap()
}

/// Another machine on the link lan0, whose router this one is; `client` runs a program there.
const CLIENT: &str = "ip link add lan0 type veth peer name eth0 || { echo no veth; exit 0; }
    unshare -n sleep 30 >/dev/null 2>&1 & other=$!
    while [ $(readlink /proc/$other/ns/net) = $(readlink /proc/self/ns/net) ]; do sleep 0.05; done
    client() { nsenter -n -t $other \"$@\"; }
    ip link set eth0 netns $other
    ip address add 10.0.0.1/24 dev lan0
    client ip address add 10.0.0.2/24 dev eth0
    ip link set lan0 up
    client ip link set eth0 up
    client ip route add default via 10.0.0.1\n";

#[test]
fn a_forwarded_port_leaves_alone_what_is_for_others() {
    let directory = tempfile::tempdir().unwrap();
    let forward = |name: &str, rest: &str| {
        format!("[[forward-port]]\nname = \"{name}\"\nport = 443\nto = \"10.0.9.9\"\n{rest}\n")
    };
    let text = forward("outside", "in-interface = \"wan0\"")
        + &forward("inside", "in-interface = \"lan0\"\ndestination = \"10.0.0.1\"");
    fs::write(directory.path().join("router.toml"), text).unwrap();
    let lines = format!(
        "fw apply router.toml || exit 1\n{CLIENT}
        for address in 192.0.2.1 10.0.0.1; do
            client timeout 0.5 bash -c \"</dev/tcp/$address/443\" 2>/dev/null
            fw --json show
        done
        kill $other"
    );
    let Some(text) = script(directory.path(), "a router", &lines) else { return };
    if text == "no veth\n" {
        println!("skipped: a router: the host has no veth");
        return;
    }
    let packets = |shown, name| counted(shown, "prerouting", name);
    let shown: Vec<serde_json::Value> =
        serde_json::Deserializer::from_str(&text).into_iter().collect::<Result<_, _>>().unwrap();
    let [elsewhere, here] = shown.as_slice() else { panic!("{text}") };
    assert_eq!((packets(elsewhere, "outside"), packets(elsewhere, "inside")), (0, 0));
    assert_eq!((packets(here, "outside"), packets(here, "inside")), (0, 1));
}

#[test]
fn a_rule_for_everything_rejects_tcp_without_an_icmp_error() {
    let directory = tempfile::tempdir().unwrap();
    // Else the error would pass as a part of the connection, uncounted.
    let text = "[implied]\nloopback = false\nestablished = false\n\
        [[rule]]\nname = \"all\"\naction = \"reject\"\n\
        [[rule]]\nname = \"errors\"\ndirection = \"out\"\naction = \"accept\"\nprotocol = \"icmp\"\n";
    fs::write(directory.path().join("reject.toml"), text).unwrap();
    let lines = "fw apply reject.toml || exit 1; probe >/dev/null; fw --json show";
    let Some(text) = script(directory.path(), "rejecting", lines) else { return };
    let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
    let packets = |chain: &str, name: &str| counted(&shown, chain, name);
    assert!(packets("in", "all") > 0, "{shown}");
    assert_eq!(packets("out", "errors"), 0, "{shown}");
}

fn check(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(FWCTL).current_dir(directory).args(arguments).output().unwrap()
}

#[test]
fn checking_needs_no_rights_and_says_file_and_line() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("x.toml"), "[policy]\nin = \"dorp\"\n").unwrap();
    let output = check(directory.path(), &["check", "x.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("x.toml:2:6: \"policy.in\" cannot be \"dorp\"\n  hint: did you mean"));
    let output = check(directory.path(), &["--json", "check", "x.toml"]);
    let findings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((findings[0]["line"].as_u64(), output.status.code()), (Some(2), Some(1)));
    assert_eq!(check(directory.path(), &["check", "none.toml"]).status.code(), Some(1));
    assert_eq!(check(directory.path(), &["frob"]).status.code(), Some(2));
}
