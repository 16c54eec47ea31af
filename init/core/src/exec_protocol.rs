//! What `builder run --exec` and the guest's `execd` say to each other over a
//! virtio serial port. Laid down in `docs/exec-protocol.md`.
//!
//! Bytes in, frames out: no port, no process and no clock here. Decoding is
//! bounded and total, because each side treats the other as untrusted.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::description::Signal;
use crate::event::ExitStatus;

/// Name of the virtio serial port: QEMU's `virtserialport,name=…`, the guest's
/// `/sys/class/virtio-ports/*/name`.
pub const PORT_NAME: &str = "org.keelson.exec";

/// Version that [`GuestFrame::Hello`] carries.
pub const VERSION: u16 = 1;

/// Longest payload of a frame, in bytes. Longer output is sent in several frames;
/// a longer command is refused.
pub const PAYLOAD_LENGTH_MAX: usize = 64 * 1024;

/// Kind (1 byte) and payload length (4 bytes, little-endian).
const HEADER_LENGTH: usize = 5;

/// What starts the payload of a hello, so that a host that opens the port in
/// the middle of older output finds the place where its session begins.
const HELLO_MAGIC: &[u8] = b"keelson-exec\n";

const KIND_HELLO: u8 = 0x01;
const KIND_STDOUT: u8 = 0x02;
const KIND_STDERR: u8 = 0x03;
const KIND_EXIT: u8 = 0x04;
const KIND_FAILED: u8 = 0x05;
const KIND_RUN: u8 = 0x81;
const KIND_POWER_OFF: u8 = 0x82;

/// A frame from the host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum HostFrame {
    /// Run this command line, when those before it have ended.
    Run {
        /// For `/bin/sh -c`, or for its words to be executed where there is no shell.
        command: String,
    },
    /// Power the guest off, in order.
    PowerOff,
}

/// A frame from the guest.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GuestFrame {
    /// The first frame after the host has opened the port: commands are taken from now on.
    Hello {
        /// [`VERSION`] of the guest.
        version: u16,
        /// Whether every service that starts at boot has settled. It is false when
        /// the guest has given up waiting for that.
        settled: bool,
    },
    /// Output of the running command.
    Stdout(Vec<u8>),
    /// Error output of the running command.
    Stderr(Vec<u8>),
    /// The command has ended; all its output has been sent.
    Exit(ExitStatus),
    /// The guest could not do what was asked; the text says why. Follows a frame
    /// that could not be decoded, or a power-off that PID 1 did not take on.
    Failed(String),
}

/// Why bytes are no frame, or a frame cannot become bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FrameError {
    /// The payload has this many bytes, more than [`PAYLOAD_LENGTH_MAX`].
    TooLong(usize),
    /// No frame of this direction has this kind.
    UnknownKind(u8),
    /// The payload does not have the shape that its kind asks for.
    Malformed(u8),
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::TooLong(length) => {
                write!(f, "a frame of {length} bytes exceeds the limit of {PAYLOAD_LENGTH_MAX}")
            }
            Self::UnknownKind(kind) => write!(f, "a frame has the unknown kind {kind:#04x}"),
            Self::Malformed(kind) => {
                write!(f, "the payload of a frame of kind {kind:#04x} is malformed")
            }
        }
    }
}

impl core::error::Error for FrameError {}

/// A frame of one direction.
pub trait Frame: Sized {
    /// Kind and payload.
    fn to_parts(&self) -> (u8, Vec<u8>);

    /// The frame of this kind and payload.
    ///
    /// # Errors
    /// [`FrameError::UnknownKind`] and [`FrameError::Malformed`].
    fn from_parts(kind: u8, payload: &[u8]) -> Result<Self, FrameError>;

    /// The frame as bytes for the port.
    ///
    /// # Errors
    /// [`FrameError::TooLong`]: the caller splits output, and refuses the command.
    fn encode(&self) -> Result<Vec<u8>, FrameError> {
        let (kind, payload) = self.to_parts();
        let too_long = FrameError::TooLong(payload.len());
        if payload.len() > PAYLOAD_LENGTH_MAX {
            return Err(too_long);
        }
        let length = u32::try_from(payload.len()).map_err(|_| too_long)?;
        let mut bytes = Vec::with_capacity(HEADER_LENGTH + payload.len());
        bytes.push(kind);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&payload);
        Ok(bytes)
    }
}

impl Frame for HostFrame {
    fn to_parts(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Run { command } => (KIND_RUN, command.as_bytes().to_vec()),
            Self::PowerOff => (KIND_POWER_OFF, Vec::new()),
        }
    }

    fn from_parts(kind: u8, payload: &[u8]) -> Result<Self, FrameError> {
        match (kind, payload) {
            (KIND_RUN, command) => match core::str::from_utf8(command) {
                // execve(2) could not take a NUL, so it is caught here, with a name.
                Ok(command) if !command.contains('\0') => Ok(Self::Run { command: command.into() }),
                _ => Err(FrameError::Malformed(kind)),
            },
            (KIND_POWER_OFF, []) => Ok(Self::PowerOff),
            (KIND_POWER_OFF, _) => Err(FrameError::Malformed(kind)),
            _ => Err(FrameError::UnknownKind(kind)),
        }
    }
}

