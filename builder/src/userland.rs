//! Static Rust binaries for the target, built by Cargo and kept by content.
//!
//! [`toolchain`] decides between musl and glibc and knows what the compiler is;
//! [`workspace`] builds `init` and the `services` package, keyed per binary, so
//! that a changed service rebuilds that service; [`foreign`] builds pinned crates
//! and crates in directories of their own. Every binary is proven static before
//! it enters the cache. Where binaries go in the tree is not decided here.

pub(crate) mod cargo;
mod features;
pub mod foreign;
pub(crate) mod rust;
pub(crate) mod snapshot;
pub mod sources;
pub mod toolchain;
pub mod workspace;

use std::path::PathBuf;

pub use toolchain::{Libc, Toolchain};

use crate::cache::Cache;
use crate::project::Project;
use crate::shell::Shell;

/// A binary for the target, in the cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BuiltBinary {
    /// The name Cargo knows it by.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What every userland build needs.
#[derive(Clone, Copy, Debug)]
pub struct Userland<'a> {
    /// Where progress goes.
    pub shell: &'a Shell,
    /// Where binaries are kept.
    pub cache: &'a Cache,
    /// The repository whose sources are built.
    pub project: &'a Project,
    /// The compiler for the target.
    pub toolchain: &'a Toolchain,
    /// Whether Cargo may use the network.
    pub offline: bool,
}
