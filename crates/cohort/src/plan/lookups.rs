//! Small tables that are looked up by key, and tables that the store does not have.

use std::collections::HashMap;

use columna_store::{Snapshot, Store};

use super::tables::TablePlan;
use crate::domain::Domain;
use crate::error::Result;
use crate::read::{Reading, integers, read};

/// A table's values by its key.
pub(super) fn pairs(
    store: &Store,
    snapshot: &Snapshot,
    table: &'static str,
    key: &'static str,
    value: &'static str,
    warnings: &mut Vec<String>,
) -> Result<HashMap<i64, i64>> {
    let schema = snapshot.table(table).map(|version| &version.spec.schema);
    if !schema
        .is_some_and(|s| s.column_with_name(key).is_some() && s.column_with_name(value).is_some())
    {
        warnings.push(format!(
            "the store has no column `{value}` of a table `{table}`: criteria that ask for it find nothing"
        ));
        return Ok(HashMap::new());
    }
    let reading = Reading {
        columns: &[key, value],
        only: &[],
    };
    let parts = read(store, snapshot, table, &reading, |batch| {
        let keys = integers(table, batch, key)?;
        let values = integers(table, batch, value)?;
        let rows = 0..batch.num_rows();
        Ok(rows
            .filter_map(|row| Some((keys.get(row)?, values.get(row)?)))
            .collect::<Vec<_>>())
    })?;
    Ok(parts.into_iter().flatten().collect())
}

/// Says which tables and columns that criteria ask for the store does not have.
pub(super) fn warn_of_missing(
    snapshot: &Snapshot,
    tables: &[Option<TablePlan>],
    warnings: &mut Vec<String>,
) {
    if snapshot.table("observation_period").is_none() {
        warnings
            .push("the store has no table `observation_period`: no cohort has members".to_owned());
    }
    if snapshot.table("person").is_none() {
        warnings.push(
            "the store has no table `person`: criteria on age, gender, race and ethnicity find nothing"
                .to_owned(),
        );
    }
    for (domain, plan) in Domain::ALL.into_iter().zip(tables) {
        let (Some(plan), def) = (plan, domain.def()) else {
            continue;
        };
        let Some(version) = snapshot.table(def.table) else {
            warnings.push(format!(
                "the store has no table `{}`: criteria on a {} find nothing",
                def.table, def.noun
            ));
            continue;
        };
        let mut needed: Vec<&str> = plan.columns.iter().map(|(name, _)| *name).collect();
        needed.extend([def.id, def.start]);
        needed.extend(def.end.columns());
        needed.extend(def.concept.filter(|_| !plan.by_concept.is_empty()));
        needed.extend(def.source.filter(|_| plan.needs_sources()));
        needed.sort_unstable();
        needed.dedup();
        for column in needed {
            if version.spec.schema.column_with_name(column).is_none() {
                warnings.push(format!(
                    "table `{}` has no column `{column}`: criteria that ask for it find nothing",
                    def.table
                ));
            }
        }
    }
}
