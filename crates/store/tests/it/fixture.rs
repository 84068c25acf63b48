//! A small clinic: persons, their conditions, and a vocabulary.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Date32Type, Field, Int64Type, Schema};
use arrow::error::ArrowError;
use columna_store::{
    BucketId, Delivery, Layout, Operation, Result, Snapshot, Store, TableSpec, Transaction,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

pub(crate) const APPEND: Operation = Operation::Append {
    read: 0,
    stored: 0,
    rejected: 0,
};

/// Ten persons per bucket, so that a handful of persons makes several buckets.
pub(crate) fn small() -> Layout {
    Layout {
        persons_per_bucket: 10,
        row_group_rows: 64,
        ..Layout::default()
    }
}

pub(crate) fn conditions() -> TableSpec {
    TableSpec {
        name: "condition_occurrence".to_owned(),
        schema: Arc::new(Schema::new(vec![
            Field::new("condition_occurrence_id", DataType::Int64, false),
            Field::new("person_id", DataType::Int64, false),
            Field::new("condition_concept_id", DataType::Int64, false),
            Field::new("condition_start_date", DataType::Date32, false),
            Field::new("condition_source_value", DataType::Utf8, true),
        ])),
        person_key: Some("person_id".to_owned()),
        sort: [
            "person_id",
            "condition_start_date",
            "condition_occurrence_id",
        ]
        .map(str::to_owned)
        .to_vec(),
        bloom: vec!["condition_concept_id".to_owned()],
    }
}

pub(crate) fn persons() -> TableSpec {
    TableSpec {
        name: "person".to_owned(),
        schema: Arc::new(Schema::new(vec![
            Field::new("person_id", DataType::Int64, false),
            Field::new("person_source_value", DataType::Utf8, true),
        ])),
        person_key: Some("person_id".to_owned()),
        sort: vec!["person_id".to_owned()],
        bloom: vec![],
    }
}

/// A table of an extension, keyed by `subject_id`.
pub(crate) fn cohort() -> TableSpec {
    TableSpec {
        name: "cohort".to_owned(),
        schema: Arc::new(Schema::new(vec![
            Field::new("cohort_definition_id", DataType::Int64, false),
            Field::new("subject_id", DataType::Int64, false),
        ])),
        person_key: Some("subject_id".to_owned()),
        sort: vec!["subject_id".to_owned()],
        bloom: vec![],
    }
}

pub(crate) fn concepts() -> TableSpec {
    TableSpec {
        name: "concept".to_owned(),
        schema: Arc::new(Schema::new(vec![
            Field::new("concept_id", DataType::Int64, false),
            Field::new("concept_name", DataType::Utf8, false),
        ])),
        person_key: None,
        sort: vec!["concept_id".to_owned()],
        bloom: vec!["concept_id".to_owned()],
    }
}

/// What names a person, in their rows only.
pub(crate) fn secret(person: i64) -> String {
    format!("name-of-{person}-only")
}

pub(crate) type Batches = Vec<std::result::Result<RecordBatch, ArrowError>>;

fn batch(spec: &TableSpec, columns: Vec<ArrayRef>) -> RecordBatch {
    RecordBatch::try_new(Arc::clone(&spec.schema), columns).unwrap()
}

/// Two conditions a person; ids begin at `first_id`.
pub(crate) fn condition_rows(people: &[i64], first_id: i64) -> Batches {
    let rows: Vec<(i64, i64)> = people.iter().flat_map(|&p| [(p, 0), (p, 1)]).collect();
    let ids: Int64Array = (first_id..).take(rows.len()).collect();
    let who: Int64Array = rows.iter().map(|r| r.0).collect();
    let what: Int64Array = rows.iter().map(|r| 200 + (r.0 + r.1) % 7).collect();
    let when: Date32Array = rows
        .iter()
        .map(|r| i32::try_from(18_000 + r.1 * 30).ok())
        .collect();
    let source: StringArray = rows
        .iter()
        .map(|r| (r.1 == 0).then(|| secret(r.0)))
        .collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids),
        Arc::new(who),
        Arc::new(what),
        Arc::new(when),
        Arc::new(source),
    ];
    vec![Ok(batch(&conditions(), columns))]
}

pub(crate) fn person_rows(people: &[i64]) -> Batches {
    let who: Int64Array = people.iter().copied().collect();
    let source: StringArray = people.iter().map(|&p| Some(secret(p))).collect();
    vec![Ok(batch(&persons(), vec![Arc::new(who), Arc::new(source)]))]
}

