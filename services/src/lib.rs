//! What Keelson's daemons and tools share.
//!
//! Code map:
//! - [`config_file`]: strict reading of a daemon's TOML file
//! - [`block`]: block devices and what is on them
//! - [`clock`]: the time since boot
//! - [`control`]: the client's side of PID 1's control socket
//! - [`dns`]: names and addresses: messages, asking a server, `/etc/hosts`
//! - [`ext4_format`]: making an empty ext4
//! - [`glob`]: shell patterns for names
//! - [`kmsg`]: records of the kernel's log
//! - [`log_record`]: the line format of `/run/log`, written by `logd`, read by `svcctl`
//! - [`modules`]: kernel modules: finding, loading
//! - [`motd`]: what somebody sees after logging in
//! - [`mounting`]: options, tables and checks of mounts
//! - [`notify`]: telling PID 1 that a daemon is ready (sd_notify(3))
//! - [`accounts`]: `/etc/passwd` and `/etc/group`, read without a C library
//! - [`netlink`]: asking the kernel about the network, and telling it
//! - [`network`]: the network as people write it: `/etc/network.toml`, prefixes
//! - [`ntp`]: how NTP writes a time
//! - [`privileges`]: giving up what root may do
//! - [`shadow`]: `/etc/shadow`, and who may not log in
//! - [`identity`]: what a user's session runs with
//! - [`ask`], [`password`], [`session`]: a question, its right answer, and what follows
//! - [`problem`]: an error for people, with its remedy
//! - [`failure`]: a problem with the exit code of a tool
//! - [`output`]: what a tool writes to standard output
//! - [`signals`]: being asked to end, as a readable descriptor
//! - [`whole_file`]: files that appear whole or not at all
//! - [`terminal`]: asking a terminal for its size
//! - [`sys`]: the only `unsafe`

pub mod accounts;
pub mod ask;
pub mod block;
pub mod clock;
pub mod config_file;
pub mod control;
pub mod dns;
pub mod ext4_format;
pub mod failure;
pub mod glob;
pub mod identity;
pub mod kmsg;
pub mod log_record;
pub mod modules;
pub mod motd;
pub mod mounting;
pub mod netlink;
pub mod network;
pub mod notify;
pub mod ntp;
pub mod output;
pub mod password;
pub mod privileges;
pub mod problem;
pub mod session;
pub mod shadow;
pub mod signals;
pub mod sys;
pub mod terminal;
pub mod whole_file;
