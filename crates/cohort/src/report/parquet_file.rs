//! The cohort as a Parquet file.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::error::{Error, Result};
use crate::exec::Member;

/// The columns of a cohort.
#[must_use]
pub fn schema() -> SchemaRef {
    let field = |name: &str, kind| Field::new(name, kind, false);
    Arc::new(Schema::new(vec![
        field("cohort_definition_id", DataType::Int64),
        field("subject_id", DataType::Int64),
        field("cohort_start_date", DataType::Date32),
        field("cohort_end_date", DataType::Date32),
    ]))
}

/// Members as rows.
///
/// # Errors
/// Never for members of a run.
pub fn batch(members: &[Member]) -> Result<RecordBatch> {
    let integers = |of: fn(&Member) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(members.iter().map(of)))
    };
    let days = |of: fn(&Member) -> i32| -> ArrayRef {
        Arc::new(Date32Array::from_iter_values(members.iter().map(of)))
    };
    RecordBatch::try_new(
        schema(),
        vec![
            integers(|m| m.cohort_definition_id),
            integers(|m| m.subject_id),
            days(|m| m.start),
            days(|m| m.end),
        ],
    )
    .map_err(|e| Error::engine(format!("cohort rows: {e}")))
}

/// A Parquet file that members are written to. It has its name only once it is whole, and is its owner's alone.
#[derive(Debug)]
pub struct CohortFile {
    path: PathBuf,
    partial: PathBuf,
    writer: ArrowWriter<File>,
}

impl CohortFile {
    /// Begins a file.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: &Path) -> Result<Self> {
        let partial = path.with_extension("parquet.partial");
        let file = private(&partial).map_err(|e| Error::io(&partial, e))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .build();
        let writer = ArrowWriter::try_new(file, schema(), Some(properties))
            .map_err(|e| Error::parquet(&partial.display().to_string(), e))?;
        Ok(Self {
            path: path.to_owned(),
            partial,
            writer,
        })
    }

    /// What the file is called until it is whole.
    #[must_use]
    pub fn partial(&self) -> &Path {
        &self.partial
    }

    /// Adds members.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(&mut self, members: &[Member]) -> Result<()> {
        self.writer
            .write(&batch(members)?)
            .map_err(|e| Error::parquet(&self.partial.display().to_string(), e))
    }

    /// Ends the file and gives it its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self) -> Result<()> {
        self.writer
            .close()
            .map_err(|e| Error::parquet(&self.partial.display().to_string(), e))?;
        fs::rename(&self.partial, &self.path).map_err(|e| Error::io(&self.path, e))
    }
}

/// A new file that nobody else can read: it names persons.
fn private(path: &Path) -> io::Result<File> {
    // What a killed run left may be open to others.
    let _ = fs::remove_file(path);
    let mut options = File::options();
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    options.write(true).create(true).truncate(true).open(path)
}
