//! What is in force, as a person or a program reads it.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::kernel::{ShownChain, ShownRule};
use crate::state::Trial;

/// A comment as the program put it there: `NAME: TEXT`.
fn parts(rule: &ShownRule) -> (&str, &str) {
    rule.comment.split_once(": ").unwrap_or(("", &rule.comment))
}

/// What happens at the end of a chain. Rejecting is a rule before it.
fn policy(chain: &ShownChain) -> &str {
    let rule =
        chain.rules.iter().map(parts).find(|(name, text)| *name == "policy" && *text != "log");
    rule.map_or(if chain.drops { "drop" } else { "accept" }, |(_, text)| text)
}

/// For programs. `chains` is `null` if the table is not there.
pub(crate) fn json(chains: Option<&[ShownChain]>, trial: Option<&Trial>) -> Value {
    let rule = |rule: &ShownRule| {
        let (name, text) = parts(rule);
        json!({ "name": name, "text": text, "packets": rule.packets, "bytes": rule.bytes })
    };
    let chain = |chain: &ShownChain| {
        let rules: Vec<Value> = chain.rules.iter().map(rule).collect();
        json!({ "name": chain.name, "policy": policy(chain), "rules": rules })
    };
    json!({
        "active": chains.is_some(),
        "trial": trial.map(|trial| json!({ "seconds_left": trial.left().as_secs() })),
        "chains": chains.map(|chains| chains.iter().map(chain).collect::<Vec<_>>()),
    })
}

/// For people.
pub(crate) fn text(chains: Option<&[ShownChain]>, trial: Option<&Trial>) -> String {
    let Some(chains) = chains else {
        return "no rules are in force: everything passes\n".to_owned();
    };
    let mut text = String::new();
    if let Some(trial) = trial {
        let left = trial.left();
        let _ = match left.is_zero() {
            false => {
                let seconds = left.as_secs();
                writeln!(text, "on trial: taken back in {seconds} s without `fwctl confirm`\n")
            }
            // For a moment, unless somebody has killed the process that waits.
            true => writeln!(text, "on trial: over; `fwctl apply` goes back if this stays\n"),
        };
    }
    let rules = chains.iter().flat_map(|chain| &chain.rules);
    let width = rules.map(|rule| parts(rule).0.len()).max().unwrap_or(0);
    for (index, chain) in chains.iter().enumerate() {
        let separator = if index == 0 { "" } else { "\n" };
        let (name, policy) = (&chain.name, policy(chain));
        let _ = writeln!(text, "{separator}{name}, policy {policy}");
        let _ = writeln!(text, "  {:width$}  {:>10}  {:>12}  RULE", "NAME", "PACKETS", "BYTES");
        for rule in &chain.rules {
            let (name, what) = parts(rule);
            let (packets, bytes) = (rule.packets, rule.bytes);
            let _ = writeln!(text, "  {name:width$}  {packets:>10}  {bytes:>12}  {what}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_trial_says_how_long_it_lasts_and_what_helps_if_nobody_ends_it() {
        for (seconds, expected) in [(3600, "taken back in 35"), (0, "over; `fwctl apply`")] {
            let trial = Trial::from_now(Duration::from_secs(seconds)).unwrap();
            let shown = text(Some(&[]), Some(&trial));
            assert!(shown.starts_with(&format!("on trial: {expected}")), "{shown}");
        }
    }
}
