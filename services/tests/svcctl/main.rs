//! `svcctl` against a PID 1 that the test plays: what it asks, what it prints,
//! how it exits.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends where it fails, and says what it skips"
)]

mod bench;
mod command_line;
mod files;
mod notify;
mod operate;
mod show;
mod system;
