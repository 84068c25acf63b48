//! A text file as blocks of whole records.

use std::io::Read;

use super::dialect::{Dialect, LineEnd};
use super::split::Splitter;
use super::tokenizer::Tokenizer;

/// A line longer than this is no line of a table.
const LONGEST_RECORD: usize = 256 << 20;

/// Whole records of a text file.
#[derive(Debug)]
pub(crate) struct TextBlock {
    /// The records.
    pub(crate) bytes: Vec<u8>,
    /// Where they start in the file, after decompression.
    pub(crate) offset: u64,
    /// The line, from one, on which the first starts.
    pub(crate) line: u64,
    /// How many records came before; zero for every block unless records are numbered.
    pub(crate) record: u64,
}

/// Why the next block cannot be had.
#[derive(Debug)]
pub(crate) enum BlockError {
    /// The system or the decompressor refused, after this many lines.
    Read(std::io::Error, u64),
    /// A record of absurd length starts on this line.
    TooLong(u64),
}

/// Cuts what a reader gives into blocks of about the same size.
#[derive(Debug)]
pub(crate) struct TextBlocks<R> {
    input: R,
    dialect: Dialect,
    /// Bytes of a block.
    size: usize,
    numbered: bool,
    buffer: Vec<u8>,
    splitter: Splitter,
    ended: bool,
    offset: u64,
    line: u64,
    record: u64,
}

impl<R: Read> TextBlocks<R> {
    /// The records after the header that `dialect` was read from.
    pub(crate) fn new(input: R, dialect: Dialect, size: usize, numbered: bool) -> Self {
        Self {
            input,
            dialect,
            size: size.max(1),
            numbered,
            buffer: Vec::new(),
            splitter: Splitter::new(dialect.delimiter),
            ended: false,
            offset: 0,
            line: 1,
            record: 0,
        }
    }

    /// The next block, in the file's order.
    pub(crate) fn next(&mut self) -> Result<Option<TextBlock>, BlockError> {
        if self.offset == 0 && dialect_skips(&self.dialect) {
            self.skip_header()?;
        }
        let mut wanted = self.size;
        loop {
            self.fill(wanted)?;
            let boundary = self.splitter.boundary(&self.buffer, self.ended);
            if boundary > 0 {
                return Ok(Some(self.take(boundary)));
            }
            if self.ended {
                return Ok(None);
            }
            if self.buffer.len() > LONGEST_RECORD {
                return Err(BlockError::TooLong(self.line));
            }
            wanted = self.buffer.len() * 2;
        }
    }

    /// Lines seen so far.
    pub(crate) fn lines(&self) -> u64 {
        self.line - 1
    }

    /// The reader, for what has to be done at its end.
    pub(crate) fn into_inner(self) -> R {
        self.input
    }

    fn skip_header(&mut self) -> Result<(), BlockError> {
        self.fill(self.dialect.header_bytes)?;
        let header = self.dialect.header_bytes.min(self.buffer.len());
        self.line += self.dialect.header_lines;
        self.offset += header as u64;
        self.buffer.drain(..header);
        Ok(())
    }

    /// Reads until the buffer holds `wanted` bytes or the input ends.
    fn fill(&mut self, wanted: usize) -> Result<(), BlockError> {
        let held = self.buffer.len();
        if self.ended || held >= wanted {
            return Ok(());
        }
        let missing = (wanted - held) as u64;
        self.buffer.reserve_exact(wanted - held);
        let read = (&mut self.input)
            .take(missing)
            .read_to_end(&mut self.buffer);
        let read =
            read.map_err(|error| BlockError::Read(error, self.lines() + lines_of(&self.buffer)))?;
        self.ended = (read as u64) < missing;
        if self.dialect.line_end == LineEnd::CarriageReturn {
            for byte in &mut self.buffer[held..] {
                if *byte == b'\r' {
                    *byte = b'\n';
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, boundary: usize) -> TextBlock {
        let rest = self.buffer[boundary..].to_vec();
        let mut bytes = std::mem::replace(&mut self.buffer, rest);
        bytes.truncate(boundary);
        self.splitter.taken(boundary);
        let block = TextBlock {
            offset: self.offset,
            line: self.line,
            record: self.record,
            bytes,
        };
        self.offset += block.bytes.len() as u64;
        self.line += lines_of(&block.bytes);
        if self.numbered {
            let mut tokenizer = Tokenizer::new(&block.bytes, self.dialect.delimiter);
            let mut cells = Vec::new();
            while tokenizer.next(&mut cells).is_some() {
                cells.clear();
                self.record += 1;
            }
        }
        block
    }
}

fn dialect_skips(dialect: &Dialect) -> bool {
    dialect.header_bytes > 0
}

/// The line feeds among the bytes.
pub(crate) fn lines_of(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn records(bytes: &[u8]) -> Vec<(Vec<u8>, bool)> {
        let mut tokenizer = Tokenizer::new(bytes, b',');
        let mut cells = Vec::new();
        let mut records = Vec::new();
        while let Some(record) = tokenizer.next(&mut cells) {
            records.push((
                bytes[record.start..record.end].to_vec(),
                record.fault.is_some(),
            ));
        }
        records
    }

    fn blocks(bytes: &[u8], size: usize) -> Vec<TextBlock> {
        let dialect = Dialect {
            delimiter: b',',
            line_end: LineEnd::Feed,
            header_bytes: 0,
            header_lines: 0,
        };
        let mut blocks = TextBlocks::new(bytes, dialect, size, true);
        std::iter::from_fn(|| blocks.next().unwrap()).collect()
    }

    proptest! {
        /// Whatever the block size, and however broken the quotes, the records are the same.
        #[test]
        fn blocks_hold_the_same_records(bytes in proptest::collection::vec(proptest::sample::select(b"ab,,\"\"\n\n\r".to_vec()), 0..120)) {
            let whole = records(&bytes);
            for size in 1..=bytes.len() + 1 {
                let blocks = blocks(&bytes, size);
                let mut apart = Vec::new();
                for block in &blocks {
                    let offset = usize::try_from(block.offset).unwrap();
                    prop_assert_eq!(&bytes[offset..offset + block.bytes.len()], &block.bytes[..]);
                    prop_assert_eq!(block.line, 1 + lines_of(&bytes[..offset]));
                    prop_assert_eq!(block.record, apart.len() as u64);
                    apart.extend(records(&block.bytes));
                }
                prop_assert_eq!(&apart, &whole, "blocks of {} bytes", size);
            }
        }
    }
}
