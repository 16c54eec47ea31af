//! Messages of nfnetlink: writing headers and attributes, reading them back.
//!
//! Source: netlink(7), `linux/netlink.h`, `linux/netfilter/nfnetlink.h`. Headers are in the
//! host's byte order, what nftables puts into attributes in the network's. What is read
//! comes from the kernel and is checked all the same: a wrong length ends the reading.

/// Sizes of the headers, in bytes.
pub(crate) const HEADER_BYTES: usize = 16;
const FAMILY_HEADER_BYTES: usize = 4;
const ATTRIBUTE_HEADER_BYTES: usize = 4;

/// `NLA_F_NESTED`, and the bits of an attribute's type that are no flags.
const NESTED: u16 = 1 << 15;
const TYPE_MASK: u16 = 0x3fff;

/// `NLM_F_REQUEST` and the flags that go with it.
pub(crate) mod flags {
    pub(crate) const REQUEST: u16 = 0x1;
    pub(crate) const ACK: u16 = 0x4;
    pub(crate) const DUMP: u16 = 0x300;
    pub(crate) const CREATE: u16 = 0x400;
    pub(crate) const APPEND: u16 = 0x800;
}

/// `NLMSG_ERROR`, `NLMSG_DONE`.
pub(crate) const ERROR: u16 = 2;
pub(crate) const DONE: u16 = 3;
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

#[expect(clippy::host_endian_bytes, reason = "netlink headers are in the host's byte order")]
const fn host16(value: u16) -> [u8; 2] {
    value.to_ne_bytes()
}

#[expect(clippy::host_endian_bytes, reason = "netlink headers are in the host's byte order")]
const fn host32(value: u32) -> [u8; 4] {
    value.to_ne_bytes()
}

impl Attributes {
    /// Adds bytes. What does not fit in an attribute is not added: nothing here is longer than
    /// a list of set elements, which `kernel` keeps below that.
    pub(crate) fn bytes(mut self, kind: u16, content: &[u8]) -> Self {
        let Ok(length) = u16::try_from(ATTRIBUTE_HEADER_BYTES + content.len()) else { return self };
        self.0.extend(host16(length));
        self.0.extend(host16(kind));
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
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
        self.bytes(kind | NESTED, &inner.0)
    }
}

/// Appends a message to `buffer`. `resource` is nfnetlink's `res_id`.
pub(crate) fn append_message(
    buffer: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    sequence: u32,
    (family, resource): (u8, u16),
    attributes: &Attributes,
) {
    let length = HEADER_BYTES + FAMILY_HEADER_BYTES + attributes.0.len();
    buffer.extend(host32(u32::try_from(length).unwrap_or(u32::MAX)));
    buffer.extend(host16(kind));
    buffer.extend(host16(flags | flags::REQUEST));
    buffer.extend(host32(sequence));
    buffer.extend([0; 4]);
    buffer.extend([family, 0]);
    buffer.extend(resource.to_be_bytes());
    buffer.extend(&attributes.0);
}

/// A message as it was received.
#[derive(Debug)]
pub(crate) struct Message<'b> {
    pub(crate) kind: u16,
    pub(crate) sequence: u32,
    /// What follows the netlink header.
    pub(crate) body: &'b [u8],
}

#[expect(clippy::host_endian_bytes, reason = "netlink headers are in the host's byte order")]
fn read_host16(bytes: &[u8], offset: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(offset..offset + 2)?.try_into().ok()?))
}

#[expect(clippy::host_endian_bytes, reason = "netlink headers are in the host's byte order")]
fn read_host32(bytes: &[u8], offset: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(offset..offset + 4)?.try_into().ok()?))
}

/// The messages in what was received at once, up to the first that is cut off.
pub(crate) fn messages(mut bytes: &[u8]) -> Vec<Message<'_>> {
    let mut found = Vec::new();
    while let Some(message) = first_message(bytes) {
        let length = HEADER_BYTES + message.body.len();
        found.push(message);
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn first_message(bytes: &[u8]) -> Option<Message<'_>> {
    let length = usize::try_from(read_host32(bytes, 0)?).ok()?;
    let body = bytes.get(HEADER_BYTES..length)?;
    Some(Message { kind: read_host16(bytes, 4)?, sequence: read_host32(bytes, 8)?, body })
}

impl<'b> Message<'b> {
    /// The error number of an `NLMSG_ERROR`: 0 is an acknowledgement.
    pub(crate) fn error_number(&self) -> Option<i32> {
        let number = read_host32(self.body, 0)?;
        Some(number.cast_signed().saturating_neg())
    }

    /// The attributes of an nfnetlink message, as bytes.
    pub(crate) fn attributes(&self) -> &'b [u8] {
        self.body.get(FAMILY_HEADER_BYTES..).unwrap_or_default()
    }
}

/// The attributes in `bytes`: type without flags, and content.
pub(crate) fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = usize::from(read_host16(bytes, 0)?);
        let kind = read_host16(bytes, 2)? & TYPE_MASK;
        let content = bytes.get(ATTRIBUTE_HEADER_BYTES..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, content))
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
    use super::*;

    #[test]
    fn messages_and_attributes_come_back_as_they_were_written() {
        let inner = Attributes::default().u64(1, 7).text(2, "abc");
        let attributes = Attributes::default().u32(3, 9).nest(4, inner);
        let mut buffer = Vec::new();
        append_message(&mut buffer, 5, flags::ACK, 6, (1, 10), &attributes);
        append_message(&mut buffer, 7, 0, 8, (1, 0), &Attributes::default());
        let found = messages(&buffer);
        assert_eq!(
            found.iter().map(|one| (one.kind, one.sequence)).collect::<Vec<_>>(),
            [(5, 6), (7, 8)]
        );
        let read: Vec<_> = super::attributes(found[0].attributes()).collect();
        assert_eq!(read[0], (3, &[0, 0, 0, 9][..]));
        assert_eq!(find(read[1].1, 1), Some(&[0, 0, 0, 0, 0, 0, 0, 7][..]));
        assert_eq!(find(read[1].1, 2).map(string).as_deref(), Some("abc"));
        assert_eq!(&found[0].body[..4], [1, 0, 0, 10]);
    }

    #[test]
    fn every_cut_and_every_wrong_length_ends_the_reading() {
        let mut buffer = Vec::new();
        let attributes = Attributes::default().text(1, "abc").u32(2, 1);
        append_message(&mut buffer, 5, 0, 1, (1, 0), &attributes);
        for length in 0..buffer.len() {
            assert!(messages(&buffer[..length]).is_empty(), "{length}");
        }
        for byte in 0..buffer.len() {
            for value in [0, 1, 3, 255] {
                let mut wrong = buffer.clone();
                wrong[byte] = value;
                for message in messages(&wrong) {
                    assert!(super::attributes(message.attributes()).count() <= 2);
                }
            }
        }
    }
}
