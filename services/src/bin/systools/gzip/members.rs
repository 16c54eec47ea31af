//! What a gzip file holds: members one behind the other (RFC 1952, section 2.2).

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

/// Reads the content of all members as one.
///
/// Zeros behind the last one are passed over, as gzip(1) does: tapes and disks
/// have them up to the end of a block. Anything else there is an error of kind
/// [`io::ErrorKind::InvalidData`] or, of a member that cannot be read, `InvalidInput`.
pub(crate) struct Members<R> {
    /// `None` behind the last one.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { member: Some(GzDecoder::new(input)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let length = member.read(buffer)?;
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            if let Some(ended) = self.member.take() {
                self.member = following(ended.into_inner())?;
            }
        }
        Ok(0)
    }
}

/// The member that begins here, unless the file ends.
fn following<R: BufRead>(mut rest: R) -> io::Result<Option<GzDecoder<R>>> {
    let mut is_filled_up = false;
    loop {
        let piece = match rest.fill_buf() {
            Ok([]) => return Ok(None),
            Ok(piece) => piece,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        match piece.iter().position(|byte| *byte != 0) {
            None => {
                let length = piece.len();
                rest.consume(length);
                is_filled_up = true;
            }
            Some(0) if !is_filled_up => return Ok(Some(GzDecoder::new(rest))),
            Some(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "something follows the zeros behind its end",
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write};

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn member(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    /// The content of these pieces one behind the other, read by this many bytes at once.
    fn read(pieces: &[&[u8]], step: usize) -> io::Result<Vec<u8>> {
        let file = pieces.concat();
        let mut content = Vec::new();
        Members::new(BufReader::with_capacity(step, file.as_slice())).read_to_end(&mut content)?;
        Ok(content)
    }

    #[test]
    fn members_are_one_content_and_zeros_behind_them_are_none() {
        let (one, two, empty) = (member(b"one"), member(b"two"), member(b""));
        let table: [(&[&[u8]], &[u8]); 6] = [
            (&[&one], b"one"),
            (&[&one, &two], b"onetwo"),
            (&[&empty, &one, &empty, &two], b"onetwo"),
            (&[&one, &[0]], b"one"),
            (&[&one, &two, &[0; 10_240]], b"onetwo"),
            (&[&empty, &[0; 511]], b""),
        ];
        for (pieces, expected) in table {
            for step in [1, 7, 512, 1 << 16] {
                assert_eq!(read(pieces, step).unwrap(), expected, "by {step}");
            }
        }
    }

    #[test]
    fn anything_else_behind_them_is_an_error() {
        let one = member(b"one");
        let table: [&[&[u8]]; 5] = [
            &[&one, b"x"],
            &[&one, &[0; 5], b"x"],
            &[&one, &[0; 5], &one],
            &[&one, one.get(..one.len() - 1).unwrap()],
            &[&[0; 512]],
        ];
        for pieces in table {
            for step in [1, 7, 512, 1 << 16] {
                read(pieces, step).unwrap_err();
            }
        }
    }
}
