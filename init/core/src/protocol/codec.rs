//! Messages of the control protocol to bytes and back, as
//! `docs/control-protocol.md` lays them down.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::wire::{Cursor, ProtocolError, Writer};
use super::{Change, REPLY_BYTES_MAX, REQUEST_BYTES_MAX, Reply, Request, Status, Summary};
use crate::event::{Operation, ShutdownKind};
use crate::state::State;

/// Tags of requests; replies start at 0x80.
mod tag {
    pub(super) const LIST: u8 = 0x01;
    pub(super) const STATUS: u8 = 0x02;
    pub(super) const OPERATE: u8 = 0x03;
    pub(super) const SHUTDOWN: u8 = 0x04;
    pub(super) const SERVICES: u8 = 0x81;
    pub(super) const SERVICE: u8 = 0x82;
    pub(super) const DONE: u8 = 0x83;
    pub(super) const FAILED: u8 = 0x84;
    pub(super) const UNKNOWN_SERVICE: u8 = 0x85;
    pub(super) const DENIED: u8 = 0x86;
    pub(super) const BAD_REQUEST: u8 = 0x87;
}

const OPERATIONS: [Operation; 3] = [Operation::Start, Operation::Stop, Operation::Restart];

const SHUTDOWN_KINDS: [ShutdownKind; 3] =
    [ShutdownKind::PowerOff, ShutdownKind::Reboot, ShutdownKind::Halt];

impl Request {
    /// The whole frame.
    ///
    /// # Errors
    /// [`ProtocolError::TooLong`] beyond [`REQUEST_BYTES_MAX`], which no name can reach.
    pub fn encode(&self) -> Result<Vec<u8>, ProtocolError> {
        let writer = match self {
            Self::List => Writer::new(tag::LIST),
            Self::Status { name } => {
                let mut writer = Writer::new(tag::STATUS);
                writer.text(name.as_str());
                writer
            }
            Self::Operate { operation, name } => {
                let mut writer = Writer::new(tag::OPERATE);
                writer.byte(index_of(&OPERATIONS, operation));
                writer.text(name.as_str());
                writer
            }
            Self::Shutdown { kind } => {
                let mut writer = Writer::new(tag::SHUTDOWN);
                writer.byte(index_of(&SHUTDOWN_KINDS, kind));
                writer
            }
        };
        writer.finish(REQUEST_BYTES_MAX)
    }

    /// Reads the body of a frame.
    ///
    /// # Errors
    /// [`ProtocolError`] says why it is no request.
    pub fn decode(body: &[u8]) -> Result<Self, ProtocolError> {
        let (tag, mut fields) = Cursor::open(body)?;
        let request = match tag {
            tag::LIST => Self::List,
            tag::STATUS => Self::Status { name: fields.name()? },
            tag::OPERATE => Self::Operate {
                operation: element(&OPERATIONS, fields.byte()?, "operation")?,
                name: fields.name()?,
            },
            tag::SHUTDOWN => {
                Self::Shutdown { kind: element(&SHUTDOWN_KINDS, fields.byte()?, "shutdown kind")? }
            }
            _ => return Err(ProtocolError::Tag(tag)),
        };
        fields.close(request)
    }
}

impl Reply {
    /// The whole frame.
    ///
    /// # Errors
    /// [`ProtocolError::TooLong`] beyond [`REPLY_BYTES_MAX`].
    pub fn encode(&self) -> Result<Vec<u8>, ProtocolError> {
        let mut writer = Writer::new(self.tag());
        match self {
            Self::Services(services) => writer.list(services, write_summary),
            Self::Service(status) => write_status(&mut writer, status),
            Self::Failed(summary) => write_summary(&mut writer, summary),
            Self::UnknownService(name) => writer.text(name.as_str()),
            Self::BadRequest(text) => writer.text(text),
            Self::Done | Self::Denied => {}
        }
        writer.finish(REPLY_BYTES_MAX)
    }

