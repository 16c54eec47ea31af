//! Files out of an archive, or their names. The archive is anybody's: nothing in it
//! leads out of the directory, by name or through a link.
//!
//! [`place`] is where an entry goes, [`directories`] makes and finishes those,
//! [`attributes`] are modes, owners and times; [`listing`] is `-t`.

mod attributes;
mod directories;
mod listing;
mod place;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode as FileMode, chmod, makedev, mknodat};
use services::failure::{Code, Failure};
use services::people::accounts;
use services::problem::{Context, Problem};
use tar::{Archive, Entry, EntryType, Unpacked};

use super::arguments::{Arguments, Mode};
use super::{complain, fits, identity_of, reason};
use crate::Result;
use crate::output::{print, tame, tamed};

use attributes::Attributes;
use directories::Directories;
use place::{refuse_links, replace, target};

type Source = Box<dyn Read>;

/// `S_ISUID` and `S_ISGID`.
const SET_ID_BITS: u32 = 0o6000;

/// Lists the archive, or extracts it.
pub(super) fn read(arguments: &Arguments, input: Source) -> Result<()> {
    let mut reader = Reader::new(arguments);
    let mut archive = Archive::new(input);
    archive.set_preserve_mtime(!arguments.touch);
    archive.set_preserve_permissions(arguments.same_modes);
    // What runs with its owner's rights does so only once it has its owner.
    let withheld = if arguments.same_owner { SET_ID_BITS } else { 0 };
    archive.set_mask(!reader.kept_bits | withheld);
    // Owners are set here, by name where the names are known.
    archive.set_preserve_ownerships(false);
    archive.set_overwrite(!arguments.keep_old);
    let whole = reader.entries(&mut archive).and_then(|()| drain(archive.into_inner()));
    // Those of a damaged archive too: its files have their modes and owners already.
    reader.finish_directories();
    whole?;
    reader.report()
}

/// Reads what is behind the archive's end. gzip's checksum stands behind it, and is
/// looked at only by who reads so far.
fn drain(mut input: Source) -> Result<()> {
    io::copy(&mut input, &mut io::sink()).map_err(|error| {
        Problem::new(format!("cannot read the archive to its end: {error}"))
            .with_hint("it is damaged or truncated, and what came out of it may be wrong")
    })?;
    Ok(())
}

struct Reader<'a> {
    arguments: &'a Arguments,
    users: HashMap<String, u32>,
    groups: HashMap<String, u32>,
    /// Which of the wanted names have been found.
    found: Vec<bool>,
    /// The bits of modes that are taken over.
    kept_bits: u32,
    directories: Directories,
    well: bool,
}

impl<'a> Reader<'a> {
    fn new(arguments: &'a Arguments) -> Self {
        let users = accounts::users().unwrap_or_default();
        let groups = accounts::groups().unwrap_or_default();
        Self {
            arguments,
            users: users.into_iter().rev().map(|user| (user.name, user.uid)).collect(),
            groups: groups.into_iter().rev().map(|group| (group.name, group.gid)).collect(),
            found: vec![false; arguments.names().count()],
            kept_bits: attributes::kept_bits(arguments.same_modes),
            directories: Directories::new(arguments.same_modes, arguments.keep_old),
            well: true,
        }
    }

    fn entries(&mut self, archive: &mut Archive<Source>) -> Result<()> {
        let broken = || "cannot read the archive".to_owned();
        for entry in archive.entries().context(broken)? {
            let entry = entry.map_err(|error| {
                Problem::new(format!("cannot read the archive: {error}"))
                    .with_hint("it is damaged, truncated, or no tar archive")
            })?;
            // It says something of all members, as `git archive` its commit, and is none.
            if !entry.header().entry_type().is_pax_global_extensions() {
                self.entry(entry)?;
            }
        }
        Ok(())
    }

    fn entry(&mut self, mut entry: Entry<'_, Source>) -> Result<()> {
        let broken = || "cannot read the archive".to_owned();
        let name = entry.path().context(broken)?.into_owned();
        if !self.wants(&name) {
            return Ok(());
        }
        match self.arguments.mode {
            Mode::List => Ok(print(&listing::line(self.arguments, &entry, &name)?)?),
            _ if self.arguments.to_stdout => {
                if entry.header().entry_type().is_file() {
                    let mut out = io::stdout().lock();
                    io::copy(&mut entry, &mut out)?;
                    out.flush()?;
                }
                Ok(())
            }
            _ => {
                if let Some(target) = target(&name, self.arguments.strip) {
                    if self.arguments.verbose {
                        print(&format!("{}\n", tame(&name.to_string_lossy())))?;
                    }
                    let done = target.and_then(|target| self.extract(&mut entry, &target));
                    if let Err(error) = done {
                        complain(&name, "extract", &reason(&error));
                        self.well = false;
                    }
                }
                Ok(())
            }
        }
    }

    /// Whether the entry was asked for: by its name, or by that of a directory above it.
    fn wants(&mut self, name: &Path) -> bool {
        let bytes = name.as_os_str().as_bytes();
        let excluded = &self.arguments.excluded;
        if excluded.iter().any(|pattern: &OsString| fits(pattern.as_bytes(), bytes)) {
            return false;
        }
        let plain = |path: &Path| -> PathBuf {
            path.components().filter(|part| matches!(part, Component::Normal(_))).collect()
        };
        let name = plain(name);
        let mut is_wanted = self.found.is_empty();
        for (wanted, found) in self.arguments.names().zip(&mut self.found) {
            if name.starts_with(plain(wanted)) {
                *found = true;
                is_wanted = true;
            }
        }
        is_wanted
    }

