//! The real binary as PID 1 of a process namespace, without root and without a
//! virtual machine: what it does with real processes, sockets and signals.
//!
//! Absent, and shown on a booted kernel instead: users and groups (a user
//! namespace has one), devtmpfs, file systems on disks, reboot(2) itself.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test says what is wrong by panicking, and what it skips on stdout"
)]

mod control;
mod guest;
mod helper;
mod output;
mod services;
mod shutdown;
