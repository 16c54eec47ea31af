//! Patterns for target paths: which part of a tree is meant.
//!
//! `*` and `?` stand for any characters and for one within a component, `**`
//! for any, slashes too. A pattern that fits a directory means all below it as
//! well; one that begins with `!` takes out what it fits.

use super::TreePath;

/// A pattern for absolute paths on the target.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pattern {
    /// Without its `!` and its leading `/`.
    text: Vec<u8>,
    /// Whether it takes paths out.
    pub is_exclusion: bool,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// If it is not absolute, names the root alone, or has a `..`; the message
    /// is a fragment.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (is_exclusion, path) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        if !path.starts_with('/') {
            return Err(format!("{text:?} must be an absolute path on the target"));
        }
        let clean = TreePath::new(path).map_err(|error| error.to_string())?;
        if clean.as_bytes().is_empty() {
            return Err("the root directory cannot be named here".to_owned());
        }
        Ok(Self { text: clean.as_bytes().to_vec(), is_exclusion })
    }

    /// Whether it fits the path or a directory above it.
    #[must_use]
    pub fn covers(&self, path: &TreePath) -> bool {
        let path = path.as_bytes();
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        ends.chain([path.len()]).any(|end| fits(&self.text, &path[..end]))
    }
}

/// Whether a pattern fits a whole text. Takes time in proportion to the product
/// of their lengths, whatever the pattern: what is reached is a set, not a stack.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    // `reached[i]`: the first `i` bytes of the pattern fit what was read so far.
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    pass_stars(pattern, &mut reached);
    for byte in text {
        let mut next = vec![false; pattern.len() + 1];
        for (index, wanted) in pattern.iter().enumerate().filter(|(index, _)| reached[*index]) {
            match wanted {
                b'*' if *byte != b'/' || is_deep(pattern, index) => next[index] = true,
                b'*' => {}
                b'?' if *byte != b'/' => next[index + 1] = true,
                _ if wanted == byte => next[index + 1] = true,
                _ => {}
            }
        }
        pass_stars(pattern, &mut next);
        reached = next;
    }
    reached.last() == Some(&true)
}

/// A star may stand for nothing.
fn pass_stars(pattern: &[u8], reached: &mut [bool]) {
    for (index, byte) in pattern.iter().enumerate() {
        if *byte == b'*' && reached[index] {
            reached[index + 1] = true;
        }
    }
}

/// Whether the star at `index` is one of several in a row.
fn is_deep(pattern: &[u8], index: usize) -> bool {
    let is_star = |index: Option<usize>| index.and_then(|at| pattern.get(at)) == Some(&b'*');
    is_star(index.checked_sub(1)) || is_star(Some(index + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_paths_and_what_is_below() {
        for (pattern, path, expected) in [
            ("/usr/bin/python3*", "usr/bin/python3.11", true),
            ("/usr/bin/python3*", "usr/bin/python", false),
            ("/usr/lib", "usr/lib/x/y", true),
            ("/usr/lib", "usr/lib64/x", false),
            ("/usr/*/x", "usr/lib/x", true),
            ("/usr/*/x", "usr/lib/y/x", false),
            ("/usr/**/x", "usr/lib/y/x", true),
            ("/usr/lib/*-linux-gnu/libc.so.?", "usr/lib/x86_64-linux-gnu/libc.so.6", true),
            ("/usr/lib/*-linux-gnu/libc.so.?", "usr/lib/x86_64-linux-gnu/libc.so.", false),
            ("!/usr/share/**/test", "usr/share/a/b/test/c", true),
            ("/a*b*c", "axxbxxcxxc", true),
            ("/**", "anything/at/all", true),
            ("/usr/bin", "usr", false),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            let found = parsed.covers(&TreePath::new(path).unwrap());
            assert_eq!(found, expected, "{pattern} {path}");
            assert_eq!(parsed.is_exclusion, pattern.starts_with('!'));
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for (text, says) in [
            ("usr/bin", "must be an absolute path"),
            ("!usr", "must be an absolute path"),
            ("/", "root directory"),
            ("/a/../b", "`..`"),
        ] {
            let error = Pattern::parse(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        let pattern = Pattern::parse(&format!("/{}b", "*a".repeat(100))).unwrap();
        assert!(!pattern.covers(&TreePath::new("a".repeat(250)).unwrap()));
    }
}