    fn extract(&mut self, entry: &mut Entry<'_, Source>, target: &Path) -> io::Result<()> {
        let is_directory = is_directory(entry);
        // A directory that is there is no file to be replaced, but where others go.
        let is_old = |there: Metadata| !(is_directory && there.is_dir());
        if self.arguments.keep_old && fs::symlink_metadata(target).is_ok_and(is_old) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let attributes = self.attributes(entry.header())?;
        if is_directory {
            return self.directories.add(target, attributes);
        }
        self.directories.add_parents(target)?;
        match entry.header().entry_type() {
            EntryType::Char | EntryType::Block | EntryType::Fifo => {
                node(entry.header(), target, attributes)
            }
            EntryType::Link => self.link(entry, target),
            _ => unpack(entry, target, attributes),
        }
    }

    /// A further name of a file that has been extracted, or was there.
    fn link(&self, entry: &Entry<'_, Source>, target: &Path) -> io::Result<()> {
        let link = entry.link_name()?.ok_or(io::ErrorKind::InvalidData)?;
        let source = place::target(&link, self.arguments.strip)
            .unwrap_or_else(|| Err(io::ErrorKind::InvalidData.into()))?;
        refuse_links(&source)?;
        // Looked at before what is there goes: the source may be missing, or be what is there.
        let file = identity_of(&fs::symlink_metadata(&source)?);
        if fs::symlink_metadata(target).is_ok_and(|there| identity_of(&there) == file) {
            return Ok(());
        }
        replace(target)?;
        // Of a symbolic link it makes another, and does not follow it (linkat(2)).
        fs::hard_link(source, target)
    }

    fn attributes(&self, header: &tar::Header) -> io::Result<Attributes> {
        let mtime = header.mtime()?;
        Ok(Attributes {
            mode: header.mode()? & self.kept_bits,
            mtime: (!self.arguments.touch).then_some(mtime),
            owner: self.arguments.same_owner.then(|| self.owner(header)),
        })
    }

    /// Owner and group, by their names on this system if it has them.
    fn owner(&self, header: &tar::Header) -> (u32, u32) {
        let number = |number: io::Result<u64>| {
            number.ok().and_then(|number| u32::try_from(number).ok()).unwrap_or(0)
        };
        let (uid, gid) = (number(header.uid()), number(header.gid()));
        if self.arguments.numeric_owner {
            return (uid, gid);
        }
        let user = header.username().ok().flatten().and_then(|name| self.users.get(name));
        let group = header.groupname().ok().flatten().and_then(|name| self.groups.get(name));
        (user.copied().unwrap_or(uid), group.copied().unwrap_or(gid))
    }

    fn finish_directories(&mut self) {
        for (path, error) in self.directories.finish() {
            complain(&path, "finish", &error);
            self.well = false;
        }
    }

    /// What was asked for and is not there is named.
    fn report(mut self) -> Result<()> {
        for (name, found) in self.arguments.names().zip(&self.found) {
            if !found {
                let problem = Problem::new(format!("`{}` is not in the archive", name.display()));
                tamed(&problem).print("tar");
                self.well = false;
            }
        }
        if self.well { Ok(()) } else { Err(Failure::Reported(Code::Failed)) }
    }
}

/// Whether it is a directory: by its type, or by its name as it was before POSIX. The
/// second are the library's directories too, but it would not wait with their modes.
fn is_directory(entry: &Entry<'_, Source>) -> bool {
    let header = entry.header();
    let kind = header.entry_type();
    let is_old = header.as_ustar().is_none() && kind.is_file();
    kind.is_dir() || (is_old && entry.path_bytes().ends_with(b"/"))
}

/// A file, a symbolic link, or what is taken for a file because nobody knows its type.
fn unpack(entry: &mut Entry<'_, Source>, target: &Path, attributes: Attributes) -> io::Result<()> {
    replace(target)?;
    // The library sets the mode once the content is written.
    match attributes::in_private(|| entry.unpack(target))? {
        Unpacked::File(file) => {
            attributes::give_open(&file, attributes.owner)?;
            let is_withheld = attributes.owner.is_some() && attributes.mode & SET_ID_BITS != 0;
            if is_withheld { attributes::set_mode(&file, attributes.mode) } else { Ok(()) }
        }
        _ => attributes::give(target, attributes.owner),
    }
}

fn node(header: &tar::Header, target: &Path, attributes: Attributes) -> io::Result<()> {
    let kind = match header.entry_type() {
        EntryType::Char => FileType::CharacterDevice,
        EntryType::Block => FileType::BlockDevice,
        _ => FileType::Fifo,
    };
    let number = |number: io::Result<Option<u32>>| number.map(Option::unwrap_or_default);
    let device = match kind {
        FileType::Fifo => 0,
        _ => makedev(number(header.device_major())?, number(header.device_minor())?),
    };
    replace(target)?;
    let mode = FileMode::from_raw_mode(attributes.mode);
    mknodat(CWD, target, kind, mode, device)?;
    attributes::give(target, attributes.owner)?;
    // The umask has been at the mode. The path leads to what was made just now, no link.
    Ok(chmod(target, mode)?)
}
