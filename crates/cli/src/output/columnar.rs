//! Parquet and Arrow IPC, streamed: memory holds one row group, or one batch.

use std::io::Write;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::error::CliError;

use super::{Printer, arrow_error, parquet_error};

/// Rows of a row group: what memory holds.
const ROW_GROUP_ROWS: usize = 120_000;

/// String views become plain strings, which every reader knows.
fn plain_schema(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| {
            let plain = match field.data_type() {
                DataType::Utf8View => DataType::Utf8,
                DataType::BinaryView => DataType::Binary,
                other => other.clone(),
            };
            // A key of DataFusion's own would only puzzle readers.
            Field::new(field.name(), plain, field.is_nullable())
        })
        .collect();
    Arc::new(Schema::new(fields))
}

fn plain_batch(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, CliError> {
    let columns: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| {
            if column.data_type() == field.data_type() {
                Ok(ArrayRef::clone(column))
            } else {
                cast(column, field.data_type())
            }
        })
        .collect::<Result<_, _>>()
        .map_err(arrow_error)?;
    let options =
        arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(SchemaRef::clone(schema), columns, &options)
        .map_err(arrow_error)
}

/// Prints Parquet, with zstd.
pub(crate) struct ParquetPrinter<W: Write + Send> {
    schema: SchemaRef,
    writer: ArrowWriter<W>,
}

impl<W: Write + Send> std::fmt::Debug for ParquetPrinter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetPrinter")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl<W: Write + Send> ParquetPrinter<W> {
    /// Starts a file.
    pub(crate) fn new(schema: &SchemaRef, out: W) -> Result<Self, CliError> {
        let schema = plain_schema(schema);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(
                ZstdLevel::try_new(3).map_err(parquet_error)?,
            ))
            .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
            .set_created_by(concat!("columna ", env!("CARGO_PKG_VERSION")).to_owned())
            .build();
        let writer = ArrowWriter::try_new(out, SchemaRef::clone(&schema), Some(properties))
            .map_err(parquet_error)?;
        Ok(Self { schema, writer })
    }
}

impl<W: Write + Send> Printer for ParquetPrinter<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        let batch = plain_batch(&self.schema, batch)?;
        self.writer.write(&batch).map_err(parquet_error)
    }

    fn finish(&mut self) -> Result<(), CliError> {
        self.writer.finish().map(|_| ()).map_err(parquet_error)
    }
}

/// Prints Arrow IPC.
pub(crate) struct ArrowPrinter<W: Write> {
    schema: SchemaRef,
    writer: ArrowWriterKind<W>,
}

enum ArrowWriterKind<W: Write> {
    File(Box<FileWriter<W>>),
    Stream(Box<StreamWriter<W>>),
}

impl<W: Write> std::fmt::Debug for ArrowPrinter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArrowPrinter")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

impl<W: Write> ArrowPrinter<W> {
    /// Starts a file, or a stream.
    pub(crate) fn new(schema: &SchemaRef, out: W, file: bool) -> Result<Self, CliError> {
        let schema = plain_schema(schema);
        let writer = if file {
            ArrowWriterKind::File(Box::new(
                FileWriter::try_new(out, &schema).map_err(arrow_error)?,
            ))
        } else {
            ArrowWriterKind::Stream(Box::new(
                StreamWriter::try_new(out, &schema).map_err(arrow_error)?,
            ))
        };
        Ok(Self { schema, writer })
    }
}

impl<W: Write> Printer for ArrowPrinter<W> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), CliError> {
        let batch = plain_batch(&self.schema, batch)?;
        match &mut self.writer {
            ArrowWriterKind::File(writer) => writer.write(&batch),
            ArrowWriterKind::Stream(writer) => writer.write(&batch),
        }
        .map_err(arrow_error)
    }

    fn finish(&mut self) -> Result<(), CliError> {
        match &mut self.writer {
            ArrowWriterKind::File(writer) => writer.finish().and_then(|()| writer.flush()),
            ArrowWriterKind::Stream(writer) => writer.finish().and_then(|()| writer.flush()),
        }
        .map_err(arrow_error)
    }
}

#[cfg(test)]
#[expect(clippy::expect_used, reason = "a test may end at the first surprise")]
mod tests {
    use super::*;
    use crate::output::table::tests::{nested_batch, sample_batch};
    use arrow::ipc::reader::{FileReader, StreamReader};
    use std::io::Cursor;

    #[test]
    fn arrow_files_and_streams_come_back_as_they_were() {
        for batch in [sample_batch(), nested_batch()] {
            for file in [true, false] {
                let mut out = Vec::new();
                let mut printer =
                    ArrowPrinter::new(&batch.schema(), &mut out, file).expect("start");
                printer.write(&batch).expect("rows");
                printer.finish().expect("end");
                drop(printer);
                let back = if file {
                    FileReader::try_new(Cursor::new(out), None)
                        .expect("file")
                        .next()
                } else {
                    StreamReader::try_new(Cursor::new(out), None)
                        .expect("stream")
                        .next()
                };
                let back = back.expect("a batch").expect("readable");
                assert_eq!(back.columns(), batch.columns());
            }
        }
    }

    #[test]
    fn an_empty_parquet_file_has_its_columns() {
        let batch = sample_batch();
        let mut out = Vec::new();
        let mut printer = ParquetPrinter::new(&batch.schema(), &mut out).expect("start");
        printer.finish().expect("end");
        drop(printer);
        assert_eq!(&out[out.len() - 4..], b"PAR1");
    }
}
