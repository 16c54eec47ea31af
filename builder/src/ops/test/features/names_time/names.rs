//! Names between two machines: the second guest has the zone `lab.example`, the first guest's
//! resolver asks it.

use std::time::{Duration, Instant};

use crate::error::Result;
use crate::ops::test::features::{Pair, peer};
use crate::ops::test::guest_checks::Verdict;

/// Seconds within which a program hears that nothing can be found out. It waits for 5 s for
/// each of two answers, and an emulated machine needs its time.
const FAILURE_SECONDS_MAX: u64 = 30;
/// How many addresses `many.lab.example` has: more than fit a datagram.
const MANY: usize = 100;
/// What the second guest was asked.
const ASKED: &str = "svcctl logs test-peer -n 1000";

pub(super) fn found(pair: &mut Pair) -> Result<Verdict> {
    let asked = pair.first.run("nslookup peer.lab.example")?;
    let wanted = ["Server:  127.0.0.53", "Address: 10.77.0.1", "Address: 2001:db8:77::1"];
    match asked.success() {
        Ok(text) if wanted.iter().all(|word| text.contains(word)) => {}
        Ok(text) | Err(text) => return Ok(Err(text)),
    }
    answered(pair, "peer.lab.example")
}

pub(super) fn searched(pair: &mut Pair) -> Result<Verdict> {
    answered(pair, "peer")
}

/// Whether whoever has `name` answers the first guest.
fn answered(pair: &mut Pair, name: &str) -> Result<Verdict> {
    let pinged = pair.first.run(&format!("ping -c 1 {name}"))?;
    Ok(match pinged.success() {
        Ok(text) if text.contains("1 asked, 1 answered") => {
            Ok(text.lines().next().unwrap_or_default().to_owned())
        }
        Ok(text) | Err(text) => Err(text),
    })
}

pub(super) fn remembered(pair: &mut Pair) -> Result<Verdict> {
    let mut asked = Vec::new();
    for times in [1, 4] {
        let look_up = ["nslookup often.lab.example > /dev/null"; 4];
        pair.first.read(&look_up[..times].join(" && "))?;
        let log = pair.second.read(ASKED)?;
        asked.push(log.lines().filter(|line| line.contains(" of often.lab.example: ")).count());
    }
    Ok(match asked[..] {
        // A datagram of the first time may have been sent twice; later ones are not sent.
        [once, all] if once >= 2 && once == all => Ok(format!("{once} questions, and none later")),
        _ => Err(format!("asked so often after the first and after all: {asked:?}")),
    })
}

pub(super) fn denied(pair: &mut Pair) -> Result<Verdict> {
    let asked = pair.first.run("nslookup nowhere.lab.example")?;
    if asked.status != 1 || !asked.text().contains("nowhere.lab.example: NXDOMAIN") {
        return Ok(Err(format!("status {}: {}", asked.status, asked.text())));
    }
    let pinged = pair.first.run("ping -c 1 nowhere.lab.example")?;
    let said = String::from_utf8_lossy(&pinged.stderr);
    let is_told = pinged.status == 1 && said.contains("cannot find `nowhere.lab.example`");
    Ok(if is_told { Ok(said.trim().to_owned()) } else { Err(said.into_owned()) })
}

pub(super) fn long(pair: &mut Pair) -> Result<Verdict> {
    let text = pair.first.read("nslookup -t AAAA many.lab.example")?;
    let count = text.lines().filter(|line| line.starts_with("Address: 2001:db8:")).count();
    let log = pair.second.read(ASKED)?;
    let is_by_tcp = log.lines().any(|line| line.contains("many.lab.example: NOERROR by TCP"));
    let is_right = count == MANY && is_by_tcp;
    Ok(if is_right { Ok(format!("{count} addresses")) } else { Err(format!("{text}{log}")) })
}

pub(super) fn without_cable(pair: &mut Pair) -> Result<Verdict> {
    pair.first.set_link(0, false)?;
    let verdict = fails(pair);
    pair.first.set_link(0, true)?;
    let took = match verdict? {
        Ok(took) => took,
        Err(found) => return Ok(Err(found)),
    };
    if let Err(found) = peer::join(pair)? {
        return Ok(Err(found));
    }
    let after = pair.first.run("nslookup peer.lab.example")?;
    Ok(after.success().map(|_| format!("{} ms", took.as_millis())))
}

/// How long the slower of two programs took to hear that a name cannot be found.
fn fails(pair: &mut Pair) -> Result<std::result::Result<Duration, String>> {
    let resolvers = format!("cat {}", peer::RESOLVERS);
    let is_gone = |found: &str| !found.contains("nameserver");
    if let Err(found) = peer::wait_for(&mut pair.first, &resolvers, is_gone)? {
        return Ok(Err(format!("there are resolvers: {found}")));
    }
    let mut longest = Duration::ZERO;
    for (command, wanted) in [
        ("nslookup peer.lab.example", "peer.lab.example: SERVFAIL"),
        ("ping -c 1 peer.lab.example", "cannot find `peer.lab.example`"),
    ] {
        let begin = Instant::now();
        let output = pair.first.run(command)?;
        longest = longest.max(begin.elapsed());
        let said = output.text() + &String::from_utf8_lossy(&output.stderr);
        if output.status != 1 || !said.contains(wanted) {
            return Ok(Err(format!("{command}: status {}: {said}", output.status)));
        }
    }
    Ok(match longest.as_secs() < FAILURE_SECONDS_MAX {
        true => Ok(longest),
        false => Err(format!("only after {} s", longest.as_secs())),
    })
}
