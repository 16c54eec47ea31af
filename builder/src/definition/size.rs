//! Sizes as people write them: a whole number and a binary unit.

/// One kibibyte, in bytes.
pub const KIB: u64 = 1 << 10;
/// One mebibyte, in bytes.
pub const MIB: u64 = 1 << 20;
/// One tebibyte, in bytes.
pub const TIB: u64 = 1 << 40;

/// The units a size may carry, in bytes.
const UNITS: [(&str, u64); 4] = [("KiB", KIB), ("MiB", MIB), ("GiB", 1 << 30), ("TiB", TIB)];

/// Reads `"64MiB"` as bytes. The unit must stand there, so that nobody has to
/// guess it, and it is binary, so that it cannot be mistaken for another.
///
/// # Errors
/// A message without a place.
pub fn parse(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let Ok(number) = number.parse::<u64>() else {
        return Err(format!(
            "{text:?} is no size: expected a number and a unit, such as \"64MiB\""
        ));
    };
    match UNITS.iter().find(|(name, _)| *name == unit.trim_start()) {
        Some((_, factor)) => {
            number.checked_mul(*factor).ok_or_else(|| format!("the size {text:?} is too large"))
        }
        None => Err(format!("{text:?} has no unit that is known: use KiB, MiB, GiB or TiB")),
    }
}

/// A size in its largest whole unit up to GiB, for messages: `40MiB`, `1536 bytes`.
#[must_use]
pub fn show(bytes: u64) -> String {
    UNITS[..3]
        .iter()
        .rev()
        .find(|(_, factor)| bytes >= *factor && bytes.is_multiple_of(*factor))
        .map_or_else(
            || format!("{bytes} bytes"),
            |(unit, factor)| format!("{}{unit}", bytes / factor),
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_a_number_and_a_binary_unit() {
        assert_eq!(parse("64MiB"), Ok(64 << 20));
        assert_eq!(parse("1 GiB"), Ok(1 << 30));
        assert_eq!(parse("0KiB"), Ok(0));
        for bad in ["", "64", "64MB", "64M", "MiB", "-1MiB", "1.5GiB", "99999999999TiB"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert_eq!(show(64 << 20), "64MiB");
        assert_eq!(show(1537), "1537 bytes");
    }
}
