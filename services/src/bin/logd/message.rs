//! What syslog(3) sends: `<PRI>Mmm dd hh:mm:ss TAG[PID]: TEXT` (RFC 3164, section 4, and
//! what C libraries make of it). Pure; takes anything, since anybody may send.
//!
//! Absent: RFC 5424, whose structured data is shown as text.

/// Priority of what has none (RFC 3164, section 4.3.3): `user.notice`.
const PRIORITY_DEFAULT: u32 = 13;

/// Greatest priority: facility 23, severity 7.
const PRIORITY_MAX: u32 = 191;

/// Longest tag in bytes. RFC 3164 has 32; C libraries put any program's name there.
const TAG_LENGTH_MAX: usize = 64;

/// One message. Who sent it is not for the message to say: time and process number that
/// it names are left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Message<'a> {
    /// Facility times 8 and severity.
    pub(crate) priority: u32,
    /// What the sender calls itself; may be empty. No blank, bracket, colon or control
    /// character is in it.
    pub(crate) tag: &'a [u8],
    /// The rest.
    pub(crate) text: &'a [u8],
}

/// Reads a datagram.
pub(crate) fn parse(datagram: &[u8]) -> Message<'_> {
    let is_text = |byte: &u8| *byte != 0 && !byte.is_ascii_whitespace();
    let length = datagram.iter().rposition(is_text).map_or(0, |last| last + 1);
    let datagram = datagram.get(..length).unwrap_or_default();
    let (priority, rest) = match priority(datagram) {
        Some((priority, rest)) => (priority, without_time(rest)),
        None => (PRIORITY_DEFAULT, datagram),
    };
    let (tag, text) = tag(rest).unwrap_or((b"", rest));
    Message { priority, tag, text }
}

/// `<` 1 to 3 digits `>`.
fn priority(datagram: &[u8]) -> Option<(u32, &[u8])> {
    let rest = datagram.strip_prefix(b"<")?;
    let end = rest.iter().take(4).position(|byte| *byte == b'>')?;
    let (digits, rest) = (rest.get(..end)?, rest.get(end + 1..)?);
    let priority = number(digits).filter(|priority| *priority <= PRIORITY_MAX)?;
    Some((priority, rest))
}

fn number(digits: &[u8]) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()
}

/// What follows `Mmm dd hh:mm:ss `, if that is there.
fn without_time(rest: &[u8]) -> &[u8] {
    const SHAPE: &[u8] = b"Aaa _0 00:00:00 ";
    let fits = |(byte, shape): (&u8, &u8)| match shape {
        b'A' => byte.is_ascii_uppercase(),
        b'a' => byte.is_ascii_lowercase(),
        b'_' => *byte == b' ' || byte.is_ascii_digit(),
        b'0' => byte.is_ascii_digit(),
        _ => byte == shape,
    };
    match rest.split_at_checked(SHAPE.len()) {
        Some((time, behind)) if time.iter().zip(SHAPE).all(fits) => behind,
        _ => rest,
    }
}

/// Tag and text of `TAG: TEXT` or `TAG[PID]: TEXT`.
fn tag(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let is_end = |byte: &u8| !byte.is_ascii_graphic() && byte.is_ascii() || b"[]:".contains(byte);
    let length = rest.iter().take(TAG_LENGTH_MAX + 1).position(is_end)?;
    let (tag, mut behind) = rest.split_at_checked(length).filter(|(tag, _)| !tag.is_empty())?;
    if let Some(inside) = behind.strip_prefix(b"[") {
        let end = inside.iter().take(11).position(|byte| *byte == b']')?;
        number(inside.get(..end)?)?;
        behind = inside.get(end + 1..)?;
    }
    let text = behind.strip_prefix(b":")?;
    Some((tag, text.strip_prefix(b" ").unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libraries_send_is_taken_apart() {
        for (datagram, priority, tag, text) in [
            ("<85>Nov  7 12:00:01 sudo[214]: x : TTY=1", 85, "sudo", "x : TTY=1"),
            (
                "<85>Nov 27 12:00:01 sudo: pam_unix(sudo:auth): failure",
                85,
                "sudo",
                "pam_unix(sudo:auth): failure",
            ),
            ("<13>Nov  7 12:00:01 /usr/bin/a-b.c: text\n\0", 13, "/usr/bin/a-b.c", "text"),
            ("<0>a:", 0, "a", ""),
            ("<191>Nov  7 12:00:01 näme[1]:no blank", 191, "näme", "no blank"),
            // No time, no tag, neither.
            ("<30>daemon[9]: up", 30, "daemon", "up"),
            ("<30>Nov  7 12:00:01 some words: more", 30, "", "some words: more"),
            ("<30>just words", 30, "", "just words"),
            // RFC 5424.
            (
                "<34>1 2026-01-01T00:00:00Z h su - - - x",
                34,
                "",
                "1 2026-01-01T00:00:00Z h su - - - x",
            ),
        ] {
            let message = parse(datagram.as_bytes());
            let expected = Message { priority, tag: tag.as_bytes(), text: text.as_bytes() };
            assert_eq!(message, expected, "{datagram:?}");
        }
    }

    #[test]
    fn anything_else_is_text() {
        let long = format!("<13>{}: text", "t".repeat(TAG_LENGTH_MAX + 1));
        for datagram in [
            "",
            "<",
            "<>x y",
            "<192>x y",
            "<1234>x y",
            "<13",
            "<-1>x y",
            "<+1>x y",
            "< 1>x y",
            "x y",
        ] {
            let message = parse(datagram.as_bytes());
            let expected = Message { priority: 13, tag: b"", text: datagram.as_bytes() };
            assert_eq!(message, expected, "{datagram:?}");
        }
        for (text, tag) in [
            (": no tag", ""),
            ("[1]: no tag", ""),
            ("a[1: x", ""),
            ("a[]: x", ""),
            ("a[x]: x", ""),
            ("a[123456789012]: x", ""),
            ("a\u{1}b: x", ""),
            ("a b: x", ""),
        ] {
            let message = format!("<13>{text}");
            let message = parse(message.as_bytes());
            assert_eq!((message.tag, message.text), (tag.as_bytes(), text.as_bytes()), "{text:?}");
        }
        assert_eq!(parse(long.as_bytes()).tag, b"");
        assert_eq!(parse(b"\0\0\n\0").text, b"");
        assert_eq!(parse(b"<13>a: \xff\x1b[2J\nnext").text, b"\xff\x1b[2J\nnext");
        // Times that are none belong to the text.
        for time in ["Nov  7 12:00:0x a: b", "NOV  7 12:00:01 a: b", "Nov 7 12:00:01 a: b"] {
            assert_eq!(parse(format!("<13>{time}").as_bytes()).text, time.as_bytes());
        }
    }
}
