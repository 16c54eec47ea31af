//! The network as people write and read it, shared by `netd`, `netctl` and the
//! network tools: prefixes, hardware addresses, `/etc/network.toml`, and what is
//! said over `netd`'s control socket.

pub mod config;
pub mod config_reader;
pub mod control;
pub mod datagram;
pub mod mac;
pub mod prefix;

/// The file that describes the network of this machine.
pub const CONFIG_FILE: &str = "/etc/network.toml";

/// Where `netd` keeps what others may read.
pub const RUN_DIRECTORY: &str = "/run/netd";
