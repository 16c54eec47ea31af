//! Features of the network, most of them shown by two guests on one cable: the
//! second is what a network has (`netpeer`), the first is its client.

mod leases;

use serde_json::Value;

use super::peer::{self, ADDRESS_AND_ROUTE, DEFAULT_ROUTE, NETWORK, wait_for};
use super::{Feature, Pair, joined, network, steps};
use crate::arch::Arch;
use crate::error::Result;
use crate::ops::guest::Guest;
use crate::ops::test::guest_checks::Verdict;

pub(super) const FEATURES: &[Feature] = &[
    network("A pulled network cable is noticed, and its return", "testing.md#two-guests", cable),
    network(
        "An address, a route and a resolver come by DHCP",
        "network.md#what-happens-when",
        granted,
    ),
    joined(
        "IPv6 addresses come from routers, resolvers from routers and stateless DHCPv6",
        "network.md#what-happens-when",
        routers,
    ),
    joined("Machines answer to ping by IPv4 and by IPv6", "network.md#netctl", pings),
    joined("Machines talk to each other over TCP", "network.md#what-happens-when", tcp),
    joined("A DHCP lease is renewed before it ends", "network.md#what-happens-when", renewed),
    joined(
        "Routes go with the cable, and the address is asked for again when it is back",
        "network.md#what-happens-when",
        replugged,
    ),
    joined(
        "A DHCP lease whose server is gone ends in time, with address and route",
        "network.md#what-happens-when",
        expires,
    ),
    joined(
        "A DHCP lease whose server is gone goes on with another one's word",
        "network.md#what-happens-when",
        leases::rebound,
    ),
    joined("The machine takes the name that its lease gives", "network.md#keys", leases::named),
    steps(
        "netctl set gives a link an address, and again when it was gone",
        "network.md#netctl",
        hot_plug,
    ),
    steps(
        "A route that the kernel refuses is told, and set once an address leads to it",
        "network.md#netctl",
        refused,
    ),
    steps("Addresses and routes are as the file says", "network.md#keys", fixed),
    steps("VLANs and bridges are made as the file says", "network.md#keys", made_links),
];

const CARRIER: &str = "cat /sys/class/net/eth0/carrier";
/// Looks at a lease, half a second after each other.
const LOOKS_MAX: u32 = 120;
/// What the client has of its lease.
const LEASE: &str = "netctl --json lease";

/// What a network file says of a link with addresses and routes of its own.
const FIXED: &str = r#"
[[link]]
match = { name = "fixed0" }
addresses = ["192.0.2.130/25", "2001:db8:8::8/64"]

[[link.route]]
to = "198.51.100.0/24"
via = "192.0.2.129"

[[link.route]]
to = "2001:db8:9::/48"
via = "2001:db8:8::1"
"#;

/// The same of links that are to be made.
const LINKS: &str = r#"
[[bridge]]
name = "br9"

[[vlan]]
name = "lan9"
on = "eth0"
id = 9

[[link]]
match = { name = "lan9" }
bridge = "br9"
"#;

fn cable(pair: &mut Pair) -> Result<Verdict> {
    let mut seen = Vec::new();
    for is_up in [true, false, true] {
        pair.first.set_link(0, is_up)?;
        let wanted = if is_up { "1" } else { "0" };
        match wait_for(&mut pair.first, CARRIER, |found| found.trim() == wanted)? {
            Ok(found) => seen.push(found.trim().to_owned()),
            Err(found) => return Ok(Err(format!("carrier {found} after {seen:?}"))),
        }
    }
    Ok(Ok(format!("carrier {}", seen.join(", "))))
}

fn granted(pair: &mut Pair) -> Result<Verdict> {
    pair.second.read(peer::UP)?;
    let command = format!("{ADDRESS_AND_ROUTE}; cat {}", peer::RESOLVERS);
    let wanted = [NETWORK, DEFAULT_ROUTE, "nameserver 10.77.0.53", "lab.example"];
    wait_for(&mut pair.first, &command, |found| wanted.iter().all(|word| found.contains(word)))
        .map(|verdict| verdict.map(|found| first_line(&found)))
}

fn routers(pair: &mut Pair) -> Result<Verdict> {
    let command = "ip -6 -br addr show eth0; ip -6 route; cat /run/netd/resolv.conf";
    let wanted = [
        "2001:db8:77:0:",
        "default via fe80:",
        "nameserver 2001:db8:77::53",
        "nameserver 2001:db8:77::54",
    ];
    wait_for(&mut pair.first, command, |found| wanted.iter().all(|word| found.contains(word)))
        .map(|verdict| verdict.map(|found| first_line(&found)))
}

