//! Files into an archive.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use rustix::fs::{major, minor};
use services::failure::{Code, Failure};
use services::people::accounts;
use services::problem::warn;
use tar::{Builder, EntryType, Header};

use super::arguments::{Arguments, Operand};
use super::{Identity, complain, enter, fits, identity_of};
use crate::Result;
use crate::output::tame;

/// Writes the archive to `output`, which is the file `itself` if it is a regular one.
pub(super) fn create(
    arguments: &Arguments,
    output: Box<dyn Write>,
    itself: Option<Identity>,
) -> Result<()> {
    let mut well = true;
    if arguments.gzip {
        let encoder = GzEncoder::new(output, Compression::default());
        let encoder = fill(arguments, encoder, itself, &mut well)?;
        encoder.finish()?.flush()?;
    } else {
        fill(arguments, output, itself, &mut well)?.flush()?;
    }
    if well { Ok(()) } else { Err(Failure::Reported(Code::Failed)) }
}

fn fill<W: Write>(
    arguments: &Arguments,
    output: W,
    itself: Option<Identity>,
    well: &mut bool,
) -> Result<W> {
    let users = accounts::users().unwrap_or_default();
    let groups = accounts::groups().unwrap_or_default();
    let mut archive = Archive {
        arguments,
        builder: Builder::new(output),
        itself,
        first_names: HashMap::new(),
        users: users.into_iter().rev().map(|user| (user.uid, user.name)).collect(),
        groups: groups.into_iter().rev().map(|group| (group.gid, group.name)).collect(),
    };
    for operand in &arguments.operands {
        match operand {
            Operand::Directory(directory) => enter(directory)?,
            Operand::Name(name) => archive.add_all(name, well)?,
        }
    }
    Ok(archive.builder.into_inner()?)
}

struct Archive<'a, W: Write> {
    arguments: &'a Arguments,
    builder: Builder<W>,
    /// The file that is being written.
    itself: Option<Identity>,
    /// Files with further names, and the name they went in by.
    first_names: HashMap<Identity, PathBuf>,
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

