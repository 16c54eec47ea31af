//! What is mounted, as `/proc/self/mountinfo` tells it (proc_pid_mountinfo(5)).
//!
//! A path may have any byte but NUL in it, so paths are bytes here.

use alloc::string::String;
use alloc::vec::Vec;

/// The file.
pub const PATH: &str = "/proc/self/mountinfo";

/// Something that is mounted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mounted {
    /// Major and minor number of the file system's device.
    pub number: (u32, u32),
    /// What of the file system is mounted; `/` unless it is a bind mount.
    pub root: Vec<u8>,
    /// Where.
    pub target: Vec<u8>,
    /// Options of this mount, with commas between them.
    pub options: String,
    /// The kernel's name of the file system.
    pub kind: String,
    /// What mount(2) was told to mount.
    pub source: Vec<u8>,
    /// Options of the file system, with commas between them.
    pub super_options: String,
}

/// The entries of the file in its order, in which the last one at a place is the one that shows.
/// Lines that are none are passed over.
pub fn parse(content: &[u8]) -> impl Iterator<Item = Mounted> {
    content.split(|byte| *byte == b'\n').filter_map(entry)
}

/// Number, parent, device, root, target, options and any number of further fields, one that is
/// a hyphen, then type, source and options of the file system.
fn entry(line: &[u8]) -> Option<Mounted> {
    let mut fields = line.split(|byte| *byte == b' ').skip(2);
    let number = text(fields.next()?);
    let (major, minor) = number.split_once(':')?;
    let (root, target) = (unescaped(fields.next()?), unescaped(fields.next()?));
    let options = text(fields.next()?);
    fields.by_ref().find(|field| *field == b"-")?;
    Some(Mounted {
        number: (major.parse().ok()?, minor.parse().ok()?),
        root,
        target,
        options,
        kind: text(fields.next()?),
        source: unescaped(fields.next()?),
        super_options: fields.next().map(text).unwrap_or_default(),
    })
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

/// Blanks, line breaks and backslashes stand as `\NNN` there, in octal digits.
fn unescaped(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&first, after)) = rest.split_first() {
        let escaped = (first == b'\\').then(|| after.split_first_chunk()).flatten();
        let escaped = escaped.and_then(|(digits, after)| Some((octal(digits)?, after)));
        let (byte, after) = escaped.unwrap_or((first, after));
        bytes.push(byte);
        rest = after;
    }
    bytes
}

/// The byte that three octal digits stand for.
fn octal(digits: &[u8; 3]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |value, digit| {
        let digit = char::from(*digit).to_digit(8)?;
        value.checked_mul(8)?.checked_add(u8::try_from(digit).ok()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read() {
        let content = b"\
            22 1 254:2 / / rw,relatime shared:1 master:2 - ext4 /dev/root rw,errors=continue\n\
            30 22 0:25 /sub /my\\040data ro,nosuid - tmpfs none\\134x rw,size=1024k\n\
            31 22 0:26 / /\xff\\011 rw - tmpfs a\n\
            broken\n32 22 0:x / /y rw - tmpfs a b\n33 22 0:1 / /y rw tmpfs a b\n";
        let [root, bind, odd] = parse(content).collect::<Vec<_>>().try_into().unwrap();
        assert_eq!((root.number, &*root.target, &*root.root), ((254, 2), &b"/"[..], &b"/"[..]));
        assert_eq!((&*root.kind, &*root.source), ("ext4", &b"/dev/root"[..]));
        assert_eq!(root.super_options, "rw,errors=continue");
        assert_eq!((&*bind.root, &*bind.target), (&b"/sub"[..], &b"/my data"[..]));
        assert_eq!((&*bind.source, &*bind.options), (&b"none\\x"[..], "ro,nosuid"));
        assert_eq!((&*odd.target, &*odd.super_options), (&b"/\xff\t"[..], ""));
    }

    #[test]
    fn odd_escapes_stay_as_they_are() {
        for (field, expected) in [
            ("a\\", "a\\"),
            ("\\04", "\\04"),
            ("\\999", "\\999"),
            ("\\777", "\\777"),
            ("\\+40", "\\+40"),
            ("\\040\\134", " \\"),
        ] {
            assert_eq!(unescaped(field.as_bytes()), expected.as_bytes(), "{field}");
        }
    }
}