fn pings(pair: &mut Pair) -> Result<Verdict> {
    let mut found = Vec::new();
    for command in ["ping -c 3 -i 0.3 10.77.0.1", "ping -6 -c 3 -i 0.3 2001:db8:77::1"] {
        let output = pair.first.run(command)?;
        match output.success() {
            Ok(text) if text.contains("3 asked, 3 answered") => {
                found.extend(text.lines().last().map(str::to_owned));
            }
            Ok(text) | Err(text) => return Ok(Err(text)),
        }
    }
    let silent = pair.first.run("ping -c 1 -W 1 10.77.0.99")?;
    if silent.status != 1 {
        return Ok(Err(format!("nobody's address: exit status {}", silent.status)));
    }
    Ok(Ok(found.join("; ")))
}

fn tcp(pair: &mut Pair) -> Result<Verdict> {
    for server in ["10.77.0.1:7", "[2001:db8:77::1]:7"] {
        let output = pair.first.run(&format!("netpeer --call {server} 'said over TCP'"))?;
        match output.success() {
            Ok(text) if text == "said over TCP" => {}
            Ok(text) | Err(text) => return Ok(Err(format!("{server}: {text}"))),
        }
    }
    Ok(Ok(String::new()))
}

/// Looks at the lease until its end has moved away, and never sees it gone.
fn renewed(pair: &mut Pair) -> Result<Verdict> {
    let mut left_s = Vec::new();
    for _ in 0..LOOKS_MAX {
        let lease = lease(&mut pair.first)?;
        let Some(now_s) = lease["expires_in_s"].as_u64() else {
            return Ok(Err(format!("no lease after {left_s:?} s left")));
        };
        if left_s.last().is_some_and(|last| now_s > *last) {
            return Ok(Ok(format!("{} s before its end", left_s.last().unwrap_or(&0))));
        }
        left_s.push(now_s);
        pair.first.read("sleep 0.5")?;
    }
    Ok(Err(format!("not renewed: {left_s:?} s left")))
}

fn replugged(pair: &mut Pair) -> Result<Verdict> {
    pair.first.set_link(0, false)?;
    let is_gone = |found: &str| !found.contains("default") && found.contains(NETWORK);
    if let Err(found) = wait_for(&mut pair.first, ADDRESS_AND_ROUTE, is_gone)? {
        return Ok(Err(format!("without a cable: {found}")));
    }
    pair.first.set_link(0, true)?;
    let is_back = |found: &str| found.contains(DEFAULT_ROUTE) && found.contains(NETWORK);
    if let Err(found) = wait_for(&mut pair.first, ADDRESS_AND_ROUTE, is_back)? {
        return Ok(Err(format!("with the cable: {found}")));
    }
    Ok(pair.first.run("ping -c 1 10.77.0.1")?.success().map(|_| String::new()))
}

fn expires(pair: &mut Pair) -> Result<Verdict> {
    pair.second.read("svcctl stop test-peer")?;
    let is_gone = |found: &str| !found.contains(NETWORK);
    if let Err(found) = wait_for(&mut pair.first, ADDRESS_AND_ROUTE, is_gone)? {
        return Ok(Err(format!("still there: {found}")));
    }
    let log = pair.first.read("svcctl logs netd -n 50")?;
    let Some(line) = log.lines().rev().find(|line| line.contains("the lease has expired")) else {
        return Ok(Err(log));
    };
    pair.second.read("svcctl start test-peer")?;
    let is_back = |found: &str| found.contains(NETWORK);
    let back = wait_for(&mut pair.first, ADDRESS_AND_ROUTE, is_back)?;
    Ok(back.map(|_| line.to_owned()))
}

fn hot_plug(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let set = "ip link add plug0 type dummy && sleep 0.5 && \
               netctl set plug0 address 192.0.2.9/24 2001:db8:9::9/64";
    if let Err(failed) = guest.run(set)?.success() {
        return Ok(Err(failed));
    }
    let show = "ip -br addr show plug0";
    let has_both =
        |found: &str| ["192.0.2.9/24", "2001:db8:9::9/64"].iter().all(|one| found.contains(one));
    if let Err(found) = wait_for(guest, show, has_both)? {
        return Ok(Err(format!("when it was set: {found}")));
    }
    guest.read("ip link del plug0 && ip link add plug0 type dummy")?;
    let verdict = wait_for(guest, show, has_both)?;
    guest.read("netctl set plug0 address none && ip link del plug0")?;
    Ok(verdict.map(|found| found.trim().to_owned()))
}

