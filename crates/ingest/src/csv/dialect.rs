//! What a text file looks like: encoding, delimiter, line ends, header.

use super::tokenizer::{Cell, Tokenizer};

/// How lines end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineEnd {
    /// A line feed, with or without a carriage return before it.
    Feed,
    /// A carriage return alone, as old Macintosh programs write it.
    CarriageReturn,
}

/// How a text file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// The byte between cells.
    pub(crate) delimiter: u8,
    /// How lines end.
    pub(crate) line_end: LineEnd,
    /// Bytes before the first record.
    pub(crate) header_bytes: usize,
    /// Lines before the first record.
    pub(crate) header_lines: u64,
}

/// A file's dialect, and the names in its header.
#[derive(Debug)]
pub(crate) struct Sniffed {
    pub(crate) dialect: Dialect,
    /// As they are written, without spaces around them.
    pub(crate) header: Vec<String>,
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What to do about text that is not UTF-8, where it is not known what it is.
pub(crate) const CONVERT: &str = "convert it, for example with `iconv -f CP949 -t UTF-8 FILE > NEW` (Korean) or `-f WINDOWS-1252` (western Europe)";

/// An encoding that text of hospitals may be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Legacy {
    Korean,
    Western,
}

impl Legacy {
    /// What the text looks like, and how it is converted.
    fn advice(self) -> &'static str {
        match self {
            Self::Korean => {
                "it looks like EUC-KR or CP949: convert the file, for example with `iconv -f CP949 -t UTF-8 FILE > NEW`"
            }
            Self::Western => {
                "it looks like Latin-1 or Windows-1252: convert the file, for example with `iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW`"
            }
        }
    }
}

/// Reads dialect and header from the first bytes of a file. `None` for an empty file.
///
/// `known` tells whether the table has a column of this name: it decides between delimiters.
/// An error says what is wrong with the file.
pub(crate) fn sniff(
    sample: &[u8],
    known: &dyn Fn(&str) -> bool,
) -> Result<Option<Sniffed>, String> {
    let legacy = check_encoding(sample)?;
    let bom = if sample.starts_with(BOM) {
        BOM.len()
    } else {
        0
    };
    let mut text = sample[bom..].to_vec();
    let has_feed = text.contains(&b'\n');
    let line_end = if !has_feed && text.contains(&b'\r') {
        LineEnd::CarriageReturn
    } else {
        LineEnd::Feed
    };
    if line_end == LineEnd::CarriageReturn {
        for byte in &mut text {
            if *byte == b'\r' {
                *byte = b'\n';
            }
        }
    }
    let mut best: Option<(usize, usize, Sniffed)> = None;
    for delimiter in *b",\t;|" {
        let mut tokenizer = Tokenizer::new(&text, delimiter);
        let mut cells = Vec::new();
        let Some(record) = tokenizer.next(&mut cells) else {
            return Ok(None);
        };
        let header_bytes = tokenizer.position();
        let mut header = Vec::with_capacity(cells.len());
        for cell in &cells {
            let name = cell.unquoted(&text);
            header.push(String::from_utf8_lossy(&name).trim().to_owned());
        }
        if record.fault.is_some() && best.is_some() {
            continue;
        }
        let recognised = header.iter().filter(|name| known(name)).count();
        let better = best
            .as_ref()
            .is_none_or(|(names, cells, _)| (recognised, header.len()) > (*names, *cells));
        if better {
            let header_lines = super::blocks::lines_of(&text[..header_bytes]);
            let dialect = Dialect {
                delimiter,
                line_end,
                header_bytes: bom + header_bytes,
                header_lines,
            };
            best = Some((recognised, header.len(), Sniffed { dialect, header }));
        }
    }
    let Some((_, _, sniffed)) = best else {
        return Ok(None);
    };
    let header = &sample[bom..sniffed.dialect.header_bytes.min(sample.len())];
    let legacy = legacy.or_else(|| match std::str::from_utf8(header) {
        Ok(_) => None,
        Err(_) if is_korean(header) => Some(Legacy::Korean),
        Err(_) => Some(Legacy::Western),
    });
    match legacy {
        None => Ok(Some(sniffed)),
        Some(legacy) => Err(format!(
            "{} is not UTF-8; {}",
            first_not_utf8(&text, &sniffed),
            legacy.advice()
        )),
    }
}

