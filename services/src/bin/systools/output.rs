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

/// Three digits at most before the unit: `512B`, `1.5Mi`, `37Gi`.
pub(crate) fn human(bytes: u64) -> String {
    let (mut tenths, mut unit) = (u128::from(bytes) * 10, "B");
    for next in ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"] {
        if tenths < 10_240 {
            break;
        }
        (tenths, unit) = (tenths / 1024, next);
    }
    if unit == "B" || tenths >= 100 {
        format!("{}{unit}", tenths / 10)
    } else {
        format!("{}.{}{unit}", tenths / 10, tenths % 10)
    }
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
    fn numbers_have_the_unit_that_suits_them() {
        for (bytes, text) in [
            (0, "0B"),
            (1_023, "1023B"),
            (1_024, "1.0Ki"),
            (1_536 * 1024, "1.5Mi"),
            (37 << 30, "37Gi"),
            (u64::MAX, "15Ei"),
        ] {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn lines_are_cut_by_characters() {
        assert_eq!(cut("grün", 3), "grü");
        assert_eq!(cut("grün", 4), "grün");
        assert_eq!(cut("", 0), "");
    }
}
