//! Text on the firmware's console, which a server's firmware mirrors to its
//! serial port.

use core::fmt;

use uefi::table;

/// Units of text handed over at once, without the NUL.
const PIECE_UNITS: usize = 63;

/// Prints `text`, as far as there is a console. Never panics, because the panic
/// handler prints too.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    // The console says nothing that could be acted upon.
    let _unseen = fmt::write(&mut Console, text);
}

struct Console;

impl fmt::Write for Console {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut piece = [0; PIECE_UNITS + 1];
        let mut len = 0;
        for unit in text.encode_utf16() {
            if let Some(place) = piece.get_mut(len) {
                *place = unit;
            }
            len += 1;
            if len == PIECE_UNITS {
                put(&piece)?;
                piece = [0; PIECE_UNITS + 1];
                len = 0;
            }
        }
        if len == 0 { Ok(()) } else { put(&piece) }
    }
}

/// `EFI_SIMPLE_TEXT_OUTPUT_PROTOCOL.OutputString()` (UEFI Specification 2.10,
/// section 12.4). The last unit is a NUL.
fn put(piece: &[u16; PIECE_UNITS + 1]) -> fmt::Result {
    let system = table::system_table_raw().ok_or(fmt::Error)?;
    // SAFETY: the firmware's table is there as long as the stub runs, and the console
    // it names is either null or one that can be called.
    let status = unsafe {
        let console = system.as_ref().stdout;
        if console.is_null() {
            return Err(fmt::Error);
        }
        ((*console).output_string)(console, piece.as_ptr())
    };
    if status.is_success() { Ok(()) } else { Err(fmt::Error) }
}
