//! The pure core of PID 1, shared by `init`, `services` and `builder`.
//!
//! Nothing here reads a clock, a file or the environment, and nothing here
//! makes a system call: input arrives as arguments, decisions leave as
//! return values. That is what lets the simulation in `tests/` run a hundred
//! thousand boots in seconds, and what lets the builder check on the host
//! exactly what PID 1 will do on the target.
//!
//! Code map:
//! - [`name`], [`description`], [`signal`], [`time`]: what a service is;
//!   [`parse`] reads it from TOML
//! - [`graph`]: who waits for whom; start order, stop order, cycles by name
//! - [`state`], [`reason`]: the states of a service, the table of transitions, and why;
//!   [`process`]: how a process ended or could not be started
//! - [`supervisor`]: `Supervisor::step(event, now) -> actions`
//! - [`event`]: the vocabulary between the supervisor and the system-call edge
//! - [`protocol`]: what `svcctl` and PID 1 say to each other
//! - [`exec_protocol`]: what `builder run --exec` and the guest say to each other
//! - [`cmdline`], [`block_probe`]: what PID 1 reads to find its root file system; [`e2fsck`]:
//!   whether a file system is fit to be mounted
//! - [`mount`]: the description of a mount, for `mounter` and the builder; [`mountinfo`]: what
//!   the kernel says is mounted
//! - [`modinfo`], [`module_index`]: what kernel modules say of themselves, and the lists that
//!   `modprobe` finds them by
//! - [`system_manifest`]: what `system-check` compares the running system with
//! - [`accounts`]: users and groups, of the files that name them
//! - [`errno`]: the kernel's error numbers in words
//! - [`diagnostic`]: a finding in a file, with its place and its remedy

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod accounts;
pub mod block_probe;
pub mod cmdline;
pub mod description;
pub mod diagnostic;
pub mod e2fsck;
pub mod errno;
pub mod event;
pub mod exec_protocol;
pub mod graph;
pub mod modinfo;
pub mod module_index;
pub mod mount;
pub mod mountinfo;
pub mod name;
pub mod parse;
pub mod process;
pub mod protocol;
pub mod reason;
pub mod signal;
pub mod state;
pub mod supervisor;
pub mod system_manifest;
pub mod time;
