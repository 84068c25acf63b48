//! Printers: results in every format, batch by batch, over any writer.

pub(crate) mod cells;
pub(crate) mod columnar;
pub(crate) mod delimited;
pub(crate) mod json;
pub(crate) mod markdown;
pub(crate) mod sink;
pub(crate) mod table;

use std::io::{self, Write};

use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use parquet::errors::ParquetError;

use crate::args::Format;
use crate::error::CliError;

/// Prints one result.
pub(crate) trait Printer {
    /// Prints some rows.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), CliError>;
    /// Prints what is left.
    fn finish(&mut self) -> Result<(), CliError>;
}

/// How a result is printed, apart from its format.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Style {
    /// Lines of the character set beyond ASCII, in tables.
    pub(crate) box_drawing: bool,
    /// Colour, in tables.
    pub(crate) colour: bool,
    /// The output is a file of its own, not a stream.
    pub(crate) file: bool,
}

/// A printer of `format` for results of `schema`.
pub(crate) fn printer(
    format: Format,
    schema: &SchemaRef,
    out: Box<dyn Write + Send>,
    style: Style,
) -> Result<Box<dyn Printer>, CliError> {
    if matches!(format, Format::Json | Format::Ndjson | Format::Parquet) {
        distinct_names(format, schema)?;
    }
    Ok(match format {
        Format::Table => Box::new(table::TablePrinter::new(schema, out, style)),
        Format::Csv => Box::new(delimited::DelimitedPrinter::new(schema, out, b',')?),
        Format::Tsv => Box::new(delimited::DelimitedPrinter::new(schema, out, b'\t')?),
        Format::Json => Box::new(json::JsonPrinter::array(out)?),
        Format::Ndjson => Box::new(json::JsonPrinter::lines(out)),
        Format::Markdown => Box::new(markdown::MarkdownPrinter::new(schema, out)?),
        Format::Parquet => Box::new(columnar::ParquetPrinter::new(schema, out)?),
        Format::Arrow => Box::new(columnar::ArrowPrinter::new(schema, out, style.file)?),
    })
}

/// Readers keep one of two columns with the same name, and say nothing.
fn distinct_names(format: Format, schema: &SchemaRef) -> Result<(), CliError> {
    let mut names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        None => Ok(()),
        Some(pair) => Err(CliError::failed(format!(
            "two columns of this result are named `{}`, and {} can hold one",
            pair[0],
            format.name()
        ))
        .hint("name them apart with `AS`")),
    }
}

/// An Arrow error while printing: the I/O error inside it keeps its meaning.
pub(crate) fn arrow_error(error: ArrowError) -> CliError {
    match error {
        ArrowError::IoError(_, error) => CliError::from(error),
        ArrowError::ExternalError(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => CliError::from(*error),
            Err(inner) => CliError::engine(inner.as_ref()),
        },
        other => CliError::failed(format!("cannot print this result: {other}")),
    }
}

/// A Parquet error while printing: the I/O error inside it keeps its meaning.
pub(crate) fn parquet_error(error: ParquetError) -> CliError {
    match error {
        ParquetError::External(inner) => match inner.downcast::<io::Error>() {
            Ok(error) => CliError::from(*error),
            Err(inner) => CliError::engine(inner.as_ref()),
        },
        other => CliError::failed(format!("cannot write this result as Parquet: {other}"))
            .hint("cast the column to a type that Parquet has, or choose another `--format`"),
    }
}