impl<W: Write> Archive<'_, W> {
    /// A file, or a directory and all that is below it. What cannot be read is said,
    /// clears `well` and is left out; only the archive itself must be writable.
    fn add_all(&mut self, path: &Path, well: &mut bool) -> Result<()> {
        let mut pending = vec![path.to_owned()];
        while let Some(path) = pending.pop() {
            let name = path.as_os_str().as_bytes();
            let excluded = &self.arguments.excluded;
            if excluded.iter().any(|pattern| fits(pattern.as_bytes(), name)) {
                continue;
            }
            let metadata = match self.arguments.dereference {
                true => fs::metadata(&path),
                false => fs::symlink_metadata(&path),
            };
            let metadata = match metadata {
                Ok(metadata) => metadata,
                Err(error) => {
                    complain(&path, "read", &error);
                    *well = false;
                    continue;
                }
            };
            if self.itself == Some(identity_of(&metadata)) {
                // It would grow by what is read of it.
                let name = tame(&path.display().to_string());
                warn("tar", format!("{name}: file is the archive; not dumped"));
                continue;
            }
            if !self.add(&path, &metadata)? {
                *well = false;
                continue;
            }
            if metadata.is_dir() {
                match children(&path) {
                    Ok(children) => pending.extend(children),
                    Err(error) => {
                        complain(&path, "read", &error);
                        *well = false;
                    }
                }
            }
        }
        Ok(())
    }

    /// One entry. False if it cannot be put in, which has been said.
    fn add(&mut self, path: &Path, metadata: &Metadata) -> Result<bool> {
        let Some(name) = member_name(path) else { return Ok(true) };
        if self.arguments.verbose {
            let _ = writeln!(io::stderr(), "{}", tame(&name.to_string_lossy()));
        }
        let mut header = self.header(metadata);
        let kind = metadata.file_type();
        if metadata.nlink() > 1 && !kind.is_dir() {
            let inode = identity_of(metadata);
            if let Some(first) = self.first_names.get(&inode) {
                header.set_entry_type(EntryType::Link);
                header.set_size(0);
                self.builder.append_link(&mut header, &name, first)?;
                return Ok(true);
            }
            self.first_names.insert(inode, name.clone());
        }
        if kind.is_file() {
            return self.add_file(path, &name, header, metadata.len());
        }
        header.set_size(0);
        if kind.is_symlink() {
            let target = match fs::read_link(path) {
                Ok(target) => target,
                Err(error) => {
                    complain(path, "read", &error);
                    return Ok(false);
                }
            };
            header.set_entry_type(EntryType::Symlink);
            self.builder.append_link(&mut header, &name, target)?;
            return Ok(true);
        }
        let entry_type = if kind.is_dir() {
            EntryType::Directory
        } else if kind.is_fifo() {
            EntryType::Fifo
        } else if kind.is_char_device() {
            EntryType::Char
        } else if kind.is_block_device() {
            EntryType::Block
        } else {
            complain(path, "archive", &"a socket has no content");
            return Ok(true);
        };
        header.set_entry_type(entry_type);
        if matches!(entry_type, EntryType::Char | EntryType::Block) {
            header.set_device_major(major(metadata.rdev()))?;
            header.set_device_minor(minor(metadata.rdev()))?;
        }
        self.builder.append_data(&mut header, &name, io::empty())?;
        Ok(true)
    }

    /// A regular file: exactly as many bytes as its header says, whatever happens to it
    /// meanwhile, because else all that follows would be lost.
    fn add_file(
        &mut self,
        path: &Path,
        name: &Path,
        mut header: Header,
        length: u64,
    ) -> Result<bool> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) => {
                complain(path, "read", &error);
                return Ok(false);
            }
        };
        header.set_entry_type(EntryType::Regular);
        header.set_size(length);
        let mut content = Exactly { file, left: length, cut: None };
        self.builder.append_data(&mut header, name, &mut content)?;
        if let Some(error) = content.cut {
            complain(path, "read", &format!("{error}, zeros took the place"));
            return Ok(false);
        }
        Ok(true)
    }

    fn header(&self, metadata: &Metadata) -> Header {
        let mut header = Header::new_gnu();
        header.set_mode(metadata.mode() & 0o7777);
        header.set_uid(metadata.uid().into());
        header.set_gid(metadata.gid().into());
        header.set_mtime(u64::try_from(metadata.mtime()).unwrap_or(0));
        if !self.arguments.numeric_owner {
            // Names longer than the field are left out: the number is there.
            if let Some(user) = self.users.get(&metadata.uid()) {
                let _ = header.set_username(user);
            }
            if let Some(group) = self.groups.get(&metadata.gid()) {
                let _ = header.set_groupname(group);
            }
        }
        header
    }
}

/// The entries of a directory, the last one first: they are taken from the end.
fn children(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory)?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    paths.sort_unstable_by(|a, b| b.cmp(a));
    Ok(paths)
}

/// The name in the archive: without a leading `/` and without `..`, of which nothing
/// may be left to lead out of a directory. `None` for the root and the like.
fn member_name(path: &Path) -> Option<PathBuf> {
    let kept = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let name: PathBuf = path.components().filter(kept).collect();
    (!name.as_os_str().is_empty()).then_some(name)
}

/// Reads a file of which the length has been announced: no more, and zeros from where it
/// ends by now or cannot be read.
struct Exactly {
    file: File,
    left: u64,
    /// Why there are zeros, once there are.
    cut: Option<io::Error>,
}

impl io::Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(room) = buffer.get_mut(..wanted) else { return Ok(0) };
        let mut length = 0;
        if self.cut.is_none() && wanted > 0 {
            match self.file.read(room) {
                Ok(0) => self.cut = Some(io::Error::other("it became shorter meanwhile")),
                Ok(read) => length = read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
                Err(error) => self.cut = Some(error),
            }
        }
        if self.cut.is_some() {
            room.fill(0);
            length = wanted;
        }
        self.left -= length as u64;
        Ok(length)
    }
}
