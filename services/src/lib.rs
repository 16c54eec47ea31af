//! What Keelson's daemons and tools share.
//!
//! Code map:
//! - [`network`]: its description, netlink, names, time servers
//! - [`people`]: accounts, passwords, sessions
//! - [`storage`]: block devices, file systems, mounts
//! - [`modules`]: kernel modules: finding, loading
//! - [`kmsg`]: records of the kernel's log
//! - [`log_record`]: the line format of `/run/log`, written by `logd`, read by `svcctl`
//! - [`bounded_file`]: files that somebody wrote and that may be anything
//! - [`config_file`]: strict reading of a daemon's TOML file
//! - [`control`]: the client's side of PID 1's control socket
//! - [`notify`]: telling PID 1 that a daemon is ready (sd_notify(3))
//! - [`privileges`]: giving up what root may do
//! - [`signals`]: being asked to end, as a readable descriptor
//! - [`clock`]: the time since boot
//! - [`problem`]: an error for people, with its remedy
//! - [`failure`]: a problem with the exit code of a tool
//! - [`program`]: a program from its command line to its exit code
//! - [`output`]: what a tool writes to standard output
//! - [`terminal`]: asking a terminal for its size
//! - [`random`]: bytes that nobody can guess
//! - [`glob`]: shell patterns for names
//! - [`whole_file`]: files that appear whole or not at all
//! - [`sys`]: the only `unsafe`

pub mod bounded_file;
pub mod clock;
pub mod config_file;
pub mod control;
pub mod failure;
pub mod glob;
pub mod kmsg;
pub mod log_record;
pub mod modules;
#[cfg(feature = "network")]
pub mod network;
pub mod notify;
pub mod output;
pub mod people;
pub mod privileges;
pub mod problem;
pub mod program;
pub mod random;
pub mod signals;
#[cfg(feature = "storage")]
pub mod storage;
pub mod sys;
pub mod terminal;
pub mod whole_file;
