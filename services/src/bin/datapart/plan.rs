//! What is still to be done until there is a data partition. Pure.
//!
//! A partition is made under the name `LABEL-unfinished`, gets its file system, and then its
//! name. So a power cut at any instant leaves a state that tells what comes next, and nothing
//! is ever formatted but what was made here and is not finished.

use services::problem::{Problem, Result};

use crate::table::{Entry, SECTOR_BYTES, Table};

/// What the image wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Settings {
    /// Name of the partition and label of its file system.
    pub(crate) label: String,
    /// The least that is of use, in bytes.
    pub(crate) size_min_bytes: u64,
}

/// The next thing to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Write the table anew: its primary copy is damaged.
    Repair,
    /// Make the partition in these sectors.
    Create((u64, u64)),
    /// Make a file system on it, and then give it its name.
    Finish(Entry),
    /// Let it end with this sector: the disk has grown.
    Extend(Entry, u64),
    /// Nothing: it is there.
    Done(Entry),
}

impl Settings {
    /// The partition's name until it has a file system.
    pub(crate) fn unfinished(&self) -> String {
        format!("{}-unfinished", self.label)
    }
}

/// What comes next for the disk with this table.
///
/// # Errors
/// If there is no room for the partition, more than one bears its name, or one that is
/// something else.
pub(crate) fn next(table: &Table, settings: &Settings) -> Result<Next> {
    if table.needs_repair() {
        return Ok(Next::Repair);
    }
    let partitions = table.partitions();
    let ours = |entry: &&Entry| entry.name == settings.label || entry.name == settings.unfinished();
    let (found, further) = {
        let mut ours = partitions.iter().filter(ours);
        (ours.next(), ours.next())
    };
    if further.is_some() {
        return Err(Problem::new(format!(
            "several partitions are called `{}`: which holds the data is for a person to say",
            settings.label
        ))
        .with_hint("give all but one another name"));
    }
    let Some(found) = found else {
        return create(table, settings);
    };
    if !found.is_plain {
        return Err(Problem::new(format!(
            "partition {} is called `{}`, but its type is not that of data: it is left alone",
            found.number, found.name
        ))
        .with_hint("give the data partition another `label`"));
    }
    if found.name != settings.label {
        return Ok(Next::Finish(found.clone()));
    }
    // Only the last one can grow, and only into what belongs to nobody.
    let is_last = partitions.iter().all(|other| other.first <= found.first);
    match table.free_at_end() {
        Some((_, last)) if is_last && last > found.last => Ok(Next::Extend(found.clone(), last)),
        _ => Ok(Next::Done(found.clone())),
    }
}

fn create(table: &Table, settings: &Settings) -> Result<Next> {
    let free = table.free_at_end();
    let free_bytes = free.map_or(0, |(first, last)| (last + 1 - first) * SECTOR_BYTES);
    match free {
        Some(place) if free_bytes >= settings.size_min_bytes => Ok(Next::Create(place)),
        _ => Err(Problem::new(format!(
            "no room for the data partition: {} MiB are free behind the last one, it needs {}",
            free_bytes >> 20,
            settings.size_min_bytes.div_ceil(1 << 20)
        ))
        .with_hint("write the image to a larger disk, or enlarge the disk's file")),
    }
}
