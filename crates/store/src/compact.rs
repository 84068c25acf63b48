//! Brings buckets back to size: divides those grown too large, joins neighbours that are far too small.

use std::fmt;
use std::ops::Range;

use columna_model::BucketId;
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};
use serde::Serialize;

use crate::Result;
use crate::bridge::blocking;
use crate::buckets::{BucketRange, Sample};
use crate::operation::Operation;
use crate::run_reader::{Batches, Keep, each_value, read};
use crate::snapshot::Snapshot;
use crate::store::Store;
use crate::transaction::Transaction;

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct CompactReport {
    /// Buckets that were divided.
    pub split: u64,
    /// Buckets that were joined with a neighbour.
    pub merged: u64,
    /// Buckets before and after.
    pub buckets: (usize, usize),
    /// Data files before and after.
    pub files: (usize, usize),
    /// Their sizes before and after.
    pub bytes: (u64, u64),
    /// The snapshot made; none when everything was in order.
    pub snapshot: Option<u64>,
}

impl fmt::Display for CompactReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(snapshot) = self.snapshot else {
            return write!(
                f,
                "nothing to do: {} buckets in {} files are of the right size",
                self.buckets.0, self.files.0
            );
        };
        write!(
            f,
            "{} buckets split, {} merged, snapshot {snapshot}: {} → {} buckets, {} → {} files, {} → {} bytes",
            self.split,
            self.merged,
            self.buckets.0,
            self.buckets.1,
            self.files.0,
            self.files.1,
            self.bytes.0,
            self.bytes.1
        )
    }
}

/// Neighbouring buckets that are replaced by others.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    positions: Range<usize>,
    /// The first person and size of each new bucket.
    pieces: Vec<(Option<i64>, u64)>,
}

impl Store {
    /// Brings buckets back to size in all tables at once, and joins the files of tables without buckets.
    ///
    /// # Errors
    /// When a file cannot be read or written, or another writer changed what is being rewritten.
    pub async fn compact(&self) -> Result<CompactReport> {
        let tx = self.begin().await?;
        let base = tx.base().clone();
        let (tx, mut report) = blocking(move || rewrite(tx)).await?;
        let after = if report.split + report.merged > 0 || !scattered(&base).is_empty() {
            let (split, merged) = (report.split, report.merged);
            let after = tx.commit(Operation::Compact { split, merged }).await?;
            report.snapshot = Some(after.version());
            after
        } else {
            base.clone()
        };
        let files = |s: &Snapshot| s.tables().map(|t| t.files.len()).sum();
        report.buckets = (base.buckets().len(), after.buckets().len());
        report.files = (files(&base), files(&after));
        report.bytes = (base.bytes(), after.bytes());
        Ok(report)
    }
}

/// Tables' parts that are in several files.
fn scattered(base: &Snapshot) -> Vec<(String, Option<BucketId>)> {
    let mut found = Vec::new();
    for table in base.tables() {
        let mut buckets: Vec<Option<BucketId>> = table.files.iter().map(|f| f.bucket).collect();
        buckets.sort_unstable();
        let twice = buckets
            .chunk_by(|a, b| a == b)
            .filter(|same| same.len() > 1);
        found.extend(twice.map(|same| (table.spec.name.clone(), same[0])));
    }
    found
}

/// Rewrites what is out of size, and says what was. Blocking.
fn rewrite(mut tx: Transaction) -> Result<(Transaction, CompactReport)> {
    let base = tx.base().clone();
    let target = base.layout().persons_per_bucket;
    let ranges: Vec<BucketRange> = base.buckets().iter().copied().collect();
    let persons: Vec<Vec<i64>> = ranges
        .par_iter()
        .map(|r| persons_in(&tx, &base, r.id))
        .collect::<Result<_>>()?;
    let steps = plan(&ranges, &persons, target)?;
    let mut report = CompactReport::default();
    let mut moves: Vec<(Vec<BucketId>, Vec<BucketId>)> = Vec::new();
    if !steps.is_empty() {
        for (at, persons) in persons.iter().enumerate() {
            tx.buckets_mut().set_persons(at, persons.len() as u64);
        }
    }
    // From the last on, so that positions stay what they are.
    for step in steps.iter().rev() {
        let old: Vec<BucketId> = ranges[step.positions.clone()]
            .iter()
            .map(|r| r.id)
            .collect();
        let new = tx
            .buckets_mut()
            .replace(step.positions.clone(), &step.pieces);
        if old.len() == 1 {
            report.split += 1;
        } else {
            report.merged += old.len() as u64;
        }
        moves.push((old, new));
    }
    let moved = |bucket: Option<BucketId>| {
        moves
            .iter()
            .any(|(old, _)| bucket.is_some_and(|b| old.contains(&b)))
    };
    let mut work: Vec<(String, Option<BucketId>, Vec<Option<BucketId>>)> = Vec::new();
    for table in base.tables().filter(|t| t.spec.is_bucketed()) {
        for (old, new) in &moves {
            let from: Vec<_> = old.iter().copied().map(Some).collect();
            work.extend(
                new.iter()
                    .map(|&to| (table.spec.name.clone(), Some(to), from.clone())),
            );
        }
    }
    let alone = scattered(&base)
        .into_iter()
        .filter(|(_, bucket)| !moved(*bucket));
    work.extend(alone.map(|(table, bucket)| (table, bucket, vec![bucket])));
    work.into_par_iter().try_for_each(|(table, to, from)| {
        let runs = runs_of(&tx, &base, &table, to, &from)?;
        tx.rewrite(&table, to, runs)
    })?;
    for table in base.tables().filter(|t| t.spec.is_bucketed()) {
        for old in moves.iter().flat_map(|(old, _)| old) {
            tx.rewrite(&table.spec.name, Some(*old), Vec::new())?;
        }
    }
    Ok((tx, report))
}

