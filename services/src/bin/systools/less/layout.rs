//! A line of text as rows of the terminal: wrapped or cut, with its number, and with
//! what was found in inverse video.
//!
//! Pure. A line may have colours (ECMA-48 SGR) and no other control characters.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use unicode_width::UnicodeWidthChar;

/// SGR: inverse on, inverse off, everything off.
pub(super) const INVERSE: &str = "\x1b[7m";
pub(super) const NOT_INVERSE: &str = "\x1b[27m";
const PLAIN: &str = "\x1b[m";

/// How lines become rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    /// Width of the terminal.
    pub(super) columns: usize,
    /// Long lines are cut instead of wrapped, and this many columns are scrolled away.
    pub(super) chopped: Option<usize>,
    /// Digits of the greatest line number, if numbers are shown.
    pub(super) digits: Option<usize>,
}

/// Bytes of the `ESC [ … m` that a text begins with.
pub(super) fn colour_length(text: &str) -> Option<usize> {
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';' && c != ':')?;
    parameters.get(end..)?.starts_with('m').then_some(2 + end + 1)
}

/// A character, or a change of colour.
enum Piece<'t> {
    Colour(&'t str),
    Char(char),
}

fn pieces(line: &str) -> impl Iterator<Item = Piece<'_>> {
    let mut rest = line;
    std::iter::from_fn(move || {
        let (piece, length) = match colour_length(rest) {
            Some(length) => (Piece::Colour(rest.get(..length)?), length),
            None => {
                let c = rest.chars().next()?;
                (Piece::Char(c), c.len_utf8())
            }
        };
        rest = rest.get(length..).unwrap_or_default();
        Some(piece)
    })
}

/// The line without colours.
pub(super) fn plain(line: &str) -> Cow<'_, str> {
    if !line.contains('\x1b') {
        return Cow::Borrowed(line);
    }
    let chars = pieces(line).filter_map(|piece| match piece {
        Piece::Char(c) => Some(c),
        Piece::Colour(_) => None,
    });
    Cow::Owned(chars.collect())
}

impl Layout {
    /// The rows of line `number`, at least one. `found` are parts of its plain text,
    /// in order.
    pub(super) fn rows(&self, number: usize, line: &str, found: &[Range<usize>]) -> Vec<String> {
        self.lay_out(number, line, found).0
    }

    /// The row of a line that shows the byte `at` of its plain text.
    pub(super) fn row_of(&self, line: &str, at: usize) -> usize {
        let begins = self.lay_out(0, line, &[]).1;
        begins.iter().rposition(|begin| *begin <= at).unwrap_or(0)
    }

    /// The rows, and where in the plain text each begins.
    fn lay_out(
        &self,
        number: usize,
        line: &str,
        found: &[Range<usize>],
    ) -> (Vec<String>, Vec<usize>) {
        let gutter = self.digits.map_or(0, |digits| digits + 1);
        let mut rows = Rows {
            width: self.columns.saturating_sub(gutter).max(1),
            chopped: self.chopped,
            gutter: " ".repeat(gutter),
            done: Vec::new(),
            begins: vec![0],
            row: self.digits.map(|digits| format!("{number:>digits$} ")).unwrap_or_default(),
            column: 0,
            colours: String::new(),
            is_inverse: false,
        };
        let mut at = 0;
        let mut found = found.iter().peekable();
        for piece in pieces(line) {
            match piece {
                Piece::Colour(code) => rows.colour(code),
                Piece::Char(c) => {
                    while found.next_if(|range| range.end <= at).is_some() {}
                    let is_found = found.peek().is_some_and(|range| range.start <= at);
                    rows.char(c, is_found, at);
                    at += c.len_utf8();
                }
            }
        }
        rows.finish();
        (rows.done, rows.begins)
    }
}

/// The rows of a line as they come about.
struct Rows {
    width: usize,
    chopped: Option<usize>,
    gutter: String,
    done: Vec<String>,
    begins: Vec<usize>,
    row: String,
    /// Of the next character: in its row, or in the line where that is cut.
    column: usize,
    /// The changes of colour that are in effect.
    colours: String,
    is_inverse: bool,
}

impl Rows {
    fn colour(&mut self, code: &str) {
        if code == PLAIN || code == "\x1b[0m" {
            self.colours.clear();
        } else {
            self.colours += code;
        }
        self.row += code;
        if self.is_inverse {
            self.row += INVERSE;
        }
    }

