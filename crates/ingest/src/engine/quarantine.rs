//! Rows that cannot be stored as typed: kept in a table of their own, so that nothing is lost.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use columna_store::TableSpec;

use crate::csv::RowReject;
use crate::reader::Input;
use crate::{Error, Result};

/// The table of rejected rows.
pub(crate) const REJECTS: &str = "ingest_rejects";

/// The person of a rejected row whose person cannot be read.
const UNKNOWN_PERSON: i64 = 0;

/// Reasons that an error names.
const NAMED: usize = 5;

/// Rejected rows are bucketed by person, so that a person's erasure reaches them too.
pub(crate) fn spec() -> TableSpec {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let fields = vec![
        Field::new("person_id", DataType::Int64, false),
        text("delivery"),
        text("source_table"),
        text("file"),
        Field::new("line", DataType::Int64, true),
        text("column"),
        text("reason"),
        text("row"),
    ];
    TableSpec {
        name: REJECTS.to_owned(),
        schema: Arc::new(Schema::new(fields)),
        person_key: Some("person_id".to_owned()),
        sort: ["person_id", "delivery", "file", "line"]
            .map(str::to_owned)
            .to_vec(),
        bloom: Vec::new(),
    }
}

/// Rejects as rows of their table.
pub(crate) fn batch(
    delivery: &str,
    input: &Input,
    rejects: &[RowReject],
) -> Result<RecordBatch, ArrowError> {
    let same = |text: &str| Arc::new(StringArray::from(vec![text; rejects.len()])) as ArrayRef;
    let persons = rejects
        .iter()
        .map(|reject| reject.person.unwrap_or(UNKNOWN_PERSON));
    let lines = rejects.iter().map(|reject| i64::try_from(reject.line).ok());
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter_values(persons)),
        same(delivery),
        same(&input.table),
        same(&input.file.name),
        Arc::new(lines.collect::<Int64Array>()),
        Arc::new(
            rejects
                .iter()
                .map(|reject| reject.column.as_deref())
                .collect::<StringArray>(),
        ),
        Arc::new(StringArray::from_iter_values(
            rejects.iter().map(|reject| &reject.reason),
        )),
        Arc::new(StringArray::from_iter_values(
            rejects.iter().map(|reject| &reject.raw),
        )),
    ];
    RecordBatch::try_new(spec().schema, columns)
}

/// Counts rejects against the number allowed, and remembers the first.
#[derive(Debug)]
pub(crate) struct Quarantine {
    allowed: Option<u64>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    count: u64,
    /// By input and line, so that the same are named whatever came first.
    first: Vec<(usize, u64, String)>,
}

impl Quarantine {
    pub(crate) fn new(allowed: Option<u64>) -> Self {
        Self {
            allowed,
            seen: Mutex::default(),
        }
    }

    /// Counts the rejects of a block; an error once there are too many.
    pub(crate) fn admit(&self, at: usize, input: &Input, rejects: &[RowReject]) -> Result<()> {
        if rejects.is_empty() {
            return Ok(());
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.count += rejects.len() as u64;
        for reject in rejects.iter().take(NAMED) {
            let column = reject
                .column
                .as_deref()
                .map_or_else(String::new, |column| format!(", column `{column}`"));
            seen.first.push((
                at,
                reject.line,
                format!(
                    "{}:{}{column}: {}",
                    input.file.name, reject.line, reject.reason
                ),
            ));
        }
        seen.first.sort();
        seen.first.truncate(NAMED);
        match self.allowed {
            Some(allowed) if seen.count > allowed => Err(Error::TooManyRejects {
                count: seen.count,
                allowed,
                first: seen
                    .first
                    .iter()
                    .map(|(_, _, named)| named.clone())
                    .collect(),
            }),
            _ => Ok(()),
        }
    }

    /// Where and why, for the first few.
    pub(crate) fn first(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.first
            .iter()
            .map(|(_, _, named)| named.clone())
            .collect()
    }
}
