//! Named covariates and demographics: one number per person and covariate.

use std::collections::HashMap;
use std::path::Path;

use arrow::record_batch::RecordBatch;
use datafusion::prelude::SessionContext;

use super::cohort::of_person;
use super::comorbidity;
use super::population::{Cohorts, Person};
use super::statements::{ask, has_table, in_set, need_table};
use super::{count, float};
use crate::error::Result;
use crate::frame::{self, Columns};
use crate::spec::{
    ConceptSet, Covariate, CovariateSource, Demographic, Domain, Measure, Missing, Spec, Window,
};

/// Covariates by column, in the order of the population; NaN where there is no value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Dense {
    pub(crate) names: Vec<String>,
    pub(crate) labels: Vec<String>,
    pub(crate) units: Vec<Option<String>>,
    pub(crate) binary: Vec<bool>,
    pub(crate) missing: Vec<Missing>,
    pub(crate) columns: Vec<Vec<f64>>,
}

impl Dense {
    fn describe(spec: &Spec) -> Self {
        let mut dense = Self::default();
        for one in &spec.covariates.demographics {
            dense.names.push(one.name().to_owned());
            dense.labels.push(one.label().to_owned());
            dense
                .units
                .push((*one == Demographic::Age).then(|| "years".to_owned()));
            dense.binary.push(*one == Demographic::Sex);
            dense.missing.push(Missing::Mean);
        }
        for one in &spec.covariates.named {
            dense.names.push(one.name.clone());
            dense.labels.push(one.label.clone());
            dense.units.push(one.unit.clone());
            dense.binary.push(
                one.value == Measure::Any
                    && matches!(
                        one.source,
                        CovariateSource::Records(..) | CovariateSource::Cohort(_)
                    ),
            );
            dense.missing.push(one.missing);
        }
        dense
    }

    /// From the file of an earlier step.
    pub(crate) fn read(path: &Path, spec: &Spec) -> Result<Self> {
        let mut dense = Self::describe(spec);
        let batch = frame::read(path)?;
        for name in &dense.names {
            dense.columns.push(frame::numbers(&batch, name)?);
        }
        Ok(dense)
    }

    /// What a model calls the column.
    pub(crate) fn term_label(&self, index: usize) -> String {
        match &self.units[index] {
            Some(unit) if !self.binary[index] => {
                format!("{}, per {unit}", self.labels[index]).replace("per years", "per year")
            }
            _ => self.labels[index].clone(),
        }
    }

    pub(crate) fn index_of(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|one| one == name)
    }
}

/// Computes them; the answer is in the order of the population.
pub(crate) async fn build(
    ctx: &SessionContext,
    spec: &Spec,
    people: &[Person],
    cohorts: &Cohorts,
) -> Result<RecordBatch> {
    let rows: HashMap<i64, usize> = people
        .iter()
        .enumerate()
        .map(|(row, person)| (person.person, row))
        .collect();
    let mut columns = Columns::default().integers(
        "person_id",
        people.iter().map(|person| person.person).collect(),
    );
    for one in &spec.covariates.demographics {
        let of = |person: &Person| match one {
            Demographic::Age => person.age.map_or(f64::NAN, f64::from),
            Demographic::Sex => person
                .male
                .map_or(f64::NAN, |male| f64::from(u8::from(male))),
            Demographic::IndexYear => f64::from(person.index_year()),
        };
        columns = columns.numbers(one.name(), people.iter().map(of).collect());
    }
    for one in &spec.covariates.named {
        let column = named(ctx, one, people, &rows, cohorts).await?;
        columns = columns.numbers(&one.name, column);
    }
    columns.batch()
}

async fn named(
    ctx: &SessionContext,
    covariate: &Covariate,
    people: &[Person],
    rows: &HashMap<i64, usize>,
    cohorts: &Cohorts,
) -> Result<Vec<f64>> {
    let step = format!("covariates.{}", covariate.name);
    match &covariate.source {
        CovariateSource::Records(domain, set) => {
            need_table(ctx, &step, domain.columns().0).await?;
            match covariate.value {
                Measure::Any | Measure::Count => {
                    let mut counts =
                        counts(ctx, *domain, set, covariate.window, rows, people.len()).await?;
                    if covariate.value == Measure::Any {
                        counts.iter_mut().for_each(|value| *value = value.min(1.0));
                    }
                    Ok(counts)
                }
                _ => values(ctx, *domain, set, covariate, rows, people.len()).await,
            }
        }
        CovariateSource::Cohort(name) => {
            let entries = cohorts
                .get(&name.value)
                .map(Vec::as_slice)
                .unwrap_or_default();
            Ok(people
                .iter()
                .map(|person| {
                    let found = of_person(entries, person.person)
                        .iter()
                        .filter(|entry| {
                            inside(
                                covariate.window,
                                i64::from(entry.1) - i64::from(person.index),
                            )
                        })
                        .count();
                    match covariate.value {
                        Measure::Count => float(count(found)),
                        _ => f64::from(u8::from(found > 0)),
                    }
                })
                .collect())
        }
        CovariateSource::Index(index) => {
            comorbidity::build(ctx, &step, *index, covariate.window, rows, people.len()).await
        }
        CovariateSource::Score(items) => {
            score(ctx, &step, items, covariate.window, rows, people.len()).await
        }
        CovariateSource::Sql(query) => {
            let answer = ask(ctx, query).await?;
            let persons = frame::integers(&answer, "person_id")?;
            let values = frame::numbers(&answer, "value")?;
            let mut column = vec![f64::NAN; people.len()];
            for (person, value) in persons.into_iter().zip(values) {
                if let Some(row) = person.and_then(|person| rows.get(&person)) {
                    column[*row] = value;
                }
            }
            Ok(column)
        }
    }
}

