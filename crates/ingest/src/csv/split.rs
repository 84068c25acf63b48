//! Finds where records end without reading their cells, so that one file is parsed by all cores.

use super::tokenizer::{Closing, closing_quote, end_of_broken, ends_after};

/// Follows the quotes of a growing buffer that begins at a record's boundary.
///
/// It decides exactly as the tokenizer does, or a block would begin inside a record.
#[derive(Debug)]
pub(crate) struct Splitter {
    delimiter: u8,
    /// Up to here the quotes are understood, and none is open.
    scanned: usize,
    /// The last boundary of records found.
    boundary: usize,
}

impl Splitter {
    pub(crate) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            scanned: 0,
            boundary: 0,
        }
    }

    /// The end of the last whole record in `buffer`, or zero. `last` says that no more bytes follow.
    pub(crate) fn boundary(&mut self, buffer: &[u8], last: bool) -> usize {
        while self.scanned < buffer.len() {
            let quote = memchr::memchr(b'"', &buffer[self.scanned..]).map(|at| self.scanned + at);
            let plain = &buffer[self.scanned..quote.unwrap_or(buffer.len())];
            if let Some(feed) = memchr::memrchr(b'\n', plain) {
                self.boundary = self.scanned + feed + 1;
            }
            let Some(quote) = quote else {
                self.scanned = buffer.len();
                break;
            };
            let opens =
                quote == 0 || buffer[quote - 1] == self.delimiter || buffer[quote - 1] == b'\n';
            if !opens {
                self.scanned = quote + 1;
                continue;
            }
            self.scanned = quote;
            let close = match closing_quote(buffer, quote, last) {
                Closing::Unknown => break,
                Closing::At(close, _) if !last && buffer[close + 1..] == *b"\r" => break,
                Closing::At(close, _) if ends_after(buffer, close, self.delimiter) => {
                    self.scanned = close + 1;
                    continue;
                }
                Closing::At(close, _) => Some(close),
                Closing::Missing => None,
            };
            if let Some(end) = end_of_broken(buffer, quote, close) {
                self.boundary = end + 1;
                self.scanned = end + 1;
            } else {
                self.scanned = close.map_or(buffer.len(), |close| close + 1);
            }
        }
        if last { buffer.len() } else { self.boundary }
    }

    /// The first `bytes` of the buffer were taken away.
    pub(crate) fn taken(&mut self, bytes: usize) {
        self.scanned = self.scanned.saturating_sub(bytes);
        self.boundary = self.boundary.saturating_sub(bytes);
    }
}
