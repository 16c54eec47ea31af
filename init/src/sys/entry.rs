//! The C `main` of PID 1.
//!
//! The start-up code of Rust's `main` is left out because of what it does when
//! standard input, output or error is missing: it opens `/dev/null` in their
//! place and aborts if it cannot. An initramfs without `/dev/console` or
//! `/dev/null` would panic the kernel there, before the first line of ours.
//! `console::attach` sees to those descriptors instead. Without that start-up
//! code `SIGPIPE` keeps its default; PID 1 blocks every signal.

use core::ffi::{c_char, c_int};

// SAFETY: there is no other `main` symbol: the crate is `no_main`, and the C
// start-up code calls this one with the signature it has in C.
#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    crate::run()
}

// The C library, which otherwise comes in with the standard library. glibc's
// also wants the compiler's.
#[link(name = "c")]
#[cfg_attr(all(target_env = "gnu", target_feature = "crt-static"), link(name = "gcc_eh"))]
#[cfg_attr(all(target_env = "gnu", target_feature = "crt-static"), link(name = "gcc"))]
#[cfg_attr(all(target_env = "gnu", target_feature = "crt-static"), link(name = "c"))]
unsafe extern "C" {}
