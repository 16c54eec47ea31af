//! Where the output goes. Standard output is data; problems go to standard error.

pub(crate) use services::output::{print, print_json, size, tame};

/// The line cut to `columns`, by characters.
pub(crate) fn cut(line: &str, columns: usize) -> &str {
    line.char_indices().nth(columns).map_or(line, |(at, _)| line.get(..at).unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_by_characters() {
        assert_eq!(cut("grün", 3), "grü");
        assert_eq!(cut("grün", 4), "grün");
        assert_eq!(cut("", 0), "");
    }
}
