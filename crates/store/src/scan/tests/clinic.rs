//! A clinic of random shape, in a store and in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Date32Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::common::DataFusionError;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use object_store::ObjectStore;

use crate::scan::SnapshotTable;
use crate::{Layout, Operation, Snapshot, Store, TableSpec};

fn spec(
    name: &str,
    columns: &[(&str, DataType)],
    person: Option<&str>,
    sort: &[&str],
) -> TableSpec {
    let nullable = |name: &str| !(person == Some(name) || sort.first() == Some(&name));
    let fields: Vec<Field> = columns
        .iter()
        .map(|(name, t)| Field::new(*name, t.clone(), nullable(name)))
        .collect();
    TableSpec {
        name: name.to_owned(),
        schema: Arc::new(Schema::new(fields)),
        person_key: person.map(str::to_owned),
        sort: sort.iter().map(|name| (*name).to_owned()).collect(),
        bloom: vec![],
    }
}

/// One table: its rows as (person, columns), in the table's order.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) spec: TableSpec,
    pub(super) rows: Vec<Vec<Option<i64>>>,
}

impl Table {
    fn batch(&self, rows: &[&Vec<Option<i64>>]) -> RecordBatch {
        let columns: Vec<ArrayRef> = self
            .spec
            .schema
            .fields()
            .iter()
            .enumerate()
            .map(|(at, field)| {
                let values = rows.iter().map(|row| row[at]);
                let small = |v: Option<i64>| v.map(|v| i32::try_from(v).unwrap());
                match field.data_type() {
                    DataType::Int64 => Arc::new(values.collect::<Int64Array>()) as ArrayRef,
                    DataType::Int32 => Arc::new(values.map(small).collect::<Int32Array>()),
                    DataType::Date32 => Arc::new(values.map(small).collect::<Date32Array>()),
                    _ => Arc::new(
                        values
                            .map(|v| v.map(|v| format!("v{v}")))
                            .collect::<StringArray>(),
                    ),
                }
            })
            .collect();
        RecordBatch::try_new(Arc::clone(&self.spec.schema), columns).unwrap()
    }
}

/// What a clinic is made from: persons, and for each table how many rows each person has.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) persons: Vec<i64>,
    /// Rows of the condition, drug and cohort table for each person; 0 to 4.
    pub(super) rows: Vec<[usize; 3]>,
    pub(super) persons_per_bucket: u64,
    pub(super) row_group_rows: usize,
}

impl Shape {
    pub(super) fn tables(&self) -> Vec<Table> {
        let event = |name: &str, start: &str, id: &str, concept: &str| {
            spec(
                name,
                &[
                    (id, DataType::Int64),
                    ("person_id", DataType::Int64),
                    (concept, DataType::Int64),
                    (start, DataType::Date32),
                    ("note", DataType::Utf8),
                ],
                Some("person_id"),
                &["person_id", start, id],
            )
        };
        let mut tables = vec![
            Table {
                spec: spec(
                    "person",
                    &[("person_id", DataType::Int64), ("sex", DataType::Int32)],
                    Some("person_id"),
                    &["person_id"],
                ),
                rows: self
                    .persons
                    .iter()
                    .map(|p| vec![Some(*p), Some(p % 3)])
                    .collect(),
            },
            Table {
                spec: event("cond", "cond_date", "cond_id", "cond_concept"),
                rows: vec![],
            },
            Table {
                spec: event("drug", "drug_date", "drug_id", "drug_concept"),
                rows: vec![],
            },
            Table {
                spec: spec(
                    "cohort",
                    &[
                        ("cohort_id", DataType::Int64),
                        ("subject_id", DataType::Int64),
                    ],
                    Some("subject_id"),
                    &["subject_id"],
                ),
                rows: vec![],
            },
            Table {
                spec: spec(
                    "concept",
                    &[("concept_id", DataType::Int64), ("name", DataType::Utf8)],
                    None,
                    &["concept_id"],
                ),
                rows: (0..7).map(|c| vec![Some(c), Some(c * 10)]).collect(),
            },
            // Has persons, but no buckets.
            Table {
                spec: spec(
                    "link",
                    &[
                        ("person_id", DataType::Int64),
                        ("other_id", DataType::Int64),
                    ],
                    None,
                    &["person_id"],
                ),
                rows: self
                    .persons
                    .iter()
                    .filter(|p| **p % 2 == 0)
                    .map(|p| vec![Some(*p), Some(p + 1)])
                    .collect(),
            },
        ];
        let mut id = 0;
        for (person, counts) in self.persons.iter().zip(&self.rows) {
            for (table, count) in counts.iter().enumerate() {
                for k in 0..i64::try_from(*count).unwrap() {
                    id += 1;
                    let concept = (person * 7 + k * 3 + i64::try_from(table).unwrap()) % 9;
                    let row = if table == 2 {
                        vec![Some(k), Some(*person)]
                    } else {
                        // Dates are not in order of persons, and some are NULL: last within the person.
                        let date = (k < 3).then_some((person * 31) % 400 + k * 5);
                        vec![
                            Some(id),
                            Some(*person),
                            Some(concept),
                            date,
                            (k % 2 == 0).then_some(id),
                        ]
                    };
                    tables[table + 1].rows.push(row);
                }
            }
        }
        tables
    }

