//! Command lines of the kernel: its own parameters, and behind `--` the arguments of PID 1.
//!
//! The kernel reads nothing behind `--`: what is put together from several
//! hands is sorted here, so that nobody's `--` makes init's of another's parameter.

use std::fmt;

/// The word behind which everything is init's.
pub const MARK: &str = "--";

/// A command line of the kernel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CommandLine {
    /// The kernel's own parameters, one word each.
    pub kernel: Vec<String>,
    /// What init gets as arguments, one word each.
    pub init: Vec<String>,
}

impl CommandLine {
    /// Adds words of a text: those before its first [`MARK`] behind the kernel's, the others
    /// behind init's.
    pub fn add(&mut self, text: &str) {
        let (kernel, init) = split(words(text), |word| word);
        self.kernel.extend(kernel.into_iter().map(str::to_owned));
        self.init.extend(init.into_iter().map(str::to_owned));
    }
}

/// Whether parameters of the kernel name the root.
pub fn names_root<'w>(mut kernel: impl Iterator<Item = &'w str>) -> bool {
    kernel.any(|word| word.starts_with("root="))
}

/// As the kernel takes it.
impl fmt::Display for CommandLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = (!self.init.is_empty()).then_some(MARK);
        let kernel = self.kernel.iter().map(String::as_str);
        let words: Vec<&str> =
            kernel.chain(mark).chain(self.init.iter().map(String::as_str)).collect();
        f.write_str(&words.join(" "))
    }
}

/// The words before the first [`MARK`], and all others but further marks: the
/// kernel would drop what follows a second one.
pub fn split<T>(words: impl IntoIterator<Item = T>, text: impl Fn(&T) -> &str) -> (Vec<T>, Vec<T>) {
    let (mut kernel, mut init) = (Vec::new(), Vec::new());
    let mut is_inits = false;
    for word in words {
        if text(&word) == MARK {
            is_inits = true;
        } else if is_inits {
            init.push(word);
        } else {
            kernel.push(word);
        }
    }
    (kernel, init)
}

/// The words of a text: split at spaces outside double quotes, as the kernel does (`lib/cmdline.c`).
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    let is_between = move |c: char| {
        is_quoted ^= c == '"';
        c.is_ascii_whitespace() && !is_quoted
    };
    text.split(is_between).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hands_parameters_come_before_every_hands_arguments() {
        for (texts, expected) in [
            (&[][..], ""),
            (&["a b"], "a b"),
            (&["a -- x", "b"], "a b -- x"),
            (&["a", "--", "b"], "a b"),
            (&["a -- x -- y", "b=\"c -- d\" -- z"], "a b=\"c -- d\" -- x y z"),
        ] {
            let mut line = CommandLine::default();
            for text in texts {
                line.add(text);
            }
            assert_eq!(line.to_string(), expected, "{texts:?}");
        }
    }
}
