//! An initramfs: archives one after the other, each compressed or not, with
//! zeros between them and perhaps a boot configuration behind them
//! (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::io::{BufRead, BufReader, Read, Write};

use serde::Serialize;

use super::Detail;
use super::entry::{self, Entry, normal};
use crate::error::{Error, Result};
use crate::format::compress::Format;
use crate::format::source::{Region, Source, SourceReader};
use crate::format::{bootconfig, cpio};

/// One member unpacks to so many bytes at most: far more than the memory of the
/// machines that boot from one.
const UNPACKED_MAX_BYTES: u64 = 64 * 1024 * 1024 * 1024;
const MEMBERS_MAX: usize = 1024;
const BUFFER_BYTES: usize = 256 * 1024;

/// An initramfs.
#[derive(Debug, Serialize)]
pub struct ArchiveReport {
    /// The archives, in order.
    pub members: Vec<Member>,
    /// The boot configuration at its end.
    pub bootconfig: Option<BootconfigReport>,
    /// What is wrong but did not keep the rest from being read.
    pub problems: Vec<String>,
}

/// One archive of an initramfs.
#[derive(Debug, Serialize)]
pub struct Member {
    /// Where it begins in the file.
    pub offset_bytes: u64,
    /// How it is compressed, if it is.
    pub compression: Option<&'static str>,
    /// What is in it.
    pub entries: Vec<Entry>,
}

/// A boot configuration.
#[derive(Debug, Serialize)]
pub struct BootconfigReport {
    /// The text.
    pub text: String,
    /// The kernel command line it stands for, where it is one of the builder's.
    pub command_line: Option<String>,
}

/// Reads all of it.
pub(super) fn inspect(source: &dyn Source, detail: Detail) -> Result<ArchiveReport> {
    let mut problems = Vec::new();
    let bootconfig = match find_bootconfig(source) {
        Ok(found) => found,
        Err(error) => {
            problems.push(error.to_string());
            None
        }
    };
    let end = source.len_bytes() - bootconfig.as_ref().map_or(0, |found| found.len_bytes as u64);
    let mut members: Vec<Member> = Vec::new();
    walk(&Region::new(source, 0, end), &mut |member, entry, content| {
        if members.last().is_none_or(|last| last.offset_bytes != member.offset_bytes) {
            let Place { offset_bytes, compression } = member;
            let compression = compression.map(Format::as_str);
            members.push(Member { offset_bytes, compression, entries: Vec::new() });
        }
        let entry = Entry::of_cpio(entry);
        let is_read = detail == Detail::Digests && entry.kind == "file";
        let sha256 = is_read.then(|| sha256(content)).transpose()?;
        match members.last_mut() {
            Some(last) => entry::push(&mut last.entries, entry.with_sha256(sha256)),
            None => Ok(()),
        }
    })?;
    let bootconfig = bootconfig.map(|found| BootconfigReport {
        command_line: bootconfig::command_line(&found.text),
        text: found.text,
    });
    Ok(ArchiveReport { members, bootconfig, problems })
}

/// Takes one file out.
pub(super) fn extract(source: &dyn Source, path: &str, out: &mut dyn Write) -> Result<()> {
    let report = inspect(source, Detail::Listing)?;
    let entries: Vec<Entry> =
        report.members.into_iter().flat_map(|member| member.entries).collect();
    let wanted = entry::follow_links(&entries, path)?;
    let found = entry::find(&entries, &wanted).filter(|entry| entry.kind == "file");
    if found.is_none() {
        return Err(super::no_such_file(path));
    }
    let end = source.len_bytes() - find_bootconfig(source)?.map_or(0, |f| f.len_bytes as u64);
    let region = Region::new(source, 0, end);
    // The last of that name counts; the content may stand at another name of the file.
    let mut place = None;
    walk(&region, &mut |member, entry, _content| {
        if normal(&entry.name) == wanted {
            place = Some((member.offset_bytes, entry.inode, entry.nlink));
        }
        Ok(())
    })?;
    let Some((member_at, inode, nlink)) = place else { return Err(super::no_such_file(path)) };
    walk(&region, &mut |member, entry, content| {
        let is_file = if nlink > 1 { entry.inode == inode } else { normal(&entry.name) == wanted };
        if member.offset_bytes == member_at && is_file && entry.size_bytes > 0 {
            std::io::copy(content, out)
                .map_err(|error| Error::failure(format!("cannot take {path} out: {error}")))?;
        }
        Ok(())
    })
}

