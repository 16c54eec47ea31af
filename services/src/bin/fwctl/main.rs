//! `fwctl`, the packet filter: reads `/etc/firewall.toml` and puts it into the kernel as one
//! change, shows what is in force, and tries rules out that take themselves back.
//!
//! Code map: [`arguments`] is the command line, [`commands`] what it asks for; [`read`] makes a
//! [`rule_set`] of a file, [`compile`] makes [`expression`]s of that, [`kernel`] sends them by
//! [`netlink`]; [`state`] is what is remembered in `/run/firewall`, [`trial`] the rollback.
//! Absent: a daemon, rules by address lists that change, anything outside the own table.

mod arguments;
mod commands;
mod compile;
mod expression;
mod icmp;
mod kernel;
mod netlink;
mod read;
mod rule_set;
mod show;
mod state;
mod trial;

use std::process::ExitCode;

use services::program;

/// The name under which problems are reported.
const PROGRAM: &str = "fwctl";

fn main() -> ExitCode {
    let arguments = arguments::parse(lexopt::Parser::from_env());
    program::end(PROGRAM, arguments.and_then(|arguments| commands::run(&arguments)))
}
