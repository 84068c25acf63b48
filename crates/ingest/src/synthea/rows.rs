//! The rows of a text file one after the other, for what has to be known before all others.

use std::sync::Arc;

use columna_model::progress::{Progress, Silent};

use super::header::{Header, Row};
use crate::csv::{BlockError, Dialect, TextBlock, TextBlocks, Tokenizer};
use crate::files::{Text, cannot_read, sniff_file};
use crate::source::{Encoding, SourceFile};
use crate::{Error, Result};

/// Bytes of text that are looked through at once.
const BLOCK: usize = 1 << 20;

/// Dialect and header of a file; `None` for an empty one.
pub(super) fn header(file: &SourceFile) -> Result<Option<(Dialect, Header)>> {
    let Encoding::Text(compression) = file.encoding else {
        return Err(Error::bad_file(
            &file.name,
            "Parquet among CSV files: Synthea's export and the vocabulary for it are read as CSV",
        ));
    };
    let sniffed = sniff_file(file, compression, &|_| false)?;
    Ok(sniffed.map(|sniffed| (sniffed.dialect, Header::new(sniffed.header))))
}

/// Calls `each` with the rows of a file that have the shape of its header.
pub(super) fn for_each(
    file: &SourceFile,
    dialect: Dialect,
    header: &Header,
    each: &mut dyn FnMut(&Row<'_, '_>) -> Result<()>,
) -> Result<()> {
    let Encoding::Text(compression) = file.encoding else {
        return Ok(());
    };
    let silent: Arc<dyn Progress> = Arc::new(Silent);
    let text = Text::open(file, compression, &silent)?;
    let mut blocks = TextBlocks::new(text, dialect, BLOCK, false);
    while let Some(TextBlock { bytes, .. }) =
        blocks.next().map_err(|error| refused(file, &error))?
    {
        let mut tokenizer = Tokenizer::new(&bytes, dialect.delimiter);
        let mut cells = Vec::with_capacity(header.names().len());
        while let Some(record) = tokenizer.next(&mut cells) {
            if record.fault.is_none() && record.cells >= header.names().len() {
                each(&Row {
                    block: &bytes,
                    cells: &cells,
                })?;
            }
            cells.clear();
        }
    }
    Ok(())
}

fn refused(file: &SourceFile, error: &BlockError) -> Error {
    match error {
        BlockError::Read(error, line) => cannot_read(file, error, *line),
        BlockError::TooLong(line) => Error::bad_file(
            &file.name,
            format!("the record on line {line} does not end: the file is damaged"),
        ),
    }
}
