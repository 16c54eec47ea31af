//! Seconds since 1970 as dates of the Gregorian calendar.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// A moment in UTC. The last one there is lies in 2106.
pub(super) fn utc(epoch_s: u32) -> DateTime {
    Offset::UTC.to_datetime(Timestamp::from_second(epoch_s.into()).unwrap_or_default())
}

/// Month, day, hour, minute and second.
pub(super) fn fields(moment: DateTime) -> [u8; 5] {
    [moment.month(), moment.day(), moment.hour(), moment.minute(), moment.second()]
        .map(i8::unsigned_abs)
}

/// The inverse of [`utc`], for any moment that the calendar has.
pub(super) fn epoch_s(moment: DateTime) -> Option<i64> {
    Offset::UTC.to_timestamp(moment).ok().map(Timestamp::as_second)
}
