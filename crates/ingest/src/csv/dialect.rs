//! What a text file looks like: encoding, delimiter, line ends, header.

use super::tokenizer::Tokenizer;

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

/// Reads dialect and header from the first bytes of a file. `None` for an empty file.
///
/// `known` tells whether the table has a column of this name: it decides between delimiters.
/// An error says what is wrong with the file.
pub(crate) fn sniff(
    sample: &[u8],
    known: &dyn Fn(&str) -> bool,
) -> Result<Option<Sniffed>, String> {
    check_encoding(sample)?;
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
            let name = std::str::from_utf8(&name).map_err(|_| {
                "line 1: the header is not UTF-8: convert the file to UTF-8".to_owned()
            })?;
            header.push(name.trim().to_owned());
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
    Ok(best.map(|(_, _, sniffed)| sniffed))
}

/// Refuses what is not UTF-8 as a whole. A few broken rows are no reason: they are quarantined one by one.
fn check_encoding(sample: &[u8]) -> Result<(), String> {
    let convert = "convert it to UTF-8, for example with `iconv -t UTF-8`";
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
    let (mut valid, mut pairs, mut other) = (false, 0_usize, 0_usize);
    for line in sample.split(|byte| *byte == b'\n' || *byte == b'\r') {
        match std::str::from_utf8(line) {
            Ok(text) => valid |= !text.is_ascii(),
            // The sample may end within a character.
            Err(error)
                if error.error_len().is_none()
                    && line.as_ptr_range().end == sample.as_ptr_range().end => {}
            Err(_) if is_korean_pairs(line) => pairs += 1,
            Err(_) => other += 1,
        }
    }
    if !valid && pairs > 0 && other == 0 {
        return Err(format!(
            "the file is not UTF-8; it looks like EUC-KR or CP949: {}",
            convert.replace("iconv", "iconv -f CP949")
        ));
    }
    Ok(())
}

/// Whether all that is not ASCII comes in the byte pairs of Hangul in EUC-KR.
fn is_korean_pairs(line: &[u8]) -> bool {
    let runs = line.split(u8::is_ascii).filter(|run| !run.is_empty());
    let pair = |pair: &[u8]| matches!(pair, [0xb0..=0xc8 | 0xca..=0xfd | 0xa1..=0xac, 0xa1..=0xfe]);
    let mut runs = runs.peekable();
    runs.peek().is_some() && runs.all(|run| run.chunks(2).all(pair))
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
        assert!(fails(b"person_id,name\n1,\xb1\xe8\xc3\xb6\xbc\xf6\n").contains("CP949"));
        assert!(fails(b"PAR1\x15").contains("Parquet"));
        assert!(sniff(b"", &|_| false).unwrap().is_none());
        assert!(sniff(b"\xef\xbb\xbf", &|_| false).unwrap().is_none());
        // One broken row, and a sample that ends within a character, are not the file's fault.
        assert!(sniff(b"a,b\n1,\xff\xfe\n", &|_| false).is_ok());
        assert!(sniff("a,b\n1,김".as_bytes().split_last().unwrap().1, &|_| false).is_ok());
    }
}
