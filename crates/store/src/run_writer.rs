//! Writes a sorted run to a Parquet file: order checked, hashed on the way, durable at the end.

use std::cmp::Ordering;
use std::fs::File;
use std::io::Write;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::array::{DynComparator, make_comparator};
use arrow::compute::{SortOptions, max, min};
use arrow::datatypes::Int64Type;
use columna_model::BucketId;
use parquet::arrow::ArrowWriter;

use crate::backend::{Backend, NewFile};
use crate::encryption::{Covered, Encryption, FileEncryption, FileKey, KeyId, seal};
use crate::file_id;
use crate::layout::Layout;
use crate::manifest::FileEntry;
use crate::parquet_options;
use crate::table_spec::{TableSpec, folder};
use crate::{Error, Result};

/// Ascending, nulls last: the order of every table, and DataFusion's default.
pub(crate) const ORDER: SortOptions = SortOptions {
    descending: false,
    nulls_first: false,
};

/// The folder of copies in other orders.
pub(crate) const PROJECTIONS: &str = "projections";

/// Writes one file of one table and bucket.
pub(crate) struct RunWriter<'a> {
    backend: &'a Backend,
    spec: &'a TableSpec,
    layout: Layout,
    /// What of the table is encrypted, and under which key.
    encryption: Option<(KeyId, Covered)>,
    bucket: Option<BucketId>,
    /// The column of the copy that is written, where it is one.
    by: Option<&'a str>,
    sort: Vec<usize>,
    person: Option<usize>,
    open: Option<Open>,
    rows: u64,
    last: Option<RecordBatch>,
    min_person: Option<i64>,
    max_person: Option<i64>,
}

struct Open {
    path: String,
    key: Option<FileKey>,
    writer: ArrowWriter<Hashing>,
}

impl<'a> RunWriter<'a> {
    pub(crate) fn new(
        backend: &'a Backend,
        spec: &'a TableSpec,
        layout: Layout,
        encryption: Option<&Encryption>,
        bucket: Option<BucketId>,
    ) -> Result<Self> {
        Ok(Self {
            encryption: encryption
                .map(|e| (e.key.clone(), e.covers(spec)))
                .filter(|(_, covered)| *covered != Covered::Nothing),
            backend,
            layout,
            bucket,
            by: None,
            sort: spec.sort_positions()?,
            person: spec.person_position()?,
            spec,
            open: None,
            rows: 0,
            last: None,
            min_person: None,
            max_person: None,
        })
    }

    /// Writes a copy of a table's file: `spec` is the table with its order changed to begin with the column `by`.
    pub(crate) fn copy_by(mut self, by: &'a str) -> Self {
        self.by = Some(by);
        self
    }

    /// Writes rows that come after all rows before.
    pub(crate) fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.check_order(batch)?;
        self.note_persons(batch)?;
        self.rows += batch.num_rows() as u64;
        let table = &self.spec.name;
        let open = match &mut self.open {
            Some(open) => open,
            none => none.insert(begin(
                self.backend,
                self.spec,
                self.layout,
                self.encryption.as_ref(),
                (self.by, self.bucket),
                batch,
            )?),
        };
        open.writer
            .write(batch)
            .map_err(|e| Error::parquet(table, e))
    }

    /// Ends the file. None when there were no rows, and so no file.
    pub(crate) fn finish(mut self) -> Result<Option<FileEntry>> {
        let Some(open) = self.open.take() else {
            return Ok(None);
        };
        let path = open.path.clone();
        let ended = self.end(open);
        if ended.is_err() {
            // Best effort: what is left is found by vacuum.
            let _ = self.backend.discard_file(&path);
        }
        ended.map(Some)
    }

    fn end(&self, open: Open) -> Result<FileEntry> {
        let into_inner = open.writer.into_inner();
        let hashing = into_inner.map_err(|e| Error::parquet(&self.spec.name, e))?;
        let mut entry = FileEntry {
            path: open.path.clone(),
            bucket: self.bucket,
            rows: self.rows,
            bytes: hashing.bytes,
            min_person: self.min_person,
            max_person: self.max_person,
            blake3: hashing.hasher.finalize().to_hex().to_string(),
            encryption: self
                .encryption
                .as_ref()
                .map(|(key, covered)| FileEncryption {
                    key: key.clone(),
                    columns: covered.columns().to_vec(),
                    persons: None,
                }),
            projections: Vec::new(),
        };
        if let (Some(key), Some(encryption), Some(person)) =
            (&open.key, &entry.encryption, &self.spec.person_key)
            && encryption.covers(person)
        {
            seal(key, &mut entry)?;
        }
        self.backend.finish_file(NewFile {
            path: open.path,
            file: hashing.file,
        })?;
        Ok(entry)
    }

    /// Removes what was written so far.
    pub(crate) fn discard(mut self) {
        if let Some(open) = self.open.take() {
            let path = open.path.clone();
            drop(open);
            // Best effort: what is left is found by vacuum.
            let _ = self.backend.discard_file(&path);
        }
    }

    fn check_order(&mut self, batch: &RecordBatch) -> Result<()> {
        if let Some(last) = &self.last
            && compare(&self.sort, last, batch).map_err(|e| Error::arrow(&self.spec.name, e))?(0, 0)
                == Ordering::Greater
        {
            return Err(self.out_of_order());
        }
        if !is_sorted(&self.sort, batch).map_err(|e| Error::arrow(&self.spec.name, e))? {
            return Err(self.out_of_order());
        }
        self.last = Some(batch.slice(batch.num_rows() - 1, 1));
        Ok(())
    }

    fn out_of_order(&self) -> Error {
        Error::OutOfOrder {
            table: self.spec.name.clone(),
            bucket: self.bucket,
            order: self.spec.sort.join(", "),
        }
    }

    /// Where rows are in order of persons, the first and the last say the range.
    fn note_persons(&mut self, batch: &RecordBatch) -> Result<()> {
        let Some(person) = self.person else {
            return Ok(());
        };
        let persons = batch
            .column(person)
            .as_primitive_opt::<Int64Type>()
            .ok_or_else(|| {
                Error::engine(format!(
                    "the person key of table `{}` is not Int64",
                    self.spec.name
                ))
            })?;
        if persons.null_count() > 0 {
            return Err(Error::engine(format!(
                "rows of table `{}` have no {}",
                self.spec.name,
                self.spec.sort.first().map_or("person", String::as_str)
            )));
        }
        let (first, last) = if self.by.is_some() {
            (min(persons), max(persons))
        } else {
            let last = persons.value(persons.len() - 1);
            (Some(persons.value(0)), Some(last))
        };
        self.min_person = self.min_person.into_iter().chain(first).min();
        self.max_person = self.max_person.into_iter().chain(last).max();
        Ok(())
    }
}

