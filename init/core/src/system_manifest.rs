//! What a system is meant to be: the manifest that the builder puts into an image and
//! `system-check` compares the running system with. Laid down in `docs/system-check.md`.
//!
//! A line of text per fact, sorted by the writer. Reading takes hostile input: an error
//! names the line. Absent: times and extended attributes of files.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Write;

/// Where an image keeps its manifest.
pub const PATH: &str = "/usr/lib/keelson/manifest";

/// The first line; the number is raised when a line changes its meaning.
const FORMAT: &str = "keelson-manifest 1";

/// A system.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SystemManifest {
    /// The image's name.
    pub image: String,
    /// The machine, as `uname -m` prints it.
    pub machine: String,
    /// The kernel's release, as `uname -r` prints it.
    pub kernel_release: String,
    /// SHA-256 of the kernel's configuration in hexadecimal, as `/proc/config.gz` has
    /// it; empty if the kernel does not tell it.
    pub kernel_config_sha256: String,
    /// Services that start at boot.
    pub services: Vec<String>,
    /// Mounted file systems: type and place.
    pub mounts: Vec<(String, String)>,
    /// Everything in the root tree.
    pub entries: Vec<Entry>,
}

/// One path of the root tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its path with a leading `/`, in bytes as the kernel has them.
    pub path: Vec<u8>,
    /// What is there.
    pub kind: Kind,
    /// Permission bits; of no meaning for symbolic links.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// What is at a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// SHA-256 of its content in hexadecimal.
        sha256: String,
        /// Whether its content may be changed without being wrong.
        changeable: bool,
    },
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A character device with its major and minor number.
    CharDevice(u32, u32),
    /// A block device with its major and minor number.
    BlockDevice(u32, u32),
    /// A named pipe.
    Fifo,
}

/// Why a text is no manifest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ManifestError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

impl core::fmt::Display for ManifestError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl core::error::Error for ManifestError {}

impl SystemManifest {
    /// The manifest as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{FORMAT}\n");
        for (key, value) in [
            ("image", &self.image),
            ("machine", &self.machine),
            ("kernel", &self.kernel_release),
            ("kernel-config", &self.kernel_config_sha256),
        ] {
            if !value.is_empty() {
                line(&mut text, &[key, &escape(value.as_bytes())]);
            }
        }
        for service in &self.services {
            line(&mut text, &["service", &escape(service.as_bytes())]);
        }
        for (kind, place) in &self.mounts {
            line(&mut text, &["mount", &escape(kind.as_bytes()), &escape(place.as_bytes())]);
        }
        for entry in &self.entries {
            entry.write(&mut text);
        }
        text
    }

    /// Reads a manifest.
    ///
    /// # Errors
    /// The first line that is none, or that follows none of this format.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        match lines.next() {
            Some((_, FORMAT)) => {}
            _ => {
                let message = format!("it does not begin with `{FORMAT}`");
                return Err(ManifestError { line: 1, message });
            }
        }
        let mut manifest = Self::default();
        for (number, line) in lines {
            let words: Vec<&str> = line.split(' ').collect();
            if manifest.read(&words).is_none() {
                let message = format!("`{line}` is no fact");
                return Err(ManifestError { line: number, message });
            }
        }
        Ok(manifest)
    }

    fn read(&mut self, words: &[&str]) -> Option<()> {
        match words {
            ["image", value] => self.image = unescape_text(value)?,
            ["machine", value] => self.machine = unescape_text(value)?,
            ["kernel", value] => self.kernel_release = unescape_text(value)?,
            ["kernel-config", value] => self.kernel_config_sha256 = digest(value)?,
            ["service", name] => self.services.push(unescape_text(name)?),
            ["mount", kind, place] => {
                self.mounts.push((unescape_text(kind)?, unescape_text(place)?));
            }
            [kind, mode, uid, gid, rest @ ..] => {
                let mode = u16::from_str_radix(mode, 8).ok().filter(|mode| *mode <= 0o7777)?;
                let (uid, gid) = (uid.parse().ok()?, gid.parse().ok()?);
                let (kind, path) = Kind::read(kind, rest)?;
                let path = unescape(path).filter(|path| path.starts_with(b"/"))?;
                self.entries.push(Entry { path, kind, mode, uid, gid });
            }
            _ => return None,
        }
        Some(())
    }
}

impl Entry {
    fn write(&self, text: &mut String) {
        let (letter, more) = match &self.kind {
            Kind::Directory => ("d", None),
            Kind::File { sha256, changeable } => {
                (if *changeable { "v" } else { "f" }, Some(sha256.clone()))
            }
            Kind::Symlink(target) => ("l", Some(escape(target))),
            Kind::CharDevice(major, minor) => ("c", Some(format!("{major}:{minor}"))),
            Kind::BlockDevice(major, minor) => ("b", Some(format!("{major}:{minor}"))),
            Kind::Fifo => ("p", None),
        };
        // Writing into a String cannot fail.
        let _ = write!(text, "{letter} {:o} {} {}", self.mode, self.uid, self.gid);
        for word in more.iter().chain([&escape(&self.path)]) {
            let _ = write!(text, " {word}");
        }
        text.push('\n');
    }
}