fn refused(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let set = "ip link add off0 type dummy && sleep 0.5 && \
               netctl set off0 address 192.0.2.201/30 && netctl set off0 metric 9999 && \
               netctl set off0 gateway 203.0.113.1 2>&1; echo code $?; \
               netctl status off0 | grep refused; ip addr add 203.0.113.2/30 dev off0";
    let told = guest.read(set)?;
    let is_set = |found: &str| found.contains("default via 203.0.113.1 dev off0");
    let verdict = wait_for(guest, "ip route", is_set)?;
    guest
        .read("netctl set off0 gateway none && netctl set off0 address none && ip link del off0")?;
    let refusal = "set the route to 0.0.0.0/0 via 203.0.113.1: ";
    let is_told = told.contains(&format!("off0: the kernel refuses to {refusal}"))
        && told.contains("code 1\n")
        && told.contains(&format!("refused    {refusal}"));
    Ok(if is_told { verdict.map(|_| first_line(&told)) } else { Err(told) })
}

fn fixed(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let show = "ip -br addr show fixed0; ip route; ip -6 route";
    let wanted = [
        "192.0.2.130/25",
        "2001:db8:8::8/64",
        "198.51.100.0/24 via 192.0.2.129 dev fixed0",
        "2001:db8:9::/48 via 2001:db8:8::1 dev fixed0",
    ];
    guest.read("ip link add fixed0 type dummy")?;
    let made = shown_with(guest, FIXED, show, &wanted)?;
    guest.read("ip link del fixed0")?;
    Ok(made.map(|_| String::new()))
}

fn made_links(guest: &mut Guest, _: Arch) -> Result<Verdict> {
    let made = with_file(
        guest,
        "netctl reload",
        |file| format!("{file}{LINKS}"),
        |guest| {
            let found = lan9_shown(guest, "vlan id 9")?;
            if found.is_err() {
                return Ok(found);
            }
            // What is there and other than the file has it follows the file.
            guest.read(
                "sed -i 's/^id = 9/id = 10/; s/^name = \"br9\"/&\\nstp = true/' /etc/network.toml && \
                 netctl reload",
            )?;
            let stp = guest.read("cat /sys/class/net/br9/bridge/stp_state")?;
            match stp.trim() {
                "1" => lan9_shown(guest, "vlan id 10"),
                other => Ok(Err(format!("its STP is {other}"))),
            }
        },
    )?;
    if made.is_err() {
        return Ok(made);
    }
    let is_gone = |found: &str| !found.contains("lan9") && !found.contains("br9");
    let gone = wait_for(guest, "ip -br link", is_gone)?;
    Ok(gone.map(|_| String::new()).map_err(|found| format!("still there: {found}")))
}

/// The VLAN of [`LINKS`], once it is a port with this number.
fn lan9_shown(guest: &mut Guest, id: &str) -> Result<Verdict> {
    let wanted = ["lan9@eth0", id, "master br9"];
    wait_for(guest, "ip link show lan9", |found| wanted.iter().all(|word| found.contains(word)))
}

/// What `show` prints, once all of `wanted` is in it, while these lines end a guest's network file.
fn shown_with(guest: &mut Guest, lines: &str, show: &str, wanted: &[&str]) -> Result<Verdict> {
    let has_all = |found: &str| wanted.iter().all(|word| found.contains(word));
    with_file(
        guest,
        "netctl reload",
        |file| format!("{file}{lines}"),
        |guest| wait_for(guest, show, has_all),
    )
}

/// What is found while a guest's network file is another one. `apply` is the command after
/// which a changed file counts.
fn with_file(
    guest: &mut Guest,
    apply: &str,
    changed: impl Fn(&str) -> String,
    find: impl FnOnce(&mut Guest) -> Result<Verdict>,
) -> Result<Verdict> {
    let text = changed(&guest.read("cat /etc/network.toml")?);
    let change = format!(
        "cp /etc/network.toml /root/network.toml && cat > /etc/network.toml << 'END OF FILE' && \
         {apply}\n{text}\nEND OF FILE\n"
    );
    let found = match guest.run(&change)?.success() {
        Ok(_) => find(guest)?,
        Err(failed) => Err(failed),
    };
    guest.read(&format!("mv /root/network.toml /etc/network.toml && {apply}"))?;
    Ok(found)
}

/// The lease of a guest's only card, null without one.
fn lease(guest: &mut Guest) -> Result<Value> {
    let text = guest.run(LEASE)?.text();
    let value: Value = serde_json::from_str(&text).unwrap_or_default();
    Ok(value[0]["lease"].clone())
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}
