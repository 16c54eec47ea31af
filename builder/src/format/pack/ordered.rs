//! Carries a plan out into a stream: threads read ahead, one emits in order.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::read::Reader;
use super::{Chunk, Plan};
use crate::error::{Error, Result};
use crate::format::write_failed;

/// One of so many cores reads ahead: what takes the stream, mostly a compressor,
/// has the others.
const READERS_SHARE: usize = 4;
/// Chunks read ahead per thread; bounds the memory.
const CHUNKS_AHEAD: usize = 3;

/// Gives every chunk to `emit` in order, each with its offset.
pub(super) fn run(
    plan: &Plan<'_>,
    what: &str,
    mut emit: impl FnMut(u64, &[u8]) -> io::Result<()>,
) -> Result<()> {
    let mut emit = |chunk: &Chunk, buffer: &[u8]| {
        emit(chunk.offset_bytes, &buffer[..chunk.len]).map_err(|error| write_failed(what, &error))
    };
    // A small output is not worth a thread.
    if plan.chunks.len() <= 1 {
        let (mut reader, mut buffer) = (Reader::default(), Vec::new());
        return plan.chunks.iter().try_for_each(|chunk| {
            plan.fill(chunk, &mut reader, &mut buffer)?;
            emit(chunk, &buffer)
        });
    }
    let threads = plan.threads().div_ceil(READERS_SHARE);
    let queue = Queue::new(threads * CHUNKS_AHEAD);
    std::thread::scope(|scope| {
        let _close = CloseOnDrop { queue: &queue, is_reader: false };
        for _ in 0..threads {
            scope.spawn(|| queue.read_ahead(plan));
        }
        plan.chunks.iter().try_for_each(|chunk| {
            let buffer = queue.take()?;
            emit(chunk, &buffer)?;
            queue.give_back(buffer);
            Ok(())
        })
    })
}

/// Chunks between the readers and the one that emits them.
struct Queue {
    state: Mutex<QueueState>,
    changed: Condvar,
    ahead_max: usize,
}

#[derive(Default)]
struct QueueState {
    /// The next chunk a reader shall fill.
    next: usize,
    /// How many chunks have been taken.
    taken: usize,
    /// Chunks from `taken` on that are ready or being filled.
    slots: VecDeque<Option<Result<Vec<u8>>>>,
    free: Vec<Vec<u8>>,
    is_closed: bool,
}

/// Closes the queue when the emitter leaves, and when a reader panics, so that
/// neither side waits for one that is gone.
struct CloseOnDrop<'a> {
    queue: &'a Queue,
    is_reader: bool,
}

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        if !self.is_reader || std::thread::panicking() {
            self.queue.lock().is_closed = true;
            self.queue.changed.notify_all();
        }
    }
}

impl Queue {
    fn new(ahead_max: usize) -> Self {
        Self { state: Mutex::default(), changed: Condvar::new(), ahead_max }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        // No code that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, QueueState>) -> MutexGuard<'a, QueueState> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// A reader's life: fill the next chunk until there is none.
    fn read_ahead(&self, plan: &Plan<'_>) {
        let _close = CloseOnDrop { queue: self, is_reader: true };
        let mut reader = Reader::default();
        while let Some((index, mut buffer)) = self.claim(plan.chunks.len()) {
            let chunk = &plan.chunks[index];
            let result = plan.fill(chunk, &mut reader, &mut buffer).map(|()| buffer);
            let mut state = self.lock();
            let slot = index - state.taken;
            state.slots[slot] = Some(result);
            drop(state);
            self.changed.notify_all();
        }
    }

    fn claim(&self, count: usize) -> Option<(usize, Vec<u8>)> {
        let mut state = self.lock();
        loop {
            if state.is_closed || state.next == count {
                return None;
            }
            if state.slots.len() < self.ahead_max {
                break;
            }
            state = self.wait(state);
        }
        let index = state.next;
        state.next += 1;
        state.slots.push_back(None);
        Some((index, state.free.pop().unwrap_or_default()))
    }

    /// The next chunk in order, or the error of the reader that could not fill it.
    fn take(&self) -> Result<Vec<u8>> {
        let mut state = self.lock();
        loop {
            if matches!(state.slots.front(), Some(Some(_)))
                && let Some(Some(result)) = state.slots.pop_front()
            {
                state.taken += 1;
                drop(state);
                self.changed.notify_all();
                return result;
            }
            if state.is_closed {
                return Err(Error::internal("a reader of the packer is gone"));
            }
            state = self.wait(state);
        }
    }

    fn give_back(&self, buffer: Vec<u8>) {
        self.lock().free.push(buffer);
    }
}
