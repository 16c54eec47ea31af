//! The engine under every tree-shaped format: a plan of the output, carried out
//! by several threads.
//!
//! A writer first lays out its whole output as pieces (header bytes, file
//! contents, zeros), which needs only names and sizes. The pieces are grouped
//! into chunks, which threads fill from the host's files. Where the output can
//! be written at any place, each thread writes what it has filled
//! (`concurrent`); where it is a stream, one thread emits the chunks in order
//! (`ordered`). The output does not depend on how many threads there are.

mod concurrent;
mod ordered;
mod read;

use std::io;
use std::ops::Range;

use super::sink::ImageSink;
use crate::error::Result;
use crate::tree::{Content, TreePath};
use read::{ContentPart, Reader};

/// How much a thread fills before it writes or hands over. Large enough that
/// one `write(2)` costs little beside it, small enough to stay in the cache of
/// the CPU between reading and writing.
const CHUNK_BYTES: u64 = 256 * 1024;
/// Files up to this length are never split over two chunks, which would open them twice.
const WHOLE_FILE_BYTES: u64 = CHUNK_BYTES;
/// Gaps up to this length are kept as bytes, which costs less than a piece of their own.
const SMALL_GAP: usize = 64;
/// More threads than this wait for each other in the kernel.
const THREADS_MAX: usize = 8;

/// What is at one place of the output.
enum Piece<'a> {
    /// A range of the plan's own bytes.
    Bytes(Range<usize>),
    /// So many zeros.
    Zeros(usize),
    /// A part of a file's content.
    Content(ContentPart<'a>),
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
        let end = self.bytes.len();
        if let Some(chunk) = self.chunks.last_mut()
            && chunk.pieces.end > chunk.pieces.start
            && (chunk.len as u64) < CHUNK_BYTES
            && let Some(Piece::Bytes(range)) = self.pieces.last_mut()
        {
            range.end = end;
            chunk.len += bytes.len();
            self.position_bytes += bytes.len() as u64;
            return;
        }
        self.push(Piece::Bytes(start..end), bytes.len());
    }

    /// Adds zeros up to the next multiple of `alignment_bytes`, at most a few thousand.
    pub(super) fn align(&mut self, alignment_bytes: u64) {
        let gap = self.position_bytes.next_multiple_of(alignment_bytes) - self.position_bytes;
        match usize::try_from(gap) {
            Ok(0) | Err(_) => {}
            Ok(gap @ 1..=SMALL_GAP) => self.bytes(&[0; SMALL_GAP][..gap]),
            Ok(gap) => self.push(Piece::Zeros(gap), gap),
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

    /// Writes everything into `sink`. `what` names the output for messages.
    pub(super) fn write(&self, what: &str, sink: &mut impl ImageSink) -> Result<()> {
        if let Some(shared) = sink.shared() {
            return concurrent::run(self, what, shared);
        }
        ordered::run(self, what, |offset_bytes, bytes| sink.write_at(offset_bytes, bytes))
    }

    /// Gives everything to `emit` in order. Holes are not emitted.
    pub(super) fn stream(
        &self,
        what: &str,
        mut emit: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<()> {
        ordered::run(self, what, |_offset_bytes, bytes| emit(bytes))
    }

    /// How many threads there is work for.
    fn threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        cores.min(THREADS_MAX).min(self.chunks.len())
    }

    /// Reads one chunk into `buffer`, whose length may be more than the chunk's.
    fn fill(&self, chunk: &Chunk, reader: &mut Reader, buffer: &mut Vec<u8>) -> Result<()> {
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
                    reader.read(part, &mut buffer[at..=at + part.len])?;
                    part.len
                }
            };
        }
        Ok(())
    }
}