/// Line and column of the first cell that is not UTF-8.
fn first_not_utf8(text: &[u8], sniffed: &Sniffed) -> String {
    let mut tokenizer = Tokenizer::new(text, sniffed.dialect.delimiter);
    let mut cells = Vec::new();
    let mut in_header = true;
    while let Some(record) = tokenizer.next(&mut cells) {
        let is_bad = |cell: &Cell| std::str::from_utf8(cell.bytes(text)).is_err();
        if let Some(at) = cells.iter().position(is_bad) {
            let line = 1 + super::blocks::lines_of(&text[..record.start]);
            return match sniffed.header.get(at).filter(|_| !in_header) {
                Some(name) => format!("line {line}, column `{name}`"),
                None => format!("line {line}, column {}", at + 1),
            };
        }
        cells.clear();
        in_header = false;
    }
    "the text".to_owned()
}

/// Refuses what is no text, and says which other encoding all of the text is in. A few broken rows are no reason: they are
/// quarantined one by one.
fn check_encoding(sample: &[u8]) -> Result<Option<Legacy>, String> {
    let convert = "convert it to UTF-8, for example with `iconv -f UTF-16 -t UTF-8 FILE > NEW`";
    if sample.starts_with(b"\xff\xfe") || sample.starts_with(b"\xfe\xff") {
        return Err(format!("the file is UTF-16: {convert}"));
    }
    if sample.starts_with(b"PK\x03\x04") {
        return Err(
            "the file is a ZIP archive or a spreadsheet: unpack it, or save it as CSV".to_owned(),
        );
    }
    if sample.starts_with(b"\x1f\x8b") || sample.starts_with(b"\x28\xb5\x2f\xfd") {
        return Err("the file is compressed twice, or its name does not say how it is compressed: name it .gz or .zst".to_owned());
    }
    if sample.starts_with(b"PAR1") {
        return Err("the file is Parquet: name it .parquet".to_owned());
    }
    let zeros = memchr::memchr_iter(0, sample).count();
    if zeros * 4 > sample.len() {
        return Err(format!(
            "the file is UTF-16, UTF-32 or not text at all: {convert}"
        ));
    }
    Ok(legacy_of(sample))
}

/// The encoding that every line that is not ASCII is in, where it is another than UTF-8.
fn legacy_of(sample: &[u8]) -> Option<Legacy> {
    let (mut korean, mut western) = (0_usize, 0_usize);
    let is_last = |line: &[u8]| line.as_ptr_range().end == sample.as_ptr_range().end;
    for line in sample.split(|byte| *byte == b'\n' || *byte == b'\r') {
        match std::str::from_utf8(line) {
            Ok(text) if text.is_ascii() => {}
            // Some pairs of CP949 are characters of UTF-8, too.
            Ok(_) if is_korean(line) => {}
            Ok(_) => return None,
            Err(error) if error.error_len().is_none() && is_last(line) => {}
            Err(_) if is_korean(line) => korean += 1,
            Err(_) if is_western(line) => western += 1,
            // The sample may end within a character.
            Err(_) if is_last(line) => {}
            Err(_) => return None,
        }
    }
    match (korean, western) {
        // One row may be damaged; two are of a kind.
        (0, 2..) => Some(Legacy::Western),
        (1.., 0) => Some(Legacy::Korean),
        _ => None,
    }
}

/// Whether all that is not ASCII comes in the byte pairs of CP949, Hangul of EUC-KR among them.
fn is_korean(line: &[u8]) -> bool {
    let mut hangul = false;
    let mut rest = line;
    while let [first, after @ ..] = rest {
        if first.is_ascii() {
            rest = after;
            continue;
        }
        let Some((second, after)) = after.split_first() else {
            return false;
        };
        match (first, second) {
            (0xb0..=0xc8, 0xa1..=0xfe) => hangul = true,
            (0xa1..=0xfd, 0xa1..=0xfe) | (0x81..=0xc6, b'A'..=b'Z' | b'a'..=b'z' | 0x81..=0xfe) => {
            }
            _ => return false,
        }
        rest = after;
    }
    hangul
}

