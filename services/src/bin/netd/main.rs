//! `netd`, the network daemon: makes the network of this machine as
//! `/etc/network.toml` says, and keeps it so while cables and servers come and go.
//!
//! Code map: [`manager`] decides, with [`dhcp4`], [`dhcp6`] and [`resolv`], all pure;
//! [`event_loop`] hears the kernel, servers and `netctl` and has [`edge`] do what was
//! decided; [`given`] and [`held_down`] are what the next start has to know. `docs/network.md`
//! describes the file. Absent: Wi-Fi, PPP, tunnels, bonds, addresses by DHCPv6, passing packets
//! between links.

mod arguments;
mod arp;
mod control;
mod dhcp4;
mod dhcp6;
mod edge;
mod event_loop;
mod given;
mod held_down;
mod manager;
mod random;
mod resolv;
mod sockets;

use std::process::ExitCode;

use services::program;

/// The name under which problems are reported.
const PROGRAM: &str = "netd";

fn main() -> ExitCode {
    program::run(PROGRAM, arguments::HELP, arguments::parse, event_loop::run)
}