fn inside(window: Window, day: i64) -> bool {
    day <= window.to && window.from.is_none_or(|from| day >= from)
}

/// The condition on the date of a record of the table `r` against the index date.
pub(crate) fn within(window: Window, date: &str) -> String {
    let days = format!("days_between(p.index_date, r.{date})");
    match window.from {
        Some(from) => format!("{days} BETWEEN {from} AND {}", window.to),
        None => format!("{days} <= {}", window.to),
    }
}

pub(crate) async fn counts(
    ctx: &SessionContext,
    domain: Domain,
    set: &ConceptSet,
    window: Window,
    rows: &HashMap<i64, usize>,
    people: usize,
) -> Result<Vec<f64>> {
    let (table, concept, start, _, _) = domain.columns();
    let sql = format!(
        "SELECT r.person_id, count(*) AS n FROM {table} r JOIN population p ON p.person_id = r.person_id \
         WHERE {} AND {} GROUP BY r.person_id",
        in_set(&format!("r.{concept}"), set),
        within(window, start)
    );
    let answer = ask(ctx, &sql).await?;
    let mut column = vec![0.0; people];
    for (person, number) in frame::integers(&answer, "person_id")?
        .into_iter()
        .zip(frame::numbers(&answer, "n")?)
    {
        if let Some(row) = person.and_then(|person| rows.get(&person)) {
            column[*row] = number;
        }
    }
    Ok(column)
}

async fn score(
    ctx: &SessionContext,
    step: &str,
    items: &[(ConceptSet, f64)],
    window: Window,
    rows: &HashMap<i64, usize>,
    people: usize,
) -> Result<Vec<f64>> {
    need_table(ctx, step, "condition_occurrence").await?;
    let mut total = vec![0.0; people];
    for (set, weight) in items {
        let found = counts(ctx, Domain::Condition, set, window, rows, people).await?;
        for (sum, number) in total.iter_mut().zip(found) {
            if number > 0.0 {
                *sum += weight;
            }
        }
    }
    Ok(total)
}

async fn values(
    ctx: &SessionContext,
    domain: Domain,
    set: &ConceptSet,
    covariate: &Covariate,
    rows: &HashMap<i64, usize>,
    people: usize,
) -> Result<Vec<f64>> {
    let (table, concept, start, _, key) = domain.columns();
    // The values themselves, and the arithmetic here: sums over threads would differ in the last digit from run to run.
    let sql = format!(
        "SELECT r.person_id, r.{start} AS day, r.{key} AS id, r.value_as_number AS value \
         FROM {table} r JOIN population p ON p.person_id = r.person_id \
         WHERE r.value_as_number IS NOT NULL AND {} AND {}",
        in_set(&format!("r.{concept}"), set),
        within(covariate.window, start)
    );
    let answer = ask(ctx, &sql).await?;
    let persons = frame::integers(&answer, "person_id")?;
    let days = frame::days(&answer, "day")?;
    let ids = frame::integers(&answer, "id")?;
    let values = frame::numbers(&answer, "value")?;
    let mut found: Vec<(usize, i32, i64, f64)> = Vec::with_capacity(persons.len());
    for (at, person) in persons.into_iter().enumerate() {
        if let Some(row) = person.and_then(|person| rows.get(&person)) {
            found.push((
                *row,
                days[at].unwrap_or(0),
                ids[at].unwrap_or(0),
                values[at],
            ));
        }
    }
    found.sort_by(|a, b| {
        (a.0, a.1, a.2)
            .cmp(&(b.0, b.1, b.2))
            .then(a.3.total_cmp(&b.3))
    });
    let mut column = vec![f64::NAN; people];
    for group in found.chunk_by(|a, b| a.0 == b.0) {
        let numbers = group.iter().map(|one| one.3);
        column[group[0].0] = match covariate.value {
            Measure::Mean => numbers.sum::<f64>() / float(count(group.len())),
            Measure::Min => numbers.fold(f64::INFINITY, f64::min),
            Measure::Max => numbers.fold(f64::NEG_INFINITY, f64::max),
            _ => group.last().map_or(f64::NAN, |one| one.3),
        };
    }
    Ok(column)
}

/// Names of concepts for readers, where the store has a vocabulary.
pub(crate) async fn concept_names(
    ctx: &SessionContext,
    concepts: &[i64],
) -> Result<HashMap<i64, String>> {
    let mut names = HashMap::new();
    if concepts.is_empty() || !has_table(ctx, "concept").await {
        return Ok(names);
    }
    let list = concepts
        .iter()
        .map(i64::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    let answer = ask(
        ctx,
        &format!("SELECT concept_id, concept_name FROM concept WHERE concept_id IN ({list})"),
    )
    .await?;
    for (id, name) in frame::integers(&answer, "concept_id")?
        .into_iter()
        .zip(frame::texts(&answer, "concept_name")?)
    {
        if let (Some(id), Some(name)) = (id, name) {
            names.insert(id, name);
        }
    }
    Ok(names)
}
