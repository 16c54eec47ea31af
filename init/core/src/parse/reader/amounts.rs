//! Numbers, durations and sizes.

use alloc::format;
use core::fmt;
use core::num::ParseIntError;
use core::ops::RangeInclusive;
use core::time::Duration;

use super::super::units::{UnitError, parse_duration, parse_size_bytes};
use super::{Reader, Section, Value};

impl<'t> Reader<'t> {
    /// The whole number under `key`, from `least` to `most`.
    pub fn number(
        &mut self,
        section: &Section<'t>,
        key: &str,
        least: u64,
        most: u64,
    ) -> Option<u64> {
        let read = u64::from_str_radix;
        if most > u64::from(u32::MAX) {
            self.whole_number(section, key, least..=most, read, format_args!("at least {least}"))
        } else {
            let range = format_args!("from {least} to {most}");
            self.whole_number(section, key, least..=most, read, range)
        }
    }

    /// The whole number under `key`, from `least` to `most`, which may be negative.
    pub fn integer(
        &mut self,
        section: &Section<'t>,
        key: &str,
        least: i64,
        most: i64,
    ) -> Option<i64> {
        let range = format_args!("from {least} to {most}");
        self.whole_number(section, key, least..=most, i64::from_str_radix, range)
    }

    /// The whole number under `key` that `read` makes of its digits, if it is one of `fitting`,
    /// which `range` says in words.
    fn whole_number<T: PartialOrd>(
        &mut self,
        section: &Section<'t>,
        key: &str,
        fitting: RangeInclusive<T>,
        read: fn(&str, u32) -> Result<T, ParseIntError>,
        range: fmt::Arguments<'_>,
    ) -> Option<T> {
        let value = section.get(key)?;
        let Some(integer) = value.get_ref().as_integer() else {
            self.wrong_type(section, key, value, "a whole number");
            return None;
        };
        let found = read(integer.as_str(), integer.radix()).ok();
        let found = found.filter(|number| fitting.contains(number));
        if found.is_none() {
            self.report(value.span(), format!("{:?} is {range}", section.full(key)));
        }
        found
    }

    /// The duration under `key`.
    pub fn duration(&mut self, section: &Section<'t>, key: &str) -> Option<Duration> {
        let value = section.get(key)?;
        let hint = "write a whole number and a unit: \"200ms\", \"30s\", \"5min\", \"2h\", \"1d\"";
        let Some(text) = value.get_ref().as_str() else {
            let message = format!("{:?} wants a duration with a unit in quotes", section.full(key));
            self.report_hint(value.span(), message, hint);
            return None;
        };
        parse_duration(text)
            .map_err(|error| self.unit_finding(section, key, value, "duration", error, hint))
            .ok()
    }

    /// The size under `key`, in bytes: a string with a unit, or a plain number.
    pub fn size_bytes(&mut self, section: &Section<'t>, key: &str) -> Option<u64> {
        let value = section.get(key)?;
        if value.get_ref().is_integer() {
            return self.number(section, key, 0, u64::MAX);
        }
        let hint =
            "write a whole number of bytes, or one with a unit: \"512KiB\", \"64MiB\", \"1GiB\"";
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_type(section, key, value, "a size");
            return None;
        };
        parse_size_bytes(text)
            .map_err(|error| self.unit_finding(section, key, value, "size", error, hint))
            .ok()
    }

    /// The duration under `key`, from `least` to `most`.
    pub fn duration_within(
        &mut self,
        section: &Section<'t>,
        key: &str,
        least: Duration,
        most: Duration,
    ) -> Option<Duration> {
        let duration = self.duration(section, key)?;
        if (least..=most).contains(&duration) {
            return Some(duration);
        }
        let message = format!("{:?} is from {least:?} to {most:?}", section.full(key));
        self.report(section.span_of(key), message);
        None
    }

    fn unit_finding(
        &mut self,
        section: &Section<'t>,
        key: &str,
        value: &Value<'_>,
        what: &str,
        error: UnitError,
        hint: &str,
    ) {
        let full = section.full(key);
        let text = value.get_ref().as_str().unwrap_or_default();
        let message = match error {
            UnitError::NoNumber => format!("{full:?}: {text:?} is no {what}"),
            UnitError::NoUnit => format!("{full:?}: {text:?} has no unit"),
            UnitError::BadUnit => format!("{full:?}: {text:?} has no unit that is known"),
            UnitError::TooLarge => format!("{full:?}: {text:?} is too large"),
        };
        self.report_hint(value.span(), message, hint);
    }
}
