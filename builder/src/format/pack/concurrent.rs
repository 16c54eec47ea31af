//! Carries a plan out into an output that can be written at any place: every
//! thread fills the next chunk and writes it itself, so that none waits for another.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use super::read::Reader;
use super::{Chunk, Plan};
use crate::error::{Error, Result};
use crate::format::sink::SharedSink;
use crate::format::write_failed;

/// Writes the plan's chunks into `sink`. If several fail, the first one's error counts.
pub(super) fn run(plan: &Plan<'_>, what: &str, sink: &dyn SharedSink) -> Result<()> {
    let work = Work {
        plan,
        what,
        sink,
        next: AtomicUsize::new(0),
        has_failed: AtomicBool::new(false),
        failure: Mutex::new(None),
    };
    match plan.threads() {
        0 => return Ok(()),
        // A small output is not worth a thread.
        1 => work.run(),
        threads => std::thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(|| work.run())).collect();
            work.run();
            if others.into_iter().any(|other| other.join().is_err()) {
                work.fail(0, Error::internal("a thread of the packer is gone"));
            }
        }),
    }
    match work.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

/// What the threads share.
struct Work<'a> {
    plan: &'a Plan<'a>,
    what: &'a str,
    sink: &'a dyn SharedSink,
    /// The next chunk that nobody works on.
    next: AtomicUsize,
    has_failed: AtomicBool,
    /// The first chunk that failed, of those known so far.
    failure: Mutex<Option<(usize, Error)>>,
}

impl Work<'_> {
    /// A thread's life. Chunks are taken in order and never given up, so all
    /// before one that failed have been tried.
    fn run(&self) {
        let mut reader = Reader::default();
        let mut buffer = Vec::new();
        while !self.has_failed.load(Ordering::Relaxed) {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            let Some(chunk) = self.plan.chunks.get(index) else { return };
            if let Err(error) = self.write(chunk, &mut reader, &mut buffer) {
                return self.fail(index, error);
            }
        }
    }

    fn write(&self, chunk: &Chunk, reader: &mut Reader, buffer: &mut Vec<u8>) -> Result<()> {
        self.plan.fill(chunk, reader, buffer)?;
        let written = self.sink.write_shared(chunk.offset_bytes, &buffer[..chunk.len]);
        written.map_err(|error| write_failed(self.what, &error))
    }

    fn fail(&self, index: usize, error: Error) {
        self.has_failed.store(true, Ordering::Relaxed);
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        if failure.as_ref().is_none_or(|(first, _)| index < *first) {
            *failure = Some((index, error));
        }
    }
}
