//! What the program wrote, as text, and the answers of the terminal that it asks.

/// Asks for the cursor's position (ECMA-48 DSR).
const ASK_POSITION: &[u8] = b"\x1b[6n";

/// Sends the cursor further than any screen reaches, as who asks for the size does.
const FAR: &[u8] = b"\x1b[999;999H";

/// Most bytes that are kept: a program that never stops must not fill the memory.
const KEPT_BYTES_MAX: usize = 1024 * 1024;

/// The screen.
#[derive(Debug)]
pub(crate) struct Screen {
    /// Rows and columns; a mute terminal has none.
    size: Option<(u16, u16)>,
    written: Vec<u8>,
    /// How far questions have been looked for.
    answered: usize,
    /// Bytes of the text that were seen.
    seen: usize,
}

impl Screen {
    pub(crate) const fn new(size: Option<(u16, u16)>) -> Self {
        Self { size, written: Vec::new(), answered: 0, seen: 0 }
    }

    /// Takes what the program wrote. Returns what the terminal answers.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        let room = KEPT_BYTES_MAX.saturating_sub(self.written.len());
        self.written.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        let mut answer = Vec::new();
        while let Some(at) = find(&self.written, ASK_POSITION, self.answered) {
            let before = self.written.get(self.answered..at).unwrap_or_default();
            if let Some((rows, columns)) = self.size {
                // The cursor is in the corner after `FAR`, and no place is wrong elsewhere.
                let is_far = find(before, FAR, 0).is_some();
                let (row, column) = if is_far { (rows, columns) } else { (1, 1) };
                answer.extend_from_slice(format!("\x1b[{row};{column}R").as_bytes());
            }
            self.answered = at + ASK_POSITION.len();
        }
        answer
    }

    /// Whether `wanted` shows behind what was seen last; if so, it is what was seen last.
    pub(crate) fn see(&mut self, wanted: &str) -> bool {
        let text = self.text();
        let behind = text.get(self.seen..).unwrap_or_default();
        match behind.find(wanted) {
            Some(at) => {
                self.seen += at + wanted.len();
                true
            }
            None => false,
        }
    }

    /// All that was written, without control sequences, as far as whole ones go.
    pub(crate) fn text(&self) -> String {
        let mut text = Vec::new();
        let mut rest = self.written.as_slice();
        while let Some((first, behind)) = rest.split_first() {
            if *first != 0x1b {
                text.push(*first);
                rest = behind;
                continue;
            }
            match sequence_length(rest) {
                Some(length) => rest = rest.get(length..).unwrap_or_default(),
                None => break,
            }
        }
        // Not at a character's half, which may be all that has come so far.
        let whole = match std::str::from_utf8(&text) {
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            _ => text.len(),
        };
        String::from_utf8_lossy(text.get(..whole).unwrap_or_default()).into_owned()
    }
}

/// Length of the escape sequence at the start of `bytes` (ECMA-48); `None` if its end
/// is not there.
fn sequence_length(bytes: &[u8]) -> Option<usize> {
    let end = |from: usize, ends: &dyn Fn(u8) -> bool| {
        let rest = bytes.get(from..)?;
        rest.iter().position(|byte| ends(*byte)).map(|at| from + at + 1)
    };
    match bytes.get(1)? {
        b'[' => end(2, &|byte| (0x40..=0x7e).contains(&byte)),
        // A title and the like, up to BEL or ESC \.
        b']' | b'P' | b'_' => {
            let length = end(2, &|byte| byte == 0x07 || byte == 0x1b)?;
            let is_escape = bytes.get(length - 1) == Some(&0x1b);
            if is_escape { bytes.get(length).map(|_| length + 1) } else { Some(length) }
        }
        b'(' | b')' | b'#' => bytes.get(2).map(|_| 3),
        _ => Some(2),
    }
}

fn find(bytes: &[u8], wanted: &[u8], from: usize) -> Option<usize> {
    let rest = bytes.get(from..)?;
    rest.windows(wanted.len()).position(|window| window == wanted).map(|at| from + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_sequences_are_not_text() {
        let mut screen = Screen::new(None);
        screen.take(b"\x1b[1;32m$ \x1b[0m\x1b]0;title\x07ls\x1b]2;x\x1b\\\x1b(B\x1b7!\x1b[");
        assert_eq!(screen.text(), "$ ls!");
        screen.take(b"2Jmore \xc3");
        assert_eq!(screen.text(), "$ ls!more ");
        screen.take(b"\xbc");
        assert_eq!(screen.text(), "$ ls!more \u{fc}");
    }

    #[test]
    fn questions_are_answered_once_each_even_in_pieces() {
        let mut screen = Screen::new(Some((24, 80)));
        assert_eq!(screen.take(b"a\x1b[6"), b"");
        assert_eq!(screen.take(b"nb\x1b[6n"), b"\x1b[1;1R\x1b[1;1R");
        assert_eq!(screen.take(b"\x1b7\x1b[999;999H\x1b[6n\x1b8"), b"\x1b[24;80R");
        assert_eq!(Screen::new(None).take(b"\x1b[6n"), b"");
    }

    #[test]
    fn each_thing_is_seen_once() {
        let mut screen = Screen::new(None);
        screen.take(b"one two one");
        assert!(screen.see("one") && screen.see("one") && !screen.see("one"));
        assert!(!screen.see("two"));
    }
}
