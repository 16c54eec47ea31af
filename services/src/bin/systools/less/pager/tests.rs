//! Tests of the pager's core: keys in, rows and the last line out.

use super::super::keys::{Decoder, Key};
use super::*;

/// Lines `1` to `count` on a terminal of 6 rows and 20 columns.
fn numbers(count: usize) -> Pager {
    let text: String = (1..=count).map(|number| format!("{number}\n")).collect();
    pager(&text, false)
}

fn pager(text: &str, is_chopped: bool) -> Pager {
    let mut pager = Pager::new("title", text, is_chopped, false);
    pager.resize(6, 20);
    pager
}

/// Types bytes that arrive at once.
fn press(pager: &mut Pager, bytes: &str) -> Next {
    let mut decoder = Decoder::default();
    let mut next = Next::Show;
    for byte in bytes.bytes() {
        if let Some(key) = decoder.take(byte) {
            next = pager.obey(key);
        }
    }
    decoder.finish().map_or(next, |key| pager.obey(key))
}

/// The first and the last row.
fn shown(pager: &Pager) -> (String, String) {
    let rows = pager.rows();
    let row = |row: Option<&String>| row.map(|row| plain(row).into_owned()).unwrap_or_default();
    (row(rows.first()), row(rows.last()))
}

fn status(pager: &Pager) -> String {
    plain(&pager.status().0).into_owned()
}

#[test]
fn keys_move_by_lines_screens_and_numbers() {
    let mut pager = numbers(50);
    for (keys, first, last) in [
        ("", "1", "5"),
        ("j\x1b[B\r", "4", "8"),
        ("k\x1b[A", "2", "6"),
        (" ", "7", "11"),
        ("\x1b[6~\x06", "17", "21"),
        ("b\x1b[5~", "7", "11"),
        ("d", "9", "13"),
        ("u", "7", "11"),
        ("G", "46", "50"),
        ("jjj ", "46", "50"),
        ("g", "1", "5"),
        ("kkkb", "1", "5"),
        ("20j", "21", "25"),
        ("3k", "18", "22"),
        ("30g", "30", "34"),
        ("49G", "46", "50"),
        ("99999999999999999999999999G", "46", "50"),
        ("0g", "1", "5"),
        ("zx\x1bx", "1", "5"),
    ] {
        assert_eq!(press(&mut pager, keys), Next::Show);
        assert_eq!(shown(&pager), (first.to_owned(), last.to_owned()), "{keys:?}");
    }
    assert_eq!(press(&mut pager, "\x0c"), Next::Repaint);
    for keys in ["q", "\x03"] {
        assert_eq!(press(&mut pager, keys), Next::End);
    }
}

#[test]
fn no_key_behind_a_slash_is_lost() {
    let mut pager = numbers(50);
    // All at once, as a fast hand or a slow line has it.
    assert_eq!(press(&mut pager, "/30\rjj?12\rq"), Next::End);
    assert_eq!(shown(&pager).0, "12");
    press(&mut pager, "/3");
    assert_eq!(pager.status(), ("/3".to_owned(), true));
    press(&mut pager, "9\x7f8\r");
    assert_eq!(shown(&pager).0, "38");
}

#[test]
fn searches_go_on_in_both_directions() {
    let mut pager = numbers(50);
    for (keys, first, status_line) in [
        ("/2$\r", "2", "title 12%"),
        ("n", "12", "title 32%"),
        ("nn", "32", "title 72%"),
        ("N", "22", "title 52%"),
        ("p", "12", "title 32%"),
        ("?\r", "2", "title 12%"),
        ("n", "2", "not found: 2$"),
        ("N", "12", "title 32%"),
        ("/\r", "22", "title 52%"),
        // Those that cannot come to the top are found one after the other.
        ("/4.\r", "40", "title 88%"),
        ("nnnnnnn", "46", "(END)"),
        ("nn", "46", "(END)"),
        ("n", "46", "not found: 4."),
        ("NNN", "46", "(END)"),
        ("N", "45", "title 98%"),
        ("/absent\r", "45", "not found: absent"),
        ("/(\r", "45", "`(` is no pattern"),
        ("/9\x1b", "45", "title 98%"),
        ("/9\x03", "45", "title 98%"),
        ("/\x7f", "45", "title 98%"),
        ("/ab\x15", "45", "/"),
    ] {
        press(&mut pager, keys);
        assert_eq!(shown(&pager).0, first, "{keys:?}");
        assert!(status(&pager).ends_with(status_line), "{keys:?}: {}", status(&pager));
    }
    let mut fresh = numbers(3);
    press(&mut fresh, "n");
    assert_eq!(status(&fresh), "no pattern yet");
}

