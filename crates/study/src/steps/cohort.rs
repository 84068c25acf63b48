//! Cohorts: persons with the dates on which they enter and leave.

use std::path::Path;

use arrow::record_batch::RecordBatch;
use datafusion::prelude::SessionContext;

use super::statements::{ask, in_set, need_table};
use crate::error::{Error, Result};
use crate::frame::{self, Columns};
use crate::run::{self, RunRecord};
use crate::spec::{Cohort, Source};

/// An entry: person, first and last day.
pub(crate) type Entry = (i64, i32, i32);

/// Why a cohort by definition cannot be had where the function for it is missing.
pub(crate) const NO_DEFINITIONS: &str = "OHDSI cohort definitions cannot be run here: they need the whole store, and a role sees a part of it";

/// The entries of a cohort in order of person and date, on whose behalf it is built.
pub(crate) async fn build(
    ctx: &SessionContext,
    cohort: &Cohort,
    folder: &Path,
    by: &run::Source,
) -> Result<RecordBatch> {
    let step = format!("cohort.{}", cohort.name);
    let mut gap = None;
    let answer = match &cohort.source {
        Source::Records {
            domain,
            concepts,
            gap: wanted,
        } => {
            gap = *wanted;
            let (table, concept, start, end, _) = domain.columns();
            need_table(ctx, &step, table).await?;
            let sql = format!(
                "SELECT DISTINCT person_id, {start} AS start_date, coalesce({end}, {start}) AS end_date \
                 FROM {table} WHERE {}",
                in_set(concept, concepts)
            );
            ask(ctx, &sql).await?
        }
        Source::Death => {
            need_table(ctx, &step, "death").await?;
            ask(
                ctx,
                "SELECT person_id, death_date AS start_date, death_date AS end_date FROM death",
            )
            .await?
        }
        Source::Sql(query) => ask(ctx, query).await?,
        Source::Definition { path, .. } => {
            if !ctx.state().table_functions().contains_key("cohort") {
                return Err(Error::Step {
                    step,
                    message: format!("{NO_DEFINITIONS}; define the cohort by `sql`"),
                });
            }
            let file = folder.join(path).display().to_string().replace('\'', "''");
            ask(ctx, &format!("SELECT * FROM cohort('{file}')")).await?
        }
        Source::Run { path, cohort, .. } => {
            let run = folder.join(path);
            let made = RunRecord::read(&run)?;
            if let Some(why) = not_for(made.as_ref(), by) {
                return Err(Error::Step {
                    step,
                    message: format!("the run `{path}` {why}; make it anew as this study is run"),
                });
            }
            frame::read(&run.join(format!("work/cohort-{cohort}.parquet")))?
        }
    };
    let mut entries = entries(&step, &answer)?;
    entries.sort_unstable();
    entries.dedup();
    if let Some(gap) = gap {
        entries = eras(&entries, i32::try_from(gap).unwrap_or(i32::MAX));
    }
    table(&entries)
}

/// Why a run's cohorts are none of those for whom this study is run: persons have other numbers in it, or it may tell of rows
/// that are hidden from them.
fn not_for(made: Option<&RunRecord>, by: &run::Source) -> Option<&'static str> {
    if made.is_some_and(|made| made.pseudonyms != by.pseudonyms) {
        return Some(
            "was made in another project or without one, where persons have other numbers",
        );
    }
    let theirs = made.is_some_and(|made| {
        made.role == by.role && made.purpose == by.purpose && made.policy == by.policy
    });
    (by.role.is_some() && !theirs).then_some(
        "was made by another role, for another purpose or under another policy, which may show other rows",
    )
}

/// The table of entries.
pub(crate) fn table(entries: &[Entry]) -> Result<RecordBatch> {
    Columns::default()
        .integers("person_id", entries.iter().map(|entry| entry.0).collect())
        .days("start_date", entries.iter().map(|entry| entry.1).collect())
        .days("end_date", entries.iter().map(|entry| entry.2).collect())
        .batch()
}

/// The entries of a table that [`build`] made, in order.
pub(crate) fn read(path: &Path) -> Result<Vec<Entry>> {
    entries("cohort", &frame::read(path)?)
}

fn entries(step: &str, answer: &RecordBatch) -> Result<Vec<Entry>> {
    let pick = |names: &[&'static str]| {
        names
            .iter()
            .copied()
            .find(|name| answer.column_by_name(name).is_some())
    };
    let missing = |what: &str| Error::Step {
        step: step.to_owned(),
        message: format!(
            "the cohort's query has no column `{what}`; it needs `person_id`, `start_date` and, if known, `end_date`"
        ),
    };
    let person = pick(&["person_id", "subject_id"]).ok_or_else(|| missing("person_id"))?;
    let start = pick(&["start_date", "cohort_start_date", "index_date"])
        .ok_or_else(|| missing("start_date"))?;
    let persons = frame::integers(answer, person)?;
    let starts = frame::days(answer, start)?;
    let ends = match pick(&["end_date", "cohort_end_date"]) {
        Some(end) => frame::days(answer, end)?,
        None => starts.clone(),
    };
    let rows = persons.into_iter().zip(starts).zip(ends);
    Ok(rows
        .filter_map(|((person, start), end)| {
            let (person, start) = (person?, start?);
            Some((person, start, end.map_or(start, |end| end.max(start))))
        })
        .collect())
}

/// Entries at most `gap` days apart become one.
fn eras(entries: &[Entry], gap: i32) -> Vec<Entry> {
    let mut eras: Vec<Entry> = Vec::new();
    for &(person, start, end) in entries {
        match eras.last_mut() {
            Some(era) if era.0 == person && start.saturating_sub(era.2) <= gap => {
                era.2 = era.2.max(end)
            }
            _ => eras.push((person, start, end)),
        }
    }
    eras
}

/// The entries of one person.
pub(crate) fn of_person(entries: &[Entry], person: i64) -> &[Entry] {
    let from = entries.partition_point(|entry| entry.0 < person);
    let to = entries.partition_point(|entry| entry.0 <= person);
    &entries[from..to]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_near_each_other_are_one_era() {
        let entries = [(1, 0, 10), (1, 5, 8), (1, 41, 50), (1, 82, 90), (2, 50, 60)];
        // 41 is 31 days after 10, and 82 is 32 days after 50.
        assert_eq!(eras(&entries, 31), [(1, 0, 50), (1, 82, 90), (2, 50, 60)]);
        assert_eq!(
            eras(&entries, 30),
            [(1, 0, 10), (1, 41, 50), (1, 82, 90), (2, 50, 60)]
        );
        assert_eq!(of_person(&entries, 1).len(), 4);
        assert!(of_person(&entries, 3).is_empty());
    }
}
