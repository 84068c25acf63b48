//! One person's records, sorted into leaves, and the memory of what was worked out of them.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;

use super::events::Event;
use super::load::Bucket;
use super::table::rows_of;
use super::{MISSING, MISSING_DAY};
use crate::plan::{At, Plan, has};

/// Works out cohorts, one person after the other.
#[derive(Debug)]
pub(crate) struct Evaluator<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) bucket: &'a Bucket,
    pub(crate) facts: Facts,
    /// The person's observation periods, by start.
    pub(crate) periods: Vec<(i32, i32)>,
    pub(crate) visits: Range<usize>,
    /// The person's rows of each leaf's table.
    pub(crate) leaf_rows: Vec<Vec<u32>>,
    touched_leaves: Vec<u32>,
    /// The events of queries that this person's cohorts asked for.
    pub(crate) memo: Vec<OnceCell<Vec<Event>>>,
    pub(crate) touched_queries: RefCell<Vec<At>>,
    rows: Vec<Range<usize>>,
    person_row: usize,
    entered: Vec<u32>,
}

/// What the table of persons says of the person.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts {
    pub(crate) id: i64,
    /// Whether the table has the person at all.
    pub(crate) known: bool,
    pub(crate) gender: i64,
    pub(crate) race: i64,
    pub(crate) ethnicity: i64,
    pub(crate) birth_year: i64,
}

impl Facts {
    fn unknown(id: i64) -> Self {
        Self {
            id,
            known: false,
            gender: MISSING,
            race: MISSING,
            ethnicity: MISSING,
            birth_year: MISSING,
        }
    }
}

impl<'a> Evaluator<'a> {
    /// An evaluator whose first person is not below this one.
    pub(crate) fn new(plan: &'a Plan, bucket: &'a Bucket, first: i64) -> Self {
        let start = |persons: &[i64]| {
            let at = persons.partition_point(|&p| p < first);
            at..at
        };
        let rows = bucket.tables.iter().map(|table| match table {
            Some(table) => start(&table.persons),
            None => 0..0,
        });
        Self {
            plan,
            bucket,
            facts: Facts::unknown(first),
            periods: Vec::new(),
            visits: start(&bucket.visits.persons),
            leaf_rows: vec![Vec::new(); plan.leaves.len()],
            touched_leaves: Vec::new(),
            memo: (0..plan.queries.len()).map(|_| OnceCell::new()).collect(),
            touched_queries: RefCell::default(),
            rows: rows.collect(),
            person_row: start(&bucket.people.ids).start,
            entered: Vec::new(),
        }
    }

    /// Goes on to a person with these rows of the table of observation periods.
    pub(crate) fn advance(&mut self, person: i64, periods: Range<usize>) {
        self.clear();
        let people = &self.bucket.people;
        let row = rows_of(&people.ids, person, self.person_row);
        self.person_row = row.end;
        self.facts = match row.clone().next() {
            None => Facts::unknown(person),
            Some(row) => Facts {
                id: person,
                known: true,
                gender: people.genders[row],
                race: people.races[row],
                ethnicity: people.ethnicities[row],
                birth_year: people.birth_years[row],
            },
        };
        let known = &self.bucket.periods;
        self.periods.extend(
            periods
                .map(|row| (known.starts[row], known.ends[row]))
                .filter(|(start, end)| *start != MISSING_DAY && *end != MISSING_DAY),
        );
        self.periods.sort_unstable();
        self.visits = rows_of(&self.bucket.visits.persons, person, self.visits.end);
        self.sort_into_leaves(person);
    }

    fn clear(&mut self) {
        self.periods.clear();
        for leaf in self.touched_leaves.drain(..) {
            self.leaf_rows[leaf as usize].clear();
        }
        for query in self.touched_queries.get_mut().drain(..) {
            self.memo[query].take();
        }
    }

    fn sort_into_leaves(&mut self, person: i64) {
        let (leaf_rows, touched) = (&mut self.leaf_rows, &mut self.touched_leaves);
        let mut push = |leaf: u32, row: u32| {
            let rows = &mut leaf_rows[leaf as usize];
            if rows.is_empty() {
                touched.push(leaf);
            }
            rows.push(row);
        };
        let tables = self.bucket.tables.iter().zip(&self.plan.tables);
        for ((table, plan), rows) in tables.zip(&mut self.rows) {
            let (Some(table), Some(plan)) = (table, plan) else {
                continue;
            };
            *rows = rows_of(&table.persons, person, rows.end);
            for at in rows.clone() {
                if table.starts[at] == MISSING_DAY {
                    // No window holds an event without a date.
                    continue;
                }
                // A bucket's table has fewer rows than 2^32: it is read into memory as a whole.
                let row = u32::try_from(at).unwrap_or(u32::MAX);
                for &leaf in &plan.every {
                    push(leaf, row);
                }
                if let Some(&concept) = table.concepts.get(at)
                    && let Some(leaves) = plan.by_concept.get(&concept)
                {
                    for &leaf in leaves {
                        let fits = plan.both.get(&leaf).is_none_or(|&set| {
                            let source = table.sources.get(at).copied().unwrap_or(MISSING);
                            source != MISSING && has(&self.plan.sets[set], source)
                        });
                        if fits {
                            push(leaf, row);
                        }
                    }
                }
                if let Some(&source) = table.sources.get(at)
                    && let Some(leaves) = plan.by_source.get(&source)
                {
                    for &leaf in leaves {
                        push(leaf, row);
                    }
                }
            }
        }
    }

    /// The definitions that the person has entry events of, in order.
    pub(crate) fn entered(&mut self) -> Vec<u32> {
        let mut entered = std::mem::take(&mut self.entered);
        entered.clear();
        for &leaf in &self.touched_leaves {
            entered.extend_from_slice(&self.plan.entered_by[leaf as usize]);
        }
        entered.sort_unstable();
        entered.dedup();
        entered
    }

    /// Gives back the list that [`Self::entered`] made, so that its memory serves again.
    pub(crate) fn give_back(&mut self, entered: Vec<u32>) {
        self.entered = entered;
    }
}