fn begin(
    backend: &Backend,
    spec: &TableSpec,
    layout: Layout,
    encryption: Option<&(KeyId, Covered)>,
    (by, bucket): (Option<&str>, Option<BucketId>),
    first: &RecordBatch,
) -> Result<Open> {
    let place = bucket.map_or_else(|| "all".to_owned(), |b| format!("{:05}", b.0));
    let (table, id) = (folder(&spec.name), file_id::new());
    // Copies lie apart, so that who reads `tables` with other tools finds each row once.
    let path = match by {
        None => format!("tables/{table}/{place}/{id}.parquet"),
        Some(by) => format!(
            "{PROJECTIONS}/{table}/by_{}/{place}/{id}.parquet",
            folder(by)
        ),
    };
    let key = encryption
        .map(|(key, _)| FileKey::new(key, backend.keys(), &path))
        .transpose()?;
    let encrypted = encryption
        .zip(key.as_ref())
        .map(|((_, covered), key)| (covered, key));
    let options = parquet_options::of(spec, layout, encrypted, first)?;
    let new = backend.create_file(path)?;
    let hashing = Hashing {
        file: new.file,
        hasher: blake3::Hasher::new(),
        bytes: 0,
    };
    let writer = ArrowWriter::try_new(hashing, first.schema(), Some(options));
    Ok(Open {
        path: new.path,
        key,
        writer: writer.map_err(|e| Error::parquet(&spec.name, e))?,
    })
}

/// A file that knows its size and hash.
struct Hashing {
    file: File,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

type ArrowResult<T> = Result<T, arrow::error::ArrowError>;

/// Compares a row of one batch with a row of another by the sort columns.
fn compare(sort: &[usize], left: &RecordBatch, right: &RecordBatch) -> ArrowResult<DynComparator> {
    let columns: Vec<DynComparator> = sort
        .iter()
        .map(|&at| make_comparator(left.column(at), right.column(at), ORDER))
        .collect::<ArrowResult<_>>()?;
    Ok(Box::new(move |l, r| {
        let unequal = columns.iter().map(|c| c(l, r)).find(|o| o.is_ne());
        unequal.unwrap_or(Ordering::Equal)
    }))
}

/// Whether a batch is in the order of the sort columns.
pub(crate) fn is_sorted(sort: &[usize], batch: &RecordBatch) -> ArrowResult<bool> {
    let compare = compare(sort, batch, batch)?;
    Ok((1..batch.num_rows()).all(|row| compare(row - 1, row).is_le()))
}

/// Whether the first row of a batch does not come before the last row of another.
pub(crate) fn follows(
    sort: &[usize],
    before: &RecordBatch,
    after: &RecordBatch,
) -> ArrowResult<bool> {
    if before.num_rows() == 0 || after.num_rows() == 0 {
        return Ok(true);
    }
    Ok(compare(sort, before, after)?(before.num_rows() - 1, 0).is_le())
}
