//! Reads what a plan needs of one bucket.

use columna_model::BucketId;
use columna_store::{FileEntry, Snapshot, Store};
use rayon::prelude::*;
use roaring::RoaringTreemap;

use super::table::{Table, columns_of, days, integers, person_column};
use crate::domain::Domain;
use crate::error::Result;
use crate::plan::{Plan, TablePlan};
use crate::read::{Reading, read_files};

/// What a plan needs of one bucket.
#[derive(Debug, Default)]
pub(crate) struct Bucket {
    /// By domain.
    pub(crate) tables: Vec<Option<Table>>,
    pub(crate) people: People,
    pub(crate) periods: Periods,
    pub(crate) visits: Visits,
}

/// Persons.
#[derive(Debug, Default)]
pub(crate) struct People {
    pub(crate) ids: Vec<i64>,
    pub(crate) genders: Vec<i64>,
    pub(crate) races: Vec<i64>,
    pub(crate) ethnicities: Vec<i64>,
    pub(crate) birth_years: Vec<i64>,
}

/// Observation periods.
#[derive(Debug, Default)]
pub(crate) struct Periods {
    pub(crate) persons: Vec<i64>,
    pub(crate) starts: Vec<i32>,
    pub(crate) ends: Vec<i32>,
}

/// The kinds of visits.
#[derive(Debug, Default)]
pub(crate) struct Visits {
    pub(crate) persons: Vec<i64>,
    pub(crate) ids: Vec<i64>,
    pub(crate) concepts: Vec<i64>,
}

/// Where the bucket's rows are.
struct Source<'a> {
    store: &'a Store,
    snapshot: &'a Snapshot,
    bucket: Option<BucketId>,
}

impl<'a> Source<'a> {
    fn files(&self, table: &str) -> impl Iterator<Item = &'a FileEntry> + use<'a> {
        let (snapshot, bucket) = (self.snapshot, self.bucket);
        let version = snapshot.table(table);
        version.into_iter().flat_map(move |v| v.files_in(bucket))
    }
}

/// Reads a bucket, all tables in parallel.
pub(crate) fn load(
    store: &Store,
    snapshot: &Snapshot,
    plan: &Plan,
    bucket: Option<BucketId>,
) -> Result<Bucket> {
    let source = Source {
        store,
        snapshot,
        bucket,
    };
    let tables = || {
        let domains = Domain::ALL.par_iter().zip(&plan.tables);
        let read = domains.map(|(domain, table)| match table {
            Some(table) => domain_table(&source, *domain, table).map(Some),
            None => Ok(None),
        });
        read.collect::<Result<Vec<_>>>()
    };
    let rest = || {
        rayon::join(
            || people(&source),
            || {
                let periods = periods(&source);
                let visits = if plan.visits {
                    visits(&source)
                } else {
                    Ok(Visits::default())
                };
                (periods, visits)
            },
        )
    };
    let (tables, (people, (periods, visits))) = rayon::join(tables, rest);
    Ok(Bucket {
        tables: tables?,
        people: people?,
        periods: periods?,
        visits: visits?,
    })
}

fn domain_table(source: &Source<'_>, domain: Domain, plan: &TablePlan) -> Result<Table> {
    let def = domain.def();
    let columns = columns_of(def, plan);
    let only = wanted(source, domain, plan);
    let reading = Reading {
        columns: &columns,
        only: &only,
    };
    let parts = read_files(source.store, source.files(def.table), &reading, |batch| {
        Table::of(def, plan, batch)
    })?;
    let mut table = Table::default();
    for part in parts {
        table.append(part);
    }
    Ok(table)
}

/// The concepts whose records alone are read; none where all records are.
fn wanted<'p>(
    source: &Source<'_>,
    domain: Domain,
    plan: &'p TablePlan,
) -> Vec<(&'static str, &'p RoaringTreemap)> {
    let def = domain.def();
    let mut only = Vec::new();
    if !plan.every.is_empty() {
        return only;
    }
    let schema = source.snapshot.table(def.table).map(|t| &t.spec.schema);
    let is_there = |column: &str| schema.is_some_and(|s| s.column_with_name(column).is_some());
    only.extend(
        def.concept
            .filter(|c| is_there(c))
            .map(|c| (c, &plan.concepts)),
    );
    if !plan.by_source.is_empty() {
        only.extend(
            def.source
                .filter(|c| is_there(c))
                .map(|c| (c, &plan.sources)),
        );
    }
    only
}

fn people(source: &Source<'_>) -> Result<People> {
    let reading = Reading {
        columns: &[
            person_column(),
            "gender_concept_id",
            "race_concept_id",
            "ethnicity_concept_id",
            "year_of_birth",
        ],
        only: &[],
    };
    let parts = read_files(source.store, source.files("person"), &reading, |batch| {
        let mut people = People::default();
        integers("person", batch, person_column(), &mut people.ids)?;
        integers("person", batch, "gender_concept_id", &mut people.genders)?;
        integers("person", batch, "race_concept_id", &mut people.races)?;
        let ethnicities = &mut people.ethnicities;
        integers("person", batch, "ethnicity_concept_id", ethnicities)?;
        integers("person", batch, "year_of_birth", &mut people.birth_years)?;
        Ok(people)
    })?;
    let mut people = People::default();
    for part in parts {
        people.ids.extend(part.ids);
        people.genders.extend(part.genders);
        people.races.extend(part.races);
        people.ethnicities.extend(part.ethnicities);
        people.birth_years.extend(part.birth_years);
    }
    Ok(people)
}

fn periods(source: &Source<'_>) -> Result<Periods> {
    const TABLE: &str = "observation_period";
    const START: &str = "observation_period_start_date";
    const END: &str = "observation_period_end_date";
    let reading = Reading {
        columns: &[person_column(), START, END],
        only: &[],
    };
    let parts = read_files(source.store, source.files(TABLE), &reading, |batch| {
        let mut periods = Periods::default();
        integers(TABLE, batch, person_column(), &mut periods.persons)?;
        days(TABLE, batch, START, &mut periods.starts)?;
        days(TABLE, batch, END, &mut periods.ends)?;
        Ok(periods)
    })?;
    let mut periods = Periods::default();
    for part in parts {
        periods.persons.extend(part.persons);
        periods.starts.extend(part.starts);
        periods.ends.extend(part.ends);
    }
    Ok(periods)
}

fn visits(source: &Source<'_>) -> Result<Visits> {
    const TABLE: &str = "visit_occurrence";
    let reading = Reading {
        columns: &[person_column(), "visit_occurrence_id", "visit_concept_id"],
        only: &[],
    };
    let parts = read_files(source.store, source.files(TABLE), &reading, |batch| {
        let mut visits = Visits::default();
        integers(TABLE, batch, person_column(), &mut visits.persons)?;
        integers(TABLE, batch, "visit_occurrence_id", &mut visits.ids)?;
        integers(TABLE, batch, "visit_concept_id", &mut visits.concepts)?;
        Ok(visits)
    })?;
    let mut visits = Visits::default();
    for part in parts {
        visits.persons.extend(part.persons);
        visits.ids.extend(part.ids);
        visits.concepts.extend(part.concepts);
    }
    Ok(visits)
}
