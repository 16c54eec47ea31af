//! Days counted from 1970-01-01 as dates of the Gregorian calendar.

/// Seconds of a day of UTC, as Unix counts.
pub(super) const SECONDS_PER_DAY: u32 = 86_400;

/// The inverse of [`civil`] for days that exist.
pub(super) fn days(year: u32, month: u32, day: u32) -> u32 {
    let year = year - u32::from(month <= 2);
    let shifted_month = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted_month + 2) / 5 + day;
    // One more than counted from 0, taken off with the days to 1970.
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_469
}

/// Year, month and day of a day counted from 1970-01-01. The arithmetic counts
/// from 0000-03-01 in eras of 400 years, so that leap days come last.
pub(super) fn civil(days: u32) -> (u32, u32, u32) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u32::from(month <= 2), month, day)
}
