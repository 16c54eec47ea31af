//! What e2fsck(8) says of a file system by its exit status.

/// Where the program may be.
pub const PLACES: [&str; 4] =
    ["/usr/sbin/e2fsck", "/sbin/e2fsck", "/usr/bin/e2fsck", "/bin/e2fsck"];

/// The bits of which it makes its status.
const STATUS_BITS: i32 = 1 | 2 | 4 | 8 | 16 | 32 | 128;

/// What it found in a file system that is not mounted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Nothing to correct.
    Clean,
    /// Errors, which are none any more.
    Corrected,
    /// Errors that it left.
    NeedsPerson,
    /// It did not look, or not at everything.
    Unchecked,
}

impl Verdict {
    /// By its exit status; `None` if a signal has ended it. A status with a bit that is none of
    /// its own, such as 127, is somebody else's: it did not run.
    #[must_use]
    pub const fn of(status: Option<i32>) -> Self {
        match status {
            Some(0) => Self::Clean,
            Some(1..4) => Self::Corrected,
            Some(status) if status & 4 != 0 && status & !STATUS_BITS == 0 => Self::NeedsPerson,
            _ => Self::Unchecked,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_its_own_and_says_what_is_left() {
        for (statuses, verdict) in [
            (&[Some(0)][..], Verdict::Clean),
            (&[Some(1), Some(2), Some(3)], Verdict::Corrected),
            (&[Some(4), Some(5), Some(12), Some(132)], Verdict::NeedsPerson),
            (&[Some(8), Some(16), Some(32), Some(127), Some(-1), None], Verdict::Unchecked),
        ] {
            for status in statuses {
                assert_eq!(Verdict::of(*status), verdict, "{status:?}");
            }
        }
    }
}
