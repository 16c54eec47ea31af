//! The script: lines to steps.

use std::time::Duration;

use services::problem::{Problem, Result};

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    Type(Vec<u8>),
    See(String),
    Unseen(String),
    Pause(Duration),
    End(u8),
}

/// The steps with the numbers of their lines; empty lines and comments are left out.
pub(crate) fn parse(text: &str) -> Result<Vec<(usize, Step)>> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim_start()));
    let steps = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    steps.map(|(number, line)| Ok((number, step(number, line)?))).collect()
}

fn step(number: usize, line: &str) -> Result<Step> {
    let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
    let wrong = || {
        Problem::new(format!("line {number}: `{line}` is no step"))
            .with_hint("`typist --help` has them")
    };
    match word {
        "type" => Ok(Step::Type(unescape(rest))),
        "see" if !rest.is_empty() => Ok(Step::See(rest.to_owned())),
        "unseen" if !rest.is_empty() => Ok(Step::Unseen(rest.to_owned())),
        "pause" => {
            let seconds = rest.parse().map_err(|_| wrong())?;
            Ok(Step::Pause(Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?))
        }
        "end" => Ok(Step::End(rest.parse().map_err(|_| wrong())?)),
        _ => Err(wrong()),
    }
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        let (byte, length) = match (first, behind.first()) {
            (b'\\', Some(b'r')) => (b'\r', 2),
            (b'\\', Some(b't')) => (b'\t', 2),
            (b'\\', Some(b'e')) => (0x1b, 2),
            (b'\\', Some(b'\\')) => (b'\\', 2),
            (b'\\', Some(b'x')) => match hex(behind.get(1..3)) {
                Some(byte) => (byte, 4),
                None => (b'\\', 1),
            },
            (byte, _) => (*byte, 1),
        };
        bytes.push(byte);
        rest = rest.get(length..).unwrap_or_default();
    }
    bytes
}

fn hex(digits: Option<&[u8]>) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits?).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_become_steps() {
        let steps = parse("# a comment\n\ntype ls\\r\\e[A\\x03\\\\\n  see $ \nend 3\n").unwrap();
        assert_eq!(
            steps,
            [
                (3, Step::Type(b"ls\r\x1b[A\x03\\".to_vec())),
                (4, Step::See("$ ".into())),
                (5, Step::End(3)),
            ]
        );
        for wrong in ["see", "press x", "end never", "pause -1", "pause x"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
