//! What is mounted: `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::fs;
use std::io;

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
    let bytes = fs::read("/proc/self/mountinfo")?;
    Ok(parse(&String::from_utf8_lossy(&bytes)))
}

/// What is mounted at `target` and can be seen there: the last of several.
///
/// # Errors
/// What reading the table says.
pub fn at(target: &str) -> io::Result<Option<Mounted>> {
    Ok(mounted()?.into_iter().rfind(|mount| mount.target == target))
}

/// The entries in `text`; lines that are none are passed over.
#[must_use]
pub fn parse(text: &str) -> Vec<Mounted> {
    text.lines().filter_map(entry).collect()
}

fn entry(line: &str) -> Option<Mounted> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(2);
    let (major, minor) = mount.next()?.split_once(':')?;
    let number = (major.parse().ok()?, minor.parse().ok()?);
    let (root, target) = (unescape(mount.next()?), unescape(mount.next()?));
    let options = mount.next()?.to_owned();
    let mut filesystem = filesystem.splitn(3, ' ');
    let kind = filesystem.next()?.to_owned();
    let source = unescape(filesystem.next()?);
    let super_options = filesystem.next().unwrap_or_default().to_owned();
    Some(Mounted { number, root, target, options, kind, source, super_options })
}

/// Blanks, line breaks and backslashes stand as `\NNN` there, in octal digits.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = (*first == b'\\').then(|| after.get(..3)).flatten();
        let code = code.and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read() {
        let text = "\
            22 1 254:2 / / rw,relatime shared:1 - ext4 /dev/root rw,errors=continue\n\
            30 22 0:25 /sub /my\\040data ro,nosuid - tmpfs none\\134x rw,size=1024k\n\
            broken\n31 22 0:x / /y rw - tmpfs a b\n";
        let found = parse(text);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].number, found[0].target.as_str()), ((254, 2), "/"));
        assert_eq!((found[0].kind.as_str(), found[0].source.as_str()), ("ext4", "/dev/root"));
        assert_eq!((found[1].root.as_str(), found[1].target.as_str()), ("/sub", "/my data"));
        assert_eq!((found[1].source.as_str(), found[1].options.as_str()), ("none\\x", "ro,nosuid"));
        assert_eq!(found[1].super_options, "rw,size=1024k");
    }

    #[test]
    fn odd_escapes_stay_as_they_are() {
        for (text, expected) in
            [("a\\", "a\\"), ("\\04", "\\04"), ("\\999", "\\999"), ("\\040", " ")]
        {
            assert_eq!(unescape(text), expected);
        }
    }
}
