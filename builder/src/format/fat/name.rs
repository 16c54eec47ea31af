//! File names: the 8.3 name every entry has, and the long name beside it where
//! the 8.3 name cannot say the same (specification, section "FAT Long Directory Entries").

use std::collections::BTreeSet;

/// UTF-16 units in one long-name entry.
const UNITS_PER_ENTRY: usize = 13;
/// Longest name in UTF-16 units.
const UNITS_MAX: usize = 255;
/// What no name may contain.
const FORBIDDEN: &[char] = &['"', '*', '/', ':', '<', '>', '?', '\\', '|', '\x7F'];
/// What a short name may contain beside letters and digits.
const SHORT_MARKS: &[u8] = b"$%'-_@~`!(){}^#&";

/// An entry's names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Names {
    /// The 8.3 name, padded with spaces, without its dot.
    pub(super) short: [u8; 11],
    /// The long name in UTF-16; empty if the short name says it all.
    pub(super) long: Vec<u16>,
}

impl Names {
    /// How many directory entries they take.
    pub(super) fn entries(&self) -> usize {
        1 + self.long.len().div_ceil(UNITS_PER_ENTRY)
    }

    /// The long name's entries as they stand on disk, last part first.
    pub(super) fn long_parts(&self) -> Vec<(u8, [u16; UNITS_PER_ENTRY])> {
        let mut parts: Vec<_> = (1..)
            .zip(self.long.chunks(UNITS_PER_ENTRY))
            .map(|(number, units)| {
                // A NUL ends the name, 0xFFFF fills the rest.
                let mut part = [0xFFFF; UNITS_PER_ENTRY];
                part[..units.len()].copy_from_slice(units);
                if let Some(end) = part.get_mut(units.len()) {
                    *end = 0;
                }
                (number, part)
            })
            .collect();
        if let Some((number, _)) = parts.last_mut() {
            *number |= 0x40;
        }
        parts.reverse();
        parts
    }
}

/// Gives short names within one directory, no two of them equal.
#[derive(Default)]
pub(super) struct ShortNames {
    taken: BTreeSet<[u8; 11]>,
    folded: BTreeSet<String>,
}

impl ShortNames {
    /// The names for `name`, or why it cannot have any.
    pub(super) fn assign(&mut self, name: &[u8]) -> Result<Names, String> {
        let text = std::str::from_utf8(name).map_err(|_| "the name is not UTF-8".to_owned())?;
        let long: Vec<u16> = text.encode_utf16().collect();
        if long.len() > UNITS_MAX {
            return Err(format!("the name has more than {UNITS_MAX} characters"));
        }
        if let Some(wrong) = text.chars().find(|c| *c < ' ' || FORBIDDEN.contains(c)) {
            return Err(format!("FAT has no {wrong:?} in names"));
        }
        if text.ends_with(['.', ' ']) {
            return Err("FAT has no names that end with a dot or a space".into());
        }
        if !self.folded.insert(text.to_lowercase()) {
            return Err(
                "its name differs from another's only in case, which FAT does not tell apart"
                    .into(),
            );
        }
        if let Some(short) = exact_short(name)
            && self.taken.insert(short)
        {
            return Ok(Names { short, long: Vec::new() });
        }
        let short = self.alias(text)?;
        Ok(Names { short, long })
    }

    /// A short name that stands for a long one: itself in upper case where that
    /// is lossless and free, otherwise shortened with `~1`, `~2`, ….
    fn alias(&mut self, text: &str) -> Result<[u8; 11], String> {
        if let Some(short) = exact_short(text.to_ascii_uppercase().as_bytes())
            && self.taken.insert(short)
        {
            return Ok(short);
        }
        let trimmed = text.trim_start_matches('.');
        let (base, extension) = trimmed.rsplit_once('.').unwrap_or((trimmed, ""));
        let (base, extension) = (short_part(base), short_part(extension));
        for number in 1..1_000_000u32 {
            let tail = format!("~{number}");
            let base = &base[..base.len().min(8 - tail.len())];
            let short =
                padded(&[base, tail.as_bytes()].concat(), &extension[..extension.len().min(3)]);
            if self.taken.insert(short) {
                return Ok(short);
            }
        }
        Err("too many names in its directory are alike".into())
    }
}

