//! The line format of `/run/log/NAME.log`: `2026-01-31T12:34:56.123456Z TEXT`.
//!
//! Pure: bytes that a service wrote become records, records become lines, and
//! lines are read back. `docs/logging.md` describes the format to people.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

/// Where the log files are.
pub const LOG_DIRECTORY: &str = "/run/log";

/// Longest record in bytes of what the service wrote, before escaping. A longer
/// line becomes several records.
pub const RECORD_LENGTH_MAX: usize = 8 * 1024;

/// Length of the timestamp, without the blank that follows it.
pub const TIMESTAMP_LENGTH: usize = 27;

/// `time` in UTC as RFC 3339 has it, to the microsecond. Times before 1970 are
/// shown as its start: a clock that was never set starts there.
#[must_use]
pub fn format_timestamp(time: SystemTime) -> String {
    let time = Timestamp::try_from(time.max(UNIX_EPOCH)).unwrap_or(Timestamp::MAX);
    format!("{time:.6}")
}

/// Appends one record as a line: timestamp, blank, escaped text, newline.
pub fn append_record(line: &mut String, timestamp: &str, text: &[u8]) {
    line.push_str(timestamp);
    line.push(' ');
    escape(line, text);
    line.push('\n');
}

/// Appends `text` with everything that could move a terminal's cursor or change
/// its state as `\xNN`: control characters other than the tab, and bytes that
/// are not UTF-8.
fn escape(line: &mut String, text: &[u8]) {
    for chunk in text.utf8_chunks() {
        let mut plain_from = 0;
        for (at, character) in chunk.valid().char_indices() {
            if character.is_control() && character != '\t' {
                line.push_str(chunk.valid().get(plain_from..at).unwrap_or_default());
                plain_from = at + character.len_utf8();
                let mut buffer = [0; 4];
                escape_bytes(line, character.encode_utf8(&mut buffer).as_bytes());
            }
        }
        line.push_str(chunk.valid().get(plain_from..).unwrap_or_default());
        escape_bytes(line, chunk.invalid());
    }
}

fn escape_bytes(line: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(line, "\\x{byte:02x}");
    }
}

/// What may be taken from the front of a service's output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// How many bytes are the record's text.
    pub text: usize,
    /// How many bytes the record takes up, with its newline if it has one.
    pub taken: usize,
}

/// The first record in `output`: a line, or the first `limit` bytes of a line
/// that is longer (at most three fewer, so that no character is cut in two).
/// `None` if the line has not ended yet and is shorter, unless `flush` asks
/// for what there is.
#[must_use]
pub fn first_record(output: &[u8], limit: usize, flush: bool) -> Option<Cut> {
    let within = output.get(..=limit).unwrap_or(output);
    if let Some(end) = within.iter().position(|byte| *byte == b'\n') {
        return Some(Cut { text: end, taken: end + 1 });
    }
    if output.len() > limit {
        let end = character_boundary(output, limit);
        return Some(Cut { text: end, taken: end });
    }
    (flush && !output.is_empty()).then_some(Cut { text: output.len(), taken: output.len() })
}

/// The last place at or before `limit` where no character is cut in two;
/// `limit` itself where the bytes are not UTF-8 anyway.
fn character_boundary(output: &[u8], limit: usize) -> usize {
    let is_continuation = |at: usize| output.get(at).is_some_and(|byte| byte & 0xc0 == 0x80);
    (limit.saturating_sub(3)..=limit).rev().find(|at| !is_continuation(*at)).unwrap_or(limit)
}

/// Splits a line of a log file into timestamp and text; `None` for a line
/// that is none.
#[must_use]
pub fn parse_line(line: &str) -> Option<(&str, &str)> {
    let (timestamp, rest) = line.split_at_checked(TIMESTAMP_LENGTH)?;
    let bytes = timestamp.as_bytes();
    let shaped = bytes.ends_with(b"Z") && bytes.get(10) == Some(&b'T');
    rest.strip_prefix(' ').filter(|_| shaped).map(|text| (timestamp, text))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timestamps_are_rfc_3339() {
        // Judged by `date --utc --date=@N +%FT%T`.
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00"),
            (951_782_399, "2000-02-28T23:59:59"),
            (951_782_400, "2000-02-29T00:00:00"),
            (1_709_164_800, "2024-02-29T00:00:00"),
            (1_735_689_599, "2024-12-31T23:59:59"),
            (4_107_542_400, "2100-03-01T00:00:00"),
        ] {
            let time = UNIX_EPOCH + Duration::new(seconds, 1_234_000);
            let formatted = format_timestamp(time);
            assert_eq!(formatted, format!("{text}.001234Z"));
            assert_eq!(formatted.len(), TIMESTAMP_LENGTH);
        }
        let before = UNIX_EPOCH - Duration::from_secs(5);
        assert_eq!(format_timestamp(before), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn what_could_drive_a_terminal_is_escaped() {
        let mut line = String::new();
        append_record(&mut line, "T", b"a\tb\x1b[2J\x7f\xc2\x9b \xff\xc3 \xce\xbc\\n\0\r");
        assert_eq!(line, "T a\tb\\x1b[2J\\x7f\\xc2\\x9b \\xff\\xc3 μ\\n\\x00\\x0d\n");
    }

    #[test]
    fn records_are_lines_long_lines_are_cut_and_short_ones_wait() {
        let cut = |text, taken| Some(Cut { text, taken });
        assert_eq!(first_record(b"ab\ncd", 8, false), cut(2, 3));
        assert_eq!(first_record(b"\n", 8, false), cut(0, 1));
        assert_eq!(first_record(b"cd", 8, false), None);
        assert_eq!(first_record(b"cd", 8, true), cut(2, 2));
        assert_eq!(first_record(b"", 8, true), None);
        // Exactly as long as the limit: it still fits when its newline comes.
        assert_eq!(first_record(b"12345678", 8, false), None);
        assert_eq!(first_record(b"12345678\n", 8, false), cut(8, 9));
        assert_eq!(first_record(b"123456789", 8, false), cut(8, 8));
        assert_eq!(first_record("1234567μ9".as_bytes(), 8, false), cut(7, 7));
        assert_eq!(first_record(&[0x80; 9], 8, false), cut(8, 8));
    }

    #[test]
    fn lines_are_read_back() {
        let mut line = String::new();
        append_record(&mut line, &format_timestamp(UNIX_EPOCH), b"text here");
        let read = parse_line(line.trim_end());
        assert_eq!(read, Some(("1970-01-01T00:00:00.000000Z", "text here")));
        for bad in ["", "short", "1970-01-01 00:00:00.000000Z text", &"μ".repeat(30)] {
            assert_eq!(parse_line(bad), None, "{bad}");
        }
    }
}
