//! `logd` as PID 1 sees it: pipes over a socketpair, kills in the middle, full disks.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test ends where it fails")]

mod bench;
mod lack;
mod pipes;
mod syslog;
