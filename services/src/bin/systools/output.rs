//! Where the output goes. Standard output is data; problems go to standard error.

use services::problem::Problem;

pub(crate) use services::output::{print, print_json, size, tame};

/// The problem as it is safe to show: it names files, and their names are anybody's.
pub(crate) fn tamed(problem: &Problem) -> Problem {
    let shown = Problem::new(tame(problem.message()));
    match problem.hint() {
        Some(hint) => shown.with_hint(tame(hint)),
        None => shown,
    }
}

/// The line cut to `columns`, by characters.
pub(crate) fn cut(line: &str, columns: usize) -> &str {
    line.char_indices().nth(columns).map_or(line, |(at, _)| line.get(..at).unwrap_or(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_keep_their_hint_and_lose_control_characters() {
        let problem = tamed(&Problem::new("cannot read `a\x1b[2J\nb`").with_hint("`c\x07`"));
        assert_eq!(problem.to_string(), "cannot read `a?[2J?b`\n  hint: `c?`");
        assert_eq!(tamed(&Problem::new("x")).hint(), None);
    }

    #[test]
    fn lines_are_cut_by_characters() {
        assert_eq!(cut("grün", 3), "grü");
        assert_eq!(cut("grün", 4), "grün");
        assert_eq!(cut("", 0), "");
    }
}
