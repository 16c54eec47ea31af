//! `kernel-config/linux.toml`: the pinned kernel release. Parsing only.

use init_core::diagnostic::{Finding, Place};
use serde::Deserialize;

use crate::error::{Error, Result, toml_finding};

/// The pinned release, checked.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Pin {
    /// The release, as `6.6.119`.
    pub version: String,
    /// URL of the tarball.
    pub url: String,
    /// SHA-256 of the tarball, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// URLs of directories that hold the same file.
    #[serde(default)]
    pub mirrors: Vec<String>,
    /// Debian source packages to fall back to, in order.
    #[serde(default)]
    pub debian_packages: Vec<String>,
}

impl Pin {
    /// Parses the text of `linux.toml`. `file` is the name its findings carry.
    ///
    /// # Errors
    /// With the place of what is wrong.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let wrong = |finding| Error::findings("the kernel pin is wrong", vec![finding]);
        let pin: Self =
            toml::from_str(text).map_err(|error| wrong(toml_finding(file, text, &error)))?;
        let complaint = if !is_sha256(&pin.sha256) {
            Some(("sha256", "sha256 is not 64 lower-case hexadecimal digits"))
        } else if pin.file_name().is_empty() {
            Some(("url", "url does not end in a file name"))
        } else if series(&pin.version).is_none() {
            Some(("version", "version is no kernel release such as 6.6.119"))
        } else {
            None
        };
        match complaint {
            None => Ok(pin),
            Some((key, message)) => {
                let line = text.lines().take_while(|line| !line.starts_with(key)).count() + 1;
                let line = u32::try_from(line).unwrap_or(u32::MAX);
                let place = Place { file: file.to_owned(), line, column: 1 };
                Err(wrong(Finding::new(place, message)))
            }
        }
    }

    /// The tarball's file name.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or_default()
    }

    /// Every URL of the tarball in the order they are tried: `mirror` (a
    /// directory, from the environment), the pinned URL, the pinned mirrors.
    #[must_use]
    pub fn urls(&self, mirror: Option<&str>) -> Vec<String> {
        let in_directory =
            |base: &str| format!("{}/{}", base.trim_end_matches('/'), self.file_name());
        let mut urls: Vec<String> = mirror.into_iter().map(in_directory).collect();
        urls.push(self.url.clone());
        urls.extend(self.mirrors.iter().map(|base| in_directory(base)));
        urls
    }
}

/// The series of a release or package version: `6.12` of `6.12.117-1~deb12u1`.
/// `None` if it does not begin with two numbers.
#[must_use]
pub fn series(version: &str) -> Option<String> {
    let mut numbers = version.split(|character: char| !character.is_ascii_digit());
    let major: u32 = numbers.next()?.parse().ok()?;
    let minor: u32 = version
        .strip_prefix(&format!("{major}."))?
        .split(|character: char| !character.is_ascii_digit())
        .next()?
        .parse()
        .ok()?;
    Some(format!("{major}.{minor}"))
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "version = \"6.6.1\"\nurl = \"https://host/v6.x/linux-6.6.1.tar.xz\"\n\
        sha256 = \"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"\n\
        mirrors = [\"http://mirror/a/\"]\n";

    #[test]
    fn the_environments_mirror_comes_first() {
        let pin = Pin::parse("linux.toml", TEXT).unwrap();
        assert_eq!(
            pin.urls(Some("http://near/k")),
            [
                "http://near/k/linux-6.6.1.tar.xz",
                "https://host/v6.x/linux-6.6.1.tar.xz",
                "http://mirror/a/linux-6.6.1.tar.xz"
            ]
        );
    }

    #[test]
    fn mistakes_are_placed() {
        let cases = [
            (TEXT.replace("ddeeff\"", "ddeeXX\""), "linux.toml:3:1"),
            (TEXT.replace("6.6.1\"\n", "six\"\n"), "linux.toml:1:1"),
            (TEXT.replace("tar.xz", "tar.xz/"), "linux.toml:2:1"),
            (TEXT.replace("mirrors", "mirors"), "linux.toml:4:1"),
            (TEXT.replace("version", "#"), "missing field"),
        ];
        for (text, expected) in cases {
            let error = Pin::parse("linux.toml", &text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn series_are_two_numbers() {
        let cases = [
            ("6.6.119", Some("6.6")),
            ("6.12.117-1~deb12u1", Some("6.12")),
            ("6.12-rc3", Some("6.12")),
            ("6", None),
            ("", None),
            ("x6.1", None),
        ];
        for (version, expected) in cases {
            assert_eq!(series(version).as_deref(), expected, "{version}");
        }
    }
}