    /// Writes the clinic into a store.
    pub(super) async fn store(&self, files: Arc<dyn ObjectStore>) -> (Store, Snapshot) {
        let layout = Layout {
            persons_per_bucket: self.persons_per_bucket,
            row_group_rows: self.row_group_rows,
            ..Layout::default()
        };
        let prefix = object_store::path::Path::from("s");
        let store = Store::create_on(files, prefix, "memory:///s", layout)
            .await
            .unwrap();
        let mut tx = store.begin().await.unwrap();
        tx.open_buckets(&mut self.persons.iter().copied()).unwrap();
        for table in self.tables() {
            tx.declare_table(table.spec.clone()).unwrap();
            let mut runs: BTreeMap<_, Vec<&Vec<Option<i64>>>> = BTreeMap::new();
            let key = table.spec.person_key.as_deref();
            let at = key.map(|key| table.spec.schema.index_of(key).unwrap());
            for row in &table.rows {
                let bucket = at.map(|at| tx.buckets().bucket_of(row[at].unwrap()));
                runs.entry(bucket).or_default().push(row);
            }
            let tx = &tx;
            for (bucket, rows) in runs {
                let batch = table.batch(&rows);
                let name = table.spec.name.as_str();
                // Writing blocks, and a store in memory is written on this runtime.
                tokio::task::block_in_place(|| {
                    tx.append_run(name, bucket, &mut std::iter::once(Ok(batch)))
                        .unwrap()
                });
            }
        }
        let operation = Operation::Ingest {
            read: 0,
            stored: 0,
            rejected: 0,
        };
        let snapshot = tx.commit(operation).await.unwrap();
        (store, snapshot)
    }

    /// A session over the same rows in memory, with nothing declared.
    pub(super) fn plain(&self) -> SessionContext {
        let ctx = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(2));
        for table in self.tables() {
            let batch = table.batch(&table.rows.iter().collect::<Vec<_>>());
            let memory = MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap();
            ctx.register_table(table.spec.name.as_str(), Arc::new(memory))
                .unwrap();
        }
        ctx
    }
}

/// How a session over the store is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Settings {
    pub(super) target_partitions: usize,
    pub(super) pushdown_filters: bool,
    pub(super) collect_small: bool,
    pub(super) prefer_hash_join: bool,
}

impl Settings {
    pub(super) fn config(self) -> SessionConfig {
        let mut config = SessionConfig::new().with_target_partitions(self.target_partitions);
        let options = config.options_mut();
        options.optimizer.prefer_existing_union = true;
        options.optimizer.prefer_existing_sort = true;
        options.optimizer.preserve_file_partitions = 1;
        options.optimizer.subset_repartition_threshold = 1;
        options.optimizer.prefer_hash_join = self.prefer_hash_join;
        options.optimizer.repartition_file_min_size = 0;
        options.execution.parquet.pushdown_filters = self.pushdown_filters;
        if !self.collect_small {
            options.optimizer.hash_join_single_partition_threshold = 0;
            options.optimizer.hash_join_single_partition_threshold_rows = 0;
        }
        config
    }

    pub(super) fn session(self, store: &Store, snapshot: &Snapshot) -> SessionContext {
        let ctx = SessionContext::new_with_config(self.config());
        for (name, table) in SnapshotTable::all(store, snapshot) {
            ctx.register_table(name.as_str(), Arc::new(table)).unwrap();
        }
        ctx
    }
}

/// The rows of an answer as text, sorted: what a plan may not change.
pub(super) async fn rows(ctx: &SessionContext, query: &str) -> Vec<String> {
    let answer = async || ctx.sql(query).await.unwrap().collect().await;
    let batches = match answer().await {
        // The engine (DataFusion 55) forgets now and then that rows it deals out have lost their order, and refuses its own plan. The
        // query crate's sessions sort there.
        Err(DataFusionError::Context(rule, _)) if rule == "SanityCheckPlan" => {
            let set = "SET datafusion.optimizer.enable_round_robin_repartition = false";
            ctx.sql(set).await.unwrap();
            answer().await
        }
        answer => answer,
    };
    let batches = batches.unwrap();
    let options = FormatOptions::default().with_null("∅");
    let mut lines = Vec::new();
    for batch in &batches {
        let columns: Vec<ArrayFormatter> = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column, &options).unwrap())
            .collect();
        for row in 0..batch.num_rows() {
            let values: Vec<String> = columns
                .iter()
                .map(|column| column.value(row).to_string())
                .collect();
            lines.push(values.join("|"));
        }
    }
    lines.sort();
    lines
}

/// The physical plan, as EXPLAIN prints it.
pub(super) async fn plan(ctx: &SessionContext, query: &str) -> String {
    let plan = ctx
        .sql(query)
        .await
        .unwrap()
        .create_physical_plan()
        .await
        .unwrap();
    datafusion::physical_plan::displayable(plan.as_ref())
        .indent(true)
        .to_string()
}
