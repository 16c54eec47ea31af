//! File transfer: the server of draft-ietf-secsh-filexfer-02 (version 3), as scp and sftp of
//! OpenSSH use it. It runs as the user and lets the kernel say what may be done.
//!
//! Absent: names that are not UTF-8 (listed with U+FFFD, and refused in requests), extensions
//! other than `posix-rename@openssh.com`, `hardlink@openssh.com`, `fsync@openssh.com` and
//! `limits@openssh.com`.

mod attributes;
mod extended;

use std::collections::HashMap;
use std::fs::{self, File, ReadDir};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::Path;

use russh_sftp::protocol::{
    Attrs, Data, FileAttributes, Handle, Name, OpenFlags, Packet, Status, StatusCode, Version,
};
use russh_sftp::server::{Handler, StatusReply};
use rustix::fs::{Mode, OFlags};
use services::problem::{Context, Result};

use attributes::{attributes_of, listed, set};

/// Most files and directories open at a time.
const HANDLES_MAX: usize = 256;
/// Most bytes that one request reads.
const READ_BYTES_MAX: u32 = 256 << 10;
/// Entries of a directory that go into one answer.
const ENTRIES_PER_ANSWER: usize = 64;
/// Mode of files and directories whose mode the client leaves open; the umask takes from it.
const FILE_MODE: u32 = 0o666;
const DIRECTORY_MODE: u32 = 0o777;

/// Serves standard input and output until the client is done.
///
/// # Errors
/// If the process cannot start its work.
pub(crate) fn serve() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context(|| "cannot start".to_owned())?;
    runtime.block_on(async {
        let (done, mut is_done) = tokio::sync::mpsc::channel(1);
        let stream = tokio::io::join(tokio::io::stdin(), tokio::io::stdout());
        let server = Server { handles: HashMap::new(), next: 0, _done: done };
        russh_sftp::server::run(stream, server).await;
        // The server is dropped at the end of its input, and the sender with it.
        let _ = is_done.recv().await;
    });
    // Standard input is read by a thread of its own, which may wait for ever.
    runtime.shutdown_background();
    Ok(())
}

enum Open {
    File(File),
    Directory(ReadDir),
}

struct Server {
    handles: HashMap<String, Open>,
    next: u64,
    _done: tokio::sync::mpsc::Sender<()>,
}

type Answer<T> = std::result::Result<T, StatusReply>;

/// What the client is told of an error (section 7).
fn reply(error: &io::Error) -> StatusReply {
    let code = match error.kind() {
        io::ErrorKind::NotFound => StatusCode::NoSuchFile,
        io::ErrorKind::PermissionDenied => StatusCode::PermissionDenied,
        io::ErrorKind::Unsupported => StatusCode::OpUnsupported,
        _ => StatusCode::Failure,
    };
    code.with_message(error.to_string())
}

fn done(id: u32) -> Status {
    Status {
        id,
        status_code: StatusCode::Ok,
        error_message: "ok".into(),
        language_tag: "en".into(),
    }
}

/// The answer to a request that has no result but its success.
fn status(id: u32, result: io::Result<()>) -> Answer<Status> {
    result.map(|()| done(id)).map_err(|error| reply(&error))
}

fn attrs(id: u32, metadata: io::Result<fs::Metadata>) -> Answer<Attrs> {
    let metadata = metadata.map_err(|error| reply(&error))?;
    Ok(Attrs { id, attrs: attributes_of(&metadata) })
}

impl Server {
    fn keep(&mut self, id: u32, open: Open) -> Answer<Handle> {
        if self.handles.len() >= HANDLES_MAX {
            return Err(StatusCode::Failure.with_message("too many open files"));
        }
        self.next += 1;
        let handle = self.next.to_string();
        self.handles.insert(handle.clone(), open);
        Ok(Handle { id, handle })
    }

    fn file(&self, handle: &str) -> Answer<&File> {
        match self.handles.get(handle) {
            Some(Open::File(file)) => Ok(file),
            _ => Err(StatusCode::Failure.with_message("no such open file")),
        }
    }
}

impl Handler for Server {
    type Error = StatusReply;

