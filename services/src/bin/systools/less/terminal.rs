//! The pager's terminal: what is typed goes to the pager, what it shows is painted.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::{Errno, read};
use rustix::termios::isatty;
use services::problem::{Context, Problem};
use services::signals::{Resized, Termination};

use super::keys::{Decoder, Key};
use super::pager::{Next, Pager};
use super::paint::Screen;
use crate::output::{print, size};
use crate::{Result, fullscreen};

/// How long after an Escape the rest of a key's sequence may come. A slow line needs
/// 1 ms for a byte, an emulated machine more.
const SEQUENCE_WAIT_MAX: Duration = Duration::from_millis(300);

/// Shows a text until somebody has read it.
pub(super) fn page(pager: &mut Pager) -> Result<()> {
    let unusable = || "cannot watch for signals".to_owned();
    let mut terminal = Terminal {
        keys: keyboard()?,
        termination: Termination::catch().context(unusable)?,
        resized: Resized::catch().context(unusable)?,
        decoder: Decoder::default(),
    };
    let before = fullscreen::enter(&terminal.keys)?;
    let result = terminal.serve(pager);
    fullscreen::leave(&terminal.keys, &before)?;
    result
}

/// Where keys come from: standard input, unless that is the text.
fn keyboard() -> Result<OwnedFd> {
    let stdin = io::stdin();
    let opened = if isatty(&stdin) {
        stdin.as_fd().try_clone_to_owned()
    } else {
        // Who has no terminal of their own may still write to one.
        open("/dev/tty", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(io::Error::from)
            .or_else(|_| io::stdout().as_fd().try_clone_to_owned())
    };
    Ok(opened.context(|| "cannot read from the terminal".to_owned())?)
}

/// What happens while nothing is shown anew.
enum Event {
    Key(Key),
    Resized,
    End,
}

struct Terminal {
    keys: OwnedFd,
    termination: Termination,
    resized: Resized,
    decoder: Decoder,
}

impl Terminal {
    fn serve(&mut self, pager: &mut Pager) -> Result<()> {
        let mut screen = Screen::default();
        let mut rows = 0;
        let mut is_new = true;
        loop {
            if is_new {
                let (height, columns) = size().unwrap_or((24, 80));
                pager.resize(height, columns);
                rows = height.saturating_sub(1).max(1);
                screen.forget();
            }
            print(&screen.update(pager.rows(), rows, pager.status()))?;
            is_new = match self.wait()? {
                Event::End => return Ok(()),
                Event::Resized => true,
                Event::Key(key) => match pager.obey(key) {
                    Next::End => return Ok(()),
                    Next::Repaint => true,
                    Next::Show => false,
                },
            };
        }
    }

    /// Waits for a key. No byte behind it is taken from the terminal: what is typed
    /// ahead is for whoever reads next.
    fn wait(&mut self) -> Result<Event> {
        loop {
            let timeout = SEQUENCE_WAIT_MAX.try_into().ok();
            let timeout = timeout.as_ref().filter(|_| self.decoder.is_pending());
            let mut watched = [
                PollFd::new(&self.keys, PollFlags::IN),
                PollFd::new(&self.termination, PollFlags::IN),
                PollFd::new(&self.resized, PollFlags::IN),
            ];
            match poll(&mut watched, timeout) {
                Ok(0) => match self.decoder.finish() {
                    Some(key) => return Ok(Event::Key(key)),
                    None => continue,
                },
                Ok(_) => {}
                Err(Errno::INTR) => continue,
                Err(error) => return Err(Problem::new(format!("cannot wait: {error}")).into()),
            }
            let [keys, termination, resized] = watched.map(|one| !one.revents().is_empty());
            if termination {
                return Ok(Event::End);
            }
            if resized {
                self.resized.forget();
                return Ok(Event::Resized);
            }
            if keys && let Some(event) = self.read() {
                return Ok(event);
            }
        }
    }

    /// Takes one byte.
    fn read(&mut self) -> Option<Event> {
        let mut byte = [0];
        match read(&self.keys, &mut byte) {
            Err(Errno::INTR | Errno::AGAIN) => None,
            // The terminal has gone.
            Ok(0) | Err(_) => Some(Event::End),
            Ok(_) => self.decoder.take(byte[0]).map(Event::Key),
        }
    }
}
