//! Disks and file systems.

use std::io::Write;

use serde::Serialize;

use super::entry::{self, Entry};
use super::{BiosLoaderReport, Detail, Report, no_such_file};
use crate::error::{Error, Result};
use crate::format::gpt::{self, Partition, TableCopy, partition_type};
use crate::format::source::{Region, Source};
use crate::format::{ext4, fat};

/// The most UEFI applications of a file system that are looked into.
const EFI_FILES_MAX: usize = 16;

/// A disk.
#[derive(Debug, Serialize)]
pub struct GptReport {
    /// The disk's identifier.
    pub guid: String,
    /// Size of the disk in bytes.
    pub size_bytes: u64,
    /// The BIOS loader, if it is ours.
    pub bios_loader: Option<BiosLoaderReport>,
    /// Its partitions.
    pub partitions: Vec<PartitionReport>,
    /// What is wrong with the table.
    pub problems: Vec<String>,
}

/// A partition and what is in it.
#[derive(Debug, Serialize)]
pub struct PartitionReport {
    /// Number, from 1.
    pub number: u32,
    /// Name.
    pub name: String,
    /// Type.
    pub type_guid: String,
    /// The type's name, if it is known here.
    pub type_name: Option<&'static str>,
    /// Its identifier, the kernel's `PARTUUID`.
    pub guid: String,
    /// Attribute bits.
    pub attributes: u64,
    /// Where it begins, in bytes.
    pub offset_bytes: u64,
    /// Its length in bytes.
    pub len_bytes: u64,
    /// What is in it, if that is known here.
    pub content: Option<Box<Report>>,
    /// Why `content` is not there.
    pub problem: Option<String>,
}

/// An ext4 file system.
#[derive(Debug, Serialize)]
pub struct Ext4Report {
    /// UUID.
    pub uuid: String,
    /// Label, empty for none.
    pub label: String,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Bytes no block is allocated for.
    pub free_bytes: u64,
    /// Inodes there are.
    pub inodes: u32,
    /// Inodes not in use.
    pub inodes_free: u32,
    /// What is in it.
    pub entries: Vec<Entry>,
}

/// A FAT file system.
#[derive(Debug, Serialize)]
pub struct FatReport {
    /// "FAT12", "FAT16" or "FAT32".
    pub fat_type: &'static str,
    /// Serial number in hexadecimal.
    pub volume_id: String,
    /// Label.
    pub label: String,
    /// Room for content in bytes.
    pub data_bytes: u64,
    /// What is in it.
    pub entries: Vec<Entry>,
    /// What its UEFI applications are.
    pub efi_files: Vec<EfiFileReport>,
}

/// A file that firmware may start, by its name.
#[derive(Debug, Serialize)]
pub struct EfiFileReport {
    /// Path.
    pub path: String,
    /// What it is, if that is known here.
    pub content: Option<Box<Report>>,
    /// Why `content` is not there.
    pub problem: Option<String>,
}

fn part<'a>(source: &'a dyn Source, partition: &Partition) -> Region<&'a dyn Source> {
    Region::new(source, partition.offset_bytes(), partition.len_bytes())
}

pub(super) fn inspect_gpt(source: &dyn Source, detail: Detail) -> Result<GptReport> {
    let mut table = gpt::read(source)?;
    if table.copy == TableCopy::Backup {
        table.problems.push("what follows is from the backup".into());
    }
    let mut partitions = Vec::new();
    for partition in &table.partitions {
        let region = part(source, partition);
        if partition.first_lba > partition.last_lba || region.len_bytes() < partition.len_bytes() {
            table.problems.push(format!("partition {} reaches past the disk", partition.number));
        }
        let (content, problem) = match inspect_partition(&region, detail) {
            Ok(content) => (Some(Box::new(content)), None),
            Err(error) => (None, Some(error.to_string())),
        };
        partitions.push(PartitionReport {
            number: partition.number,
            name: partition.name.clone(),
            type_guid: partition.type_guid.to_string(),
            type_name: partition_type::name(partition.type_guid),
            guid: partition.guid.to_string(),
            attributes: partition.attributes,
            offset_bytes: partition.offset_bytes(),
            len_bytes: partition.len_bytes(),
            content,
            problem,
        });
    }
    let (guid, problems) = (table.guid.to_string(), table.problems);
    let (size_bytes, bios_loader) = (source.len_bytes(), BiosLoaderReport::of(source));
    Ok(GptReport { guid, size_bytes, bios_loader, partitions, problems })
}

/// Looks into a partition, but not into a disk within a disk.
fn inspect_partition(region: &Region<&dyn Source>, detail: Detail) -> Result<Report> {
    match super::recognise(region)? {
        super::Kind::Gpt => Err(Error::failure("it holds a partition table of its own")),
        _ => super::look_into(region, detail),
    }
}

