//! What is read of each domain's table, and which of its records belong to which leaf.

use std::collections::HashMap;

use roaring::RoaringTreemap;

use super::{At, Leaf};
use crate::domain::Domain;
use crate::plan::key;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ColumnKind {
    /// Concepts and other keys.
    Integers,
    /// Numbers that are compared.
    Numbers,
    /// Texts.
    Texts,
}

/// What is read of one domain's table.
#[derive(Debug, Default)]
pub(crate) struct TablePlan {
    /// Attributes that are asked for, beside keys, dates and concepts.
    pub(crate) columns: Vec<(&'static str, ColumnKind)>,
    /// The leaves that every record is in.
    pub(crate) every: Vec<u32>,
    /// The leaves that records of a concept are in; those that ask for a source concept too are in `both`.
    pub(crate) by_concept: HashMap<i64, Vec<u32>>,
    /// The leaves that records of a source concept are in.
    pub(crate) by_source: HashMap<i64, Vec<u32>>,
    /// Leaves that ask for a concept and a source concept, with the set of the latter.
    pub(crate) both: HashMap<u32, At>,
    /// Concepts whose records are read; all records where there is a leaf in `every`.
    pub(crate) concepts: RoaringTreemap,
    /// Source concepts whose records are read.
    pub(crate) sources: RoaringTreemap,
}

impl TablePlan {
    /// The place of a column, which is read from now on.
    pub(crate) fn slot(&mut self, name: &'static str, kind: ColumnKind) -> At {
        if let Some(at) = self.columns.iter().position(|known| *known == (name, kind)) {
            return at;
        }
        self.columns.push((name, kind));
        self.columns.len() - 1
    }

    /// Whether the records' source concepts must be known.
    pub(crate) fn needs_sources(&self) -> bool {
        !self.by_source.is_empty() || !self.both.is_empty()
    }

    fn route(&mut self, number: u32, leaf: Leaf, sets: &[RoaringTreemap]) {
        match (leaf.concept, leaf.source) {
            (None, None) => self.every.push(number),
            (Some(set), source) => {
                for concept in &sets[set] {
                    let leaves = self.by_concept.entry(concept.cast_signed()).or_default();
                    leaves.push(number);
                }
                self.concepts |= &sets[set];
                if let Some(source) = source {
                    self.both.insert(number, source);
                }
            }
            (None, Some(set)) => {
                for concept in &sets[set] {
                    let leaves = self.by_source.entry(concept.cast_signed()).or_default();
                    leaves.push(number);
                }
                self.sources |= &sets[set];
            }
        }
    }
}

/// The tables that are read, by domain, while a plan is made.
#[derive(Debug)]
pub(crate) struct Slots(Vec<Option<TablePlan>>);

impl Default for Slots {
    fn default() -> Self {
        Self(Domain::ALL.iter().map(|_| None).collect())
    }
}

impl Slots {
    /// A domain's table, which is read from now on.
    pub(crate) fn table(&mut self, domain: Domain) -> &mut TablePlan {
        self.0[domain as usize].get_or_insert_default()
    }

    /// Says which records belong to which leaf, once all leaves and sets are known.
    pub(crate) fn routed(
        mut self,
        leaves: &[Leaf],
        sets: &[RoaringTreemap],
    ) -> Vec<Option<TablePlan>> {
        for (leaf, number) in leaves.iter().zip(0_u32..) {
            self.table(leaf.domain).route(number, *leaf, sets);
        }
        self.0
    }
}

/// Whether a set has a concept.
pub(crate) fn has(set: &RoaringTreemap, concept: i64) -> bool {
    set.contains(key(concept))
}
