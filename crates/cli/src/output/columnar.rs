//! Parquet and Arrow IPC, streamed: memory holds one row group, or one batch.

use std::io::Write;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::error::CliError;

use super::{Printer, arrow_error, parquet_error};

/// Rows of a row group: what memory holds.
const ROW_GROUP_ROWS: usize = 120_000;

/// The types that every reader knows, in parts of others too. Views and dictionaries would also have their whole
/// buffers written, and in those may be rows that are not shown.
fn plain_type(kind: &DataType) -> DataType {
    let part = |field: &FieldRef| Arc::new(plain_field(field));
    match kind {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::List(item) | DataType::ListView(item) => DataType::List(part(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => {
            DataType::LargeList(part(item))
        }
        DataType::FixedSizeList(item, size) => DataType::FixedSizeList(part(item), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(part).collect()),
        DataType::Map(entries, sorted) => DataType::Map(part(entries), *sorted),
        other => other.clone(),
    }
}

/// A key of DataFusion's own would only puzzle readers.
fn plain_field(field: &FieldRef) -> Field {
    Field::new(
        field.name(),
        plain_type(field.data_type()),
        field.is_nullable(),
    )
}

fn plain_schema(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<Field> = schema.fields().iter().map(plain_field).collect();
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
    of_columns(schema, columns, batch.num_rows())
}

/// Rows of columns, of which there may be none.
fn of_columns(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, CliError> {
    let options = arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(SchemaRef::clone(schema), columns, &options)
        .map_err(arrow_error)
}

/// Buffers are written whole, with what was computed under NULLs or lay there before.
fn blanked_batch(batch: &RecordBatch) -> Result<RecordBatch, CliError> {
    let columns = batch
        .columns()
        .iter()
        .map(columna_privacy::blanked)
        .collect::<Result<_, _>>()
        .map_err(arrow_error)?;
    of_columns(batch.schema_ref(), columns, batch.num_rows())
}

/// Prints Parquet, with zstd. Of NULLs it has no values.
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
        let batch = blanked_batch(&plain_batch(&self.schema, batch)?)?;
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
    use arrow::array::{
        Array, DictionaryArray, FixedSizeListArray, Int64Array, ListArray, MapArray, StringArray,
        StringViewArray, StructArray,
    };
    use arrow::buffer::{NullBuffer, OffsetBuffer};
    use arrow::datatypes::Int32Type;
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

    /// Views, slices and dictionaries have the texts of other rows behind them.
    #[test]
    fn nothing_is_written_but_the_rows_of_the_batch() {
        let (shown, hidden) = ("a text of a row shown", "a text of a row hidden");
        let views: ArrayRef = Arc::new(StringViewArray::from(vec![shown, hidden]));
        let texts: ArrayRef = Arc::new(StringArray::from(vec![shown, hidden]));
        let words: DictionaryArray<Int32Type> = vec![shown, hidden].into_iter().collect();
        let words: ArrayRef = Arc::new(words);
        let named = |name: &str, values: &ArrayRef| {
            Arc::new(Field::new(name, values.data_type().clone(), true))
        };
        let mut columns = Vec::new();
        for values in [views, texts, words] {
            let item = named("item", &values);
            let each = || OffsetBuffer::from_lengths([1, 1]);
            let list = ListArray::new(Arc::clone(&item), each(), Arc::clone(&values), None);
            let list: ArrayRef = Arc::new(list);
            let fixed = FixedSizeListArray::new(item, 1, Arc::clone(&values), None);
            let parts = vec![
                (named("a", &values), Arc::clone(&values)),
                (named("b", &list), Arc::clone(&list)),
            ];
            let parts = StructArray::from(parts);
            let keys: ArrayRef = Arc::new(StringArray::from(vec!["k", "k"]));
            let key = Arc::new(Field::new("keys", DataType::Utf8, false));
            let entries = StructArray::from(vec![
                (key, keys),
                (named("values", &values), Arc::clone(&values)),
            ]);
            let of = Field::new("entries", entries.data_type().clone(), false);
            let map = MapArray::new(Arc::new(of), each(), entries, None, false);
            columns.extend([
                values,
                list,
                Arc::new(fixed),
                Arc::new(parts),
                Arc::new(map),
            ]);
        }
        for column in columns {
            let kind = column.data_type().clone();
            let whole = RecordBatch::try_from_iter([("c", column)]).expect("a batch");
            let batch = whole.slice(0, 1);
            for file in [true, false] {
                let mut out = Vec::new();
                let mut printer =
                    ArrowPrinter::new(&batch.schema(), &mut out, file).expect("start");
                printer.write(&batch).expect("rows");
                printer.finish().expect("end");
                drop(printer);
                let says = |text: &str| out.windows(text.len()).any(|at| at == text.as_bytes());
                assert!(says(shown), "{kind}");
                assert!(!says(hidden), "{kind}");
            }
        }
    }

    /// A NULL is written as zero, whatever is under it.
    #[test]
    fn nothing_is_written_of_what_lies_under_a_null() {
        let nulls = || Some(NullBuffer::from(vec![true, false]));
        let (shown, under) = (0x1122_3344_5566_7788_i64, 0x0a0b_0c0d_0e0f_1011_i64);
        let text = "a text under a NULL";
        let numbers: ArrayRef = Arc::new(Int64Array::new(vec![shown, under].into(), nulls()));
        let texts = StringArray::from(vec!["a text shown", text]);
        let (offsets, values, _) = texts.into_parts();
        let texts: ArrayRef = Arc::new(StringArray::new(offsets, values, nulls()));
        let field = Arc::new(Field::new("n", DataType::Int64, true));
        let parts = StructArray::from(vec![(field, Arc::clone(&numbers))]);
        let columns = [numbers, texts, Arc::new(parts)];
        for column in columns {
            let batch = RecordBatch::try_from_iter([("c", column)]).expect("a batch");
            for file in [true, false] {
                let mut out = Vec::new();
                let mut printer =
                    ArrowPrinter::new(&batch.schema(), &mut out, file).expect("start");
                printer.write(&batch).expect("rows");
                printer.finish().expect("end");
                drop(printer);
                let says = |bytes: &[u8]| out.windows(bytes.len()).any(|at| at == bytes);
                assert!(says(&shown.to_le_bytes()) || says(b"a text shown"));
                assert!(!says(&under.to_le_bytes()) && !says(text.as_bytes()));
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