pub(super) fn extract_gpt(source: &dyn Source, path: &str, out: &mut dyn Write) -> Result<()> {
    let table = gpt::read(source)?;
    let named = path.split_once(':').and_then(|(name, path)| {
        let is_meant =
            |partition: &&Partition| partition.name == name || partition.number.to_string() == name;
        Some((table.partitions.iter().find(is_meant)?, path))
    });
    if let Some((partition, path)) = named {
        return super::extract(&part(source, partition), path, out);
    }
    for partition in &table.partitions {
        let region = part(source, partition);
        let found = match super::recognise(&region) {
            Ok(super::Kind::Ext4) => extract_ext4(&region, path, out),
            Ok(super::Kind::Fat) => extract_fat(&region, path, out),
            _ => continue,
        };
        match found {
            Err(error) if error.to_string() == no_such_file(path).to_string() => {}
            result => return result,
        }
    }
    let names: Vec<_> = table.partitions.iter().map(|p| format!("{}:{path}", p.name)).collect();
    Err(no_such_file(path).hint(format!("one partition's file is {}", names.join(" or "))))
}

fn ext4_entries<S: Source>(reader: &ext4::Reader<S>, detail: Detail) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    reader.walk(|entry| {
        let is_read = detail == Detail::Digests && entry.kind == ext4::EntryKind::File;
        let digest = || entry::sha256_of(|hasher| reader.copy_content(&entry, hasher));
        let sha256 = is_read.then(digest).transpose()?;
        entry::push(&mut entries, Entry::of_ext4(entry).with_sha256(sha256))
    })?;
    Ok(entries)
}

pub(super) fn inspect_ext4(source: &dyn Source, detail: Detail) -> Result<Ext4Report> {
    let reader = ext4::Reader::open(source)?;
    let (inodes, inodes_free) = reader.inodes();
    Ok(Ext4Report {
        uuid: reader.uuid().to_string(),
        label: reader.label(),
        size_bytes: reader.size_bytes(),
        free_bytes: reader.free_bytes(),
        inodes,
        inodes_free,
        entries: ext4_entries(&reader, detail)?,
    })
}

pub(super) fn extract_ext4(source: &dyn Source, path: &str, mut out: &mut dyn Write) -> Result<()> {
    let reader = ext4::Reader::open(source)?;
    let place = entry::follow_links(&ext4_entries(&reader, Detail::Listing)?, path)?;
    let found = reader.find(&place)?.filter(|entry| entry.kind == ext4::EntryKind::File);
    reader.copy_content(&found.ok_or_else(|| no_such_file(path))?, &mut out)
}

pub(super) fn inspect_fat(source: &dyn Source, detail: Detail) -> Result<FatReport> {
    let reader = fat::Reader::open(source)?;
    let mut entries = Vec::new();
    let mut efi_files = Vec::new();
    reader.walk(|entry| {
        let is_efi = !entry.is_directory && entry.path.to_ascii_lowercase().ends_with(".efi");
        if is_efi && efi_files.len() < EFI_FILES_MAX {
            efi_files.push(inspect_efi_file(&reader, &entry));
        }
        let is_read = detail == Detail::Digests && !entry.is_directory;
        let digest = || entry::sha256_of(|hasher| reader.copy_content(&entry, hasher));
        let sha256 = is_read.then(digest).transpose()?;
        entry::push(&mut entries, Entry::of_fat(&entry).with_sha256(sha256))
    })?;
    Ok(FatReport {
        fat_type: reader.type_name(),
        volume_id: format!("{:08x}", reader.volume_id()),
        label: reader.label().to_owned(),
        data_bytes: reader.data_bytes(),
        entries,
        efi_files,
    })
}

fn inspect_efi_file(reader: &fat::Reader<&dyn Source>, entry: &fat::Entry) -> EfiFileReport {
    let look = || {
        let content = reader.content(entry)?;
        match super::recognise(&content)? {
            super::Kind::Pe | super::Kind::BzImage | super::Kind::ArmImage => {
                super::inspect(&content)
            }
            _ => Err(Error::failure("it is no UEFI application")),
        }
    };
    let (content, problem) = match look() {
        Ok(content) => (Some(Box::new(content)), None),
        Err(error) => (None, Some(error.to_string())),
    };
    EfiFileReport { path: format!("/{}", entry.path), content, problem }
}

pub(super) fn extract_fat(source: &dyn Source, path: &str, mut out: &mut dyn Write) -> Result<()> {
    let reader = fat::Reader::open(source)?;
    let found = reader.find(path)?.filter(|entry| !entry.is_directory);
    reader.copy_content(&found.ok_or_else(|| no_such_file(path))?, &mut out)
}
