//! Mount options: words that are flags of mount(2), and words for the file system. Pure.

use rustix::mount::MountFlags;

/// Options as mount(2) takes them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Flags that the kernel knows for every file system.
    pub flags: MountFlags,
    /// The rest, for the file system itself, separated by commas.
    pub data: String,
}

/// Words and the flag each sets or, if the last field is false, clears (mount(8)).
const WORDS: [(&str, MountFlags, bool); 23] = [
    ("ro", MountFlags::RDONLY, true),
    ("rw", MountFlags::RDONLY, false),
    ("nosuid", MountFlags::NOSUID, true),
    ("suid", MountFlags::NOSUID, false),
    ("nodev", MountFlags::NODEV, true),
    ("dev", MountFlags::NODEV, false),
    ("noexec", MountFlags::NOEXEC, true),
    ("exec", MountFlags::NOEXEC, false),
    ("sync", MountFlags::SYNCHRONOUS, true),
    ("async", MountFlags::SYNCHRONOUS, false),
    ("dirsync", MountFlags::DIRSYNC, true),
    ("noatime", MountFlags::NOATIME, true),
    ("atime", MountFlags::NOATIME, false),
    ("nodiratime", MountFlags::NODIRATIME, true),
    ("diratime", MountFlags::NODIRATIME, false),
    ("relatime", MountFlags::RELATIME, true),
    ("strictatime", MountFlags::STRICTATIME, true),
    ("lazytime", MountFlags::LAZYTIME, true),
    ("nolazytime", MountFlags::LAZYTIME, false),
    ("nosymfollow", MountFlags::NOSYMFOLLOW, true),
    ("symfollow", MountFlags::NOSYMFOLLOW, false),
    ("silent", MountFlags::SILENT, true),
    ("defaults", MountFlags::empty(), true),
];

/// When the time of an access is written: only one of these can be meant.
pub(super) const ACCESS_TIME: MountFlags =
    MountFlags::NOATIME.union(MountFlags::RELATIME).union(MountFlags::STRICTATIME);

impl Options {
    /// Sorts the words. Of two that contradict each other the later counts.
    #[must_use]
    pub fn of<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        Self::changed(MountFlags::empty(), words)
    }

    /// What the words make of `flags`, which are set already.
    #[must_use]
    pub fn changed<'a>(mut flags: MountFlags, words: impl IntoIterator<Item = &'a str>) -> Self {
        let mut data: Vec<&str> = Vec::new();
        for word in words.into_iter().filter(|word| !word.is_empty()) {
            match WORDS.iter().find(|(name, ..)| *name == word) {
                Some((_, flag, set)) => {
                    if *set && ACCESS_TIME.intersects(*flag) {
                        flags.remove(ACCESS_TIME);
                    }
                    flags.set(*flag, *set);
                }
                None => data.push(word),
            }
        }
        Self { flags, data: data.join(",") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_and_the_file_systems_own_words_are_told_apart() {
        for (text, flags, data) in [
            ("", MountFlags::empty(), ""),
            ("defaults", MountFlags::empty(), ""),
            ("ro,nosuid", MountFlags::RDONLY.union(MountFlags::NOSUID), ""),
            ("ro,rw", MountFlags::empty(), ""),
            ("size=1m,nodev,mode=0755", MountFlags::NODEV, "size=1m,mode=0755"),
            ("data=journal,,noexec", MountFlags::NOEXEC, "data=journal"),
            ("nosymfollow", MountFlags::NOSYMFOLLOW, ""),
            ("noatime,relatime", MountFlags::RELATIME, ""),
            ("strictatime,noatime", MountFlags::NOATIME, ""),
            ("noatime,atime", MountFlags::empty(), ""),
        ] {
            let expected = Options { flags, data: data.to_owned() };
            assert_eq!(Options::of(text.split(',')), expected, "{text:?}");
        }
    }
}
