//! `netd`, the network daemon: makes the network of this machine as
//! `/etc/network.toml` says, and keeps it so while cables and servers come and go.
//!
//! Code map: [`manager`] decides, with [`dhcp4`], [`dhcp6`] and [`resolv`], all pure;
//! [`event_loop`] hears the kernel, servers and `netctl` and has [`edge`] do what was
//! decided. `docs/network.md` describes the file. Absent: Wi-Fi, PPP, tunnels, bonds,
//! addresses by DHCPv6, passing packets between links.

mod arguments;
mod arp;
mod control;
mod dhcp4;
mod dhcp6;
mod edge;
mod event_loop;
mod manager;
mod random;
mod resolv;
mod sockets;

use std::process::ExitCode;

use arguments::Parsed;

/// The name under which problems are reported.
const PROGRAM: &str = "netd";

fn main() -> ExitCode {
    let settings = match arguments::parse(lexopt::Parser::from_env()) {
        Ok(Parsed::Run(settings)) => settings,
        Ok(Parsed::Help) => return arguments::print_help(),
        Err(problem) => {
            problem.print(PROGRAM);
            return ExitCode::from(2);
        }
    };
    match event_loop::run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            problem.print(PROGRAM);
            ExitCode::FAILURE
        }
    }
}
