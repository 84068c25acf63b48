//! A clinic of 42 persons in a store: the same rows on every run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use columna_query::SessionOptions;
use columna_store::{Layout, Operation, Store, TableSpec};
use datafusion::prelude::SessionContext;

/// Weeks of remission of 42 children with acute leukaemia, 6-MP and placebo; a minus is a censored one.
/// Source: Freireich et al., Blood 1963; Klein and Moeschberger (2003), table 1.1; R's `MASS::gehan`.
const TREATED: [i32; 21] = [
    6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34, -35,
];
const PLACEBO: [i32; 21] = [
    1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23,
];

/// 2020-01-01, as days since 1970-01-01.
const NEW_YEAR_2020: i32 = 18_262;
const MICROS_PER_DAY: i64 = 86_400_000_000;

fn spec(name: &str, fields: Vec<Field>, person: Option<&str>, sort: &[&str]) -> TableSpec {
    TableSpec {
        name: name.to_owned(),
        schema: Arc::new(Schema::new(fields)),
        person_key: person.map(str::to_owned),
        sort: sort.iter().map(|column| (*column).to_owned()).collect(),
        bloom: vec![],
    }
}

fn required(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, false)
}

fn optional(name: &str, data_type: DataType) -> Field {
    Field::new(name, data_type, true)
}

fn person(people: &[i64]) -> (TableSpec, RecordBatch) {
    let spec = spec(
        "person",
        vec![
            required("person_id", DataType::Int64),
            required("gender_concept_id", DataType::Int64),
            required("year_of_birth", DataType::Int32),
            optional(
                "birth_datetime",
                DataType::Timestamp(TimeUnit::Microsecond, None),
            ),
        ],
        Some("person_id"),
        &["person_id"],
    );
    let year = |p: i64| i32::try_from(1940 + p).unwrap();
    // Noon of a day of that year; unknown for every seventh person.
    let birth =
        |p: i64| (p % 7 != 0).then_some((p - 30) * 365 * MICROS_PER_DAY + MICROS_PER_DAY / 2);
    let columns: Vec<ArrayRef> = vec![
        Arc::new(people.iter().copied().collect::<Int64Array>()),
        Arc::new(
            people
                .iter()
                .map(|p| if p % 2 == 0 { 8532 } else { 8507 })
                .collect::<Int64Array>(),
        ),
        Arc::new(people.iter().map(|p| year(*p)).collect::<Int32Array>()),
        Arc::new(
            people
                .iter()
                .map(|p| birth(*p))
                .collect::<TimestampMicrosecondArray>(),
        ),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&spec.schema), columns).unwrap();
    (spec, batch)
}

/// Person p has p modulo 4 conditions, a hundred days apart.
fn condition(people: &[i64]) -> (TableSpec, RecordBatch) {
    let spec = spec(
        "condition_occurrence",
        vec![
            required("condition_occurrence_id", DataType::Int64),
            required("person_id", DataType::Int64),
            required("condition_concept_id", DataType::Int64),
            required("condition_start_date", DataType::Date32),
        ],
        Some("person_id"),
        &[
            "person_id",
            "condition_start_date",
            "condition_occurrence_id",
        ],
    );
    let concepts = [201_826, 201_254, 316_139, 4_329_847];
    let rows: Vec<(i64, i64)> = people
        .iter()
        .flat_map(|p| (0..p % 4).map(|k| (*p, k)))
        .collect();
    let concept = |(p, k): &(i64, i64)| concepts[usize::try_from((p + k) % 4).unwrap()];
    let day = |(p, k): &(i64, i64)| NEW_YEAR_2020 + i32::try_from(10 * p + 100 * k).unwrap();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|(p, k)| 10 * p + k).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|(p, _)| *p).collect::<Int64Array>()),
        Arc::new(rows.iter().map(concept).collect::<Int64Array>()),
        Arc::new(
            rows.iter()
                .map(|row| Some(day(row)))
                .collect::<Date32Array>(),
        ),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&spec.schema), columns).unwrap();
    (spec, batch)
}

/// Remissions, keyed as OMOP keys its cohorts.
fn leukaemia(people: &[i64]) -> (TableSpec, RecordBatch) {
    let spec = spec(
        "leukaemia",
        vec![
            required("subject_id", DataType::Int64),
            required("arm", DataType::Utf8),
            optional("weeks", DataType::Int32),
            optional("relapse", DataType::Boolean),
        ],
        Some("subject_id"),
        &["subject_id"],
    );
    let weeks = |p: &i64| {
        let at = usize::try_from((p - 1) / 2).unwrap();
        if p % 2 == 0 { PLACEBO[at] } else { TREATED[at] }
    };
    let arms: StringArray = people
        .iter()
        .map(|p| Some(if p % 2 == 0 { "placebo" } else { "6-MP" }))
        .collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(people.iter().copied().collect::<Int64Array>()),
        Arc::new(arms),
        Arc::new(
            people
                .iter()
                .map(|p| weeks(p).abs())
                .collect::<Int32Array>(),
        ),
        Arc::new(
            people
                .iter()
                .map(|p| Some(weeks(p) > 0))
                .collect::<BooleanArray>(),
        ),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&spec.schema), columns).unwrap();
    (spec, batch)
}

/// A table, and its rows for some persons.
type Rows = fn(&[i64]) -> (TableSpec, RecordBatch);