impl Frame for GuestFrame {
    fn to_parts(&self) -> (u8, Vec<u8>) {
        match self {
            Self::Hello { version, settled } => {
                let mut payload = HELLO_MAGIC.to_vec();
                payload.extend_from_slice(&version.to_le_bytes());
                payload.push(u8::from(*settled));
                (KIND_HELLO, payload)
            }
            Self::Stdout(bytes) => (KIND_STDOUT, bytes.clone()),
            Self::Stderr(bytes) => (KIND_STDERR, bytes.clone()),
            Self::Exit(ExitStatus::Code(code)) => (KIND_EXIT, vec![0, *code]),
            Self::Exit(ExitStatus::Signal { signal, core_dumped }) => {
                (KIND_EXIT, vec![1 + u8::from(*core_dumped), signal.0])
            }
            Self::Failed(text) => (KIND_FAILED, text.as_bytes().to_vec()),
        }
    }

    fn from_parts(kind: u8, payload: &[u8]) -> Result<Self, FrameError> {
        let malformed = Err(FrameError::Malformed(kind));
        match (kind, payload) {
            (KIND_HELLO, payload) => match payload.strip_prefix(HELLO_MAGIC) {
                // A later version may append fields; the version says whether it did.
                Some([low, high, settled, ..]) => Ok(Self::Hello {
                    version: u16::from_le_bytes([*low, *high]),
                    settled: *settled != 0,
                }),
                _ => malformed,
            },
            (KIND_STDOUT, bytes) => Ok(Self::Stdout(bytes.to_vec())),
            (KIND_STDERR, bytes) => Ok(Self::Stderr(bytes.to_vec())),
            (KIND_EXIT, [0, code]) => Ok(Self::Exit(ExitStatus::Code(*code))),
            (KIND_EXIT, [how @ (1 | 2), signal @ 1..=64]) => Ok(Self::Exit(ExitStatus::Signal {
                signal: Signal(*signal),
                core_dumped: *how == 2,
            })),
            (KIND_EXIT, _) => malformed,
            (KIND_FAILED, text) => match core::str::from_utf8(text) {
                Ok(text) => Ok(Self::Failed(text.into())),
                Err(_) => malformed,
            },
            _ => Err(FrameError::UnknownKind(kind)),
        }
    }
}

/// Takes the bytes of one direction as they come and gives its frames. Holds at
/// most one frame beyond what it was last given.
///
/// After an error it gives nothing any more: the stream has lost its
/// frame boundaries, and only a new session ([`Decoder::new`]) brings them back.
#[derive(Debug)]
pub struct Decoder<F> {
    buffer: Vec<u8>,
    /// Whether bytes are thrown away until a hello comes by.
    seeks_hello: bool,
    broken: Option<FrameError>,
    frame: PhantomData<F>,
}

impl<F: Frame> Default for Decoder<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Frame> Decoder<F> {
    /// A decoder for a stream that starts with a frame: the guest's side.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffer: Vec::new(), seeks_hello: false, broken: None, frame: PhantomData }
    }

    /// Appends bytes that were read.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next frame; `None` until more bytes come.
    ///
    /// # Errors
    /// [`FrameError`], again at each later call.
    pub fn next_frame(&mut self) -> Result<Option<F>, FrameError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        if self.seeks_hello && !self.find_hello() {
            return Ok(None);
        }
        let Some((&[kind, a, b, c, d], rest)) = self.buffer.split_first_chunk::<HEADER_LENGTH>()
        else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > PAYLOAD_LENGTH_MAX {
            return Err(self.break_off(FrameError::TooLong(length)));
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let frame = F::from_parts(kind, payload);
        self.buffer.drain(..HEADER_LENGTH + length);
        frame.map(Some).map_err(|error| self.break_off(error))
    }

    /// Drops what stands before a hello; false if none has come yet.
    fn find_hello(&mut self) -> bool {
        let mut pattern = vec![KIND_HELLO];
        let (_, payload) = GuestFrame::Hello { version: VERSION, settled: true }.to_parts();
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        pattern.extend_from_slice(&length.to_le_bytes());
        pattern.extend_from_slice(HELLO_MAGIC);
        match self.buffer.windows(pattern.len()).position(|window| window == pattern) {
            Some(start) => {
                self.buffer.drain(..start);
                self.seeks_hello = false;
                true
            }
            None => {
                let keep_from = self.buffer.len().saturating_sub(pattern.len() - 1);
                self.buffer.drain(..keep_from);
                false
            }
        }
    }

    fn break_off(&mut self, error: FrameError) -> FrameError {
        self.broken = Some(error);
        self.buffer = Vec::new();
        error
    }
}

impl Decoder<GuestFrame> {
    /// A decoder that throws away what comes before a hello: the host's side,
    /// which may open the port while output for an earlier host is still in it.
    #[must_use]
    pub const fn from_hello() -> Self {
        Self { buffer: Vec::new(), seeks_hello: true, broken: None, frame: PhantomData }
    }
}

#[cfg(test)]
mod tests;
