//! Requests that OpenSSH added to the protocol (its file PROTOCOL, sections 4.3 to 4.8).

use std::fs::{self, File};
use std::io;

use russh_sftp::protocol::{ExtendedReply, Packet, StatusCode};

use super::{Answer, HANDLES_MAX, READ_BYTES_MAX, done, path, reply};

/// The requests and their versions.
pub(super) const KNOWN: [(&str, &str); 4] = [
    ("posix-rename@openssh.com", "1"),
    ("hardlink@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("limits@openssh.com", "1"),
];
/// Largest packet that a client may send, in bytes: the library's default.
const PACKET_BYTES_MAX: u64 = 256 << 10;
/// What of a packet is not the data to write, in bytes, at most.
const OVERHEAD_BYTES: u64 = 1024;

/// Answers the request `name` with its arguments `data`; `file` looks up an open file.
pub(super) fn answer<'f>(
    id: u32,
    name: &str,
    data: &[u8],
    file: impl FnOnce(&str) -> Answer<&'f File>,
) -> Answer<Packet> {
    let mut arguments = Arguments(data);
    let result = match name {
        "posix-rename@openssh.com" => {
            let (from, to) = (arguments.text()?, arguments.text()?);
            fs::rename(path(&from)?, path(&to)?)
        }
        "hardlink@openssh.com" => {
            let (from, to) = (arguments.text()?, arguments.text()?);
            fs::hard_link(path(&from)?, path(&to)?)
        }
        "fsync@openssh.com" => file(&arguments.text()?)?.sync_all(),
        "limits@openssh.com" => {
            let data = limits();
            return Ok(Packet::ExtendedReply(ExtendedReply { id, data }));
        }
        _ => Err(io::ErrorKind::Unsupported.into()),
    };
    result.map(|()| Packet::Status(done(id))).map_err(|error| reply(&error))
}

/// Largest packet, longest read, longest write, most handles.
fn limits() -> Vec<u8> {
    let numbers = [
        PACKET_BYTES_MAX,
        READ_BYTES_MAX.into(),
        PACKET_BYTES_MAX - OVERHEAD_BYTES,
        u64::try_from(HANDLES_MAX).unwrap_or(u64::MAX),
    ];
    numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// Arguments that have not been read yet: strings, each behind its length.
struct Arguments<'d>(&'d [u8]);

impl Arguments<'_> {
    fn text(&mut self) -> Answer<String> {
        let bad = || StatusCode::BadMessage.with_message("the request ends too early");
        let (length, rest) = self.0.split_first_chunk::<4>().ok_or_else(bad)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| bad())?;
        let (text, rest) = rest.split_at_checked(length).ok_or_else(bad)?;
        self.0 = rest;
        String::from_utf8(text.to_vec())
            .map_err(|_| StatusCode::BadMessage.with_message("a name is not UTF-8"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_read_and_cut_ones_refused() {
        let mut arguments = Arguments(b"\0\0\0\x02ab\0\0\0\x01c");
        assert_eq!(arguments.text().unwrap(), "ab");
        assert_eq!(arguments.text().unwrap(), "c");
        for bad in [&b""[..], b"\0\0\0", b"\0\0\0\x01", b"\xff\xff\xff\xffa", b"\0\0\0\x01\xff"] {
            assert_eq!(Arguments(bad).text().unwrap_err().status_code, StatusCode::BadMessage);
        }
    }

    #[test]
    fn limits_fit_the_library() {
        assert_eq!(limits().len(), 32);
        assert_eq!(
            PACKET_BYTES_MAX,
            u64::from(russh_sftp::server::Config::default().max_client_packet_len)
        );
    }
}