/// The short form of a name that is one already.
fn exact_short(name: &[u8]) -> Option<[u8; 11]> {
    let dot = name.iter().position(|byte| *byte == b'.');
    let (base, extension) = dot.map_or((name, b"".as_slice()), |at| (&name[..at], &name[at + 1..]));
    let is_short = |part: &[u8]| {
        part.iter().all(|byte| {
            byte.is_ascii_uppercase() || byte.is_ascii_digit() || SHORT_MARKS.contains(byte)
        })
    };
    let fits = (1..=8).contains(&base.len())
        && extension.len() <= 3
        && (dot.is_none() || !extension.is_empty());
    (fits && is_short(base) && is_short(extension)).then(|| padded(base, extension))
}

/// Upper case, without what short names cannot have.
fn short_part(part: &str) -> Vec<u8> {
    part.chars()
        .filter(|c| !matches!(c, ' ' | '.'))
        .map(|c| {
            let byte = u8::try_from(c.to_ascii_uppercase()).unwrap_or(b'_');
            let keep =
                byte.is_ascii_uppercase() || byte.is_ascii_digit() || SHORT_MARKS.contains(&byte);
            if keep { byte } else { b'_' }
        })
        .collect()
}

fn padded(base: &[u8], extension: &[u8]) -> [u8; 11] {
    let mut short = [b' '; 11];
    short[..base.len()].copy_from_slice(base);
    short[8..8 + extension.len()].copy_from_slice(extension);
    short
}

/// Ties long-name entries to the short entry behind them.
pub(super) fn checksum(short: &[u8; 11]) -> u8 {
    short.iter().fold(0u8, |sum, byte| sum.rotate_right(1).wrapping_add(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn short(names: &mut ShortNames, name: &str) -> (String, bool) {
        let names = names.assign(name.as_bytes()).unwrap();
        (String::from_utf8(names.short.to_vec()).unwrap(), !names.long.is_empty())
    }

    #[test]
    fn short_names_are_kept_and_long_ones_get_an_alias() {
        let mut names = ShortNames::default();
        for (name, alias, is_long) in [
            ("BOOTX64.EFI", "BOOTX64 EFI", false),
            ("EFI", "EFI        ", false),
            ("initrd.img", "INITRD  IMG", true),
            ("vmlinuz-6.6.efi", "VMLINU~1EFI", true),
            ("vmlinuz-6.7.efi", "VMLINU~2EFI", true),
            ("a b", "AB~1       ", true),
            (".hidden", "HIDDEN~1   ", true),
            ("x.tar.gz", "XTAR~1  GZ ", true),
            ("größe", "GR__E~1    ", true),
        ] {
            assert_eq!(short(&mut names, name), (alias.to_owned(), is_long), "{name}");
        }
        for number in 3..12 {
            short(&mut names, &format!("vmlinuz-6.{}.efi", number + 10));
        }
        assert_eq!(short(&mut names, "vmlinuz-last.efi").0, "VMLIN~12EFI");
    }

    #[test]
    fn what_fat_cannot_name_is_refused() {
        let mut names = ShortNames::default();
        names.assign(b"Loader.conf").unwrap();
        let long = "x".repeat(256);
        for wrong in ["a:b", "dot.", "LOADER.CONF", "tab\there", long.as_str()] {
            assert!(names.assign(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(names.assign(b"\xFF").is_err());
    }

    #[test]
    fn the_checksum_is_that_of_the_specification() {
        // From the specification's example, "The quick brown.fox" -> "THEQUI~1FOX".
        assert_eq!(checksum(b"THEQUI~1FOX"), 0x07);
    }
}
