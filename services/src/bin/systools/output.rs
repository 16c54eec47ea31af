//! Where the output goes. Standard output is data; problems go to standard error.

pub(crate) use services::output::{print, print_json, size};

/// The line cut to `columns`, by characters.
pub(crate) fn cut(line: &str, columns: usize) -> &str {
    line.char_indices().nth(columns).map_or(line, |(at, _)| line.get(..at).unwrap_or(line))
}

/// A text that is safe to show: control characters, which would steer the terminal,
/// become `?`. Names of processes and files are anybody's.
pub(crate) fn tame(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_by_characters_and_tamed() {
        assert_eq!(cut("grün", 3), "grü");
        assert_eq!(cut("grün", 4), "grün");
        assert_eq!(cut("", 0), "");
        assert_eq!(tame("a\x1b[2Jb\nc"), "a?[2Jb?c");
    }
}
