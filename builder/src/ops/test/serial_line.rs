//! Machines whose serial line is all they have to say something with: what runs
//! before the kernel, and ends the boot.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::error::{IoContext, Result};
use crate::host::Invocation;

/// The file in a machine's directory that its serial line goes to.
pub(super) const SERIAL: &str = "serial";
/// How long a machine may take until it has said what is expected.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often its serial line is looked at.
const PERIOD: Duration = Duration::from_millis(20);
/// How much of what it said instead is shown, in bytes.
const TAIL_BYTES: usize = 400;

/// Starts QEMU, whose serial line goes to [`SERIAL`] in `directory`, and ends it
/// once `expected` stands there `times` times. The inner result is the verdict:
/// all that was said until then, or why it is not what was expected.
///
/// # Errors
/// If QEMU cannot be started.
pub(super) fn wait_for(
    qemu: Invocation,
    directory: &Path,
    expected: &str,
    times: usize,
) -> Result<Result<String, String>> {
    let (serial, log) = (directory.join(SERIAL), directory.join("qemu"));
    let errors = std::fs::File::create(&log).at("create", &log)?;
    let mut qemu = qemu.spawn(Stdio::null(), Stdio::null(), errors.into())?;
    let started = Instant::now();
    loop {
        let has_ended = qemu.child().try_wait().is_ok_and(|status| status.is_some());
        let said = std::fs::read(&serial).unwrap_or_default();
        let said = without_escapes(&String::from_utf8_lossy(&said));
        if said.matches(expected).count() >= times {
            return Ok(Ok(said));
        }
        if has_ended || started.elapsed() > TIMEOUT {
            let errors = std::fs::read_to_string(&log).unwrap_or_default();
            let from = said.len().saturating_sub(TAIL_BYTES);
            let tail = said.get(from..).unwrap_or(&said);
            return Ok(Err(format!("no {expected:?}, but {tail:?} {errors}")));
        }
        std::thread::sleep(PERIOD);
    }
}

/// The text without what moves a terminal's cursor (ECMA-48, section 5.4: `ESC [`,
/// parameters, a final byte).
fn without_escapes(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.strip_prefix('[') {
            Some(sequence) => {
                let end = sequence.find(|c| ('@'..='~').contains(&c)).map(|last| last + 1);
                plain.push_str(end.and_then(|end| sequence.get(end..)).unwrap_or_default());
            }
            None => plain.push_str(part),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_moves_the_cursor_is_taken_out_and_nothing_else() {
        for (text, plain) in [
            ("", ""),
            ("keelson: [x]\r\n", "keelson: [x]\r\n"),
            ("\u{1b}[2J\u{1b}[01;01Hkeel\u{1b}[0msonH", "keelsonH"),
            ("cut off \u{1b}[1;", "cut off "),
            ("\u{1b}c\u{1b}", "c"),
        ] {
            assert_eq!(without_escapes(text), plain, "{text:?}");
        }
    }
}
