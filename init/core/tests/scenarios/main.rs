//! Scenario tables: events in, states and actions out.
//!
//! A row is what happens and everything that must follow, in order: `a:ready
//! became-ready` is a recorded change with its reason's word; `spawn a`, `term a`,
//! `kill a`, `remove a`, `reply 1 ok` and `finish reboot` are actions. Together they
//! cover every row of the table at `State`.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod dependencies;
mod lifecycle;
mod requests;
mod shutdown;
mod world;
