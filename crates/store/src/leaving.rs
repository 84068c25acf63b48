//! Which rows leave a table: those of persons, and those that belong to a person through another record.

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::Int64Type;

use crate::manifest::FileEntry;
use crate::{Error, Result};

/// Rows that leave: those with one of some keys in a column.
#[derive(Debug, Clone)]
pub(crate) struct Leaving {
    /// A column of whole numbers.
    pub(crate) column: String,
    /// The keys, sorted.
    pub(crate) keys: Vec<i64>,
    /// Where keys of several tables share the column: the column that says of which, and what it says.
    pub(crate) domain: Option<(String, Domain)>,
}

/// How a row says which table its key is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Domain {
    /// By the domain's concept.
    Concept(i64),
    /// By the domain's name, in any case.
    Name(String),
}

impl Leaving {
    /// The columns that decide.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        let domain = self.domain.as_ref().map(|(column, _)| column.as_str());
        std::iter::once(self.column.as_str()).chain(domain)
    }

    /// Adds keys to leave by.
    pub(crate) fn extend(&mut self, keys: &[i64]) {
        self.keys.extend(keys);
        self.keys.sort_unstable();
        self.keys.dedup();
    }

    /// Judged by the range of persons, where the file has one: the column is the person key there.
    pub(crate) fn may_be_in(&self, file: &FileEntry) -> bool {
        let from = file
            .min_person
            .map_or(0, |min| self.keys.partition_point(|&k| k < min));
        let near = self.keys.get(from);
        near.is_some_and(|&k| file.max_person.is_none_or(|max| k <= max))
    }

    /// Whether each row leaves.
    fn rows(&self, table: &str, batch: &RecordBatch) -> Result<Vec<bool>> {
        let missing =
            |column: &str| Error::engine(format!("table `{table}` has no keys in `{column}`"));
        let longs = |column: &str| {
            let found = batch
                .column_by_name(column)
                .and_then(|c| c.as_primitive_opt::<Int64Type>());
            found.ok_or_else(|| missing(column))
        };
        let mut leaves: Vec<bool> = longs(&self.column)?
            .iter()
            .map(|key| key.is_some_and(|k| self.keys.binary_search(&k).is_ok()))
            .collect();
        match &self.domain {
            None => {}
            Some((column, Domain::Concept(concept))) => {
                let concepts = longs(column)?.iter();
                leaves
                    .iter_mut()
                    .zip(concepts)
                    .for_each(|(leaves, c)| *leaves &= c == Some(*concept));
            }
            Some((column, Domain::Name(name))) => {
                let names = batch
                    .column_by_name(column)
                    .and_then(|c| c.as_string_opt::<i32>());
                let names = names.ok_or_else(|| missing(column))?.iter();
                let is = |n: Option<&str>| n.is_some_and(|n| n.eq_ignore_ascii_case(name));
                leaves
                    .iter_mut()
                    .zip(names)
                    .for_each(|(leaves, n)| *leaves &= is(n));
            }
        }
        Ok(leaves)
    }
}

/// Which rows of a batch stay; none when all of them do.
pub(crate) fn staying(
    table: &str,
    leaving: &[Leaving],
    batch: &RecordBatch,
) -> Result<Option<BooleanArray>> {
    let mut gone = vec![false; batch.num_rows()];
    for rule in leaving {
        let leaves = rule.rows(table, batch)?;
        gone.iter_mut()
            .zip(leaves)
            .for_each(|(gone, leaves)| *gone |= leaves);
    }
    if !gone.contains(&true) {
        return Ok(None);
    }
    Ok(Some(gone.into_iter().map(|gone| Some(!gone)).collect()))
}
