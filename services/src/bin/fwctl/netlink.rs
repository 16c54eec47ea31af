//! Messages of nfnetlink, and the attributes in them.
//!
//! Source: netlink(7), `linux/netlink.h`, `linux/netfilter/nfnetlink.h`. What nftables puts
//! into attributes is in the network's byte order. What is read comes from the kernel and is
//! checked all the same: a wrong length ends the reading.

use netlink_packet_core::{
    DecodeError, DefaultNla, Emitable, NLA_F_NESTED, NLA_HEADER_SIZE, NLM_F_REQUEST,
    NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
    NlasIterator,
};

/// Size of `struct nfgenmsg`: family, version, resource.
const FAMILY_HEADER_BYTES: usize = 4;

/// `NFNL_MSG_BATCH_BEGIN`, `NFNL_MSG_BATCH_END`.
pub(crate) const BATCH_BEGIN: u16 = 16;
pub(crate) const BATCH_END: u16 = 17;
/// `NFNL_SUBSYS_NFTABLES`, as a part of a message's type.
pub(crate) const NFTABLES: u16 = 10 << 8;
/// `NFNL_SUBSYS_NFTABLES`, as a batch names it.
pub(crate) const NFTABLES_SUBSYSTEM: u16 = 10;

/// Attributes in the order in which they were added.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Attributes(Vec<u8>);

impl Attributes {
    /// Adds bytes. What does not fit in an attribute is not added: nothing here is longer than
    /// a list of set elements, which `kernel` keeps below that.
    pub(crate) fn bytes(mut self, kind: u16, content: &[u8]) -> Self {
        if u16::try_from(NLA_HEADER_SIZE + content.len()).is_err() {
            return self;
        }
        let attribute = DefaultNla::new(kind, content.to_vec());
        let begin = self.0.len();
        self.0.resize(begin + attribute.buffer_len(), 0);
        attribute.emit(self.0.get_mut(begin..).unwrap_or_default());
        self
    }

    /// Adds a string that ends with a NUL byte.
    pub(crate) fn text(self, kind: u16, text: &str) -> Self {
        let mut bytes = text.as_bytes().to_vec();
        bytes.push(0);
        self.bytes(kind, &bytes)
    }

    pub(crate) fn u32(self, kind: u16, value: u32) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn u64(self, kind: u16, value: u64) -> Self {
        self.bytes(kind, &value.to_be_bytes())
    }

    pub(crate) fn nest(self, kind: u16, inner: Self) -> Self {
        self.bytes(kind | NLA_F_NESTED, &inner.0)
    }
}

/// A message of nfnetlink.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Message {
    pub(crate) kind: u16,
    pub(crate) family: u8,
    /// `res_id`.
    pub(crate) resource: u16,
    pub(crate) attributes: Attributes,
}

impl NetlinkSerializable for Message {
    fn message_type(&self) -> u16 {
        self.kind
    }

    fn buffer_len(&self) -> usize {
        FAMILY_HEADER_BYTES + self.attributes.0.len()
    }

    fn serialize(&self, buffer: &mut [u8]) {
        let [high, low] = self.resource.to_be_bytes();
        let bytes = [self.family, 0, high, low];
        let all = bytes.iter().chain(&self.attributes.0);
        buffer.iter_mut().zip(all).for_each(|(to, from)| *to = *from);
    }
}

impl NetlinkDeserializable for Message {
    type Error = DecodeError;

    fn deserialize(header: &NetlinkHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let Some(([family, _, high, low], attributes)) = payload.split_first_chunk() else {
            return Err(DecodeError::from("a message without its family"));
        };
        Ok(Self {
            kind: header.message_type,
            family: *family,
            resource: u16::from_be_bytes([*high, *low]),
            attributes: Attributes(attributes.to_vec()),
        })
    }
}

impl Message {
    /// Appends it to what is sent at once.
    pub(crate) fn append(self, buffer: &mut Vec<u8>, flags: u16, sequence: u32) {
        let mut header = NetlinkHeader::default();
        header.flags = flags | NLM_F_REQUEST;
        header.sequence_number = sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(self));
        message.finalize();
        let begin = buffer.len();
        buffer.resize(begin + message.buffer_len(), 0);
        message.serialize(buffer.get_mut(begin..).unwrap_or_default());
    }
}

impl AsRef<[u8]> for Attributes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The attributes in `bytes`, up to the first that is cut off: type without flags, and content.
pub(crate) fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    NlasIterator::new(bytes).map_while(Result::ok).map(|one| {
        let (kind, end) = (one.kind(), usize::from(one.length()));
        (kind, one.into_inner().get(NLA_HEADER_SIZE..end).unwrap_or_default())
    })
}

/// The content of the first attribute of type `kind` in `bytes`.
pub(crate) fn find(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, content)| content)
}

/// A string without its NUL byte.
pub(crate) fn string(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests {
    use services::network::netlink::connection::split;

    use super::*;

    fn message(kind: u16, resource: u16, attributes: Attributes) -> Message {
        Message { kind, family: 1, resource, attributes }
    }

    fn read(bytes: &[u8]) -> Option<(u32, Message)> {
        let message = NetlinkMessage::deserialize(bytes).ok()?;
        match message.payload {
            NetlinkPayload::InnerMessage(inner) => Some((message.header.sequence_number, inner)),
            _ => None,
        }
    }

    #[test]
    fn messages_and_attributes_come_back_as_they_were_written() {
        let inner = Attributes::default().u64(1, 7).text(2, "abc");
        let attributes = Attributes::default().u32(3, 9).nest(4, inner);
        let first = message(NFTABLES | 5, 10, attributes);
        let second = message(BATCH_END, 0, Attributes::default());
        let mut buffer = Vec::new();
        first.clone().append(&mut buffer, 0x4, 6);
        second.clone().append(&mut buffer, 0, 8);
        assert_eq!(buffer.get(6..8), Some(&[0x5, 0][..]));
        assert_eq!(buffer.get(16..20), Some(&[1, 0, 0, 10][..]));
        let found: Vec<_> = split(&buffer).filter_map(read).collect();
        let attributes: Vec<_> = super::attributes(found[0].1.attributes.as_ref()).collect();
        assert_eq!(attributes[0], (3, &[0, 0, 0, 9][..]));
        assert_eq!(find(attributes[1].1, 1), Some(&[0, 0, 0, 0, 0, 0, 0, 7][..]));
        assert_eq!(find(attributes[1].1, 2).map(string).as_deref(), Some("abc"));
        assert_eq!(found, [(6, first), (8, second)]);
    }

    #[test]
    fn every_cut_and_every_wrong_length_ends_the_reading() {
        let mut buffer = Vec::new();
        let attributes = Attributes::default().text(1, "abc").u32(2, 1);
        message(BATCH_BEGIN, 0, attributes).append(&mut buffer, 0, 1);
        for length in 0..buffer.len() {
            assert_eq!(split(&buffer[..length]).filter_map(read).count(), 0, "{length}");
        }
        for byte in 0..buffer.len() {
            for value in [0, 1, 3, 255] {
                let mut wrong = buffer.clone();
                wrong[byte] = value;
                for (_, message) in split(&wrong).filter_map(read) {
                    assert!(super::attributes(message.attributes.as_ref()).count() <= 2);
                }
            }
        }
    }
}