/// The rows of old buckets that belong into a new one.
fn runs_of(
    tx: &Transaction,
    base: &Snapshot,
    table: &str,
    to: Option<BucketId>,
    from: &[Option<BucketId>],
) -> Result<Vec<Batches<'static>>> {
    let Some(version) = base.table(table) else {
        return Ok(Vec::new());
    };
    let keep = match to.and_then(|to| tx.buckets().bounds(to)) {
        Some((from, to)) => Keep::Range(from, to),
        None => Keep::All,
    };
    let files = from.iter().flat_map(|&bucket| version.files_in(bucket));
    files
        .map(|file| read(tx.store().backend(), &version.spec, file, keep.clone()))
        .collect()
}

/// The distinct persons of a bucket over all tables, sorted.
fn persons_in(tx: &Transaction, base: &Snapshot, bucket: BucketId) -> Result<Vec<i64>> {
    let mut persons = Vec::new();
    for table in base.tables() {
        let Some(key) = table.spec.person_key.as_deref() else {
            continue;
        };
        for file in table.files_in(Some(bucket)) {
            each_value(tx.store().backend(), file, key, |person| {
                if persons.last() != Some(&person) {
                    persons.push(person);
                }
            })?;
        }
        persons.sort_unstable();
        persons.dedup();
    }
    Ok(persons)
}

/// Which buckets to replace. A bucket may have from a quarter of the target to twice of it.
fn plan(ranges: &[BucketRange], persons: &[Vec<i64>], target: u64) -> Result<Vec<Step>> {
    let small = target.div_ceil(4);
    let limit = target.saturating_add(target / 2);
    let count = |at: usize| persons[at].len() as u64;
    let mut steps = Vec::new();
    let mut at = 0;
    while at < ranges.len() {
        let from = ranges[at].from;
        if count(at) > target.saturating_mul(2) {
            let pieces =
                Sample::take(None, &mut persons[at].iter().copied(), target)?.pieces(target);
            // The first piece begins where the bucket did, not with its first person.
            let bounds = pieces.iter().enumerate();
            let pieces = bounds
                .map(|(i, &(first, size))| (if i == 0 { from } else { Some(first) }, size))
                .collect();
            steps.push(Step {
                positions: at..at + 1,
                pieces,
            });
            at += 1;
            continue;
        }
        let (mut end, mut sum) = (at + 1, count(at));
        while end < ranges.len() && sum.min(count(end)) < small && sum + count(end) <= limit {
            sum += count(end);
            end += 1;
        }
        if end > at + 1 {
            steps.push(Step {
                positions: at..end,
                pieces: vec![(from, sum)],
            });
        }
        at = end;
    }
    Ok(steps)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn planned(sizes: &[i64]) -> Vec<(Range<usize>, Vec<u64>)> {
        let mut ranges = Vec::new();
        let mut persons = Vec::new();
        for (at, &size) in (0..).zip(sizes) {
            let from = at * 10_000;
            ranges.push(BucketRange {
                id: BucketId(u32::try_from(at).unwrap()),
                from: (at > 0).then_some(from),
                persons: 0,
            });
            persons.push((from..from + size).collect());
        }
        let steps = plan(&ranges, &persons, 100).unwrap();
        let pieces = |s: Step| (s.positions, s.pieces.iter().map(|p| p.1).collect());
        steps.into_iter().map(pieces).collect()
    }

    #[test]
    fn buckets_of_the_right_size_are_left_alone() {
        assert_eq!(planned(&[100, 90, 150, 200, 60]), []);
        assert_eq!(planned(&[3]), []);
    }

    #[test]
    fn large_ones_are_divided_and_small_ones_joined() {
        assert_eq!(
            planned(&[100, 410, 100]),
            [(1..2, vec![102, 103, 102, 103])]
        );
        assert_eq!(planned(&[100, 5, 5, 5, 100]), [(0..4, vec![115])]);
        assert_eq!(planned(&[0, 0, 0]), [(0..3, vec![0])]);
        assert_eq!(planned(&[150, 10, 200]), []);
    }
}
