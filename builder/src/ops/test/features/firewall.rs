//! Features of the packet filter. What passes is seen by questions to the resolver on the
//! loopback interface, which rules can close as well as any other, and by what another machine
//! reaches ([`between`]).

mod between;

use serde_json::Value;

use super::{Feature, command, joined, steps};
use crate::arch::Arch;
use crate::error::Result;
use crate::ops::guest::{Guest, Output};
use crate::ops::test::guest_checks::Verdict;

pub(super) const FEATURES: &[Feature] = &[
    command(
        "The rules are in force before the network is up",
        "firewall.md",
        "fwctl --json show && svcctl --json list",
        in_force,
    ),
    command(
        "A rule set is checked with file and line, and nothing changes",
        "firewall.md#commands",
        "echo 'rul = 1' > /tmp/wrong.toml; fwctl apply /tmp/wrong.toml > /tmp/said 2>&1; cat /tmp/said; fwctl show",
        wrong_file,
    ),
    steps(
        "A rule blocks what it names, counts it, and lets the rest through",
        "firewall.md",
        block,
    ),
    steps(
        "Rules on trial are taken back unless they are confirmed",
        "firewall.md#commands",
        trial_ends,
    ),
    steps("Rules on trial stay once they are confirmed", "firewall.md#commands", trial_stays),
    joined(
        "Rules on trial keep another machine out until the trial ends, but no connection that stands",
        "firewall.md#commands",
        between::trial_ends,
    ),
    joined(
        "Confirmed rules keep another machine out until others are applied",
        "firewall.md#commands",
        between::confirmed,
    ),
];

/// Closes the resolver to this machine's programs, and counts what they send.
const CLOSED: &str = "\
cat > /tmp/closed.toml << 'END'
[implied]
loopback = false
established = false
[policy]
in = \"accept\"
[[rule]]
name = \"shut\"
action = \"drop\"
protocol = \"udp\"
ports = 53
END
";
/// Asks the resolver for what it knows itself; the status says whether it was reached.
const PROBE: &str = "nslookup --timeout 2 localhost 127.0.0.53 > /dev/null 2>&1; echo $?";
/// Seconds that a trial lasts here, and that its end may take.
const TRIAL_SECONDS: u32 = 5;
const TRIAL_POLLS_MAX: u32 = 60;

fn in_force(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let documents: std::result::Result<Vec<Value>, _> =
        serde_json::Deserializer::from_str(&text).into_iter().collect();
    let documents = documents.map_err(|error| format!("no JSON ({error}): {text}"))?;
    let [shown, services] = documents.as_slice() else { return Err(text) };
    if shown["chains"][0]["policy"] != "drop" {
        return Err(format!("what comes in: {}", shown["chains"][0]["policy"]));
    }
    let since = |name: &str| {
        let service = services.as_array()?.iter().find(|service| service["name"] == name)?;
        service["up"].as_bool().filter(|up| *up)?;
        service["since_boot_us"].as_u64()
    };
    match (since("firewall"), since("netd")) {
        (Some(rules), Some(network)) if rules <= network => {
            Ok(format!("{} ms before it", (network - rules) / 1000))
        }
        times => Err(format!("firewall and netd are up since {times:?}")),
    }
}

fn wrong_file(_: Arch, output: &Output) -> Verdict {
    let text = output.success()?;
    let said = text.contains("/tmp/wrong.toml:1:1: unknown key \"rul\"");
    if said && text.contains("in, policy drop") { Ok(String::new()) } else { Err(text) }
}

fn probe(guest: &mut Guest) -> Result<bool> {
    Ok(guest.read(PROBE)?.trim() == "0")
}

fn block(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let before = probe(guest)?;
    guest.read(CLOSED)?;
    guest.read("fwctl apply /tmp/closed.toml")?;
    let during = probe(guest)?;
    let shown = guest.read("fwctl --json show")?;
    guest.read("fwctl apply")?;
    let after = probe(guest)?;
    let count = serde_json::from_str::<Value>(&shown).ok().and_then(|shown| packets(&shown));
    Ok(match ((before, during, after), count) {
        ((true, false, true), Some(count @ 1..)) => Ok(format!("{count} packets")),
        other => Err(format!("reached before, during, after, and packets: {other:?}")),
    })
}

/// What the rule `shut` has counted.
fn packets(shown: &Value) -> Option<u64> {
    let rules = shown["chains"][0]["rules"].as_array()?;
    rules.iter().find(|rule| rule["name"] == "shut")?["packets"].as_u64()
}

fn trial_ends(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    guest.read(CLOSED)?;
    guest.read(&format!("fwctl try /tmp/closed.toml --seconds {TRIAL_SECONDS}"))?;
    let is_blocked = !probe(guest)?;
    for _ in 0..TRIAL_POLLS_MAX {
        let shown = guest.read("fwctl show")?;
        if !shown.contains("on trial") {
            let is_back = shown.contains("in, policy drop") && probe(guest)?;
            return Ok(match (is_blocked, is_back) {
                (true, true) => Ok(String::new()),
                other => Err(format!("blocked during, reached after: {other:?}; {shown}")),
            });
        }
        guest.read("sleep 0.5")?;
    }
    Ok(Err("the trial does not end".to_owned()))
}

fn trial_stays(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    guest
        .read(&format!("fwctl try /tmp/closed.toml --seconds {TRIAL_SECONDS} && fwctl confirm"))?;
    guest.read(&format!("sleep {}", TRIAL_SECONDS + 1))?;
    let shown = guest.read("fwctl show")?;
    guest.read("fwctl apply")?;
    let stays = shown.contains("shut") && !shown.contains("on trial");
    Ok(if stays { Ok(String::new()) } else { Err(shown) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rules_that_come_late_or_let_in_are_noticed() {
        let judge = |policy: &str, rules: u64, network: u64| {
            let service = |name: &str, since: u64| json!({ "name": name, "up": true, "since_boot_us": since });
            let shown = json!({ "chains": [{ "name": "in", "policy": policy }] });
            let list = json!([service("firewall", rules), service("netd", network)]);
            in_force(Arch::X86_64, &Output::of(&format!("{shown}\n{list}\n")))
        };
        assert!(judge("drop", 5, 9).is_ok());
        assert!(judge("accept", 5, 9).is_err());
        assert!(judge("drop", 9, 5).is_err());
        assert!(in_force(Arch::X86_64, &Output::of("{}")).is_err());
    }

    #[test]
    fn a_wrong_file_must_be_named_and_the_rules_stay() {
        let said = "fwctl: error: /tmp/wrong.toml:1:1: unknown key \"rul\"\n";
        assert!(wrong_file(Arch::X86_64, &Output::of(&format!("{said}in, policy drop\n"))).is_ok());
        assert!(
            wrong_file(Arch::X86_64, &Output::of(&format!("{said}in, policy accept\n"))).is_err()
        );
        assert!(wrong_file(Arch::X86_64, &Output::of("in, policy drop\n")).is_err());
    }

    #[test]
    fn the_blocked_rules_counter_is_found() {
        let rules = json!([{ "name": "x", "packets": 9 }, { "name": "shut", "packets": 2 }]);
        assert_eq!(packets(&json!({ "chains": [{ "rules": rules }] })), Some(2));
        assert_eq!(packets(&json!({})), None);
    }
}
