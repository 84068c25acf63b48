//! Records and cells of delimited text (RFC 4180), with recovery from broken quotes.

use super::marks::Marks;

/// A quoted cell longer than this is a quote that was never closed.
pub(crate) const LONGEST_QUOTED: usize = 16 << 20;

/// A cell of a block: where its content lies.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    start: u32,
    /// The length; the highest bit says that quotes inside are doubled.
    length: u32,
}

const DOUBLED: u32 = 1 << 31;

impl Cell {
    fn new(start: usize, end: usize, doubled: bool) -> Self {
        // Blocks stay far below four gigabytes; a longer one would give an empty cell, never a wrong one.
        let start_at = u32::try_from(start).unwrap_or(0);
        let length = u32::try_from(end.saturating_sub(start)).unwrap_or(0) & !DOUBLED;
        Self {
            start: start_at,
            length: if doubled { length | DOUBLED } else { length },
        }
    }

    /// The content, with doubled quotes still doubled.
    #[inline]
    pub(crate) fn bytes(self, block: &[u8]) -> &[u8] {
        let start = self.start as usize;
        &block[start..start + (self.length & !DOUBLED) as usize]
    }

    /// Whether doubled quotes must become single ones.
    #[inline]
    pub(crate) fn is_doubled(self) -> bool {
        self.length & DOUBLED != 0
    }

    /// The content as it was meant.
    pub(crate) fn unquoted(self, block: &[u8]) -> Vec<u8> {
        let mut content = Vec::with_capacity(self.bytes(block).len());
        self.append_to(block, &mut content);
        content
    }

    /// Appends the content as it was meant.
    #[inline]
    pub(crate) fn append_to(self, block: &[u8], content: &mut Vec<u8>) {
        let bytes = self.bytes(block);
        if !self.is_doubled() {
            content.extend_from_slice(bytes);
            return;
        }
        let mut rest = bytes;
        while let Some(at) = memchr::memchr(b'"', rest) {
            content.extend_from_slice(&rest[..=at]);
            rest = rest.get(at + 2..).unwrap_or_default();
        }
        content.extend_from_slice(rest);
    }
}

/// What is wrong with the quotes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum QuoteFault {
    /// Text between a closing quote and the delimiter.
    TextAfterQuote,
    /// A quote that is never closed.
    NeverClosed,
}

/// A record of a block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    /// Where it starts.
    pub(crate) start: usize,
    /// Where it ends, its line end left out.
    pub(crate) end: usize,
    /// Its cells.
    pub(crate) cells: usize,
    /// The first fault of its quotes, with the cell it is in.
    pub(crate) fault: Option<(QuoteFault, usize)>,
}

/// Where the quote opened at `open` is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// At this byte; whether quotes inside are doubled.
    At(usize, bool),
    /// The bytes end before it; the rest may have it.
    Unknown,
    /// Not within the longest allowed length.
    Missing,
}

/// Finds the quote that closes the one at `open`. `last` says that no more bytes follow.
pub(crate) fn closing_quote(bytes: &[u8], open: usize, last: bool) -> Closing {
    let mut at = open + 1;
    let mut doubled = false;
    let limit = at.saturating_add(LONGEST_QUOTED);
    while let Some(found) = memchr::memchr(b'"', bytes.get(at..).unwrap_or_default()) {
        let quote = at + found;
        if quote > limit {
            return Closing::Missing;
        }
        match bytes.get(quote + 1) {
            Some(b'"') => {
                doubled = true;
                at = quote + 2;
            }
            None if !last => return Closing::Unknown,
            _ => return Closing::At(quote, doubled),
        }
    }
    if last || bytes.len() > limit {
        Closing::Missing
    } else {
        Closing::Unknown
    }
}

/// Whether a cell may end after the closing quote at `close`.
pub(crate) fn ends_after(bytes: &[u8], close: usize, delimiter: u8) -> bool {
    match bytes.get(close + 1..).unwrap_or_default() {
        [] | [b'\n', ..] | [b'\r'] | [b'\r', b'\n', ..] => true,
        [byte, ..] => *byte == delimiter,
    }
}

/// Reads the records of a block, which begins and ends at a record's boundary.
#[derive(Debug)]
pub(crate) struct Tokenizer<'a> {
    block: &'a [u8],
    delimiter: u8,
    marks: Marks<'a>,
    at: usize,
}

impl<'a> Tokenizer<'a> {
    pub(crate) fn new(block: &'a [u8], delimiter: u8) -> Self {
        Self {
            block,
            delimiter,
            marks: Marks::new(block, delimiter),
            at: 0,
        }
    }

    /// Where the next record starts.
    pub(crate) fn position(&self) -> usize {
        self.at
    }

