//! The engine under every tree-shaped format: a plan of the output, read ahead
//! in parallel and emitted in order.
//!
//! A writer first lays out its whole output as pieces (header bytes, file
//! contents, zeros), which needs only names and sizes. The pieces are grouped
//! into chunks; threads fill chunks from the host's files while one thread
//! emits them in order, so the output does not depend on how many threads
//! there are. It is all about small files: one open, one read, one close each.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::{Error, IoContext, Result};
use crate::tree::{Content, TreePath};

/// How much a thread fills before it hands over. Large enough that one
/// `write(2)` costs nothing beside it, small enough to stay in the CPU's cache.
const CHUNK_BYTES: u64 = 1024 * 1024;
/// Files up to this length are never split over two chunks, which would open them twice.
const WHOLE_FILE_BYTES: u64 = CHUNK_BYTES / 4;
/// More readers than this wait for each other in the kernel.
const READERS_MAX: usize = 8;
/// Chunks read ahead per reader; bounds the memory to `CHUNK_BYTES` times this.
const CHUNKS_AHEAD: usize = 3;

/// What is at one place of the output.
enum Piece<'a> {
    /// A range of the plan's own bytes.
    Bytes(Range<usize>),
    /// So many zeros.
    Zeros(usize),
    /// A part of a file's content.
    Content(ContentPart<'a>),
}

struct ContentPart<'a> {
    path: &'a TreePath,
    content: &'a Content,
    offset_bytes: u64,
    len: usize,
}

/// Pieces that are read together and emitted as one.
struct Chunk {
    offset_bytes: u64,
    len: usize,
    pieces: Range<usize>,
}

/// The layout of an output.
#[derive(Default)]
pub(super) struct Plan<'a> {
    bytes: Vec<u8>,
    pieces: Vec<Piece<'a>>,
    chunks: Vec<Chunk>,
    position_bytes: u64,
}

impl<'a> Plan<'a> {
    /// Where the next piece goes, in bytes from the start of the output.
    pub(super) fn position_bytes(&self) -> u64 {
        self.position_bytes
    }