/// The digest of an entry's content.
fn sha256(content: &mut dyn Read) -> Result<String> {
    entry::sha256_of(|hasher| {
        std::io::copy(content, hasher).map_err(|error| damaged(&error))?;
        Ok(())
    })
}

fn find_bootconfig(source: &dyn Source) -> Result<Option<bootconfig::Found>> {
    let wanted = (bootconfig::TEXT_MAX_BYTES + 32) as u64;
    let len = source.len_bytes().min(wanted);
    let mut tail = vec![0; usize::try_from(len).unwrap_or(0)];
    source
        .read_at(source.len_bytes() - len, &mut tail)
        .map_err(|error| Error::failure(format!("cannot read its end: {error}")))?;
    bootconfig::find(&tail)
}

/// Where an archive is.
#[derive(Clone, Copy)]
struct Place {
    offset_bytes: u64,
    compression: Option<Format>,
}

type Visit<'a> = dyn FnMut(Place, cpio::Entry, &mut dyn Read) -> Result<()> + 'a;

/// Visits every entry of every archive.
fn walk(source: &Region<&dyn Source>, visit: &mut Visit<'_>) -> Result<()> {
    let mut at = 0;
    for _ in 0..MEMBERS_MAX {
        at += zeros(source, at)?;
        if at >= source.len_bytes() {
            return Ok(());
        }
        let rest = Region::new(source, at, u64::MAX);
        let mut beginning = [0; 6];
        let len = beginning.len().min(usize::try_from(rest.len_bytes()).unwrap_or(6));
        rest.read_at(0, &mut beginning[..len])
            .map_err(|error| Error::failure(format!("cannot read at byte {at}: {error}")))?;
        let compression = Format::detect(&beginning);
        let place = Place { offset_bytes: at, compression };
        let mut input = BufReader::with_capacity(BUFFER_BYTES, SourceReader::new(rest));
        match compression {
            None if beginning.starts_with(b"0707") => read_archive(&mut input, place, visit)?,
            None => {
                return Err(Error::failure(format!(
                    "the archive is damaged: at byte {at} is neither an archive nor compressed data"
                )));
            }
            Some(format) => {
                let decoder = format.decoder(&mut input)?.take(UNPACKED_MAX_BYTES);
                read_archives(&mut BufReader::with_capacity(BUFFER_BYTES, decoder), place, visit)?;
            }
        }
        at += input.get_ref().position_bytes() - input.buffer().len() as u64;
    }
    Err(Error::failure(format!("the file has more than {MEMBERS_MAX} archives")))
}

/// How many zeros there are from `at` on.
fn zeros(source: &Region<&dyn Source>, at: u64) -> Result<u64> {
    let mut input = BufReader::new(SourceReader::new(Region::new(source, at, u64::MAX)));
    skip_zeros(&mut input)
}

fn skip_zeros(input: &mut impl BufRead) -> Result<u64> {
    let mut count = 0;
    loop {
        let buffer = input.fill_buf().map_err(|error| damaged(&error))?;
        let zeros = buffer.iter().take_while(|byte| **byte == 0).count();
        let is_end = zeros < buffer.len() || buffer.is_empty();
        input.consume(zeros);
        count += zeros as u64;
        if is_end {
            return Ok(count);
        }
    }
}

fn damaged(error: &std::io::Error) -> Error {
    Error::failure(format!("the archive is damaged: {error}"))
}

/// Reads what a compressed member unpacks to, to its very end.
fn read_archives(input: &mut impl BufRead, place: Place, visit: &mut Visit<'_>) -> Result<()> {
    let mut is_first = true;
    loop {
        skip_zeros(input)?;
        let buffer = input.fill_buf().map_err(|error| damaged(&error))?;
        if buffer.is_empty() {
            return Ok(());
        }
        if is_first && !buffer.starts_with(b"0") {
            let name = place.compression.map_or("plain", Format::as_str);
            return Err(Error::failure(format!("the {name} data holds no cpio archive"))
                .hint("unpack it, and look at what it holds"));
        }
        is_first = false;
        read_archive(input, place, visit)?;
    }
}

fn read_archive(input: &mut impl BufRead, place: Place, visit: &mut Visit<'_>) -> Result<()> {
    let mut reader = cpio::Reader::new(input);
    while let Some(entry) = reader.next_entry()? {
        visit(place, entry, &mut reader)?;
    }
    Ok(())
}
