//! Asking the kernel about the network, and telling it: rtnetlink(7) for links,
//! addresses, routes and neighbours; and the [`Connection`] for what else speaks
//! netlink, sock_diag(7) and nfnetlink.
//!
//! Code map:
//! - [`connection`]: one netlink socket, requests and their answers
//! - [`view`]: what the kernel says, as plain data
//! - [`event`]: what the kernel says unasked
//! - [`change`]: the requests that change something
//!
//! Messages are encoded and decoded by the crates `netlink-packet-*`. Absent:
//! generic netlink, traffic control, rules, name spaces.

pub mod change;
pub mod connection;
pub mod event;
pub mod view;

pub use change::Change;
pub use connection::Connection;
