//! One netlink socket: requests with their answers, and events (netlink(7)).

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkDeserializable, NetlinkHeader, NetlinkMessage,
    NetlinkPayload, NetlinkSerializable,
};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send,
    socket_with, sockopt,
};

/// Longest datagram the kernel sends: it fills at most 32 KiB of a dump at once.
const DATAGRAM_BYTES_MAX: usize = 64 * 1024;

/// Room for events that arrive faster than they are read.
const EVENT_BUFFER_BYTES: usize = 1024 * 1024;

/// How often a dump is asked for again when what it lists changed meanwhile.
const DUMP_ATTEMPTS_MAX: usize = 4;

/// `NLM_F_DUMP_INTR`: the listing is not of one moment.
const DUMP_INTERRUPTED: u16 = 16;

/// Length of `struct nlmsghdr`.
const HEADER_BYTES: usize = 16;

/// A netlink socket.
#[derive(Debug)]
pub struct Connection {
    fd: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Connection {
    /// Opens a socket for requests to `protocol`; `None` is `NETLINK_ROUTE`.
    ///
    /// # Errors
    /// What socket(2) or bind(2) say.
    pub fn open(protocol: Option<Protocol>) -> io::Result<Self> {
        let fd =
            socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        bind(&fd, &SocketAddrNetlink::new(0, 0))?;
        Ok(Self { fd, sequence: 0, buffer: vec![0; DATAGRAM_BYTES_MAX] })
    }

    /// Opens a socket that receives what is sent to `groups`, a set of bits, and
    /// never blocks.
    ///
    /// # Errors
    /// What socket(2) or bind(2) say.
    pub fn listen(groups: u32) -> io::Result<Self> {
        let fd = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        // Best effort: more than the system's limit is for the privileged.
        let _ = sockopt::set_socket_recv_buffer_size_force(&fd, EVENT_BUFFER_BYTES);
        bind(&fd, &SocketAddrNetlink::new(0, groups))?;
        Ok(Self { fd, sequence: 0, buffer: vec![0; DATAGRAM_BYTES_MAX] })
    }

    /// Asks for a listing and returns its entries. An entry that cannot be decoded
    /// is left out.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn dump<M>(&mut self, message: &M) -> io::Result<Vec<M>>
    where
        M: NetlinkSerializable + NetlinkDeserializable + Clone,
    {
        let mut attempt = 1;
        loop {
            let (entries, interrupted) =
                self.exchange(message.clone(), NLM_F_REQUEST | NLM_F_DUMP)?;
            if !interrupted || attempt == DUMP_ATTEMPTS_MAX {
                return Ok(entries);
            }
            attempt += 1;
        }
    }

    /// Has something done, with `flags` beside those every request has.
    ///
    /// # Errors
    /// What the kernel answers.
    pub fn request<M>(&mut self, message: M, flags: u16) -> io::Result<Vec<M>>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        self.exchange(message, NLM_F_REQUEST | NLM_F_ACK | flags).map(|(entries, _)| entries)
    }

    fn exchange<M>(&mut self, message: M, flags: u16) -> io::Result<(Vec<M>, bool)>
    where
        M: NetlinkSerializable + NetlinkDeserializable,
    {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.send(&bytes)?;
        self.collect(self.sequence)
    }

    /// Reads until the answer to `sequence` is complete.
    fn collect<M: NetlinkDeserializable>(&mut self, sequence: u32) -> io::Result<(Vec<M>, bool)> {
        let mut entries = Vec::new();
        let mut interrupted = false;
        loop {
            let datagram = self.datagram(RecvFlags::empty())?;
            for bytes in split(&datagram) {
                let Some(header) = header_of(bytes) else { continue };
                if header.sequence_number != sequence {
                    continue;
                }
                interrupted |= header.flags & DUMP_INTERRUPTED != 0;
                match NetlinkMessage::<M>::deserialize(bytes).map(|message| message.payload) {
                    Ok(NetlinkPayload::InnerMessage(entry)) => entries.push(entry),
                    // A listing that fails on the way ends with the error.
                    Ok(NetlinkPayload::Done(done)) => {
                        return ended(done.code).map(|()| (entries, interrupted));
                    }
                    Ok(NetlinkPayload::Error(error)) => {
                        return ended(error.raw_code()).map(|()| (entries, interrupted));
                    }
                    // A kernel may say more than this program was made for.
                    _ => {}
                }
            }
        }
    }

    /// Sends messages that have their headers, all at once.
    ///
    /// # Errors
    /// What send(2) says.
    pub fn send(&self, messages: &[u8]) -> io::Result<()> {
        retry(|| send(&self.fd, messages, SendFlags::empty())).map(|_| ())
    }

    /// The next datagram that is there; `None` when there is none now.
    ///
    /// # Errors
    /// `ENOBUFS` when events were lost: whoever reads asks for everything again.
    pub fn next_datagram(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.datagram(RecvFlags::DONTWAIT) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn datagram(&mut self, flags: RecvFlags) -> io::Result<Vec<u8>> {
        let (length, _) = retry(|| recv(&self.fd, self.buffer.as_mut_slice(), flags))?;
        Ok(self.buffer.get(..length).unwrap_or_default().to_vec())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// How an exchange has ended: 0, or an error number below it.
fn ended(code: i32) -> io::Result<()> {
    match code {
        0.. => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
    }
}

fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return other.map_err(io::Error::from),
        }
    }
}

/// The messages of a datagram, each with its header. Ends at one whose length
/// cannot be right.
pub fn split(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let length = usize::try_from(u32_at(rest, 0)?).ok()?;
        if length < HEADER_BYTES {
            return None;
        }
        let message = rest.get(..length)?;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The header of a message, `None` if it is too short to have one.
#[must_use]
pub fn header_of(message: &[u8]) -> Option<NetlinkHeader> {
    let mut header = NetlinkHeader::default();
    header.length = u32_at(message, 0)?;
    header.message_type = u16_at(message, 4)?;
    header.flags = u16_at(message, 6)?;
    header.sequence_number = u32_at(message, 8)?;
    header.port_number = u32_at(message, 12)?;
    Some(header)
}

/// The number at `at`. Netlink is in the byte order of the machine, and all that
/// Keelson runs on are little-endian.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// The number at `at`, as [`u32_at`].
pub(crate) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_split_and_wrong_lengths_end_them() {
        let mut datagram = vec![18, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0];
        datagram.extend([16, 0, 0, 0, 68, 0, 2, 0, 9, 0, 0, 0, 0, 0, 0, 0]);
        let messages: Vec<&[u8]> = split(&datagram).collect();
        assert_eq!(messages.iter().map(|message| message.len()).collect::<Vec<_>>(), [18, 16]);
        let header = header_of(messages[1]).unwrap();
        assert_eq!((header.message_type, header.sequence_number), (68, 9));
        for wrong in [&[0, 0, 0, 0][..], &[15, 0, 0, 0], &[200, 0, 0, 0, 1], &[1, 2]] {
            assert_eq!(split(wrong).count(), 0, "{wrong:?}");
        }
    }
}