/// Whether all that is not ASCII are single letters within words, as in Latin-1: `M\xfcller`.
fn is_western(line: &[u8]) -> bool {
    let mut runs = line
        .chunk_by(|a, b| a.is_ascii() == b.is_ascii())
        .collect::<Vec<_>>()
        .into_iter()
        .peekable();
    let mut before = false;
    let mut found = false;
    while let Some(run) = runs.next() {
        if run.iter().all(u8::is_ascii) {
            before = run.last().is_some_and(u8::is_ascii_alphabetic);
            continue;
        }
        let after = runs.peek().and_then(|next| next.first());
        if run.len() > 2 || !(before || after.is_some_and(u8::is_ascii_alphabetic)) {
            return false;
        }
        found = true;
    }
    found
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn header(sample: &[u8]) -> (u8, Vec<String>, usize, u64) {
        let sniffed = sniff(sample, &|name| name.eq_ignore_ascii_case("person_id"))
            .unwrap()
            .unwrap();
        (
            sniffed.dialect.delimiter,
            sniffed.header,
            sniffed.dialect.header_bytes,
            sniffed.dialect.header_lines,
        )
    }

    #[test]
    fn delimiters() {
        let names = || vec!["person_id".to_owned(), "b".to_owned()];
        assert_eq!(header(b"person_id,b\n1,2\n"), (b',', names(), 12, 1));
        assert_eq!(header(b"person_id\tb\r\n1\t2\r\n"), (b'\t', names(), 13, 1));
        assert_eq!(
            header(b"\xef\xbb\xbf\"person_id\";\" b\"\n"),
            (b';', names(), 20, 1)
        );
        assert_eq!(header(b"\n\nperson_id|b"), (b'|', names(), 13, 2));
        assert_eq!(header(b"person_id,b\r1,2\r"), (b',', names(), 12, 1));
        // A known column decides, not the number of cells.
        assert_eq!(header(b"person_id,a|b|c|d\n").0, b',');
    }

    #[test]
    fn what_is_not_utf8_is_named() {
        let fails = |sample: &[u8]| sniff(sample, &|_| false).unwrap_err();
        assert!(fails(b"\xff\xfea\x00").contains("UTF-16"));
        assert!(fails(b"a\x00,\x00b\x00\n\x00").contains("UTF-16"));
        let korean = fails(b"person_id,name\n1,a\n2,\xb1\xe8\xc3\xb6\xbc\xf6\n");
        assert!(
            korean.starts_with("line 3, column `name` is not UTF-8")
                && korean.contains("iconv -f CP949"),
            "{korean}"
        );
        // A syllable that EUC-KR lacks, in the pairs that CP949 adds.
        assert!(fails(b"a,b\n1,\x8cc\xb9\xe6\xb0\xa2\n").contains("CP949"));
        let western = fails(b"id;name\n1;M\xfcller\n2;Caf\xe9\n");
        assert!(
            western.starts_with("line 2, column `name` is not UTF-8")
                && western.contains("iconv -f WINDOWS-1252"),
            "{western}"
        );
        let header = fails(b"id,\xc0\xcc\xb8\xa7\n1,\n");
        assert!(
            header.starts_with("line 1, column 2 is not UTF-8") && header.contains("CP949"),
            "{header}"
        );
        assert!(fails(b"PAR1\x15").contains("Parquet"));
        assert!(sniff(b"", &|_| false).unwrap().is_none());
        assert!(sniff(b"\xef\xbb\xbf", &|_| false).unwrap().is_none());
        // One broken row, and a sample that ends within a character, are not the file's fault.
        assert!(sniff(b"a,b\n1,\xff\xfe\n", &|_| false).is_ok());
        assert!(sniff(b"a,b\n1,M\xfcller\n2,b\n", &|_| false).is_ok());
        assert!(sniff("a,b\n1,김".as_bytes().split_last().unwrap().1, &|_| false).is_ok());
    }
}