pub(crate) fn cohort_rows(people: &[i64]) -> Batches {
    let cohorts: Int64Array = people.iter().map(|_| 1).collect();
    let who: Int64Array = people.iter().copied().collect();
    vec![Ok(batch(&cohort(), vec![Arc::new(cohorts), Arc::new(who)]))]
}

pub(crate) fn concept_rows(ids: Range<i64>) -> Batches {
    let names: StringArray = ids
        .clone()
        .map(|id| Some(format!("concept {id}")))
        .collect();
    let ids: Int64Array = ids.collect();
    vec![Ok(batch(&concepts(), vec![Arc::new(ids), Arc::new(names)]))]
}

/// The persons of each bucket.
pub(crate) fn by_bucket(tx: &Transaction, people: &[i64]) -> BTreeMap<BucketId, Vec<i64>> {
    let mut buckets: BTreeMap<BucketId, Vec<i64>> = BTreeMap::new();
    for &person in people {
        buckets
            .entry(tx.buckets().bucket_of(person))
            .or_default()
            .push(person);
    }
    buckets
}

/// Declares all tables, opens buckets, and adds these people with their conditions.
pub(crate) fn add_people(tx: &mut Transaction, people: &[i64], first_id: i64) -> Result<()> {
    for spec in [conditions(), persons(), cohort(), concepts()] {
        tx.declare_table(spec)?;
    }
    tx.open_buckets(&mut people.iter().copied())?;
    add_rows(tx, people, first_id)
}

/// Adds people with their conditions to the buckets that there are.
pub(crate) fn add_rows(tx: &Transaction, people: &[i64], first_id: i64) -> Result<()> {
    for (bucket, here) in by_bucket(tx, people) {
        let bucket = Some(bucket);
        tx.append_run("person", bucket, &mut person_rows(&here).into_iter())?;
        tx.append_run(
            "condition_occurrence",
            bucket,
            &mut condition_rows(&here, first_id).into_iter(),
        )?;
        tx.append_run("cohort", bucket, &mut cohort_rows(&here).into_iter())?;
    }
    Ok(())
}

/// A store with people 0 to `count` and a vocabulary, in a folder.
pub(crate) async fn clinic(folder: &Path, count: i64) -> Store {
    let store = Store::create(folder.to_str().unwrap(), small())
        .await
        .unwrap();
    fill(&store, count).await;
    store
}

pub(crate) async fn fill(store: &Store, count: i64) -> Snapshot {
    let people: Vec<i64> = (0..count).collect();
    let mut tx = store.begin().await.unwrap();
    add_people(&mut tx, &people, 1).unwrap();
    tx.append_run("concept", None, &mut concept_rows(0..50).into_iter())
        .unwrap();
    tx.add_delivery(Delivery::new("first", vec![]));
    let rows = u64::try_from(count).unwrap();
    let operation = Operation::Ingest {
        read: rows,
        stored: rows,
        rejected: 0,
    };
    tx.commit(operation).await.unwrap()
}

/// Where a store's file is.
pub(crate) fn on_disk(store: &Store, path: &str) -> PathBuf {
    Path::new(store.url()).join(path)
}

/// All (person, date, id) of the conditions, in the order of the files.
pub(crate) fn read_conditions(store: &Store, snapshot: &Snapshot) -> Vec<(i64, i32, i64)> {
    let mut rows = Vec::new();
    for file in &snapshot.table("condition_occurrence").unwrap().files {
        let file = File::open(on_disk(store, &file.path)).unwrap();
        for batch in ParquetRecordBatchReaderBuilder::try_new(file)
            .unwrap()
            .build()
            .unwrap()
        {
            let batch = batch.unwrap();
            let longs = |name: &str| {
                batch
                    .column_by_name(name)
                    .unwrap()
                    .as_primitive::<Int64Type>()
                    .clone()
            };
            let (who, id) = (longs("person_id"), longs("condition_occurrence_id"));
            let when = batch
                .column_by_name("condition_start_date")
                .unwrap()
                .as_primitive::<Date32Type>()
                .clone();
            rows.extend((0..batch.num_rows()).map(|i| (who.value(i), when.value(i), id.value(i))));
        }
    }
    rows
}

/// All files of a store with their bytes.
pub(crate) fn all_files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(at) = folders.pop() {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    found
}
