//! Tables between steps: Parquet files of one row group or more, read into plain columns.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, Date32Array, Float64Array, Int64Array, StringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Date32Type, Field, Float64Type, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::error::{Error, Result};

/// What a file is called while it is written.
pub(crate) fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    path.with_file_name(name)
}

/// Writes bytes so that a reader sees all of them or none. The file is its owner's alone: it may have rows of persons.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(private(), path, bytes)
}

/// The same for what is to be passed on, and has no rows of persons.
pub(crate) fn write_shared(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(File::options(), path, bytes)
}

fn write_with(mut options: OpenOptions, path: &Path, bytes: &[u8]) -> Result<()> {
    let wrong = |source| Error::Write {
        path: path.to_owned(),
        source,
    };
    let part = unfinished(path);
    // What a killed run left may be open to others.
    let _ = fs::remove_file(&part);
    let file = options.write(true).create(true).truncate(true).open(&part);
    file.and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    })
    .map_err(wrong)?;
    fs::rename(&part, path).map_err(wrong)
}

fn private() -> OpenOptions {
    let mut options = File::options();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options
}

/// Writes a table; the same rows give the same bytes.
pub(crate) fn write(path: &Path, batch: &RecordBatch) -> Result<()> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by("columna".to_owned())
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties))?;
    writer.write(batch)?;
    writer.close()?;
    write_bytes(path, &bytes)
}

/// Reads a table whole.
pub(crate) fn read(path: &Path) -> Result<RecordBatch> {
    let file = File::open(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let schema = std::sync::Arc::clone(reader.schema());
    let batches = reader
        .with_batch_size(1 << 16)
        .build()?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

/// A column of whole numbers; `None` for NULL.
pub(crate) fn integers(batch: &RecordBatch, name: &str) -> Result<Vec<Option<i64>>> {
    let column = typed(batch, name, &DataType::Int64)?;
    Ok(column.as_primitive::<Int64Type>().iter().collect())
}

/// A column of days since 1970.
pub(crate) fn days(batch: &RecordBatch, name: &str) -> Result<Vec<Option<i32>>> {
    let column = typed(batch, name, &DataType::Date32)?;
    Ok(column.as_primitive::<Date32Type>().iter().collect())
}

/// A column of numbers; NaN for NULL.
pub(crate) fn numbers(batch: &RecordBatch, name: &str) -> Result<Vec<f64>> {
    let column = typed(batch, name, &DataType::Float64)?;
    Ok(column
        .as_primitive::<Float64Type>()
        .iter()
        .map(|value| value.unwrap_or(f64::NAN))
        .collect())
}

/// A column of text.
pub(crate) fn texts(batch: &RecordBatch, name: &str) -> Result<Vec<Option<String>>> {
    let column = typed(batch, name, &DataType::Utf8)?;
    Ok(column
        .as_string::<i32>()
        .iter()
        .map(|text| text.map(str::to_owned))
        .collect())
}

fn typed(batch: &RecordBatch, name: &str, wanted: &DataType) -> Result<ArrayRef> {
    let column = batch.column_by_name(name).ok_or_else(|| {
        arrow::error::ArrowError::SchemaError(format!("there is no column `{name}`"))
    })?;
    Ok(cast(column, wanted)?)
}

/// A table from columns.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    fields: Vec<Field>,
    arrays: Vec<ArrayRef>,
}

impl Columns {
    fn add(mut self, name: &str, array: ArrayRef, nullable: bool) -> Self {
        self.fields
            .push(Field::new(name, array.data_type().clone(), nullable));
        self.arrays.push(array);
        self
    }

    pub(crate) fn integers(self, name: &str, values: Vec<i64>) -> Self {
        self.add(name, std::sync::Arc::new(Int64Array::from(values)), false)
    }

    pub(crate) fn optional_integers(self, name: &str, values: Vec<Option<i64>>) -> Self {
        self.add(name, std::sync::Arc::new(Int64Array::from(values)), true)
    }

    pub(crate) fn days(self, name: &str, values: Vec<i32>) -> Self {
        self.add(name, std::sync::Arc::new(Date32Array::from(values)), false)
    }

    pub(crate) fn optional_days(self, name: &str, values: Vec<Option<i32>>) -> Self {
        self.add(name, std::sync::Arc::new(Date32Array::from(values)), true)
    }

    /// NaN becomes NULL.
    pub(crate) fn numbers(self, name: &str, values: Vec<f64>) -> Self {
        let array: Float64Array = values
            .into_iter()
            .map(|value| (!value.is_nan()).then_some(value))
            .collect();
        self.add(name, std::sync::Arc::new(array), true)
    }

    pub(crate) fn texts(self, name: &str, values: Vec<String>) -> Self {
        self.add(name, std::sync::Arc::new(StringArray::from(values)), false)
    }

    pub(crate) fn batch(self) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(
            std::sync::Arc::new(Schema::new(self.fields)),
            self.arrays,
        )?)
    }
}
