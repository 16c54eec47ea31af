//! Bytes of the control protocol: frames, and the few kinds of field that
//! messages are made of. Knows no message.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use super::VERSION;
use crate::name::ServiceName;
use crate::time::Timestamp;

/// Bytes of the length that starts a frame.
pub(super) const LENGTH_BYTES: usize = 4;

/// Why bytes are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProtocolError {
    /// The frame says it is longer than allowed: its length and the limit, in bytes.
    TooLong {
        /// What it says, or what the message would need.
        length_bytes: usize,
        /// What is allowed.
        limit_bytes: usize,
    },
    /// The other side speaks this version.
    Version(u8),
    /// The frame ends before its message does, or has no version and tag.
    Truncated,
    /// The frame goes on after its message.
    Trailing,
    /// No message has this tag.
    Tag(u8),
    /// A field has a value it cannot have; the field is named.
    Field(&'static str),
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length_bytes, limit_bytes } => {
                write!(f, "a message of {length_bytes} bytes is longer than {limit_bytes} bytes")
            }
            Self::Version(theirs) => write!(
                f,
                "the other side speaks version {theirs} of the control protocol, this one version {VERSION}"
            ),
            Self::Truncated => write!(f, "the message ends early"),
            Self::Trailing => write!(f, "the message goes on after its end"),
            Self::Tag(tag) => write!(f, "there is no message {tag:#04x}"),
            Self::Field(field) => write!(f, "the message has a wrong {field}"),
        }
    }
}

impl core::error::Error for ProtocolError {}

/// The first whole frame of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// Version, tag and fields: what `decode` takes.
    pub body: &'a [u8],
    /// How many bytes of the stream the frame takes, its length included.
    pub length_bytes: usize,
}

impl<'a> Frame<'a> {
    /// Finds the first frame in what has been received so far; `None` means
    /// that more must come. `limit_bytes` bounds the body.
    ///
    /// # Errors
    /// [`ProtocolError::TooLong`] as soon as the length is known, so that nobody
    /// makes the receiver buffer more. The stream has no next frame then.
    pub fn split(stream: &'a [u8], limit_bytes: usize) -> Result<Option<Self>, ProtocolError> {
        let Some((length, rest)) = stream.split_first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length_bytes = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length_bytes > limit_bytes {
            return Err(ProtocolError::TooLong { length_bytes, limit_bytes });
        }
        let body = rest.get(..length_bytes);
        Ok(body.map(|body| Frame { body, length_bytes: LENGTH_BYTES + length_bytes }))
    }
}

/// Builds a frame.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    pub(super) fn new(tag: u8) -> Self {
        Self(vec![0, 0, 0, 0, VERSION, tag])
    }

    /// The whole frame, if its body is within `limit_bytes`.
    pub(super) fn finish(self, limit_bytes: usize) -> Result<Vec<u8>, ProtocolError> {
        let mut bytes = self.0;
        let length_bytes = bytes.len().saturating_sub(LENGTH_BYTES);
        let length = u32::try_from(length_bytes).ok().filter(|_| length_bytes <= limit_bytes);
        let length = length.ok_or(ProtocolError::TooLong { length_bytes, limit_bytes })?;
        if let Some(start) = bytes.first_chunk_mut::<LENGTH_BYTES>() {
            *start = length.to_le_bytes();
        }
        Ok(bytes)
    }

    pub(super) fn byte(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub(super) fn time(&mut self, value: Timestamp) {
        self.0.extend_from_slice(&value.as_nanos().to_le_bytes());
    }

    /// A text whose length does not fit makes the frame too long in `finish`.
    pub(super) fn text(&mut self, value: &str) {
        self.u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(value.as_bytes());
    }

    pub(super) fn list<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.u32(u32::try_from(values.len()).unwrap_or(u32::MAX));
        for value in values {
            write(self, value);
        }
    }

    pub(super) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.byte(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// Takes fields off the front of a frame's body.
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// Checks the version; gives the tag and the fields.
    pub(super) fn open(body: &'a [u8]) -> Result<(u8, Self), ProtocolError> {
        match body {
            [version, ..] if *version != VERSION => Err(ProtocolError::Version(*version)),
            [_, tag, fields @ ..] => Ok((*tag, Self(fields))),
            _ => Err(ProtocolError::Truncated),
        }
    }

    /// Checks that nothing is left.
    pub(super) fn close<T>(self, value: T) -> Result<T, ProtocolError> {
        if self.0.is_empty() { Ok(value) } else { Err(ProtocolError::Trailing) }
    }

    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], ProtocolError> {
        let (chunk, rest) = self.0.split_first_chunk::<N>().ok_or(ProtocolError::Truncated)?;
        self.0 = rest;
        Ok(*chunk)
    }

    pub(super) fn byte(&mut self) -> Result<u8, ProtocolError> {
        self.chunk::<1>().map(|[byte]| byte)
    }

    pub(super) fn u32(&mut self) -> Result<u32, ProtocolError> {
        self.chunk().map(u32::from_le_bytes)
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, ProtocolError> {
        self.chunk().map(|bytes| Timestamp::from_nanos(u64::from_le_bytes(bytes)))
    }

    pub(super) fn text(&mut self) -> Result<&'a str, ProtocolError> {
        let length = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        let (text, rest) = self.0.split_at_checked(length).ok_or(ProtocolError::Truncated)?;
        self.0 = rest;
        core::str::from_utf8(text).map_err(|_| ProtocolError::Field("text: it is not UTF-8"))
    }

    pub(super) fn string(&mut self) -> Result<String, ProtocolError> {
        self.text().map(str::to_owned)
    }

    pub(super) fn name(&mut self) -> Result<ServiceName, ProtocolError> {
        ServiceName::new(self.text()?).map_err(|_| ProtocolError::Field("service name"))
    }

    /// A list. Each element takes at least a byte, so a count beyond what is
    /// left cannot reserve memory: the list grows as elements are read.
    pub(super) fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, ProtocolError>,
    ) -> Result<Vec<T>, ProtocolError> {
        let count = self.u32()?;
        let mut values = Vec::new();
        for _ in 0..count {
            values.push(read(self)?);
        }
        Ok(values)
    }

    pub(super) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, ProtocolError>,
    ) -> Result<Option<T>, ProtocolError> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(ProtocolError::Field("option: it is neither 0 nor 1")),
        }
    }
}
