//! From what the terminal shows to what it is to show, in few bytes: a serial line is
//! slow.
//!
//! Pure. Source: ECMA-48 (CUP, EL), and `?25` of the VT220 for the cursor.

use super::layout::plain;

const ERASE_ROW: &str = "\x1b[K";
const SHOW_CURSOR: &str = "\x1b[?25h";
const HIDE_CURSOR: &str = "\x1b[?25l";

/// What the terminal shows.
#[derive(Debug, Default)]
pub(super) struct Screen {
    rows: Option<Vec<String>>,
}

impl Screen {
    /// Whatever is there now is none of this.
    pub(super) fn forget(&mut self) {
        self.rows = None;
    }

    /// What makes the terminal show `rows`, filled up to `height`, and `status` below
    /// with or without the cursor. The cursor is in the last row before and afterwards.
    pub(super) fn update(
        &mut self,
        mut rows: Vec<String>,
        height: usize,
        (status, has_cursor): (String, bool),
    ) -> String {
        rows.resize(height, "~".to_owned());
        let mut text = String::from(HIDE_CURSOR);
        let before = self.rows.take().unwrap_or_default();
        match scrolled(&before, &rows) {
            Some(count) => {
                // Each new row pushes the one at the top out.
                for row in rows.iter().skip(height - count) {
                    text += &format!("\r{ERASE_ROW}{row}\r\n");
                }
            }
            None => {
                text += "\x1b[H";
                for row in &rows {
                    // Erased first: behind a full row the cursor still stands on its end.
                    text += &format!("{ERASE_ROW}{row}\r\n");
                }
            }
        }
        text += &format!("\r{ERASE_ROW}{status}");
        text += if has_cursor { SHOW_CURSOR } else { "" };
        self.rows = Some(rows);
        text
    }
}

/// By how many rows the text has gone up, if it has and something of it stays.
fn scrolled(before: &[String], now: &[String]) -> Option<usize> {
    if before.len() != now.len() {
        return None;
    }
    // Rows that look the same everywhere would scroll by anything.
    let has_text = now.iter().any(|row| !plain(row).trim().is_empty());
    (0..now.len()).find(|count| {
        let rest = before.get(*count..).unwrap_or_default();
        now.starts_with(rest) && (*count == 0 || has_text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(screen: &mut Screen, rows: &[&str], status: &str) -> String {
        let rows = rows.iter().map(|row| (*row).to_owned()).collect();
        screen.update(rows, 3, (status.to_owned(), status.starts_with('/')))
    }

    #[test]
    fn only_what_is_new_is_written() {
        let mut screen = Screen::default();
        for (rows, status, expected) in [
            (&["a", "b", "c"][..], "1", "\x1b[H\x1b[Ka\r\n\x1b[Kb\r\n\x1b[Kc\r\n\r\x1b[K1"),
            (&["a", "b", "c"], "/x", "\r\x1b[K/x\x1b[?25h"),
            (&["b", "c", "d"], "2", "\r\x1b[Kd\r\n\r\x1b[K2"),
            (&["d", "e", "f"], "3", "\r\x1b[Ke\r\n\r\x1b[Kf\r\n\r\x1b[K3"),
            (&["c", "d", "e"], "4", "\x1b[H\x1b[Kc\r\n\x1b[Kd\r\n\x1b[Ke\r\n\r\x1b[K4"),
            (&["e"], "5", "\r\x1b[K~\r\n\r\x1b[K~\r\n\r\x1b[K5"),
        ] {
            let expected = format!("\x1b[?25l{expected}");
            assert_eq!(update(&mut screen, rows, status), expected, "{rows:?}");
        }
        screen.forget();
        assert!(update(&mut screen, &["e"], "5").starts_with("\x1b[?25l\x1b[H"));
    }
}
