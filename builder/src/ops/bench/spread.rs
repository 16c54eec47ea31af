//! The least, the middle and the greatest of some samples. Pure.

/// How samples spread, in their own unit.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Spread {
    pub(super) min: f64,
    /// The middle one; of an even number the greater of the two.
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Spread {
    /// That of `samples`, in any order; zeros if there are none.
    pub(super) fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or_default();
        Self { min: at(0), median: at(sorted.len() / 2), max: at(sorted.len().saturating_sub(1)) }
    }
}
