//! Erases a person: their rows leave every table.

use std::fmt;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use columna_model::PersonId;
use serde::Serialize;

use crate::bridge::blocking;
use crate::leaving::{Domain, Leaving};
use crate::operation::Operation;
use crate::run_reader::reader;
use crate::store::Store;
use crate::table_spec::TableSpec;
use crate::transaction::Transaction;
use crate::{Error, Result};

/// How often an erasure begins again when other writers come between.
const ATTEMPTS: usize = 8;

/// What an erasure removed. Does not say whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EraseReport {
    /// The rows removed from each table that had some.
    pub tables: Vec<ErasedTable>,
    /// The rows removed from all tables.
    pub rows: u64,
    /// The snapshot without the person; none when there was nothing to remove.
    pub snapshot: Option<u64>,
    /// Older snapshots that are kept and may still have the rows.
    pub older_snapshots: usize,
}

/// A table that an erasure changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErasedTable {
    /// The table.
    pub name: String,
    /// The rows removed from it.
    pub rows: u64,
}

impl fmt::Display for EraseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(snapshot) = self.snapshot else {
            return f.write_str("the newest snapshot has no rows of this person");
        };
        let (rows, tables) = (self.rows, self.tables.len());
        writeln!(
            f,
            "{rows} rows removed from {tables} tables, snapshot {snapshot}"
        )?;
        for table in &self.tables {
            writeln!(f, "  {}: {}", table.name, table.rows)?;
        }
        write!(
            f,
            "{} older snapshots may still have them until `columna store vacuum --everything`",
            self.older_snapshots
        )
    }
}

impl Store {
    /// Removes a person's rows from every table: those with a person key, and those that belong to a
    /// person through another record. Older snapshots keep them until they are vacuumed.
    ///
    /// # Errors
    /// When a file cannot be read or written, or other writers keep changing the person's bucket.
    pub async fn erase(&self, person: PersonId) -> Result<EraseReport> {
        let mut attempt = 1;
        loop {
            match self.try_erase(person.0).await {
                Err(Error::Conflict { .. }) if attempt < ATTEMPTS => attempt += 1,
                ended => return ended,
            }
        }
    }

    async fn try_erase(&self, person: i64) -> Result<EraseReport> {
        let tx = self.begin().await?;
        let (mut tx, removed) = blocking(move || {
            let tx = mark(tx, person)?;
            let removed = tx.settle()?;
            Ok((tx, removed))
        })
        .await?;
        let mut report = EraseReport {
            rows: removed.values().sum(),
            tables: removed
                .into_iter()
                .map(|(name, rows)| ErasedTable { name, rows })
                .collect(),
            snapshot: None,
            older_snapshots: 0,
        };
        // Nor may a bucket's lower bound name them, even when a table was emptied of them before.
        let unnamed = tx.buckets_mut().unname(person);
        if report.rows > 0 || unnamed {
            let snapshot = tx.commit(Operation::Erase { rows: report.rows }).await?;
            report.snapshot = Some(snapshot.version());
            report.older_snapshots = self
                .versions()
                .await?
                .iter()
                .filter(|&&v| v < snapshot.version())
                .count();
        }
        Ok(report)
    }
}

/// Marks all rows of a person for leaving. Blocking.
fn mark(mut tx: Transaction, person: i64) -> Result<Transaction> {
    let bucket = tx.buckets().bucket_of(person);
    tx.guard(bucket);
    let base = tx.base().clone();
    for table in base.tables() {
        let name = &table.spec.name;
        if table.spec.is_bucketed() {
            tx.delete_persons(name, &[person])?;
            continue;
        }
        for rule in linked(&tx, &table.spec, person)? {
            tx.delete_linked(name, rule);
        }
    }
    Ok(tx)
}

/// The domains by which `cost` and `fact_relationship` refer to records: name, concept, table.
const DOMAINS: [(&str, i64, &str); 10] = [
    ("Person", 56, "person"),
    ("Condition", 19, "condition_occurrence"),
    ("Drug", 13, "drug_exposure"),
    ("Procedure", 10, "procedure_occurrence"),
    ("Device", 17, "device_exposure"),
    ("Measurement", 21, "measurement"),
    ("Observation", 27, "observation"),
    ("Visit", 8, "visit_occurrence"),
    ("Specimen", 36, "specimen"),
    ("Note", 5085, "note"),
];

/// The rows of a table without a person key that belong to a person through another record.
fn linked(tx: &Transaction, spec: &TableSpec, person: i64) -> Result<Vec<Leaving>> {
    let mut found = Vec::new();
    let mut by = |column: &str, keys: &[i64], domain: Option<(String, Domain)>| {
        let has = |column: &str| spec.schema.index_of(column).is_ok();
        if !keys.is_empty() && has(column) && domain.as_ref().is_none_or(|(column, _)| has(column))
        {
            found.push(Leaving {
                column: column.to_owned(),
                keys: keys.to_vec(),
                domain,
            });
        }
    };
    if let Some((column, parent)) =
        columna_model::table(&spec.name).and_then(|def| def.person_through)
    {
        by(column, &keys_of(tx, parent, person)?, None);
    }
    let by_domain = matches!(spec.name.as_str(), "cost" | "fact_relationship");
    for (name, concept, table) in DOMAINS.into_iter().filter(|_| by_domain) {
        let keys = keys_of(tx, table, person)?;
        if spec.name == "cost" {
            let domain = ("cost_domain_id".to_owned(), Domain::Name(name.to_owned()));
            by("cost_event_id", &keys, Some(domain));
            continue;
        }
        for side in [1, 2] {
            let domain = (
                format!("domain_concept_id_{side}"),
                Domain::Concept(concept),
            );
            by(&format!("fact_id_{side}"), &keys, Some(domain));
        }
    }
    Ok(found)
}

/// The primary keys of a person's rows in a table, sorted.
fn keys_of(tx: &Transaction, table: &str, person: i64) -> Result<Vec<i64>> {
    if table == "person" {
        return Ok(vec![person]);
    }
    let primary = columna_model::table(table).and_then(columna_model::TableDef::primary_key);
    let (Some(version), Some(primary)) = (tx.base().table(table), primary) else {
        return Ok(Vec::new());
    };
    let Some(key) = version.spec.person_key.as_deref() else {
        return Ok(Vec::new());
    };
    let mut keys = Vec::new();
    for file in version.files_in(Some(tx.buckets().bucket_of(person))) {
        for batch in reader(tx.store().backend(), file, Some(&[key, primary]))? {
            let batch = batch.map_err(|_| Error::damaged(&file.path, "its rows cannot be read"))?;
            let longs = |name| {
                batch
                    .column_by_name(name)
                    .and_then(|c| c.as_primitive_opt::<Int64Type>())
            };
            if let (Some(persons), Some(primary)) = (longs(key), longs(primary)) {
                let both = persons.iter().zip(primary);
                keys.extend(
                    both.filter(|(p, _)| *p == Some(person))
                        .filter_map(|(_, k)| k),
                );
            }
        }
    }
    keys.sort_unstable();
    keys.dedup();
    Ok(keys)
}
