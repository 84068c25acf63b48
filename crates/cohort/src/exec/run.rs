//! Runs a plan over a store: bucket after bucket, the persons of each in parallel.

use std::ops::Range;

use columna_model::BucketId;
use columna_store::{Snapshot, Store};
use rayon::prelude::*;

use super::counts::{Attrition, PersonMasks, Tally};
use super::load::{Bucket, load};
use super::person::Evaluator;
use crate::error::{Error, Result};
use crate::plan::Plan;

/// Persons that one evaluator works on before the next is made.
const CHUNK: usize = 512;

/// A period of membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Member {
    /// The person.
    pub subject_id: i64,
    /// The definition.
    pub cohort_definition_id: i64,
    /// The first day.
    pub start: i32,
    /// The last day.
    pub end: i32,
}

/// What a run found, beside the members.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// One for every definition, in their order.
    pub attrition: Vec<Attrition>,
    /// Persons with an observation period.
    pub persons: u64,
    /// Rows that were handed over.
    pub rows: u64,
}

/// Runs a plan. Blocking. `members` takes the rows of each bucket, ordered by person, definition and start.
///
/// # Errors
/// When the store cannot be read, or `members` fails.
pub fn run(
    store: &Store,
    snapshot: &Snapshot,
    plan: &Plan,
    threads: Option<usize>,
    members: &mut (dyn FnMut(BucketId, Vec<Member>) -> Result<()> + Send),
) -> Result<Outcome> {
    let mut pool = rayon::ThreadPoolBuilder::new();
    if let Some(threads) = threads {
        pool = pool.num_threads(threads.max(1));
    }
    let pool = pool
        .build()
        .map_err(|e| Error::engine(format!("threads cannot be started: {e}")))?;
    pool.install(|| {
        let mut tallies = vec![Tally::default(); plan.cohorts.len()];
        let (mut persons, mut rows) = (0, 0);
        for range in snapshot.buckets().iter() {
            let bucket = load(store, snapshot, plan, Some(range.id))?;
            let found = evaluate(plan, &bucket);
            persons += found.persons;
            rows += found.members.len() as u64;
            for (tally, more) in tallies.iter_mut().zip(found.tallies) {
                tally.merge(more);
            }
            members(range.id, found.members)?;
        }
        let counted = tallies.into_iter().zip(&plan.cohorts);
        Ok(Outcome {
            attrition: counted
                .map(|(tally, cohort)| tally.attrition(cohort))
                .collect(),
            persons,
            rows,
        })
    })
}

#[derive(Default)]
struct Found {
    members: Vec<Member>,
    tallies: Vec<Tally>,
    persons: u64,
}

fn evaluate(plan: &Plan, bucket: &Bucket) -> Found {
    let persons = persons_of(&bucket.periods.persons);
    let chunks: Vec<Found> = persons
        .par_chunks(CHUNK)
        .map(|chunk| evaluate_chunk(plan, bucket, chunk))
        .collect();
    let mut all = Found::default();
    for chunk in chunks {
        all.persons += chunk.persons;
        all.members.extend(chunk.members);
        if all.tallies.is_empty() {
            all.tallies = chunk.tallies;
        } else {
            for (tally, more) in all.tallies.iter_mut().zip(chunk.tallies) {
                tally.merge(more);
            }
        }
    }
    all
}

fn evaluate_chunk(plan: &Plan, bucket: &Bucket, chunk: &[(i64, Range<usize>)]) -> Found {
    let mut found = Found {
        tallies: vec![Tally::default(); plan.cohorts.len()],
        persons: chunk.len() as u64,
        ..Found::default()
    };
    let Some((first, _)) = chunk.first() else {
        return found;
    };
    let mut evaluator = Evaluator::new(plan, bucket, *first);
    let mut masks = PersonMasks::default();
    for (person, periods) in chunk {
        evaluator.advance(*person, periods.clone());
        let entered = evaluator.entered();
        for &number in &entered {
            let cohort = &plan.cohorts[number as usize];
            let periods = evaluator.periods_in(cohort, &mut masks);
            found.tallies[number as usize].add(&masks, periods.len());
            found
                .members
                .extend(periods.into_iter().map(|(start, end)| Member {
                    subject_id: *person,
                    cohort_definition_id: cohort.id,
                    start,
                    end,
                }));
        }
        evaluator.give_back(entered);
    }
    found
}

/// The distinct persons with their rows.
fn persons_of(persons: &[i64]) -> Vec<(i64, Range<usize>)> {
    let mut found: Vec<(i64, Range<usize>)> = Vec::new();
    for (row, &person) in persons.iter().enumerate() {
        match found.last_mut() {
            Some((last, rows)) if *last == person => rows.end = row + 1,
            _ => found.push((person, row..row + 1)),
        }
    }
    found
}