    /// The next record, its cells appended to `cells`. Empty lines are skipped.
    pub(crate) fn next(&mut self, cells: &mut Vec<Cell>) -> Option<Record> {
        let block = self.block;
        // An empty line is nothing, in any convention.
        while let Some(empty) = match block.get(self.at..)? {
            [b'\n', ..] => Some(1),
            [b'\r', b'\n', ..] => Some(2),
            [b'\r'] => Some(1),
            [] => return None,
            _ => None,
        } {
            self.at += empty;
            self.marks.seek(self.at);
        }
        let start = self.at;
        let first_cell = cells.len();
        let mut cell_start = start;
        let mut fault = None;
        // The quoted part of the current cell, once closed.
        let mut quoted: Option<(usize, bool)> = None;
        let end = loop {
            let Some(mark) = self.marks.next() else {
                break block.len();
            };
            match block[mark] {
                b'\n' => break mark,
                b'"' if mark == cell_start => {
                    let broken = match closing_quote(block, mark, true) {
                        Closing::At(close, doubled) if ends_after(block, close, self.delimiter) => {
                            quoted = Some((close, doubled));
                            self.marks.seek(close + 1);
                            None
                        }
                        Closing::At(close, _) => Some((QuoteFault::TextAfterQuote, Some(close))),
                        Closing::Missing | Closing::Unknown => {
                            Some((QuoteFault::NeverClosed, None))
                        }
                    };
                    if let Some((kind, close)) = broken {
                        fault = fault.or(Some((kind, cells.len() - first_cell)));
                        if let Some(end) = end_of_broken(block, mark, close) {
                            self.marks.seek(end);
                            self.marks.next();
                            break end;
                        }
                        self.marks
                            .seek(close.map_or(block.len(), |close| close + 1));
                    }
                }
                b'"' => {}
                _ => {
                    cells.push(finished(cell_start, mark, quoted.take()));
                    cell_start = mark + 1;
                }
            }
        };
        self.at = (end + 1).min(block.len());
        let text_end = if end > cell_start && block[end - 1] == b'\r' {
            end - 1
        } else {
            end
        };
        cells.push(finished(cell_start, text_end, quoted));
        Some(Record {
            start,
            end: text_end,
            cells: cells.len() - first_cell,
            fault,
        })
    }
}

/// A cell from its bounds; a quoted one lies between its quotes.
#[inline]
fn finished(start: usize, end: usize, quoted: Option<(usize, bool)>) -> Cell {
    match quoted {
        Some((close, doubled)) => Cell::new(start + 1, close, doubled),
        None => Cell::new(start, end, false),
    }
}

/// The line feed at which a record with a broken quote ends: the first one after the quote, if the quoted part has one.
///
/// A stray quote must not swallow the records after it: only its own line is given up.
pub(crate) fn end_of_broken(bytes: &[u8], open: usize, close: Option<usize>) -> Option<usize> {
    let inside = &bytes[open..close.unwrap_or(bytes.len())];
    memchr::memchr(b'\n', inside).map(|at| open + at)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Read = (Vec<String>, Option<(QuoteFault, usize)>);

    fn read(text: &str) -> Vec<Read> {
        let block = text.as_bytes();
        let mut tokenizer = Tokenizer::new(block, b',');
        let mut cells = Vec::new();
        let mut records = Vec::new();
        while let Some(record) = tokenizer.next(&mut cells) {
            let texts = cells
                .iter()
                .map(|cell| String::from_utf8(cell.unquoted(block)).unwrap())
                .collect();
            records.push((texts, record.fault));
            cells.clear();
        }
        records
    }

    fn texts(text: &str) -> Vec<Vec<String>> {
        read(text).into_iter().map(|(cells, _)| cells).collect()
    }

    #[test]
    fn plain_and_quoted() {
        assert_eq!(texts("a,b\n1,\n"), [["a", "b"], ["1", ""]]);
        assert_eq!(
            texts("a,\"b,\"\"c\"\"\nd\"\r\n1,2"),
            [["a", "b,\"c\"\nd"], ["1", "2"]]
        );
        assert_eq!(texts("\n\r\na\r\n\n"), [["a"]]);
        assert_eq!(texts("5\" tube,\"\"\n"), [["5\" tube", ""]]);
        assert_eq!(texts(""), Vec::<Vec<String>>::new());
    }

    #[test]
    fn a_broken_quote_gives_up_its_line_only() {
        let records = read("1,\"open\n2,b\n3,c\n");
        assert_eq!(records.len(), 3);
        assert_eq!(records[0].1, Some((QuoteFault::NeverClosed, 1)));
        assert_eq!(records[1].0, ["2", "b"]);
        let records = read("1,\"open\n2,\"b\"\n3,c\n");
        assert_eq!(records[0].1, Some((QuoteFault::TextAfterQuote, 1)));
        assert_eq!(records[1], (vec!["2".into(), "b".into()], None));
        let records = read("1,\"a\"b,c\n2,d,e\n");
        assert_eq!(records[0].1, Some((QuoteFault::TextAfterQuote, 1)));
        assert_eq!(records[1].0, ["2", "d", "e"]);
        let records = read("1,\"never");
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].1, Some((QuoteFault::NeverClosed, 1)));
    }

    fn quote(cell: &str, always: bool) -> String {
        if always || cell.contains([',', '"', '\n', '\r']) {
            format!("\"{}\"", cell.replace('"', "\"\""))
        } else {
            cell.to_owned()
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            rows in proptest::collection::vec(proptest::collection::vec(("[a\",\n\r 1é]{0,70}", any::<bool>()), 2..5), 0..20),
            crlf: bool,
        ) {
            let end = if crlf { "\r\n" } else { "\n" };
            let text: String = rows.iter().map(|row| row.iter().map(|(cell, always)| quote(cell, *always)).collect::<Vec<_>>().join(",") + end).collect();
            let expected: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|(cell, _)| cell.clone()).collect()).collect();
            prop_assert!(read(&text).iter().all(|(_, fault)| fault.is_none()));
            prop_assert_eq!(texts(&text), expected);
        }

        #[test]
        fn no_byte_is_lost_or_read_twice(bytes in proptest::collection::vec(proptest::sample::select(b"a,\"\n\r".to_vec()), 0..200)) {
            let mut tokenizer = Tokenizer::new(&bytes, b',');
            let mut cells = Vec::new();
            let mut at = 0;
            while let Some(record) = tokenizer.next(&mut cells) {
                prop_assert!(record.start >= at && record.end >= record.start);
                prop_assert!(bytes[at..record.start].iter().all(|byte| matches!(byte, b'\n' | b'\r')));
                at = record.end;
            }
            prop_assert!(bytes[at..].iter().all(|byte| matches!(byte, b'\n' | b'\r')));
        }
    }
}