    fn char(&mut self, c: char, is_found: bool, at: usize) {
        let width = c.width().unwrap_or(0);
        let is_shown = match self.chopped {
            Some(left) => self.column >= left && self.column + width <= left + self.width,
            None => {
                if self.column > 0 && self.column + width > self.width {
                    self.wrap(at);
                }
                true
            }
        };
        self.column += width;
        if is_found != self.is_inverse {
            self.row += if is_found { INVERSE } else { NOT_INVERSE };
            self.is_inverse = is_found;
        }
        if is_shown {
            self.row.push(c);
        }
    }

    fn wrap(&mut self, at: usize) {
        self.finish();
        self.begins.push(at);
        self.column = 0;
        let inverse = if self.is_inverse { INVERSE } else { "" };
        let _ = write!(self.row, "{}{}{inverse}", self.gutter, self.colours);
    }

    fn finish(&mut self) {
        if self.row.contains('\x1b') {
            self.row += PLAIN;
        }
        self.done.push(std::mem::take(&mut self.row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRAPPED: Layout = Layout { columns: 4, chopped: None, digits: None };

    #[test]
    fn lines_are_wrapped_by_what_is_seen() {
        for (line, rows) in [
            ("", &[""][..]),
            ("abcd", &["abcd"]),
            ("abcdefghi", &["abcd", "efgh", "i"]),
            // Two columns each, and one that goes onto the letter before.
            ("日本語", &["日本", "語"]),
            ("abc日", &["abc", "日"]),
            ("e\u{301}bcde", &["e\u{301}bcd", "e"]),
            ("\x1b[31mabcdef\x1b[0mg", &["\x1b[31mabcd\x1b[m", "\x1b[31mef\x1b[0mg\x1b[m"]),
        ] {
            assert_eq!(WRAPPED.rows(1, line, &[]), rows, "{line:?}");
        }
        // Wider than the terminal is still shown.
        let narrow = Layout { columns: 1, ..WRAPPED };
        assert_eq!(narrow.rows(1, "日a", &[]), ["日", "a"]);
    }

    #[test]
    fn lines_are_cut_and_scrolled() {
        for (left, row) in [(0, "abcd"), (3, "defg"), (6, "g"), (9, "")] {
            let layout = Layout { chopped: Some(left), ..WRAPPED };
            assert_eq!(layout.rows(1, "abcdefg", &[]), [row], "{left}");
        }
        let layout = Layout { chopped: Some(1), ..WRAPPED };
        assert_eq!(layout.rows(1, "日本語", &[]), ["本"]);
        assert_eq!(layout.rows(1, "\x1b[1mab", &[]), ["\x1b[1mb\x1b[m"]);
    }

    #[test]
    fn numbers_stand_before_the_first_row() {
        let layout = Layout { columns: 6, chopped: None, digits: Some(2) };
        assert_eq!(layout.rows(7, "abcd", &[]), [" 7 abc", "   d"]);
    }

    #[test]
    fn what_was_found_is_inverse_in_every_row() {
        for (line, found, rows) in [
            ("abcd", &[(1, 3)][..], &["a\x1b[7mbc\x1b[27md\x1b[m"][..]),
            ("abcdef", &[(2, 5)], &["ab\x1b[7mcd\x1b[m", "\x1b[7me\x1b[27mf\x1b[m"]),
            ("ab", &[(0, 1), (1, 2)], &["\x1b[7mab\x1b[m"]),
            ("a\x1b[31mbc", &[(0, 2)], &["\x1b[7ma\x1b[31m\x1b[7mb\x1b[27mc\x1b[m"]),
        ] {
            let found: Vec<_> = found.iter().map(|(from, to)| *from..*to).collect();
            assert_eq!(WRAPPED.rows(1, line, &found), rows, "{line:?}");
        }
    }

    #[test]
    fn the_row_of_a_place_is_known() {
        let line = "\x1b[31mabcd\x1b[0mefghi";
        assert_eq!(plain(line), "abcdefghi");
        for (at, row) in [(0, 0), (3, 0), (4, 1), (8, 2), (100, 2)] {
            assert_eq!(WRAPPED.row_of(line, at), row, "{at}");
        }
        let chopped = Layout { chopped: Some(0), ..WRAPPED };
        assert_eq!(chopped.row_of(line, 8), 0);
    }
}