    fn unimplemented(&self) -> StatusReply {
        StatusCode::OpUnsupported.into()
    }

    async fn init(&mut self, _: u32, _: HashMap<String, String>) -> Answer<Version> {
        let mut version = Version::new();
        let known = extended::KNOWN.iter();
        version.extensions = known.map(|(name, v)| ((*name).into(), (*v).into())).collect();
        Ok(version)
    }

    async fn open(
        &mut self,
        id: u32,
        name: String,
        flags: OpenFlags,
        attributes: FileAttributes,
    ) -> Answer<Handle> {
        let mode = attributes.permissions.unwrap_or(FILE_MODE) & 0o7777;
        // A fifo without a reader must not hold up the session for ever.
        let flags = open_flags(flags) | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path(&name)?, flags, Mode::from_raw_mode(mode));
        let file = File::from(file.map_err(|error| reply(&error.into()))?);
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            return Err(StatusCode::Failure.with_message("is a directory"));
        }
        self.keep(id, Open::File(file))
    }

    async fn close(&mut self, id: u32, handle: String) -> Answer<Status> {
        match self.handles.remove(&handle) {
            Some(_) => Ok(done(id)),
            None => Err(StatusCode::Failure.with_message("no such handle")),
        }
    }

    async fn read(&mut self, id: u32, handle: String, offset: u64, length: u32) -> Answer<Data> {
        let length = usize::try_from(length.min(READ_BYTES_MAX)).unwrap_or(0);
        let mut data = vec![0; length];
        let count =
            self.file(&handle)?.read_at(&mut data, offset).map_err(|error| reply(&error))?;
        data.truncate(count);
        if data.is_empty() { Err(StatusCode::Eof.into()) } else { Ok(Data { id, data }) }
    }

    async fn write(
        &mut self,
        id: u32,
        handle: String,
        offset: u64,
        data: Vec<u8>,
    ) -> Answer<Status> {
        status(id, self.file(&handle)?.write_all_at(&data, offset))
    }

    async fn lstat(&mut self, id: u32, name: String) -> Answer<Attrs> {
        attrs(id, fs::symlink_metadata(path(&name)?))
    }

    async fn stat(&mut self, id: u32, name: String) -> Answer<Attrs> {
        attrs(id, fs::metadata(path(&name)?))
    }

    async fn fstat(&mut self, id: u32, handle: String) -> Answer<Attrs> {
        attrs(id, self.file(&handle)?.metadata())
    }

    async fn setstat(
        &mut self,
        id: u32,
        name: String,
        attributes: FileAttributes,
    ) -> Answer<Status> {
        // Opened by its path alone, so that it need not be readable.
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let file = rustix::fs::open(path(&name)?, flags, Mode::empty());
        let result = file.map_err(io::Error::from).and_then(|file| {
            use std::os::fd::AsRawFd;
            set(Path::new(&format!("/proc/self/fd/{}", file.as_raw_fd())), &attributes)
        });
        status(id, result)
    }

    async fn fsetstat(
        &mut self,
        id: u32,
        handle: String,
        attributes: FileAttributes,
    ) -> Answer<Status> {
        use std::os::fd::AsRawFd;
        let file = self.file(&handle)?;
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // By the file as it was opened, which its mode may not allow any more.
        let sized = attributes.size.map_or(Ok(()), |size| file.set_len(size));
        let rest = FileAttributes { size: None, ..attributes };
        status(id, sized.and_then(|()| set(Path::new(&path), &rest)))
    }

    async fn opendir(&mut self, id: u32, name: String) -> Answer<Handle> {
        let entries = fs::read_dir(path(&name)?).map_err(|error| reply(&error))?;
        self.keep(id, Open::Directory(entries))
    }

    async fn readdir(&mut self, id: u32, handle: String) -> Answer<Name> {
        let Some(Open::Directory(entries)) = self.handles.get_mut(&handle) else {
            return Err(StatusCode::Failure.with_message("no such open directory"));
        };
        let mut files = Vec::new();
        for entry in entries.by_ref().take(ENTRIES_PER_ANSWER) {
            let entry = entry.map_err(|error| reply(&error))?;
            // An entry that was removed meanwhile is none.
            if let Ok(metadata) = entry.metadata() {
                files.push(listed(&entry.file_name().to_string_lossy(), &metadata));
            }
        }
        if files.is_empty() { Err(StatusCode::Eof.into()) } else { Ok(Name { id, files }) }
    }

    async fn remove(&mut self, id: u32, name: String) -> Answer<Status> {
        status(id, fs::remove_file(path(&name)?))
    }

    async fn mkdir(&mut self, id: u32, name: String, attributes: FileAttributes) -> Answer<Status> {
        let mode = attributes.permissions.unwrap_or(DIRECTORY_MODE) & 0o7777;
        status(id, fs::DirBuilder::new().mode(mode).create(path(&name)?))
    }

    async fn rmdir(&mut self, id: u32, name: String) -> Answer<Status> {
        status(id, fs::remove_dir(path(&name)?))
    }

    async fn realpath(&mut self, id: u32, name: String) -> Answer<Name> {
        let path = path(&name)?;
        let found = match fs::canonicalize(path) {
            // What is not there yet has a path all the same: clients ask before they make it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => std::path::absolute(path),
            result => result,
        };
        let found = found.map_err(|error| reply(&error))?;
        let file = russh_sftp::protocol::File::dummy(found.to_string_lossy());
        Ok(Name { id, files: vec![file] })
    }

    async fn rename(&mut self, id: u32, from: String, to: String) -> Answer<Status> {
        // Version 3 has a rename that never replaces (section 6.5).
        let flags = rustix::fs::RenameFlags::NOREPLACE;
        let (from, to) = (path(&from)?, path(&to)?);
        let result = rustix::fs::renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, flags);
        status(id, result.map_err(Into::into))
    }

    async fn readlink(&mut self, id: u32, name: String) -> Answer<Name> {
        let target = fs::read_link(path(&name)?).map_err(|error| reply(&error))?;
        let file = russh_sftp::protocol::File::dummy(target.to_string_lossy());
        Ok(Name { id, files: vec![file] })
    }

    async fn symlink(&mut self, id: u32, target: String, link: String) -> Answer<Status> {
        // OpenSSH sends the target first, against the draft, and clients follow OpenSSH
        // (PROTOCOL, section 4.1). The library names the arguments by the draft.
        status(id, std::os::unix::fs::symlink(whole(&target)?, path(&link)?))
    }

    async fn extended(&mut self, id: u32, request: String, data: Vec<u8>) -> Answer<Packet> {
        extended::answer(id, &request, &data, |handle| self.file(handle))
    }
}

