//! The second guest of a pair as what a network has (`netpeer`), the first as its client.

use super::Pair;
use crate::error::Result;
use crate::ops::guest::Guest;
use crate::ops::test::guest_checks::Verdict;

/// The service of the second guest that is the network. Its rules stand in its way else.
pub(super) const UP: &str = "fwctl off && svcctl start test-peer";
/// Addresses and routes by IPv4.
pub(super) const ADDRESS_AND_ROUTE: &str = "ip -4 -br addr show eth0; ip -4 route";
/// What the addresses that it grants begin with.
pub(super) const NETWORK: &str = "10.77.0.";
pub(super) const DEFAULT_ROUTE: &str = "default via 10.77.0.1 dev eth0";
/// Half seconds that a change may take to arrive.
const POLLS_MAX: u32 = 120;

/// Has the network there, and the first guest in it: whatever was shown before. If that does not
/// come about, what there is instead.
///
/// # Errors
/// See [`Guest::run`].
pub(super) fn join(pair: &mut Pair) -> Result<std::result::Result<(), String>> {
    pair.second.read(UP)?;
    pair.first.set_link(0, true)?;
    let command = format!("{ADDRESS_AND_ROUTE}; ip -6 -br addr show eth0; cat {RESOLVERS}");
    let wanted =
        [NETWORK, DEFAULT_ROUTE, "2001:db8:77:0:", "nameserver 10.77.0.53", "2001:db8:77::53"];
    let has_all = |found: &str| wanted.iter().all(|word| found.contains(word));
    let found = wait_for(&mut pair.first, &command, has_all)?;
    Ok(found.map(drop).map_err(|found| format!("no network: {found}")))
}

/// Names the resolvers that count.
pub(super) const RESOLVERS: &str = "/run/netd/resolv.conf";

/// What a command prints once it is as `wanted`, or what it was at last.
///
/// # Errors
/// See [`Guest::run`].
pub(super) fn wait_for(
    guest: &mut Guest,
    command: &str,
    wanted: impl Fn(&str) -> bool,
) -> Result<Verdict> {
    let mut found = String::new();
    for _ in 0..POLLS_MAX {
        found = guest.run(command)?.text();
        if wanted(&found) {
            return Ok(Ok(found));
        }
        guest.read("sleep 0.5")?;
    }
    Ok(Err(found))
}
