//! A file of a FAT file system as bytes that can be read at any offset.

use std::io;

use super::reader::Reader;
use crate::format::source::{Source, check_end};

/// The content of one file.
#[derive(Debug)]
pub struct FileContent<'a, S> {
    pub(super) reader: &'a Reader<S>,
    /// The file's clusters in order, as many as its length takes.
    pub(super) clusters: Vec<u32>,
    pub(super) len_bytes: u64,
}

impl<S: Source> Source for FileContent<'_, S> {
    fn len_bytes(&self) -> u64 {
        self.len_bytes
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        check_end(offset_bytes, buffer.len() as u64, self.len_bytes)?;
        let cluster_bytes = self.reader.cluster_bytes();
        let (mut at, mut rest) = (offset_bytes, buffer);
        while !rest.is_empty() {
            let within = at % cluster_bytes;
            let index = usize::try_from(at / cluster_bytes).map_err(io::Error::other)?;
            let cluster = self.clusters.get(index).ok_or(io::ErrorKind::UnexpectedEof)?;
            let room = usize::try_from(cluster_bytes - within).unwrap_or(usize::MAX);
            let (part, behind) = rest.split_at_mut(room.min(rest.len()));
            self.reader.read_cluster(*cluster, within, part)?;
            at += part.len() as u64;
            rest = behind;
        }
        Ok(())
    }
}
