//! What is mounted, as text: what of a path is no UTF-8 is replaced.

use std::fs;
use std::io;

use init_core::mountinfo;

/// Something that is mounted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mounted {
    /// Major and minor number of the file system's device.
    pub number: (u32, u32),
    /// What of the file system is mounted; `/` unless it is a bind mount.
    pub root: String,
    /// Where.
    pub target: String,
    /// Options of this mount.
    pub options: String,
    /// The kernel's name of the file system.
    pub kind: String,
    /// What mount(2) was told to mount.
    pub source: String,
    /// Options of the file system.
    pub super_options: String,
}

/// Everything that is mounted, in the order in which it was.
///
/// # Errors
/// What reading the file says.
pub fn mounted() -> io::Result<Vec<Mounted>> {
    Ok(parse(&fs::read(mountinfo::PATH)?))
}

/// The mounts of a table in the kernel's words (proc_pid_mountinfo(5)). Lines that cannot be
/// understood are left out.
#[must_use]
pub fn parse(content: &[u8]) -> Vec<Mounted> {
    mountinfo::parse(content).map(Mounted::from).collect()
}

/// What is mounted at `target`, or where a symbolic link on the way there leads, and can be seen
/// there: the last of several.
///
/// # Errors
/// What reading the table says.
pub fn at(target: &str) -> io::Result<Option<Mounted>> {
    let place = fs::canonicalize(target);
    let place = place.as_ref().map_or(target.into(), |place| place.to_string_lossy());
    Ok(mounted()?.into_iter().rfind(|mount| mount.target == place))
}

impl From<mountinfo::Mounted> for Mounted {
    fn from(mount: mountinfo::Mounted) -> Self {
        let mountinfo::Mounted { number, root, target, options, kind, source, super_options } =
            mount;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (root, target, source) = (text(root), text(target), text(source));
        Self { number, root, target, options, kind, source, super_options }
    }
}
