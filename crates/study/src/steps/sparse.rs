//! Sparse covariates: every concept that is recorded in a window, thousands at once.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use arrow::record_batch::RecordBatch;
use columna_stats::models::SparseColumn;
use datafusion::prelude::SessionContext;

use super::covariates::{concept_names, within};
use super::population::Person;
use super::statements::{ask, has_table, in_set};
use crate::error::Result;
use crate::frame::{self, Columns};
use crate::spec::{ConceptSet, Domain, Source, Spec};

/// Sparse covariates by column.
#[derive(Debug, Default)]
pub(crate) struct Sparse {
    pub(crate) labels: Vec<String>,
    /// Rows of the population that have it, ascending.
    pub(crate) rows: Vec<Vec<u32>>,
}

impl Sparse {
    /// From the file of an earlier step.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let batch = frame::read(path)?;
        let columns = frame::integers(&batch, "covariate")?;
        let labels = frame::texts(&batch, "label")?;
        let rows = frame::integers(&batch, "row")?;
        let mut sparse = Self::default();
        let mut last = None;
        for (at, column) in columns.into_iter().enumerate() {
            if column != last {
                last = column;
                sparse.labels.push(labels[at].clone().unwrap_or_default());
                sparse.rows.push(Vec::new());
            }
            if let (Some(list), Some(row)) = (
                sparse.rows.last_mut(),
                rows[at].and_then(|row| u32::try_from(row).ok()),
            ) {
                list.push(row);
            }
        }
        Ok(sparse)
    }

    /// For a model.
    pub(crate) fn columns(&self) -> Result<Vec<SparseColumn>> {
        self.rows
            .iter()
            .map(|rows| Ok(SparseColumn::indicator(rows.clone())?))
            .collect()
    }
}

/// What may not be a covariate: the exposures themselves define the groups.
fn exposures(spec: &Spec) -> Vec<(Domain, &ConceptSet)> {
    let Some(design) = &spec.design else {
        return Vec::new();
    };
    std::iter::once(&design.target)
        .chain(&design.comparator)
        .filter_map(|name| spec.cohort(&name.value))
        .filter_map(|cohort| match &cohort.source {
            Source::Records {
                domain, concepts, ..
            } => Some((*domain, concepts)),
            _ => None,
        })
        .collect()
}

/// Finds them.
pub(crate) async fn build(
    ctx: &SessionContext,
    spec: &Spec,
    people: &[Person],
) -> Result<RecordBatch> {
    let mut found: BTreeMap<(Domain, i64), Vec<u32>> = BTreeMap::new();
    let mut hierarchy_known = false;
    if let Some(wanted) = &spec.covariates.sparse {
        hierarchy_known = wanted.hierarchy && has_table(ctx, "concept_ancestor").await;
        let rows: HashMap<i64, u32> = people
            .iter()
            .zip(0_u32..)
            .map(|(person, row)| (person.person, row))
            .collect();
        for domain in &wanted.domains {
            let (table, concept, start, _, _) = domain.columns();
            if !has_table(ctx, table).await {
                continue;
            }
            let mut sql = format!(
                "SELECT DISTINCT r.person_id, r.{concept} AS concept FROM {table} r \
                 JOIN population p ON p.person_id = r.person_id WHERE r.{concept} > 0 AND {}",
                within(wanted.window, start)
            );
            for (exposed, set) in exposures(spec) {
                if exposed == *domain {
                    sql = format!("{sql} AND NOT ({})", in_set(&format!("r.{concept}"), set));
                }
            }
            if !wanted.exclude.is_empty() {
                let set = ConceptSet {
                    concepts: wanted.exclude.clone(),
                    descendants: true,
                    exclude: Vec::new(),
                };
                sql = format!("{sql} AND NOT ({})", in_set(&format!("r.{concept}"), &set));
            }
            let answer = ask(ctx, &sql).await?;
            for (person, concept) in frame::integers(&answer, "person_id")?
                .into_iter()
                .zip(frame::integers(&answer, "concept")?)
            {
                if let (Some(person), Some(concept)) = (person, concept)
                    && let Some(row) = rows.get(&person)
                {
                    found.entry((*domain, concept)).or_default().push(*row);
                }
            }
        }
        if hierarchy_known {
            found = expanded(ctx, found).await?;
        }
        for rows in found.values_mut() {
            rows.sort_unstable();
            rows.dedup();
        }
        // What nearly nobody or nearly everybody has tells nothing.
        found.retain(|_, rows| {
            rows.len() >= wanted.min_persons && rows.len() + wanted.min_persons <= people.len()
        });
    }
    if hierarchy_known {
        found = unique(found);
    }
    let concepts: Vec<i64> = found.keys().map(|(_, concept)| *concept).collect();
    let names = concept_names(ctx, &concepts).await?;
    let (mut covariates, mut labels, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for (number, ((domain, concept), members)) in (0_i64..).zip(&found) {
        let name = names
            .get(concept)
            .cloned()
            .unwrap_or_else(|| format!("concept {concept}"));
        for row in members {
            covariates.push(number);
            labels.push(format!("{name} ({})", domain.name()));
            rows.push(i64::from(*row));
        }
    }
    Columns::default()
        .integers("covariate", covariates)
        .texts("label", labels)
        .integers("row", rows)
        .batch()
}

/// What stands above a recorded concept counts as recorded.
async fn expanded(
    ctx: &SessionContext,
    found: BTreeMap<(Domain, i64), Vec<u32>>,
) -> Result<BTreeMap<(Domain, i64), Vec<u32>>> {
    let list = found
        .keys()
        .map(|(_, concept)| concept.to_string())
        .collect::<Vec<_>>()
        .join(", ");
    if list.is_empty() {
        return Ok(found);
    }
    let answer = ask(
        ctx,
        &format!(
            "SELECT DISTINCT descendant_concept_id AS below, ancestor_concept_id AS above FROM concept_ancestor \
             WHERE descendant_concept_id IN ({list}) AND ancestor_concept_id <> descendant_concept_id"
        ),
    )
    .await?;
    let mut above: HashMap<i64, Vec<i64>> = HashMap::new();
    for (below, concept) in frame::integers(&answer, "below")?
        .into_iter()
        .zip(frame::integers(&answer, "above")?)
    {
        if let (Some(below), Some(concept)) = (below, concept) {
            above.entry(below).or_default().push(concept);
        }
    }
    let mut all = found.clone();
    for ((domain, concept), rows) in found {
        for ancestor in above.get(&concept).map(Vec::as_slice).unwrap_or_default() {
            all.entry((domain, *ancestor)).or_default().extend(&rows);
        }
    }
    Ok(all)
}

/// Of concepts that the same persons have, one stays: the others would be the same column.
fn unique(found: BTreeMap<(Domain, i64), Vec<u32>>) -> BTreeMap<(Domain, i64), Vec<u32>> {
    let mut seen: HashMap<blake3::Hash, (Domain, i64)> = HashMap::new();
    let mut kept = BTreeMap::new();
    for (key, rows) in found {
        let mut hash = blake3::Hasher::new();
        for row in &rows {
            hash.update(&row.to_le_bytes());
        }
        if seen.insert(hash.finalize(), key).is_none() {
            kept.insert(key, rows);
        }
    }
    kept
}
