//! What `tar -t` says of an entry.

use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use services::log_record::format_timestamp;
use services::problem::Context;
use tar::{Entry, EntryType};

use super::super::arguments::Arguments;
use super::Source;
use crate::Result;
use crate::output::tame;

/// The line of an entry: its name, and with `-v` what else there is.
pub(super) fn line(
    arguments: &Arguments,
    entry: &Entry<'_, Source>,
    name: &Path,
) -> Result<String> {
    let broken = || "cannot read the archive".to_owned();
    let name = tame(&name.to_string_lossy());
    if !arguments.verbose {
        return Ok(format!("{name}\n"));
    }
    let header = entry.header();
    let owner = |name: Option<&str>, number: io::Result<u64>| match name {
        Some(name) if !name.is_empty() && !arguments.numeric_owner => tame(name),
        _ => number.map_or_else(|_| "?".to_owned(), |number| number.to_string()),
    };
    let user = owner(header.username().ok().flatten(), header.uid());
    let group = owner(header.groupname().ok().flatten(), header.gid());
    let time = Duration::from_secs(header.mtime().context(broken)?);
    let time = format_timestamp(UNIX_EPOCH.checked_add(time).unwrap_or(UNIX_EPOCH));
    let link = match entry.link_name().context(broken)? {
        Some(target) if header.entry_type() == EntryType::Symlink => {
            format!(" -> {}", tame(&target.to_string_lossy()))
        }
        Some(target) => format!(" link to {}", tame(&target.to_string_lossy())),
        None => String::new(),
    };
    let mode = letters(header.entry_type(), header.mode().context(broken)?);
    let time = time.get(..16).unwrap_or_default().replace('T', " ");
    let size = entry.size();
    Ok(format!("{mode} {user}/{group} {size:>9} {time} {name}{link}\n"))
}

/// Type and mode as `ls -l` shows them.
fn letters(kind: EntryType, mode: u32) -> String {
    let first = match kind {
        EntryType::Directory => 'd',
        EntryType::Symlink => 'l',
        EntryType::Link => 'h',
        EntryType::Char => 'c',
        EntryType::Block => 'b',
        EntryType::Fifo => 'p',
        _ => '-',
    };
    let mut text = String::from(first);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (bits & 1 != 0, mode & special != 0) {
            (true, true) => letter,
            (false, true) => letter.to_ascii_uppercase(),
            (true, false) => 'x',
            (false, false) => '-',
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_shown_as_ls_does() {
        assert_eq!(letters(EntryType::Regular, 0o755), "-rwxr-xr-x");
        assert_eq!(letters(EntryType::Directory, 0o1777), "drwxrwxrwt");
        assert_eq!(letters(EntryType::Regular, 0o4700), "-rws------");
        assert_eq!(letters(EntryType::Symlink, 0o2644), "lrw-r-Sr--");
    }
}
