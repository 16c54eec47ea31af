//! `/dev/log`: what programs say to syslog(3), with who said it.
//!
//! The kernel tells process and user of a sender (`SCM_CREDENTIALS`, unix(7)), and that is
//! what a record says. What processes with root's rights say and what others do are two
//! logs, so that who only writes to the socket cannot push out the former. The user that the
//! kernel tells is the real one; that sudo has root's rights all the same stands in `/proc`,
//! and may have come about since the message was sent: docs/logging.md tells what that lets
//! a user do. By the real user alone, sudo's records would be among those that anybody
//! pushes out.
//! Absent: streams, remote senders.

use std::fs::{self, Permissions};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::SystemTime;

use init_core::name::{SYSLOG, SYSLOG_USERS};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, UCred, recvmsg,
};
use services::kmsg::LEVELS;
use services::log_record::{RECORD_LENGTH_MAX, format_timestamp};

use crate::directory::LogDirectory;
use crate::log_file::LogFile;
use crate::message::{Message, parse};

/// Datagrams taken in one turn, so that one sender cannot keep the services waiting.
const TURN_DATAGRAMS: usize = 64;

/// What stands behind a message that is longer than a record.
const CUT: &[u8] = b" -- cut here";

/// The socket and its logs.
#[derive(Debug)]
pub(crate) struct Syslog {
    socket: OwnedFd,
    root: LogFile,
    users: LogFile,
    buffer: Vec<u8>,
}

impl Syslog {
    /// Makes the socket, which everybody may write to. One that a predecessor left is replaced.
    pub(crate) fn open(path: &Path, directory: &LogDirectory, size_max: u64) -> io::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
            _ => {}
        }
        let socket = UnixDatagram::bind(path)?;
        socket.set_nonblocking(true)?;
        set_socket_passcred(&socket, true)?;
        fs::set_permissions(path, Permissions::from_mode(0o666))?;
        Ok(Self {
            socket: socket.into(),
            root: LogFile::open(directory, SYSLOG, size_max)?,
            users: LogFile::open(directory, SYSLOG_USERS, size_max)?,
            buffer: vec![0; RECORD_LENGTH_MAX],
        })
    }

    /// Logs messages that are there, up to a bound.
    pub(crate) fn collect(&mut self, directory: &LogDirectory) -> io::Result<()> {
        for _ in 0..TURN_DATAGRAMS {
            match self.receive() {
                Ok((length, is_cut, sender)) => self.log(directory, length, is_cut, sender),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.root.flush(directory);
        self.users.flush(directory);
        Ok(())
    }

    /// A datagram's length in the buffer, whether it was longer, and its sender. Files
    /// that come with it find no room, and the kernel closes them.
    fn receive(&mut self) -> Result<(usize, bool, Option<UCred>), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut self.buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC,
        )?;
        let sender = control.drain().find_map(|part| match part {
            RecvAncillaryMessage::ScmCredentials(sender) => Some(sender),
            _ => None,
        });
        Ok((received.bytes, received.flags.contains(ReturnFlags::TRUNC), sender))
    }

    fn log(
        &mut self,
        directory: &LogDirectory,
        length: usize,
        is_cut: bool,
        sender: Option<UCred>,
    ) {
        let message = parse(self.buffer.get(..length).unwrap_or_default());
        let text = record(&message, sender.as_ref(), is_cut);
        let log = if sender.as_ref().is_some_and(has_roots_rights) {
            &mut self.root
        } else {
            &mut self.users
        };
        log.add(directory, &format_timestamp(SystemTime::now()), &text);
    }
}

impl AsFd for Syslog {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether a sender is root, or runs a program that is (set-user-ID, execve(2)) by now: there
/// is no asking about the moment of sending. One that has ended is what its real user is.
fn has_roots_rights(sender: &UCred) -> bool {
    sender.uid.is_root()
        || fs::read_to_string(format!("/proc/{}/status", sender.pid.as_raw_nonzero()))
            .is_ok_and(|status| users(&status) == Some((sender.uid.as_raw(), 0)))
}

/// Real and effective user in a process's `status` (proc_pid_status(5)).
fn users(status: &str) -> Option<(u32, u32)> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    let mut numbers = line.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// `LEVEL: TAG[PID] (uid UID): TEXT`, where only tag and text are what the sender wrote.
fn record(message: &Message<'_>, sender: Option<&UCred>, is_cut: bool) -> Vec<u8> {
    let level = LEVELS.get((message.priority & 7) as usize).copied().unwrap_or("debug");
    let mut text = format!("{level}: ").into_bytes();
    text.extend_from_slice(if message.tag.is_empty() { b"?" } else { message.tag });
    if let Some(UCred { pid, uid, .. }) = sender {
        let (pid, uid) = (pid.as_raw_nonzero(), uid.as_raw());
        text.extend_from_slice(format!("[{pid}] (uid {uid})").as_bytes());
    }
    text.extend_from_slice(b": ");
    let room = RECORD_LENGTH_MAX - CUT.len() - text.len();
    let start = message.text.get(..room).unwrap_or(message.text);
    text.extend_from_slice(start);
    if is_cut || start.len() < message.text.len() {
        text.extend_from_slice(CUT);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_and_effective_users_are_told_apart() {
        for (status, found) in [
            ("Name:\tsudo\nUid:\t1000\t0\t0\t0\nGid:\t1\t2\t3\t4\n", Some((1000, 0))),
            ("Name:\tUid: 0\nUid:\t1000\t1000\t0\t0\n", Some((1000, 1000))),
            ("Uid:\t1000\n", None),
            ("Uid:\tx\t0\n", None),
            ("", None),
        ] {
            assert_eq!(users(status), found, "{status:?}");
        }
    }
}
