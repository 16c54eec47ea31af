//! The packet filter between two machines: the second guest has the rules, the first is kept
//! out by them.

use crate::error::Result;
use crate::ops::guest::Guest;
use crate::ops::test::features::{Pair, peer};
use crate::ops::test::guest_checks::Verdict;

/// Seconds that a trial lasts in which something is looked at meanwhile.
const TRIAL_SECONDS: u32 = 15;
/// The same of one that is confirmed at once.
const SHORT_TRIAL_SECONDS: u32 = 5;
/// A port, by both families, another one, and ping: each with its exit status.
const PROBE: &str = "\
netpeer --call 10.77.0.1:7 x > /dev/null 2>&1; echo port-by-IPv4 $?
netpeer --call '[2001:db8:77::1]:7' x > /dev/null 2>&1; echo port-by-IPv6 $?
nslookup peer.lab.example 10.77.0.53 > /dev/null 2>&1; echo other-port $?
ping -c 1 10.77.0.1 > /dev/null 2>&1; echo ping $?";
const OPEN: &str = "port-by-IPv4 0\nport-by-IPv6 0\nother-port 0\nping 0\n";
const SHUT: &str = "port-by-IPv4 1\nport-by-IPv6 1\nother-port 0\nping 0\n";

/// What was answered in a connection that lasts, a line each second.
const ANSWERS: &str = "svcctl logs test-talk -n 1000";

/// The second guest's own rules are in force, and others are in /tmp/shut.toml, which shut one
/// port in this way and let everything else in.
fn prepare(second: &mut Guest, action: &str) -> Result<String> {
    second.read(&format!(
        "fwctl apply && printf '%s\\n' '[policy]' 'in = \"accept\"' '[[rule]]' 'name = \"shut\"' \
         'action = \"{action}\"' 'protocol = \"tcp\"' 'ports = 7' > /tmp/shut.toml"
    ))
}

/// What the first guest reaches of the second.
fn probe(pair: &mut Pair, when: &str, wanted: &str) -> Result<Verdict> {
    let found = pair.first.read(PROBE)?;
    Ok(if found == wanted { Ok(found) } else { Err(format!("{when}: {found}")) })
}

pub(super) fn trial_ends(pair: &mut Pair) -> Result<Verdict> {
    prepare(&mut pair.second, "reject")?;
    pair.first.read("svcctl start test-talk")?;
    let verdict = on_trial(pair);
    pair.first.read("svcctl stop test-talk")?;
    pair.second.read("fwctl off")?;
    verdict
}

fn on_trial(pair: &mut Pair) -> Result<Verdict> {
    if let Err(found) = probe(pair, "before", OPEN)? {
        return Ok(Err(found));
    }
    if let Err(found) = more_answers(&mut pair.first)? {
        return Ok(Err(format!("before: {found}")));
    }
    pair.second.read(&format!("fwctl try /tmp/shut.toml --seconds {TRIAL_SECONDS}"))?;
    if let Err(found) = probe(pair, "on trial", SHUT)? {
        return Ok(Err(found));
    }
    if let Err(found) = more_answers(&mut pair.first)? {
        return Ok(Err(format!("on trial: {found}")));
    }
    let shown = pair.second.read("fwctl show")?;
    if !shown.contains("on trial") {
        return Ok(Err(format!("it was over before all was looked at: {shown}")));
    }
    let is_over = |shown: &str| !shown.contains("on trial") && !shown.contains("shut");
    if let Err(shown) = peer::wait_for(&mut pair.second, "fwctl show", is_over)? {
        return Ok(Err(format!("the trial does not end: {shown}")));
    }
    let after = probe(pair, "after", OPEN)?;
    let log = pair.second.read("svcctl logs kernel -n 50")?;
    let said = log.lines().find(|line| line.contains("were not confirmed"));
    Ok(match (after, said) {
        (Err(found), _) => Err(found),
        (Ok(_), None) => Err(format!("the log does not say so: {log}")),
        (Ok(_), Some(line)) => Ok(line.to_owned()),
    })
}

/// Waits until more is answered in the connection that lasts.
fn more_answers(first: &mut Guest) -> Result<Verdict> {
    let before = first.read(ANSWERS)?.lines().count();
    let is_more = |answers: &str| answers.lines().count() > before + 1;
    let more = peer::wait_for(first, ANSWERS, is_more)?;
    Ok(more.map_err(|answers| format!("a connection is silent: {answers}")))
}

pub(super) fn confirmed(pair: &mut Pair) -> Result<Verdict> {
    prepare(&mut pair.second, "drop")?;
    let verdict = kept(pair);
    pair.second.read("fwctl off")?;
    verdict
}

fn kept(pair: &mut Pair) -> Result<Verdict> {
    if let Err(found) = probe(pair, "before", OPEN)? {
        return Ok(Err(found));
    }
    pair.second.read(&format!(
        "fwctl try /tmp/shut.toml --seconds {SHORT_TRIAL_SECONDS} && fwctl confirm && sleep {}",
        SHORT_TRIAL_SECONDS + 1
    ))?;
    if let Err(found) = probe(pair, "confirmed", SHUT)? {
        return Ok(Err(found));
    }
    pair.second.read("fwctl apply")?;
    Ok(probe(pair, "with the file's rules", OPEN)?.map(|_| String::new()))
}
