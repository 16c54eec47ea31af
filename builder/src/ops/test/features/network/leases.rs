//! Features of DHCP leases that depend on who grants them, and on what comes with them.

use super::super::Pair;
use super::super::peer::wait_for;
use super::{LEASE, with_file};
use crate::error::Result;
use crate::ops::test::guest_checks::Verdict;

/// What `netd` says of an address that it has to give up.
const LOST: &str = "lost its address";

/// The server goes, with its addresses: who speaks to it alone is not heard. After seven
/// eighths of its time the client asks everybody, and another server answers.
pub(super) fn rebound(pair: &mut Pair) -> Result<Verdict> {
    let before = log(pair)?;
    pair.second.read(
        "svcctl stop test-peer && ip addr del 10.77.0.53/24 dev eth0 && \
         ip addr del 10.77.0.1/24 dev eth0 && svcctl start test-other-peer",
    )?;
    let is_others = |found: &str| found.contains("\"10.77.0.2\"");
    let rebound = wait_for(&mut pair.first, LEASE, is_others)?;
    let after = log(pair)?;
    // Whoever joins next asks the first server, not this one.
    pair.second.read("svcctl stop test-other-peer && ip addr del 10.77.0.2/24 dev eth0")?;
    pair.first.set_link(0, false)?;
    if let Err(found) = rebound {
        return Ok(Err(format!("{found}\n{after}")));
    }
    if after.matches(LOST).count() != before.matches(LOST).count() {
        return Ok(Err(after));
    }
    Ok(Ok(String::new()))
}

/// `netd` may give the machine a name only if the file said so when it started.
pub(super) fn named(pair: &mut Pair) -> Result<Verdict> {
    let before = pair.first.read("hostname")?;
    let with_name = |file: &str| format!("hostname = \"lease\"\n{file}");
    let named = with_file(&mut pair.first, "svcctl restart netd", with_name, |guest| {
        wait_for(guest, "hostname", |found| found.trim() == "leased")
    })?;
    pair.first.read(&format!("hostname {before}"))?;
    Ok(named.map(|_| format!("{} before", before.trim())))
}

fn log(pair: &mut Pair) -> Result<String> {
    pair.first.read("svcctl logs netd -n 1000")
}
