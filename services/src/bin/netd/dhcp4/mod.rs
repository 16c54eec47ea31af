//! The DHCP client for IPv4 (RFC 2131, RFC 2132, RFC 3442).
//!
//! Code map: [`machine`] decides, [`message`] writes and reads packets with the crate
//! `dhcproto`, [`lease`] is what comes of it.
//! Absent: DHCPINFORM, relay agents, authentication (RFC 3118), option overload.

pub(crate) mod lease;
pub(crate) mod machine;
pub(crate) mod message;

/// Ports of servers and of clients (RFC 2131, 4.1).
pub(crate) const SERVER_PORT: u16 = 67;
pub(crate) const CLIENT_PORT: u16 = 68;
