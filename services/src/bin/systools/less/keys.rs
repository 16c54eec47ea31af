//! Keys out of the bytes that a terminal sends for them.
//!
//! Pure. Sources: ECMA-48 (control sequences), xterm's control sequences, VT220 for the
//! keys that end with `~`. Absent: keys with modifiers, the mouse.

/// Longest sequence that is waited for.
const SEQUENCE_BYTES_MAX: usize = 16;

/// A key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Key {
    Char(char),
    /// With Ctrl, by its letter in lower case.
    Control(char),
    Enter,
    Backspace,
    Escape,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    /// A sequence that stands for none of these.
    Unknown,
}

/// Takes bytes one by one, and has the keys that they make.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// Whether more bytes may belong to the key that has begun. A lone Escape looks
    /// like the beginning of a sequence: after a while [`Decoder::finish`] tells.
    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The key that is complete with `byte`.
    pub(super) fn take(&mut self, byte: u8) -> Option<Key> {
        self.pending.push(byte);
        let key = match self.pending.as_slice() {
            [0x1b] | [0x1b, b'[' | b'O'] => None,
            [0x1b, b'[' | b'O', body @ ..] => sequence(body),
            // Escape, and then another key at once.
            [0x1b, ..] => Some(Key::Unknown),
            [byte] if byte.is_ascii() => Some(single(*byte)),
            bytes => letter(bytes),
        };
        if key.is_some() {
            self.pending.clear();
        }
        key
    }

    /// The key that has begun when nothing more has come.
    pub(super) fn finish(&mut self) -> Option<Key> {
        let bytes = std::mem::take(&mut self.pending);
        match bytes.as_slice() {
            [] => None,
            [0x1b] => Some(Key::Escape),
            _ => Some(Key::Unknown),
        }
    }
}

fn single(byte: u8) -> Key {
    match byte {
        b'\r' | b'\n' => Key::Enter,
        0x08 | 0x7f => Key::Backspace,
        // Ctrl takes bits 5 and 6 away.
        0x01..=0x1a => Key::Control(char::from(byte | 0x60)),
        0x00..=0x1f => Key::Unknown,
        byte => Key::Char(char::from(byte)),
    }
}

/// A letter in UTF-8, when it is whole.
fn letter(bytes: &[u8]) -> Option<Key> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.chars().next().map(Key::Char),
        Err(error) if error.error_len().is_none() => None,
        Err(_) => Some(Key::Unknown),
    }
}

/// A sequence from behind `ESC [`, when it is whole.
fn sequence(body: &[u8]) -> Option<Key> {
    let (last, parameters) = body.split_last()?;
    if !(0x40..=0x7e).contains(last) {
        return (body.len() > SEQUENCE_BYTES_MAX).then_some(Key::Unknown);
    }
    Some(match (parameters, last) {
        ([], b'A') => Key::Up,
        ([], b'B') => Key::Down,
        ([], b'C') => Key::Right,
        ([], b'D') => Key::Left,
        ([], b'H') | (b"1" | b"7", b'~') => Key::Home,
        ([], b'F') | (b"4" | b"8", b'~') => Key::End,
        (b"5", b'~') => Key::PageUp,
        (b"6", b'~') => Key::PageDown,
        _ => Key::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<Key> {
        let mut decoder = Decoder::default();
        let mut keys: Vec<Key> = bytes.iter().filter_map(|byte| decoder.take(*byte)).collect();
        keys.extend(decoder.finish());
        assert!(!decoder.is_pending());
        keys
    }

    #[test]
    fn bytes_are_keys() {
        use Key::*;
        for (bytes, expected) in [
            (&b"/15\r"[..], &[Char('/'), Char('1'), Char('5'), Enter][..]),
            (b"\x1b[A\x1bOB\x1b[C\x1b[D", &[Up, Down, Right, Left]),
            (
                b"\x1b[5~\x1b[6~\x1b[H\x1bOF\x1b[1~\x1b[4~",
                &[PageUp, PageDown, Home, End, Home, End],
            ),
            (b"\x04\x03\x7f\x08", &[Control('d'), Control('c'), Backspace, Backspace]),
            ("ü€".as_bytes(), &[Char('ü'), Char('€')]),
            (b"\x1b", &[Escape]),
            (b"q\x1b", &[Char('q'), Escape]),
            (b"\x1bx", &[Unknown]),
            (b"\x1b[1;5Aq", &[Unknown, Char('q')]),
            (b"\x1b[", &[Unknown]),
            (b"\xffq", &[Unknown, Char('q')]),
            (b"\xe2\x82", &[Unknown]),
            (b"\x00", &[Unknown]),
            (b"", &[]),
        ] {
            assert_eq!(keys(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn a_sequence_without_end_is_given_up() {
        let mut decoder = Decoder::default();
        let found: Vec<Key> =
            b"\x1b[".iter().chain(&[b'1'; 100]).filter_map(|byte| decoder.take(*byte)).collect();
        assert_eq!(found.first(), Some(&Key::Unknown));
    }
}
