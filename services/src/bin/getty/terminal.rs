//! The terminal: its name, its settings, its size, and whether anybody is there.

use std::fs;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, read};
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Winsize,
    tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};

/// Saves the cursor, moves it further than any screen reaches, asks where it is
/// (ECMA-48 CPR, which every terminal since the VT100 answers), moves it back.
const ASK_SIZE: &[u8] = b"\x1b7\x1b[999;999H\x1b[6n\x1b8";

/// Longest wait for the answer. A slow line and an emulated machine need their time.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(2);

/// Longest answer that makes sense, in bytes.
const ANSWER_BYTES_MAX: usize = 64;

/// Gives the terminal the settings that a person expects, whatever the last
/// session left behind. Speed and character size stay as they are.
pub(crate) fn make_sane() -> io::Result<()> {
    let stdin = io::stdin();
    let mut attributes = tcgetattr(&stdin)?;
    attributes.input_modes = InputModes::ICRNL | InputModes::IXON | InputModes::IUTF8;
    attributes.output_modes = OutputModes::OPOST | OutputModes::ONLCR;
    attributes.control_modes |= ControlModes::CREAD | ControlModes::CLOCAL;
    attributes.local_modes = LocalModes::ISIG
        | LocalModes::ICANON
        | LocalModes::IEXTEN
        | LocalModes::ECHO
        | LocalModes::ECHOE
        | LocalModes::ECHOK
        | LocalModes::ECHOCTL
        | LocalModes::ECHOKE;
    // The control characters of stty(1)'s `sane`.
    for (index, code) in [
        (SpecialCodeIndex::VINTR, 0x03),
        (SpecialCodeIndex::VQUIT, 0x1c),
        (SpecialCodeIndex::VERASE, 0x7f),
        (SpecialCodeIndex::VKILL, 0x15),
        (SpecialCodeIndex::VEOF, 0x04),
        (SpecialCodeIndex::VSTART, 0x11),
        (SpecialCodeIndex::VSTOP, 0x13),
        (SpecialCodeIndex::VSUSP, 0x1a),
        (SpecialCodeIndex::VMIN, 1),
        (SpecialCodeIndex::VTIME, 0),
    ] {
        attributes.special_codes[index] = code;
    }
    tcsetattr(&stdin, OptionalActions::Drain, &attributes)?;
    Ok(())
}

/// Finds out the size of a terminal that does not know it, as serial lines do not.
/// Where nothing answers, waits until somebody presses Enter: a shell on a console
/// that nobody watches is of no use, and some shells do not even run there. False if
/// nothing answered.
pub(crate) fn meet() -> io::Result<bool> {
    let size = tcgetwinsize(io::stdin())?;
    if size.ws_col != 0 {
        return Ok(true);
    }
    if let Some((rows, columns)) = ask_size()? {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(io::stdin(), size)?;
        return Ok(true);
    }
    let mut out = io::stdout();
    out.write_all(b"Press Enter to begin a session.\n")?;
    out.flush()?;
    // The terminal gives out a line at a time; what is typed after it is the shell's.
    let mut line = [0; 256];
    match read(io::stdin(), &mut line)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(false),
    }
}

/// Asks the terminal for its size, in rows and columns. What is typed in that
/// moment is lost.
fn ask_size() -> io::Result<Option<(u16, u16)>> {
    let stdin = io::stdin();
    let sane = tcgetattr(&stdin)?;
    let mut raw = sane.clone();
    raw.make_raw();
    tcsetattr(&stdin, OptionalActions::Drain, &raw)?;
    let answer = io::stdout().write_all(ASK_SIZE).and_then(|()| io::stdout().flush());
    let answer = answer.and_then(|()| read_answer(Instant::now() + ANSWER_WAIT_MAX));
    tcsetattr(&stdin, OptionalActions::Flush, &sane)?;
    answer
}

fn read_answer(deadline: Instant) -> io::Result<Option<(u16, u16)>> {
    let stdin = io::stdin();
    let mut seen = Vec::new();
    while seen.len() < ANSWER_BYTES_MAX {
        let rest = deadline.saturating_duration_since(Instant::now());
        let rest = rest.try_into().unwrap_or_default();
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&rest)) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let mut byte = [0];
        // Not by way of std's buffer, which poll(2) knows nothing of.
        if read(&stdin, &mut byte)? == 0 {
            return Ok(None);
        }
        seen.extend(byte);
        if let Some(size) = parse_answer(&seen) {
            return Ok(Some(size));
        }
    }
    Ok(None)
}

/// The size in `ESC [ ROWS ; COLUMNS R` at the end of what was read.
fn parse_answer(seen: &[u8]) -> Option<(u16, u16)> {
    let start = seen.windows(2).rposition(|pair| pair == b"\x1b[")? + 2;
    let body = std::str::from_utf8(seen.get(start..)?).ok()?;
    let (rows, columns) = body.strip_suffix('R')?.split_once(';')?;
    let size = (rows.parse().ok()?, columns.parse().ok()?);
    (size.0 > 0 && size.1 > 0).then_some(size)
}

/// The terminal that `/dev/console` stands for, which the kernel lists last
/// (Documentation/ABI/testing/sysfs-tty); other devices stand for themselves.
pub(crate) fn behind_console(device: String) -> String {
    if device != "/dev/console" {
        return device;
    }
    let active = fs::read_to_string("/sys/class/tty/console/active").unwrap_or_default();
    active.split_whitespace().last().map_or(device, |name| format!("/dev/{name}"))
}

/// What terminfo calls the terminal: virtual consoles are Linux's own, and a serial
/// line most often ends in something that knows at least a VT220.
pub(crate) fn default_type(device: &str) -> &'static str {
    let is_virtual = device
        .strip_prefix("/dev/tty")
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
    if is_virtual { "linux" } else { "vt220" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_device_decides_the_type() {
        assert_eq!(default_type("/dev/tty1"), "linux");
        assert_eq!(default_type("/dev/ttyS0"), "vt220");
        assert_eq!(default_type("/dev/ttyAMA0"), "vt220");
        assert_eq!(default_type("/dev/console"), "vt220");
    }

    #[test]
    fn the_size_is_found_behind_what_was_typed() {
        for (seen, size) in [
            (&b"\x1b[24;80R"[..], Some((24, 80))),
            (b"ls\r\x1b[A\x1b[50;132R", Some((50, 132))),
            (b"\x1b[24;80", None),
            (b"\x1b[;R", None),
            (b"\x1b[0;0R", None),
            (b"\x1b[70000;1R", None),
            (b"R", None),
            (b"", None),
        ] {
            assert_eq!(parse_answer(seen), size, "{seen:?}");
        }
    }
}
