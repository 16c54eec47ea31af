//! Echo messages (RFC 792; RFC 4443, 4.1). Pure.

/// Types of question and answer.
const ECHO_V4: (u8, u8) = (8, 0);
const ECHO_V6: (u8, u8) = (128, 129);

/// Length of the header before the content.
const HEADER_BYTES: usize = 8;

/// A question. The checksum of ICMPv6 is the kernel's to fill in.
pub(super) fn question(
    is_v4: bool,
    identifier: u16,
    sequence: u16,
    content_bytes: usize,
) -> Vec<u8> {
    let (kind, _) = if is_v4 { ECHO_V4 } else { ECHO_V6 };
    let mut message = vec![kind, 0, 0, 0];
    message.extend(identifier.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    message.extend((0..=u8::MAX).cycle().take(content_bytes));
    if is_v4 {
        let sum = checksum(&message).to_be_bytes();
        for (at, byte) in message.iter_mut().skip(2).zip(sum) {
            *at = byte;
        }
    }
    message
}

/// Whether a message answers the question. A raw socket shows the IPv4 header as well,
/// and everybody's messages.
pub(super) fn answers(
    message: &[u8],
    is_v4: bool,
    has_header: bool,
    identifier: Option<u16>,
    sequence: u16,
    content_bytes: usize,
) -> bool {
    let skipped = match (has_header, message.first()) {
        (true, Some(first)) => usize::from(first & 0x0f) * 4,
        _ => 0,
    };
    let Some(message) = message.get(skipped..) else { return false };
    let (_, kind) = if is_v4 { ECHO_V4 } else { ECHO_V6 };
    let number = |at: usize| -> Option<u16> {
        Some(u16::from_be_bytes(message.get(at..at + 2)?.try_into().ok()?))
    };
    message.get(..2) == Some(&[kind, 0])
        && identifier.is_none_or(|identifier| number(4) == Some(identifier))
        && number(6) == Some(sequence)
        && message.len() == HEADER_BYTES + content_bytes
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut sum: u32 = pairs.iter().map(|pair| u32::from(u16::from_be_bytes(*pair))).sum();
    sum += odd.first().map_or(0, |byte| u32::from(*byte) << 8);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let mut answer = question(true, 7, 3, 9);
        assert_eq!(checksum(&answer), 0);
        assert!(!answers(&answer, true, false, Some(7), 3, 9), "the question itself");
        answer[0] = 0;
        assert!(answers(&answer, true, false, Some(7), 3, 9));
        assert!(answers(&answer, true, false, None, 3, 9));
        assert!(!answers(&answer, true, false, Some(8), 3, 9));
        assert!(!answers(&answer, true, false, Some(7), 4, 9));
        assert!(!answers(&answer, true, false, Some(7), 3, 8));
        assert!(!answers(&answer, false, false, Some(7), 3, 9));
        let framed = [&[0x45][..], &[0; 19], &answer].concat();
        assert!(answers(&framed, true, true, Some(7), 3, 9));
        for length in 0..framed.len() {
            assert!(!answers(&framed[..length], true, true, Some(7), 3, 9), "{length}");
        }
    }
}