impl Kind {
    /// The kind by its letter, and the word that is the path.
    fn read<'a>(letter: &str, rest: &[&'a str]) -> Option<(Self, &'a str)> {
        let kind = match (letter, rest) {
            ("d", [path]) => return Some((Self::Directory, path)),
            ("p", [path]) => return Some((Self::Fifo, path)),
            ("f" | "v", [sha256, _]) => {
                Self::File { sha256: digest(sha256)?, changeable: letter == "v" }
            }
            ("l", [target, _]) => Self::Symlink(unescape(target)?),
            ("c" | "b", [numbers, _]) => {
                let (major, minor) = numbers.split_once(':')?;
                let (major, minor) = (major.parse().ok()?, minor.parse().ok()?);
                match letter {
                    "c" => Self::CharDevice(major, minor),
                    _ => Self::BlockDevice(major, minor),
                }
            }
            _ => return None,
        };
        rest.get(1).map(|path| (kind, *path))
    }
}

fn line(text: &mut String, words: &[&str]) {
    text.push_str(&words.join(" "));
    text.push('\n');
}

/// 64 digits of lower-case hexadecimal.
fn digest(word: &str) -> Option<String> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (word.len() == 64 && word.bytes().all(is_digit)).then(|| word.to_owned())
}

/// Bytes as one word: everything but printable ASCII, and `%`, as `%HH` (RFC 3986, 2.1).
/// Nothing at all is `%`.
fn escape(bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "%".to_string();
    }
    let mut word = String::with_capacity(bytes.len());
    for byte in bytes {
        if byte.is_ascii_graphic() && *byte != b'%' {
            word.push(char::from(*byte));
        } else {
            let _ = write!(word, "%{byte:02x}");
        }
    }
    word
}

fn unescape(word: &str) -> Option<Vec<u8>> {
    if word == "%" {
        return Some(Vec::new());
    }
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        if *first == b'%' {
            let digits = core::str::from_utf8(behind.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = behind.get(2..)?;
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

fn unescape_text(word: &str) -> Option<String> {
    String::from_utf8(unescape(word)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHA256: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn manifest() -> SystemManifest {
        let entry =
            |path: &[u8], kind| Entry { path: path.to_vec(), kind, mode: 0o755, uid: 0, gid: 5 };
        let file = |changeable| Kind::File { sha256: SHA256.into(), changeable };
        SystemManifest {
            image: "my image".into(),
            machine: "x86_64".into(),
            kernel_release: "6.6.1".into(),
            kernel_config_sha256: SHA256.into(),
            services: alloc::vec!["logd".into()],
            mounts: alloc::vec![("proc".into(), "/proc".into())],
            entries: alloc::vec![
                entry(b"/", Kind::Directory),
                entry(b"/etc/with space", file(true)),
                entry(b"/usr/100%\xff\n", file(false)),
                entry(b"/bin", Kind::Symlink(b"usr/bin".to_vec())),
                entry(b"/dev/console", Kind::CharDevice(5, 1)),
                entry(b"/dev/vda", Kind::BlockDevice(254, 0)),
                entry(b"/run/fifo", Kind::Fifo),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let text = manifest().text();
        assert!(text.contains("\nimage my%20image\n"));
        assert!(text.contains(&format!("\nv 755 0 5 {SHA256} /etc/with%20space\n")));
        assert!(text.contains(" /usr/100%25%ff%0a\n"));
        assert_eq!(SystemManifest::parse(&text), Ok(manifest()));
        let nothing = SystemManifest::default();
        assert_eq!(SystemManifest::parse(&nothing.text()), Ok(nothing));
    }

    #[test]
    fn what_is_no_manifest_is_an_error_with_its_line() {
        for (lines, line) in [
            ("", 1),
            ("keelson-manifest 2\n", 1),
            ("keelson-manifest 1\nimage\n", 2),
            ("keelson-manifest 1\nimage a\nnonsense b\n", 3),
            ("keelson-manifest 1\nd 755 0 0 relative\n", 2),
            ("keelson-manifest 1\nd 10000 0 0 /x\n", 2),
            ("keelson-manifest 1\nd 8 0 0 /x\n", 2),
            ("keelson-manifest 1\nd 755 -1 0 /x\n", 2),
            ("keelson-manifest 1\nd 755 0 0 /x y\n", 2),
            ("keelson-manifest 1\nf 755 0 0 abc /x\n", 2),
            ("keelson-manifest 1\nd 755 0 0 /%f\n", 2),
            ("keelson-manifest 1\nd 755 0 0 /%zz\n", 2),
            ("keelson-manifest 1\nc 755 0 0 5 /x\n", 2),
            ("keelson-manifest 1\nmount proc %ff\n", 2),
            ("keelson-manifest 1\n\n", 2),
        ] {
            assert_eq!(SystemManifest::parse(lines).unwrap_err().line, line, "{lines:?}");
        }
    }
}
