//! The system calls PID 1 makes that have no safe wrapper: the only unsafe
//! code of the package.
//!
//! Why it is sound as a whole. PID 1 has one thread, so no call races with
//! another on memory. Every pointer handed to the kernel points into a value
//! that is borrowed for the whole call, with a length taken from that value.
//! Descriptors that come out of the kernel are wrapped as `OwnedFd` at once,
//! and only in the line that received them. After `clone3` the child shares
//! PID 1's memory: it has a stack of its own, reads only what was laid out for
//! it, which nobody changes or frees while it may, and makes raw system calls.
//! It allocates nothing, takes no lock, does not know `errno` and ends in
//! `execve` or `exit_group`, so it does not matter what PID 1 does meanwhile.
//!
//! Modules return plain data (pids, statuses, `Errno`) and know no service.
//! Where rustix has a safe wrapper, callers use rustix.

#[cfg(not(test))]
mod allocator;
mod clone;
#[cfg(not(test))]
mod entry;
pub(crate) mod net;
pub(crate) mod once;
pub(crate) mod panic;
pub(crate) mod power;
pub(crate) mod process;
pub(crate) mod reap;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod stdio;