    const fn tag(&self) -> u8 {
        match self {
            Self::Services(_) => tag::SERVICES,
            Self::Service(_) => tag::SERVICE,
            Self::Done => tag::DONE,
            Self::Failed(_) => tag::FAILED,
            Self::UnknownService(_) => tag::UNKNOWN_SERVICE,
            Self::Denied => tag::DENIED,
            Self::BadRequest(_) => tag::BAD_REQUEST,
        }
    }

    /// Reads the body of a frame.
    ///
    /// # Errors
    /// [`ProtocolError`] says why it is no reply.
    pub fn decode(body: &[u8]) -> Result<Self, ProtocolError> {
        let (tag, mut fields) = Cursor::open(body)?;
        let reply = match tag {
            tag::SERVICES => Self::Services(fields.list(read_summary)?),
            tag::SERVICE => Self::Service(Box::new(read_status(&mut fields)?)),
            tag::DONE => Self::Done,
            tag::FAILED => Self::Failed(Box::new(read_summary(&mut fields)?)),
            tag::UNKNOWN_SERVICE => Self::UnknownService(fields.name()?),
            tag::DENIED => Self::Denied,
            tag::BAD_REQUEST => Self::BadRequest(fields.string()?),
            _ => return Err(ProtocolError::Tag(tag)),
        };
        fields.close(reply)
    }
}

fn write_summary(writer: &mut Writer, summary: &Summary) {
    writer.text(summary.name.as_str());
    writer.text(&summary.description);
    writer.byte(index_of(&State::ALL, &summary.state));
    writer.time(summary.since);
    writer.text(&summary.reason_code);
    writer.text(&summary.reason);
    writer.option(summary.reason_service.as_ref(), |writer, name| writer.text(name.as_str()));
    writer.option(summary.pid, Writer::u32);
    writer.u32(summary.restarts);
}

fn read_summary(fields: &mut Cursor<'_>) -> Result<Summary, ProtocolError> {
    Ok(Summary {
        name: fields.name()?,
        description: fields.string()?,
        state: read_state(fields)?,
        since: fields.time()?,
        reason_code: fields.string()?,
        reason: fields.string()?,
        reason_service: fields.option(Cursor::name)?,
        pid: fields.option(Cursor::u32)?,
        restarts: fields.u32()?,
    })
}

fn write_status(writer: &mut Writer, status: &Status) {
    write_summary(writer, &status.summary);
    writer.list(&status.command, |writer, word| writer.text(word));
    writer.text(&status.status_text);
    writer.option(status.started, Writer::time);
    writer.option(status.ready, Writer::time);
    writer.list(&status.requires, |writer, name| writer.text(name.as_str()));
    writer.list(&status.required_by, |writer, name| writer.text(name.as_str()));
    writer.list(&status.history, |writer, change| {
        writer.time(change.at);
        writer.byte(index_of(&State::ALL, &change.to));
        writer.text(&change.reason_code);
        writer.text(&change.reason);
    });
}

fn read_status(fields: &mut Cursor<'_>) -> Result<Status, ProtocolError> {
    Ok(Status {
        summary: read_summary(fields)?,
        command: fields.list(Cursor::string)?,
        status_text: fields.string()?,
        started: fields.option(Cursor::time)?,
        ready: fields.option(Cursor::time)?,
        requires: fields.list(Cursor::name)?,
        required_by: fields.list(Cursor::name)?,
        history: fields.list(|fields| {
            Ok(Change {
                at: fields.time()?,
                to: read_state(fields)?,
                reason_code: fields.string()?,
                reason: fields.string()?,
            })
        })?,
    })
}

fn read_state(fields: &mut Cursor<'_>) -> Result<State, ProtocolError> {
    element(&State::ALL, fields.byte()?, "state")
}

/// The byte of an enumeration's value: its place in the documented order.
fn index_of<T: PartialEq>(all: &[T], value: &T) -> u8 {
    let index = all.iter().position(|one| one == value);
    index.and_then(|index| u8::try_from(index).ok()).unwrap_or(u8::MAX)
}

fn element<T: Copy>(all: &[T], index: u8, what: &'static str) -> Result<T, ProtocolError> {
    all.get(usize::from(index)).copied().ok_or(ProtocolError::Field(what))
}

#[cfg(test)]
mod tests;
