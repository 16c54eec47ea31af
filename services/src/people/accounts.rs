//! The users and groups of the running system.

use std::fs;
use std::io;
use std::path::Path;

pub use init_core::accounts::{Group, User};

/// The users of `/etc/passwd`.
///
/// # Errors
/// What reading the file says.
pub fn users() -> io::Result<Vec<User>> {
    Ok(init_core::accounts::users(&read(Path::new("/etc/passwd"))?).collect())
}

/// The groups of `/etc/group`.
///
/// # Errors
/// What reading the file says.
pub fn groups() -> io::Result<Vec<Group>> {
    Ok(init_core::accounts::groups(&read(Path::new("/etc/group"))?).collect())
}

/// Reads a file that need not be UTF-8 throughout: a stranger's comment field must not
/// keep root from logging in.
fn read(path: &Path) -> io::Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
}
