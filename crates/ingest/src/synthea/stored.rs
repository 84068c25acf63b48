//! What the store knows already: the numbers of patients, encounters, places, and the highest keys of its tables.

use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use columna_model::table;
use columna_store::{Snapshot, Store};
use futures::StreamExt;
use parquet::arrow::ProjectionMask;
use parquet::arrow::async_reader::ParquetRecordBatchStreamBuilder;

use super::MAPPINGS;
use super::index::{Index, TooManyVisits};
use super::plan::{LOCATION, OBSERVATION_PERIOD};
use crate::{Error, Result};

/// Tables whose rows a later delivery refers to, with the column that holds the source's key.
const NAMED: [(&str, &str); 5] = [
    ("person", "person_source_value"),
    ("care_site", "care_site_source_value"),
    ("provider", "provider_source_value"),
    (LOCATION, "location_source_value"),
    ("visit_occurrence", "visit_source_value"),
];

/// What the store knows already.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) index: Index,
    /// The highest key of each table.
    pub(super) highest: BTreeMap<&'static str, i64>,
}

impl Stored {
    #[expect(
        deprecated,
        reason = "the reader that replaces it is an example to copy, not a type of the library"
    )]
    pub(super) async fn read(store: &Store, snapshot: &Snapshot) -> Result<Self> {
        let mut stored = Self::default();
        let targets = MAPPINGS
            .iter()
            .flat_map(|mapping| mapping.targets.iter().chain(mapping.beside));
        let names = targets
            .map(|target| target.table)
            .chain([LOCATION, OBSERVATION_PERIOD]);
        let names: std::collections::BTreeSet<&'static str> = names.collect();
        for name in names {
            let (Some(key), Some(version)) = (
                table(name).and_then(|def| def.primary_key()),
                snapshot.table(name),
            ) else {
                continue;
            };
            let source = NAMED
                .iter()
                .find(|(named, _)| *named == name)
                .map(|(_, column)| *column);
            for file in &version.files {
                let damaged = |_| {
                    Error::engine(format!(
                        "file {} of the store cannot be read: run `columna store verify`",
                        file.path
                    ))
                };
                let reader = parquet::arrow::async_reader::ParquetObjectReader::new(
                    store.object_store(),
                    store.location(file),
                );
                let options = store.reader_options(file)?;
                let builder = ParquetRecordBatchStreamBuilder::new_with_options(reader, options)
                    .await
                    .map_err(damaged)?;
                let mask = ProjectionMask::columns(
                    builder.parquet_schema(),
                    std::iter::once(key).chain(source),
                );
                let mut batches = builder.with_projection(mask).build().map_err(damaged)?;
                while let Some(batch) = batches.next().await {
                    stored.take(name, key, source, &batch.map_err(damaged)?)?;
                }
            }
        }
        Ok(stored)
    }

    fn take(
        &mut self,
        name: &'static str,
        key: &str,
        source: Option<&str>,
        batch: &RecordBatch,
    ) -> Result<()> {
        let Some(ids) = batch
            .column_by_name(key)
            .and_then(|column| column.as_primitive_opt::<Int64Type>())
        else {
            return Ok(());
        };
        if let Some(highest) = arrow::compute::max(ids) {
            let known = self.highest.entry(name).or_insert(highest);
            *known = highest.max(*known);
            self.at_least(name, highest)?;
        }
        let sources =
            source.and_then(|source| batch.column_by_name(source)?.as_string_opt::<i32>());
        for (id, source) in ids.iter().zip(sources.into_iter().flatten()) {
            if let (Some(id), Some(source)) = (id, source) {
                self.known(name, source.as_bytes(), id)?;
            }
        }
        Ok(())
    }

    fn at_least(&mut self, name: &str, highest: i64) -> Result<()> {
        match name {
            "person" => self.index.persons.at_least(highest),
            "care_site" => self.index.care_sites.at_least(highest),
            "provider" => self.index.providers.at_least(highest),
            LOCATION => self.index.locations.at_least(highest),
            "visit_occurrence" => self
                .index
                .visits_at_least(highest)
                .map_err(too_many_visits)?,
            _ => {}
        }
        Ok(())
    }

    fn known(&mut self, name: &str, source: &[u8], id: i64) -> Result<()> {
        match name {
            "person" => self.index.persons.known(source, id),
            "care_site" => self.index.care_sites.known(source, id),
            "provider" => self.index.providers.known(source, id),
            LOCATION => self.index.locations.known(source, id),
            "visit_occurrence" => self
                .index
                .known_visit(source, id)
                .map_err(too_many_visits)?,
            _ => {}
        }
        Ok(())
    }
}

/// The error for visits that the index cannot number.
pub(super) fn too_many_visits(_: TooManyVisits) -> Error {
    Error::engine(format!(
        "visits beyond the key {} cannot be added from a Synthea export: use a store of their own",
        u32::MAX
    ))
}
