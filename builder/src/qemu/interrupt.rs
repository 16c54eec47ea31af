//! SIGINT, SIGTERM and SIGHUP while a guest runs.
//!
//! Without a guest they end the builder as always. With one they make a
//! descriptor readable, so that the session kills QEMU, restores the terminal
//! and then ends.

use std::cell::Cell;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::error::{Error, Result};

const SIGNALS: [i32; 3] = [SIGINT, SIGTERM, SIGHUP];

/// The process's one set of handlers.
struct Handlers {
    /// Whether the signals do what they do by default.
    is_idle: Arc<AtomicBool>,
    /// How many sessions hold them.
    holders: AtomicUsize,
    /// One per signal, readable once it came.
    readers: Vec<(i32, UnixStream)>,
    /// How many were seen by any holder.
    seen: AtomicUsize,
}

/// The last signal that a holder saw; 0 is none.
static CAME: AtomicI32 = AtomicI32::new(0);

/// The signal that ended a guest of this builder, if one did.
#[must_use]
pub fn came() -> Option<i32> {
    Some(CAME.load(Ordering::SeqCst)).filter(|signal| *signal != 0)
}

/// While it lives, the signals are this builder's to see. Of several holders all see each.
pub struct Interrupts {
    handlers: &'static Handlers,
    /// How many were seen before or by this one.
    known: Cell<usize>,
}

impl Interrupts {
    /// Takes the signals over.
    ///
    /// # Errors
    /// If the handlers cannot be set up.
    pub fn hold() -> Result<Self> {
        static HANDLERS: OnceLock<Result<Handlers, String>> = OnceLock::new();
        let handlers = HANDLERS
            .get_or_init(|| Handlers::set_up().map_err(|error| error.to_string()))
            .as_ref()
            .map_err(|error| Error::failure(format!("cannot handle signals: {error}")))?;
        handlers.holders.fetch_add(1, Ordering::SeqCst);
        handlers.is_idle.store(false, Ordering::SeqCst);
        Ok(Self { handlers, known: Cell::new(handlers.seen.load(Ordering::SeqCst)) })
    }

    /// What becomes readable, one for each signal.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.handlers.readers.iter().map(|(_, reader)| reader.as_fd())
    }

    /// The signal that came, if one did. What one holder has taken is readable for
    /// no other, so they must ask now and then.
    #[must_use]
    pub fn take(&self) -> Option<i32> {
        let is_there = |reader: &UnixStream| matches!((&mut &*reader).read(&mut [0; 16]), Ok(1..));
        let readers = &self.handlers.readers;
        if let Some((signal, _)) = readers.iter().find(|(_, reader)| is_there(reader)) {
            CAME.store(*signal, Ordering::SeqCst);
            self.handlers.seen.fetch_add(1, Ordering::SeqCst);
        }
        let seen = self.handlers.seen.load(Ordering::SeqCst);
        if self.known.replace(seen) == seen { None } else { came() }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        if self.handlers.holders.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.handlers.is_idle.store(true, Ordering::SeqCst);
        }
    }
}

impl Handlers {
    fn set_up() -> std::io::Result<Self> {
        let is_idle = Arc::new(AtomicBool::new(true));
        let mut readers = Vec::new();
        for signal in SIGNALS {
            let (reader, writer) = UnixStream::pair()?;
            reader.set_nonblocking(true)?;
            signal_hook::low_level::pipe::register(signal, writer)?;
            signal_hook::flag::register_conditional_default(signal, Arc::clone(&is_idle))?;
            readers.push((signal, reader));
        }
        Ok(Self { is_idle, holders: AtomicUsize::new(0), readers, seen: AtomicUsize::new(0) })
    }
}

impl std::fmt::Debug for Interrupts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Interrupts")
    }
}
