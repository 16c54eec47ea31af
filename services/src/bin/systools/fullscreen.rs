//! A terminal that a program has for itself: keys one by one and unseen, the other
//! screen, which leaves what was there before as it was.
//!
//! Sources: termios(3), and `?1049` and `?25` of xterm's control sequences.

use std::os::fd::AsFd;

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use services::problem::Context;

use crate::Result;
use crate::output::print;

/// Takes the terminal that `keys` come from and standard output goes to. The cursor is
/// hidden. What was typed before is not lost.
///
/// # Errors
/// It is no terminal, or has gone.
pub(crate) fn enter(keys: impl AsFd) -> Result<Termios> {
    let unusable = || "cannot use the terminal".to_owned();
    let before = tcgetattr(&keys).context(unusable)?;
    let mut modes = before.clone();
    modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
    modes.special_codes[SpecialCodeIndex::VMIN] = 1;
    modes.special_codes[SpecialCodeIndex::VTIME] = 0;
    tcsetattr(&keys, OptionalActions::Drain, &modes).context(unusable)?;
    print("\x1b[?1049h\x1b[?25l")?;
    Ok(before)
}

/// Gives the terminal back as it was `before`.
///
/// # Errors
/// It has gone.
pub(crate) fn leave(keys: impl AsFd, before: &Termios) -> Result<()> {
    print("\x1b[?25h\x1b[?1049l")?;
    tcsetattr(keys, OptionalActions::Drain, before)
        .context(|| "cannot give the terminal back".to_owned())?;
    Ok(())
}
