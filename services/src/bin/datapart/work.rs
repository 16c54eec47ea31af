//! Doing what is planned, on a disk or on what tests take for one.

use std::io;

use services::problem::{Context, Problem, Result};
use services::storage::ext4_format::{Ext4, format};
use services::storage::target::Target;

use crate::plan::{Next, Settings, next};
use crate::table::{Entry, SECTOR_BYTES, Step, Table};

/// A disk with a partition table.
pub(crate) trait Disk: Target {
    /// How many sectors it has.
    fn sectors(&self) -> u64;

    /// Waits until everything that was written lasts.
    fn sync(&mut self) -> io::Result<()>;

    /// Tells the kernel of a partition that was added, or of its new end.
    fn announce(&mut self, entry: &Entry, is_new: bool) -> io::Result<()>;

    /// From now on what lies in this partition is written by way of its own device, where
    /// there is one: the kernel caches the two apart.
    fn enter(&mut self, entry: &Entry) -> io::Result<()>;

    /// Sixteen bytes that nobody else has.
    fn random(&mut self) -> io::Result<[u8; 16]>;

    /// Seconds since 1970.
    fn now_s(&self) -> i64;
}

/// A part of a disk, from `start` on.
struct Part<'d, D> {
    disk: &'d mut D,
    start: u64,
}

impl<D: Disk> Target for Part<'_, D> {
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.disk.write(self.start + offset, bytes)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        self.disk.read(self.start + offset, bytes)
    }

    fn zero(&mut self, offset: u64, length: u64) -> io::Result<()> {
        self.disk.zero(self.start + offset, length)
    }
}

/// More steps than there can be.
const STEPS_MAX: usize = 8;

/// Brings the disk to where it has its data partition; `say` is told each thing that was done.
///
/// # Errors
/// If the disk is not one to be touched, or something failed on the way.
pub(crate) fn complete(
    disk: &mut impl Disk,
    settings: &Settings,
    mut say: impl FnMut(&str),
) -> Result<Entry> {
    for _ in 0..STEPS_MAX {
        let mut table = read_table(disk)?;
        match next(&table, settings)? {
            Next::Done(entry) => return Ok(entry),
            Next::Repair => {
                write_table(disk, &table)?;
                say("repaired the partition table from its backup");
            }
            Next::Create(place) => {
                let guid = disk.random().context(|| "no random numbers".to_owned())?;
                let entry = table
                    .add(&settings.unfinished(), guid, place)
                    .ok_or_else(|| Problem::new("the partition table is full"))?;
                write_table(disk, &table)?;
                announce(disk, &entry, true)?;
                say(&format!("made partition {} of {} MiB", entry.number, mib(&entry)));
            }
            Next::Finish(entry) => {
                make_filesystem(disk, settings, &entry)?;
                table.rename(entry.number, &settings.label);
                write_table(disk, &table)?;
                say(&format!("made a file system on partition {}", entry.number));
            }
            Next::Extend(entry, last) => {
                table.extend(entry.number, last);
                write_table(disk, &table)?;
                let entry = Entry { last, ..entry };
                announce(disk, &entry, false)?;
                say(&format!("partition {} now has {} MiB", entry.number, mib(&entry)));
            }
        }
    }
    Err(Problem::new("the partition table does not come out as it was written"))
}

fn mib(entry: &Entry) -> u64 {
    ((entry.last + 1 - entry.first) * SECTOR_BYTES) >> 20
}

fn read_table(disk: &mut impl Disk) -> Result<Table> {
    let sectors = disk.sectors();
    let read = |offset: u64, length: usize| -> io::Result<Vec<u8>> {
        let end = offset.checked_add(length as u64);
        if end.is_none_or(|end| end > sectors * SECTOR_BYTES) {
            return Ok(vec![0; length]);
        }
        let mut bytes = vec![0; length];
        disk.read(offset, &mut bytes)?;
        Ok(bytes)
    };
    let table = Table::read(sectors, read).context(|| "cannot read the disk".to_owned())?;
    table.map_err(|reason| {
        Problem::new(format!("the root's disk is left alone: {reason}"))
            .with_hint("`builder inspect` and sgdisk(8) show what is on it")
    })
}

fn write_table(disk: &mut impl Disk, table: &Table) -> Result<()> {
    let mut perform = || {
        for step in table.steps() {
            match step {
                Step::Write(offset, bytes) => disk.write(offset, &bytes)?,
                Step::Sync => disk.sync()?,
            }
        }
        io::Result::Ok(())
    };
    perform().context(|| "cannot write the partition table".to_owned())
}

fn announce(disk: &mut impl Disk, entry: &Entry, is_new: bool) -> Result<()> {
    disk.announce(entry, is_new)
        .context(|| format!("the kernel does not take partition {}", entry.number))
        .map_err(|problem| problem.with_hint("the next boot reads the table anew"))
}

fn make_filesystem(disk: &mut impl Disk, settings: &Settings, entry: &Entry) -> Result<()> {
    let ext4 = Ext4 {
        size_bytes: (entry.last + 1 - entry.first) * SECTOR_BYTES,
        label: settings.label.clone(),
        uuid: disk.random().context(|| "no random numbers".to_owned())?,
        now_s: disk.now_s(),
    };
    disk.enter(entry).context(|| format!("cannot open partition {}", entry.number))?;
    let start = entry.first * SECTOR_BYTES;
    format(&ext4, &mut Part { disk, start })?;
    disk.sync().context(|| "cannot write the file system".to_owned())
}

#[cfg(test)]
mod tests;
