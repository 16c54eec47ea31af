//! The kernel's source and build, end to end, against a server and a kernel
//! source tree that exist for these tests.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "all of this is test code")]

mod build;
mod download;
mod server;
mod source;
mod support;
