//! `dnsd`, the resolver of this machine: answers programs on 127.0.0.53, asks the servers that
//! the network has named, and remembers what they said.
//!
//! Code map: [`arguments`]; [`request`] reads what a program asks and [`reply`] writes what it
//! gets; [`local`] knows `/etc/hosts` and `localhost`, [`cache`] what was answered before,
//! [`upstream`] asks; [`server`] has the sockets and threads. Messages are the crate `domain`'s.
//! Absent: recursion from the root, DNSSEC validation, multicast DNS, encrypted transports.

mod arguments;
mod cache;
mod local;
mod reply;
mod request;
mod server;
mod upstream;

use std::process::ExitCode;

use services::program;

/// The name under which problems are reported.
const PROGRAM: &str = "dnsd";

fn main() -> ExitCode {
    // It serves until it is killed: there is nothing to be saved.
    program::run(PROGRAM, arguments::HELP, arguments::parse, |settings| server::run(&settings))
}