    /// Adds bytes that are known already.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.push(Piece::Bytes(start..self.bytes.len()), bytes.len());
    }

    /// Adds zeros up to the next multiple of `alignment_bytes`, at most a few thousand.
    pub(super) fn align(&mut self, alignment_bytes: u64) {
        let gap = self.position_bytes.next_multiple_of(alignment_bytes) - self.position_bytes;
        if let Ok(gap @ 1..) = usize::try_from(gap) {
            self.push(Piece::Zeros(gap), gap);
        }
    }

    /// Adds the part of a file's content that begins at `offset_bytes`.
    pub(super) fn content(
        &mut self,
        path: &'a TreePath,
        content: &'a Content,
        mut offset_bytes: u64,
        len_bytes: u64,
    ) {
        let end = offset_bytes + len_bytes;
        if len_bytes == 0 {
            // Read all the same, to notice a file that is no longer empty.
            self.push(Piece::Content(ContentPart { path, content, offset_bytes, len: 0 }), 0);
        }
        while offset_bytes < end {
            let rest = end - offset_bytes;
            let room = CHUNK_BYTES.saturating_sub(self.open_chunk_len());
            let part = if rest <= WHOLE_FILE_BYTES { rest } else { rest.min(room.max(1)) };
            let len = usize::try_from(part).unwrap_or(usize::MAX);
            self.push(Piece::Content(ContentPart { path, content, offset_bytes, len }), len);
            offset_bytes += part;
        }
    }

    /// Moves on to `offset_bytes`, leaving a hole.
    pub(super) fn seek(&mut self, offset_bytes: u64) {
        if offset_bytes != self.position_bytes {
            self.position_bytes = offset_bytes;
            self.open_chunk();
        }
    }

    fn open_chunk_len(&self) -> u64 {
        let len = self.chunks.last().map_or(0, |chunk| chunk.len as u64);
        if len < CHUNK_BYTES { len } else { 0 }
    }

    fn open_chunk(&mut self) {
        let next = self.pieces.len();
        let offset_bytes = self.position_bytes;
        self.chunks.push(Chunk { offset_bytes, len: 0, pieces: next..next });
    }

    fn push(&mut self, piece: Piece<'a>, len: usize) {
        if self.chunks.last().is_none_or(|chunk| chunk.len as u64 >= CHUNK_BYTES) {
            self.open_chunk();
        }
        self.pieces.push(piece);
        self.position_bytes += len as u64;
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.len += len;
            chunk.pieces.end = self.pieces.len();
        }
    }

    /// Reads everything and gives it to `emit` in order, each time with its
    /// offset. `what` names the output for messages.
    pub(super) fn run(
        &self,
        what: &str,
        mut emit: impl FnMut(u64, &[u8]) -> io::Result<()>,
    ) -> Result<()> {
        let mut emit = |chunk: &Chunk, buffer: &[u8]| {
            emit(chunk.offset_bytes, &buffer[..chunk.len])
                .map_err(|error| super::write_failed(what, &error))
        };
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(READERS_MAX);
        let threads = threads.min(self.chunks.len());
        if threads <= 1 && self.chunks.len() <= 1 {
            let mut buffer = Vec::new();
            return self.chunks.iter().try_for_each(|chunk| {
                self.fill(chunk, &mut buffer)?;
                emit(chunk, &buffer)
            });
        }
        let queue = Queue::new(threads * CHUNKS_AHEAD);
        std::thread::scope(|scope| {
            let _close = CloseOnDrop { queue: &queue, is_reader: false };
            for _ in 0..threads {
                scope.spawn(|| queue.read_ahead(self));
            }
            self.chunks.iter().try_for_each(|chunk| {
                let buffer = queue.take()?;
                emit(chunk, &buffer)?;
                queue.give_back(buffer);
                Ok(())
            })
        })
    }

    /// Reads one chunk into `buffer`, whose length may be more than the chunk's.
    fn fill(&self, chunk: &Chunk, buffer: &mut Vec<u8>) -> Result<()> {
        // One byte more than needed shows a file that has grown, without a second read.
        if buffer.len() < chunk.len + 1 {
            buffer.resize(chunk.len + 1, 0);
        }
        let mut at = 0;
        for piece in &self.pieces[chunk.pieces.clone()] {
            at += match piece {
                Piece::Bytes(range) => {
                    buffer[at..at + range.len()].copy_from_slice(&self.bytes[range.clone()]);
                    range.len()
                }
                Piece::Zeros(len) => {
                    buffer[at..at + len].fill(0);
                    *len
                }
                Piece::Content(part) => {
                    part.read(&mut buffer[at..=at + part.len])?;
                    part.len
                }
            };
        }
        Ok(())
    }
}

impl ContentPart<'_> {
    /// Reads the part into `buffer`, which has one byte more than the part.
    fn read(&self, buffer: &mut [u8]) -> Result<()> {
        match self.content {
            Content::Bytes(bytes) => {
                let start = usize::try_from(self.offset_bytes).unwrap_or(usize::MAX);
                let part = bytes.get(start..).and_then(|rest| rest.get(..self.len));
                let part = part.ok_or_else(|| {
                    Error::internal(format!("{} is shorter than it was laid out", self.path))
                })?;
                buffer[..self.len].copy_from_slice(part);
                Ok(())
            }
            Content::HostFile { path, size_bytes } => {
                self.read_host_file(path, *size_bytes, buffer)
            }
        }
    }

    fn read_host_file(&self, host: &Path, size_bytes: u64, buffer: &mut [u8]) -> Result<()> {
        let file = File::open(host).at("read", host)?;
        let is_last = self.offset_bytes + self.len as u64 == size_bytes;
        // The last part asks for one byte past the expected end of the file.
        let wanted = if is_last { self.len + 1 } else { self.len };
        let mut count = 0;
        while count < wanted {
            let place = self.offset_bytes + count as u64;
            match file.read_at(&mut buffer[count..wanted], place).at("read", host)? {
                0 => break,
                step => count += step,
            }
            // A short read of a regular file is its end: no second call to make sure.
            if is_last && count == self.len {
                break;
            }
        }
        if count == self.len {
            return Ok(());
        }
        let now = file.metadata().map_or(0, |metadata| metadata.len());
        Err(Error::failure(format!(
            "{} changed while it was packed as {}: it had {size_bytes} bytes and now has {now}",
            host.display(),
            self.path
        ))
        .hint("pack again when nothing writes to it"))
    }
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
        while let Some((index, mut buffer)) = self.claim(plan.chunks.len()) {
            let result = plan.fill(&plan.chunks[index], &mut buffer).map(|()| buffer);
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
