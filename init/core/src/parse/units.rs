//! Durations and sizes as people write them: `"200ms"`, `"64MiB"`.

use core::time::Duration;

/// The longest duration a description may name: 30 days. What is longer is a
/// mistake, and milliseconds fit in 32 bits.
pub const DURATION_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Why a text is no duration or size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnitError {
    /// It does not start with digits.
    NoNumber,
    /// It has digits and no unit.
    NoUnit,
    /// Its unit is not one of those known.
    BadUnit,
    /// It is too large.
    TooLarge,
}

const DURATION_UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

const SIZE_UNITS: [(&str, u64); 5] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// Reads a whole number with one of the units ms, s, min, h, d.
///
/// # Errors
/// [`UnitError`] says what is missing; [`DURATION_MAX`] is the longest.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let (number, unit) = split(text)?;
    if unit.is_empty() {
        return Err(UnitError::NoUnit);
    }
    let duration = Duration::from_millis(scale(number, unit, &DURATION_UNITS)?);
    if duration > DURATION_MAX { Err(UnitError::TooLarge) } else { Ok(duration) }
}

/// Reads a whole number of bytes, with one of the units B, KiB, MiB, GiB, TiB
/// or none.
///
/// # Errors
/// [`UnitError`] says what is wrong.
pub fn parse_size_bytes(text: &str) -> Result<u64, UnitError> {
    let (number, unit) = split(text)?;
    if unit.is_empty() { Ok(number) } else { scale(number, unit, &SIZE_UNITS) }
}

fn split(text: &str) -> Result<(u64, &str), UnitError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(UnitError::NoNumber)?;
    if number.is_empty() {
        return Err(UnitError::NoNumber);
    }
    Ok((number.parse().map_err(|_| UnitError::TooLarge)?, unit.trim_start_matches(' ')))
}

fn scale(number: u64, unit: &str, units: &[(&str, u64)]) -> Result<u64, UnitError> {
    let (_, factor) =
        units.iter().find(|(candidate, _)| *candidate == unit).ok_or(UnitError::BadUnit)?;
    number.checked_mul(*factor).ok_or(UnitError::TooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, expected) in [
            ("200ms", Ok(Duration::from_millis(200))),
            ("0s", Ok(Duration::ZERO)),
            ("30 s", Ok(Duration::from_secs(30))),
            ("5min", Ok(Duration::from_secs(300))),
            ("2h", Ok(Duration::from_secs(7200))),
            ("30d", Ok(DURATION_MAX)),
            ("31d", Err(UnitError::TooLarge)),
            ("99999999999999999999s", Err(UnitError::TooLarge)),
            ("18446744073709551615d", Err(UnitError::TooLarge)),
            ("30", Err(UnitError::NoUnit)),
            ("", Err(UnitError::NoNumber)),
            ("s", Err(UnitError::NoNumber)),
            ("-1s", Err(UnitError::NoNumber)),
            ("1.5s", Err(UnitError::BadUnit)),
            ("5m", Err(UnitError::BadUnit)),
            ("1s1ms", Err(UnitError::BadUnit)),
        ] {
            assert_eq!(parse_duration(text), expected, "{text:?}");
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("64MiB", Ok(64 << 20)),
            ("512KiB", Ok(512 << 10)),
            ("4096", Ok(4096)),
            ("1 GiB", Ok(1 << 30)),
            ("7B", Ok(7)),
            ("64MB", Err(UnitError::BadUnit)),
            ("64M", Err(UnitError::BadUnit)),
            ("MiB", Err(UnitError::NoNumber)),
            ("16777216TiB", Err(UnitError::TooLarge)),
        ] {
            assert_eq!(parse_size_bytes(text), expected, "{text:?}");
        }
    }
}
