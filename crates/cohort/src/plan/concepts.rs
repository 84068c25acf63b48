//! Resolves concept sets to the concepts they hold, with one pass over each vocabulary table.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array, AsArray};
use columna_store::{Snapshot, Store};
use roaring::RoaringTreemap;

use crate::definition::ConceptItem;
use crate::error::Result;
use crate::read::{Reading, integers, read, same};

/// The bit pattern under which a concept stands in a set.
pub(crate) fn key(concept: i64) -> u64 {
    concept.cast_unsigned()
}

fn concept(key: u64) -> i64 {
    key.cast_signed()
}

/// Resolves concept sets, as written, to their concepts.
///
/// As in Circe, a concept that the vocabulary does not have is in no set, descendants must be valid, and what
/// maps to a concept need be neither.
pub(crate) fn resolve(
    store: &Store,
    snapshot: &Snapshot,
    sets: &[&[ConceptItem]],
    warnings: &mut Vec<String>,
) -> Result<Vec<RoaringTreemap>> {
    let items = || sets.iter().flat_map(|items| items.iter());
    let mut named: BTreeSet<i64> = items().map(|item| item.concept.id).collect();
    let ancestors: RoaringTreemap = items()
        .filter(|item| item.descendants)
        .map(|item| key(item.concept.id))
        .collect();
    let mut missing = |table: &str| {
        let is_missing = snapshot.table(table).is_none();
        if is_missing {
            warnings.push(format!(
                "the store has no table `{table}`: concept sets hold less than they should"
            ));
        }
        is_missing
    };
    let descendants = if ancestors.is_empty() || missing("concept_ancestor") {
        HashMap::new()
    } else {
        descendants(store, snapshot, &ancestors)?
    };
    named.extend(descendants.values().flatten());
    let (known, valid) = if named.is_empty() || missing("concept") {
        Default::default()
    } else {
        known(store, snapshot, &named.iter().map(|&c| key(c)).collect())?
    };
    let of = |item: &ConceptItem| {
        let mut concepts = RoaringTreemap::new();
        if known.contains(key(item.concept.id)) {
            concepts.insert(key(item.concept.id));
        }
        if item.descendants
            && let Some(below) = descendants.get(&item.concept.id)
        {
            concepts.extend(below.iter().map(|&c| key(c)).filter(|&c| valid.contains(c)));
        }
        concepts
    };
    let mut to_map = RoaringTreemap::new();
    for item in items().filter(|item| item.mapped) {
        to_map |= of(item);
    }
    let mapped = if to_map.is_empty() || missing("concept_relationship") {
        HashMap::new()
    } else {
        mapped(store, snapshot, &to_map)?
    };
    let resolved = sets.iter().map(|items| {
        let (mut included, mut excluded) = (RoaringTreemap::new(), RoaringTreemap::new());
        for item in items.iter() {
            let mut concepts = of(item);
            if item.mapped {
                let from: Vec<u64> = concepts
                    .iter()
                    .filter_map(|c| mapped.get(&concept(c)))
                    .flatten()
                    .map(|&c| key(c))
                    .collect();
                concepts.extend(from);
            }
            if item.excluded {
                excluded |= concepts;
            } else {
                included |= concepts;
            }
        }
        included - excluded
    });
    Ok(resolved.collect())
}

/// The descendants of some concepts, by ancestor.
fn descendants(
    store: &Store,
    snapshot: &Snapshot,
    ancestors: &RoaringTreemap,
) -> Result<HashMap<i64, Vec<i64>>> {
    let reading = Reading {
        columns: &["ancestor_concept_id", "descendant_concept_id"],
        only: &[("ancestor_concept_id", ancestors)],
    };
    let pairs = pairs(store, snapshot, "concept_ancestor", &reading, None)?;
    Ok(grouped(pairs))
}

/// What maps to some concepts, by the concept that it maps to.
fn mapped(
    store: &Store,
    snapshot: &Snapshot,
    to: &RoaringTreemap,
) -> Result<HashMap<i64, Vec<i64>>> {
    let reading = Reading {
        columns: &[
            "concept_id_2",
            "concept_id_1",
            "relationship_id",
            "invalid_reason",
        ],
        only: &[("concept_id_2", to)],
    };
    let pairs = pairs(
        store,
        snapshot,
        "concept_relationship",
        &reading,
        Some("Maps to"),
    )?;
    Ok(grouped(pairs))
}

fn grouped(pairs: Vec<(i64, i64)>) -> HashMap<i64, Vec<i64>> {
    let mut groups: HashMap<i64, Vec<i64>> = HashMap::new();
    for (from, to) in pairs {
        groups.entry(from).or_default().push(to);
    }
    groups
}

/// Pairs of concepts: the first and second column of the rows that are read.
fn pairs(
    store: &Store,
    snapshot: &Snapshot,
    table: &str,
    reading: &Reading<'_>,
    relationship: Option<&str>,
) -> Result<Vec<(i64, i64)>> {
    let parts = read(store, snapshot, table, reading, |batch| {
        let from = integers(table, batch, reading.columns[0])?;
        let to = integers(table, batch, reading.columns[1])?;
        let kinds = relationship.map(|_| same(table, batch, "relationship_id"));
        let kinds = kinds.transpose()?;
        let invalid = batch.column_by_name("invalid_reason");
        let mut pairs = Vec::new();
        for row in 0..batch.num_rows() {
            if let (Some(wanted), Some(kinds)) = (relationship, &kinds) {
                let kinds = kinds.as_string::<i32>();
                let valid = invalid.is_none_or(|column| column.is_null(row));
                if kinds.is_null(row) || kinds.value(row) != wanted || !valid {
                    continue;
                }
            }
            if let (Some(from), Some(to)) = (from.get(row), to.get(row)) {
                pairs.push((from, to));
            }
        }
        Ok(pairs)
    })?;
    Ok(parts.into_iter().flatten().collect())
}

/// Which concepts the vocabulary has, and which of them are valid.
fn known(
    store: &Store,
    snapshot: &Snapshot,
    named: &RoaringTreemap,
) -> Result<(RoaringTreemap, RoaringTreemap)> {
    let reading = Reading {
        columns: &["concept_id", "invalid_reason"],
        only: &[("concept_id", named)],
    };
    let parts = read(store, snapshot, "concept", &reading, |batch| {
        let ids = integers("concept", batch, "concept_id")?;
        let invalid = batch.column_by_name("invalid_reason");
        let (mut known, mut valid) = (RoaringTreemap::new(), RoaringTreemap::new());
        for row in 0..batch.num_rows() {
            let Some(id) = ids.get(row) else {
                continue;
            };
            known.insert(key(id));
            if invalid.is_none_or(|column| column.is_null(row)) {
                valid.insert(key(id));
            }
        }
        Ok((known, valid))
    })?;
    let mut all = (RoaringTreemap::new(), RoaringTreemap::new());
    for (known, valid) in parts {
        all.0 |= known;
        all.1 |= valid;
    }
    Ok(all)
}
