//! What the store already has: rows of its tables, a few columns at a time.

use arrow::array::RecordBatch;
use columna_store::{FileEntry, Snapshot, Store};
use futures::StreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::statistics::Statistics;

use super::keys::{KeyRange, RepeatedKeys};
use super::people::PeopleBuilder;
use super::spill::SpillFolder;
use crate::{Error, Result};

/// The persons that the store has already.
pub(crate) async fn stored_people(store: &Store, snapshot: &Snapshot) -> Result<PeopleBuilder> {
    const COLUMNS: [&str; 7] = [
        "person_id",
        "year_of_birth",
        "month_of_birth",
        "day_of_birth",
        "birth_datetime",
        "death_date",
        "death_datetime",
    ];
    let mut people = PeopleBuilder::default();
    for table in ["person", "death"] {
        for file in files(snapshot, table) {
            let rows = open(store, file).await?;
            read(rows, &COLUMNS, file, |batch| {
                people.add(table, batch, "person_id");
                Ok(())
            })
            .await?;
        }
    }
    Ok(people)
}

/// A counter of repeated keys that knows those which the store has within the range of the delivery's. Row groups
/// beyond it, as good as all where keys only grow, are not read.
pub(crate) async fn known_keys(
    store: &Store,
    snapshot: &Snapshot,
    table: &str,
    key: &str,
    mut range: KeyRange,
    memory: usize,
    folder: &SpillFolder,
) -> Result<RepeatedKeys> {
    let mut near = Vec::new();
    for file in files(snapshot, table) {
        let rows = open(store, file).await?;
        let mut groups = Vec::new();
        for (at, group) in rows.metadata().row_groups().iter().enumerate() {
            if bounds(group, key).is_none_or(|(least, most)| range.meets(least, most)) {
                range.expect(group.num_rows().unsigned_abs());
                groups.push(at);
            }
        }
        if !groups.is_empty() {
            near.push((file, rows.with_row_groups(groups)));
        }
    }
    let mut keys = RepeatedKeys::new(range, memory, folder)?;
    for (file, rows) in near {
        read(rows, &[key], file, |batch| {
            keys.know(batch)
                .map_err(|error| Error::io("temporary keys", error))
        })
        .await?;
    }
    keys.forgive()?;
    Ok(keys)
}

fn files<'a>(snapshot: &'a Snapshot, table: &str) -> &'a [FileEntry] {
    snapshot
        .table(table)
        .map_or(&[][..], |version| &version.files)
}

#[expect(
    deprecated,
    reason = "the reader that replaces it is an example to copy, not a type of the library"
)]
type Rows = ParquetRecordBatchStreamBuilder<parquet::arrow::async_reader::ParquetObjectReader>;

#[expect(deprecated, reason = "as above")]
async fn open(store: &Store, file: &FileEntry) -> Result<Rows> {
    let reader = parquet::arrow::async_reader::ParquetObjectReader::new(
        store.object_store(),
        store.location(file),
    );
    let options = store.reader_options(file)?;
    ParquetRecordBatchStreamBuilder::new_with_options(reader, options)
        .await
        .map_err(|_| damaged(file))
}

async fn read(
    rows: Rows,
    columns: &[&str],
    file: &FileEntry,
    mut take: impl FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    let mask = ProjectionMask::columns(rows.parquet_schema(), columns.iter().copied());
    let mut batches = rows
        .with_projection(mask)
        .build()
        .map_err(|_| damaged(file))?;
    while let Some(batch) = batches.next().await {
        take(&batch.map_err(|_| damaged(file))?)?;
    }
    Ok(())
}

fn damaged(file: &FileEntry) -> Error {
    Error::engine(format!(
        "file {} of the store cannot be read: run `columna store verify`",
        file.path
    ))
}

/// The smallest and largest key of a row group, where its statistics say.
fn bounds(group: &RowGroupMetaData, key: &str) -> Option<(i64, i64)> {
    let column = group
        .columns()
        .iter()
        .find(|column| column.column_path().string() == key)?;
    match column.statistics()? {
        Statistics::Int64(keys) => keys.min_opt().copied().zip(keys.max_opt().copied()),
        _ => None,
    }
}
