//! Bad input, case by case, through the real program: for each its exit code
//! (`Exit codes` of `builder --help`), the place, the cause and the remedy.
//!
//! Everything happens in a small project of the test's own, without network and
//! without the compile of a real kernel.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "all of this is test code")]

mod changes;
mod definitions;
mod kernel;
mod mounts;
mod outputs;
mod outputs_of_others;
mod packages;
mod project;
