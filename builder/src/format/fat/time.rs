//! FAT's dates and times: local time from 1980 to 2107, here always UTC.

use crate::format::calendar::{SECONDS_PER_DAY, civil, days};

const DAYS_TO_1980: u32 = 3652;
/// 2107-12-31, counted from 1970.
const DAYS_TO_END: u32 = 50_402;

/// A moment in the encoding of directory entries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FatTime {
    pub(super) date: u16,
    /// In steps of two seconds.
    pub(super) time: u16,
    /// What `time` leaves out, in steps of 10 ms.
    pub(super) fine: u8,
}

impl FatTime {
    /// From seconds since 1970; what lies outside becomes the nearest day's start.
    pub(super) fn from_epoch(epoch_s: u32) -> Self {
        let days = epoch_s / SECONDS_PER_DAY;
        let in_day = if (DAYS_TO_1980..=DAYS_TO_END).contains(&days) {
            epoch_s % SECONDS_PER_DAY
        } else {
            0
        };
        let (year, month, day) = civil(days.clamp(DAYS_TO_1980, DAYS_TO_END));
        let (hour, minute, second) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
        let pack = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
        Self {
            date: pack((year - 1980) << 9 | month << 5 | day),
            time: pack(hour << 11 | minute << 5 | (second / 2)),
            fine: if second % 2 == 1 { 100 } else { 0 },
        }
    }

    /// Back to seconds since 1970; `None` if it is no date.
    pub(super) fn to_epoch(self) -> Option<i64> {
        let (year, month, day) =
            (1980 + u32::from(self.date >> 9), u32::from(self.date >> 5 & 15), self.date & 31);
        let (hour, minute, second) = (self.time >> 11, self.time >> 5 & 63, (self.time & 31) * 2);
        let days = (1..=12).contains(&month).then(|| days(year, month, day.into()))?;
        // Only days that exist come back as they went in.
        let is_moment = hour < 24 && minute < 60 && second < 60;
        if !is_moment || day == 0 || civil(days) != (year, month, day.into()) {
            return None;
        }
        let in_day = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        Some(i64::from(days) * i64::from(SECONDS_PER_DAY) + in_day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_encoded_in_utc_and_clamped() {
        // 2024-02-29 12:34:57 UTC.
        let leap = FatTime::from_epoch(1_709_210_097);
        assert_eq!(
            (leap.date, leap.time, leap.fine),
            (44 << 9 | 2 << 5 | 29, 12 << 11 | 34 << 5 | 28, 100)
        );
        assert_eq!(leap.to_epoch(), Some(1_709_210_096));
        assert_eq!(FatTime::from_epoch(0).to_epoch(), Some(315_532_800));
        assert_eq!(FatTime::from_epoch(u32::MAX).date >> 9, 2106 - 1980);
        for day in DAYS_TO_1980..DAYS_TO_END {
            let (year, month, of_month) = civil(day);
            assert_eq!(days(year, month, of_month), day);
        }
        let not_a_day = 44 << 9 | 2 << 5 | 30;
        assert_eq!(FatTime { date: not_a_day, time: 0, fine: 0 }.to_epoch(), None);
        assert_eq!(FatTime { date: 0, time: 0, fine: 0 }.to_epoch(), None);
    }
}
