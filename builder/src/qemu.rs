//! Guests: from a description of a machine to a running one and its end.
//!
//! [`machine`] turns a description into QEMU's arguments, with [`board`] for what
//! boards and buses and [`network`] for what cards there are, and [`ending`]
//! turns what was seen into an outcome; all are pure. [`launch`] starts the
//! process and [`session`] owns it and its sockets. Nothing here reads the guest's
//! console to learn how it fares: events come by QMP, commands and their output
//! by the exec port. For a message alone, `panic` looks there for the kernel's reason.

pub mod accel;
pub mod accelerator;
pub mod board;
pub mod console;
pub mod ending;
pub mod exec;
pub mod firmware;
pub mod interrupt;
pub mod launch;
pub mod machine;
pub mod network;
mod panic;
mod probe_guest;
pub mod qmp;
pub mod session;
