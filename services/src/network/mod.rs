//! The network, shared by `netd`, `netctl`, the other daemons of it and the network tools.
//!
//! - [`config`], [`config_reader`], [`mac`], [`prefix`]: as people write it in
//!   `/etc/network.toml`
//! - [`control`]: what is said over `netd`'s control socket
//! - [`datagram`]: UDP in IPv4 as bytes
//! - [`dns`]: names and addresses: messages, asking a server, `/etc/hosts`
//! - [`netlink`]: asking the kernel about it, and telling it
//! - [`ntp`]: how NTP writes a time
//! - [`plain_name`]: which names may be written down

pub mod config;
pub mod config_reader;
pub mod control;
pub mod datagram;
pub mod dns;
pub mod mac;
pub mod netlink;
pub mod ntp;
pub mod plain_name;
pub mod prefix;

/// The file that describes the network of this machine.
pub const CONFIG_FILE: &str = "/etc/network.toml";

/// Where `netd` keeps what others may read.
pub const RUN_DIRECTORY: &str = "/run/netd";
