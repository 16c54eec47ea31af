//! FAT's dates and times: local time from 1980 to 2107, here always UTC.

use jiff::civil::{DateTime, datetime};

use crate::format::calendar;

const FIRST: DateTime = datetime(1980, 1, 1, 0, 0, 0, 0);

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
    /// From seconds since 1970; what lies before 1980 becomes its start.
    pub(super) fn from_epoch(epoch_s: u32) -> Self {
        let moment = calendar::utc(epoch_s).max(FIRST);
        let fields = calendar::fields(moment);
        let [month, day, hour, minute, second] = fields.map(u16::from);
        Self {
            date: (moment.year().unsigned_abs() - 1980) << 9 | month << 5 | day,
            time: hour << 11 | minute << 5 | (second / 2),
            fine: if second % 2 == 1 { 100 } else { 0 },
        }
    }

    /// Back to seconds since 1970; `None` if it is no date.
    pub(super) fn to_epoch(self) -> Option<i64> {
        let field = |value: u16, bit: u32, mask: u16| i8::try_from(value >> bit & mask).ok();
        let moment = DateTime::new(
            1980 + i16::try_from(self.date >> 9).ok()?,
            field(self.date, 5, 15)?,
            field(self.date, 0, 31)?,
            field(self.time, 11, 31)?,
            field(self.time, 5, 63)?,
            field(self.time, 0, 31)? * 2,
            0,
        );
        calendar::epoch_s(moment.ok()?)
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
        assert_eq!(FatTime { date: u16::MAX, time: 0, fine: 0 }.to_epoch(), None, "month 15");
        let last = FatTime { date: 127 << 9 | 12 << 5 | 31, time: 0, fine: 0 };
        assert_eq!(last.to_epoch(), Some(4_354_732_800), "`date -u -d 2107-12-31 +%s`");
        let not_a_day = 44 << 9 | 2 << 5 | 30;
        assert_eq!(FatTime { date: not_a_day, time: 0, fine: 0 }.to_epoch(), None);
        assert_eq!(FatTime { date: 0, time: 0, fine: 0 }.to_epoch(), None);
    }
}