fn vocabulary() -> Vec<(TableSpec, RecordBatch)> {
    let concept = spec(
        "concept",
        vec![
            required("concept_id", DataType::Int64),
            required("concept_name", DataType::Utf8),
        ],
        None,
        &["concept_id"],
    );
    let names = [
        (134_057, "Disorder of cardiovascular system"),
        (201_254, "Type 1 diabetes mellitus"),
        (201_820, "Diabetes mellitus"),
        (201_826, "Type 2 diabetes mellitus"),
        (316_139, "Heart failure"),
        (4_329_847, "Myocardial infarction"),
    ];
    let concept_rows: Vec<ArrayRef> = vec![
        Arc::new(names.iter().map(|(id, _)| *id).collect::<Int64Array>()),
        Arc::new(
            names
                .iter()
                .map(|(_, name)| Some(*name))
                .collect::<StringArray>(),
        ),
    ];
    let ancestor = spec(
        "concept_ancestor",
        vec![
            required("ancestor_concept_id", DataType::Int64),
            required("descendant_concept_id", DataType::Int64),
        ],
        None,
        &["ancestor_concept_id", "descendant_concept_id"],
    );
    let pairs = [
        (134_057, 134_057),
        (134_057, 316_139),
        (134_057, 4_329_847),
        (201_254, 201_254),
        (201_820, 201_254),
        (201_820, 201_820),
        (201_820, 201_826),
        (201_826, 201_826),
        (316_139, 316_139),
        (4_329_847, 4_329_847),
    ];
    let ancestor_rows: Vec<ArrayRef> = vec![
        Arc::new(
            pairs
                .iter()
                .map(|(ancestor, _)| *ancestor)
                .collect::<Int64Array>(),
        ),
        Arc::new(
            pairs
                .iter()
                .map(|(_, descendant)| *descendant)
                .collect::<Int64Array>(),
        ),
    ];
    let sets = spec(
        "concept_sets",
        vec![
            required("name", DataType::Utf8),
            required("concept_id", DataType::Int64),
            optional("include_descendants", DataType::Boolean),
            optional("is_excluded", DataType::Boolean),
        ],
        None,
        &["name", "concept_id"],
    );
    let rows = [
        ("diabetes but type 1", 201_254, true, true),
        ("diabetes but type 1", 201_820, true, false),
        ("heart failure only", 316_139, false, false),
    ];
    let set_rows: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| Some(row.0)).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.1).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|row| Some(row.2)).collect::<BooleanArray>()),
        Arc::new(rows.iter().map(|row| Some(row.3)).collect::<BooleanArray>()),
    ];
    [
        (concept, concept_rows),
        (ancestor, ancestor_rows),
        (sets, set_rows),
    ]
    .into_iter()
    .map(|(spec, columns)| {
        let batch = RecordBatch::try_new(Arc::clone(&spec.schema), columns).unwrap();
        (spec, batch)
    })
    .collect()
}

/// Writes the clinic into a folder: four buckets.
pub(crate) async fn clinic(folder: &Path) -> Store {
    let layout = Layout {
        persons_per_bucket: 11,
        ..Layout::default()
    };
    let store = Store::create(folder.to_str().unwrap(), layout)
        .await
        .unwrap();
    let people: Vec<i64> = (1..=42).collect();
    let mut tx = store.begin().await.unwrap();
    tx.open_buckets(&mut people.iter().copied()).unwrap();
    let tables: [Rows; 3] = [person, condition, leukaemia];
    for table in tables {
        tx.declare_table(table(&people).0).unwrap();
    }
    for (spec, _) in vocabulary() {
        tx.declare_table(spec).unwrap();
    }
    let mut buckets: BTreeMap<_, Vec<i64>> = BTreeMap::new();
    for person in people {
        buckets
            .entry(tx.buckets().bucket_of(person))
            .or_default()
            .push(person);
    }
    tokio::task::block_in_place(|| {
        for (bucket, people) in &buckets {
            for table in tables {
                let (spec, batch) = table(people);
                tx.append_run(&spec.name, Some(*bucket), &mut std::iter::once(Ok(batch)))
                    .unwrap();
            }
        }
        for (spec, batch) in vocabulary() {
            tx.append_run(&spec.name, None, &mut std::iter::once(Ok(batch)))
                .unwrap();
        }
    });
    let operation = Operation::Ingest {
        read: 0,
        stored: 0,
        rejected: 0,
    };
    tx.commit(operation).await.unwrap();
    store
}

/// A session over the clinic, with two threads so that plans are the same everywhere.
pub(crate) async fn session(store: &Store) -> SessionContext {
    let options = SessionOptions {
        store: Some(store.clone()),
        threads: Some(2),
        ..SessionOptions::default()
    };
    columna_query::session(options).await.unwrap()
}

/// The rows of an answer as text.
pub(crate) async fn rows(ctx: &SessionContext, query: &str) -> Vec<Vec<String>> {
    let frame = columna_query::script::sql(ctx, query).await.unwrap();
    text(&frame.collect().await.unwrap())
}

/// Values as text; NULL as the word.
pub(crate) fn text(batches: &[RecordBatch]) -> Vec<Vec<String>> {
    use arrow::util::display::{ArrayFormatter, FormatOptions};
    let options = FormatOptions::default().with_null("NULL");
    let mut rows = Vec::new();
    for batch in batches {
        let columns: Vec<ArrayFormatter> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            rows.push(
                columns
                    .iter()
                    .map(|column| column.value(row).to_string())
                    .collect(),
            );
        }
    }
    rows
}
