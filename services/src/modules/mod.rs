//! Kernel modules: which one somebody means, what it needs, and having the kernel load it.
//!
//! - [`config`]: `/etc/modprobe.d` and the kernel command line
//! - [`catalog`]: the modules of one kernel, found by name or alias
//! - [`kernel`]: what is loaded, loading and unloading
//!
//! `modprobe` and `devd` are its users. Absent: compressed modules, `install` and `remove`
//! commands, `modules.symbols`.

pub mod catalog;
pub mod config;
pub mod kernel;

use std::path::PathBuf;

/// Where the modules of the running kernel are: `/lib/modules/RELEASE` (uname(2)).
#[must_use]
pub fn directory() -> PathBuf {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    PathBuf::from("/lib/modules").join(release)
}