#[test]
fn what_was_found_is_marked_and_may_be_in_any_case() {
    let mut pager = pager("one\nTwo two\nthree\n", false);
    press(&mut pager, "/two\r");
    assert_eq!(pager.rows()[1], "Two \x1b[7mtwo\x1b[m");
    pager.ignore_case();
    press(&mut pager, "g/two\r");
    assert_eq!(pager.rows()[1], "\x1b[7mTwo\x1b[27m \x1b[7mtwo\x1b[m");
    press(&mut pager, "g/Two\r");
    assert_eq!(pager.rows()[1], "\x1b[7mTwo\x1b[27m two\x1b[m");
    // An empty match everywhere marks nothing.
    press(&mut pager, "/x*\r");
    assert_eq!(pager.rows()[1], "Two two");
}

#[test]
fn wrapped_lines_are_passed_row_by_row() {
    let long = "abcdefghijklmnopqrst".repeat(3);
    let text = format!("{long}\n2\n3\n4\n{long}needle\n");
    let mut pager = pager(&text, false);
    assert_eq!(shown(&pager), ("abcdefghijklmnopqrst".into(), "3".into()));
    press(&mut pager, "jjj");
    assert_eq!(shown(&pager).0, "2");
    press(&mut pager, "k");
    assert_eq!(shown(&pager), ("abcdefghijklmnopqrst".into(), "abcdefghijklmnopqrst".into()));
    press(&mut pager, "/needle\r");
    assert_eq!(shown(&pager), ("4".into(), "needle".into()));
    assert_eq!(status(&pager), "title (END)");
    // Where rows are shorter the place is still one.
    press(&mut pager, "gj");
    pager.resize(6, 60);
    assert_eq!(shown(&pager), (long.clone(), long));
}

#[test]
fn cut_lines_scroll_sideways() {
    let text = format!("{}\n", "abcdefghijklmnopqrstuvwxyz");
    let mut pager = pager(&text, true);
    assert_eq!(shown(&pager).0, "abcdefghijklmnopqrst");
    press(&mut pager, "\x1b[C");
    assert_eq!(shown(&pager).0, "klmnopqrstuvwxyz");
    press(&mut pager, "\x1b[D\x1b[D");
    assert_eq!(shown(&pager).0, "abcdefghijklmnopqrst");
    let mut wrapped = self::pager(&text, false);
    press(&mut wrapped, "\x1b[C");
    assert_eq!(wrapped.rows().len(), 2);
}

#[test]
fn short_and_empty_texts_fit() {
    for (count, fits) in [(0, true), (1, true), (5, true), (6, false)] {
        let mut pager = numbers(count);
        assert_eq!(pager.fits(), fits, "{count}");
        press(&mut pager, "j G/1\rnkgbN");
        assert!(pager.rows().len() <= 5);
    }
    let mut tiny = numbers(3);
    tiny.resize(0, 0);
    press(&mut tiny, "jG");
    assert_eq!(shown(&tiny), ("3".into(), "3".into()));
    assert_eq!(tiny.status().0, "\x1b[7m\x1b[27m");
}

#[test]
fn a_number_is_seen_while_it_is_typed() {
    let mut pager = numbers(50);
    press(&mut pager, "12");
    assert_eq!(status(&pager), ":12");
    assert_eq!(pager.obey(Key::Char('G')), Next::Show);
    assert_eq!(shown(&pager).0, "12");
}