/// How open(2) is asked for what the client wants (section 6.3), in each combination.
fn open_flags(wanted: OpenFlags) -> OFlags {
    // Who appends writes.
    let writes = wanted.intersects(OpenFlags::WRITE | OpenFlags::APPEND);
    let access = match (wanted.contains(OpenFlags::READ), writes) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    };
    let others = [
        (OpenFlags::APPEND, OFlags::APPEND),
        (OpenFlags::CREATE, OFlags::CREATE),
        (OpenFlags::EXCLUDE, OFlags::EXCL),
        (OpenFlags::TRUNCATE, OFlags::TRUNC),
    ];
    let asked = others.iter().filter(|(flag, _)| wanted.contains(*flag));
    asked.fold(access, |flags, (_, flag)| flags | *flag)
}

/// The path that a client means: relative ones begin at home, and so does the empty one.
///
/// # Errors
/// As for [`whole`].
fn path(name: &str) -> Answer<&Path> {
    whole(name).map(|name| Path::new(if name.is_empty() { "." } else { name }))
}

/// The name as the client sent it.
///
/// # Errors
/// It has U+FFFD, which the library makes of bytes that are not UTF-8: other names would then
/// be the same one.
fn whole(name: &str) -> Answer<&str> {
    match name.contains(char::REPLACEMENT_CHARACTER) {
        true => Err(StatusCode::Failure.with_message("a name is not UTF-8")),
        false => Ok(name),
    }
}
