//! Who may use the system, and how somebody gets in: shared by `getty`, `login`, `passwd` and
//! `sshd`, and by whoever names owners.
//!
//! - [`accounts`]: `/etc/passwd` and `/etc/group`, read without a C library
//! - [`shadow`]: `/etc/shadow`, and who may not log in
//! - [`admission`]: whether an account is open to who has proven to be its owner
//! - [`ask`], [`password`], [`session`]: a question, its right answer, and what follows
//! - [`identity`]: what a session runs with
//! - [`motd`]: what somebody sees after logging in

pub mod accounts;
pub mod admission;
pub mod ask;
pub mod identity;
pub mod motd;
#[cfg(feature = "passwords")]
pub mod password;
pub mod session;
pub mod shadow;
