//! The terminal: its name, its settings, its size, and whether anybody is there.

use std::fs;
use std::io::{self, Write};

use rustix::io::read;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Winsize,
    tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use services::terminal::{ANSWER_WAIT_MAX, ask_size};

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

/// Finds out the size of the terminal `device`. A virtual console knows it; any other has
/// that of the last session at best, whose window was another, and is asked. Where nothing
/// answers, a size that is known stays. Without one, waits until somebody presses Enter: a
/// shell on a console that nobody watches is of no use, and some shells do not even run there.
/// False if nothing answered and the size is not known.
pub(crate) fn meet(device: &str) -> io::Result<bool> {
    let is_known = tcgetwinsize(io::stdin())?.ws_col != 0;
    if is_known && is_virtual(device) {
        return Ok(true);
    }
    if let Some((rows, columns)) = ask_size(ANSWER_WAIT_MAX)? {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(io::stdin(), size)?;
        return Ok(true);
    }
    if is_known {
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
    if is_virtual(device) { "linux" } else { "vt220" }
}

fn is_virtual(device: &str) -> bool {
    let number = device.strip_prefix("/dev/tty");
    number.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
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
}
