//! The co-located scan: a snapshot's tables as DataFusion table providers.
//!
//! Every bucketed table of a snapshot is scanned with the same file → partition map, so that partition `i`
//! of one table holds the same persons as partition `i` of any other. The scan declares that as
//! `Partitioning::Range` on the person key, together with the order of the rows, and joins, GROUP BY and
//! windows by person then need neither a repartition nor a sort.
//!
//! Never declare `Partitioning::Hash` instead: it is taken for DataFusion's own hash, and a join with
//! anything that was repartitioned by it silently loses rows. A range that doesn't match fails safe.

mod copies;
mod decryption;
mod partitions;
mod provider;
mod statistics;
#[cfg(test)]
mod tests;

pub use provider::SnapshotTable;
