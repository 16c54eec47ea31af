//! Debian packages as parts of a tree, without dpkg, its scripts or root.
//!
//! [`apt`] asks the host's apt, which checks signatures; [`lock`] is the file
//! that pins versions and digests; [`snapshot`] has what has left the archive
//! since; [`deb`] reads a package; [`store`] keeps unpacked packages in the
//! cache; [`place`] puts them into a tree.

pub mod apt;
pub mod deb;
pub mod lock;
pub mod place;
pub mod snapshot;
pub mod store;
