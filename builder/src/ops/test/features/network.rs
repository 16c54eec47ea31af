//! Features of the network, most of them shown by two guests on one cable.

use super::{Feature, Pair, network};
use crate::error::Result;
use crate::ops::guest::Guest;
use crate::ops::test::guest_checks::Verdict;

pub(super) const FEATURES: &[Feature] =
    &[network("A pulled network cable is noticed, and its return", "testing.md#two-guests", cable)];

/// IFF_UP beside what a card has anyway (include/uapi/linux/if.h).
const UP: &str = "echo 0x1003 > /sys/class/net/eth0/flags";
const CARRIER: &str = "cat /sys/class/net/eth0/carrier";
/// Half seconds that a change may take to arrive.
const POLLS_MAX: u32 = 60;

fn cable(pair: &mut Pair) -> Result<Verdict> {
    for guest in [&mut pair.first, &mut pair.second] {
        guest.read(UP)?;
    }
    let mut seen = Vec::new();
    for is_up in [true, false, true] {
        pair.first.set_link(0, is_up)?;
        match wait_for(&mut pair.first, CARRIER, if is_up { "1" } else { "0" })? {
            Ok(found) => seen.push(found),
            Err(found) => return Ok(Err(format!("carrier {found} after {seen:?}"))),
        }
    }
    Ok(Ok(format!("carrier {}", seen.join(", "))))
}

/// What a command prints once it is what is `wanted`, or what it was at last.
fn wait_for(guest: &mut Guest, command: &str, wanted: &str) -> Result<Verdict> {
    let mut found = String::new();
    for _ in 0..POLLS_MAX {
        guest.read(command)?.trim().clone_into(&mut found);
        if found == wanted {
            return Ok(Ok(found));
        }
        guest.read("sleep 0.5")?;
    }
    Ok(Err(found))
}
