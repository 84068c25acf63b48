//! Has copies of a table's files in the order of another column, or gives them up.

use std::fmt;

use serde::Serialize;

use crate::operation::Operation;
use crate::store::Store;
use crate::{Error, Result};

/// What was done about the copies of a table in the order of a column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectReport {
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
    /// Copies made, or given up.
    pub files: usize,
    /// The size of all copies by this column: of those that there are, or of those given up.
    pub bytes: u64,
    /// The size of the table itself.
    pub table_bytes: u64,
    /// Whether they were given up.
    pub dropped: bool,
    /// The snapshot made; none where everything was as asked.
    pub snapshot: Option<u64>,
}

impl fmt::Display for ProjectReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (table, column) = (&self.table, &self.column);
        match (self.snapshot, self.dropped) {
            (None, false) => write!(f, "`{table}` has its copies by `{column}` already"),
            (None, true) => write!(f, "`{table}` has no copies by `{column}`"),
            (Some(snapshot), false) => write!(
                f,
                "snapshot {snapshot}: {} files of `{table}` copied in the order of `{column}`: {} bytes beside the table's {}",
                self.files, self.bytes, self.table_bytes
            ),
            (Some(snapshot), true) => write!(
                f,
                "snapshot {snapshot}: {} copies of `{table}` by `{column}` given up: {} bytes, until `columna store vacuum`",
                self.files, self.bytes
            ),
        }
    }
}

impl Store {
    /// Has a copy of each file of a table in the order of a column, now and after every later change: a query for few
    /// of the column's values reads the copy. Makes those that are missing. `memory` bounds the bytes of rows held meanwhile.
    ///
    /// # Errors
    /// When there is no such table, it cannot be ordered by the column, a file cannot be read or written, or another
    /// writer changed it meanwhile.
    pub async fn project(
        &self,
        table: &str,
        column: &str,
        memory: Option<usize>,
    ) -> Result<ProjectReport> {
        let mut tx = self.begin().await?;
        if let Some(memory) = memory {
            tx.limit_memory(memory);
        }
        let base = tx.base().clone();
        tx.project_by(table, column)?;
        let version = base.table(table);
        let lacking = version.map_or(0, |t| {
            let lacks = t.files.iter().filter(|f| f.projection(column).is_none());
            lacks.count()
        });
        let declared = version.is_some_and(|t| t.projections == tx.projections(table));
        let mut after = base.clone();
        if lacking > 0 || !declared {
            let operation = Operation::Project {
                table: table.to_owned(),
                column: column.to_owned(),
                dropped: false,
            };
            after = tx.commit(operation).await?;
        }
        let files = after.table(table).map_or(&[][..], |t| &t.files);
        Ok(ProjectReport {
            table: table.to_owned(),
            column: column.to_owned(),
            files: lacking,
            bytes: bytes(files.iter().filter_map(|f| f.projection(column))),
            table_bytes: after.table(table).map_or(0, |t| t.bytes),
            dropped: false,
            snapshot: (after.version() != base.version()).then(|| after.version()),
        })
    }

    /// Gives up the copies of a table in the order of a column; `vacuum` removes the files.
    ///
    /// # Errors
    /// When there is no such table, or another writer came between.
    pub async fn drop_projection(&self, table: &str, column: &str) -> Result<ProjectReport> {
        let mut tx = self.begin().await?;
        let base = tx.base().clone();
        let Some(version) = base.table(table) else {
            return Err(Error::NoSuchTable {
                table: table.to_owned(),
            });
        };
        let copies: Vec<_> = version
            .files
            .iter()
            .filter_map(|f| f.projection(column))
            .collect();
        let mut columns = version.projections.clone();
        columns.retain(|c| c != column);
        let mut snapshot = None;
        if columns.len() < version.projections.len() {
            tx.project(table, &columns)?;
            let operation = Operation::Project {
                table: table.to_owned(),
                column: column.to_owned(),
                dropped: true,
            };
            snapshot = Some(tx.commit(operation).await?.version());
        }
        Ok(ProjectReport {
            table: table.to_owned(),
            column: column.to_owned(),
            files: copies.len(),
            bytes: bytes(copies.iter().copied()),
            table_bytes: version.bytes,
            dropped: true,
            snapshot,
        })
    }
}

fn bytes<'a>(copies: impl Iterator<Item = &'a crate::Projection>) -> u64 {
    copies.map(|p| p.file.bytes).sum()
}
